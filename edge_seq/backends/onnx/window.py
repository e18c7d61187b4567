"""Windows in a stream (SPEC.md, section 7): counts samples, tells when labels are due, and resets states at a window's
end. Shared by float and integer step models.

Each stream of a batch has its own count, so streams may start at any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from typing_extensions import assert_never

from edge_seq.backends.onnx.fixed_point import arg_max
from edge_seq.backends.onnx.front import Steps
from edge_seq.backends.onnx.graph import BATCH, BOOL, FLOAT, INT32, Graph, Port
from edge_seq.ir.kind_names import Statistic
from edge_seq.ir.model import POOLS, FloatModel, IntModel

STEP_IN_WINDOW = "step_in_window"
NO_LABEL = -1
NEXT = ".next"  # the input `name` of a state has the output `name.next`


def window_states(model: FloatModel | IntModel, pool_dtype: int) -> tuple[Port, ...]:
    """States ``step_in_window`` int32 [batch, 1] and, if the head sees a mean, ``pool_sum``, if it sees the largest
    values, ``pool_max``, [batch, H]; ``pool_sum`` [batch, R] if rows see the states of all steps. Zero after a
    reset."""
    ports = (Port(name, pool_dtype, (BATCH, size)) for name, size in model.pool_sizes.items())
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
