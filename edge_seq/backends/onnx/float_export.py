"""The float model as ONNX: standard nodes, written directly, as tracing froze axes and lost biases.

The input is raw counts; preprocessing and normalisation are in the graph. There are two forms:

- ``window``: the input is ``counts`` int16 [batch, T, C], one window from a reset; other lengths than T are refused. A
  model with a label per window gives ``logits`` and ``probabilities`` float32 [batch, K] and ``label`` int64 [batch]
  after the last sample. A model with a label after each sample gives [batch, T, K] and [batch, T].
- ``step``: the inputs are ``counts`` int16 [batch, C] and the states; the outputs are those of this sample and the next
  states, each as ``<state>.next``. States are zero (false) after a reset. If no label is due, ``logits`` and
  ``probabilities`` are 0 and ``label`` is -1. At a window's end, the next window begins as in SPEC.md, section 7, so
  that a stream gives the labels of its windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx
from numpy.typing import NDArray
from typing_extensions import assert_never

from edge_seq.backends.onnx.front import Given, front_states, given_at_a_sample, reduced, step_front
from edge_seq.backends.onnx.graph import (
    BATCH,
    FLOAT,
    INT16,
    INT64,
    Form,
    Graph,
    Port,
    add_scan,
    side_by_side,
    to_model,
)
from edge_seq.backends.onnx.metadata import COUNTS, LABEL, LOGITS, PROBABILITIES, metadata_of, require_form, seal
from edge_seq.backends.onnx.preprocess import preprocess_states, preprocess_step, preprocess_window
from edge_seq.backends.onnx.window import (
    STEP_IN_WINDOW,
    Kind,
    OverSteps,
    add_to_pool,
    at_end,
    begin_again,
    count_sample,
    keep,
    kept_after,
    kept_name,
    kept_states,
    label_of,
    moment_of,
    turned,
    where_due,
    window_states,
    with_zeros,
)
from edge_seq.ir.front import Conv, FrontLayer, TimePool
from edge_seq.ir.kind_names import Activation, Statistic
from edge_seq.ir.kinds import FastGrnn, Gru, Layer, Lstm, Rnn, StateName, constants_of, hidden_size, kind_of
from edge_seq.ir.model import POOLS, FloatModel
from edge_seq.ir.rows import FloatRows
from edge_seq.ir.verify import verify

Float32 = NDArray[np.float32]
HIDDEN: StateName = "hidden_state"


def _states(layer: Layer[FloatRows]) -> tuple[StateName, ...]:
    """Names of a layer's states, the hidden state first."""
    return (HIDDEN, *(name for name in kind_of(layer).state_names if name != HIDDEN))


NodeLayer = Rnn[FloatRows] | Gru[FloatRows] | Lstm[FloatRows]  # kinds for which ONNX has a node


@dataclass(frozen=True)
class NodeWeights:
    """Weights of a recurrent ONNX node with one direction.

    Attributes:
        w: input weights, float32 [1, G H, I].
        r: recurrent weights, float32 [1, G H, H].
        b: input biases, then recurrent biases, float32 [1, 2 G H]. A model has one bias per gate, which is in the first
            half. Only a GRU's new gate has two, as the reset gate multiplies the second.
    """

    w: Float32
    r: Float32
    b: Float32


def gate_order(layer: NodeLayer) -> tuple[tuple[FloatRows, FloatRows], ...]:
    """The order in which ONNX stacks gates (z r h; i o f c): rows that give the input's part, and the state's part."""
    match layer:
        case Rnn():
            return ((layer.hidden, layer.hidden),)
        case Gru():
            update, reset = layer.update_gate, layer.reset_gate
            return ((update, update), (reset, reset), (layer.new_gate_input, layer.new_gate_hidden))
        case Lstm():
            order = (layer.input_gate, layer.output_gate, layer.forget_gate, layer.cell_gate)
            return tuple((gate, gate) for gate in order)
        case unreachable:
            assert_never(unreachable)


