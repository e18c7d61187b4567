"""Scores of a classifier on windows, with confidence intervals over groups. numpy only.

Windows of one drive, subject or session resemble each other, so a test set of thousands of windows may hold no more
than a dozen independent observations. The intervals come from resampling whole groups with replacement (a group or
cluster bootstrap, Efron & Tibshirani 1993, chapter 8; percentile interval).

Macro-F1 leaves out a class that has neither labels nor predictions, and balanced accuracy leaves out a class without
labels, as scikit-learn does. The same rules apply in every resample.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.scores import words
from edge_seq.support.errors import DataError
from edge_seq.support.results import Result

ECE_BINS = 15
# Limits of a batch of confusion matrices, whose size grows with the square of the number of classes.
_RESAMPLES_AT_ONCE, _BYTES_AT_ONCE = 256, 1 << 24


@dataclass(frozen=True)
class Estimate:
    """A score and its 95 % confidence interval over groups. The bounds are None with fewer than two groups."""

    value: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{100 * self.value:.1f} %"
        return f"{100 * self.value:.1f} % [{100 * self.low:.1f}, {100 * self.high:.1f}]"


@dataclass(frozen=True)
class ClassScore:
    """Scores of one class, and the interval of its F1.

    A score is None where its divisor is 0: precision without predictions, recall without labels, F1 without either.
    """

    label: str
    support: int
    precision: float | None
    recall: float | None
    f1: float | None
    f1_low: float | None = None
    f1_high: float | None = None


@dataclass(frozen=True)
class MainScores(Result):
    """The two scores that are compared most."""

    accuracy: Estimate
    macro_f1: Estimate


@dataclass(frozen=True)
class Metrics(Result):
    """Scores of one classifier on one set of windows.

    Attributes:
        num_windows: number of windows, B.
        num_groups: number of distinct groups.
        accuracy: share of windows whose label was predicted.
        balanced_accuracy: mean recall of the classes that occur.
        macro_f1: mean F1 of the classes that occur or are predicted.
        majority_accuracy: share of the most frequent label; the accuracy of a constant guess.
        expected_calibration_error: mean of |accuracy - confidence| over 15 bins of equal width, weighted by windows
            (Guo et al. 2017, "On calibration of modern neural networks").
        classes: scores of each class, in the order of the label names.
        confusion: [K][K] number of windows; the row is the label, the column the prediction.
        bootstrap: number of resamples behind the intervals.
        seed: seed of the resampling.
    """

    num_windows: int
    num_groups: int
    accuracy: Estimate
    balanced_accuracy: Estimate
    macro_f1: Estimate
    majority_accuracy: float
    expected_calibration_error: float
    classes: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    bootstrap: int
    seed: int

    @property
    def window_scores(self) -> tuple[Estimate, ...]:
        """The scores of ``words.WINDOW_SCORES``, in their order."""
        return tuple(getattr(self, name) for name in words.WINDOW_SCORES)

    @property
    def main(self) -> MainScores:
        """Accuracy and macro-F1."""
        return MainScores(self.accuracy, self.macro_f1)


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Compute probabilities from logits along the last axis, in float64 and without overflow.

    >>> softmax(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    shifted = np.asarray(logits, dtype=np.float64)
    shifted = np.exp(shifted - shifted.max(axis=-1, keepdims=True))
    result: NDArray[np.float64] = shifted / shifted.sum(axis=-1, keepdims=True)
    return result


def confusion_matrix(
    labels: NDArray[np.integer[Any]], predictions: NDArray[np.integer[Any]], num_classes: int
) -> NDArray[np.int64]:
    """Count the windows of each label and prediction: the row is the label, the column the prediction.

    Args:
        labels: [B], 0..K-1.
        predictions: [B], 0..K-1.
        num_classes: K.

    Returns:
        int64 [K, K].
    """
    index = labels.astype(np.int64) * num_classes + predictions
    return np.bincount(index, minlength=num_classes**2).reshape(num_classes, num_classes)


def accuracy(confusion: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Share of windows on the diagonal: int [..., K, K] to float64 [...]. An empty matrix gives 0."""
    right = np.trace(confusion, axis1=-2, axis2=-1)
    return _ratio(right, confusion.sum(axis=(-2, -1)))


