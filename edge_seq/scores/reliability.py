"""How far the probabilities of models can be believed: calibration before and after the temperature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.scores.metrics import ReliabilityBin, expected_calibration_error, reliability_bins, softmax
from edge_seq.scores.temperature import Temperature, negative_log_likelihood
from edge_seq.scores.words import CALIBRATION_ERROR, CLASSIFIERS
from edge_seq.support.display import Table
from edge_seq.support.figure_text import percent
from edge_seq.support.results import Result


@dataclass(frozen=True)
class CalibrationScores(Result):
    """How well the probabilities of one model fit its hits.

    Attributes:
        expected_calibration_error: mean gap between confidence and accuracy.
        negative_log_likelihood: mean of -log p(label), in nats.
        bins: bars of the reliability diagram.
    """

    expected_calibration_error: float
    negative_log_likelihood: float
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class ModelReliability(Result):
    """Calibration of one model before and after the temperature."""

    before: CalibrationScores
    after: CalibrationScores


@dataclass(frozen=True)
class Reliability(Result):
    """Calibration of the models of a run.

    Attributes:
        temperature: temperature that is folded into the models.
        models: calibration by model, ``float`` and ``int``.
    """

    temperature: Temperature
    models: dict[str, ModelReliability]

    def table(self, side: str, by: str | None = None) -> Table:
        """Calibration before and after the temperature.

        Args:
            side: side of the split that the windows are from, for the title.
            by: what gave the probabilities, if it is not the model of the run.
        """
        rows = [
            [
                CLASSIFIERS[name],
                *(percent(one.expected_calibration_error) for one in (model.before, model.after)),
                *(f"{one.negative_log_likelihood:.4f}" for one in (model.before, model.after)),
            ]
            for name, model in self.models.items()
        ]
        columns = ["classifier", f"{CALIBRATION_ERROR} before", "after", "neg. log-likelihood before", "after"]
        return Table(f"calibration on {side} windows{'' if by is None else f', {by}'}", columns, rows)

    def temperature_text(self) -> str:
        """The temperature and the data it was fitted on, in one sentence."""
        one = self.temperature
        fitted = f"temperature {one.value:.3f}, of {one.windows} validation windows of {one.groups} groups"
        return (fitted if one.windows else "no temperature") + (f"; {one.note}" if one.note else "")


def reliability(
    labels: NDArray[np.integer[Any]], temperature: Temperature, logits: Mapping[str, NDArray[np.float64]]
) -> Reliability:
    """Compute expected calibration error, negative log-likelihood and reliability bins of some models.

    Args:
        labels: int [B], labels of windows.
        temperature: temperature that is folded into the models.
        logits: float64 [B, K] by model, after the temperature.
    """

    def calibration(scaled: NDArray[np.float64]) -> CalibrationScores:
        probabilities = softmax(scaled)
        return CalibrationScores(
            expected_calibration_error=expected_calibration_error(labels, probabilities),
            negative_log_likelihood=negative_log_likelihood(labels, scaled),
            bins=reliability_bins(labels, probabilities),
        )

    models = {
        name: ModelReliability(before=calibration(values * temperature.value), after=calibration(values))
        for name, values in logits.items()
    }
    return Reliability(temperature, models)
