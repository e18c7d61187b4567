"""Linear systems applied through the frequency domain: exact for a whole drive, and no loop over time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]


def fast_length(minimum: int) -> int:
    """Smallest 2^a * 3^b with b <= 2 that is at least ``minimum``: lengths for which an FFT is quick.

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
    """Filter by a frequency response.

    Args:
        signal: float64 [T].
        rate_hz: samples a second (or a metre).
        response: H(f), takes float64 [F] in Hz (or cycles a metre) and gives [F].
        pad_s: the end value of the signal is faded to its start value over this long behind it, so that what wraps
            around the circular convolution is at rest; at least the decay time of the system.

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
    """Unit-gain second-order low-pass ``w0^2 / (w0^2 - w^2 + 2 j D w0 w)``: body roll and pitch, a sensor's filter."""

    def response(frequencies: FloatArray) -> ComplexArray:
        ratio = frequencies / natural_hz
        return np.asarray(1.0 / (1.0 - ratio**2 + 2j * damping * ratio), dtype=np.complex128)

    return response


def second_order_acceleration(natural_hz: float, damping: float) -> Callable[[FloatArray], ComplexArray]:
    """Acceleration of a sprung mass for a force on it, as a share of F/m: ``-w^2 / (w0^2 - w^2 + 2 j D w0 w)``."""

    def response(frequencies: FloatArray) -> ComplexArray:
        ratio = frequencies / natural_hz
        return np.asarray(-(ratio**2) / (1.0 - ratio**2 + 2j * damping * ratio), dtype=np.complex128)

    return response


def coloured_noise(rng: np.random.Generator, length: int, rate_hz: float, low_hz: float, high_hz: float) -> FloatArray:
    """Gaussian noise of unit standard deviation between two frequencies (first-order flanks).

    Args:
        rng: source of the noise.
        length: T.
        rate_hz: samples a second (or a metre).
        low_hz: high-pass corner, 0 for none.
        high_hz: low-pass corner.

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
