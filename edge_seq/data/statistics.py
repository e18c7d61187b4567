"""Statistics of windows, for classifiers that see a window as a whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_SPECTRUM_BANDS = 6
INTEGER_STATISTICS = ("mean", "deviation", "smallest", "largest", "mean step", "turns")
_LARGEST = 2**15 - 1


def window_statistics(features: NDArray[np.floating | np.integer]) -> NDArray[np.float64]:
    """Compute statistics of each window that do not depend on when something happens in it.

    Each channel, and the magnitude of all channels, gives its mean, standard deviation, minimum, maximum, 5, 25, 50, 75
    and 95 % quantiles, mean absolute difference of neighbouring samples, and the logarithm of the power in 6 frequency
    bands of equal width, without the mean. The correlation of each pair of channels follows.

    Args:
        features: [B, T, C], counts or normalised features.

    Returns:
        float64 [B, 16 (C + 1) + C (C - 1) / 2].
    """
    x = np.asarray(features, dtype=np.float64)
    magnitude = np.sqrt((x**2).sum(axis=2, keepdims=True))
    signals = np.concatenate([x, magnitude], axis=2)
    moments = [signals.mean(axis=1), signals.std(axis=1), signals.min(axis=1), signals.max(axis=1)]
    quantiles = list(np.quantile(signals, _QUANTILES, axis=1))
    step = signals[:, 1:] - signals[:, :-1] if x.shape[1] > 1 else np.zeros_like(signals)
    statistics = [*moments, *quantiles, np.abs(step).mean(axis=1), *_band_powers(signals), _correlations(x)]
    return np.concatenate(statistics, axis=1)


def _band_powers(signals: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Logarithm of the power in each frequency band, without the mean: a list of float64 [B, C + 1]."""
    spectrum = np.abs(np.fft.rfft(signals - signals.mean(axis=1, keepdims=True), axis=1)) ** 2
    bands = np.array_split(spectrum[:, 1:], _SPECTRUM_BANDS, axis=1)
    return [np.log1p(band.sum(axis=1)) for band in bands]


def _correlations(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation of each pair of channels, 0 with a constant channel: float64 [B, C (C - 1) / 2]."""
    centred = x - x.mean(axis=1, keepdims=True)
    norm = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    unit = centred / np.where(norm == 0, 1.0, norm)
    first, second = np.triu_indices(x.shape[2], k=1)
    result: NDArray[np.float64] = np.einsum("bti,btj->bij", unit, unit)[:, first, second]
    return result


def integer_statistics(features: NDArray[np.integer]) -> NDArray[np.int16]:
    """Compute statistics that a small processor can keep up with: integers, from running sums, without a window buffer.

    Each channel, and the magnitude of all channels (rounded down), gives the six of :data:`INTEGER_STATISTICS`: mean,
    standard deviation, smallest and largest value, mean absolute difference of neighbouring samples, and the number of
    times that this difference changes its sign. Divisions and square roots are rounded down; what does not fit into 16
    bits is limited.

    Args:
        features: int16 [B, T, C], preprocessed counts.

    Returns:
        int16 [B, 6 (C + 1)], the six of the first channel first.

    >>> integer_statistics(np.array([[[3], [-4], [5]]], dtype=np.int16))[0, :6].tolist()
    [1, 3, -4, 5, 8, 1]
    """
    x = np.asarray(features, dtype=np.int64)
    magnitude = np.minimum(_root((x**2).sum(axis=2, keepdims=True)), _LARGEST)
    signals = np.concatenate([x, magnitude], axis=2)
    samples = signals.shape[1]
    total, squares = signals.sum(axis=1), (signals**2).sum(axis=1)
    step = signals[:, 1:] - signals[:, :-1]
    rises = step > 0
    statistics = (
        total // samples,
        _root((samples * squares - total**2) // samples**2),
        signals.min(axis=1),
        signals.max(axis=1),
        np.abs(step).sum(axis=1) // max(samples - 1, 1),
        (rises[:, 1:] != rises[:, :-1]).sum(axis=1),
    )
    limited: NDArray[np.int64] = np.minimum(np.stack(statistics, axis=2), _LARGEST)
    found: NDArray[np.int16] = limited.reshape(len(x), -1).astype(np.int16)
    return found


def _root(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Square root, rounded down; exact below 2^52."""
    return np.floor(np.sqrt(values.astype(np.float64))).astype(np.int64)
