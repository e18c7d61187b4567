"""Recordings for a model of one class: normal ones to learn from and for the threshold, all others to measure with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.recording import UNLABELLED, Dataset, Recording, Windows
from edge_seq.data.splits import Split
from edge_seq.pipeline.config import DataConfig, OneClassConfig
from edge_seq.scores.one_class import ANOMALY, NORMAL_INDEX, OtherClasses
from edge_seq.support.errors import ConfigError


def normal_index(dataset: Dataset, wanted: OneClassConfig) -> int:
    """Index of the normal class.

    Raises:
        ConfigError: the data have no such class.
    """
    if wanted.normal not in dataset.labels:
        raise ConfigError(
            f"training on one class: no sample of {dataset.name} is labelled {wanted.normal!r}; give one of "
            f"{list(dataset.labels)} as the normal class (--one-class, data.one_class.normal)"
        )
    return dataset.labels.index(wanted.normal)


def split_one_class(
    dataset: Dataset, data: DataConfig, wanted: OneClassConfig, split: Callable[[Dataset], Split]
) -> Split:
    """Split recordings so that the training and the validation part hold samples of the normal class only.

    Where a recording changes its state, the normal stretches are taken as recordings of their own, if a window fits
    into them. The test part has all recordings of its groups, and of groups without the normal class. What other
    classes there are in the groups of training and validation is used nowhere. With blocks of time, all other classes
    are in the test part, as stretches.

    Args:
        dataset: recordings of all classes.
        data: kind of split.
        wanted: the normal class.
        split: splits a data set that has the normal class only.

    Returns:
        The split, with the labels of ``dataset``.

    Raises:
        ConfigError, DataError: the data have no such class, or the normal recordings cannot be split.
    """
    index = normal_index(dataset, wanted)
    window = dataset.contract.window_length
    normal = tuple(
        piece
        for recording in dataset.recordings
        for piece in _stretches(recording, recording.labels == index, window, given=0)
    )
    found = split(replace(dataset, labels=(wanted.normal,), recordings=normal))

    def named(recordings: tuple[Recording, ...]) -> tuple[Recording, ...]:
        return tuple(replace(one, labels=np.full_like(one.labels, index)) for one in recordings)

    if data.split == "time_blocks":
        others = tuple(
            piece
            for recording in dataset.recordings
            for piece in _stretches(
                recording, (recording.labels != index) & (recording.labels != UNLABELLED), window, given=None
            )
        )
        return Split(named(found.train), named(found.validation), (*named(found.test), *others))
    seen = {one.group for one in (*found.train, *found.validation)}
    aside = {"train", "validation", *({"test"} if data.folds else ())}  # parts of the source that are not the test part
    tested = {one.group for one in found.test}
    test = tuple(
        one for one in dataset.recordings if one.group in tested or (one.group not in seen and one.split not in aside)
    )
    return Split(named(found.train), named(found.validation), test)


def _stretches(recording: Recording, wanted: NDArray[np.bool_], window: int, *, given: int | None) -> list[Recording]:
    """The stretches of a recording in which ``wanted`` is true and into which a window fits.

    Args:
        recording: a recording.
        wanted: bool [T].
        window: samples in a window.
        given: class index of all samples; None keeps their labels.
    """
    edges = [0, *(np.flatnonzero(np.diff(wanted)) + 1).tolist(), len(wanted)]
    found = []
    for start, end in pairwise(edges):
        if end - start < max(window, 1) or not wanted[start]:
            continue
        labels = recording.labels[start:end]
        whole = end - start == len(wanted)
        found.append(
            replace(
                recording,
                name=recording.name if whole else f"{recording.name}, samples {start} to {end}",
                counts=recording.counts[start:end],
                labels=labels if given is None else np.full_like(labels, given),
            )
        )
    return found


@dataclass(frozen=True)
class OneClass:
    """What a data set of one class has besides its windows.

    Attributes:
        wanted: the normal class, and the false alarms that are allowed.
        classes: all classes of the data, and that of each test window.
    """

    wanted: OneClassConfig
    classes: OtherClasses

    @property
    def labels(self) -> tuple[str, str]:
        """Labels of the model."""
        return self.wanted.normal, ANOMALY

    def classes_of(self, side: str, windows: Windows) -> OtherClasses:
        """Classes of the data and of the windows of a side. Only the test part has others than the normal class."""
        return self.classes if side == "test" else all_normal(self.classes.names, self.wanted.normal, windows)


def all_normal(names: tuple[str, ...], normal: str, windows: Windows) -> OtherClasses:
    """Classes of windows that are all normal.

    Args:
        names: names of all classes of the data.
        normal: name of the normal class.
        windows: windows of the training or the validation part.
    """
    return OtherClasses(names, (names.index(normal),) * len(windows.labels))


def as_one_class(windows: Windows, normal: int) -> Windows:
    """Windows with the labels of a model of one class: normal, or anomaly for every other class."""
    of_samples = windows.sample_labels
    return replace(
        windows,
        labels=_as_one_class(windows.labels, normal),
        sample_labels=None if of_samples is None else _as_one_class(of_samples, normal),
    )


def recording_as_one_class(recording: Recording, normal: int) -> Recording:
    """A recording with the labels of a model of one class."""
    return replace(recording, labels=_as_one_class(recording.labels, normal))


def _as_one_class(labels: NDArray[np.int16], normal: int) -> NDArray[np.int16]:
    """Class indices of a model of one class, for class indices of the data; UNLABELLED stays.

    >>> _as_one_class(np.array([2, 0, -1, 1], dtype=np.int16), 2).tolist()
    [0, 1, -1, 1]
    """
    other = np.where(labels == normal, NORMAL_INDEX, 1 - NORMAL_INDEX)
    return np.where(labels == UNLABELLED, UNLABELLED, other).astype(np.int16)
