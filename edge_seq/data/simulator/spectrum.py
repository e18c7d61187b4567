"""Linear systems applied in the frequency domain, to a whole drive at once and without a loop over time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]


def fast_length(minimum: int) -> int:
    """Find the smallest 2^a * 3^b with b <= 2 that is at least ``minimum``. An FFT of such a length is fast.

    >>> fast_length(1000)
    1024
    """
    best = 1 << max(0, minimum - 1).bit_length()
    for factor in (3, 9):
        candidate = factor
        while candidate < minimum:
            candidate *= 2
        best = min(best, candidate)
    return best


def apply_response(
    signal: FloatArray,
    rate_hz: float,
    response: Callable[[FloatArray], ComplexArray | FloatArray],
    *,
    pad_s: float = 8.0,
) -> FloatArray:
    """Filter a signal by a frequency response.

    Args:
        signal: float64 [T].
        rate_hz: samples per second (or per metre).
        response: H(f), takes float64 [F] in Hz (or cycles per metre) and gives [F].
        pad_s: length of the padding behind the signal, in which its end value fades to its start value. The convolution
            is circular, so the padding must be at least as long as the system rings.

    Returns:
        float64 [T].
    """
    length = signal.shape[0]
    padded = fast_length(length + int(pad_s * rate_hz))
    fade = 0.5 * (1.0 + np.cos(np.pi * np.arange(1, padded - length + 1) / (padded - length + 1)))
    tail = signal[0] + (signal[-1] - signal[0]) * fade
    spectrum = np.fft.rfft(np.concatenate([signal, tail]))
    frequencies = np.asarray(np.fft.rfftfreq(padded, 1.0 / rate_hz), dtype=np.float64)
    filtered: FloatArray = np.fft.irfft(spectrum * response(frequencies), padded)[:length]
    return filtered


def second_order(natural_hz: float, damping: float) -> Callable[[FloatArray], ComplexArray]:
    """Build a second-order low-pass of unit gain, ``w0^2 / (w0^2 - w^2 + 2 j D w0 w)``, for body motion and filters."""

    def response(frequencies: FloatArray) -> ComplexArray:
        ratio = frequencies / natural_hz
        return np.asarray(1.0 / (1.0 - ratio**2 + 2j * damping * ratio), dtype=np.complex128)

    return response


def second_order_acceleration(natural_hz: float, damping: float) -> Callable[[FloatArray], ComplexArray]:
    """Build the response of a sprung mass, acceleration over F/m: ``-w^2 / (w0^2 - w^2 + 2 j D w0 w)``."""

    def response(frequencies: FloatArray) -> ComplexArray:
        ratio = frequencies / natural_hz
        return np.asarray(-(ratio**2) / (1.0 - ratio**2 + 2j * damping * ratio), dtype=np.complex128)

    return response


def coloured_noise(rng: np.random.Generator, length: int, rate_hz: float, low_hz: float, high_hz: float) -> FloatArray:
    """Draw Gaussian noise of unit standard deviation between two corner frequencies (first-order filters).

    Args:
        rng: source of the noise.
        length: number of samples, T.
        rate_hz: samples per second (or per metre).
        low_hz: corner frequency of the high-pass; 0 for none.
        high_hz: corner frequency of the low-pass.

    Returns:
        float64 [T].
    """
    padded = fast_length(length)
    frequencies = np.fft.rfftfreq(padded, 1.0 / rate_hz)
    shape = 1.0 / np.sqrt(1.0 + (frequencies / high_hz) ** 2)
    if low_hz > 0:
        shape *= (frequencies / low_hz) / np.sqrt(1.0 + (frequencies / low_hz) ** 2)
    shape[0] = 0.0
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(padded)) * shape, padded)
    scaled: FloatArray = noise[:length] / np.sqrt(np.mean(shape**2))
    return scaled
