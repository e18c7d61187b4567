"""Check that windows of different groups lie at the same level, or that a network could still learn from them.

The mean of an accelerometer's window is gravity, which shows how the sensor was mounted. Where it differs between a few
sessions, it tells the session, and often the class of a recording, but nothing in the next session. A network learns it
first, because it is easy, and fails there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.audit.finding import Finding
from edge_seq.data.audit.folds import folds_by_group, folds_by_time, levels, mean_recall, motion, out_of_fold
from edge_seq.data.audit.sample import WindowSample
from edge_seq.data.source import DataSource
from edge_seq.ir.contract import axis_triples

# With so many groups a network sees enough levels to learn that they say nothing.
ENOUGH_GROUPS = 6
# Difference of the levels of groups from which on a network suffers, in standard deviations of the samples, which is
# what it sees: its inputs are normalised by them.
SHIFT = 0.5
# Shares of what chance leaves open: means alone tell more than this in other groups, if they belong to the class; the
# other statistics tell at least this, if the means can be spared.
CARRIES_OVER, ENOUGH = 0.35, 0.5
MIN_WINDOWS = 40
_NEIGHBOURS, _TREES = 5, 50


def check_mounting(sample: WindowSample | None, source: DataSource) -> list[Finding]:
    """See whether the means of windows differ between groups, and tell the class there but not in other groups.

    Nothing is found where the preprocessing of the data source takes the means away.

    Raises:
        ToolError: scikit-learn is not installed.
    """
    if sample is None or source.preprocessing.step != "none" or len(sample.labels) < MIN_WINDOWS:
        return []
    classes, y = np.unique(sample.labels, return_inverse=True)
    names, groups = np.unique(sample.groups, return_inverse=True)
    if len(classes) < 2 or not 2 <= len(names) < ENOUGH_GROUPS:
        return []
    means = levels(sample)
    spread = sample.values.std(axis=(0, 1), dtype=np.float64)
    scaled = means[:, spread > 0] / spread[spread > 0]
    shifts = group_distances(scaled, y, groups)
    if not np.isfinite(shifts).any() or (shift := float(np.nanmean(shifts))) < SHIFT:
        return []
    by_group = folds_by_group(sample.labels, sample.groups)
    across = _of_neighbours(scaled, y, by_group)
    within = _of_neighbours(scaled, y, folds_by_time(sample))
    chance = 1 / len(classes)
    if across is None or within is None or (across - chance) / (1 - chance) > CARRIES_OVER:
        return []
    moving = mean_recall(out_of_fold(motion(sample), y, by_group, trees=_TREES), y)
    return [Finding("mounting", "warning", _text(source, len(names), shift, within, across, moving, chance))]


def _text(
    source: DataSource, groups: int, shift: float, within: float, across: float, moving: float | None, chance: float
) -> str:
    found = (
        f"the mean of a window (mounting angle, offset) differs by {shift:.1f} standard deviations between {groups} "
        f"groups. Alone it tells the class with a mean recall of {within:.0%} within the same groups and {across:.0%} "
        f"in other groups, chance is {chance:.0%}"
    )
    if moving is None or (moving - chance) / (1 - chance) < ENOUGH:
        rest = "" if moving is None else f" ({moving:.0%} in other groups)"
        return (
            f"{found}. Without the means the classes can hardly be told either{rest}. Mount the sensor alike in every "
            "session, or record more sessions, each with all classes"
        )
    turns = (
        "; or train with rotations: --set training.augmentation.rotation=any" if axis_triples(source.contract) else ""
    )
    return (
        f"{found}; without the means it is {moving:.0%} in other groups. A network learns the means first and fails in "
        f'a new session. Take them away in the data source: preprocessing = {{ step = "remove_gravity" }}{turns}'
    )


def _of_neighbours(features: NDArray[np.float64], y: NDArray[np.intp], folds: NDArray[np.int64]) -> float | None:
    """Mean recall of the five nearest neighbours in the other folds; None if fewer than two classes are predicted."""
    from sklearn.neighbors import KNeighborsClassifier

    found = np.full((len(y), int(y.max()) + 1), np.nan)
    for fold in np.unique(folds):
        inside = folds != fold
        known = np.unique(y[inside])
        outside = ~inside & np.isin(y, known)
        if len(known) < 2 or not outside.any():
            continue
        nearest = KNeighborsClassifier(min(_NEIGHBOURS, int(inside.sum()))).fit(features[inside], y[inside])
        rows = np.zeros((int(outside.sum()), found.shape[1]))
        rows[:, nearest.classes_] = nearest.predict_proba(features[outside])
        found[outside] = rows
    return mean_recall(found, y)


def group_distances(
    block: NDArray[np.float64], labels: NDArray[np.intp], groups: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Measure how far the windows of each group lie from those of the same classes in other groups.

    The distance of two centres is the root of the mean square over the features. The middle of the others is the median
    of their centres, so that one group that stands apart does not move it.

    Args:
        block: float64 [N, F], features of the windows.
        labels: int [N], index of the class.
        groups: int [N], index of the group, each of 0 to G - 1 at least once.

    Returns:
        distances, float64 [G], the mean over the classes of a group; NaN if it shares no class with another group.
    """
    centres = np.full((int(labels.max()) + 1, int(groups.max()) + 1, block.shape[1]), np.nan)
    for k, g in set(zip(labels.tolist(), groups.tolist(), strict=True)):
        centres[k, g] = block[(labels == k) & (groups == g)].mean(axis=0)
    distances = np.full(centres.shape[:2], np.nan)
    for k, of_class in enumerate(centres):
        having = np.flatnonzero(np.isfinite(of_class).all(axis=1)) if block.shape[1] else np.empty(0, dtype=np.intp)
        for g in having if len(having) > 1 else ():
            others = np.median(of_class[having[having != g]], axis=0)
            distances[k, g] = np.sqrt(((of_class[g] - others) ** 2).mean())
    known = np.isfinite(distances)
    count = known.sum(axis=0)
    total: NDArray[np.float64] = np.where(known, distances, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
