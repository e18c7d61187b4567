"""Effect of a split by window: the same quick classifier, cross-validated by window and by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.recording import Dataset, Recording, Windows, select_windows
from edge_seq.data.splits import assign_folds
from edge_seq.data.statistics import window_statistics
from edge_seq.data.windows import make_windows
from edge_seq.scores.metrics import Estimate, MainScores, evaluate_predictions
from edge_seq.support.errors import DataError, ToolError
from edge_seq.support.results import Result

FOLDS, MAX_WINDOWS, TREES, RESAMPLES = 5, 4000, 100, 1000


@dataclass(frozen=True)
class Leak(Result):
    """Gain in score of the same classifier when windows of one group are on both sides of the split.

    Attributes:
        by_window: scores of a cross-validation by window.
        by_group: scores of a cross-validation by group.
        gap: accuracy by window less accuracy by group; both come from the same resamples.
        windows, groups: number of windows and of groups that were scored.
        text: the gap in one sentence.
    """

    by_window: MainScores
    by_group: MainScores
    gap: Estimate
    windows: int
    groups: int
    text: str


def measure_leak(dataset: Dataset, *, seed: int, minimum_share: float) -> Leak:
    """Cross-validate a random forest on window statistics in five folds (or fewer), by window and by group.

    A test part that the source gives is not used. Large data sets are reduced to 4,000 windows, spread evenly.

    Args:
        dataset: labelled recordings.
        seed: seed of folds, forest and resampling.
        minimum_share: share of a window that its label must cover, 0 to 1.

    Raises:
        DataError: there are too few groups to split by.
        ToolError: scikit-learn is missing.
    """
    contract = dataset.contract
    recordings = [one for one in dataset.recordings if one.split != "test"]
    fold_of_group = _folds(dataset, recordings, seed, minimum_share)
    windows = make_windows(
        recordings, length=contract.window_length, stride=contract.window_stride, minimum_share=minimum_share
    )
    chosen = np.linspace(0, len(windows.labels) - 1, min(MAX_WINDOWS, len(windows.labels))).astype(int)
    windows = select_windows(windows, np.unique(chosen))
    by_group = np.array([fold_of_group[group] for group in windows.groups])
    by_window = np.random.default_rng(seed).permutation(len(windows.labels)) % (1 + max(fold_of_group.values()))
    scores = {
        name: _cross_validate(windows, folds, dataset, seed)
        for name, folds in (("by_window", by_window), ("by_group", by_group))
    }
    right = {name: one.argmax(axis=1) == windows.labels for name, one in scores.items()}
    low, high = _gap_interval(right["by_window"], right["by_group"], windows.groups, seed)
    gap = float(right["by_window"].mean() - right["by_group"].mean())
    by_window_scores, by_group_scores = (
        evaluate_predictions(
            windows.labels, scores[name], windows.groups, label_names=dataset.labels, bootstrap=RESAMPLES, seed=seed
        ).main
        for name in ("by_window", "by_group")
    )
    return Leak(
        by_window=by_window_scores,
        by_group=by_group_scores,
        gap=Estimate(gap, low, high),
        windows=len(windows.labels),
        groups=len(set(windows.groups.tolist())),
        text=(
            f"the accuracy of a random forest is {by_window_scores.accuracy} split by window and "
            f"{by_group_scores.accuracy} split by group: the leak is {100 * gap:.1f} points "
            f"[{100 * low:.1f}, {100 * high:.1f}]"
        ),
    )


def _folds(dataset: Dataset, recordings: Sequence[Recording], seed: int, minimum_share: float) -> dict[str, int]:
    """Assign groups to five folds, or to fewer (at least 2) if a class is in fewer groups."""
    for folds in range(FOLDS, 2, -1):
        try:
            return assign_folds(dataset, recordings, folds=folds, seed=seed, minimum_share=minimum_share)
        except DataError:
            continue
    return assign_folds(dataset, recordings, folds=2, seed=seed, minimum_share=minimum_share)


@dataclass(frozen=True, kw_only=True)
class MeasuredLeak(Result):
    """Size of the leak of a split that has windows of one group on both sides.

    Attributes:
        leak: Scores with and without the leak; None where the data do not allow to measure it.
        leak_text: The size of the leak, or why it was not measured, in one sentence.
    """

    leak: Leak | None
    leak_text: str


def try_to_measure_leak(dataset: Dataset, *, seed: int, minimum_share: float) -> MeasuredLeak:
    """Measure the leak as :func:`measure_leak` does; give the reason if it cannot be measured."""
    try:
        leak = measure_leak(dataset, seed=seed, minimum_share=minimum_share)
    except (DataError, ToolError) as error:
        return MeasuredLeak(leak=None, leak_text=f"the size of the leak cannot be measured: {error}")
    return MeasuredLeak(leak=leak, leak_text=leak.text)


def _cross_validate(windows: Windows, folds: NDArray[np.integer], dataset: Dataset, seed: int) -> NDArray[np.float64]:
    """Predict the probabilities float64 [B, K] of each window by a forest that was trained on the other folds."""
    from edge_seq.training.features import preprocessed_counts

    try:
        from sklearn.ensemble import RandomForestClassifier
    except ImportError as error:
        raise ToolError("scikit-learn is not installed; pip install 'edge-seq[data]'") from error
    features = window_statistics(preprocessed_counts(np.asarray(windows.counts), dataset.contract))
    probabilities = np.zeros((len(windows.labels), len(dataset.labels)))
    for fold in np.unique(folds):
        inside, outside = folds != fold, folds == fold
        forest = RandomForestClassifier(TREES, class_weight="balanced", random_state=seed, n_jobs=1)
        forest.fit(features[inside], windows.labels[inside])
        probabilities[np.ix_(outside, forest.classes_)] = forest.predict_proba(features[outside])
    return probabilities


def _gap_interval(
    by_window: NDArray[np.bool_], by_group: NDArray[np.bool_], groups: NDArray[np.str_], seed: int
) -> tuple[float, float]:
    """95 % interval of the difference of two accuracies, from drawing whole groups with replacement."""
    names, index = np.unique(groups, return_inverse=True)
    size = np.bincount(index)
    difference = np.bincount(index, weights=by_window.astype(float) - by_group)
    drawn = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=RESAMPLES)
    low, high = np.quantile(drawn @ difference / (drawn @ size), [0.025, 0.975])
    return float(low), float(high)
