"""Bidirectional layers of Keras' files: what they become, and what of them is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("h5py")
from edge_seq.backends.reference_float import run_float
from edge_seq.frontends.files import chain_of_file
from edge_seq.frontends.lower import Lowered, lower
from edge_seq.frontends.to_torch import training_options
from edge_seq.ir.contract import Channel, Normalisation, SensorContract
from edge_seq.support.errors import ModelError
from tests.unit.frontends.keras_case import Named, dense, recurrent, write_keras

STEPS = 50
CONTRACT = SensorContract(50.0, tuple(Channel(name, "g", 1000.0, 4.0) for name in "xyz"), STEPS, STEPS)
COUNTS = np.random.default_rng(0).normal(0, 900, (4, STEPS, 3)).astype(np.int16)


def lowered(path: Path) -> Lowered:
    chain = chain_of_file(path, time_steps=STEPS)
    scaler = Normalisation((0.0,) * 3, (1000.0,) * 3)
    return lower(chain, name="net", labels=("a", "b", "c", "d"), contract=CONTRACT, scaler=scaler)


def logits(path: Path, counts: Any = COUNTS) -> Any:
    return run_float(lowered(path).model, counts).values["logits"][:, -1]


def both_ways(kind: str, units: int, inputs: int, *, sequences: bool = False, **options: Any) -> Named:
    """A bidirectional layer whose directions have other weights."""
    _, config, weights = recurrent(kind, units, inputs, return_sequences=sequences)
    backward = [np.roll(one, 1, axis=0) * 0.9 for one in weights]
    return "Bidirectional", {"layer": {"class_name": kind, "config": config}, **options}, [*weights, *backward]


@pytest.mark.parametrize("kind", ["SimpleRNN", "GRU", "LSTM"])
def test_the_last_states_are_those_of_a_network_for_each_direction(kind: str, tmp_path: Path) -> None:
    two = both_ways(kind, 5, 3)
    head = dense(4, 10)
    kernel, bias = head[2]
    found = logits(write_keras(tmp_path / "both.keras", [two, head]))
    single: list[Named] = [(kind, two[1]["layer"]["config"], two[2][:3]), ("Dense", head[1], [kernel[:5], bias])]
    forward = logits(write_keras(tmp_path / "forward.keras", single))
    single = [(kind, two[1]["layer"]["config"], two[2][3:]), ("Dense", head[1], [kernel[5:], 0 * bias])]
    backward = logits(write_keras(tmp_path / "backward.keras", single), COUNTS[:, ::-1].copy())
    np.testing.assert_allclose(found, forward + backward, atol=1e-5)
    assert np.abs(backward).max() > 0.05


@pytest.mark.parametrize(("merge", "factor"), [("sum", 1.0), ("ave", 0.5)])
def test_merged_directions_are_concatenated_ones_with_doubled_weights(
    merge: str, factor: float, tmp_path: Path
) -> None:
    upper, (name, config, (kernel, bias)) = recurrent("LSTM", 4, 5), dense(4, 4)
    joined_layer = both_ways("GRU", 5, 3, sequences=True)
    merged_layer = ("Bidirectional", {**joined_layer[1], "merge_mode": merge}, joined_layer[2])
    merged = [merged_layer, upper, (name, config, [kernel, bias])]
    doubled = (upper[0], upper[1], [factor * np.concatenate([upper[2][0]] * 2), *upper[2][1:]])
    joined = [joined_layer, doubled, (name, config, [kernel, bias])]
    found = logits(write_keras(tmp_path / "a.keras", merged))
    np.testing.assert_allclose(found, logits(write_keras(tmp_path / "b.keras", joined)), atol=1e-5)
    ends = [both_ways("LSTM", 4, 3, merge_mode=merge), dense(4, 4)]
    assert lowered(write_keras(tmp_path / "c.keras", ends)).model.backward == (1,)


def test_what_is_kept_of_a_window_is_said(tmp_path: Path) -> None:
    found = lowered(write_keras(tmp_path / "a.keras", [both_ways("LSTM", 4, 3), dense(4, 8)]))
    assert any("keeps the inputs of a window, 150 values of 16 bits" in note for note in found.notes)
    with pytest.raises(ModelError, match=r"training from net: it has a bidirectional layer.*edge-seq distill"):
        training_options(found.model)


def test_merges_that_are_no_sum_are_refused(tmp_path: Path) -> None:
    layers = [both_ways("LSTM", 4, 3, merge_mode="mul"), dense(4, 4)]
    with pytest.raises(ModelError, match=r"merge_mode='mul'.*'concat', 'sum' or 'ave'"):
        lowered(write_keras(tmp_path / "a.keras", layers))
    largest: list[Named] = [
        both_ways("LSTM", 4, 3, sequences=True, merge_mode="sum"),
        ("GlobalMaxPooling1D", {}, []),
        dense(4, 4),
    ]
    with pytest.raises(ModelError, match=r"layer_0.sum is a linear layer on the states of each step.*the mean"):
        lowered(write_keras(tmp_path / "b.keras", largest))
    flat: list[Named] = [both_ways("LSTM", 4, 3, sequences=True), ("Flatten", {}, []), dense(4, 8 * STEPS)]
    with pytest.raises(ModelError, match=r"layer_1 flattens the states of all steps behind layer_0, a bidirectional"):
        lowered(write_keras(tmp_path / "c.keras", flat))


def test_carried_states_are_refused(tmp_path: Path) -> None:
    path = write_keras(tmp_path / "a.keras", [both_ways("LSTM", 4, 3), dense(4, 8)])
    chain = chain_of_file(path, time_steps=STEPS)
    scaler = Normalisation((0.0,) * 3, (1000.0,) * 3)
    given: dict[str, Any] = {"name": "net", "labels": ("a", "b", "c", "d"), "contract": CONTRACT, "scaler": scaler}
    with pytest.raises(ModelError, match=r"'carry' in a model with a bidirectional layer; expected 'reset'"):
        lower(chain, **given, at_window_end="carry")
