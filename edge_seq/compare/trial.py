"""One training of a comparison, and its measurements."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.compare.config import CompareConfig, parse_compare_config
from edge_seq.compare.data import PointData, Source, open_source
from edge_seq.compare.points import Point
from edge_seq.compare.result import (
    Confusion,
    GradientNorms,
    TrialInteger,
    TrialRefused,
    TrialResult,
    WindowCounts,
)
from edge_seq.data.recording import Windows, select_windows
from edge_seq.data.windows import spread
from edge_seq.ir.model import FloatModel, canonical_json, num_parameters, weight_bytes
from edge_seq.pipeline.logits import int_logits
from edge_seq.quant.calibrate import calibrate
from edge_seq.quant.quantize import quantize
from edge_seq.scores.metrics import confusion_matrix
from edge_seq.support.errors import ModelError
from edge_seq.trials.worker import require_data, require_version

SIGNIFICANT_DIGITS = 6  # digits of stored numbers, which are many


@dataclass(frozen=True)
class TrainingJob:
    """A training that a worker does by itself.

    Attributes:
        config: configuration of the comparison, ready for JSON.
        fingerprint: fingerprint that the worker's data must have.
        version: version of this package that the worker must have.
        point: training to do.
    """

    config: dict[str, Any]
    fingerprint: str
    version: str
    point: Point


def run_job(job: TrainingJob) -> TrialResult:
    """Do a training in a worker, with data that the worker reads itself.

    Raises:
        ConfigError: the worker has another version of this package.
        DataError: the worker's data are others.
        Further errors: as :func:`run_point` raises.
    """
    require_version("comparison", job.version)
    config, source = _opened(canonical_json(job.config))
    require_data("comparison", str(config.task), source.fingerprint, job.fingerprint)
    return run_point(job.point, source, config)


@lru_cache(maxsize=1)
def _opened(config: str) -> tuple[CompareConfig, Source]:
    """Read the data of a comparison, once in a worker."""
    parsed = parse_compare_config(json.loads(config))
    return parsed, open_source(parsed)


def run_point(point: Point, source: Source, config: CompareConfig) -> TrialResult:
    """Train a network, score its float and its integer model, and measure the gradient with respect to past inputs.

    Raises:
        ConfigError: the loss is not finite.
        DataError, ContractError: the data cannot be used.
    """
    from edge_seq.frontends.from_torch import from_training
    from edge_seq.training.gradients import input_gradients
    from edge_seq.training.loop import predict, train

    data = source.windows(point.candidate.time_steps, point.seed)
    cpu_before = time.process_time()
    result = train(data.train, data.scored, data.contract, len(data.labels), point.training(config.training))
    cpu_seconds = time.process_time() - cpu_before
    predictions = predict(result, data.scored.counts).argmax(axis=1)
    followed = spread(len(predictions), config.gradient_windows)
    gradients = input_gradients(result, select_windows(data.scored, followed))
    model = from_training(result, name="compared", labels=data.labels)
    return TrialResult(
        groups=confusions_by_group(data.scored, predictions, len(data.labels), merge=not source.has_groups),
        windows=WindowCounts(len(data.train.labels), len(data.scored.labels)),
        seconds=result.seconds,
        cpu_seconds=cpu_seconds,
        parameters=num_parameters(model),
        train_loss=tuple(_short(record.train_loss) for record in result.history),
        validation_accuracy=tuple(_short(record.validation_accuracy or 0.0) for record in result.history),
        gradient=GradientNorms(
            before=tuple(_short(value) for value in gradients.before.tolist()),
            after=tuple(_short(value) for value in gradients.after.tolist()),
        ),
        integer=_integer(model, data, predictions, config.integer_windows),
        versions=dict(result.versions),
    )


def _integer(
    model: FloatModel, data: PointData, predictions: NDArray[np.int64], most: int
) -> TrialInteger | TrialRefused:
    """Make the integer model of the training, and score it and the float model on some of the windows."""
    try:
        quantized = quantize(model, calibrate(model, data.calibration_counts))
    except ModelError as error:  # the range proof holds with no multiplier
        return TrialRefused("refused", str(error))
    picked = spread(len(predictions), most)
    truth, of_float = data.scored.labels[picked], predictions[picked]
    of_int, classes = int_logits(quantized, data.scored.counts[picked]).argmax(axis=1), len(data.labels)
    return TrialInteger(
        "measured",
        weight_bytes=weight_bytes(quantized),
        confusion=_confusion(truth, of_int, classes),
        float_confusion=_confusion(truth, of_float, classes),
        agreement=_short(float((of_int == of_float).mean())),
    )


def confusions_by_group(
    windows: Windows, predictions: NDArray[np.int64], classes: int, *, merge: bool
) -> dict[str, Confusion]:
    """Compute the confusion matrix of each group, or with ``merge`` of all windows together.

    Args:
        windows: B windows with their labels and groups.
        predictions: class indices int64 [B].
        classes: K.
        merge: give one matrix, under the name ``all``.
    """
    if merge:
        return {"all": _confusion(windows.labels, predictions, classes)}
    return {
        str(group): _confusion(windows.labels[at], predictions[at], classes)
        for group in np.unique(windows.groups)
        for at in [windows.groups == group]
    }


def _confusion(labels: NDArray[np.integer], predictions: NDArray[np.integer], classes: int) -> Confusion:
    return tuple(tuple(row) for row in confusion_matrix(labels, predictions, classes).tolist())


def _short(value: float) -> float:
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