def node_weights(cell: NodeLayer) -> NodeWeights:
    """Stack a cell's gates in the order of ONNX."""
    order = gate_order(cell)
    recurrent_bias = [np.zeros_like(own.bias) if own is seen else own.bias for seen, own in order]
    return NodeWeights(
        w=np.concatenate([seen.weight_input for seen, _ in order])[None],
        r=np.concatenate([own.weight_hidden for _, own in order])[None],
        b=np.concatenate([*(seen.bias for seen, _ in order), *recurrent_bias])[None],
    )


def float_states(model: FloatModel) -> tuple[Port, ...]:
    """State inputs of the step model, in order, after ``counts``. All are zero (false) after a reset.

    Each layer has ``layer0.hidden_state`` float32 [batch, H], an LSTM also ``layer0.cell_state``. The states of
    preprocessing and of the window are those of the integer model, except that pools are float32.
    """
    layers = [
        Port(f"layer{index}.{name}", FLOAT, (BATCH, hidden_size(cell)))
        for index, cell in enumerate(model.layers)
        for name in _states(cell)
    ]
    around = preprocess_states(model.contract), front_states(model, FLOAT), kept_states(model, FLOAT)
    return (*around[0], *around[1], *around[2], *layers, *window_states(model, FLOAT))


def _normalise(graph: Graph, model: FloatModel, features: str) -> str:
    """(features - mean) / scale in float32. The integer part of the mean is subtracted exactly, in integers."""
    mean = np.array(model.number_format.normalisation.mean, dtype=np.float64)
    whole = np.clip(np.rint(mean), -(2**20), 2**20)
    centred = graph.add("Sub", features, graph.constant(whole.astype(np.int32), "mean.whole"))
    real = graph.add("Cast", centred, to=FLOAT)
    rest = graph.add("Sub", real, graph.constant((mean - whole).astype(np.float32), "mean.rest"))
    scale = np.array(model.number_format.normalisation.scale, dtype=np.float32)
    return graph.add("Div", rest, graph.constant(scale, "scale"), name="normalised")


def _recurrent(
    graph: Graph, cell: Layer[FloatRows], index: int, sequence: str, start: tuple[str, ...]
) -> tuple[str, tuple[str, ...]]:
    """Append one layer over [time, batch, I].

    Args:
        graph: graph to append to.
        cell: cell of the layer.
        index: index of the layer.
        sequence: input, float32 [time, batch, I].
        start: initial states [1, batch, H], hidden state first; empty for zeros.

        Returns:
            Outputs [time, 1, batch, H], and last states [1, batch, H], hidden state first.
    """
    match cell:
        case Rnn() | Gru() | Lstm():
            return _node(graph, cell, index, sequence, start)
        case FastGrnn():
            return _fastgrnn_scan(graph, cell, index, sequence, start)
        case unreachable:
            assert_never(unreachable)


def _fastgrnn_scan(
    graph: Graph, cell: FastGrnn[FloatRows], index: int, sequence: str, start: tuple[str, ...]
) -> tuple[str, tuple[str, ...]]:
    """Add a ``Scan`` over time, because no node exists. Arguments and results are those of :func:`_recurrent`."""
    prefix, size = f"layer{index}", hidden_size(cell)
    rows = cell.new_gate
    product = graph.add("MatMul", sequence, graph.constant(rows.weight_input.T, f"{prefix}.w"))
    seen = graph.add("Add", product, graph.constant(rows.bias, f"{prefix}.b"))
    if start:
        first = graph.add("Squeeze", start[0], graph.axes(0))
    else:
        zero = onnx.helper.make_tensor("zero", FLOAT, [1], [0.0])
        first = graph.add("ConstantOfShape", graph.add("Shape", seen, start=1), value=zero)

    recurrent = graph.constant(rows.weight_hidden.T, f"{prefix}.r")
    offset, zeta, nu = (graph.constant(array, f"{prefix}.{name}") for name, array in constants_of(cell).items())
    body = graph.body()
    own, slice_ = (Port(graph.unique(f"{prefix}.{name}"), FLOAT, (BATCH, size)) for name in ("state", "seen"))
    new = body.add("Add", slice_.name, body.add("MatMul", own.name, recurrent))
    update = body.add("Sigmoid", body.add("Add", new, offset))
    left = body.add("Sub", body.scalar(1, np.float32), update)
    take = body.add("Add", body.add("Mul", zeta, left), nu)
    added = body.add("Mul", take, body.add("Tanh", new))
    hidden = own.renamed(body.add("Add", added, body.add("Mul", update, own.name), name=f"{prefix}.{HIDDEN}"))
    output = own.renamed(body.rename(hidden.name, f"{prefix}.output"))
    (last,), (outputs,) = add_scan(
        graph, body, [own, slice_], [hidden, output], [first], (seen,), (f"{prefix}.outputs",), axis=0
    )
    return graph.add("Unsqueeze", outputs, graph.axes(1)), (graph.add("Unsqueeze", last, graph.axes(0)),)


