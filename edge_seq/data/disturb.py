"""Disturbances of recordings: another mounting angle, sensor noise, another sample rate, a smaller full scale.

Each function takes counts and gives counts, rounded half to even and saturated at the channels' full scale, as an
analogue-to-digital converter would give them. Labels stay with their samples.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.recording import Recording
from edge_seq.data.units import rotation_about
from edge_seq.ir.contract import SensorContract, axis_triples
from edge_seq.support.errors import ConfigError, DataError

RATE_MIN, RATE_MAX = 0.25, 4.0
_SINC_SIDE = 16


def _as_counts(values: NDArray[np.float64], limits: NDArray[np.float64]) -> NDArray[np.int16]:
    return np.clip(np.rint(values), -limits, limits).astype(np.int16)


def mounted_at(recording: Recording, contract: SensorContract, degrees: float, rng: np.random.Generator) -> Recording:
    """Rotate the sensor by ``degrees`` about a random axis, uniform on the sphere, as if it were mounted askew.

    The axis is drawn once for the whole recording.

    Raises:
        ConfigError: no three channels are the axes of one sensor.
    """
    triples = axis_triples(contract)
    if not triples:
        raise ConfigError(
            f"mounting angle: the channels {list(contract.channel_names)} hold no x, y and z with one stem and one "
            "unit; name the axes so (ax, ay, az), or leave the sweep of the angle out"
        )
    drawn = rng.normal(size=3)
    rotation = rotation_about(drawn / np.linalg.norm(drawn), degrees)
    physical = recording.counts / contract.counts_per_unit
    for triple in triples:
        physical[:, list(triple)] = physical[:, list(triple)] @ rotation.T
    return replace(recording, counts=_as_counts(physical * contract.counts_per_unit, contract.count_limits))


def with_noise(recording: Recording, contract: SensorContract, share: float, rng: np.random.Generator) -> Recording:
    """Add white noise with a standard deviation of ``share`` times each channel's full scale.

    Raises:
        DataError: the share is below 0.
    """
    if share < 0:
        raise DataError(f"sensor noise: {share} of the full scale; give 0 or more")
    limits = contract.count_limits
    noise = rng.normal(0.0, 1.0, recording.counts.shape) * (share * limits)
    return replace(recording, counts=_as_counts(recording.counts + noise, limits))


def interpolate(values: NDArray[np.float64], moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate between samples with a sinc under a Lanczos window, 16 samples wide to each side.

    Linear interpolation would act as a low-pass filter, and a classifier of vibration would suffer from the filter and
    not from the rate. The weights sum to 1, so a constant stays constant. Beyond the ends the last value holds.

    Args:
        values: float64 [T, C].
        moments: float64 [N], times in samples.

    Returns:
        float64 [N, C].
    """
    first = np.floor(moments).astype(np.int64)
    index = first[:, None] + np.arange(1 - _SINC_SIDE, _SINC_SIDE + 1)
    distance = moments[:, None] - index
    weights = np.sinc(distance) * np.sinc(distance / _SINC_SIDE)
    weights /= weights.sum(axis=1, keepdims=True)
    known = np.clip(index, 0, len(values) - 1)
    result = np.stack([(values[known, channel] * weights).sum(axis=1) for channel in range(values.shape[1])], axis=1)
    return np.asarray(result, dtype=np.float64)


def at_rate(recording: Recording, contract: SensorContract, factor: float) -> Recording:
    """Resample as if the sensor ran at ``factor`` times the contract's rate, while the model assumes the contract's.

    Sample i is the value at time i / factor, from :func:`interpolate`, with the label of the nearest sample. A slower
    sensor aliases frequencies above half of its rate, as a sensor without a filter does. A faster one gets no
    frequencies above half of the recording's rate.

    Args:
        recording: recording to change.
        contract: its sensor contract.
        factor: 0.25 to 4.

    Raises:
        DataError: the factor is out of range.
    """
    if not RATE_MIN <= factor <= RATE_MAX:
        raise DataError(f"sample rate: {factor} times the contract's; give {RATE_MIN:g} to {RATE_MAX:g}")
    length = len(recording.labels)
    moments = np.arange(int((length - 1) * factor) + 1) / factor
    values = interpolate(recording.counts.astype(np.float64), moments)
    nearest = np.minimum(np.rint(moments).astype(np.int64), length - 1)
    return replace(recording, counts=_as_counts(values, contract.count_limits), labels=recording.labels[nearest])


def with_full_scale(recording: Recording, contract: SensorContract, share: float) -> Recording:
    """Saturate at ``share`` of the contract's full scale. The counts per unit stay the same.

    Raises:
        DataError: the share is out of range.
    """
    if not 0 < share <= 1:
        raise DataError(f"full scale: {share} of the contract's; give more than 0 and at most 1")
    return replace(recording, counts=_as_counts(recording.counts.astype(np.float64), contract.count_limits * share))
