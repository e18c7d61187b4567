"""Layers that run backward: which models are valid, and what their sizes are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_seq.backends.reference_float import run_float
from edge_seq.backends.reference_int import reset_state, run_reference, state_words
from edge_seq.ir.model import FloatModel, Readout, model_hash
from edge_seq.ir.serialize import load_model, save_model
from edge_seq.ir.verify import verify
from edge_seq.support.errors import ModelError
from tests.zoo import quantized_model, random_counts, random_float_model, random_two_way_chain, spec

SHAPE = spec("gru", 3, 3, 5, 5, 4, channels=5, window_length=6, backward=(1, 3))
MODEL = random_float_model(SHAPE)


def test_sizes() -> None:
    assert MODEL.stages == ((0, 1), (2, 3), (4,))
    assert (MODEL.streamed, MODEL.kept_steps, MODEL.top_parts) == (1, 6, 1)
    assert MODEL.layer_inputs == ((5, 1), (5, 1), (3, 2), (3, 2), (5, 2))
    assert MODEL.kept_inputs == {0: (5, 1), 2: (3, 2), 4: (5, 2)}
    words = state_words(quantized_model(SHAPE), reset_state(quantized_model(SHAPE), 1))
    assert sum(one.shape[1] for one in words) == 6 * (6 + 8 + 16) + 2 * (4 + 4 + 8 + 8 + 4)


def changed(**fields: object) -> FloatModel:
    return replace(MODEL, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (changed(backward=(0,)), r"backward is \(0,\) in a model with 5 layers; expected rising indices from 1 to 4"),
        (changed(backward=(1, 2)), "each behind a layer that runs forward"),
        (changed(backward=(3, 1)), "expected rising indices"),
        (changed(backward=(5,)), "expected rising indices"),
        (changed(backward=[1]), "expected rising indices"),
        (
            replace(random_float_model(spec("gru", 3, 4)), backward=(1,)),
            "layers 0 and 1 are the directions of a bidirectional layer, with 3 and 4 units; expected the same number",
        ),
        (changed(readout=Readout(label_every="sample")), "'sample' in a model with a bidirectional layer"),
        (
            changed(readout=Readout("flatten")),
            "'flatten' in a model with a bidirectional layer; expected another readout",
        ),
        (changed(readout=Readout(at_window_end="carry")), "'carry' in a model with a bidirectional layer"),
        (
            replace(MODEL, contract=replace(MODEL.contract, window_length=3000)),
            r"keep 90000 values of 16 bits of a window of 3000 steps, all layers 90056; expected at most 65535",
        ),
    ],
)
def test_what_is_not_valid_is_named(model: FloatModel, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        verify(model)


def test_a_file_keeps_the_direction(tmp_path: Path) -> None:
    model = quantized_model(SHAPE)
    save_model(model, tmp_path / "model.safetensors")
    assert load_model(tmp_path / "model.safetensors").backward == (1, 3)
    assert model_hash(replace(model, backward=(1,))) != model_hash(model)


def test_a_palindrome_gives_both_directions_of_one_layer_the_same_state() -> None:
    model = random_float_model(spec("lstm", 4, 4, window_length=7, backward=(1,)))
    model = replace(model, layers=(model.layers[0], model.layers[0]))
    counts = random_counts(3, 7, 3, sigma=300)
    counts[:, 4:] = counts[:, 2::-1]
    values = run_float(model, counts).values
    np.testing.assert_allclose(values["layer0.hidden_state"][:, -1], values["layer1.hidden_state"][:, -1], atol=1e-6)
    assert not values["layer1.hidden_state"][:, :-1].any()


@pytest.mark.parametrize("seed", range(4))
def test_integers_are_close_to_floats(seed: int) -> None:
    shape = random_two_way_chain(seed)
    model = random_float_model(shape, seed=seed, amplitude=1.0)
    quantized = quantized_model(shape, seed=seed, amplitude=1.0)
    counts = random_counts(8, shape.window_length, shape.channels, seed=seed, sigma=300.0)
    difference = run_reference(quantized, counts).logits / 2**16 - run_float(model, counts).logits
    assert np.abs(difference).max() < 0.03
