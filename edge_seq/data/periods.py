"""Sample period of a recording from its times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def typical_period(steps: NDArray[np.float64]) -> float:
    """Mean of the steps that are within half of the median step.

    The mean finds the rate of coarse stamps (104 Hz in whole milliseconds has steps of 9 and 10); the median does
    not. Steps far from the median are gaps and glitches, and do not count.

    Args:
        steps: float64 [N], positive, at least one: times between samples.

    >>> round(1000 / typical_period(np.array([10.0, 9.0, 10.0, 9.0, 10.0, 10.0, 9.0, 500.0])), 1)
    104.5
    """
    median = float(np.median(steps))
    near = steps[(steps > 0.5 * median) & (steps < 1.5 * median)]
    return float(near.mean()) if near.size else median
