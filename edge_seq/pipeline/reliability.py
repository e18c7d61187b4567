"""How far the probabilities of models can be believed: before and after the temperature, float and integer."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.recording import Windows
from edge_seq.ir.model import FloatModel
from edge_seq.pipeline.logits import float_logits
from edge_seq.scores.metrics import expected_calibration_error, reliability_bins, softmax
from edge_seq.scores.temperature import (
    NO_VALIDATION,
    Temperature,
    fit_temperature,
    fold_temperature,
    negative_log_likelihood,
)

TEMPERATURE = "temperature"  # in training.json


def with_temperature(model: FloatModel, validation: Windows | None) -> tuple[FloatModel, Temperature]:
    """Fit the temperature on validation windows and fold it in; as it is, where there are none."""
    if validation is None or len(validation.labels) == 0:
        return model, Temperature(note=NO_VALIDATION)
    temperature = fit_temperature(validation.labels, float_logits(model, validation.counts))
    temperature = replace(temperature, groups=len(set(validation.groups.tolist())))
    return fold_temperature(model, temperature.value), temperature


def reliability(
    labels: NDArray[np.integer[Any]], temperature: Temperature, logits: dict[str, NDArray[np.float64]]
) -> dict[str, Any]:
    """Expected calibration error, negative log-likelihood and reliability bins of some models.

    Args:
        labels: [B] of windows.
        temperature: folded into the models.
        logits: [B, K] by the name of the model, as it gives them, that is after the temperature.

    Returns:
        ready for JSON: the temperature, and for each model ``before`` and ``after``.
    """

    def figures(scaled: NDArray[np.float64]) -> dict[str, Any]:
        probabilities = softmax(scaled)
        return {
            "expected_calibration_error": expected_calibration_error(labels, probabilities),
            "negative_log_likelihood": negative_log_likelihood(labels, scaled),
            "bins": [asdict(one) for one in reliability_bins(labels, probabilities)],
        }

    models = {
        name: {"before": figures(values * temperature.value), "after": figures(values)}
        for name, values in logits.items()
    }
    return {TEMPERATURE: asdict(temperature), "models": models}
