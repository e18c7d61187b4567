"""Changed windows: a network that tells how a window was changed learns what the normal ones look like.

This needs no other class (Golan and El-Yaniv 2018, "Deep anomaly detection using geometric transformations"). What the
network answers is thrown away; its states are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.recording import Windows

Real = NDArray[np.float64]


def _resampled(x: Real, speed: float) -> Real:
    """The beginning of a window at another speed, linear between samples."""
    at = np.minimum(np.arange(x.shape[1]) * speed, x.shape[1] - 1)
    left = at.astype(np.int64)
    right = np.minimum(left + 1, x.shape[1] - 1)
    share = (at - left)[None, :, None]
    return np.asarray(x[:, left] * (1 - share) + x[:, right] * share)


def _shuffled(x: Real) -> Real:
    """Parts of a tenth of a window in another order."""
    order = np.random.default_rng(0).permutation(10)
    parts = np.array_split(np.arange(x.shape[1]), 10)
    return x[:, np.concatenate([parts[i] for i in order])]


def _scaled(x: Real, factor: float) -> Real:
    """The movement about the mean of each channel, larger or smaller."""
    mean = x.mean(axis=1, keepdims=True)
    return np.asarray(mean + factor * (x - mean))


def _swapped(x: Real) -> Real:
    """The movement of each channel in the next one."""
    mean = x.mean(axis=1, keepdims=True)
    return np.asarray(np.roll(x - mean, 1, axis=2) + mean)


CHANGES: dict[str, Callable[[Real], Real]] = {
    "unchanged": lambda x: x,
    "backward": lambda x: x[:, ::-1],
    "channels swapped": _swapped,
    "half as strong": lambda x: _scaled(x, 0.5),
    "twice as strong": lambda x: _scaled(x, 2.0),
    "parts shuffled": _shuffled,
    "slower": lambda x: _resampled(x, 0.75),
    "upside down": lambda x: _scaled(x, -1.0),
}


def changed_windows(windows: Windows) -> Windows:
    """Every window in every way of :data:`CHANGES`; the label is the way.

    Returns:
        ``len(CHANGES)`` times as many windows: first all unchanged ones. Groups are kept, counts are clipped to int16.
    """
    values = np.asarray(windows.counts).astype(np.float64)
    counts = [np.clip(np.rint(change(values)), -(2**15), 2**15 - 1).astype(np.int16) for change in CHANGES.values()]
    return replace(
        windows,
        counts=np.concatenate(counts),
        labels=np.repeat(np.arange(len(CHANGES), dtype=np.int16), len(values)),
        groups=np.tile(windows.groups, len(CHANGES)),
        sample_labels=None,
    )
