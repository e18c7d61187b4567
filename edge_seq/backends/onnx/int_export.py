"""The integer model as ONNX: the arithmetic of SPEC.md with standard operators on int32 tensors, without any float
but a guess of the length of a vector that integers correct (magnitudes of the preprocessing).

There are two forms, built from the same step:

- ``step``: the inputs are ``counts`` int16 [batch, C] and the states; the outputs are ``logits`` int32 [batch, K]
  (Q16), ``label`` int64 [batch] and the next states, each as ``<state>.next``. All states are zero (false) after a
  reset. If no label is due, ``logits`` are 0 and ``label`` is -1. Each stream of a batch counts its own samples.
- ``window``: the input is ``counts`` int16 [batch, T, C], one window; other lengths are refused. A ``Scan`` runs the
  step over time from a reset. A model with a label per window gives the ``logits`` [batch, K] and ``label`` [batch] of
  the last sample; a model with a label after each sample gives [batch, T, K] and [batch, T]. With a trace the time axis
  is free: windows follow each other as in a stream, so that no label is due (-1) after a part of a window.

The step form is portable: runtimes that compute products of integers in float32, or lack some operators, give the same
integers. So does the window form if it is asked for, without ``Scan``; see :class:`edge_seq.backends.onnx.graph.Graph`.
ONNX Runtime before 1.19 refuses all forms, because it computes some wrongly.

With a bidirectional layer, the step form has an ``If`` node, in whose branch a ``Scan`` runs over the kept inputs of a
window. The portable window form repeats their steps too; in a ``Loop``, its step is that of the step form.

With a decision stage both also give ``decision``, in the shape of ``label``: -1 if none is due, K for unknown. The
window form starts the stage from a reset, like everything in it; the step form carries its states over windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

from edge_seq.backends.onnx import fixed_point as fixed
from edge_seq.backends.onnx.decision import Decided, decide, decision_states
from edge_seq.backends.onnx.front import Given, Steps, front_states, given_at_a_sample, step_front
from edge_seq.backends.onnx.graph import (
    BATCH,
    BOOL,
    INT16,
    INT32,
    INT64,
    TIME,
    Form,
    Graph,
    Port,
    add_scan,
    needed,
    side_by_side,
    to_model,
)
from edge_seq.backends.onnx.int_cells import (
    CELL,
    HIDDEN,
    OPERANDS,
    activated_sums,
    cell_states,
    front_output,
    over_kept,
    scaled_rows,
    step_cell,
    step_dense,
    summed_rows,
)
from edge_seq.backends.onnx.metadata import COUNTS, DECISION, LABEL, LOGITS, metadata_of, require_form, seal
from edge_seq.backends.onnx.preprocess import preprocess_states, preprocess_step
from edge_seq.backends.onnx.window import (
    STEP_IN_WINDOW,
    add_to_pool,
    at_end,
    at_end_unrolled,
    begin_again,
    count_sample,
    keep,
    kept_after,
    kept_name,
    kept_states,
    label_of,
    moment_of,
    where_due,
    window_states,
    with_zeros,
)
from edge_seq.ir.front import Conv, FrontLayer
from edge_seq.ir.kind_names import Statistic
from edge_seq.ir.model import POOLED_NAMES, POOLS, IntModel
from edge_seq.ir.verify import verify
from edge_seq.support.errors import ExportError

MAX_UNROLLED = 512  # samples of a window in the portable form without a Loop
TRACE = "trace."  # prefix of the outputs that only a traced graph has


def int_states(model: IntModel) -> tuple[Port, ...]:
    """State inputs of the step model, in order, after ``counts``. All are zero (false) after a reset."""
    return (*_window_states(model), *decision_states(model))


def _window_states(model: IntModel) -> tuple[Port, ...]:
    """States that a window's end may reset."""
    layers = [port for index, cell in enumerate(model.layers) for port in cell_states(cell, index)]
    around = preprocess_states(model.contract), front_states(model, INT32), kept_states(model, INT32)
    return (*around[0], *around[1], *around[2], *layers, *window_states(model, INT32))


@dataclass(frozen=True)
class _Step:
    """Values computed by a step.

    Attributes:
        logits: int32 [batch, K].
        label: int64 [batch, 1].
        states: next states, by name.
        traced: other values of a trace, int32 [batch, N]: value and N, by name.
        decided: results of the decision stage; None without one.
    """

    logits: str
    label: str
    states: dict[str, str]
    traced: dict[str, tuple[str, int]]
    decided: Decided | None

    def columns(self) -> list[tuple[str, str]]:
        """Name and value, int64 [batch, 1], of the label and, with a decision stage, of the decision."""
        return [(LABEL, self.label), *([(DECISION, self.decided.decision)] if self.decided else [])]


