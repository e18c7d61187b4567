"""Differences of two classifiers that were scored on the same windows, with confidence intervals over groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.scores.metrics import Estimate, accuracy, confusion_matrix, estimate_over_groups, macro_f1
from edge_seq.support.results import Result


@dataclass(frozen=True)
class PairedScore(Result):
    """Difference of one score.

    Attributes:
        mean: mean over the repeats, with a 95 % interval from resampling groups.
        repeats: difference in each repeat.
    """

    mean: Estimate
    repeats: tuple[float, ...]

    def text(self) -> str:
        """The mean in percentage points, with its interval.

        >>> PairedScore(Estimate(0.025, -0.004, 0.046), (0.025,)).text()
        '+2.5 points [-0.4, +4.6]'
        """
        mean = self.mean
        shown = f"{100 * mean.value:+.1f} points"
        if mean.low is None or mean.high is None:
            return shown
        return f"{shown} [{100 * mean.low:+.1f}, {100 * mean.high:+.1f}]"


@dataclass(frozen=True)
class PairedScores(Result):
    """Differences of accuracy and macro-F1."""

    accuracy: PairedScore
    macro_f1: PairedScore


def confusion_by_group(
    labels: NDArray[np.integer[Any]], predictions: NDArray[np.integer[Any]], groups: NDArray[np.str_], num_classes: int
) -> NDArray[np.int64]:
    """Count labels and predictions of each group.

    Args:
        labels, predictions: int [B], 0..K-1.
        groups: str [B].
        num_classes: K.

    Returns:
        int64 [G, K, K], groups in the order of their names.
    """
    mine = [groups == group for group in np.unique(groups)]
    return np.stack([confusion_matrix(labels[one], predictions[one], num_classes) for one in mine])


def paired_scores(first: NDArray[np.int64], second: NDArray[np.int64]) -> PairedScores:
    """Compute how much better the first classifier is than the second.

    Args:
        first, second: int [G, R, K, K], confusion matrix of each group and repeat, on the same windows.

    >>> good, bad = np.array([[[[4, 0], [0, 4]]]]), np.array([[[[3, 1], [1, 3]]]])
    >>> paired_scores(good, bad).accuracy
    PairedScore(mean=Estimate(value=0.25, low=None, high=None), repeats=(0.25,))
    """
    both = np.stack([first, second], axis=2)
    return PairedScores(accuracy=_paired(both, accuracy), macro_f1=_paired(both, macro_f1))


def _paired(both: NDArray[np.int64], score: Callable[[NDArray[Any]], NDArray[np.float64]]) -> PairedScore:
    """Difference of a score from confusion matrices [G, R, 2, K, K]."""

    def of_repeats(confusions: NDArray[Any]) -> NDArray[np.float64]:
        scores = score(confusions)
        return np.asarray(scores[..., 0] - scores[..., 1])

    mean = estimate_over_groups(both, lambda confusions: np.asarray(of_repeats(confusions).mean(axis=-1)))
    return PairedScore(mean, tuple(of_repeats(both.sum(axis=0)).tolist()))
