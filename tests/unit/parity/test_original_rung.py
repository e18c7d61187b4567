"""The rung of an imported network: its own framework's outputs and states beside those of the float reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge_seq.backends.reference_float import float_features, run_float, sequences_of
from edge_seq.ir.model import FloatModel
from edge_seq.parity import original_rung
from edge_seq.parity.ladder import Rung
from edge_seq.support.errors import ToolError
from tests.unit.parity.small import COUNTS, FLOAT, Counts
from tests.zoo import Spec, convolution, random_counts, random_float_model, spec


def original(
    found: Callable[[Counts], Any], model: FloatModel, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> Rung:
    monkeypatch.setattr(original_rung, "run_original", lambda network, given: found(given))
    monkeypatch.setattr(original_rung, "original_outputs", lambda lowered, logits: logits.astype(np.float64))
    imported: Any = SimpleNamespace(
        lowered=SimpleNamespace(model=model), original="network", network_input=lambda given: given
    )
    return original_rung.original_rung("rung", imported, counts)


def test_an_imported_network_is_compared_with_its_states(monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks of windows; the tolerance grows with outputs above 1."""
    counts = random_counts(130, 7, 3, sigma=400, seed=5)
    traced = run_float(FLOAT, counts)
    largest = float(np.abs(traced.logits).max())
    assert largest > 1

    def network(
        output: float, state: float, *, states: bool = True, scale: float = 1.0
    ) -> Callable[[Counts], SimpleNamespace]:
        outputs, hidden = traced.logits.astype(np.float64) * scale, traced.values["layer0.hidden_state"].copy()
        outputs[129, 2] += output
        hidden[129, 4, 1] += state
        return lambda _: SimpleNamespace(outputs=outputs, states={0: hidden} if states else {}, by="its framework")

    rung = original(network(0, 0), FLOAT, counts, monkeypatch)
    assert (rung.name, rung.kind, rung.verdict) == ("rung", "budget", "holds")
    assert rung.comparison is not None
    assert rung.comparison.values == 130 * 7 * 5 + 130 * 4
    assert rung.comparison.names == ("layer0.hidden_state", "outputs")
    assert rung.detail == (
        f"its framework: largest difference 0.0e+00, allowed {2e-4 * largest:.0e}, with the states of 1 of 1 layers at "
        "every step"
    )
    alone = original(network(0, 0, states=False), FLOAT, counts, monkeypatch)
    assert alone.comparison is not None
    assert (alone.comparison.values, alone.detail.endswith(f"allowed {2e-4 * largest:.0e}")) == (130 * 4, True)
    assert original(network(1.5e-4 * largest, 0), FLOAT, counts, monkeypatch).verdict == "holds"
    far = original(network(2.5e-4 * largest, 0), FLOAT, counts, monkeypatch)
    assert far.verdict == "failed"
    assert far.detail.startswith("window 129, time step 6, outputs[2]")
    both = original(network(1, 3e-4), FLOAT, counts, monkeypatch)
    assert both.detail.startswith("window 129, time step 4, layer 0, hidden_state[1]")
    assert both.comparison is not None
    assert (both.comparison.mismatches, both.comparison.max_abs_error) == (2, pytest.approx(1, rel=1e-3))

    small = replace(FLOAT, head=replace(FLOAT.head, weight_input=FLOAT.head.weight_input / 1000))
    traced = run_float(small, counts)
    assert "allowed 2e-04" in original(network(0, 0), small, counts, monkeypatch).detail


def test_an_import_is_checked_on_windows_of_the_whole_data(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Counts] = []
    monkeypatch.setattr(original_rung, "original_rung", lambda name, _, counts: ran.append(counts) or name)
    imported: Any = None
    many = np.arange(1000, dtype=np.int16).reshape(1000, 1, 1)
    assert str(original_rung.check_import(imported, many)) == "imported network = float reference"
    original_rung.check_import(imported, many[:7])
    assert (len(ran[0]), ran[0].min(), ran[0].max()) == (200, 0, 999)
    assert np.abs(np.diff(ran[0].ravel()) - 5).max() <= 1
    assert np.array_equal(ran[1], many[:7])

    def no_framework(_: Counts) -> Any:
        raise ToolError("tensorflow is not installed")

    monkeypatch.undo()
    rung = original(no_framework, FLOAT, COUNTS, monkeypatch)
    assert rung == Rung("rung", "budget", "skipped", "tensorflow is not installed")


@pytest.mark.parametrize(
    "shape",
    [
        spec("gru", 4, window_length=9, front=(convolution(3, "relu", 3, stride=2),)),
        spec("gru", 3, 3, window_length=6, backward=(1,)),
    ],
    ids=["behind a convolution", "both directions"],
)
def test_states_are_compared_at_the_steps_of_their_layer(shape: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a stride there are fewer steps than samples; a backward layer's steps are in another order."""
    model = random_float_model(shape, seed=2)
    counts = random_counts(5, shape.window_length, 3, sigma=300.0)
    top = len(model.layers) - 1
    states = sequences_of(model, float_features(model, counts))[f"layer{top}.hidden_state"].copy()
    outputs = run_float(model, counts).values["logits"][:, -1].astype(np.float64)
    network = SimpleNamespace(outputs=outputs, states={top: states}, by="its framework")
    rung = original(lambda _: network, model, counts, monkeypatch)
    assert rung.verdict == "holds"
    assert rung.comparison is not None
    assert rung.comparison.values == states.size + outputs.size
    states[3, 2, 1] += 1e-3
    assert original(lambda _: network, model, counts, monkeypatch).detail.startswith(
        f"window 3, time step 2, layer {top}, hidden_state[1]"
    )
