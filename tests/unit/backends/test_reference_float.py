"""The float reference against torch with the same weights, including gate order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_seq.backends.reference_float import float_features, run_float, sigmoid
from edge_seq.backends.trace import trace_names
from edge_seq.ir.contract import Normalisation
from edge_seq.ir.kind_names import CELL_NAMES
from edge_seq.ir.kinds import FastGrnn, Gru, Lstm, Rnn
from edge_seq.ir.model import FloatModel
from edge_seq.ir.rows import FloatRows
from edge_seq.support.errors import DataError
from tests.zoo import random_counts, random_float_model, spec

torch = pytest.importorskip("torch", reason="the float reference is compared with torch; pip install edge-seq[train]")
from edge_seq.training.modules import FastGrnn as TorchFastGrnn  # noqa: E402

MODULES = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}


def blocks_of(cell: Rnn[FloatRows] | Gru[FloatRows] | Lstm[FloatRows]) -> tuple[list[np.ndarray], ...]:
    """weight_ih, weight_hh, bias_ih and bias_hh by gate, in the documented order of torch: r z n, and i f g o."""
    match cell:
        case Rnn():
            rows = [cell.hidden]
        case Gru():
            r, z, n, s = cell.reset_gate, cell.update_gate, cell.new_gate_input, cell.new_gate_hidden
            zero = np.zeros_like(r.bias)
            return (
                [r.weight_input, z.weight_input, n.weight_input],
                [r.weight_hidden, z.weight_hidden, s.weight_hidden],
                [r.bias, z.bias, n.bias],
                [zero, zero, s.bias],
            )
        case Lstm():
            rows = [cell.input_gate, cell.forget_gate, cell.cell_gate, cell.output_gate]
    return (
        [row.weight_input for row in rows],
        [row.weight_hidden for row in rows],
        [row.bias for row in rows],
        [np.zeros_like(row.bias) for row in rows],
    )


def fastgrnn_states(layer: FastGrnn[FloatRows], inputs: torch.Tensor) -> torch.Tensor:
    """By the module that trains; its scalars come before their sigmoid."""
    rows = layer.new_gate
    module = TorchFastGrnn(inputs.shape[2], len(rows.bias), num_layers=1, dropout=0.0)
    values = {
        "weight_ih": rows.weight_input,
        "weight_hh": rows.weight_hidden,
        "bias_ih": np.concatenate([rows.bias + layer.update_offset, rows.bias]),
        "zeta": np.log(layer.zeta / (1 - layer.zeta)),
        "nu": np.log(layer.nu / (1 - layer.nu)),
    }
    with torch.no_grad():
        for name, value in values.items():
            module.get_parameter(f"{name}_l0").copy_(torch.from_numpy(value))
        states, _ = module(inputs)
    return states


def torch_states(model: FloatModel, cell: str) -> list[np.ndarray]:
    """Hidden states [B, T, H] of each layer from torch, for the normalised features of :func:`counts`."""
    inputs = torch.from_numpy(float_features(model, counts(model)))
    states = []
    for layer in model.layers:
        size = model.hidden_sizes[len(states)]
        if isinstance(layer, FastGrnn):
            inputs = fastgrnn_states(layer, inputs)
            states.append(inputs.numpy())
            continue
        module = MODULES[cell](inputs.shape[2], size, batch_first=True)
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        with torch.no_grad():
            for name, block in zip(names, blocks_of(layer), strict=True):
                getattr(module, name).copy_(torch.from_numpy(np.concatenate(block)))
            inputs, _ = module(inputs)
        states.append(inputs.numpy())
    return states


def counts(model: FloatModel) -> np.ndarray:
    return random_counts(5, 20, model.num_channels, seed=1, sigma=300.0)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("cell", CELL_NAMES)
@pytest.mark.parametrize("hidden", [(1,), (5, 3), (33,)], ids=str)
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_equals_torch(cell: str, hidden: tuple[int, ...], pooling: str) -> None:
    shape = spec(cell, *hidden, window_length=20, step="difference", pooling=pooling)  # type: ignore[arg-type]
    model = random_float_model(shape, seed=2)
    values = run_float(model, counts(model)).values
    states = torch_states(model, cell)
    for index, expected in enumerate(states):
        assert np.abs(values[f"layer{index}.hidden_state"] - expected).max() < 1e-5
    pooled = np.cumsum(states[-1], axis=1) / np.arange(1, 21)[:, None] if pooling == "mean" else states[-1]
    logits = pooled @ model.head.weight_input.T + model.head.bias
    assert np.abs(values["logits"] - logits).max() < 1e-5 * max(1.0, np.abs(logits).max())
    assert (values["label"][..., 0] == logits.argmax(axis=2)).mean() > 0.99


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_swapped_gates_are_not_equal_to_torch(cell: str) -> None:
    """The comparison can fail."""
    model = random_float_model(spec(cell, 5, window_length=20), seed=2)
    layer = model.layers[0]
    first, second = ("reset_gate", "update_gate") if cell == "gru" else ("input_gate", "forget_gate")
    swapped = replace(layer, **{first: getattr(layer, second), second: getattr(layer, first)})
    values = run_float(replace(model, layers=(swapped,)), counts(model)).values
    assert np.abs(values["layer0.hidden_state"] - torch_states(model, cell)[0]).max() > 1e-2


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_traces_every_name_in_float32(cell: str) -> None:
    model = random_float_model(spec(cell, 5, 3, pooling="mean"))
    trace = run_float(model, random_counts(2, 7, 3, sigma=300.0))
    assert tuple(trace.values) == trace_names(model)
    for name, value in trace.values.items():
        assert value.dtype == (np.int64 if name == "label" else np.float32), name
        assert value.shape[:2] == (2, 7)
    assert trace.labels.tolist() == trace.values["label"][:, -1, 0].tolist()
    assert np.array_equal(trace.logits, trace.values["logits"][:, -1])


def test_float_features() -> None:
    model = random_float_model(spec("rnn", 2, channels=2))
    normalisation = Normalisation(mean=(10.0, -2.0), scale=(4.0, 0.5))
    model = replace(model, number_format=replace(model.number_format, normalisation=normalisation))
    found = float_features(model, np.array([[[14, -2], [10, 0]]], dtype=np.int16))
    assert found.dtype == np.float32
    assert found.tolist() == [[[1.0, 0.0], [0.0, 4.0]]]


def test_sigmoid_does_not_overflow() -> None:
    x = np.array([-1e30, -100.0, 0.0, 100.0, 1e30], dtype=np.float32)
    assert sigmoid(x).tolist() == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.0], abs=1e-7)


@pytest.mark.parametrize("shape", [(2, 7, 1), (7, 3), (0, 7, 3), (2, 0, 3)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="running zoo: counts have shape"):
        run_float(random_float_model(spec("rnn", 5)), np.zeros(shape, dtype=np.int16))
