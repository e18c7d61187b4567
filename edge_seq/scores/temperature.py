"""Temperature scaling: one number by which logits are divided, so that a probability means how often it is right.

Fitted by the negative log-likelihood of held-out windows (Guo et al. 2017, "On calibration of modern neural networks",
section 4.2) and folded into the head of the float model: W / T and b / T. Quantisation then makes calibrated integer
logits of it, and the chip divides nothing. The label does not change, as all logits are divided alike. numpy only.

What it is fitted on is the validation part, never the test part, and never the training part, whose logits are those of
windows learnt by heart and would give a temperature that is too low. Without a validation part it stays 1, and says so.
The validation part may also have chosen the epoch that was kept, so what it reports of itself is a little too good; the
test part tells.
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

# Windows that are told apart without a mistake ask for a temperature of 0; beyond these ends the data say no more.
TEMPERATURE_MIN, TEMPERATURE_MAX = 0.1, 10.0
_BISECTIONS = 60
NO_VALIDATION = (
    "the run has no validation windows, so no temperature was fitted: give data.validation_fraction above 0 (training "
    "windows would make the model too sure, test windows must not be looked at)"
)


@dataclass(frozen=True)
class Temperature:
    """A temperature and where it is from.

    Attributes:
        value: by which the head was divided; 1 where none was fitted.
        windows: validation windows behind it; 0 where none was fitted.
        groups: of these windows; of few groups a temperature may not carry over to others.
        note: why none was fitted, or that the value is at the end of its range; empty otherwise.
    """

    value: float = 1.0
    windows: int = 0
    groups: int = 0
    note: str = ""


def negative_log_likelihood(labels: NDArray[np.integer[Any]], logits: NDArray[np.floating[Any]]) -> float:
    """Mean of -log p(label), in nats.

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
    """The temperature of the lowest negative log-likelihood.

    With beta = 1 / T the likelihood of softmax(beta z) is convex in beta; its slope, mean over windows of
    sum_k p_k(beta) z_k - z_label, is brought to 0 by bisection.

    Args:
        labels: [B], 0..K-1, of windows that training did not see.
        logits: [B, K], as the float model gives them.

    Raises:
        DataError: there is no window, or the two do not fit.

    >>> z = np.array([[4.0, 0.0]] * 4)
    >>> round(4 / fit_temperature(np.array([0, 0, 0, 1]), z).value, 3)  # three of four are right: log 3
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
            note = f"at the end of its range, {TEMPERATURE_MIN} to {TEMPERATURE_MAX}: the windows do not tell it"
            return Temperature(1 / end, len(z), note=note)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return Temperature(2 / (low + high), len(z))


def fold_temperature(model: FloatModel, temperature: float) -> FloatModel:
    """The model whose logits are those of ``model``, divided.

    Raises:
        ModelError: the temperature is not a positive number, or the model is no float model.
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
    """The same for arrays by torch's names: those of the linear layer, which begin with ``prefix``."""
    return {name: _divide(w, temperature) if name.startswith(prefix) else w for name, w in weights.items()}


def _divide(array: NDArray[Any], temperature: float) -> NDArray[Any]:
    return np.asarray(array.astype(np.float64) / temperature, dtype=array.dtype)
