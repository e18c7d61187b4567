"""Float ONNX graphs agree with the float reference and with torch; streams agree with windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_seq.backends.onnx import float_export as onnx_float
from edge_seq.backends.onnx.float_export import export_onnx_float
from edge_seq.backends.onnx.run import open_onnx, run_steps_onnx, run_window
from edge_seq.backends.reference_float import run_float
from edge_seq.ir.kind_names import POOLINGS, CellName
from edge_seq.ir.kinds import Gru, Rnn, row_groups
from edge_seq.ir.model import FloatModel
from edge_seq.scores.metrics import softmax
from tests import zoo

# Measured: at most 6e-6, after 23 steps with active states; logits are of the order of units.
TOLERANCE = 2e-5
SHAPES = {f"{cell}_{name}": shape for cell in zoo.CELLS for name, shape in zoo.awkward_specs(cell).items()}


def _counts(model: FloatModel, time_steps: int) -> NDArray[np.int16]:
    channels = model.num_channels
    return np.concatenate(
        [zoo.random_counts(50, time_steps, channels, sigma=600.0), zoo.extreme_counts(time_steps, channels)]
    )


def _largest_state(values: Mapping[str, NDArray[Any]]) -> float:
    """At least 1: where a FastGRNN's hidden state grows beyond, so does the rounding of what is made of it."""
    return max(1.0, *(float(np.abs(value).max()) for name, value in values.items() if name.endswith(".hidden_state")))


def _window_error(model: FloatModel, counts: NDArray[np.int16]) -> float:
    reference = run_float(model, counts)
    outputs = run_window(open_onnx(export_onnx_float(model, form="window")), counts)
    each = model.readout.label_every == "sample"
    logits = reference.values["logits"] if each else reference.logits
    assert outputs["logits"].shape == logits.shape
    assert outputs["logits"].dtype == np.float32
    assert np.abs(outputs["probabilities"] - softmax(outputs["logits"])).max() < TOLERANCE
    assert np.array_equal(outputs["label"], np.argmax(outputs["logits"], axis=-1))
    return float(np.abs(outputs["logits"] - logits).max()) / _largest_state(reference.values)


@pytest.mark.parametrize("name", SHAPES)
def test_windows_are_those_of_the_reference(name: str) -> None:
    model = zoo.random_float_model(SHAPES[name], amplitude=3.0)
    assert _window_error(model, _counts(model, model.contract.window_length)) < TOLERANCE


@pytest.mark.parametrize("name", SHAPES)
def test_streams_are_the_windows_they_are_cut_into(name: str) -> None:
    """Two consecutive windows, or only the first if states are carried."""
    shape = SHAPES[name]
    model = zoo.random_float_model(shape, amplitude=3.0)
    length = shape.window_length
    windows = 2 if shape.readout.at_window_end == "reset" else 1
    counts = _counts(model, windows * length)
    steps = list(run_steps_onnx(open_onnx(export_onnx_float(model, form="step")), counts))
    found = {key: np.stack([step[key] for step in steps], axis=1) for key in ("logits", "probabilities", "label")}
    parts = [run_float(model, counts[:, start : start + length]).values for start in range(0, windows * length, length)]
    logits = np.concatenate([part["logits"] for part in parts], axis=1)
    due = np.ones(windows * length, dtype=bool)
    if shape.readout.label_every == "window":
        due = np.arange(1, windows * length + 1) % length == 0
    tolerance = TOLERANCE * max(map(_largest_state, parts))
    assert np.abs(found["logits"] - logits)[:, due].max() < tolerance
    assert np.abs(found["probabilities"] - softmax(logits))[:, due].max() < tolerance
    assert np.array_equal(found["label"][:, due], np.argmax(found["logits"], axis=2)[:, due])
    assert not found["logits"][:, ~due].any()
    assert not found["probabilities"][:, ~due].any()
    assert (found["label"][:, ~due] == -1).all()


