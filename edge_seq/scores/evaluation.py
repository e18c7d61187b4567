"""Results of scoring the models of a run: on windows, and on whole recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from edge_seq.ir.decision import DecisionStage
from edge_seq.scores import words
from edge_seq.scores.metrics import Estimate, Metrics
from edge_seq.scores.one_class import OneClassScores
from edge_seq.scores.reliability import Reliability
from edge_seq.scores.streaming import ClassStream, StreamMetrics
from edge_seq.scores.warm_up import WarmUp
from edge_seq.support.display import ShownAsTables, Table
from edge_seq.support.figure_text import percent
from edge_seq.support.results import Result, written

WINDOW_COLUMNS = ("classifier", *words.WINDOW_SCORES.values(), words.CALIBRATION_ERROR)
BY_CLASS_COLUMNS = ("class", "windows", "precision", "recall", "F1")
STREAM_COLUMNS = (
    "classifier",
    words.EVENT_F1,
    words.EVENTS_HIT,
    words.FALSE_ALARMS_PER_HOUR,
    words.FRAGMENTS_PER_HIT,
    words.DELAY_MEDIAN,
    words.DELAY_P95,
    words.CHANGES_PER_MINUTE,
    words.UNKNOWN,
)
MLPERF_COLUMNS = ("classifier", "true positives", "false negatives", "false positives", "false positives an hour")
CLASS_COLUMNS = (
    *("class", "classifier", "events", "hits", "misses", "false alarms", "an hour"),
    *(words.FRAGMENTS_PER_HIT, words.DELAY_MEDIAN, words.DELAY_P95),
)


@dataclass(frozen=True)
class SplitNote(Result):
    """Remarks that stand beside every score.

    Attributes:
        split: kind of split that the test part comes from.
        warning: warning where the split leaks; None where it does not.
    """

    split: str
    warning: str | None = field(default=None, metadata=written(unless_none=True))


BY_GROUP = SplitNote("group")


@dataclass(frozen=True, kw_only=True)
class Evaluation(Result, ShownAsTables):
    """Scores of the models of a run on windows. What was not scored is None.

    Attributes:
        side: side of the split, ``train``, ``validation`` or ``test``.
        note: kind of split, with a warning where it leaks.
        model_hash: hash of the float model.
        float_model: scores of the float model.
        int_model_hash: hash of the integer model without its decision stage, on which labels do not depend.
        int_model: scores of the integer model.
        training_accuracy: accuracy of the float model on windows of the training part; None in files of releases that
            did not score it.
        advice: what to try first, where the model is far behind the forest or its own training score; None elsewhere.
        reliability: calibration; None in files of releases that did not measure it.
        majority: scores of the majority guess.
        random_forest: scores of the random forest.
        minirocket: scores of MiniRocket with a ridge classifier; None where aeon is not installed.
        baselines_of: hash of all that decides the baselines.
        baselines_by: version of scikit-learn that grew the forest; another may grow another forest.
        one_class: by class of the data, what a model of one class calls an anomaly; None for another model.
    """

    side: str
    note: SplitNote = field(metadata=written(inline=True))
    model_hash: str
    float_model: Metrics = field(metadata=written("float"))
    int_model_hash: str | None = field(default=None, metadata=written(unless_none=True))
    int_model: Metrics | None = field(default=None, metadata=written("int", unless_none=True))
    training_accuracy: float | None = field(default=None, metadata=written(unless_none=True))
    advice: tuple[str, ...] | None = field(default=None, metadata=written(unless_none=True))
    reliability: Reliability | None = field(default=None, metadata=written(unless_none=True))
    majority: Metrics | None = field(default=None, metadata=written(unless_none=True))
    random_forest: Metrics | None = field(default=None, metadata=written(unless_none=True))
    minirocket: Metrics | None = field(default=None, metadata=written(unless_none=True))
    baselines_of: str | None = field(default=None, metadata=written(unless_none=True))
    baselines_by: str | None = field(default=None, metadata=written("baselines_by_scikit_learn", unless_none=True))
    one_class: OneClassScores | None = field(default=None, metadata=written(unless_none=True))

    @property
    def shown(self) -> Metrics:
        """Scores of the integer model, or of the float model if there is no other."""
        return self.int_model or self.float_model

    def classifiers(self) -> dict[str, Metrics]:
        """Scores by the name of the classifier, for people."""
        found = {
            words.FLOAT_MODEL: self.float_model,
            words.INT_MODEL: self.int_model,
            words.RANDOM_FOREST: self.random_forest,
            words.MINIROCKET: self.minirocket,
            words.MAJORITY: self.majority,
        }
        return {name: one for name, one in found.items() if one is not None}

    def tables(self) -> Sequence[Table]:
        """Scores, calibration, and the confusion matrix of the integer model."""
        rows = [window_row(name, one) for name, one in self.classifiers().items()]
        title = f"{self.side}: {self.float_model.num_windows} windows of {self.float_model.num_groups} groups"
        tables = [Table(title, WINDOW_COLUMNS, rows)]
        if self.one_class is not None:
            tables.append(self.one_class.table(self.side))
        if self.reliability is not None:
            tables.append(self.reliability.table(self.side))
        labels = [one.label for one in self.shown.classes]
        confusion = [[label, *map(str, row)] for label, row in zip(labels, self.shown.confusion, strict=True)]
        name = words.FLOAT_MODEL if self.int_model is None else words.INT_MODEL
        return [*tables, Table(f"confusion of the {name}: label down, prediction across", ["", *labels], confusion)]


def window_row(name: str, one: Metrics) -> list[str]:
    """Cells of :data:`WINDOW_COLUMNS` for one classifier."""
    return [name, *map(str, one.window_scores), percent(one.expected_calibration_error)]


def by_class_rows(one: Metrics) -> list[list[str]]:
    """Cells of :data:`BY_CLASS_COLUMNS` for each class."""
    return [
        [
            *(score.label, f"{score.support:,}", percent(score.precision), percent(score.recall)),
            "-" if score.f1 is None else str(Estimate(score.f1, score.f1_low, score.f1_high)),
        ]
        for score in one.classes
    ]


@dataclass(frozen=True, kw_only=True)
class StreamEvaluation(Result, ShownAsTables):
    """Scores of the models of a run on whole recordings. What was not scored is None.

    Attributes:
        side: side of the split, ``train``, ``validation`` or ``test``.
        note: kind of split, with a warning where it leaks.
        model_hash: hash of the integer model, or of the float model if there is no other.
        labels: names of the classes.
        stage: decision stage of the integer model.
        float_model, int_model: scores of the labels.
        float_decided, int_decided: scores of the decisions that the stage makes of the labels.
        warm_up: how long the labels of the integer model differ after a reset; None without that model, where no
            recording is long enough, and in files of releases that did not measure it.
        sample_rate_hz: samples a second; None in files of releases that did not write it.
    """

    side: str
    note: SplitNote = field(metadata=written(inline=True))
    model_hash: str
    labels: tuple[str, ...]
    stage: DecisionStage | None = field(default=None, metadata=written(unless_none=True))
    float_model: StreamMetrics = field(metadata=written("float"))
    int_model: StreamMetrics | None = field(default=None, metadata=written("int", unless_none=True))
    float_decided: StreamMetrics | None = field(default=None, metadata=written(unless_none=True))
    int_decided: StreamMetrics | None = field(default=None, metadata=written(unless_none=True))
    warm_up: WarmUp | None = field(default=None, metadata=written(unless_none=True))
    sample_rate_hz: float | None = field(default=None, metadata=written(unless_none=True))

    def sentences(self) -> tuple[str, ...]:
        """What stands below the tables."""
        if self.warm_up is None or self.sample_rate_hz is None:
            return ()
        return (self.warm_up.text(self.sample_rate_hz),)

    def classifiers(self) -> dict[str, StreamMetrics]:
        """Scores by the name of the classifier, for people."""
        found = {
            words.FLOAT_MODEL: self.float_model,
            words.INT_MODEL: self.int_model,
            words.FLOAT_DECIDED: self.float_decided,
            words.INT_DECIDED: self.int_decided,
        }
        return {name: one for name, one in found.items() if one is not None}

    def tables(self) -> Sequence[Table]:
        """Scores over all classes, and by class."""
        found, one = self.classifiers(), self.float_model
        title = (
            f"{self.side}: {one.recordings} recordings of {one.groups} groups, {one.hours:.2f} hours; the truth "
            f"changes {one.true_changes_per_minute:.2f} times a minute"
        )
        by_class = [
            _class_row(name, metrics.classes[index])
            for index in range(len(self.labels))
            for name, metrics in found.items()
        ]
        windows = [
            [
                name,
                *map(str, (w.true_positives, w.false_negatives, w.false_positives)),
                f"{w.false_positives_per_hour:.1f}",
            ]
            for name, metrics in found.items()
            if (w := metrics.detection_windows) is not None
        ]
        by_windows = [Table("scored as MLPerf Tiny's streaming task", MLPERF_COLUMNS, windows)] if windows else []
        return [
            Table(title, STREAM_COLUMNS, [_stream_row(name, metrics) for name, metrics in found.items()]),
            *by_windows,
            Table(f"by class; an event reaches {one.tolerance_s:g} s beyond its end", CLASS_COLUMNS, by_class),
        ]


def _stream_row(name: str, one: StreamMetrics) -> list[str]:
    return [
        name,
        str(one.event_f1),
        str(one.recall),
        estimate_text(one.false_alarms_per_hour),
        estimate_text(one.fragments_per_hit, 2),
        estimate_text(one.delay_median_s),
        estimate_text(one.delay_p95_s),
        estimate_text(one.flicker_per_minute, 2),
        percent(one.unknown_share),
    ]


def _class_row(name: str, one: ClassStream) -> list[str]:
    counts = (one.events, one.hits, one.misses, one.false_alarms)
    scores = (one.false_alarms_per_hour, one.fragments_per_hit, one.delay_median_s, one.delay_p95_s)
    return [one.label, name, *map(str, counts), *("-" if score is None else f"{score:.1f}" for score in scores)]


def estimate_text(value: Estimate | None, digits: int = 1) -> str:
    """Format a score that is no share, with its interval, and None as ``-``.

    >>> estimate_text(Estimate(2.0, 1.25, 3.0)), estimate_text(Estimate(2.0, None, None), 2), estimate_text(None)
    ('2.0 [1.2, 3.0]', '2.00', '-')
    """
    if value is None:
        return "-"
    shown = f"{value.value:.{digits}f}"
    if value.low is None or value.high is None:
        return shown
    return f"{shown} [{value.low:.{digits}f}, {value.high:.{digits}f}]"
