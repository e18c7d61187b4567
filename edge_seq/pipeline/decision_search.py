"""Search for the decision stage of an integer model on validation streams."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from edge_seq.arithmetic.fixed_point import LOGIT_FRAC_BITS
from edge_seq.backends.decision import excess_of, seen_q7
from edge_seq.ir.decision import (
    CENTROID_MAX,
    CENTROID_MIN,
    DISTANCE_LIMIT,
    MIN_LABELS_MAX,
    DecisionStage,
    UnknownDistance,
)
from edge_seq.ir.model import IntModel
from edge_seq.pipeline.streams import LabelStream, decisions_of_stages, timeline_of, tolerance_of
from edge_seq.scores import words
from edge_seq.scores.streaming import count_streams
from edge_seq.support.display import ShownAsTables, Table
from edge_seq.support.errors import DataError, ModelError
from edge_seq.support.figure_text import percent
from edge_seq.support.results import Result, written

SMOOTHING_SHIFTS = (0, 1, 2, 3, 4, 5)


HYSTERESES = (0.0, 0.5, 1.0, 2.0, 3.0)  # logits


UNKNOWN_MARGINS = (0.0, 0.5)  # logits


MIN_LABELS_S = (0.0, 0.5, 1.0, 2.0)  # seconds; the number of labels follows from their rate


ONE_LOGIT = 1 << LOGIT_FRAC_BITS


_TIE = 0.002  # difference of F1 that counts as a tie, since there are only some dozen events; less flicker then wins


@dataclass(frozen=True)
class StageScores(Result):
    """Scores of decisions on the validation streams.

    Attributes:
        event_f1: macro-F1 of events.
        flicker_per_minute: changes of the decision per minute.
        delay_median_s: median detection delay in seconds; None if no event was detected.
        unknown_of_right: share of the correct labels for which the decision was "unknown".
    """

    event_f1: float
    flicker_per_minute: float
    delay_median_s: float | None
    unknown_of_right: float


@dataclass(frozen=True)
class Trial(StageScores):
    """Scores of one stage. For the labels without a stage, ``stage`` is None."""

    stage: DecisionStage | None

    @property
    def scores(self) -> StageScores:
        """The scores without the stage."""
        return StageScores(self.event_f1, self.flicker_per_minute, self.delay_median_s, self.unknown_of_right)


@dataclass(frozen=True)
class DecisionSearch(Result):
    """Record of the choice of a decision stage.

    Attributes:
        unknown_distance: share of the correct labels that may be "unknown" by distance; None if it was not given.
        objective: name of the score that was maximised.
        max_extra_delay_s: largest growth of the median detection delay that was allowed, seconds.
        allow_unknown: True if the search used a margin for "unknown".
        unknown_margin: margin for "unknown" in logits; None if it was not given.
        tried: number of stages tried.
        recordings: number of validation recordings.
        labels: scores of the labels without a stage.
        decisions: scores of the chosen stage.
    """

    unknown_distance: float | None
    objective: str
    max_extra_delay_s: float
    allow_unknown: bool
    unknown_margin: float | None
    tried: int
    recordings: int
    labels: StageScores
    decisions: StageScores


@dataclass(frozen=True)
class Decision(Result, ShownAsTables):
    """The decision stage of an integer model.

    Attributes:
        model_hash: hash of the integer model with the stage.
        stage: the stage; None if the model has none.
        search: record of its choice; None if the stage was removed.
    """

    model_hash: str
    stage: DecisionStage | None
    search: DecisionSearch | None = field(default=None, metadata=written(inline=True))

    def tables(self) -> Sequence[Table]:
        """Scores of the labels and of the decisions on the validation recordings."""
        if self.search is None:
            return []
        rows = [
            [
                title,
                percent(one.event_f1),
                "-" if one.delay_median_s is None else f"{one.delay_median_s:.1f}",
                f"{one.flicker_per_minute:.2f}",
            ]
            for title, one in (("labels", self.search.labels), ("decisions", self.search.decisions))
        ]
        title = (
            f"{self.search.recordings} validation recordings, {self.search.tried} stages tried, median delay at most "
            f"{self.search.max_extra_delay_s:g} s longer"
        )
        return [Table(title, ["", words.EVENT_F1, words.DELAY_MEDIAN, words.CHANGES_PER_MINUTE], rows)]

    def sentences(self) -> list[str]:
        """Sentences that describe the stage and the share of labels that it makes unknown."""
        if self.search is None:
            return ["the decision stage was taken out of the integer model"]
        if self.stage is None:
            return ["no decision stage scores better than the labels alone, so the model gets none"]
        unknown = percent(self.search.decisions.unknown_of_right)
        return [self.stage.text(), f'for {unknown} of the correct labels the decision is "unknown"']


def fit_distance(
    model: IntModel, training: Sequence[LabelStream], validation: Sequence[LabelStream], *, share: float
) -> UnknownDistance:
    """Fit the class centres on training streams and the radii around them on validation streams.

    Both use correctly labelled samples only. The radius of a class is the least one that leaves at most ``share`` of
    its correct labels on validation outside. A class without correct labels on both sides is never unknown by distance.

    Args:
        model: integer model.
        training: streams of the training recordings.
        validation: streams of the validation recordings.
        share: largest share of the correct labels outside of the radius, 0 to below 1.

    Raises:
        ModelError: the head sees the states of all steps, of which only sums are kept.
    """
    if model.readout.flattens and not model.dense:
        raise ModelError(
            f"fitting a distance for {model.name}: its head sees the states of all steps (flatten), which are not "
            "kept, so there is nothing to take a distance of; leave out --unknown-distance (--unknown-margin works), "
            "or train with a dense layer: --set training.dense=[32]"
        )
    right = [stream.labels == stream.truth for stream in training]
    _, parts = model.dense_inputs[-1]
    operands = [stream.operands[kept].astype(np.int64) for stream, kept in zip(training, right, strict=True)]
    seen = seen_q7(np.concatenate(operands), parts)
    of = np.concatenate([stream.labels[kept] for stream, kept in zip(training, right, strict=True)])
    centroids = np.zeros((model.num_classes, model.head_size), dtype=np.int64)
    for label in np.unique(of):
        centroids[label] = np.clip(np.rint(seen[of == label].mean(axis=0)), CENTROID_MIN, CENTROID_MAX)
    usual = UnknownDistance(tuple(tuple(row) for row in centroids.tolist()), (0,) * model.num_classes)

    distances: list[list[int]] = [[] for _ in range(model.num_classes)]
    for stream in validation:
        found = excess_of(usual, stream.operands.astype(np.int64), stream.labels, parts)  # with a radius of 0
        kept = stream.labels == stream.truth
        for label, distance in zip(stream.labels[kept], found[kept], strict=True):
            distances[label].append(int(distance))
    radii = [
        sorted(found)[len(found) - 1 - int(share * len(found))] if found and label in of else DISTANCE_LIMIT
        for label, found in enumerate(distances)
    ]
    return replace(usual, radii=tuple(radii))


def candidates(model: IntModel, *, allow_unknown: bool) -> list[DecisionStage]:
    """Make the grid of stages to try: a few values of each number, with times converted to numbers of labels."""
    contract = model.contract
    labels_per_s = contract.sample_rate_hz
    if model.readout.label_every == "window":
        labels_per_s /= contract.window_length
    min_labels = sorted({int(np.clip(round(s * labels_per_s), 1, MIN_LABELS_MAX)) for s in MIN_LABELS_S} | {1, 2})
    margins = UNKNOWN_MARGINS if allow_unknown else (0.0,)
    return [
        DecisionStage(shift, round(lead * ONE_LOGIT), labels, round(margin * ONE_LOGIT))
        for shift, lead, labels, margin in itertools.product(SMOOTHING_SHIFTS, HYSTERESES, min_labels, margins)
    ]


def decisions_of(streams: Sequence[LabelStream], stages: Sequence[DecisionStage]) -> list[list[NDArray[np.int64]]]:
    """Compute the decisions int64 [L] of each stage on each stream."""
    of_streams = [decisions_of_stages(stages, stream) for stream in streams]
    return [[made[index] for made in of_streams] for index in range(len(stages))]


def search(
    model: IntModel,
    streams: Sequence[LabelStream],
    stages: Sequence[DecisionStage],
    *,
    max_extra_delay_s: float,
    none_allowed: bool = True,
    max_unknown_of_right: float = 1.0,
) -> tuple[Trial, Trial]:
    """Score the labels without a stage and every stage, and choose the best stage.

    The objective is the macro-F1 of events. A stage is allowed if the median detection delay grows by at most
    ``max_extra_delay_s`` and at most ``max_unknown_of_right`` of the correct labels become "unknown". Among the stages
    within 0.2 points of the best, the one with the least flicker is chosen, and among equal ones the first of the grid,
    which is the simplest. If no stage beats the labels in F1 or, within 0.2 points, in flicker, no stage is chosen,
    unless ``none_allowed`` is False.

    Returns:
        Scores of the labels without a stage, and scores of the chosen stage.

    Raises:
        DataError: ``none_allowed`` is False and no stage is allowed.
    """
    contract = model.contract

    def trial(stage: DecisionStage | None, given: Sequence[NDArray[np.int64]]) -> Trial:
        figures = count_streams(
            [timeline_of(stream, labels) for stream, labels in zip(streams, given, strict=True)],
            num_classes=model.num_classes,
            sample_rate_hz=contract.sample_rate_hz,
            tolerance_s=tolerance_of(model),
        )
        right = [stream.labels == stream.truth for stream in streams]
        lost = sum(int((labels[kept] == model.num_classes).sum()) for labels, kept in zip(given, right, strict=True))
        return Trial(*figures, lost / max(1, sum(int(kept.sum()) for kept in right)), stage)

    plain = trial(None, [stream.labels for stream in streams])
    limit = (plain.delay_median_s or 0.0) + max_extra_delay_s
    made = decisions_of(streams, stages)
    trials = [trial(stage, given) for stage, given in zip(stages, made, strict=True)]
    allowed = [plain] if none_allowed else []
    allowed += [
        t
        for t in trials
        if t.delay_median_s is not None and t.delay_median_s <= limit and t.unknown_of_right <= max_unknown_of_right
    ]
    if not allowed:
        unknown = (
            "" if max_unknown_of_right == 1 else f" and at most {max_unknown_of_right:.1%} of correct labels unknown"
        )
        raise DataError(
            f"decide: none of {len(trials)} stages keeps the median detection delay within {limit:g} s{unknown}; give "
            "a larger --max-extra-delay-s, a smaller --unknown-margin or a larger --unknown-distance"
        )
    highest = max(t.event_f1 for t in allowed)
    near = [t for t in allowed if t.event_f1 >= highest - _TIE]
    return plain, min(near, key=lambda t: t.flicker_per_minute)
