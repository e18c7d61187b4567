"""Windows in a stream (SPEC.md, section 7): counts samples, tells when labels are due, and resets states at a window's
end. Shared by float and integer step models.

Each stream of a batch has its own count, so streams may start at any time.

Bidirectional layers: the inputs of a window are kept. At its end the layers from the first that runs backward on run
over them, in the branch of an ``If`` node that no other sample computes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from onnx import helper
from typing_extensions import assert_never

from edge_seq.backends.onnx.fixed_point import arg_max
from edge_seq.backends.onnx.front import Steps
from edge_seq.backends.onnx.graph import BATCH, BOOL, FLOAT, INT32, Graph, Port, side_by_side
from edge_seq.ir.kind_names import Statistic
from edge_seq.ir.model import POOLS, FloatModel, IntFormat, IntModel

STEP_IN_WINDOW = "step_in_window"
NO_LABEL = -1
NEXT = ".next"  # the input `name` of a state has the output `name.next`


def window_states(model: FloatModel | IntModel, pool_dtype: int) -> tuple[Port, ...]:
    """States ``step_in_window`` int32 [batch, 1] and, if the head sees a mean, ``pool_sum``, if it sees the largest
    values, ``pool_max``, [batch, H], of a bidirectional layer [batch, 2 H]; ``pool_sum`` [batch, R] if rows see the
    states of all steps. Zero after a reset."""
    sizes = {name: model.top_parts * size for name, size in model.pool_sizes.items()}
    ports = (Port(name, pool_dtype, (BATCH, size)) for name, size in sizes.items())
    return *ports, Port(STEP_IN_WINDOW, INT32, (BATCH, 1))


@dataclass(frozen=True)
class Moment:
    """Position of each stream in its window after this sample.

    Attributes:
        count: samples since the window began, this one included, int32 [batch, 1].
        ends: true if this sample is the window's last, bool [batch, 1].
        steps: steps of the recurrent layers since the window began.
    """

    count: str
    ends: str
    steps: Steps


def count_sample(graph: Graph, model: FloatModel | IntModel, step_in_window: str) -> Moment:
    """Append the counting of this sample in a model in which each sample is a step."""
    count = graph.add("Add", step_in_window, graph.scalar(1))
    return moment_of(graph, model, Steps(count), count)


def moment_of(graph: Graph, model: FloatModel | IntModel, steps: Steps, count: str) -> Moment:
    """The moment at which a window has ``count`` samples and so many steps of the recurrent layers."""
    ends = graph.add("Equal", count, graph.scalar(model.contract.window_length), name="window_ends")
    return Moment(count, ends, steps)


def add_to_pool(graph: Graph, statistic: Statistic, before: str, value: str, moment: Moment) -> str:
    """The sum or the largest of the values [batch, H] since the window began, with one more."""
    match statistic:
        case "mean":
            return graph.add("Add", before, value)
        case "max":
            is_first = graph.add("Equal", moment.steps.number, graph.scalar(1))
            return graph.add("Where", is_first, value, graph.add("Max", before, value))
        case unreachable:
            assert_never(unreachable)


def where_due(graph: Graph, model: FloatModel | IntModel, moment: Moment, value: str, otherwise: str, name: str) -> str:
    """``value`` [batch, N] if a label is due, else ``otherwise``. A label after each sample is always due."""
    if model.readout.label_every == "sample":
        return graph.rename(value, name)
    return graph.add("Where", moment.ends, value, otherwise, name=name)


def label_of(graph: Graph, model: FloatModel | IntModel, moment: Moment, logits: str) -> str:
    """Label, int64 [batch, 1]: index of the largest logit, the lowest of equal ones; -1 if no label is due."""
    largest = arg_max(graph, logits, keepdims=1)
    return where_due(graph, model, moment, largest, graph.scalar(NO_LABEL, np.int64), "label_column")


def begin_again(
    graph: Graph,
    model: FloatModel | IntModel,
    moment: Moment,
    states: Mapping[str, str],
    ports: tuple[Port, ...],
    lasting: tuple[Port, ...] = (),
) -> dict[str, str]:
    """States for the next sample, as values named ``<state>.next``.

    At a window's end, the states of ``ports`` become zero if ``at_window_end`` is ``reset``; if it is ``carry``, only
    the pools and the count do. The states of ``lasting`` are kept.
    """
    inside = graph.add("Xor", moment.ends, graph.true())  # not at the window's end
    keep = {
        BOOL: inside,
        INT32: graph.add("Cast", inside, to=INT32),
        FLOAT: graph.add("Cast", inside, to=FLOAT) if any(port.dtype == FLOAT for port in ports) else "",
    }
    result = {}
    for port in ports:
        name = port.name + NEXT
        if model.readout.at_window_end == "reset" or port.name in (STEP_IN_WINDOW, *POOLS.values()):
            op = "And" if port.dtype == BOOL else "Mul"
            result[port.name] = graph.add(op, states[port.name], keep[port.dtype], name=name)
        else:
            result[port.name] = graph.rename(states[port.name], name)
    return result | {port.name: graph.rename(states[port.name], port.name + NEXT) for port in lasting}


@dataclass(frozen=True)
class OverSteps:
    """What a layer computes of a sequence.

    Attributes:
        outputs: [batch, steps, H] in the order of time.
        states: its states after the last step that it took, [batch, N] by name.
        traced: values of a trace of that step, [batch, N] with N, by name.
    """

    outputs: str
    states: dict[str, str]
    traced: dict[str, tuple[str, int]]


@dataclass(frozen=True)
class Kind:
    """How layers run in a graph.

    Attributes:
        dtype: type of states and outputs.
        run: appends a layer, by index, over a sequence [batch, steps, I] from its states by name.
        pool: appends the sum (for ``mean``) or the largest of outputs [batch, steps, H]: [batch, H].
    """

    dtype: int
    run: Callable[[Graph, int, str, Mapping[str, str]], OverSteps]
    pool: Callable[[Graph, Statistic, str], str]


def kept_name(index: int) -> str:
    """Name of the state with the inputs that a layer sees in a window."""
    return f"layer{index}.inputs"


def kept_states(model: FloatModel | IntModel, dtype: int) -> tuple[Port, ...]:
    """States ``layer<i>.inputs`` [batch, steps I] of each layer that sees kept inputs: one step after the other."""
    return tuple(
        Port(kept_name(index), dtype, (BATCH, model.kept_steps * parts * units))
        for index, (units, parts) in model.kept_inputs.items()
    )


def keep(graph: Graph, model: FloatModel | IntModel, index: int, value: str, steps: Steps, before: str) -> str:
    """Append the kept inputs of a layer, [batch, steps I], with one more of them, [batch, I]."""
    units, parts = model.kept_inputs[index]
    width = units * parts
    columns = graph.constant(np.tile(np.arange(width), model.kept_steps), f"layer{index}.columns")
    numbers = np.repeat(np.arange(1, model.kept_steps + 1), width).astype(np.int32)[None]
    here = graph.add("Equal", graph.constant(numbers, f"layer{index}.numbers"), steps.number)
    return steps.kept(graph, graph.add("Where", here, graph.add("Gather", value, columns, axis=1), before), before)


def kept_after(
    graph: Graph, model: FloatModel | IntModel, index: int, value: str, steps: Steps, now: Mapping[str, str]
) -> dict[str, str]:
    """Append what is kept when the last layer that runs at each step gives its output [batch, H]: input of the layers
    above, in which the backward direction is still zero."""
    stage = next(one for one in model.stages if index in one)
    if stage == model.stages[-1]:
        return {}
    above = kept_name(stage[-1] + 1)
    return {above: keep(graph, model, stage[-1] + 1, with_zeros(graph, value, len(stage)), steps, now[above])}


def turned(graph: Graph, model: FloatModel | IntModel, index: int, sequence: str) -> str:
    """A sequence [steps, batch, N] in the order in which a layer takes it, or the other way round."""
    if index not in model.backward:
        return sequence
    last, first = graph.axes(-1), graph.axes(-(2**31))
    return graph.add("Slice", sequence, last, first, graph.axes(0), graph.axes(-1))


def with_zeros(graph: Graph, value: str, parts: int) -> str:
    """A value [batch, N] and zeros for the parts beside it."""
    if parts == 1:
        return value
    nothing = graph.add("Sub", value, value)
    return graph.add("Concat", value, *(nothing,) * (parts - 1), axis=1)


@dataclass(frozen=True)
class Ended:
    """What ran at a window's end; zero where no window ends.

    Attributes:
        states: next states of the layers that run then, by name; as they were where no window ends.
        top: operands of the last layers, side by side: [batch, N].
        pools: sum or largest of these operands over the window, [batch, N].
        traced: values of a trace of the layers that run then, with their widths.
    """

    states: dict[str, str]
    top: str
    pools: dict[Statistic, str]
    traced: dict[str, tuple[str, int]]


def at_end(
    graph: Graph,
    model: FloatModel | IntModel,
    moment: Moment,
    now: Mapping[str, str],
    pools: Mapping[Statistic, str],
    below: str,
    kind: Kind,
) -> Ended:
    """Append the layers that run at a window's end.

    Args:
        graph: graph to append to.
        model: model with a bidirectional layer.
        moment: position of each stream in its window.
        now: all states by name, after the layers that run at each step.
        pools: pools of what is read out, in which the layers that run at the end are still zero.
        below: output of the last layer that runs at each step, [batch, H].
        kind: how layers run.
    """
    inside = graph.body()
    values, widths = _values(inside, model, now, kind)
    idle = graph.body()

    def branch(body: Graph, name: str, found: Mapping[str, str]) -> object:
        ports = [Port(body.rename(found[key], key), kind.dtype, (BATCH, width)) for key, width in widths.items()]
        return helper.make_graph(body.nodes, name, [], [port.value_info() for port in ports])

    dtype = np.int32 if kind.dtype == INT32 else np.float32
    column = idle.add("Cast", idle.add("Mul", moment.count, idle.scalar(0)), to=kind.dtype)
    zeros = {
        key: idle.add("Add", column, idle.constant(np.zeros((1, width), dtype=dtype), "nothing"))
        for key, width in widths.items()
    }
    any_ends = graph.add("ReduceMax", graph.add("Cast", moment.ends, to=INT32), keepdims=0)
    found = graph.add_many(
        "If",
        [graph.add("Cast", any_ends, to=BOOL)],
        [f"{key}.at_end" for key in widths],
        then_branch=branch(inside, "window_ends", values),
        else_branch=branch(idle, "inside_window", zeros),
    )
    nothing = graph.scalar(0, dtype)
    of_streams = {  # the branch is computed for all streams of a batch, also for those inside a window
        key: graph.add("Where", moment.ends, value, now.get(key, nothing))
        for key, value in zip(widths, found, strict=True)
    }
    return _ended(graph, model, of_streams, widths, pools, below)


def at_end_unrolled(
    graph: Graph,
    model: FloatModel | IntModel,
    now: Mapping[str, str],
    pools: Mapping[Statistic, str],
    below: str,
    kind: Kind,
) -> Ended:
    """Like :func:`at_end` for a sample that is the last of its window in all streams, without ``If``."""
    return _ended(graph, model, *_values(graph, model, now, kind), pools, below)


_TOP = "read_out"


def _values(
    graph: Graph, model: FloatModel | IntModel, now: Mapping[str, str], kind: Kind
) -> tuple[dict[str, str], dict[str, int]]:
    """Values of what runs at a window's end, and their widths, by a name: states, traced values, what is read out."""
    values: dict[str, str] = {}
    widths: dict[str, int] = {}
    sizes = model.hidden_sizes
    outputs: list[str] = []
    for stage, (units, parts) in zip(model.stages, model.stage_inputs, strict=True):
        running = [index for index in stage if index >= model.streamed]
        if not running:
            continue
        if running == list(stage) and outputs:
            sequence = side_by_side(graph, outputs, axis=2)
        else:
            shape = graph.axes(0, model.kept_steps, units * parts)
            sequence = graph.add("Reshape", now[kept_name(stage[0])], shape)
        outputs = []
        for index in running:
            found = kind.run(graph, index, sequence, now)
            outputs.append(found.outputs)
            values |= found.states
            widths |= dict.fromkeys(found.states, sizes[index])
            values |= {f"traced.{name}": value for name, (value, _) in found.traced.items()}
            widths |= {f"traced.{name}": width for name, (_, width) in found.traced.items()}
        if stage != model.stages[-1] and len(running) < len(stage):  # the forward direction has run at each step
            above = stage[-1] + 1
            shape = graph.axes(0, model.kept_steps, 2 * sizes[above - 1])
            both = graph.add("Reshape", now[kept_name(above)], shape)
            ends = graph.axes(sizes[above - 1])
            outputs.insert(0, graph.add("Slice", both, graph.axes(0), ends, graph.axes(2)))
    width = len(outputs) * sizes[-1]
    last = [values[_given(model, index)] for index in model.stages[-1] if index >= model.streamed]
    values[_TOP] = side_by_side(graph, last, axis=1)
    widths[_TOP] = width
    joined = side_by_side(graph, outputs, axis=2)
    for statistic in model.readout.statistics:
        values[f"{_TOP}.{statistic}"] = kind.pool(graph, statistic, joined)
        widths[f"{_TOP}.{statistic}"] = width
    return values, widths


