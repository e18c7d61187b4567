"""Results of a comparison: of a training, of a network's cost, of a candidate, and of all together.

The classes hold what the files of a comparison hold, by the rules of :mod:`edge_seq.support.results`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge_seq.support.results import Result

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
    """Result of one training. The database of a comparison stores it as JSON.

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
