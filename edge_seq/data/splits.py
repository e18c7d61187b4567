"""Splits into train, validation and test part by group: drive, subject or session.

Windows of one drive resemble each other more than those of another drive, and overlapping windows share samples. A
split with one drive on both sides measures how well windows are memorised. Such a split exists here only under a name
that says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.checks import check_one_split_per_group
from edge_seq.data.recording import SIDES, Dataset, Recording, Windows, select_windows
from edge_seq.data.windows import DEFAULT_MINIMUM_SHARE, label_windows, make_windows
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.support.figure_text import counted

SplitKind = Literal["group", "time_blocks", "window_leaking_groups"]


# What to do about groups that are too few for a split by group, as options of a command and in Python.
FEW_GROUPS = (
    "Record more groups that hold several classes; or set a fraction to 0, for example --set "
    "data.validation_fraction=0 --set training.keep=last; or split by time, which is weaker evidence: --set "
    "data.split=time_blocks"
)
FEW_GROUPS_IN_PYTHON = (
    "Record more groups that hold several classes; or set a fraction to 0, for example validation_fraction=0, and "
    "train with config=es.TrainingConfig(keep='last'); or let es.load split by time, which is weaker evidence: "
    "split='time_blocks'"
)


@dataclass(frozen=True)
class Split:
    """Recordings of each side. No group is on two sides, and every class has windows on every side that is not empty.

    Attributes:
        train, validation, test: recordings in the order of the data set. Validation or test is empty if its fraction is
            0 and the source gives none.
    """

    train: tuple[Recording, ...]
    validation: tuple[Recording, ...]
    test: tuple[Recording, ...]


def check_split_kind(kind: str) -> SplitKind:
    """Check the configuration's ``split``.

    Raises:
        ConfigError: there is no such split. The message explains why ``window`` is refused.
    """
    if kind == "group":
        return "group"
    if kind == "time_blocks":
        return "time_blocks"
    if kind == "window_leaking_groups":
        return "window_leaking_groups"
    if kind == "window":
        raise ConfigError(
            'split = "window" is refused: windows of one drive, subject or session would be on both sides, and the '
            'score would be too good. Use split = "group"; to measure the effect of the leak, use split = '
            '"window_leaking_groups"'
        )
    raise ConfigError(f"split = {kind!r} is unknown; give one of {list(get_args(SplitKind))}")


def split_by_group(
    dataset: Dataset,
    *,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
    minimum_share: float = DEFAULT_MINIMUM_SHARE,
) -> Split:
    """Split whole groups so that every class has windows on every side and the sizes are close to the fractions.

    A split that the source gives is kept. A missing validation part is taken from its train part by
    ``validation_fraction``, a missing test part by ``test_fraction``. The fraction of a part that the source gives is
    not used.

    Up to 200 random assignments are drawn, each with every class on every side. The one whose shares of the classes are
    closest to the fractions is used. It depends on the labels and ``seed`` only. (scikit-learn's group splitters do not
    ensure every class on every side, and StratifiedGroupKFold offers fractions of 1/n only.)

    Args:
        dataset: labelled recordings.
        validation_fraction, test_fraction: fractions of the windows that are split, each in [0, 1), together below 1.
        seed: seed of the assignment.
        minimum_share: share that ``make_windows`` will be given; classes are counted in windows.

    Raises:
        ConfigError: a fraction is out of range.
        DataError: a class has windows in too few groups, or the source's split lacks a class on a side or puts a group
            on two sides.
    """
    fractions = _check_fractions(validation_fraction, test_fraction)
    check_one_split_per_group([(r.group, r.split) for r in dataset.recordings])
    sides: dict[str, list[Recording]] = {side: [] for side in SIDES}
    for recording in dataset.recordings:
        sides[recording.split or "train"].append(recording)
    missing = [side for side in SIDES[1:] if not sides[side] and fractions[side] > 0]
    if missing:
        wanted = {side: fractions[side] for side in missing}
        side_of_group = _assign_groups(dataset, sides["train"], wanted, seed, minimum_share)
        pool, sides["train"] = sides["train"], []
        for recording in pool:
            sides[side_of_group[recording.group]].append(recording)
    split = Split(train=tuple(sides["train"]), validation=tuple(sides["validation"]), test=tuple(sides["test"]))
    _check_split(dataset, split, minimum_share)
    return split


def split_by_fold(
    dataset: Dataset,
    *,
    folds: int,
    fold: int,
    seed: int,
    validation_fraction: float = 0.0,
    minimum_share: float = DEFAULT_MINIMUM_SHARE,
) -> Split:
    """Split for one fold of a cross-validation by group. The fold is the test part. Every class is in every fold.

    Other seeds give other folds, so several seeds give a repeated cross-validation. The test part that a source gives
    is left out. Its train and validation parts are joined.

    Args:
        dataset: labelled recordings.
        folds: number of folds, at least 2.
        fold: number of the fold, from 1.
        seed: seed of the assignment of groups to folds.
        validation_fraction: fraction of the windows outside the fold, taken by group.
        minimum_share: share that ``make_windows`` will be given.

    Raises:
        ConfigError: folds, fold or fraction is out of range.
        DataError: a class has windows in too few groups.
    """
    if folds < 2 or not 1 <= fold <= folds:
        raise ConfigError(f"fold {fold} of {folds}; give at least 2 folds, and a fold from 1 to {max(folds, 2)}")
    _check_fractions(validation_fraction, 0.0)
    pool = [one for one in dataset.recordings if one.split != "test"]
    fold_of_group = assign_folds(dataset, pool, folds=folds, seed=seed, minimum_share=minimum_share)
    sides = {group: "test" if found == fold - 1 else "train" for group, found in fold_of_group.items()}
    if validation_fraction > 0:
        rest = [one for one in pool if sides[one.group] == "train"]
        sides |= _assign_groups(dataset, rest, {"validation": validation_fraction}, seed, minimum_share)
    of_side = {side: tuple(one for one in pool if sides[one.group] == side) for side in SIDES}
    split = Split(**of_side)
    _check_split(dataset, split, minimum_share)
    return split


def assign_folds(
    dataset: Dataset, recordings: Sequence[Recording], *, folds: int, seed: int, minimum_share: float
) -> dict[str, int]:
    """Assign a fold, 0 to ``folds`` - 1, to each group, with every class in every fold and sizes that are nearly equal.

    Raises:
        DataError: a class has windows in too few groups.
    """
    names = [f"fold {number}" for number in range(1, folds + 1)]
    sides = _assign(dataset, recordings, dict.fromkeys(names, 1 / folds), seed, minimum_share)
    return {group: names.index(side) for group, side in sides.items()}


def split_by_time_blocks(
    dataset: Dataset,
    *,
    validation_fraction: float = 0.2,
    test_fraction: float = 0.2,
    minimum_share: float = DEFAULT_MINIMUM_SHARE,
) -> Split:
    """Cut recordings into blocks of time: the beginning of each class to train, then validation, the end to test.

    For data of one or two sessions, which cannot be split by group. The sides share the session, its mounting and its
    habits, so scores are weaker evidence than those of a split by group. Within a recording,
    samples within one window length of a block of another side are left out, so that no two windows of different sides
    are closer in time than a window. Recordings that follow each other without a pause have no such gap between them.

    Args:
        dataset: recordings. A part that the source gives (``split``) is refused, because it is better than blocks.
        validation_fraction: share of the labelled samples of each class for validation; 0 for none.
        test_fraction: share of the labelled samples of each class for the test; 0 for none.
        minimum_share: share of a window that its label must cover.

    Raises:
        ConfigError: a fraction is out of range.
        DataError: the source gives parts of its own, or a class has too few samples for every side.
    """
    fractions = _check_fractions(validation_fraction, test_fraction)
    shares = {"train": 1 - sum(fractions.values()), **fractions}
    return _split_by_time(dataset, shares, minimum_share=minimum_share)


def split_by_time_fold(
    dataset: Dataset,
    *,
    folds: int,
    fold: int,
    seed: int,
    validation_fraction: float = 0.0,
    minimum_share: float = DEFAULT_MINIMUM_SHARE,
) -> Split:
    """Split for one fold of a cross-validation by blocks of time. The fold is one block of each class, the test part.

    The block before it is for validation. A seed begins the blocks at another time, so several seeds give a repeated
    cross-validation. The test part is a group of its own, because blocks, not sessions, are the units that scores vary
    over. For the gaps between sides, and why this is weaker evidence, see :func:`split_by_time_blocks`.

    Args:
        dataset: recordings, without parts that the source gives.
        folds: number of blocks, at least 2.
        fold: number of the block, from 1.
        seed: seed of the time at which the first block begins.
        validation_fraction: fraction of the samples outside the fold.
        minimum_share: share of a window that its label must cover.

    Raises:
        ConfigError: folds, fold or fraction is out of range.
        DataError: the source gives parts of its own, or a class has too few samples for every side.
    """
    if folds < 2 or not 1 <= fold <= folds:
        raise ConfigError(f"fold {fold} of {folds}; give at least 2 folds, and a fold from 1 to {max(folds, 2)}")
    _check_fractions(validation_fraction, 0.0)
    begin = float(np.random.default_rng(seed).uniform(0, 1 / folds)) if seed else 0.0
    validation = validation_fraction * (1 - 1 / folds)
    shares = {"test": 1 / folds, "train": 1 - 1 / folds - validation, "validation": validation}
    return _split_by_time(
        dataset, shares, begin=begin + (fold - 1) / folds, unit=f"block {fold}", minimum_share=minimum_share
    )


def split_by_time_block(
    dataset: Dataset, *, scored_fraction: float, seed: int, minimum_share: float = DEFAULT_MINIMUM_SHARE
) -> Split:
    """Split off one block of time as the validation part, another one for each seed; it is a group of its own.

    Args:
        dataset: recordings, without parts that the source gives.
        scored_fraction: fraction of the labelled samples of each class in the block.
        seed: seed of the time at which the block begins.
        minimum_share: share of a window that its label must cover.

    Raises:
        ConfigError, DataError: the same cases as :func:`split_by_time_fold`.
    """
    _check_fractions(scored_fraction, 0.0)
    begin = float(np.random.default_rng(seed).uniform(0, 1))
    shares = {"validation": scored_fraction, "train": 1 - scored_fraction}
    return _split_by_time(dataset, shares, begin=begin, unit=f"block {seed}", minimum_share=minimum_share)


def _split_by_time(
    dataset: Dataset,
    shares: Mapping[str, float],
    *,
    begin: float = 0.0,
    unit: str | None = None,
    minimum_share: float,
) -> Split:
    """Cut recordings where the sides change.

    Args:
        dataset: recordings.
        shares: share of the labelled samples of each class on each side, in the order of time; the sum is 1.
        begin: share of the samples of each class before the first side; the last side goes on at the beginning.
        unit: group of the scored part, the first side; None keeps the groups.
        minimum_share: share of a window that its label must cover.
    """
    given = sorted({recording.split for recording in dataset.recordings if recording.split is not None})
    if given:
        message = f"cannot split by time: the source gives parts of its own ({', '.join(given)}); "
        raise DataError(
            f"{message}set data.split=group, which keeps to them",
            in_python=f"{message}give split='group', which keeps to them",
        )
    names = list(shares)
    pieces: dict[str, list[Recording]] = {side: [] for side in SIDES}
    window = dataset.contract.window_length
    for recording, of_samples in zip(dataset.recordings, _sides_by_time(dataset, shares, begin), strict=True):
        edges = [0, *(np.flatnonzero(np.diff(of_samples)) + 1).tolist(), len(of_samples)]
        for start, end in pairwise(edges):
            first = start if start == 0 else start + window  # the gap to the block before
            if end - first < window:
                continue
            side = names[int(of_samples[start])]
            pieces[side].append(
                replace(
                    recording,
                    name=f"{recording.name}, samples {first} to {end}",
                    group=unit if unit is not None and side == names[0] else recording.group,
                    counts=recording.counts[first:end],
                    labels=recording.labels[first:end],
                )
            )
    split = Split(tuple(pieces["train"]), tuple(pieces["validation"]), tuple(pieces["test"]))
    for side in (one for one in SIDES if one == "train" or shares.get(one)):
        none = np.zeros(len(dataset.labels), dtype=np.int64)
        total = sum(_windows_of_groups(dataset, getattr(split, side), minimum_share).values(), none)
        missing = [label for label, n in zip(dataset.labels, total, strict=True) if n == 0]
        if missing:
            raise DataError(
                f"cannot split by time: {side} gets no window of {missing}, each at least a "
                f"window of {window} samples away from the other sides; record more, shorten window_length, or set a "
                "fraction to 0"
            )
    return split


def _sides_by_time(dataset: Dataset, shares: Mapping[str, float], begin: float) -> list[NDArray[np.int8]]:
    """Side of each sample of each recording, index into ``shares``; samples without a label go with those before."""
    totals = np.zeros(len(dataset.labels), dtype=np.int64)
    for recording in dataset.recordings:
        labels = np.asarray(recording.labels)
        totals += np.bincount(labels[labels >= 0], minlength=len(totals))
    seen = np.zeros_like(totals)
    sizes = list(shares.values())
    ends = np.array([1 - sum(sizes[after:]) for after in range(1, len(sizes) + 1)])  # shares at which the sides end
    found = []
    for recording in dataset.recordings:
        labels = np.asarray(recording.labels)
        share = np.full(len(labels), -1.0)
        for label in range(len(totals)):
            at = labels == label
            count = int(at.sum())
            share[at] = (seen[label] + np.arange(count)) / max(totals[label], 1)
            seen[label] += count
        if begin:
            share = np.where(share >= 0, (share - begin) % 1.0, share)
        of_samples = np.minimum(np.searchsorted(ends, share, side="right"), len(sizes) - 1).astype(np.int8)
        last = np.maximum.accumulate(np.where(share >= 0, np.arange(len(labels)), 0))
        found.append(of_samples[last])
    return found


def split_by_window_leaking_groups(
    dataset: Dataset,
    *,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
    minimum_share: float = DEFAULT_MINIMUM_SHARE,
) -> tuple[Windows, Windows, Windows]:
    """Split shuffled windows, so that groups and even samples are on several sides. It shows the effect of a leak.

    A split that the source gives is ignored.

    Args:
        dataset: labelled recordings.
        validation_fraction, test_fraction: fractions of the windows, each in [0, 1), together below 1.
        seed: seed of the shuffle.
        minimum_share: see ``make_windows``.

    Returns:
        windows for train, validation and test.

    Raises:
        ConfigError: a fraction is out of range.
        DataError: there is no window.
    """
    fractions = _check_fractions(validation_fraction, test_fraction)
    contract = dataset.contract
    windows = make_windows(
        dataset.recordings,
        length=contract.window_length,
        stride=contract.window_stride,
        minimum_share=minimum_share,
    )
    count = len(windows.labels)
    order = np.random.default_rng(seed).permutation(count)
    test_end = round(fractions["test"] * count)
    validation_end = test_end + round(fractions["validation"] * count)
    parts = (order[validation_end:], order[test_end:validation_end], order[:test_end])
    train, validation, test = (select_windows(windows, part) for part in map(np.sort, parts))
    return train, validation, test


def _check_fractions(validation: float, test: float) -> dict[str, float]:
    for name, value in (("validation_fraction", validation), ("test_fraction", test)):
        if not 0.0 <= value < 1.0:
            raise ConfigError(f"{name} is {value}; give at least 0 and below 1")
    if validation + test >= 1.0:
        raise ConfigError(
            f"validation_fraction {validation} and test_fraction {test} leave nothing to train on; their sum must be "
            "below 1"
        )
    return {"validation": validation, "test": test}


def _windows_of_groups(
    dataset: Dataset, recordings: Sequence[Recording], minimum_share: float
) -> dict[str, NDArray[np.int64]]:
    """Number of windows of each class, int64 [K], in each group."""
    contract = dataset.contract
    counts: dict[str, NDArray[np.int64]] = {}
    for recording in recordings:
        _, labels = label_windows(
            np.asarray(recording.labels),
            length=contract.window_length,
            stride=contract.window_stride,
            minimum_share=minimum_share,
        )
        zero = np.zeros(len(dataset.labels), dtype=np.int64)
        counts[recording.group] = counts.get(recording.group, zero) + np.bincount(labels, minlength=len(zero))
    return counts


def _assign_groups(
    dataset: Dataset, recordings: Sequence[Recording], fractions: dict[str, float], seed: int, minimum_share: float
) -> dict[str, str]:
    """Assign each group of ``recordings`` to ``train`` or to a side of ``fractions``."""
    shares = {"train": 1.0 - sum(fractions.values()), **fractions}
    return _assign(dataset, recordings, shares, seed, minimum_share)


def _assign(
    dataset: Dataset, recordings: Sequence[Recording], share_of: dict[str, float], seed: int, minimum_share: float
) -> dict[str, str]:
    """Assign each group of ``recordings`` to a side, so that the shares of windows are close to ``share_of``."""
    counts_of_group = _windows_of_groups(dataset, recordings, minimum_share)
    groups = list(counts_of_group)
    sides = list(share_of)
    counts = np.stack([counts_of_group[group] for group in groups])  # [G, K]
    present = (counts > 0).sum(axis=0)
    short = [f"{label} in {n}" for label, n in zip(dataset.labels, present, strict=True) if n < len(sides)]
    if short:
        raise _too_few_groups(
            f"each class needs windows in at least {len(sides)} groups, one for each of {sides}; found "
            f"{', '.join(short)} of {counted(len(groups), 'group')}"
        )
    shares = np.array(list(share_of.values()))
    rng = np.random.default_rng(seed)
    best: tuple[float, NDArray[np.int64]] | None = None
    for _ in range(max(20, min(200, 40_000 // len(groups)))):
        side = _one_assignment(counts, shares, rng)
        if side is None:
            continue
        per_side = np.stack([counts[side == s].sum(axis=0) for s in range(len(shares))])  # [S, K]
        error = float(np.abs(per_side / counts.sum(axis=0) - shares[:, np.newaxis]).max())
        if best is None or error < best[0]:
            best = (error, side)
    if best is None:
        raise _too_few_groups(
            f"no assignment of {counted(len(groups), 'group')} to {sides} was found that has every class on every side"
        )
    return {group: sides[s] for group, s in zip(groups, best[1], strict=True)}


def _too_few_groups(found: str) -> DataError:
    """Make the error of a split by group that cannot be made."""
    message = f"cannot split by group: {found}. "
    return DataError(message + FEW_GROUPS, in_python=message + FEW_GROUPS_IN_PYTHON)


def _one_assignment(
    counts: NDArray[np.int64], shares: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64] | None:
    """Draw one assignment: put every class on every side, the rarest class first, then fill up to the shares.

    Args:
        counts: int64 [G, K], windows of each class in each group.
        shares: float64 [S], share of all windows for each side; the sum is 1.

    Returns:
        index of the side of each group, int64 [G]; None if a class did not get onto every side.
    """
    side = np.full(len(counts), -1, dtype=np.int64)
    for label in np.argsort((counts > 0).sum(axis=0), kind="stable"):
        for s in rng.permutation(len(shares)):
            if (counts[side == s, label] > 0).any():
                continue
            free = np.flatnonzero((side == -1) & (counts[:, label] > 0))
            if not free.size:
                return None
            side[rng.choice(free)] = s
    sizes = counts.sum(axis=1)
    targets = shares * sizes.sum()
    filled = np.array([sizes[side == s].sum() for s in range(len(shares))], dtype=np.float64)
    for group in rng.permutation(np.flatnonzero(side == -1)):
        s = int(np.argmax((targets - filled) / targets))  # the side with the largest missing share
        side[group] = s
        filled[s] += sizes[group]
    return side


def _check_split(dataset: Dataset, split: Split, minimum_share: float) -> None:
    """Check what :class:`Split` promises, for sides that the source gives as well as for those assigned here."""
    side_of_group: dict[str, str] = {}
    for side in SIDES:
        recordings: tuple[Recording, ...] = getattr(split, side)
        for recording in recordings:
            if side_of_group.setdefault(recording.group, side) != side:
                raise DataError(f"group {recording.group!r} is both in {side_of_group[recording.group]} and in {side}")
        if not recordings:
            if side == "train":
                raise DataError("the source gives no group for train; name at least one in its split")
            continue
        total = sum(_windows_of_groups(dataset, recordings, minimum_share).values())
        missing = [label for label, n in zip(dataset.labels, np.atleast_1d(total), strict=True) if n == 0]
        if missing:
            raise DataError(
                f"split: {side} ({counted(len(recordings), 'recording')}) has no window of {missing}; every class "
                "must be on "
                "every side. Move a group with this class there, or take the class out of labels"
            )