def _node(
    graph: Graph, cell: NodeLayer, index: int, sequence: str, start: tuple[str, ...]
) -> tuple[str, tuple[str, ...]]:
    """Add a recurrent node. Arguments and results are those of :func:`_recurrent`."""
    weights, prefix = node_weights(cell), f"layer{index}"
    constants = [graph.constant(getattr(weights, part), f"{prefix}.{part}") for part in ("w", "r", "b")]
    attributes = {"hidden_size": hidden_size(cell)}
    if isinstance(cell, Gru):
        attributes["linear_before_reset"] = 1  # r * (U h + b), as in PyTorch and cuDNN
    no_lengths = ("",) if start else ()
    outputs, *last = graph.add_many(
        kind_of(cell).name.upper(),
        [sequence, *constants, *no_lengths, *start],
        [f"{prefix}.outputs", *(f"{prefix}.{state}.last" for state in _states(cell))],
        **attributes,
    )
    return outputs, tuple(last)


def _logits(graph: Graph, model: FloatModel, state: str, products: str = "") -> str:
    """Dense layers and head: what is read out [..., N] to logits [..., K].

    ``products``: of rows that see the states of all steps, summed step by step, without their bias.
    """

    def sums(rows: FloatRows, name: str) -> str:
        if products and rows is model.summed_rows:
            return graph.add("Add", products, graph.constant(rows.bias, f"{name}.bias"))
        return _affine(graph, rows, state, name)

    for index, layer in enumerate(model.dense):
        state = _activated(graph, sums(layer.rows, f"dense{index}"), layer.activation)
    return sums(model.head, "head")


_NODES: dict[Activation, str] = {"relu": "Relu", "tanh": "Tanh"}


def _activated(graph: Graph, sums: str, activation: Activation) -> str:
    return sums if activation == "none" else graph.add(_NODES[activation], sums)


def _affine(graph: Graph, rows: FloatRows, value: str, name: str) -> str:
    product = graph.add("MatMul", value, graph.constant(rows.weight_input.T, f"{name}.weights"))
    return graph.add("Add", product, graph.constant(rows.bias, f"{name}.bias"))


def _pooled(graph: Graph, model: FloatModel, outputs: str, last: str) -> str:
    """Input of the head, [batch, N] or [batch, time, N], from outputs [time, batch, H] and last state [1, batch, H]."""
    each, statistics = model.readout.label_every == "sample", model.readout.statistics
    if each:
        after_each = [_running(graph, one, outputs) for one in statistics] or [outputs]
        return graph.add("Transpose", side_by_side(graph, after_each, axis=2), perm=[1, 0, 2])
    if model.readout.flattens:
        of_batch = graph.add("Transpose", outputs, perm=[1, 0, 2])
        return graph.add("Reshape", of_batch, graph.axes(0, model.num_steps * model.hidden_sizes[-1]))
    reduced = [_REDUCTIONS[one] for one in statistics]
    pooled = [graph.add(op, outputs, graph.axes(0), keepdims=0) for op in reduced]
    return side_by_side(graph, pooled, axis=1) if pooled else graph.add("Squeeze", last, graph.axes(0))


_REDUCTIONS: dict[Statistic, str] = {"mean": "ReduceMean", "max": "ReduceMax"}


def _running(graph: Graph, statistic: Statistic, outputs: str) -> str:
    """Mean or largest value of the outputs [time, batch, H] up to each step."""
    match statistic:
        case "mean":
            return _running_mean(graph, outputs)
        case "max":
            return _running_max(graph, outputs)
        case unreachable:
            assert_never(unreachable)


