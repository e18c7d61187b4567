"""The windows and streams that the rungs of the ladder compare."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.extremes import extreme_makers, windows_in_turn
from edge_seq.data.recording import Windows
from edge_seq.data.windows import spread
from edge_seq.ir.model import IntModel

MAX_WINDOWS, EXTREME_WINDOWS = 500, 100  # numbers of windows that a verification takes unless told otherwise
STREAM_WINDOWS = 2  # streams have two windows, so that the reset at the end of a window is compared too


@dataclass(frozen=True)
class Inputs:
    """Windows that the rungs compare.

    Attributes:
        side: All windows of one side of the split, with their classes.
        held_out: int16 [B, T, C], some of these windows.
        exact: int16 [B + E, T, C], the same followed by random and extreme windows, for the exact rungs.
    """

    side: Windows
    held_out: NDArray[np.int16]
    exact: NDArray[np.int16]


def choose_inputs(windows: Windows, model: IntModel, *, max_windows: int, extreme_windows: int) -> Inputs:
    """Choose windows, spread evenly, and add extreme ones.

    Args:
        windows: One side of the split, at least one window.
        model: Model under test. It gives the shape of the extreme windows.
        max_windows: Largest number of windows of ``windows``.
        extreme_windows: Number of windows of random and extreme counts.
    """
    count = len(windows.labels)
    chosen = spread(count, max_windows)
    held_out = np.ascontiguousarray(windows.counts[chosen])
    added = extreme_counts(extreme_windows, model.contract.window_length, model.num_channels)
    return Inputs(windows, held_out, np.concatenate([held_out, added]))


def extreme_counts(windows: int, time_steps: int, channels: int) -> NDArray[np.int16]:
    """Make counts that no sensor gives and that every implementation must get right.

    The windows take turns: noise over all 16 bits, both ends of the range at random, one end held constant, and a walk
    that ends anywhere.

    Returns:
        int16 [windows, time_steps, channels].

    >>> extreme_counts(4, 10, 3).shape
    (4, 10, 3)
    """
    makers = extreme_makers(np.random.default_rng(0), (time_steps, channels))
    return np.array(windows_in_turn(makers, windows), dtype=np.int16).reshape(windows, time_steps, channels)


def streams_of(counts: NDArray[np.int16]) -> NDArray[np.int16]:
    """Join windows [B, T, C] to streams of several windows [B, n T, C], so that each window follows another."""
    return np.concatenate([np.roll(counts, shift, axis=0) for shift in range(STREAM_WINDOWS)], axis=1)
