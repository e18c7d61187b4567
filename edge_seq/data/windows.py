"""Cut labelled recordings into windows.

A window never crosses the end of a recording. Its label is that of its **last sample**, because a device answers the
question: what is the state now, given the samples so far? A window is kept only if its label covers at least
``minimum_share`` of it. With less, the window mostly shows another state, and its label would be noise. The default is
0.6: a clear majority, and a new state gets its label after 60 % of a window instead of a whole one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_seq.data.recording import UNLABELLED, Recording, Windows
from edge_seq.data.stored import StoredRows, StoredWindows, as_array
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.support.figure_text import counted

DEFAULT_MINIMUM_SHARE = 0.6


def label_windows(
    labels: NDArray[np.int16], *, length: int, stride: int, minimum_share: float = DEFAULT_MINIMUM_SHARE
) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
    """Find the starts and the labels of the windows of one recording.

    With a ``minimum_share`` below 1 the windows lie on one grid that begins at the first sample of the recording. With
    1 a window holds one label only. The grid then begins anew at every change of label, so that no window is lost
    because a labelled segment begins between two points of the grid.

    Args:
        labels: int16 [T], class index or UNLABELLED.
        length: samples in a window.
        stride: samples from one start to the next.
        minimum_share: share of the window that the last sample's label must cover, in (0, 1]. A window of which more
            than half is unlabelled is dropped whatever the share.

    Returns:
        starts int64 [B] and labels int16 [B].

    Raises:
        ConfigError: length, stride or minimum_share is out of range.

    >>> starts, found = label_windows(np.array([0, 0, 0, 1, 1, 1], dtype=np.int16), length=3, stride=1)
    >>> starts.tolist(), found.tolist()
    ([0, 2, 3], [0, 1, 1])
    """
    if length < 1 or stride < 1:
        raise ConfigError(f"cannot cut windows of {length} samples every {stride}: give at least 1 for both")
    if not 0.0 < minimum_share <= 1.0:
        raise ConfigError(
            f"cannot label windows: minimum_share is {minimum_share}; give the share of a window that its label must "
            "cover, above 0 and at most 1"
        )
    if minimum_share == 1.0:
        return _inside_segments(labels, length, stride)
    starts = np.arange(0, len(labels) - length + 1, stride, dtype=np.int64)
    if not starts.size:
        return starts, np.empty(0, dtype=np.int16)
    view = sliding_window_view(labels, length)[starts]
    last = view[:, -1]
    covered = (view == last[:, np.newaxis]).sum(axis=1)
    unlabelled = (view == UNLABELLED).sum(axis=1)
    needed = math.ceil(minimum_share * length - 1e-9)  # 0.55 * 100 is 55.00000000000001 in float64
    keep = (last != UNLABELLED) & (covered >= needed) & (2 * unlabelled <= length)
    return starts[keep], last[keep].astype(np.int16)


def _inside_segments(
    labels: NDArray[np.int16], length: int, stride: int
) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
    edges = np.concatenate([[0], np.flatnonzero(np.diff(labels)) + 1, [len(labels)]]).astype(np.int64)
    starts = [
        np.arange(first, end - length + 1, stride, dtype=np.int64)
        for first, end in pairwise(edges)
        if end > first and labels[first] != UNLABELLED
    ]
    joined = np.concatenate(starts) if starts else np.empty(0, dtype=np.int64)
    return joined, labels[joined].astype(np.int16)


def make_windows(
    recordings: Sequence[Recording], *, length: int, stride: int, minimum_share: float = DEFAULT_MINIMUM_SHARE
) -> Windows:
    """Cut windows from recordings. Split the recordings by group before this.

    Args:
        recordings: recordings under one contract.
        length: samples in a window, the contract's ``window_length``.
        stride: samples from one start to the next, the contract's ``window_stride``.
        minimum_share: see :func:`label_windows`.

    Returns:
        counts int16 [B, T, C], labels int16 [B], groups str [B], sample_labels int16 [B, T]; in the order of the
        recordings, then of time.

    Raises:
        ConfigError: length, stride or minimum_share is out of range.
        DataError: there is no recording, or no window.
    """
    if recordings and isinstance(recordings[0].counts, StoredRows):
        return _stored_windows(recordings, length, stride, minimum_share)
    if not recordings:
        raise DataError("cannot make windows: there are no recordings on this side of the split; give at least one")
    counts: list[NDArray[np.int16]] = []
    labels: list[NDArray[np.int16]] = []
    sample_labels: list[NDArray[np.int16]] = []
    groups: list[str] = []
    for recording in recordings:
        starts, found = label_windows(recording.labels, length=length, stride=stride, minimum_share=minimum_share)
        if starts.size:
            cut = sliding_window_view(recording.counts, length, axis=0)[starts]  # [B, C, T]
            counts.append(np.ascontiguousarray(cut.transpose(0, 2, 1)))
            labels.append(found)
            sample_labels.append(sliding_window_view(recording.labels, length)[starts])
            groups.extend([recording.group] * len(found))
    if not counts:
        raise _no_window(recordings, length, minimum_share)
    return Windows(
        counts=np.concatenate(counts),
        labels=np.concatenate(labels),
        groups=np.array(groups, dtype=np.str_),
        sample_labels=np.concatenate(sample_labels),
    )


def _stored_windows(recordings: Sequence[Recording], length: int, stride: int, minimum_share: float) -> Windows:
    """Cut windows from recordings on disk. The windows stay on disk."""
    starts: list[NDArray[np.int64]] = []
    labels: list[NDArray[np.int16]] = []
    names: list[str] = []
    for recording in recordings:
        rows = cast("StoredRows", recording.counts)
        found, of_windows = label_windows(
            np.asarray(recording.labels), length=length, stride=stride, minimum_share=minimum_share
        )
        starts.append(found + rows.first)
        labels.append(of_windows)
        names.append(recording.group)
    joined = np.concatenate(starts)
    if not joined.size:
        raise _no_window(recordings, length, minimum_share)
    counts, of_samples = cast("StoredRows", recordings[0].counts), cast("StoredRows", recordings[0].labels)
    return Windows(
        counts=as_array(StoredWindows(counts.file, joined, length)),
        labels=np.concatenate(labels),
        groups=np.repeat(np.array(names, dtype=np.str_), [len(one) for one in labels]),
        sample_labels=as_array(StoredWindows(of_samples.file, joined, length)),
    )


def _no_window(recordings: Sequence[Recording], length: int, minimum_share: float) -> DataError:
    longest = max(len(recording.labels) for recording in recordings)
    return DataError(
        f"cannot make windows: none of {len(recordings)} recordings (longest "
        f"{counted(longest, 'sample')}) holds a window of "
        f"{length} samples of which {minimum_share:.0%} have the label of the last; shorten window_length, lower "
        "minimum_share or label more of the data"
    )


def spread(count: int, most: int) -> NDArray[np.int64]:
    """Choose at most ``most`` of ``count`` windows, spread evenly: indices int64.

    >>> spread(10, 4).tolist()
    [0, 3, 6, 9]
    """
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))
