"""The decision stage (SPEC.md, section 14) as nodes on int32 tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edge_seq.arithmetic.fixed_point import COARSE_DROP
from edge_seq.backends.onnx import fixed_point as fixed
from edge_seq.backends.onnx.graph import BATCH, BOOL, INT32, INT64, Graph, Port
from edge_seq.backends.onnx.window import NO_LABEL, Moment, where_due
from edge_seq.ir.decision import SCORE_LIMIT, DecisionStage, UnknownDistance
from edge_seq.ir.model import IntModel
from edge_seq.ir.rows import is_coarse

PREFIX = "decision."
SCORES, DECIDED, PENDING, RUN, PRIMED, EXCESS = (
    f"{PREFIX}{name}" for name in ("scores", "decided", "pending", "run", "primed", "excess")
)


def decision_states(model: IntModel) -> tuple[Port, ...]:
    """States of the stage, zero (false) after a reset. A window's end does not change them. Empty without a stage."""
    stage = model.readout.decision
    if stage is None:
        return ()
    by_distance = () if stage.unknown_distance is None else (EXCESS,)
    numbers = (Port(name, INT32, (BATCH, 1)) for name in (DECIDED, PENDING, RUN, *by_distance))
    return Port(SCORES, INT32, (BATCH, model.num_classes)), *numbers, Port(PRIMED, BOOL, (BATCH, 1))


@dataclass(frozen=True)
class Decided:
    """Results of the stage.

    Attributes:
        decision: int64 [batch, 1], 0 to K-1, K for unknown, -1 if no label is due.
        scores: int32 [batch, K], 0 if no label is due.
        excess: int32 [batch, 1], 0 if no label is due; None without a distance.
        states: next states, by name.
    """

    decision: str
    scores: str
    excess: str | None
    states: dict[str, str]


def _smoothed(graph: Graph, stage: DecisionStage, fresh: str, before: str, primed: str) -> str:
    """Exponential smoothing: s + floor((x - s) / 2^n), or x at the first label."""
    way = graph.add("Sub", fresh, before)
    moved = graph.add("Add", before, fixed.floor_shift(graph, way, stage.smoothing_shift))
    return graph.add("Where", primed, moved, fresh)


def _scores(graph: Graph, stage: DecisionStage, logits: str, states: Mapping[str, str]) -> str:
    """Smoothed scores. The unsmoothed score is a logit minus the largest logit, at least -2^19."""
    fresh = graph.add("Max", graph.add("Sub", logits, fixed.largest(graph, logits)), graph.scalar(-SCORE_LIMIT))
    return _smoothed(graph, stage, fresh, states[SCORES], states[PRIMED])


def _excess(graph: Graph, model: IntModel, distance: UnknownDistance, operands: str, logits: str) -> str:
    """Sum of |v - centroid| minus the radius of the label, int32 [batch, 1], Q7."""
    centroids = np.array(distance.centroids, dtype=np.int32)
    drop = np.where(is_coarse(*model.dense_inputs[-1]), 0, COARSE_DROP)
    shifts = fixed.Shifts.of(drop, drop > 0)
    names = {key: graph.constant(values, f"distance.{key}") for key, values in vars(shifts).items()}
    seen = fixed.shift_by(graph, operands, names["half"], names["low_bits"], names["divisor"])
    label = fixed.arg_max(graph, logits, keepdims=0)
    centroid = graph.add("Gather", graph.constant(centroids, "distance.centroids"), label, axis=0)
    radii = np.array(distance.radii, dtype=np.int32)[:, np.newaxis]
    radius = graph.add("Gather", graph.constant(radii, "distance.radii"), label, axis=0)
    gaps = graph.add("Abs", graph.add("Sub", seen, centroid))
    return graph.add("Sub", graph.add("ReduceSum", gaps, graph.axes(1), keepdims=1), radius)


