"""Scores of models on a side of the split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edge_seq.api.boundary import in_python
from edge_seq.api.data import Data
from edge_seq.api.models import ImportedModel, QuantizedModel, TrainedModel
from edge_seq.api.prediction import check_fits
from edge_seq.ir.model import FloatModel, IntModel
from edge_seq.pipeline.logits import logits_of
from edge_seq.pipeline.prepare import learnt_too
from edge_seq.scores.evaluation import (
    BY_CLASS_COLUMNS,
    BY_GROUP,
    WINDOW_COLUMNS,
    SplitNote,
    by_class_rows,
    window_row,
)
from edge_seq.scores.metrics import Metrics, evaluate_predictions, softmax
from edge_seq.scores.one_class import OneClassScores, detections
from edge_seq.support.display import ShownAsTables, Table
from edge_seq.support.errors import ConfigError


@dataclass(frozen=True)
class Evaluation(ShownAsTables):
    """Scores of a model on windows.

    Attributes:
        name: Name of the model.
        side: Side of the split.
        metrics: Scores with 95 % intervals over groups.
        labels: [K] class names.
        note: Kind of split, with a warning if the scores are weak evidence.
        one_class: By class of the data, what a model of one class calls an anomaly; None for another model.
    """

    name: str
    side: str
    metrics: Metrics
    labels: tuple[str, ...]
    note: SplitNote = BY_GROUP
    one_class: OneClassScores | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give the scores as plain values, ready for JSON."""
        one_class = {} if self.one_class is None else {"one_class": self.one_class.to_dict()}
        return {"name": self.name, "side": self.side, **self.note.to_dict(), **self.metrics.to_dict(), **one_class}

    def tables(self) -> Sequence[Table]:
        """Scores over all classes, and by class."""
        metrics = self.metrics
        title = f"{self.side}: {metrics.num_windows:,} windows of {metrics.num_groups} groups"
        return (
            Table(title, WINDOW_COLUMNS, [window_row(self.name, metrics)]),
            Table("by class", BY_CLASS_COLUMNS, by_class_rows(metrics)),
            *(() if self.one_class is None else (self.one_class.table(self.side),)),
        )

    def warned(self) -> str | None:
        """Warning of the split, if there is one."""
        return self.note.warning


@in_python
def evaluate(
    model: TrainedModel | ImportedModel | QuantizedModel | FloatModel | IntModel,
    data: Data,
    *,
    side: str = "test",
    seed: int = 0,
) -> Evaluation:
    """Score a model on one side of the split.

    Args:
        model: Float or integer model.
        data: Data that the model was made for.
        side: ``train``, ``validation`` or ``test``.
        seed: Seed of the resampling behind the intervals.

    Raises:
        ContractError: the data have another sensor contract than the model.
        DataError: the data have other labels than the model, or the side has no windows.
        ConfigError: the seed is negative.

    Example:
        >>> import edge_seq as es
        >>> scores = es.evaluate(chip, data).metrics
        >>> scores.accuracy.low <= scores.accuracy.value <= scores.accuracy.high
        True
    """
    inner = model.model if isinstance(model, TrainedModel | ImportedModel | QuantizedModel) else model
    if seed < 0:
        raise ConfigError(f"evaluating {inner.name}: seed is {seed}; give a whole number from 0")
    check_fits(inner, data, doing=f"evaluating {inner.name}")
    windows = data.side(side)
    one = data.prepared.one_class
    logits = logits_of(inner, windows.counts)
    metrics = evaluate_predictions(windows.labels, softmax(logits), windows.groups, label_names=inner.labels, seed=seed)
    scores = None
    if one is not None:
        called = detections(logits, one.classes_of(side, windows), windows.groups, one.wanted.normal, seed=seed)
        scores = OneClassScores(one.wanted.normal, one.wanted.false_alarms, {inner.name: called})
    return Evaluation(inner.name, side, metrics, inner.labels, _note(model, data, side), scores)


def _note(model: object, data: Data, side: str) -> SplitNote:
    """Note of the split, with a warning where the model was trained again on the validation windows."""
    trained = model.trained if isinstance(model, TrainedModel | QuantizedModel) else None
    return data.note if trained is None or trained.again is None else learnt_too(data.note, side)
