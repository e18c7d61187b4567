"""Recordings as another installation would have given them: mounted askew, noisier, of another rate or range.

Each disturbance takes counts and gives counts, rounded half to even and saturated at the channels' full scale, so that
a model meets what a converter would hand to it. Labels stay with their samples.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.axes import axis_triples, rotation_about
from edge_seq.data.recording import Recording
from edge_seq.ir.contract import SensorContract
from edge_seq.support.errors import ConfigError, DataError

RATE_MIN, RATE_MAX = 0.25, 4.0
_SINC_SIDE = 16


def _limits(contract: SensorContract) -> NDArray[np.float64]:
    return np.array([channel.count_limit for channel in contract.channels], dtype=np.float64)


def _per_unit(contract: SensorContract) -> NDArray[np.float64]:
    return np.array([channel.counts_per_unit for channel in contract.channels], dtype=np.float64)


def _as_counts(values: NDArray[np.float64], limits: NDArray[np.float64]) -> NDArray[np.int16]:
    return np.clip(np.rint(values), -limits, limits).astype(np.int16)


def mounted_at(recording: Recording, contract: SensorContract, degrees: float, rng: np.random.Generator) -> Recording:
    """The part turned by ``degrees`` about an axis drawn uniformly on the sphere, one a recording: an unlucky mounting.

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
    physical = recording.counts / _per_unit(contract)
    for triple in triples:
        physical[:, list(triple)] = physical[:, list(triple)] @ rotation.T
    return replace(recording, counts=_as_counts(physical * _per_unit(contract), _limits(contract)))


def with_noise(recording: Recording, contract: SensorContract, share: float, rng: np.random.Generator) -> Recording:
    """White noise added, its standard deviation ``share`` of each channel's full scale.

    Raises:
        DataError: the share is below 0.
    """
    if share < 0:
        raise DataError(f"sensor noise: {share} of the full scale; give 0 or more")
    limits = _limits(contract)
    noise = rng.normal(0.0, 1.0, recording.counts.shape) * (share * limits)
    return replace(recording, counts=_as_counts(recording.counts + noise, limits))


def interpolate(values: NDArray[np.float64], moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values between samples, by the sinc of the sampling theorem under a Lanczos window 16 samples wide to each side.

    Straight lines between samples would do as a low-pass, and a classifier of vibration would suffer from that and not
    from the rate. Weights are scaled to sum to 1, so that a constant stays one; beyond the ends the last value holds.

    Args:
        values: float64 [T, C].
        moments: float64 [N], in samples.

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
    """A part whose clock runs ``factor`` times as fast as the contract says, while the model knows nothing of it.

    Sample i stands for what was at i / factor, by :func:`interpolate`; its label is that of the nearest sample. A
    slower part folds what is above half of its rate, as a part without a filter does; a faster one sees nothing above
    half of the recording's rate.

    Raises:
        DataError: the factor is out of range.
    """
    if not RATE_MIN <= factor <= RATE_MAX:
        raise DataError(f"sample rate: {factor} times the contract's; give {RATE_MIN:g} to {RATE_MAX:g}")
    length = len(recording.labels)
    moments = np.arange(int((length - 1) * factor) + 1) / factor
    values = interpolate(recording.counts.astype(np.float64), moments)
    nearest = np.minimum(np.rint(moments).astype(np.int64), length - 1)
    return replace(recording, counts=_as_counts(values, _limits(contract)), labels=recording.labels[nearest])


def with_full_scale(recording: Recording, contract: SensorContract, share: float) -> Recording:
    """A part that saturates at ``share`` of the contract's full scale; counts keep their worth.

    Raises:
        DataError: the share is out of range.
    """
    if not 0 < share <= 1:
        raise DataError(f"full scale: {share} of the contract's; give more than 0 and at most 1")
    return replace(recording, counts=_as_counts(recording.counts.astype(np.float64), _limits(contract) * share))