def _given(model: FloatModel | IntModel, index: int) -> str:
    """Name of the state that a layer gives to others."""
    return f"layer{index}.{'operands' if isinstance(model.number_format, IntFormat) else 'hidden_state'}"


def _ended(
    graph: Graph,
    model: FloatModel | IntModel,
    values: Mapping[str, str],
    widths: Mapping[str, int],
    pools: Mapping[Statistic, str],
    below: str,
) -> Ended:
    """What ran at the end, with what the forward direction of the last layer gave at each step."""
    size = model.hidden_sizes[-1]
    streams = model.stages[-1][0] < model.streamed  # the forward direction of the last layer runs at each step
    found: dict[Statistic, str] = {}
    for statistic in model.readout.statistics:
        parts = [values[f"{_TOP}.{statistic}"]]
        if streams:
            parts.insert(0, graph.add("Slice", pools[statistic], graph.axes(0), graph.axes(size), graph.axes(1)))
        found[statistic] = side_by_side(graph, parts, axis=1)
    top = [*([below] if streams else []), values[_TOP]]
    traced = {
        name.removeprefix("traced."): (value, widths[name])
        for name, value in values.items()
        if name.startswith("traced.")
    }
    running = tuple(f"layer{index}." for index in range(model.streamed, len(model.layers)))
    states = {name: value for name, value in values.items() if name.startswith(running)}
    return Ended(states, side_by_side(graph, top, axis=1), found, traced)
