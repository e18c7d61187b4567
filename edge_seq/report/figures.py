"""What a report shows, gathered from the files of a run or a comparison. Nothing is computed anew but counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge_seq.ir.describe import ModelDescription
from edge_seq.pipeline.decision_search import Decision
from edge_seq.pipeline.robustness import Robustness
from edge_seq.report.timelines import RecordingTimeline
from edge_seq.scores.evaluation import Evaluation, StreamEvaluation
from edge_seq.support.results import Result
from firmware_export.measuring.report import MeasureReport


@dataclass(frozen=True)
class SideFigures(Result):
    """Windows of a side of the split: how many, of which groups, how many of each class [K]."""

    name: str
    windows: int
    groups: tuple[str, ...]
    per_class: tuple[int, ...]


@dataclass(frozen=True)
class RunFigures(Result):
    """All of a run. Results are those that the commands wrote; None where the step was not done (see ``missing``).

    Attributes:
        name: of the run's folder.
        path: as given.
        model: the integer model, else the float model, as ``edge-seq inspect`` describes it.
        config: resolved.
        sides: windows by side.
        training, quantization, metrics, decision, stream, robustness, verify, measure: the results of these steps.
        timelines: recordings of the test part; the worst, the median and the best.
        hashes: of data and models.
        versions: of what trained it, and of what made the report.
        files: section to the name of its table.
        steps: section to the command that makes it.
        missing: the sections that were not made yet, to the command that makes them.
        stale: section to what is of another model than the run's, in words; a CI can tell by it and by exit code 1.
        commands: that make the run and this report again.
    """

    name: str
    path: str
    model: ModelDescription
    config: dict[str, Any]
    sides: tuple[SideFigures, ...]
    training: dict[str, Any] | None
    quantization: dict[str, Any] | None
    metrics: Evaluation | None
    decision: Decision | None
    stream: StreamEvaluation | None
    robustness: Robustness | None
    verify: dict[str, Any] | None
    measure: MeasureReport | None
    timelines: tuple[RecordingTimeline, ...]
    hashes: dict[str, str]
    versions: dict[str, str]
    files: dict[str, str]
    steps: dict[str, str]
    missing: dict[str, str]
    stale: dict[str, str]
    commands: tuple[str, ...]


@dataclass(frozen=True)
class ComparisonFigures(Result):
    """A comparison: its folder's name and its comparison.json, whose ``fields`` say what is what."""

    name: str
    table: dict[str, Any]
