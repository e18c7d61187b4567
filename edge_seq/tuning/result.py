"""What a search finds: the front of score and cost, and the choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from edge_seq.scores.metrics import Estimate
from edge_seq.support.display import ShownAsTables, Table
from edge_seq.support.results import Result, written
from edge_seq.tuning.cost import NetworkCost
from edge_seq.tuning.space import Candidate

FORMAT = "edge_seq search 1"
SEARCH = "search.json"
OPTIMISTIC = (
    "The scores chose among candidates, so they are too good by an unknown amount. A score on the test part is not: "
    "give the same command with --test, once"
)


@dataclass(frozen=True)
class Point(Result):
    """A network on the front: no other one that was scored in full is better in score and cost.

    Attributes:
        number: number of the point, from 1, the cheapest first.
        candidate: network and training.
        network, options: the same in words.
        cost: cost on the target, computed from the shape.
        macro_f1, accuracy: scores of the integer models of all folds together, with 95 % intervals over groups.
        float_macro_f1: macro-F1 of the float models.
        agreement: smallest share of windows of a fold on which both give the same label.
    """

    number: int
    candidate: Candidate
    network: str
    options: str
    cost: NetworkCost
    macro_f1: Estimate
    accuracy: Estimate
    float_macro_f1: float
    agreement: float


@dataclass(frozen=True)
class Reference(Result):
    """Scores of another classifier on the same folds.

    Attributes:
        name: name of the classifier.
        macro_f1, accuracy: scores of all folds together; None if it was skipped.
        note: reason why it was skipped; empty if it was not.
    """

    name: str
    macro_f1: Estimate | None
    accuracy: Estimate | None
    note: str = ""


@dataclass(frozen=True)
class Choice(Result):
    """The point to take.

    Attributes:
        number: number of the point.
        why: reason in words.
    """

    number: int
    why: str


@dataclass(frozen=True)
class Execution(Result):
    """Command line and wall time of the last call, seconds. They differ between equal searches."""

    command: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class SearchResult(Result, ShownAsTables):
    """Result of a search, as in search.json.

    Attributes:
        format: name and version of this layout.
        source: name of the data.
        labels: K class names.
        data_note: sentence about the training part, the folds and the test part.
        data_fingerprint: SHA-256 of the recordings.
        config: configuration of the search.
        target: target on which the cost was computed.
        unit: what its ``instructions`` count, ``instructions`` or ``cycles``.
        points: the front, the cheapest point first.
        choice: the point to take.
        references: other classifiers on the same folds.
        candidates: number of candidates that were tried.
        complete: number of candidates that were scored on all folds.
        trials: number of trainings.
        failures: trials without a result, and why.
        lost: number of times that a worker died on a trial, which another one then did.
        versions: versions of Python and of the packages that the numbers depend on.
        execution: command line and time of the last call.
    """

    format: str
    source: str
    labels: tuple[str, ...]
    data_note: str
    data_fingerprint: str
    config: dict[str, Any]
    target: str
    unit: str
    points: tuple[Point, ...]
    choice: Choice
    references: tuple[Reference, ...]
    candidates: int
    complete: int
    trials: int
    failures: dict[str, str]
    lost: int
    versions: dict[str, str]
    execution: Execution = field(metadata=written(inline=True))

    def point(self, number: int) -> Point | None:
        """The point of a number, if there is one."""
        return next((one for one in self.points if one.number == number), None)

    @property
    def columns(self) -> list[str]:
        """Columns of the table of points."""
        return ["point", "macro-F1", "accuracy", "flash", "weights", "RAM", self.unit, "network", "input and training"]

    def rows(self) -> list[list[str]]:
        """Row of each point, and of the other classifiers."""
        rows = [
            [
                f"{one.number}{' *' if one.number == self.choice.number else ''}",
                str(one.macro_f1),
                str(one.accuracy),
                f"{one.cost.flash_bytes:,}",
                f"{one.cost.weight_bytes:,}",
                f"{one.cost.ram_bytes:,}",
                f"{one.cost.instructions:,}",
                one.network,
                one.options,
            ]
            for one in self.points
        ]
        return rows + [
            ["-", str(one.macro_f1 or "-"), str(one.accuracy or "-"), "-", "-", "-", "-", one.name, one.note]
            for one in self.references
        ]

    @property
    def title(self) -> str:
        """Title of the table of points."""
        return (
            f"{self.source}: {self.complete} of {self.candidates} candidates scored on all folds, {self.trials} "
            f"trainings; cost on {self.target}, computed from the shape; * is the choice"
        )

    def tables(self) -> Sequence[Table]:
        """The front, and the other classifiers."""
        return (Table(self.title, self.columns, self.rows()),)

    def closing(self) -> str:
        """The choice, and what its score is worth."""
        return "\n".join((self.choice.why, *self.notes()))

    def notes(self) -> list[str]:
        """Sentences below the table."""
        notes = [f"Data: {self.data_note}.", f"Intervals: 95 %, from resampling groups. {OPTIMISTIC}."]
        if self.failures:
            key, why = next(iter(self.failures.items()))
            notes.append(f"{len(self.failures)} trials gave no result; the first one, {key}: {why}")
        return notes