@pytest.mark.parametrize("pooling", [one for one in POOLINGS if one != "flatten"])
def test_carried_states_are_those_of_one_long_window(pooling: Any) -> None:
    shape = zoo.spec("gru", 5, step="difference", at_window_end="carry", label_every="sample", pooling=pooling)
    model = zoo.random_float_model(shape)
    counts = _counts(model, 21)
    steps = list(run_steps_onnx(open_onnx(export_onnx_float(model, form="step")), counts))
    states = run_float(model, counts).values["layer0.hidden_state"]
    for t, step in enumerate(steps):
        assert np.abs(step["layer0.hidden_state.next"] - states[:, t]).max() < TOLERANCE
        window = states[:, t // 7 * 7 : t + 1]  # a mean or a largest value starts again with each window
        mean, largest = window.mean(axis=1), window.max(axis=1)
        seen = {"last": [states[:, t]], "mean": [mean], "max": [largest], "mean_max": [mean, largest]}[pooling]
        logits = np.concatenate(seen, axis=1) @ model.head.weight_input.T + model.head.bias
        assert np.abs(step["logits"] - logits).max() < TOLERANCE


@pytest.mark.parametrize("cell", zoo.CELLS)
def test_windows_are_those_of_torch(cell: str) -> None:
    """The module that trains, converted, exported and run: the whole chain of gate orders and biases."""
    torch = pytest.importorskip("torch")
    from edge_seq.backends.reference_float import float_features
    from edge_seq.frontends.from_torch import from_torch
    from edge_seq.training.modules import recurrent_module

    torch.manual_seed(4)
    recurrent, head = recurrent_module(cell, 3, 6, num_layers=2, dropout=0.0), torch.nn.Linear(6, 4)
    with torch.no_grad():
        for parameter in [*recurrent.parameters(), *head.parameters()]:
            parameter.uniform_(-1.5, 1.5)
    state = {f"recurrent.{name}": value for name, value in recurrent.state_dict().items()}
    state |= {f"head.{name}": value for name, value in head.state_dict().items()}
    template = zoo.random_float_model(zoo.spec(cell, 6))
    model = from_torch(
        state,
        name="car",
        labels=template.labels,
        contract=template.contract,
        normalisation=template.number_format.normalisation,
        readout=template.readout,
        nonlinearity="tanh",
    )
    counts = _counts(model, 7)
    with torch.no_grad():
        expected = head(recurrent(torch.from_numpy(float_features(model, counts)))[0][:, -1]).numpy()
    outputs = run_window(open_onnx(export_onnx_float(model, form="window")), counts)
    assert np.abs(outputs["logits"] - expected).max() < 2e-5


@pytest.mark.parametrize(
    ("cell", "order"),
    [
        ("lstm", ("input_gate", "forget_gate", "cell_gate", "output_gate")),  # torch's order, not ONNX's
        ("gru", ("reset_gate", "update_gate", None)),
    ],
)
def test_a_wrong_gate_order_is_seen(
    monkeypatch: pytest.MonkeyPatch, cell: CellName, order: tuple[str | None, ...]
) -> None:
    model = zoo.random_float_model(zoo.spec(cell, 5))
    rows = row_groups(model.layers[0])
    pairs = [(name, name) if name else ("new_gate_input", "new_gate_hidden") for name in order]
    wrong = tuple((rows[seen], rows[own]) for seen, own in pairs)
    monkeypatch.setattr(onnx_float, "gate_order", lambda _layer: wrong)
    assert _window_error(model, _counts(model, 7)) > 100 * TOLERANCE


def test_a_transposed_matrix_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    model = zoo.random_float_model(zoo.spec("rnn", 5))
    right = onnx_float.node_weights

    def wrong(cell: Rnn[Any]) -> onnx_float.NodeWeights:
        weights = right(cell)
        return onnx_float.NodeWeights(weights.w, np.ascontiguousarray(weights.r.transpose(0, 2, 1)), weights.b)

    monkeypatch.setattr(onnx_float, "node_weights", wrong)
    assert _window_error(model, _counts(model, 7)) > 100 * TOLERANCE


def test_a_bias_in_the_wrong_half_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GRU's second bias of the new gate is multiplied by the reset gate; the first is not."""
    model = zoo.random_float_model(zoo.spec("gru", 5))
    right = onnx_float.node_weights

    def wrong(cell: Gru[Any]) -> onnx_float.NodeWeights:
        weights = right(cell)
        bias = weights.b.copy()
        bias[0, 10:15] += bias[0, 25:30]
        bias[0, 25:30] = 0
        return onnx_float.NodeWeights(weights.w, weights.r, bias)

    monkeypatch.setattr(onnx_float, "node_weights", wrong)
    assert _window_error(model, _counts(model, 7)) > 100 * TOLERANCE
