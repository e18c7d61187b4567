"""Recurrent operators of ONNX: RNN, GRU and LSTM.

ONNX stacks the gates of a layer in blocks of H rows: LSTM i, o, f, c; GRU z, r, h, which equals PyTorch's with
``linear_before_reset=1``. It keeps two biases, of the input and of the state.
"""

from __future__ import annotations

import numpy as np

from edge_seq.frontends.chain import Array, Bidirectional, Recurrent, float32
from edge_seq.frontends.flow import FlowError
from edge_seq.frontends.onnx.node import Node, Value
from edge_seq.ir.kinds import Gru, Layer, Lstm, Rnn
from edge_seq.ir.rows import FloatRows

_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
_ACTIVATIONS = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}


def recurrent(node: Node) -> list[Value]:
    """RNN, GRU or LSTM: the states of all steps, the last states, and the last cell states, which nothing may use."""
    _check_options(node)
    size, gates = int(node.attributes.get("hidden_size", 0)), _GATES[node.kind]
    weight, recurrent = node.needed(1, "W"), node.needed(2, "R")
    count = 2 if node.attributes.get("direction", b"forward") == b"bidirectional" else 1
    size = size or (recurrent.shape[-1] if recurrent.ndim == 3 else 0)
    bias = node.constant(3, "B")
    bias = np.zeros((count, 2 * gates * size)) if bias is None else bias
    batch_first = bool(node.attributes.get("layout", 0))
    inputs = node.flow.channels
    expected = ((count, gates * size, inputs), (count, gates * size, size), (count, 2 * gates * size))
    if not size or (weight.shape, recurrent.shape, bias.shape) != expected:
        raise FlowError(
            f"has W {list(weight.shape)}, R {list(recurrent.shape)} and B {list(bias.shape)}; expected "
            f"{[list(one) for one in expected]}"
        )
    layers = [_layer(node.kind, weight[i], recurrent[i], bias[i], size) for i in range(count)]
    record = Recurrent(node.name, layers[0], node.outputs[0]) if count == 1 else Bidirectional(node.name, *layers)
    states = node.flow.recurrent(record, size, directions=True, batch_first=batch_first)
    return [states, states.final_state(node.name)]


def _check_options(node: Node) -> None:
    attributes = node.attributes
    direction = attributes.get("direction", b"forward")
    if direction == b"reverse":
        raise node.refuse("direction='reverse'", "train forward; the device sees samples in their order")
    given = [one.decode() for one in attributes.get("activations", [])]
    count = 2 if direction == b"bidirectional" else 1
    if given and [one.lower() for one in given] != [one.lower() for one in count * _ACTIVATIONS[node.kind]]:
        raise node.refuse(f"activations={given}", f"train with {_ACTIVATIONS[node.kind]}")
    if attributes.get("clip", 0):
        raise node.refuse(f"clip={attributes['clip']}", "train without clipping of the gates")
    if node.kind == "LSTM" and attributes.get("input_forget", 0):
        raise node.refuse("input_forget=1", "train without coupled gates")
    if node.kind == "GRU" and not attributes.get("linear_before_reset", 0):
        raise node.refuse(
            "linear_before_reset=0 (reset_after=False in Keras)",
            "train with the reset gate after the product, as PyTorch's GRU and Keras' reset_after=True",
        )
    lengths = node.constant(4, "sequence_lens")
    steps = node.flow.sizes[node.flow.axes.index("T")] if "T" in node.flow.axes else None
    if lengths is not None and steps is not None and (np.asarray(lengths) != steps).any():
        raise node.refuse(f"sequence_lens {np.unique(lengths).tolist()}", "export it for windows of one length")
    for index, what in ((5, "initial_h"), (6, "initial_c")):
        state = node.constant(index, what)
        if state is not None and np.any(state):
            raise node.refuse(f"{what} that is not zero", "train with zero initial states")
    peepholes = node.constant(7, "peepholes")
    if peepholes is not None and np.any(peepholes):
        raise node.refuse("peepholes", "train without peepholes")


def _layer(kind: str, weight: Array, recurrent: Array, bias: Array, size: int) -> Layer[FloatRows]:
    """Weights of one direction: W [G H, I], R [G H, H], B [2 G H]."""
    of_input, of_state = np.split(bias.astype(np.float64), 2)

    def gate(index: int) -> FloatRows:
        block = slice(index * size, (index + 1) * size)
        return FloatRows(float32(weight[block]), float32(recurrent[block]), float32(of_input[block] + of_state[block]))

    match kind:
        case "LSTM":
            i, o, f, c = (gate(index) for index in range(4))
            return Lstm(input_gate=i, forget_gate=f, cell_gate=c, output_gate=o)
        case "GRU":
            new, none = slice(2 * size, 3 * size), np.zeros((size, 0), dtype=np.float32)
            return Gru(
                reset_gate=gate(1),
                update_gate=gate(0),
                new_gate_input=FloatRows(float32(weight[new]), none, float32(of_input[new])),
                new_gate_hidden=FloatRows(none, float32(recurrent[new]), float32(of_state[new])),
            )
        case _:
            return Rnn(hidden=gate(0))
