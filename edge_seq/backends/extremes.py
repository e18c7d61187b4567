"""Counts that a sensor never gives and no implementation may get wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Maker = Callable[[], NDArray[Any]]


def extreme_makers(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Maker, ...]:
    """What each gives, [T, C], is in int16's range: noise over all 16 bits, both ends at random, one end constant, and
    a walk that ends anywhere.

    Args:
        rng: drawn from at each call.
        shape: T, C.
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
    """So many windows, of each maker in turn."""
    return [np.asarray(makers[index % len(makers)]()) for index in range(windows)]
