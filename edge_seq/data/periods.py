"""Sample period of a recording from its times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_NEIGHBOURS = 16  # steps whose mean evens out a coarse clock


def typical_period(steps: NDArray[np.float64]) -> float:
    """Mean of the steps that are within half of the usual step, the median over means of 16 neighbours.

    The mean finds the rate of coarse stamps: 104 Hz in whole milliseconds has steps of 9 and 10, 400 Hz of 2 and 3.
    Steps far from the usual one are gaps and glitches, and do not count.

    Args:
        steps: float64 [N], positive, at least one: times between samples.

    >>> round(1000 / typical_period(np.array([10.0, 9.0, 10.0, 9.0, 10.0, 10.0, 9.0, 500.0])), 1)
    104.5
    >>> typical_period(np.array([2.0, 3.0] * 20))
    2.5
    """
    count = min(_NEIGHBOURS, len(steps) // 4)
    sums = np.convolve(steps, np.ones(count), "valid") / count if count > 1 else steps
    usual = float(np.median(sums))
    near = steps[(steps > 0.5 * usual) & (steps < 1.5 * usual)]
    return float(near.mean()) if near.size else usual