def _running_max(graph: Graph, outputs: str) -> str:
    """A ``Scan`` over time, because no node exists."""
    body = graph.body()
    shape = (BATCH, "units")
    before, slice_ = (Port(graph.unique(name), FLOAT, shape) for name in ("largest.before", "largest.state"))
    after = before.renamed(body.add("Max", before.name, slice_.name, name="largest"))
    result = before.renamed(body.rename(after.name, "largest.output"))
    start = graph.add("Gather", outputs, graph.scalar(0, np.int64), axis=0)
    _, (largest,) = add_scan(graph, body, [before, slice_], [after, result], [start], (outputs,), ("pool_max",), axis=0)
    return largest


def _running_mean(graph: Graph, outputs: str) -> str:
    sums = graph.add("CumSum", outputs, graph.scalar(0, np.int64))
    time = graph.add("Squeeze", graph.add("Shape", outputs, start=0, end=1), graph.axes(0))
    one = graph.scalar(1, np.int64)
    counts = graph.add("Range", one, graph.add("Add", time, one), one)
    column = graph.add("Unsqueeze", graph.add("Cast", counts, to=FLOAT), graph.axes(1, 2))
    return graph.add("Div", sums, column)


def _front(graph: Graph, model: FloatModel, normalised: str) -> str:
    """Front layers of a window: [batch, time, C] to [steps, batch, R]."""
    value = graph.add("Transpose", normalised, perm=[0, 2, 1])
    for index, (layer, units) in enumerate(zip(model.front, model.front_inputs, strict=True)):
        match layer:
            case Conv():
                shape = (len(layer.rows.bias), layer.kernel, units)
                weights = layer.rows.weight_input.reshape(shape).transpose(0, 2, 1)
                sums = graph.add(
                    "Conv",
                    value,
                    graph.constant(weights, f"front{index}.weights"),
                    graph.constant(layer.rows.bias, f"front{index}.bias"),
                    dilations=[layer.dilation],
                    strides=[layer.stride],
                    pads=[layer.reach - layer.first, layer.after],
                )
                value = _activated(graph, sums, layer.activation)
            case TimePool():
                op = "MaxPool" if layer.statistic == "max" else "AveragePool"
                value = graph.add(op, value, kernel_shape=[layer.size], strides=[layer.stride])
            case unreachable:
                assert_never(unreachable)
    return graph.add("Transpose", value, perm=[2, 0, 1])


def _front_output(graph: Graph, index: int, layer: FrontLayer[FloatRows], seen: str) -> str:
    """Output [batch, R] of a front layer for the inputs that it sees, [batch, n I]."""
    match layer:
        case Conv():
            return _activated(graph, _affine(graph, layer.rows, seen, f"front{index}"), layer.activation)
        case TimePool():
            return reduced(graph, _REDUCTIONS[layer.statistic], layer, seen)
        case unreachable:
            assert_never(unreachable)


def _held(graph: Graph, model: FloatModel, values: str, counts: str) -> str:
    """Values [batch, steps, N] at each sample: the latest one, zero before the first."""
    one = graph.scalar(1, np.int64)
    time = graph.add("Squeeze", graph.add("Shape", counts, start=1, end=2), graph.axes(0))
    number = graph.add("Range", one, graph.add("Add", time, one), one)
    for layer in model.front:
        stride = graph.scalar(layer.stride, np.int64)
        reached = graph.add("Add", number, graph.scalar(layer.stride - 1 - layer.first, np.int64))
        number = graph.add("Div", graph.add("Max", reached, graph.scalar(0, np.int64)), stride)
    first = graph.add("Slice", values, graph.axes(0), graph.axes(1), graph.axes(1))
    nothing = graph.add("Mul", first, graph.scalar(0, np.float32))
    return graph.add("Gather", graph.add("Concat", nothing, values, axis=1), number, axis=1)


