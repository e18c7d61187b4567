"""The temperature of a float model, fitted on validation windows."""

from __future__ import annotations

from dataclasses import replace

from edge_seq.data.recording import Windows
from edge_seq.ir.model import FloatModel
from edge_seq.pipeline.logits import float_logits
from edge_seq.scores.temperature import NO_VALIDATION, Temperature, fit_temperature, fold_temperature

TEMPERATURE = "temperature"  # key in training.json


def with_temperature(model: FloatModel, validation: Windows | None) -> tuple[FloatModel, Temperature]:
    """Fit the temperature on validation windows and fold it into the model. Without windows the model is unchanged."""
    if validation is None or len(validation.labels) == 0:
        return model, Temperature(note=NO_VALIDATION)
    temperature = fit_temperature(validation.labels, float_logits(model, validation.counts))
    temperature = replace(temperature, groups=len(set(validation.groups.tolist())))
    return fold_temperature(model, temperature.value), temperature
