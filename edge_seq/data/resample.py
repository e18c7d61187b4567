"""Resampling to another rate, only if the data source asks for it, by one of two methods.

``linear`` interpolates linearly between neighbouring samples. It suits jitter and small changes of rate. It does not
filter, so frequencies above half the new rate would alias; recordings at more than 1.5 times the new rate are refused.

``lowpass`` interpolates linearly too. If the new rate is lower, it first brings the samples onto an even grid at their
own median rate and filters them with a low-pass (sinc times a Kaiser window, 60 dB, half of the amplitude at 0.45 times
the new rate).

The label of a new sample is that of the last sample at or before it, so no label comes too early.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_seq.support.errors import ContractError

ResampleMethod = Literal["none", "linear", "lowpass"]
MAX_LINEAR_RATIO = 1.5
_CUTOFF = 0.45  # share of the new rate
_TRANSITION = 0.1  # width from passband to stopband, share of the new rate
_KAISER_BETA, _KAISER_LENGTH = 5.65, 3.62  # 60 dB: taps = length * rate / transition (Kaiser 1974)


def resample(
    time_s: NDArray[np.float64],
    values: NDArray[np.float64],
    codes: NDArray[np.int64],
    *,
    sample_rate_hz: float,
    method: ResampleMethod,
    name: str,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Resample onto an even grid that begins at the first sample.

    Args:
        time_s: float64 [T], seconds, increasing, T at least 2.
        values: float64 [T, C].
        codes: int64 [T], label codes, which are not interpolated.
        sample_rate_hz: new rate.
        method: ``linear`` or ``lowpass``; see the module.
        name: name of the recording, for messages.

    Returns:
        values float64 [N, C] and codes int64 [N].

    Raises:
        ContractError: the method is ``linear`` and the rate of the recording is more than 1.5 times the new rate.

    >>> time = np.arange(6) / 5.0
    >>> new, codes = resample(
    ...     time, time[:, None], np.arange(6), sample_rate_hz=10.0, method="linear", name="walk"
    ... )
    >>> new[:3, 0].round(3).tolist(), codes[:5].tolist()
    ([0.0, 0.1, 0.2], [0, 0, 1, 1, 2])
    """
    found = 1.0 / float(np.median(np.diff(time_s)))
    if method == "linear" and found > MAX_LINEAR_RATIO * sample_rate_hz:
        raise ContractError(
            f'recording {name}: resample = "linear" from {found:.4g} Hz to {sample_rate_hz:g} Hz would alias vibration '
            f'above {sample_rate_hz / 2:g} Hz; set resample = "lowpass"'
        )
    grid, rows = rows_at(time_s, sample_rate_hz)
    source_time, source = time_s, values
    if method == "lowpass" and found > sample_rate_hz:
        source_time = time_s[0] + np.arange(int(np.floor((time_s[-1] - time_s[0]) * found + 1e-6)) + 1) / found
        source = _lowpass(_interpolate(source_time, time_s, values), found, sample_rate_hz)
    return _interpolate(grid, source_time, source), codes[rows]


def rows_at(time_s: NDArray[np.float64], sample_rate_hz: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Times of an even grid that begins at the first sample, and the last row at or before each of them.

    Args:
        time_s: float64 [T], seconds, increasing.
        sample_rate_hz: rate of the grid.

    Returns:
        times float64 [N] and rows int64 [N].

    >>> rows_at(np.array([0.0, 0.1, 0.2]), 5.0)[1].tolist()
    [0, 2]
    """
    count = int(np.floor((time_s[-1] - time_s[0]) * sample_rate_hz + 1e-6)) + 1
    grid = time_s[0] + np.arange(count) / sample_rate_hz
    rows = np.searchsorted(time_s, grid + 1e-9 * max(1.0, abs(float(time_s[-1]))), side="right") - 1
    return grid, np.clip(rows, 0, len(time_s) - 1)


def _interpolate(
    at: NDArray[np.float64], time_s: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.stack([np.interp(at, time_s, values[:, c]) for c in range(values.shape[1])], axis=1)


def _lowpass(values: NDArray[np.float64], rate: float, new_rate: float) -> NDArray[np.float64]:
    """Filter values [T, C]. Near the ends the kernel is cut off and rescaled, so that a constant stays constant."""
    half = int(np.ceil(_KAISER_LENGTH * rate / (_TRANSITION * new_rate) / 2))
    taps = np.arange(-half, half + 1)
    kernel = np.sinc(2 * _CUTOFF * new_rate / rate * taps) * np.kaiser(len(taps), _KAISER_BETA)
    reach = np.convolve(np.ones(len(values)), kernel, mode="full")[half : half + len(values)]
    filtered = [np.convolve(column, kernel, mode="full")[half : half + len(values)] / reach for column in values.T]
    return np.stack(filtered, axis=1)