def balanced_accuracy(confusion: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Mean recall of the classes with labels: int [..., K, K] to float64 [...]."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    support = confusion.sum(axis=-1)
    return _ratio(_ratio(right, support).sum(axis=-1), (support > 0).sum(axis=-1))


def macro_f1(confusion: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Mean F1 of the classes with labels or predictions: int [..., K, K] to float64 [...]."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    total = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    return _ratio(_ratio(2 * right, total).sum(axis=-1), (total > 0).sum(axis=-1))


def _confidence_bins(
    labels: NDArray[np.integer[Any]], probabilities: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Number of windows, sum of confidences and number of right predictions in each bin of confidence, each [15]."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0.0, 1.0, ECE_BINS + 1)[1:-1]
    bins = np.digitize(confidence, edges, right=True)
    confidences = np.bincount(bins, weights=confidence, minlength=ECE_BINS).astype(np.float64)
    rights = np.bincount(bins, weights=right, minlength=ECE_BINS).astype(np.float64)
    return np.bincount(bins, minlength=ECE_BINS).astype(np.int64), confidences, rights


def expected_calibration_error(labels: NDArray[np.integer[Any]], probabilities: NDArray[np.floating[Any]]) -> float:
    """Mean gap between confidence and accuracy over 15 bins of equal width.

    Args:
        labels: [B], 0..K-1.
        probabilities: [B, K].
    """
    _, confidences, rights = _confidence_bins(labels, probabilities)
    return float(np.abs(rights - confidences).sum() / len(labels))


@dataclass(frozen=True)
class ReliabilityBin:
    """One bar of a reliability diagram: the windows whose highest probability is in (low, high].

    Attributes:
        low, high: ends of the bin.
        windows: number of windows in the bin.
        confidence: mean of their highest probabilities; None for an empty bin.
        accuracy: share of them whose label was predicted; None for an empty bin.
    """

    low: float
    high: float
    windows: int
    confidence: float | None
    accuracy: float | None


def reliability_bins(
    labels: NDArray[np.integer[Any]], probabilities: NDArray[np.floating[Any]]
) -> tuple[ReliabilityBin, ...]:
    """Compute the bins of a reliability diagram (DeGroot and Fienberg 1983; Guo et al. 2017).

    They are the bins of :func:`expected_calibration_error`.

    Args:
        labels: [B], 0..K-1.
        probabilities: [B, K].

    >>> bins = reliability_bins(np.array([0, 1]), np.array([[0.99, 0.01], [0.98, 0.02]]))
    >>> bins[-1].windows, bins[-1].accuracy
    (2, 0.5)
    """
    windows, confidences, rights = _confidence_bins(labels, probabilities)
    edges = np.linspace(0.0, 1.0, ECE_BINS + 1).tolist()
    return tuple(
        ReliabilityBin(
            low=edges[index],
            high=edges[index + 1],
            windows=count,
            confidence=float(confidences[index] / count) if count else None,
            accuracy=float(rights[index] / count) if count else None,
        )
        for index, count in enumerate(windows.tolist())
    )


def evaluate_predictions(
    labels: NDArray[np.integer[Any]],
    probabilities: NDArray[np.floating[Any]],
    groups: NDArray[np.str_],
    *,
    label_names: Sequence[str],
    bootstrap: int = 1000,
    seed: int = 0,
) -> Metrics:
    """Score probabilities against labels. The prediction is the class with the highest probability, the first on a tie.

    Args:
        labels: int [B], 0..K-1.
        probabilities: float [B, K], rows sum to 1; convert logits with :func:`softmax`.
        groups: str [B], drive, subject or session of each window.
        label_names: K names.
        bootstrap: number of resamples of the groups; 0 leaves the intervals out.
        seed: seed of the resampling.

    Raises:
        DataError: there are no windows, lengths or numbers of classes differ, a label is out of range, or a row is not
            a distribution.

    >>> metrics = evaluate_predictions(np.array([0, 1]), np.eye(2), np.array(["a", "b"]), label_names=("no", "yes"))
    >>> metrics.accuracy.value, metrics.majority_accuracy
    (1.0, 0.5)
    """
    num_classes = len(label_names)
    _check(labels, probabilities, groups, num_classes, bootstrap)
    names, group_index = np.unique(groups, return_inverse=True)
    predictions = probabilities.argmax(axis=1)
    by_group = np.zeros((len(names), num_classes, num_classes), dtype=np.int64)
    np.add.at(by_group, (group_index, labels.astype(np.int64), predictions), 1)
    confusion = by_group.sum(axis=0)
    scores = (accuracy, balanced_accuracy, macro_f1)
    *resampled, f1_resampled = _over_resamples((*scores, _class_f1), by_group, bootstrap, seed)
    estimates = {
        score.__name__: Estimate(float(score(confusion)), *_interval(values))
        for score, values in zip(scores, resampled, strict=True)
    }
    return Metrics(
        num_windows=len(labels),
        num_groups=len(names),
        **estimates,
        majority_accuracy=float(confusion.sum(axis=1).max() / len(labels)),
        expected_calibration_error=expected_calibration_error(labels, probabilities),
        classes=tuple(_class_score(confusion, f1_resampled[:, k], k, name) for k, name in enumerate(label_names)),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        bootstrap=bootstrap,
        seed=seed,
    )


def estimate_over_groups(
    by_group: NDArray[np.integer[Any]],
    score: Callable[[NDArray[np.integer[Any]]], NDArray[np.float64]],
    *,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Score confusion matrices that are kept by group, with a confidence interval over groups.

    Args:
        by_group: int [G, K, K], one matrix a group; for several trainings, the sum of their matrices.
        score: :func:`accuracy`, :func:`balanced_accuracy` or :func:`macro_f1`.
        bootstrap: number of resamples of the groups; 0 leaves the interval out.
        seed: seed of the resampling.

    >>> estimate_over_groups(np.array([[[3, 1], [0, 4]]]), accuracy)  # one group has no interval
    Estimate(value=0.875, low=None, high=None)
    """
    whole = np.asarray(by_group, dtype=np.int64)
    (resampled,) = _over_resamples((score,), whole, bootstrap, seed)
    return Estimate(float(score(whole.sum(axis=0))), *_interval(resampled))


def _check(
    labels: NDArray[np.integer[Any]],
    probabilities: NDArray[np.floating[Any]],
    groups: NDArray[np.str_],
    num_classes: int,
    bootstrap: int,
) -> None:
    if len(labels) == 0:
        raise DataError("evaluation: there are no windows to score; expected at least one")
    if not len(labels) == len(probabilities) == len(groups):
        raise DataError(
            f"evaluation: {len(labels)} labels, {len(probabilities)} rows of probabilities and {len(groups)} groups; "
            "expected one of each for every window"
        )
    if probabilities.ndim != 2 or probabilities.shape[1] != num_classes:
        raise DataError(
            f"evaluation: probabilities have shape {list(probabilities.shape)}; expected [windows, {num_classes}], a "
            "column for each label name"
        )
    if labels.min() < 0 or labels.max() >= num_classes:
        raise DataError(
            f"evaluation: labels reach from {labels.min()} to {labels.max()}; expected 0 to {num_classes - 1}. Drop "
            "unlabelled windows first"
        )
    if not np.all(probabilities >= 0) or np.abs(probabilities.sum(axis=1) - 1).max() > 1e-3:
        raise DataError(
            "evaluation: rows are not probabilities (non-negative, sum 1); pass edge_seq.scores.metrics.softmax(logits)"
        )
    if bootstrap < 0:
        raise DataError(f"evaluation: bootstrap is {bootstrap}; give the number of resamples, 0 for no intervals")


def _over_resamples(
    scores: Sequence[Callable[[NDArray[np.int64]], NDArray[np.float64]]],
    by_group: NDArray[np.int64],
    bootstrap: int,
    seed: int,
) -> list[NDArray[np.float64]]:
    """Apply each score to the confusion matrices of all resamples: [R, ...]; R is 0 with fewer than two groups.

    The resamples are made in batches, because 1,000 matrices of 300 classes would take 720 MB.
    """
    parts = [[score(confusions) for score in scores] for confusions in _resample(by_group, bootstrap, seed)]
    return [np.concatenate(values) for values in zip(*parts, strict=True)]


def _resample(by_group: NDArray[np.int64], bootstrap: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield batches of confusion matrices [..., K, K] of groups drawn with replacement. The first batch is empty."""
    num_groups, of_one = len(by_group), by_group.shape[1:]
    yield np.empty((0, *of_one), dtype=np.int64)
    if num_groups < 2:
        return
    generator = np.random.default_rng(seed)
    at_once = min(_RESAMPLES_AT_ONCE, max(1, _BYTES_AT_ONCE // (8 * math.prod(of_one))))
    for start in range(0, bootstrap, at_once):
        # The generator draws row after row, so the size of the batches does not change the result.
        rows = min(at_once, bootstrap - start)
        times_drawn = generator.multinomial(num_groups, np.full(num_groups, 1 / num_groups), size=rows)
        yield np.tensordot(times_drawn, by_group, axes=1)


def _interval(values: NDArray[np.float64]) -> tuple[float | None, float | None]:
    if len(values) == 0:
        return None, None
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _class_f1(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """F1 of each class, [..., K, K] to [..., K]; NaN for a class with neither labels nor predictions."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    total = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    return np.where(total > 0, _ratio(2 * right, total), np.nan)


def _class_score(confusion: NDArray[np.int64], f1_resampled: NDArray[np.float64], k: int, name: str) -> ClassScore:
    right, support, predicted = int(confusion[k, k]), int(confusion[k].sum()), int(confusion[:, k].sum())
    low, high = _interval(f1_resampled[np.isfinite(f1_resampled)])  # not every resample has the class
    return ClassScore(
        label=name,
        support=support,
        precision=right / predicted if predicted else None,
        recall=right / support if support else None,
        f1=2 * right / (support + predicted) if support + predicted else None,
        f1_low=low,
        f1_high=high,
    )


def _ratio(numerator: NDArray[Any], denominator: NDArray[Any]) -> NDArray[np.float64]:
    """Elementwise quotient of counts; 0 where the divisor is 0."""
    result: NDArray[np.float64] = np.asarray(numerator, dtype=np.float64) / np.maximum(denominator, 1)
    return result
