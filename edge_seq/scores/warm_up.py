"""How long a stream that was just reset gives other labels than one that has run for long. numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.support.results import Result


@dataclass(frozen=True)
class WarmUp(Result):
    """How long a stream that was just reset differs from one that has run for long.

    Attributes:
        restarts: places at which a stream was reset.
        median, p95, worst: samples from the reset to the first label that is the one of the stream that ran on; None
            if there was none at any place, or, for the worst, at one of them.
        never: share of the places at which no label was the same within ``horizon``.
        horizon: samples that were run after each reset.
    """

    restarts: int
    median: float | None
    p95: float | None
    worst: int | None
    never: float
    horizon: int

    def text(self, sample_rate_hz: float) -> str:
        """Describe it in one sentence.

        >>> WarmUp(200, 74.0, 110.0, 125, 0.0, 400).text(50.0)
        'after a reset the label is that of a stream that ran on after 74 samples (median, 1.48 s), worst 125 (2.50 s)'
        """
        if self.median is None:
            return f"after a reset no label is that of a stream that ran on, within {self.horizon:,} samples"
        worst = (
            f"worst {self.worst:,} ({self.worst / sample_rate_hz:.2f} s)"
            if self.worst is not None
            else (f"and not within {self.horizon:,} samples at {100 * self.never:.1f} % of the places")
        )
        return (
            f"after a reset the label is that of a stream that ran on after {self.median:,.0f} samples (median, "
            f"{self.median / sample_rate_hz:.2f} s), {worst}"
        )


def warm_up_of(waits: NDArray[np.integer[Any]], horizon: int) -> WarmUp:
    """Sum up the samples from each reset to the first label that is right again.

    Args:
        waits: int [N], N at least 1; 0 where there was none within the horizon.
        horizon: samples that were run after each reset.

    >>> warm_up_of(np.array([70, 80, 90, 0]), 100)
    WarmUp(restarts=4, median=80.0, p95=89.0, worst=None, never=0.25, horizon=100)
    """
    found = waits[waits > 0]
    if not len(found):
        return WarmUp(len(waits), None, None, None, 1.0, horizon)
    worst = int(found.max()) if len(found) == len(waits) else None
    median, p95 = float(np.median(found)), float(np.percentile(found, 95))
    return WarmUp(len(waits), median, p95, worst, 1 - len(found) / len(waits), horizon)
