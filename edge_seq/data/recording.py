"""Recordings, data sets and windows: the results of reading and cutting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.stored import StoredWindows, as_array, join
from edge_seq.ir.contract import SensorContract

Side = Literal["train", "validation", "test"]
SIDES: tuple[str, ...] = get_args(Side)  # sides of a split
UNLABELLED = -1


@dataclass(frozen=True)
class Recording:
    """One uninterrupted capture.

    Attributes:
        name: name, unique in its data set; used in messages.
        group: drive, subject or session. A split never puts one group on two sides.
        counts: int16 [T, C], raw counts in the contract's channel order, in memory or on disk
            (:class:`edge_seq.data.stored.StoredRows`).
        labels: int16 [T], index into the data set's labels, or UNLABELLED; in memory or on disk, like the counts.
        split: ``train``, ``validation`` or ``test`` if the source gives the split, else None.
        details: further information in its file: device, signature (kept, never verified).
    """

    name: str
    group: str
    counts: NDArray[np.int16]
    labels: NDArray[np.int16]
    split: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """Recordings under one contract.

    Attributes:
        name: short name, for example ``car_states``.
        contract: sensor contract of all recordings.
        labels: class names; the position is the class index.
        recordings: recordings, each with at least one sample.
        notes: changes that reading made (units converted, resampled), and checks that it left out.
    """

    name: str
    contract: SensorContract
    labels: tuple[str, ...]
    recordings: tuple[Recording, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Windows:
    """Windows cut from recordings: B windows of T samples of C channels.

    Attributes:
        counts: int16 [B, T, C], raw counts, in memory or on disk (:class:`edge_seq.data.stored.StoredWindows`).
        labels: int16 [B], class index.
        groups: str [B], group of the recording that each window was cut from.
        sample_labels: int16 [B, T], class index of each sample or UNLABELLED. The label of a window is that of its last
            sample. None if only the labels of the windows are known, which suffices for scoring.
    """

    counts: NDArray[np.int16]
    labels: NDArray[np.int16]
    groups: NDArray[np.str_]
    sample_labels: NDArray[np.int16] | None = None


def select_windows(windows: Windows, index: NDArray[np.integer | np.bool_]) -> Windows:
    """Select the windows at ``index``, int [N] or bool [B], in that order, with their labels and groups."""
    counts, of_samples = windows.counts, windows.sample_labels
    return Windows(
        counts=as_array(counts.select(index)) if isinstance(counts, StoredWindows) else counts[index],
        labels=windows.labels[index],
        groups=windows.groups[index],
        sample_labels=as_array(of_samples.select(index))
        if isinstance(of_samples, StoredWindows)
        else None
        if of_samples is None
        else of_samples[index],
    )


def join_windows(parts: Sequence[Windows]) -> Windows:
    """Put windows of the same length and channels together, in order. Windows on disk stay there, if all are of a file.

    Labels of samples are kept where all parts have them.

    >>> one = Windows(np.zeros((2, 5, 3), np.int16), np.array([0, 1], np.int16), np.array(["a", "b"]))
    >>> join_windows([one, one]).groups.tolist()
    ['a', 'b', 'a', 'b']
    """
    if len(parts) == 1:
        return parts[0]
    of_samples = [part.sample_labels for part in parts if part.sample_labels is not None]
    return Windows(
        counts=join([part.counts for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        groups=np.concatenate([part.groups for part in parts]),
        sample_labels=join(of_samples) if len(of_samples) == len(parts) else None,
    )