def _window_model(model: FloatModel) -> onnx.ModelProto:
    graph = Graph()
    counts = Port(graph.unique(COUNTS), INT16, (BATCH, model.contract.window_length, model.num_channels))
    features = preprocess_window(graph, graph.int32(counts.name), model.contract)
    normalised = _normalise(graph, model, features)
    sequence = _front(graph, model, normalised) if model.front else graph.add("Transpose", normalised, perm=[1, 0, 2])
    last: list[str] = []
    for stage in model.stages:
        found, last = [], []
        for index in stage:
            outputs, (state, *_) = _recurrent(
                graph, model.layers[index], index, turned(graph, model, index, sequence), ()
            )
            found.append(turned(graph, model, index, graph.add("Squeeze", outputs, graph.axes(1))))
            last.append(state)
        sequence = side_by_side(graph, found, axis=2)
    read_out = _pooled(graph, model, sequence, side_by_side(graph, last, axis=2))
    if model.front and model.readout.label_every == "sample":
        read_out = _held(graph, model, read_out, counts.name)
    logits = graph.rename(_logits(graph, model, read_out), LOGITS)
    graph.add("Softmax", logits, axis=-1, name=PROBABILITIES)
    graph.add("ArgMax", logits, axis=-1, keepdims=0, name=LABEL)
    of_label = (BATCH, model.contract.window_length) if model.readout.label_every == "sample" else (BATCH,)
    shape = (*of_label, model.num_classes)
    outputs_ = [Port(LOGITS, FLOAT, shape), Port(PROBABILITIES, FLOAT, shape), Port(LABEL, INT64, of_label)]
    doc = "edge_seq float model, one window from a reset."
    metadata = metadata_of(model, form="window")
    return seal(to_model(graph, [counts], outputs_, name=model.name, doc=doc, metadata=metadata))


def _kind(model: FloatModel) -> Kind:
    """How float layers run over the inputs that are kept of a window."""

    def run(graph: Graph, index: int, sequence: str, now: Mapping[str, str]) -> OverSteps:
        names = [f"layer{index}.{name}" for name in _states(model.layers[index])]
        start = tuple(graph.add("Unsqueeze", now[name], graph.axes(0)) for name in names)
        over_time = turned(graph, model, index, graph.add("Transpose", sequence, perm=[1, 0, 2]))
        outputs, last = _recurrent(graph, model.layers[index], index, over_time, start)
        in_time = turned(graph, model, index, graph.add("Squeeze", outputs, graph.axes(1)))
        states = {name: graph.add("Squeeze", value, graph.axes(0)) for name, value in zip(names, last, strict=True)}
        return OverSteps(graph.add("Transpose", in_time, perm=[1, 0, 2]), states, {})

    def pool(graph: Graph, statistic: Statistic, outputs: str) -> str:
        return graph.add("ReduceSum" if statistic == "mean" else "ReduceMax", outputs, graph.axes(1), keepdims=0)

    return Kind(FLOAT, run, pool)


def _product_at_step(graph: Graph, model: FloatModel, rows: FloatRows, state: str, step: str) -> str:
    """Products [batch, R] of a state [batch, H] and the weights for it at a step, [batch, 1] from 1, of rows that see
    the states of all steps."""
    weights = rows.weight_input.reshape(len(rows.bias), model.num_steps, -1).transpose(1, 2, 0)
    before = graph.add("Sub", step, graph.scalar(1))
    index = graph.add("Clip", before, graph.scalar(0), graph.scalar(model.num_steps - 1))
    index = graph.add("Squeeze", index, graph.axes(1))
    matrix = graph.add("Gather", graph.constant(weights, "summed.weights"), index, axis=0)
    row = graph.add("Unsqueeze", state, graph.axes(1))
    return graph.add("Squeeze", graph.add("MatMul", row, matrix), graph.axes(1))


