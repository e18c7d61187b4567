"""Another sample rate: only where the data source asks for it, by a method with a name.

``linear``: straight lines between neighbouring samples. For jitter and for small changes of rate; it would fold what is
above half the new rate into the signal, so more than 1.5 times the new rate is refused.

``lowpass``: samples brought onto an even grid of their own median rate, a low-pass (sinc times a Kaiser window, 60 dB,
half of the amplitude at 0.45 times the new rate) where the new rate is lower, then ``linear``.

A label is that of the last sample at or before the new one, so no sample is labelled before its time.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_seq.support.errors import ContractError

ResampleMethod = Literal["none", "linear", "lowpass"]
MAX_LINEAR_RATIO = 1.5
_CUTOFF = 0.45  # of the new rate
_TRANSITION = 0.1  # of the new rate, from pass to stop
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
    """Bring samples onto the grid that begins at the first sample.

    Args:
        time_s: float64 [T], increasing, at least 2.
        values: float64 [T, C].
        codes: int64 [T], what is not interpolated: labels.
        sample_rate_hz: new rate.
        method: see the module.
        name: of the recording, for messages.

    Returns:
        values float64 [N, C] and codes int64 [N].

    Raises:
        ContractError: ``linear`` from a rate that is much higher.

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
            f'recording {name}: resample = "linear" from {found:.4g} Hz to {sample_rate_hz:g} Hz would fold vibration '
            f'above {sample_rate_hz / 2:g} Hz into the signal; set resample = "lowpass"'
        )
    count = int(np.floor((time_s[-1] - time_s[0]) * sample_rate_hz + 1e-6)) + 1
    grid = time_s[0] + np.arange(count) / sample_rate_hz
    source_time, source = time_s, values
    if method == "lowpass" and found > sample_rate_hz:
        source_time = time_s[0] + np.arange(int(np.floor((time_s[-1] - time_s[0]) * found + 1e-6)) + 1) / found
        source = _lowpass(_interpolate(source_time, time_s, values), found, sample_rate_hz)
    nearest = np.searchsorted(time_s, grid + 1e-9 * max(1.0, abs(float(time_s[-1]))), side="right") - 1
    return _interpolate(grid, source_time, source), codes[np.clip(nearest, 0, len(codes) - 1)]


def _interpolate(
    at: NDArray[np.float64], time_s: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.stack([np.interp(at, time_s, values[:, c]) for c in range(values.shape[1])], axis=1)


def _lowpass(values: NDArray[np.float64], rate: float, new_rate: float) -> NDArray[np.float64]:
    """Filter [T, C]; near the ends the part of the window that lies in the recording, so that a constant stays one."""
    half = int(np.ceil(_KAISER_LENGTH * rate / (_TRANSITION * new_rate) / 2))
    taps = np.arange(-half, half + 1)
    kernel = np.sinc(2 * _CUTOFF * new_rate / rate * taps) * np.kaiser(len(taps), _KAISER_BETA)
    reach = np.convolve(np.ones(len(values)), kernel, mode="full")[half : half + len(values)]
    filtered = [np.convolve(column, kernel, mode="full")[half : half + len(values)] / reach for column in values.T]
    return np.stack(filtered, axis=1)