def _target(graph: Graph, stage: DecisionStage, scores: str, decided: str, num_classes: int) -> str:
    """Target of this label, int32 [batch, 1]: 0 unknown, k + 1 class k."""
    best = graph.int32(graph.add("ArgMax", scores, axis=1, keepdims=1))
    columns = graph.constant(np.arange(num_classes, dtype=np.int32)[np.newaxis], "decision.columns")
    others = graph.add("Where", graph.add("Equal", best, columns), graph.scalar(-2 * SCORE_LIMIT), scores)
    first, second = (graph.add("ReduceMax", value, graph.axes(1), keepdims=1) for value in (scores, others))
    of_decided = graph.add("Max", graph.add("Sub", decided, graph.scalar(1)), graph.scalar(0))
    # the score of the decided class: the sum of all scores but for the others
    held = graph.add("Where", graph.add("Equal", of_decided, columns), scores, graph.scalar(0))
    held = graph.add("ReduceSum", held, graph.axes(1), keepdims=1)
    small_lead = graph.add("Less", graph.add("Sub", first, held), graph.scalar(stage.hysteresis))
    keeps = graph.add("And", small_lead, graph.add("Greater", decided, graph.scalar(0)))
    target = graph.add("Where", keeps, decided, graph.add("Add", best, graph.scalar(1)))
    close = graph.add("Less", graph.add("Sub", first, second), graph.scalar(stage.unknown_margin))
    return graph.add("Where", close, graph.scalar(0), target)


def decide(
    graph: Graph,
    model: IntModel,
    stage: DecisionStage,
    moment: Moment,
    *,
    operands: str,
    logits: str,
    states: Mapping[str, str],
) -> Decided:
    """Append one step of the stage. Its states do not change if no label is due.

    Args:
        graph: graph to append to.
        model: model of the stage.
        stage: parameters of the stage.
        moment: tells whether a label is due.
        operands: input of the head, int32 [batch, H].
        logits: logits of every step, int32 [batch, K].
        states: current states, by name.
    """
    one, decided = graph.scalar(1), states[DECIDED]
    scores = _scores(graph, stage, logits, states)
    target = _target(graph, stage, scores, decided, model.num_classes)
    by_distance = {}
    if stage.unknown_distance is not None:
        fresh = _excess(graph, model, stage.unknown_distance, operands, logits)
        excess = _smoothed(graph, stage, fresh, states[EXCESS], states[PRIMED])
        by_distance[EXCESS] = excess
        target = graph.add("Where", graph.add("Greater", excess, graph.scalar(0)), graph.scalar(0), target)
    again = graph.add("Equal", target, states[PENDING])
    longer = graph.add("Where", again, graph.add("Add", states[RUN], one), one)
    run = graph.add("Where", graph.add("Equal", target, decided), graph.scalar(0), longer)
    long_enough = graph.add("GreaterOrEqual", run, graph.scalar(stage.min_labels))
    follows = graph.add("Or", long_enough, graph.add("Not", states[PRIMED]))
    after = {
        SCORES: scores,
        DECIDED: graph.add("Where", follows, target, decided),
        PENDING: target,
        RUN: graph.add("Where", follows, graph.scalar(0), run),
        **by_distance,
    }
    after = {name: where_due(graph, model, moment, value, states[name], f"{name}.due") for name, value in after.items()}
    always = graph.add("Equal", decided, decided)  # true, in the shape of the batch
    seen = always if model.readout.label_every == "sample" else graph.add("Or", states[PRIMED], moment.ends)
    is_unknown = graph.add("Equal", after[DECIDED], graph.scalar(0))
    known = graph.add("Where", is_unknown, graph.scalar(model.num_classes), graph.add("Sub", after[DECIDED], one))
    decision = graph.add("Cast", known, to=INT64)
    none = graph.scalar(NO_LABEL, np.int64)
    return Decided(
        decision=where_due(graph, model, moment, decision, none, "decision_column"),
        scores=where_due(graph, model, moment, scores, graph.scalar(0), "due_scores"),
        excess=where_due(graph, model, moment, by_distance[EXCESS], graph.scalar(0), "due_excess")
        if by_distance
        else None,
        states={**after, PRIMED: seen},
    )
