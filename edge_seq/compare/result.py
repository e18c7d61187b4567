"""Results of a comparison: of a training, of a network's cost, of a candidate, and of all together.

The classes hold what the files of a comparison hold, by the rules of :mod:`edge_seq.support.results`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from edge_seq.compare.points import Candidate, Shape, Size
from edge_seq.ir.kind_names import CellName
from edge_seq.scores.metrics import Estimate
from edge_seq.support.results import Result, written
from firmware_export.measuring.measure import Latency

Confusion = tuple[tuple[int, ...], ...]  # confusion matrix [K][K]; row is the label, column the prediction


@dataclass(frozen=True)
class WindowCounts(Result):
    """Number of windows that a training learned from, and of those it was scored on."""

    train: int
    scored: int


@dataclass(frozen=True)
class GradientNorms(Result):
    """Norms of the gradient of the loss with respect to the input k steps back, by k.

    Attributes:
        before, after: [T], norms before and after the training.
    """

    before: tuple[float, ...]
    after: tuple[float, ...]


@dataclass(frozen=True)
class TrialInteger(Result):
    """Integer model of a training.

    Attributes:
        status: always ``measured``.
        weight_bytes: size of the weights.
        confusion: confusion matrix of the integer model.
        float_confusion: confusion matrix of the float model on the same windows.
        agreement: share of these windows that both models label alike.
    """

    status: Literal["measured"]
    weight_bytes: int
    confusion: Confusion
    float_confusion: Confusion
    agreement: float


@dataclass(frozen=True)
class TrialRefused(Result):
    """A training whose network has no integer model, and why."""

    status: Literal["refused"]
    reason: str


@dataclass(frozen=True)
class TrialResult(Result):
    """Result of one training. The folder of a comparison stores it as JSON.

    Attributes:
        groups: confusion matrix of each group; ``all`` is the only key if the data have no groups.
        windows: number of windows.
        seconds, cpu_seconds: wall time and processor time of the training.
        parameters: number of parameters.
        train_loss, validation_accuracy: values of each epoch.
        gradient: norms of the gradient with respect to past inputs.
        integer: scores of the integer model, or why there is none.
        versions: versions of the packages that trained the network.
    """

    groups: dict[str, Confusion]
    windows: WindowCounts
    seconds: float
    cpu_seconds: float
    parameters: int
    train_loss: tuple[float, ...]
    validation_accuracy: tuple[float, ...]
    gradient: GradientNorms
    integer: TrialInteger | TrialRefused
    versions: dict[str, str]


@dataclass(frozen=True)
class MeasuredCost(Result):
    """Cost of a network on a target.

    Attributes:
        detail: compiler and emulator.
        code_bytes, table_bytes, weight_bytes, flash_bytes, ram_bytes: sizes of the linked image without the harness.
        stack_bytes: worst-case stack, or the largest stack seen if the worst case is not known.
        status: always ``measured``.
        unit: what was counted, ``instructions`` or ``cycles``.
        per_window, per_step: cost of a window, and of a time step between its first and its last.
        latency_estimate: estimated time to process a window.
    """

    detail: str
    code_bytes: int
    table_bytes: int
    weight_bytes: int
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int | None
    status: Literal["measured"]
    unit: Literal["instructions", "cycles"]
    per_window: int
    per_step: int
    latency_estimate: Latency | None


@dataclass(frozen=True)
class NoCost(Result):
    """Why there is no cost on a target: it was ``skipped``, or the network does not compile or fit (``failed``)."""

    status: Literal["skipped", "failed"]
    reason: str


@dataclass(frozen=True)
class Cost(Result):
    """Cost of a network.

    Attributes:
        shape: properties of the network on which its cost depends.
        parameters: number of parameters.
        macs_per_step: multiply-accumulates of a time step, without the head.
        target: name of the target; None if no target was asked for.
        found: cost on the target, or why it was not measured.
    """

    shape: Shape = field(metadata=written(inline=True))
    parameters: int
    macs_per_step: int
    target: str | None
    found: MeasuredCost | NoCost = field(metadata=written(inline=True))

    @property
    def measured(self) -> MeasuredCost | None:
        """Cost on the target; None if it was not measured."""
        return self.found if isinstance(self.found, MeasuredCost) else None


@dataclass(frozen=True)
class StoredCosts(Result):
    """Costs that were measured, as a file keeps them.

    Attributes:
        key: hash of everything but the shape on which a cost depends.
        shapes: cost of each shape, by the name of the shape.
    """

    key: str
    shapes: dict[str, Cost]


@dataclass(frozen=True)
class IntegerFigures(Result):
    """Scores of the integer and the float model on the same windows, all seeds together.

    Attributes:
        status: always ``measured``.
        score, float_score: score of the integer and of the float model, 0 to 1.
        windows: number of windows.
        agreement: share of the windows that both models label alike, mean over seeds.
        weight_bytes: size of the integer weights.
        reasons: why there is no integer model, for each training without one.
    """

    status: Literal["measured"]
    score: float
    float_score: float
    windows: int
    agreement: float
    weight_bytes: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class IntegerRefused(Result):
    """A candidate of which no training has an integer model, and why, for each training."""

    status: Literal["refused"]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class GradientFigures(Result):
    """Mean norm of the gradient of the loss with respect to the input k steps back, before and after the training.

    Attributes:
        before, after: [T], norms by k, mean over seeds.
        oldest_to_newest_before, oldest_to_newest_after: norm for the oldest input, divided by that for the newest;
            None if the latter is 0.
        reach_before, reach_after: k within which 90 % of the sum lies; None if all norms are 0.
    """

    before: tuple[float, ...]
    oldest_to_newest_before: float | None
    reach_before: int | None
    after: tuple[float, ...]
    oldest_to_newest_after: float | None
    reach_after: int | None


@dataclass(frozen=True)
class CandidateFigures(Result):
    """Results of a candidate at its best learning rate.

    Attributes:
        name: name of the candidate.
        candidate: the candidate.
        learning_rate: learning rate with the best mean score.
        scores: score of each seed in order, 0 to 1; None for a failed training.
        over_seeds: mean of the scores, with Student's 95 % interval over seeds.
        over_groups: score of all seeds together, with the 95 % interval over groups; bounds are None without groups.
        interval: mean score with the hull of both intervals, on which verdicts are based.
        majority: share of the most frequent label, which is the accuracy of a constant guess.
        trained: number of trainings with a result.
        score_by_learning_rate: mean score at each learning rate.
        confusion: confusion matrix of all seeds together.
        accuracy, macro_f1: scores of all seeds together.
        groups: number of groups; None without groups.
        windows: number of windows of the first training.
        training_seconds, training_cpu_seconds: wall time and processor time of a training, mean over seeds.
        integer: scores of the integer model, or why there is none.
        gradient: norms of the gradient with respect to past inputs.
        train_loss, validation_accuracy: values of each epoch, for each training.
        cost: cost of the network.
        sizes: names of the sizes at which the candidate is compared.
    """

    name: str
    candidate: Candidate = field(metadata=written(inline=True))
    learning_rate: float
    scores: tuple[float | None, ...]
    over_seeds: Estimate
    over_groups: Estimate
    interval: Estimate
    majority: float
    trained: int
    score_by_learning_rate: dict[str, float]
    confusion: Confusion
    accuracy: float
    macro_f1: float
    groups: int | None
    windows: WindowCounts
    training_seconds: float
    training_cpu_seconds: float
    integer: IntegerFigures | IntegerRefused
    gradient: GradientFigures
    train_loss: tuple[tuple[float, ...], ...]
    validation_accuracy: tuple[tuple[float, ...], ...]
    cost: Cost
    sizes: tuple[str, ...]


@dataclass(frozen=True)
class ForestCost(Result):
    """Estimated cost of a random forest on a target, as nested comparisons in C, its statistics included.

    Attributes:
        target: name of the target.
        per_window: instructions of a window, mean over windows; the largest is some percent higher.
        flash_bytes: code of the statistics and the trees.
    """

    target: str
    per_window: int
    flash_bytes: int


@dataclass(frozen=True)
class ForestFigures(Result):
    """A random forest on integer statistics of the windows that the networks of a window length saw.

    Attributes:
        time_steps: window length T.
        trees, leaves: number of trees, and most leaves of a tree.
        scores: score of each seed in order, 0 to 1.
        interval: mean score with the hull of both intervals, as for a network.
        cost: estimated cost; None if it is not known for the comparison's target.
    """

    time_steps: int
    trees: int
    leaves: int
    scores: tuple[float, ...]
    interval: Estimate
    cost: ForestCost | None


@dataclass(frozen=True)
class Verdict(Result):
    """Recommendation among some candidates, which are given by their names.

    Attributes:
        scope: name of these candidates.
        pick: recommended candidate; None if none has learned the task.
        cell: cell of the recommended candidate.
        best: candidate with the best score.
        level_with_best: candidates that are level with the best, which is one of them, cheapest first.
        why: reason in words.
    """

    scope: str
    pick: str | None
    cell: CellName | None
    best: str
    level_with_best: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class SizeFigures(Result):
    """A size at which cells are compared.

    Attributes:
        size: the size.
        name: name of the size.
        units: hidden size of each cell.
    """

    size: Size = field(metadata=written(inline=True))
    name: str
    units: dict[str, int]


@dataclass(frozen=True)
class Solved(Result):
    """Longest window of a memory task that a cell solves.

    Attributes:
        cell: name of the cell.
        hidden_size: hidden size H.
        first_weights: kind of the initial weights, and the readout unless it is the last state.
        time_steps: window length T; None if the cell solves none.
    """

    cell: CellName
    hidden_size: int
    first_weights: str
    time_steps: int | None


@dataclass(frozen=True)
class Execution(Result):
    """How a comparison was made.

    Attributes:
        command: command line.
        seconds_of_this_command: wall time of the command.
    """

    command: str
    seconds_of_this_command: float


@dataclass(frozen=True)
class Comparison(Result):
    """Content of comparison.json.

    Attributes:
        format: name and version of the layout.
        fields: meaning of the keys.
        task: name of the data.
        labels: [K], class names.
        data_note: sentence about the training, scored and test parts.
        data_fingerprint: hash of the data.
        config: configuration of the comparison, with the keys of :class:`edge_seq.compare.config.CompareConfig`.
        versions: versions of the packages that trained the networks.
        sizes: sizes of the comparison.
        candidates: figures of each candidate.
        verdicts: recommendations; the first is the one over all.
        rules: rules of the verdicts.
        solved_up_to: memory tasks: what each cell solves; None for other tasks.
        trainings, trainings_left: number of trainings with a result, and of those neither done nor failed.
        failures: why a training has no result, by the key of its point.
        lost: number of times that a worker died on a training, which another worker then did.
        execution: how the comparison was made.
        plots: names of the plots; None before they are drawn.
        forests: a random forest for each window length; None for memory tasks, without scikit-learn, and in files of
            earlier releases.
    """

    format: str
    fields: dict[str, str]
    task: str
    labels: tuple[str, ...]
    data_note: str
    data_fingerprint: str
    config: dict[str, Any]
    versions: dict[str, str]
    sizes: tuple[SizeFigures, ...]
    candidates: tuple[CandidateFigures, ...]
    verdicts: tuple[Verdict, ...]
    rules: tuple[str, ...]
    solved_up_to: tuple[Solved, ...] | None
    trainings: int
    trainings_left: int
    failures: dict[str, str]
    lost: int
    execution: Execution = field(metadata=written(inline=True))
    plots: tuple[str, ...] | None = field(default=None, metadata=written(unless_none=True))
    forests: tuple[ForestFigures, ...] | None = None

    def at(self, size: SizeFigures) -> list[CandidateFigures]:
        """List the candidates at one of ``sizes``."""
        return [one for one in self.candidates if size.name in one.sizes]