def _features(graph: Graph, model: IntModel, counts: str, states: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Features int32 [batch, F] (preprocessed counts, shifted and saturated), and the next states of preprocessing."""
    feature, after = preprocess_step(graph, graph.int32(counts), states, model.contract)
    factor = np.left_shift(1, np.array(model.number_format.input_shift, dtype=np.int64)).astype(np.int32)
    shifted = graph.add("Mul", feature, graph.constant(factor, "input_factor"))
    return fixed.saturate16(graph, shifted, name="features"), after


def _mean(graph: Graph, model: IntModel, pool_sum: str, count: str) -> str:
    """rshift(mulw(4 S, R), floor(log2 t)), with R and the shift for each stream's count t, or for T only."""
    each = model.readout.label_every == "sample"
    longest = model.steps_after(model.contract.window_length)
    counts = range(1, longest + 1) if each else (longest,)
    bits = np.array([t.bit_length() - 1 for t in counts])
    shifts = fixed.Shifts.of(bits, bits > 0)
    tables = {"reciprocal": np.array(model.number_format.pool_reciprocals, dtype=np.int32), **vars(shifts)}
    names = {key: graph.constant(values, f"pool.{key}") for key, values in tables.items()}
    if each:
        index = graph.add("Sub", count, graph.scalar(1))
        names = {key: graph.add("Gather", table, index, axis=0) for key, table in names.items()}
    scaled = fixed.mulw(graph, graph.add("Mul", pool_sum, graph.scalar(4)), names["reciprocal"])
    return fixed.shift_by(graph, scaled, names["half"], names["low_bits"], names["divisor"])


def _front(graph: Graph, model: IntModel, given: Given, states: dict[str, str]) -> tuple[str, Steps, dict[str, str]]:
    """Append the front layers; see :func:`edge_seq.backends.onnx.front.step_front`."""

    def output(index: int, layer: FrontLayer[Any], seen: str) -> str:
        return front_output(graph, layer, seen, model.front_inputs[index], f"front{index}")

    first = model.front[0]
    return step_front(graph, model, given, states, output, first.pad if isinstance(first, Conv) else ())


def _at_steps(
    graph: Graph, steps: Steps, name: str, value: str, states: dict[str, str], traced: dict[str, tuple[str, int]]
) -> str:
    """A traced value of a layer. Where the layer does not run, a state stays as it was, and a gate is that of an
    earlier step at this sample, or zero."""
    layer, _, part = name.rpartition(".")
    if part in (HIDDEN, CELL):
        return steps.kept(graph, value, states.get(name, states[f"{layer}.{OPERANDS}"]))
    return steps.kept(graph, value, traced[name][0] if name in traced else graph.scalar(0))


def _pools_in_stream(model: IntModel) -> tuple[Statistic, ...]:
    """Statistics of what the layers that run at each step give."""
    return model.readout.statistics if model.stages[-1][0] < model.streamed else ()


def _step(
    graph: Graph,
    model: IntModel,
    counts: str,
    states: dict[str, str],
    *,
    trace: bool = False,
    alike: bool = False,
    is_last: bool | None = None,
) -> _Step:
    """Append one step (SPEC.md, section 7) for int16 [batch, C] counts and the states by name.

    ``alike``: all streams of a batch are at the same step. ``is_last`` says whether the sample is the last of a window,
    if that is known for all streams.
    """
    features, after = _features(graph, model, counts, states)
    traced = {"features": (features, model.input_size)}
    now, of_layers, pooled = dict(states), dict[str, tuple[str, int]](), list[str]()
    count, given = "", list[Given | None]([None])
    if model.front:
        count = graph.add("Add", states[STEP_IN_WINDOW], graph.scalar(1))
        given = [*given_at_a_sample(graph, model, features, count)]
    for one in given:
        below, width, steps = features, model.input_size, None
        if one is not None:
            below, steps, front_after = _front(graph, model, one, now)
            now |= front_after
            width = model.front_sizes[-1]
        if steps is None:
            moment = count_sample(graph, model, states[STEP_IN_WINDOW])
        else:
            moment = moment_of(graph, model, steps, count)
        for index, cell in enumerate(model.layers[: model.streamed]):
            cell_frac_bits = model.number_format.cell_frac_bits[index]
            if index in model.kept_inputs:
                now[kept_name(index)] = keep(graph, model, index, below, moment.steps, now[kept_name(index)])
            below, layer_after, values = step_cell(graph, cell, index, (below, width), now, cell_frac_bits)
            width = model.hidden_sizes[index]
            found = {f"layer{index}.{name}": value for name, value in values.items()}
            if steps is not None:
                found = {
                    name: (_at_steps(graph, steps, name, value, now, of_layers), n)
                    for name, (value, n) in found.items()
                }
                layer_after = {name: steps.kept(graph, value, now[name]) for name, value in layer_after.items()}
                below = layer_after[f"layer{index}.{OPERANDS}"]
            now |= layer_after
            of_layers |= found
        if model.backward:
            now |= kept_after(graph, model, model.streamed - 1, below, moment.steps, now)
        if (summed := model.summed_rows) is not None:
            added = summed_rows(graph, summed, below, (width, model.num_steps), moment.steps.number, alike=alike)
            pool = POOLS["mean"]
            now[pool] = moment.steps.kept(graph, graph.add("Add", now[pool], added), now[pool])
        for statistic in _pools_in_stream(model):
            pool, value = POOLS[statistic], with_zeros(graph, below, model.top_parts)
            now[pool] = moment.steps.kept(graph, add_to_pool(graph, statistic, now[pool], value, moment), now[pool])
    pools: dict[Statistic, str] = {one: now[POOLS[one]] for one in model.readout.statistics}
    if model.backward and is_last is not False:
        kind = over_kept(model, unrolled=bool(is_last))
        if is_last:
            end = at_end_unrolled(graph, model, now, pools, below, kind)
        else:
            end = at_end(graph, model, moment, now, pools, below, kind)
        now, below, pools = now | end.states, end.top, end.pools
        of_layers |= end.traced
    elif model.backward:
        below = with_zeros(graph, below, model.top_parts)
    width = model.top_parts * model.hidden_sizes[-1]
    for statistic, found_pool in pools.items():
        name = POOLED_NAMES[statistic]
        pooled.append(_mean(graph, model, found_pool, moment.steps.number) if statistic == "mean" else found_pool)
        if trace:
            traced[name] = (where_due(graph, model, moment, pooled[-1], graph.scalar(0), name), width)
    traced |= {f"front{i}": (now[f"front{i}.output"], size) for i, size in enumerate(model.front_sizes)}
    traced |= of_layers
    after = now | after | {STEP_IN_WINDOW: moment.count}
    width, parts = model.dense_inputs[0]
    below = side_by_side(graph, pooled or [below], axis=1)
    for index, layer in enumerate(model.dense):
        name = f"dense{index}"
        if layer.rows is model.summed_rows:
            below = activated_sums(graph, layer, now[POOLS["mean"]], name)
        else:
            below = step_dense(graph, layer, below, parts * width, parts, name)
        width, parts = len(layer.rows.bias), 1
        if trace:
            traced[name] = (where_due(graph, model, moment, below, graph.scalar(0), name), width)
    if model.head is model.summed_rows:
        computed = now[POOLS["mean"]]
    else:
        computed = scaled_rows(graph, (model.head,), below, parts * width, 0, "head", parts=parts)
    logits = where_due(graph, model, moment, computed, graph.scalar(0), "due_logits")
    label = label_of(graph, model, moment, computed)
    stage, decided = model.readout.decision, None
    if stage is not None:
        decided = decide(graph, model, stage, moment, operands=below, logits=computed, states=states)
        after |= decided.states
    after = begin_again(graph, model, moment, after, _window_states(model), decision_states(model))
    return _Step(logits, label, after, traced, decided)


def _step_model(model: IntModel) -> onnx.ModelProto:
    graph, ports = Graph(portable=True), int_states(model)
    counts = Port(graph.unique(COUNTS), INT16, (BATCH, model.num_channels))
    states = {port.name: graph.unique(port.name) for port in ports}
    step = _step(graph, model, counts.name, states)
    outputs = [
        Port(graph.rename(step.logits, LOGITS), INT32, (BATCH, model.num_classes)),
        *(
            Port(graph.add("Squeeze", value, graph.axes(1), name=name), INT64, (BATCH,))
            for name, value in step.columns()
        ),
        *(port.renamed(step.states[port.name]) for port in ports),
    ]
    doc = "edge_seq integer model, one sample; SPEC.md. States are zero after a reset."
    metadata = metadata_of(model, form="step")
    return seal(to_model(graph, [counts, *ports], outputs, name=model.name, doc=doc, metadata=metadata))


def _portable_window_model(model: IntModel) -> onnx.ModelProto:
    """The step, once for each sample of a window, without a ``Scan``; in a ``Loop`` if there are many."""
    length = model.contract.window_length
    if length > MAX_UNROLLED:
        return _looped_window_model(model)
    graph, ports = Graph(portable=True), int_states(model)
    counts = Port(graph.unique(COUNTS), INT16, (BATCH, length, model.num_channels))
    states = {port.name: graph.zeros(port, like=counts.name) for port in ports}
    logits, columns = [], dict[str, list[str]]()
    for index in range(length):
        sample = graph.add("Gather", counts.name, graph.scalar(index, np.int64), axis=1)
        step = _step(graph, model, sample, states, alike=True, is_last=index == length - 1)
        states = step.states
        logits.append(step.logits)
        for name, value in step.columns():
            columns.setdefault(name, []).append(value)
    outputs = []
    if model.readout.label_every == "sample":
        each = [graph.add("Unsqueeze", value, graph.axes(1)) for value in logits]
        shape = (BATCH, length, model.num_classes)
        outputs.append(Port(graph.rename(side_by_side(graph, each, axis=1), LOGITS), INT32, shape))
        for name, values in columns.items():
            outputs.append(Port(graph.rename(side_by_side(graph, values, axis=1), name), INT64, (BATCH, length)))
    else:
        outputs.append(Port(graph.rename(logits[-1], LOGITS), INT32, (BATCH, model.num_classes)))
        for name, values in columns.items():
            outputs.append(Port(graph.add("Squeeze", values[-1], graph.axes(1), name=name), INT64, (BATCH,)))
    graph.nodes[:] = needed(graph.nodes, [port.name for port in outputs])
    doc = "edge_seq integer model, windows from a reset, for runtimes without Scan; SPEC.md."
    return seal(
        to_model(graph, [counts], outputs, name=model.name, doc=doc, metadata=metadata_of(model, form="window"))
    )


def _looped_window_model(model: IntModel) -> onnx.ModelProto:
    """The portable step in a ``Loop`` over the samples of a window. What is output rides along as states do."""
    length, each = model.contract.window_length, model.readout.label_every == "sample"
    graph, ports = Graph(portable=True), int_states(model)
    counts = Port(graph.unique(COUNTS), INT16, (BATCH, length, model.num_channels))
    graph.true()

    body = graph.body()
    index, going = Port(body.unique("index"), INT64, ()), Port(body.unique("going"), BOOL, ())
    states = {port.name: body.unique(port.name) for port in ports}
    step = _step(body, model, body.add("Gather", counts.name, index.name, axis=1), states)
    found = [(Port(LOGITS, INT32, (BATCH, model.num_classes)), step.logits)]
    found += [(Port(name, INT64, (BATCH, 1)), value) for name, value in step.columns()]
    # A Loop stacks results along a new first axis; only the last ones are wanted of a label at the window's end.
    carried = [] if each else [port for port, _ in found]
    before = [port.renamed(body.unique(f"{port.name}.before")) for port in carried]
    results = [port.renamed(body.rename(value, f"step_{port.name}")) for port, value in found]
    loop = helper.make_graph(
        body.nodes,
        "step",
        [port.value_info() for port in (index, going, *(port.renamed(states[port.name]) for port in ports), *before)],
        [
            port.value_info()
            for port in (
                Port(body.rename(going.name, "going_on"), BOOL, ()),
                *(port.renamed(step.states[port.name]) for port in ports),
                *results,
            )
        ],
    )
    names = graph.add_many(
        "Loop",
        [
            graph.scalar(length, np.int64),
            graph.scalar(1, np.bool_),
            *(graph.zeros(port, like=counts.name) for port in (*ports, *carried)),
        ],
        [*(f"{port.name}.last" for port in ports), *(f"all_{port.name}" for port, _ in found)],
        body=loop,
    )
    outputs = []
    for (port, _), value in zip(found, names[len(ports) :], strict=True):
        whole = (model.num_classes,) if port.name == LOGITS else ()  # a column of labels becomes flat
        if each:  # onnx's evaluator joins results along their first axis instead
            value = graph.add("Reshape", value, graph.axes(length, -1, *whole))
            name = graph.add("Transpose", value, perm=[1, 0, 2][: 2 + len(whole)], name=port.name)
            outputs.append(Port(name, port.dtype, (BATCH, length, *whole)))
        elif whole:
            outputs.append(Port(graph.rename(value, port.name), port.dtype, port.shape))
        else:
            outputs.append(Port(graph.add("Squeeze", value, graph.axes(1), name=port.name), port.dtype, (BATCH,)))
    doc = "edge_seq integer model, windows from a reset, for runtimes without Scan; SPEC.md."
    return seal(
        to_model(graph, [counts], outputs, name=model.name, doc=doc, metadata=metadata_of(model, form="window"))
    )


def _window_model(model: IntModel, trace: bool) -> onnx.ModelProto:
    graph, ports = Graph(), int_states(model)
    time = TIME if trace else model.contract.window_length
    counts = Port(graph.unique(COUNTS), INT16, (BATCH, time, model.num_channels))
    start = [graph.zeros(port, like=counts.name) for port in ports]
    graph.true()

    body = graph.body()
    states = {port.name: graph.unique(port.name) for port in ports}
    sample = Port(graph.unique("sample"), INT16, (BATCH, model.num_channels))
    step = _step(body, model, sample.name, states, trace=trace, alike=True)
    columns = step.columns()
    results = [
        Port(step.logits, INT32, (BATCH, model.num_classes)),
        *(Port(value, INT64, (BATCH, 1)) for _, value in columns),
    ]
    shipped = len(results)
    traced = _traced(step, model.num_classes) if trace else {}
    for name, (value, width) in traced.items():
        dtype = INT64 if name in (LABEL, DECISION) else INT32
        results.append(Port(body.rename(value, f"step_{TRACE}{name}"), dtype, (BATCH, width)))
    _, (all_logits, *rest) = add_scan(
        graph,
        body,
        [*(port.renamed(states[port.name]) for port in ports), sample],
        [*(port.renamed(step.states[port.name]) for port in ports), *results],
        start,
        (counts.name,),
        ("all_logits", *(f"all_{name}s" for name, _ in columns), *(f"{TRACE}{name}" for name in traced)),
    )
    outputs = _readout(graph, model, time, all_logits, dict(zip((name for name, _ in columns), rest, strict=False)))
    for name, port in zip(traced, results[shipped:], strict=True):
        outputs.append(Port(f"{TRACE}{name}", port.dtype, (BATCH, time, port.shape[1])))
    doc = "edge_seq integer model, windows from a reset; SPEC.md."
    metadata = metadata_of(model, form="window")
    return seal(to_model(graph, [counts], outputs, name=model.name, doc=doc, metadata=metadata))


def _traced(step: _Step, num_classes: int) -> dict[str, tuple[str, int]]:
    """All values of a trace: value and width by name, in the order of computation."""
    traced = step.traced | {LOGITS: (step.logits, num_classes), LABEL: (step.label, 1)}
    if step.decided is not None:
        traced["scores"] = (step.decided.scores, num_classes)
        if step.decided.excess is not None:
            traced["excess"] = (step.decided.excess, 1)
        traced[DECISION] = (step.decided.decision, 1)
    return traced


def _readout(graph: Graph, model: IntModel, time: str | int, all_logits: str, columns: dict[str, str]) -> list[Port]:
    """Outputs ``logits``, ``label`` and ``decision``, for each sample or for the last one."""
    flat = {name: graph.add("Squeeze", value, graph.axes(2), name=f"{name}s") for name, value in columns.items()}
    if model.readout.label_every == "sample":
        logits = Port(graph.rename(all_logits, LOGITS), INT32, (BATCH, time, model.num_classes))
        return [logits, *(Port(graph.rename(value, name), INT64, (BATCH, time)) for name, value in flat.items())]
    last = graph.scalar(-1, np.int64)
    logits = Port(graph.add("Gather", all_logits, last, axis=1, name=LOGITS), INT32, (BATCH, model.num_classes))
    labels = (
        Port(graph.add("Gather", value, last, axis=1, name=name), INT64, (BATCH,)) for name, value in flat.items()
    )
    return [logits, *labels]


def export_onnx_int(model: IntModel, *, form: Form, trace: bool = False, portable: bool = False) -> onnx.ModelProto:
    """Export an integer model as ONNX.

    Args:
        model: integer model.
        form: ``window`` or ``step``.
        portable: for ``window``: for runtimes without ``Scan`` or that compute products of integers in float32. The
            graph repeats the step for each sample; windows of more than 512 samples have a ``Loop``, as fewer runtimes
            do. The step form is always portable.
        trace: for ``window`` only: also output every value of a trace, as ``trace.<name>`` [batch, time, N], to find
            where two implementations differ. All nodes of the shipped graph are included, in the same order.

    Raises:
        ModelError, RangeProofError: the model breaks an invariant.
        ExportError: there is no such form, or a trace was requested for the step form or the portable one.
    """
    require_form(form)
    if trace and form != "window":
        raise ExportError("exporting integer ONNX: only form 'window' has a trace; ask for that, or for trace=False")
    if trace and portable:
        raise ExportError("exporting integer ONNX: the portable window graph has no trace; leave one of the two out")
    verify(model)
    if form == "step":
        return _step_model(model)
    return _portable_window_model(model) if portable else _window_model(model, trace)
