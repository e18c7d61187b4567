"""Temperature scaling: logits are divided by one number, so that a probability of 0.8 is right 80 % of the time.

The temperature T minimises the negative log-likelihood of held-out windows (Guo et al. 2017, "On calibration of modern
neural networks", section 4.2). It is folded into the head of the float model: W / T and b / T. The quantised model then
has calibrated integer logits, and the chip needs no division. The labels stay the same, because all logits are divided
by the same number. numpy only.

The temperature is fitted on the validation part only. The test part must stay unseen. The training part would give too
low a temperature, because the network has learnt its windows. Without a validation part the temperature stays 1 and a
note says so. The validation part may also have chosen the epoch that was kept, so its own calibration figures are
slightly optimistic; the figures of the test part are not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.ir.model import FloatFormat, FloatModel
from edge_seq.ir.verify import verify
from edge_seq.scores.metrics import softmax
from edge_seq.support.errors import DataError, ModelError

# Windows that are classified without a mistake have their optimum at a temperature of 0, beyond the range.
TEMPERATURE_MIN, TEMPERATURE_MAX = 0.1, 10.0
_BISECTIONS = 60
# 95 % quantile of chi squared with one degree of freedom: a smaller gain in twice the log-likelihood is chance.
SIGNIFICANT_GAIN = 3.841
NO_VALIDATION = (
    "the run has no validation windows, so no temperature was fitted: set the data's validation_fraction above 0 "
    "(training windows would make the model overconfident, and test windows must stay unseen)"
)


@dataclass(frozen=True)
class Temperature:
    """A temperature and the data it was fitted on.

    Attributes:
        value: divisor of the head's weights and biases; 1 if none was fitted.
        windows: number of validation windows it was fitted on; 0 if none was fitted.
        groups: number of their groups; a temperature from few groups may not suit others.
        note: why none was fitted or applied; empty otherwise.
    """

    value: float = 1.0
    windows: int = 0
    groups: int = 0
    note: str = ""


def negative_log_likelihood(labels: NDArray[np.integer[Any]], logits: NDArray[np.floating[Any]]) -> float:
    """Compute the mean of -log p(label), in nats.

    Args:
        labels: [B], 0..K-1.
        logits: [B, K].

    >>> round(negative_log_likelihood(np.array([0]), np.zeros((1, 2))), 6)  # log 2
    0.693147
    """
    z = np.asarray(logits, dtype=np.float64)
    shifted = z - z.max(axis=1, keepdims=True)
    log_total = np.log(np.exp(shifted).sum(axis=1))
    return float(np.mean(log_total - shifted[np.arange(len(z)), labels]))


def fit_temperature(labels: NDArray[np.integer[Any]], logits: NDArray[np.floating[Any]]) -> Temperature:
    """Find the temperature with the lowest negative log-likelihood.

    With beta = 1 / T the negative log-likelihood of softmax(beta z) is convex in beta. Bisection finds the zero of its
    slope, which is the mean over windows of sum_k p_k(beta) z_k - z_label.

    Args:
        labels: int [B], 0..K-1, of windows that the training did not use.
        logits: float [B, K], logits of the float model.

    Returns:
        temperature, with ``groups`` left at 0. It is 1, with a note, if the best one is beyond the end of its range or
        not told apart from 1.

    Raises:
        DataError: there is no window, or the number of labels and of rows differ.

    >>> z = np.array([[4.0, 0.0]] * 40)
    >>> round(4 / fit_temperature(np.array([0, 0, 0, 1] * 10), z).value, 3)  # three of four are right: log 3
    1.099
    """
    z = np.asarray(logits, dtype=np.float64)
    if len(labels) == 0 or z.ndim != 2 or len(z) != len(labels):
        raise DataError(
            f"fitting a temperature: {len(labels)} labels and logits {list(z.shape)}; expected at least one label and "
            "a row of logits for each"
        )
    of_label = z[np.arange(len(z)), labels]

    def slope(beta: float) -> float:
        return float(np.mean((softmax(beta * z) * z).sum(axis=1) - of_label))

    low, high = 1 / TEMPERATURE_MAX, 1 / TEMPERATURE_MIN
    for end in (low, high):
        if slope(end) * (1 if end == low else -1) >= 0:
            note = (
                f"not applied: the best temperature lies beyond {1 / end:g}, the end of its range, so the "
                f"{len(z)} validation windows do not determine it"
            )
            return Temperature(1.0, len(z), note=note)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    beta = (low + high) / 2
    gain = 2 * len(z) * (negative_log_likelihood(labels, z) - negative_log_likelihood(labels, beta * z))
    if gain < SIGNIFICANT_GAIN:
        note = (
            f"not applied: on {len(z)} validation windows a temperature of {1 / beta:.3f} is not told apart from 1 "
            "(likelihood ratio test, 95 %)"
        )
        return Temperature(1.0, len(z), note=note)
    return Temperature(1 / beta, len(z))


def fold_temperature(model: FloatModel, temperature: float) -> FloatModel:
    """Divide the head of a float model by a temperature, so that its logits are divided by it.

    Raises:
        ModelError: the temperature is not a positive number, or the model is not a float model.
    """
    if not isinstance(model.number_format, FloatFormat) or not (np.isfinite(temperature) and temperature > 0):
        raise ModelError(
            f"folding temperature {temperature} into {model.name}: expected a positive number and a float model; an "
            "integer model takes it with quantize()"
        )
    divided = {name: _divide(getattr(model.head, name), temperature) for name in ("weight_input", "bias")}
    folded = dataclasses.replace(model, head=dataclasses.replace(model.head, **divided))
    verify(folded)
    return folded


def fold_into_weights(weights: Mapping[str, NDArray[Any]], temperature: float, prefix: str) -> dict[str, NDArray[Any]]:
    """Divide the weights of a torch linear layer by a temperature.

    Args:
        weights: arrays by torch's names.
        temperature: divisor.
        prefix: prefix of the linear layer's names; the other arrays are returned unchanged.
    """
    return {name: _divide(w, temperature) if name.startswith(prefix) else w for name, w in weights.items()}


def _divide(array: NDArray[Any], temperature: float) -> NDArray[Any]:
    return np.asarray(array.astype(np.float64) / temperature, dtype=array.dtype)
