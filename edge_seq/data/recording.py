"""Recordings and data sets: what readers give and what windows are cut from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.stored import StoredWindows, as_array
from edge_seq.ir.contract import SensorContract

Side = Literal["train", "validation", "test"]
SIDES: tuple[str, ...] = get_args(Side)  # of a split
UNLABELLED = -1


@dataclass(frozen=True)
class Recording:
    """One uninterrupted capture.

    Attributes:
        name: unique in its data set; used in messages.
        group: drive, subject or session; a split never puts one group on both sides.
        counts: int16 [T, C], raw counts in the contract's channel order; in memory, or on disk
            (:class:`edge_seq.data.stored.StoredRows`).
        labels: int16 [T], likewise, index into the data set's labels, or UNLABELLED.
        split: ``train``, ``validation`` or ``test`` where the source gives the split, else None.
        details: what else its file says of it: device, signature (kept, never verified).
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
        contract: what all recordings hold to.
        labels: class names; the position is the class index.
        recordings: each with at least one sample.
        notes: what was done to the recordings when they were read (units converted, resampled), or left undone.
    """

    name: str
    contract: SensorContract
    labels: tuple[str, ...]
    recordings: tuple[Recording, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Windows:
    """Windows cut from recordings; B windows of T samples of C channels.

    Attributes:
        counts: int16 [B, T, C], raw counts; in memory, or on disk (:class:`edge_seq.data.stored.StoredWindows`).
        labels: int16 [B], class index.
        groups: str [B], the group of the recording each was cut from.
        sample_labels: int16 [B, T], class index of each sample or UNLABELLED; the last of a window is its label. None
            where only the windows' labels are known, which is all that scoring needs.
    """

    counts: NDArray[np.int16]
    labels: NDArray[np.int16]
    groups: NDArray[np.str_]
    sample_labels: NDArray[np.int16] | None = None


def select_windows(windows: Windows, index: NDArray[np.integer | np.bool_]) -> Windows:
    """The windows at ``index``, int [N] or bool [B], in its order, with all that is known of each."""
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
