"""What models score where the installation is not that of the training: sweeps of disturbances."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edge_seq.data.disturb import at_rate, mounted_at, with_full_scale, with_noise
from edge_seq.data.recording import Recording, Windows
from edge_seq.data.windows import make_windows
from edge_seq.ir.contract import SensorContract
from edge_seq.ir.model import FloatFormat, FloatModel, IntModel
from edge_seq.pipeline.logits import float_logits, real_logits
from edge_seq.scores.metrics import evaluate_predictions, softmax
from edge_seq.support.errors import ConfigError, DataError

Disturb = Callable[[Recording, SensorContract, float, np.random.Generator], Recording]


@dataclass(frozen=True)
class Sweep:
    """One disturbance, from none to severe.

    Attributes:
        name: as in the results.
        quantity: what its values are, with their unit, for an axis.
        values: with ``nominal`` among them.
        nominal: that changes nothing.
        disturb: a recording, under a contract, by a value, with a source of randomness.
    """

    name: str
    quantity: str
    values: tuple[float, ...]
    nominal: float
    disturb: Disturb


SWEEPS: tuple[Sweep, ...] = (
    Sweep("mounting_angle", "mounting angle, degrees", (0, 5, 10, 20, 30, 45, 60, 90, 180), 0, mounted_at),
    Sweep("noise", "noise, share of full scale", (0, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2), 0, with_noise),
    Sweep(
        "rate",
        "sample rate, times the contract's",
        (0.5, 0.7, 0.8, 0.9, 0.95, 1, 1.05, 1.1, 1.25, 1.5, 2),
        1,
        lambda recording, contract, value, _: at_rate(recording, contract, value),
    ),
    Sweep(
        "full_scale",
        "full scale, share of the contract's",
        (1, 0.75, 0.5, 0.35, 0.25, 0.125),
        1,
        lambda recording, contract, value, _: with_full_scale(recording, contract, value),
    ),
)


SWEEP_NAMES = tuple(sweep.name for sweep in SWEEPS)


def choose_sweeps(names: Sequence[str]) -> tuple[Sweep, ...]:
    """Sweeps by name; all where none is named.

    Raises:
        ConfigError: naming those there are.
    """
    unknown = [name for name in names if name not in SWEEP_NAMES]
    if unknown:
        raise ConfigError(f"robustness: there is no sweep {unknown[0]!r}; give some of {list(SWEEP_NAMES)}")
    return tuple(sweep for sweep in SWEEPS if not names or sweep.name in names)


def disturbed_windows(
    recordings: Sequence[Recording],
    contract: SensorContract,
    sweep: Sweep,
    value: float,
    *,
    minimum_share: float,
    seed: int,
) -> Windows:
    """Windows of disturbed recordings; a recording draws the same axis and noise at every value of a sweep."""
    disturbed = []
    for index, recording in enumerate(recordings):
        stream = np.random.default_rng([seed, zlib.crc32(sweep.name.encode()), index])
        disturbed.append(sweep.disturb(recording, contract, float(value), stream))
    long_enough = [recording for recording in disturbed if len(recording.labels) >= contract.window_length]
    if not long_enough:
        raise DataError(
            f"robustness: at {sweep.quantity} {value:g} no recording is as long as a window of "
            f"{contract.window_length} samples; leave this sweep out"
        )
    length, stride = contract.window_length, contract.window_stride
    return make_windows(long_enough, length=length, stride=stride, minimum_share=minimum_share)


def _scores(models: dict[str, FloatModel | IntModel], windows: Windows, seed: int) -> dict[str, Any]:
    """Accuracy and macro-F1 with their intervals, by model."""
    scores = {}
    for name, model in models.items():
        logits = (
            float_logits(model, windows.counts)
            if isinstance(model.number_format, FloatFormat)
            else real_logits(model, windows.counts)
        )
        metrics = evaluate_predictions(
            windows.labels, softmax(logits), windows.groups, label_names=model.labels, seed=seed
        )
        scores[name] = {"accuracy": asdict(metrics.accuracy), "macro_f1": asdict(metrics.macro_f1)}
    return scores
