"""How far the probabilities of a run's models can be believed: before and after the temperature, float and integer."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.reference_float import run_float
from edge_seq.data.recording import Windows
from edge_seq.ir.model import FloatModel
from edge_seq.scores.metrics import expected_calibration_error, reliability_bins, softmax
from edge_seq.scores.temperature import (
    NO_VALIDATION,
    Temperature,
    fit_temperature,
    fold_temperature,
    negative_log_likelihood,
)
from edge_seq.support.errors import DataError
from edge_seq.workflow.folder import RunFolder, load_json

BATCH = 512
TEMPERATURE = "temperature"  # in training.json
TRAINED_WITHOUT = "the run was trained by a release that fitted no temperature; train it again to have one"


def float_logits(model: FloatModel, counts: NDArray[np.int16]) -> NDArray[np.float64]:
    """Logits float64 [B, K] of the float reference at the end of each window of int16 [B, T, C]."""
    logits = [run_float(model, counts[i : i + BATCH]).logits for i in range(0, len(counts), BATCH)]
    return np.concatenate(logits).astype(np.float64)


def with_temperature(model: FloatModel, validation: Windows | None) -> tuple[FloatModel, Temperature]:
    """Fit the temperature on validation windows and fold it in; as it is, where there are none."""
    if validation is None or len(validation.labels) == 0:
        return model, Temperature(note=NO_VALIDATION)
    temperature = fit_temperature(validation.labels, float_logits(model, validation.counts))
    temperature = replace(temperature, groups=len(set(validation.groups.tolist())))
    return fold_temperature(model, temperature.value), temperature


def temperature_of_run(run: RunFolder) -> Temperature:
    """What the training folded into the float model.

    Raises:
        DataError: training.json is damaged.
    """
    found = load_json(run.training).get(TEMPERATURE) if run.training.is_file() else None
    if found is None:
        return Temperature(note=TRAINED_WITHOUT)
    try:
        return Temperature(float(found["value"]), int(found["windows"]), int(found["groups"]), str(found["note"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"reading {run.training.name}: temperature {found!r} is not as edge-seq train writes it "
            f"({type(error).__name__}: {error}); train the run again"
        ) from error


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
