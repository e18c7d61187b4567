"""The search for a decision stage on validation streams."""

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
from edge_seq.support.errors import DataError
from edge_seq.support.figure_text import percent
from edge_seq.support.results import Result, written

SMOOTHING_SHIFTS = (0, 1, 2, 3, 4, 5)


HYSTERESES = (0.0, 0.5, 1.0, 2.0, 3.0)  # logits


UNKNOWN_MARGINS = (0.0, 0.5)  # logits


MIN_LABELS_S = (0.0, 0.5, 1.0, 2.0)  # as time; what it makes of labels depends on how often they come


ONE_LOGIT = 1 << LOGIT_FRAC_BITS


_TIE = 0.002  # of F1: so small a lead on some dozen events is none, and the calmer of the two is taken


@dataclass(frozen=True)
class StageScores(Result):
    """Scores of decisions on the validation streams.

    Attributes:
        event_f1: macro-F1 of events.
        flicker_per_minute: changes of the decision per minute.
        delay_median_s: median detection delay; None where nothing was hit.
        unknown_of_right: share of the right labels with which the decision was unknown.
    """

    event_f1: float
    flicker_per_minute: float
    delay_median_s: float | None
    unknown_of_right: float


@dataclass(frozen=True)
class Trial(StageScores):
    """Scores of one stage, or of the labels as they are, for which the stage is None."""

    stage: DecisionStage | None

    @property
    def scores(self) -> StageScores:
        """The scores without the stage."""
        return StageScores(self.event_f1, self.flicker_per_minute, self.delay_median_s, self.unknown_of_right)


@dataclass(frozen=True)
class DecisionSearch(Result):
    """How a decision stage was chosen.

    Attributes:
        unknown_distance: share of the right labels that may be unknown by distance, as it was given.
        objective: what was maximised.
        max_extra_delay_s: largest growth of the median detection delay that was allowed, seconds.
        allow_unknown: True if the search used a margin for "unknown".
        unknown_margin: margin for "unknown" in logits, as it was given.
        tried: number of stages tried.
        recordings: number of validation recordings.
        labels: scores of the labels as they are.
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
        search: how the stage was chosen; None if it was taken out.
    """

    model_hash: str
    stage: DecisionStage | None
    search: DecisionSearch | None = field(default=None, metadata=written(inline=True))

    def tables(self) -> Sequence[Table]:
        """Scores of the labels and of the decisions on the recordings that the stage was chosen on."""
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
        """The stage, and what it makes unknown, in words."""
        if self.search is None:
            return ["the decision stage was taken out of the integer model"]
        if self.stage is None:
            return ["no stage is better than the labels as they are; the model has none"]
        unknown = percent(self.search.decisions.unknown_of_right)
        return [self.stage.text(), f"{unknown} of the right labels are decided unknown"]


def fit_distance(
    model: IntModel, training: Sequence[LabelStream], validation: Sequence[LabelStream], *, share: float
) -> UnknownDistance:
    """What is usual where a label is right: centroids of training streams, radii of validation streams.

    The radius of a class is the least that keeps at most ``share`` of its right labels on validation beyond it. A class
    without right labels on both is never unknown by distance.
    """
    right = [stream.labels == stream.truth for stream in training]
    seen = np.concatenate([seen_q7(s.operands[kept].astype(np.int64)) for s, kept in zip(training, right, strict=True)])
    of = np.concatenate([stream.labels[kept] for stream, kept in zip(training, right, strict=True)])
    centroids = np.zeros((model.num_classes, model.hidden_sizes[-1]), dtype=np.int64)
    for label in np.unique(of):
        centroids[label] = np.clip(np.rint(seen[of == label].mean(axis=0)), CENTROID_MIN, CENTROID_MAX)
    usual = UnknownDistance(tuple(tuple(row) for row in centroids.tolist()), (0,) * model.num_classes)

    distances: list[list[int]] = [[] for _ in range(model.num_classes)]
    for stream in validation:
        found = excess_of(usual, stream.operands.astype(np.int64), stream.labels)  # the distance, with a radius of 0
        kept = stream.labels == stream.truth
        for label, distance in zip(stream.labels[kept], found[kept], strict=True):
            distances[label].append(int(distance))
    radii = [
        sorted(found)[len(found) - 1 - int(share * len(found))] if found and label in of else DISTANCE_LIMIT
        for label, found in enumerate(distances)
    ]
    return replace(usual, radii=tuple(radii))


def candidates(model: IntModel, *, allow_unknown: bool) -> list[DecisionStage]:
    """The grid: few values of each number, times turned into labels."""
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
    """Decisions int64 [L] for each stage and each stream."""
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
    """The labels as they are, and the best stage.

    The objective is the macro-F1 of events; a stage is allowed if the median detection delay grows by at most
    ``max_extra_delay_s`` and at most ``max_unknown_of_right`` of the right labels are decided unknown. Of stages within
    0.2 points of the best that of the least flicker is taken, of those the first of the grid, which is the simplest.
    Where none beats the labels as they are in F1 or, within 0.2 points, in flicker, the best is no stage, unless
    ``none_allowed`` says that there must be one.

    Raises:
        DataError: there must be one, and none is allowed.
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
            "" if max_unknown_of_right == 1 else f", and at most {max_unknown_of_right:.1%} of right labels unknown"
        )
        raise DataError(
            f"decide: none of {len(trials)} stages keeps the median detection delay within {limit:g} s{unknown}; give "
            "a larger --max-extra-delay-s, a smaller --unknown-margin or a larger --unknown-distance"
        )
    highest = max(t.event_f1 for t in allowed)
    near = [t for t in allowed if t.event_f1 >= highest - _TIE]
    return plain, min(near, key=lambda t: t.flicker_per_minute)