def _step_model(model: FloatModel) -> onnx.ModelProto:
    graph, ports = Graph(), float_states(model)
    counts = Port(graph.unique(COUNTS), INT16, (BATCH, model.num_channels))
    states = {port.name: graph.unique(port.name) for port in ports}
    feature, after = preprocess_step(graph, graph.int32(counts.name), states, model.contract)
    features = _normalise(graph, model, feature)
    first = graph.axes(0)
    now, pooled = dict(states), list[str]()
    count, given = "", list[Given | None]([None])
    if model.front:
        count = graph.add("Add", states[STEP_IN_WINDOW], graph.scalar(1))
        given = [*given_at_a_sample(graph, model, features, count)]
    for one in given:
        below, steps = features, None
        if one is not None:
            below, steps, front_after = step_front(graph, model, one, now, partial(_front_output, graph))
            now |= front_after
        if steps is None:
            moment = count_sample(graph, model, states[STEP_IN_WINDOW])
        else:
            moment = moment_of(graph, model, steps, count)
        for index, cell in enumerate(model.layers[: model.streamed]):
            if index in model.kept_inputs:
                now[kept_name(index)] = keep(graph, model, index, below, moment.steps, now[kept_name(index)])
            names = [f"layer{index}.{name}" for name in _states(cell)]
            start = tuple(graph.add("Unsqueeze", now[name], first) for name in names)
            _, last = _recurrent(graph, cell, index, graph.add("Unsqueeze", below, first), start)
            layer_after = {name: graph.add("Squeeze", value, first) for name, value in zip(names, last, strict=True)}
            if steps is not None:
                layer_after = {name: steps.kept(graph, value, now[name]) for name, value in layer_after.items()}
            now |= layer_after
            below = now[f"layer{index}.{HIDDEN}"]
        if model.backward:
            now |= kept_after(graph, model, model.streamed - 1, below, moment.steps, now)
        if (summed := model.summed_rows) is not None:
            pool = POOLS["mean"]
            added = _product_at_step(graph, model, summed, below, moment.steps.number)
            now[pool] = moment.steps.kept(graph, graph.add("Add", now[pool], added), now[pool])
        for statistic in model.readout.statistics if model.stages[-1][0] < model.streamed else ():
            pool, value = POOLS[statistic], with_zeros(graph, below, model.top_parts)
            now[pool] = moment.steps.kept(graph, add_to_pool(graph, statistic, now[pool], value, moment), now[pool])
    pools: dict[Statistic, str] = {one: now[POOLS[one]] for one in model.readout.statistics}
    if model.backward:
        end = at_end(graph, model, moment, now, pools, below, _kind(model))
        now, below, pools = now | end.states, end.top, end.pools
    for statistic, found_pool in pools.items():
        pooled.append(found_pool)
        if statistic == "mean":
            steps_so_far = graph.add("Cast", moment.steps.number, to=FLOAT)
            if model.front:  # before the first step the sum is 0
                steps_so_far = graph.add("Max", steps_so_far, graph.scalar(1, np.float32))
            pooled[-1] = graph.add("Div", found_pool, steps_so_far)
    after = now | after | {STEP_IN_WINDOW: moment.count}
    below = side_by_side(graph, pooled or [below], axis=1)
    computed = _logits(graph, model, below, now[POOLS["mean"]] if model.readout.flattens else "")
    nothing = graph.scalar(0, np.float32)
    logits = where_due(graph, model, moment, computed, nothing, LOGITS)
    probabilities = graph.add("Softmax", computed, axis=-1)
    probabilities = where_due(graph, model, moment, probabilities, nothing, PROBABILITIES)
    column = label_of(graph, model, moment, computed)
    label = graph.add("Squeeze", column, graph.axes(1), name=LABEL)
    following = begin_again(graph, model, moment, after, ports)
    shape = (BATCH, model.num_classes)
    outputs = [
        Port(logits, FLOAT, shape),
        Port(probabilities, FLOAT, shape),
        Port(label, INT64, (BATCH,)),
        *(port.renamed(following[port.name]) for port in ports),
    ]
    doc = "edge_seq float model, one sample. States are zero after a reset."
    metadata = metadata_of(model, form="step")
    return seal(to_model(graph, [counts, *ports], outputs, name=model.name, doc=doc, metadata=metadata))


def export_onnx_float(model: FloatModel, *, form: Form) -> onnx.ModelProto:
    """Export a float model as ONNX.

    Args:
        model: float model.
        form: ``window`` or ``step``.

    Raises:
        ModelError: the model breaks an invariant.
        ExportError: there is no such form.
    """
    require_form(form)
    verify(model)
    return _step_model(model) if form == "step" else _window_model(model)
