"""Extreme counts, which sensors rarely give but every implementation must handle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Maker = Callable[[], NDArray[Any]]


def extreme_makers(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Maker, ...]:
    """Functions that each make a window [T, C] within the range of int16.

        The kinds are noise over all 16 bits, random extremes, constant extremes, and a saturated random walk.

    Args:
        rng: random generator, used at each call.
        shape: shape of a window, (T, C).
    """
    low, high = -(2**15), 2**15 - 1
    ends = np.array([low, high])
    return (
        lambda: rng.integers(low, high + 1, shape),
        lambda: rng.choice(ends, shape),
        lambda: np.broadcast_to(rng.choice(ends, (1, shape[1])), shape),
        lambda: np.clip(np.cumsum(rng.integers(-3000, 3001, shape), axis=0), low, high),
    )


def windows_in_turn(makers: tuple[Maker, ...], windows: int) -> list[NDArray[Any]]:
    """Make windows, taking the makers in turn."""
    return [np.asarray(makers[index % len(makers)]()) for index in range(windows)]
