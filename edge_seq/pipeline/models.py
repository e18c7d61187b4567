"""Training of a float model, and quantization of it to an integer model, for the commands and the Python interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.recording import Windows
from edge_seq.ir.model import AtWindowEnd, FloatModel, IntModel, Readout
from edge_seq.pipeline.logits import float_logits, real_logits
from edge_seq.pipeline.prepare import PreparedData
from edge_seq.quant.calibrate import Calibration, calibrate
from edge_seq.quant.quantize import quantize
from edge_seq.scores.agreement import QuantisationCost, quantisation_cost
from edge_seq.scores.metrics import softmax
from edge_seq.scores.temperature import Temperature, fold_into_weights

if TYPE_CHECKING:
    from pathlib import Path

    from edge_seq.training.config import TrainingConfig
    from edge_seq.training.fit import EpochRecord
    from edge_seq.training.loop import TrainingResult


from dataclasses import replace

from edge_seq.scores.temperature import NO_VALIDATION, fit_temperature, fold_temperature


@dataclass(frozen=True)
class Trained:
    """A trained network.

    Attributes:
        model: Float model with the temperature folded into its head.
        weights: Weights under torch's names, float32, with the temperature folded in.
        temperature: Temperature fitted on the validation windows.
        result: Record of the training.
    """

    model: FloatModel
    weights: Mapping[str, NDArray[np.float32]]
    temperature: Temperature
    result: TrainingResult


def train_model(
    data: PreparedData,
    config: TrainingConfig,
    *,
    name: str,
    at_window_end: AtWindowEnd,
    checkpoint_dir: Path | None = None,
    progress: Callable[[EpochRecord], None] | None = None,
) -> Trained:
    """Train a network, convert it to a float model, and fold in the temperature fitted on validation windows.

    Args:
        data: Windows to learn from and to validate on.
        config: Training configuration.
        name: Name of the model, a C identifier in lower case.
        at_window_end: ``reset`` or ``carry``, see :class:`edge_seq.ir.model.Readout`.
        checkpoint_dir: Folder of the checkpoint from which an interrupted training resumes; None keeps none.
        progress: Called with the record of each epoch.

    Raises:
        ToolError: torch is not installed.
        ConfigError, DataError, ContractError, ModelError: options or data cannot be used.
    """
    from edge_seq.training.runtime import require_torch

    require_torch("train")
    from edge_seq.frontends.from_torch import HEAD_PREFIX, from_training
    from edge_seq.training.loop import train

    dataset = data.dataset
    result = train(
        data.train,
        data.validation,
        dataset.contract,
        len(dataset.labels),
        config,
        checkpoint_dir=checkpoint_dir,
        progress=progress,
    )
    readout = Readout(config.pooling, config.label_every, at_window_end)
    converted = from_training(result, name=name, labels=dataset.labels, readout=readout)
    model, temperature = with_temperature(converted, data.validation)
    return Trained(model, fold_into_weights(result.state_dict, temperature.value, HEAD_PREFIX), temperature, result)


@dataclass(frozen=True)
class Quantized:
    """An integer model, and its cost on labelled windows.

    Attributes:
        model: Integer model.
        calibration: Ranges seen on the calibration streams.
        logits: Logits float64 [B, K] of the windows for ``float`` and ``int``.
        cost: Agreement of the two models on the windows.
    """

    model: IntModel
    calibration: Calibration
    logits: Mapping[str, NDArray[np.float64]]
    cost: QuantisationCost


QUANTIZE_STEPS = 3


def quantize_model(
    model: FloatModel,
    streams: NDArray[np.int16],
    windows: Windows,
    *,
    progress: Callable[[int, str], None] = lambda *_: None,
) -> Quantized:
    """Calibrate, quantize with the proof that nothing can overflow, and measure the quantisation cost.

    Args:
        model: Float model.
        streams: int16 [B, T, C], raw counts of training recordings.
        windows: Labelled windows for the cost, from the validation part if there is one.
        progress: Called with the number of steps done, of ``QUANTIZE_STEPS``, and the current step.

    Raises:
        DataError: the counts do not fit the model.
        RangeProofError: the model cannot be proven free of overflow.
    """
    progress(0, "calibrating")
    calibration = calibrate(model, streams)
    progress(1, "quantizing")
    quantized = quantize(model, calibration)
    progress(2, "measuring the cost")
    logits = {"float": float_logits(model, windows.counts), "int": real_logits(quantized, windows.counts)}
    cost = quantisation_cost(softmax(logits["float"]), softmax(logits["int"]))
    return Quantized(quantized, calibration, logits, cost)


def with_temperature(model: FloatModel, validation: Windows | None) -> tuple[FloatModel, Temperature]:
    """Fit the temperature on validation windows and fold it into the model. Without windows the model is unchanged."""
    if validation is None or len(validation.labels) == 0:
        return model, Temperature(note=NO_VALIDATION)
    temperature = fit_temperature(validation.labels, float_logits(model, validation.counts))
    temperature = replace(temperature, groups=len(set(validation.groups.tolist())))
    return fold_temperature(model, temperature.value), temperature
