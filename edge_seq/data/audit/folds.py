"""Predictions of windows by forests that did not see them: across groups, or across time within the same groups.

scikit-learn is imported only when they are made.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.audit.sample import WindowSample
from edge_seq.data.statistics import window_statistics
from edge_seq.support.errors import ToolError

FOLDS = 5
_SEED = 0
_BLOCK = 256  # windows whose statistics are computed at once


def levels(sample: WindowSample) -> NDArray[np.float64]:
    """Mean of each channel of each window, float64 [N, C]: gravity as the mounting turns it, and offsets."""
    means: NDArray[np.float64] = sample.values.mean(axis=1, dtype=np.float64)
    return means


def motion(sample: WindowSample) -> NDArray[np.float64]:
    """Statistics of the windows without their means, float64 [N, F]."""
    blocks = []
    for start in range(0, len(sample.values), _BLOCK):
        values = sample.values[start : start + _BLOCK].astype(np.float64)
        blocks.append(window_statistics(values - values.mean(axis=1, keepdims=True)))
    return np.concatenate(blocks)


@contextmanager
def needs_scikit_learn() -> Iterator[None]:
    """Say what to install if the imports in the block find no scikit-learn.

    Raises:
        ToolError: scikit-learn is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise ToolError(
            "data check needs scikit-learn, which is not installed; pip install 'edge-seq[data]'"
        ) from error


def folds_by_group(labels: NDArray[np.str_], groups: NDArray[np.str_]) -> NDArray[np.int64]:
    """Give each window a fold, int64 [N], so that each group is in one fold and classes are spread evenly.

    All windows are in fold 0 if there are too few of them or too few groups.

    Raises:
        ToolError: scikit-learn is not installed.
    """
    with needs_scikit_learn():
        from sklearn.model_selection import StratifiedGroupKFold
    folds = np.zeros(len(labels), dtype=np.int64)
    number = min(FOLDS, len(np.unique(groups)), int(np.unique(labels, return_counts=True)[1].max(initial=0)))
    if number < 2:
        return folds
    splitter = StratifiedGroupKFold(number, shuffle=True, random_state=_SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a class with fewer windows than folds
        for fold, (_, outside) in enumerate(splitter.split(np.zeros((len(labels), 1)), labels, groups)):
            folds[outside] = fold
    return folds


def folds_by_time(sample: WindowSample) -> NDArray[np.int64]:
    """Give each window fold 0 or 1, int64 [N]: the first and the second half of each class in each recording.

    Windows that are alone in their recording get 0 and 1 in turn.
    """
    folds = np.zeros(len(sample.labels), dtype=np.int64)
    alone = 0
    _, cell = np.unique(np.stack([sample.recordings, sample.labels]), axis=1, return_inverse=True)
    for number in range(int(cell.max()) + 1):
        place = np.flatnonzero(cell == number)
        if len(place) == 1:
            folds[place] = alone % 2
            alone += 1
        else:
            place = place[np.argsort(sample.first[place], kind="stable")]
            folds[place[len(place) // 2 :]] = 1
    return folds


def out_of_fold(
    features: NDArray[np.float64], y: NDArray[np.intp], folds: NDArray[np.int64], *, trees: int
) -> NDArray[np.float64]:
    """Predict each fold by extremely randomised trees (Geurts et al. 2006) that learnt the others.

    Args:
        features: float64 [N, F].
        y: int [N], class indices, each of 0 to K - 1 at least once.
        folds: int64 [N].
        trees: number of trees.

    Returns:
        probabilities float64 [N, K]. NaN for windows whose class no other fold has.
    """
    from sklearn.ensemble import ExtraTreesClassifier

    found = np.full((len(y), int(y.max()) + 1), np.nan)
    for fold in np.unique(folds):
        inside, outside = folds != fold, folds == fold
        known = np.unique(y[inside])
        outside &= np.isin(y, known)
        if len(known) < 2 or not outside.any():
            continue
        forest = ExtraTreesClassifier(trees, class_weight="balanced", min_samples_leaf=2, random_state=_SEED)
        forest.fit(features[inside], y[inside])
        rows = np.zeros((int(outside.sum()), found.shape[1]))
        rows[:, forest.classes_] = forest.predict_proba(features[outside])
        found[outside] = rows
    return found


def mean_recall(probabilities: NDArray[np.float64], y: NDArray[np.intp]) -> float | None:
    """Mean recall of the classes that were predicted; None if that are fewer than two."""
    known = np.isfinite(probabilities[:, 0])
    classes = np.unique(y[known])
    if len(classes) < 2:
        return None
    right = probabilities.argmax(axis=1) == y
    return float(np.mean([right[known & (y == one)].mean() for one in classes]))
