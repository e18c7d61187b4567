"""The distance of a window from the normal ones, as the last layers of a model.

The network first learns to tell changed windows apart (:mod:`edge_seq.pipeline.one_class.changes`). Its answers are
thrown away. What is read out of its states for a window, s, is then measured in the directions in which the normal
training windows vary, each in units of how much they vary there:

    y = V^T (s - mean) / sqrt(lambda + FLOOR),   distance = sum of |y|

V and lambda are the eigenvectors and eigenvalues of the covariance of s. A dense layer with relu has the rows y and -y,
so the sum of its outputs is the distance, and the head compares that with a threshold. So quantization, ONNX, C and
every proof are those of any other model.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.reference_float import run_float_stream
from edge_seq.ir.kinds import Dense
from edge_seq.ir.model import AtWindowEnd, FloatModel, Readout
from edge_seq.ir.rows import FloatRows
from edge_seq.ir.verify import verify
from edge_seq.pipeline.logits import BATCH, float_logits
from edge_seq.pipeline.one_class.changes import CHANGES, changed_windows
from edge_seq.scores.one_class import NORMAL_INDEX
from edge_seq.support.errors import DataError
from edge_seq.support.results import Result
from edge_seq.training.record import EpochRecord

if TYPE_CHECKING:
    from pathlib import Path

    from edge_seq.pipeline.prepare import PreparedData
    from edge_seq.training.config import TrainingConfig
    from edge_seq.training.loop import TrainingResult

Real = NDArray[np.float64]

FLOOR = 2.0**-10  # variance added in each direction, so that rounding to 2^-7 is small beside it
MARGIN_AT_ZERO = 4.0  # by how much normal leads anomaly, in logits, where the distance is 0; at the threshold by 0


@dataclass(frozen=True)
class OneClassFit(Result):
    """Record of a threshold.

    Attributes:
        normal: name of the normal class.
        wanted: share of false alarms that was asked for.
        found: share of the normal validation windows that are beyond the threshold.
        windows, groups: number of the normal validation windows, and of their groups.
        threshold: largest distance that is normal.
        changes: ways of changing windows that the network learnt to tell apart.
    """

    normal: str
    wanted: float
    found: float
    windows: int
    groups: int
    threshold: float
    changes: tuple[str, ...]

    def text(self) -> str:
        """The threshold in one sentence."""
        return (
            f"the threshold of the distance makes {100 * self.found:.1f} % of {self.windows:,} validation windows of "
            f"{self.normal} anomalies, in {self.groups} groups; asked for were at most {100 * self.wanted:g} %"
        )

    def warning(self) -> str | None:
        """Says that the validation windows are too few for the share that was asked for; None if they are enough."""
        least = math.ceil(1 / self.wanted)
        if self.windows >= least and self.groups > 1:
            return None
        return (
            f"{self.windows:,} normal validation windows of {self.groups} "
            f"{'group' if self.groups == 1 else 'groups'} say little about {100 * self.wanted:g} % of false alarms: it "
            f"takes {least:,} windows for one of them, and several groups to know how new ones differ. Record more, "
            "or set a larger data.validation_fraction"
        )


def learnt_windows(data: PreparedData) -> int:
    """Number of windows that a training learns from."""
    return len(data.train.labels) * (1 if data.one_class is None else len(CHANGES))


def train_one_class(
    data: PreparedData,
    config: TrainingConfig,
    *,
    name: str,
    at_window_end: AtWindowEnd,
    checkpoint_dir: Path | None = None,
    progress: Callable[[EpochRecord], None] | None = None,
) -> tuple[FloatModel, TrainingResult, OneClassFit]:
    """Train on normal windows alone, and set the threshold of the distance on normal validation windows.

    Args:
        data: Windows of one class to learn from, and others of it for the threshold.
        config: Training configuration, without the layers of the distance.
        name: Name of the model, a C identifier in lower case.
        at_window_end: ``reset`` or ``carry``, see :class:`edge_seq.ir.model.Readout`.
        checkpoint_dir: Folder of the checkpoint; None keeps none.
        progress: Called with the record of each epoch.

    Returns:
        The model with the labels normal and anomaly; its weights under torch's names with the record of the training;
        and the record of the threshold.

    Raises:
        DataError: there are no validation windows.
        ConfigError, ContractError, ModelError: as the training says.
    """
    from edge_seq.frontends.from_torch import from_training
    from edge_seq.training.loop import train

    if data.one_class is None or data.validation is None:
        raise DataError(
            "training on one class: the threshold is set on normal validation windows, and there are none; set "
            "data.validation_fraction above 0, with at least two groups that have the normal class",
            in_python="training on one class: the threshold is set on normal validation windows, and there are none; "
            "load the data with validation_fraction above 0, and one_class",
        )
    result = train(
        changed_windows(data.train),
        changed_windows(data.validation),
        data.dataset.contract,
        len(CHANGES),
        config,
        checkpoint_dir=checkpoint_dir,
        progress=progress,
    )
    readout = Readout(config.pooling, config.label_every, at_window_end)
    encoder = from_training(result, name=name, labels=tuple(CHANGES), readout=readout)
    dense = distance_rows(states_of(encoder, data.train.counts))
    model = replace(
        encoder,
        labels=data.one_class.labels,
        dense=(Dense(dense, "relu"),),
        head=_head(len(dense.bias), 1.0),
    )
    wanted = data.one_class.wanted
    threshold = least_threshold(distances_of(model, data.validation.counts, 1.0), wanted.false_alarms)
    model = replace(model, head=_head(len(dense.bias), threshold))
    verify(model)
    alarms = float_logits(model, data.validation.counts).argmax(axis=1) != NORMAL_INDEX
    fitted = OneClassFit(
        normal=wanted.normal,
        wanted=wanted.false_alarms,
        found=float(alarms.mean()),
        windows=len(alarms),
        groups=len(set(data.validation.groups.tolist())),
        threshold=threshold,
        changes=tuple(CHANGES),
    )
    return model, _with_distance(result, model), fitted


def states_of(model: FloatModel, counts: NDArray[np.int16]) -> Real:
    """What the head sees at the end of each window, float64 [B, N], of int16 [B, T, C]."""
    parts = [
        run_float_stream(model, counts[start : start + BATCH], head_input=True).values["head_input"][:, -1]
        for start in range(0, len(counts), BATCH)
    ]
    return np.concatenate(parts).astype(np.float64)


def distance_rows(states: Real) -> FloatRows:
    """Rows y and -y of the dense layer, for the states [B, N] of the normal windows.

    >>> rows = distance_rows(np.array([[-1.0], [1.0]]))
    >>> (rows.weight_input @ [3.0] + rows.bias).round(2).tolist()  # three deviations of 1 away
    [3.0, -3.0]
    """
    mean = states.mean(axis=0)
    covariance = (states - mean).T @ (states - mean) / len(states)
    variances, directions = np.linalg.eigh(covariance)
    weights = (directions / np.sqrt(np.maximum(variances, 0) + FLOOR)).T
    bias = -weights @ mean
    return FloatRows(
        weight_input=np.ascontiguousarray(np.concatenate([weights, -weights]), dtype=np.float32),
        weight_hidden=np.zeros((2 * len(weights), 0), dtype=np.float32),
        bias=np.concatenate([bias, -bias]).astype(np.float32),
    )


def least_threshold(distances: Real, false_alarms: float) -> float:
    """Least threshold that at most a share ``false_alarms`` of the distances [B] is beyond.

    It lies half-way to the next distance, so that the rounding of integers does not decide.

    >>> least_threshold(np.array([1.0, 2.0, 3.0, 4.0]), 0.25), least_threshold(np.array([1.0, 2.0]), 0.1)
    (3.5, 2.1)
    """
    ordered = np.sort(distances)
    beyond = int(false_alarms * len(ordered) + 1e-9)
    if beyond == 0:  # nothing lies beyond the largest, so some room is left
        return float(1.05 * ordered[-1])
    return float((ordered[-beyond - 1] + ordered[-beyond]) / 2)


def _head(units: int, threshold: float) -> FloatRows:
    """The head: anomaly leads normal by MARGIN_AT_ZERO (distance / threshold - 1)."""
    half = MARGIN_AT_ZERO / 2
    slope, sign = half / threshold, np.array([-1.0, 1.0], dtype=np.float32)  # of normal, of anomaly
    return FloatRows(
        weight_input=np.repeat(sign[:, None] * np.float32(slope), units, axis=1),
        weight_hidden=np.zeros((2, 0), dtype=np.float32),
        bias=-np.float32(half) * sign,
    )


def distances_of(model: FloatModel, counts: NDArray[np.int16], threshold: float) -> Real:
    """Distances float64 [B] of windows int16 [B, T, C], from the logits of a model with that threshold."""
    logits = float_logits(model, counts)
    margin = logits[:, 1 - NORMAL_INDEX] - logits[:, NORMAL_INDEX]
    return np.asarray(threshold * (margin / MARGIN_AT_ZERO + 1))


def _with_distance(result: TrainingResult, model: FloatModel) -> TrainingResult:
    """The record of a training with the weights of the whole model, under torch's names."""
    from edge_seq.frontends.from_torch import DENSE_PREFIX, HEAD_PREFIX

    weights = {name: value for name, value in result.state_dict.items() if not name.startswith(HEAD_PREFIX)}
    for prefix, rows in ((f"{DENSE_PREFIX}0.", model.dense[0].rows), (HEAD_PREFIX, model.head)):
        weights |= {f"{prefix}weight": rows.weight_input, f"{prefix}bias": rows.bias}
    return replace(result, state_dict=weights, num_classes=model.num_classes, config=result.config.with_distance())
