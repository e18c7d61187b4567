"""Contents of a report, gathered from the files of a run, a comparison or a search. Only counts are computed again."""

from __future__ import annotations

from dataclasses import dataclass

from edge_seq.compare.result import Comparison
from edge_seq.ir.describe import ModelDescription
from edge_seq.parity.imported import ImportSummary
from edge_seq.parity.ladder import Ladder
from edge_seq.pipeline.config import RunConfig
from edge_seq.pipeline.decision_search import Decision
from edge_seq.pipeline.learning.record import TrainingSummary
from edge_seq.pipeline.quantization import QuantizationSummary
from edge_seq.pipeline.robustness import Robustness
from edge_seq.report.timelines import RecordingTimeline
from edge_seq.scores.evaluation import Evaluation, StreamEvaluation
from edge_seq.support.results import Result
from edge_seq.tuning.result import SearchResult
from firmware_export.measuring.report import MeasureReport


@dataclass(frozen=True)
class SideFigures(Result):
    """Windows of a side of the split.

    Attributes:
        name: name of the side, ``train``, ``validation`` or ``test``.
        windows: number of windows.
        groups: names of the groups.
        per_class: [K], number of windows of each class.
    """

    name: str
    windows: int
    groups: tuple[str, ...]
    per_class: tuple[int, ...]


@dataclass(frozen=True)
class RunTables(Result):
    """Results that the commands wrote to a run; None if the step was not run.

    Attributes:
        imported: record of the import, if the run's model is of another framework; None if it was trained here.
        training, quantization, metrics, decision, stream, robustness, verify, measure: results of these steps.
    """

    imported: ImportSummary | None
    training: TrainingSummary | None
    quantization: QuantizationSummary | None
    metrics: Evaluation | None
    decision: Decision | None
    stream: StreamEvaluation | None
    robustness: Robustness | None
    verify: Ladder | None
    measure: MeasureReport | None


@dataclass(frozen=True)
class RunFigures(RunTables):
    """Contents of the report of a run, beside the results of its steps.

    Attributes:
        name: name of the run folder.
        path: path of the run folder, as given.
        model: description of the integer model, or of the float model if there is no other.
        config: complete configuration.
        sides: windows of each side of the split.
        timelines: the worst, the median and the best recording of the test part.
        hashes: hashes of data and models, by name.
        versions: versions of the packages that trained the model, and of edge_seq that made the report.
        files: name of the table of each section.
        steps: command that makes each section.
        missing: command that makes each section that does not exist yet.
        stale: message for each section that is about another model than the run now holds. The exit code is then 1.
        commands: commands that make the run and this report again.
    """

    name: str
    path: str
    model: ModelDescription
    config: RunConfig
    sides: tuple[SideFigures, ...]
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
    """Contents of the report of a comparison.

    Attributes:
        name: name of the comparison's folder.
        table: content of comparison.json.
    """

    name: str
    table: Comparison


@dataclass(frozen=True)
class SearchFigures(Result):
    """Contents of the report of a search.

    Attributes:
        name: name of the folder.
        table: content of search.json.
    """

    name: str
    table: SearchResult
