"""Agreement of the float and the integer model on the same windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class QuantisationCost:
    """Cost of integers, measured on labelled windows that training did not see.

    Attributes:
        agreement_rate: Share of windows with the same label from both models.
        mean_abs_probability_error: Mean over windows of the largest difference of a probability.
        max_abs_probability_error: Largest difference of a probability.
        windows: Number of windows.
    """

    agreement_rate: float
    mean_abs_probability_error: float
    max_abs_probability_error: float
    windows: int


def quantisation_cost(
    float_probabilities: NDArray[np.floating[Any]], int_probabilities: NDArray[np.floating[Any]]
) -> QuantisationCost:
    """Compare probabilities [B, K] of the float and the integer model, window by window."""
    worst = np.abs(float_probabilities - int_probabilities).max(axis=1)
    same = float_probabilities.argmax(axis=1) == int_probabilities.argmax(axis=1)
    return QuantisationCost(float(same.mean()), float(worst.mean()), float(worst.max()), len(same))
