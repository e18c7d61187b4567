"""Where a stream meets its windows (SPEC.md, section 7): counting samples, when labels are due, what a window's end
resets. Float and integer step models share it.

Each stream of a batch counts on its own, so that streams may begin at any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edge_seq.backends.onnx.graph import BATCH, BOOL, FLOAT, INT32, Graph, Port
from edge_seq.ir.model import FloatModel, IntModel

STEP_IN_WINDOW, POOL_SUM = "step_in_window", "pool_sum"
NO_LABEL = -1
NEXT = ".next"  # a state goes in as `name` and comes out as `name.next`


def window_states(model: FloatModel | IntModel, pool_dtype: int) -> tuple[Port, ...]:
    """``step_in_window`` int32 [batch, 1]; for mean pooling also ``pool_sum`` [batch, H]. Zeros after a reset."""
    count = Port(STEP_IN_WINDOW, INT32, (BATCH, 1))
    if model.readout.pooling == "last":
        return (count,)
    return Port(POOL_SUM, pool_dtype, (BATCH, model.hidden_sizes[-1])), count


@dataclass(frozen=True)
class Moment:
    """Where in its window each stream is after this sample.

    Attributes:
        count: int32 [batch, 1], samples since the window began, this one included.
        ends: bool [batch, 1], whether this sample was the window's last.
    """

    count: str
    ends: str


def count_sample(graph: Graph, model: FloatModel | IntModel, step_in_window: str) -> Moment:
    """Count this sample."""
    count = graph.add("Add", step_in_window, graph.scalar(1))
    return Moment(count, graph.add("Equal", count, graph.scalar(model.contract.window_length), name="window_ends"))


def where_due(graph: Graph, model: FloatModel | IntModel, moment: Moment, value: str, otherwise: str, name: str) -> str:
    """``value`` [batch, N] where a label is due; a label after each sample is always due."""
    if model.readout.label_every == "sample":
        return graph.rename(value, name)
    return graph.add("Where", moment.ends, value, otherwise, name=name)


def label_of(graph: Graph, model: FloatModel | IntModel, moment: Moment, logits: str) -> str:
    """int64 [batch, 1]: index of the largest logit, of equal ones the lowest; -1 where no label is due."""
    largest = graph.add("ArgMax", logits, axis=1, keepdims=1)  # select_last_index=0: the first of equals
    return where_due(graph, model, moment, largest, graph.scalar(NO_LABEL, np.int64), "label_column")


def begin_again(
    graph: Graph,
    model: FloatModel | IntModel,
    moment: Moment,
    states: Mapping[str, str],
    ports: tuple[Port, ...],
    lasting: tuple[Port, ...] = (),
) -> dict[str, str]:
    """The states with which the next sample begins, as values named ``<state>.next``.

    At a window's end those of ``ports`` are zero where ``at_window_end`` is ``reset``; only the sum and the count where
    it is ``carry``. Those of ``lasting`` live on.
    """
    inside = graph.add("Not", moment.ends)
    keep = {
        BOOL: inside,
        INT32: graph.add("Cast", inside, to=INT32),
        FLOAT: graph.add("Cast", inside, to=FLOAT) if any(port.dtype == FLOAT for port in ports) else "",
    }
    result = {}
    for port in ports:
        name = port.name + NEXT
        if model.readout.at_window_end == "reset" or port.name in (STEP_IN_WINDOW, POOL_SUM):
            op = "And" if port.dtype == BOOL else "Mul"
            result[port.name] = graph.add(op, states[port.name], keep[port.dtype], name=name)
        else:
            result[port.name] = graph.rename(states[port.name], name)
    return result | {port.name: graph.rename(states[port.name], port.name + NEXT) for port in lasting}
