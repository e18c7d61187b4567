"""What a recurrent network must beat: the majority guess, a random forest on window statistics, a convolutional net."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.recording import Windows
from edge_seq.data.stored import blocks, is_stored
from edge_seq.ir.contract import SensorContract
from edge_seq.support.errors import ToolError
from edge_seq.training.config import TrainingConfig
from edge_seq.training.features import check_windows, preprocessed_counts

if TYPE_CHECKING:
    from edge_seq.training.fit import Progress
    from edge_seq.training.loop import TrainingResult

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_SPECTRUM_BANDS = 6
_TREES = 300
MAX_STORED_WINDOWS = 20_000


def window_statistics(features: NDArray[np.floating | np.integer]) -> NDArray[np.float64]:
    """Describe each window by numbers that do not depend on where in it something happens.

    For each channel and for the magnitude of all channels: mean, standard deviation, minimum, maximum, the 5, 25, 50,
    75 and 95 % quantiles, mean absolute difference of neighbouring samples, and the logarithm of the power of the
    mean-free signal in 6 bands of equal width; then the correlation of each pair of channels.

    Args:
        features: [B, T, C], counts or normalised.

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
    """Logarithm of the power in each band, without the mean: a list of [B, C + 1]."""
    spectrum = np.abs(np.fft.rfft(signals - signals.mean(axis=1, keepdims=True), axis=1)) ** 2
    bands = np.array_split(spectrum[:, 1:], _SPECTRUM_BANDS, axis=1)
    return [np.log1p(band.sum(axis=1)) for band in bands]


def _correlations(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation of each pair of channels, 0 for a constant channel: [B, C (C - 1) / 2]."""
    centred = x - x.mean(axis=1, keepdims=True)
    norm = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    unit = centred / np.where(norm == 0, 1.0, norm)
    first, second = np.triu_indices(x.shape[2], k=1)
    result: NDArray[np.float64] = np.einsum("bti,btj->bij", unit, unit)[:, first, second]
    return result


def majority_baseline(labels: NDArray[np.int16], num_windows: int, num_classes: int) -> NDArray[np.float64]:
    """The shares of the classes in training, whatever the window.

    Args:
        labels: int16 [B], of the training windows.
        num_windows: rows to return.
        num_classes: K.

    Returns:
        probabilities float64 [num_windows, K].

    >>> majority_baseline(np.array([1, 1, 0, 1], dtype=np.int16), 1, 2).tolist()
    [[0.25, 0.75]]
    """
    shares = np.bincount(labels, minlength=num_classes) / len(labels)
    return np.tile(shares, (num_windows, 1))


def random_forest_baseline(
    train: Windows, test: Windows, contract: SensorContract, num_classes: int, *, seed: int
) -> NDArray[np.float64]:
    """A random forest (Breiman 2001; 300 trees, classes weighed alike) on :func:`window_statistics`.

    Args:
        train: windows to learn from; of windows on disk at most 20,000, spread evenly, since a forest holds them all.
        test: windows to predict.
        contract: what both hold to; its preprocessing is applied.
        num_classes: K; a class that is absent in training gets probability 0.
        seed: of the forest.

    Returns:
        probabilities float64 [B, K] of the test windows.

    Raises:
        ToolError: scikit-learn is missing.
        DataError, ContractError: windows that cannot be used.
    """
    try:
        from sklearn.ensemble import RandomForestClassifier
    except ImportError as error:
        raise ToolError(
            "the random forest baseline needs scikit-learn, which is not installed; pip install 'edge-seq[data]'"
        ) from error
    check_windows(train, contract, num_classes, role="training")
    check_windows(test, contract, num_classes, role="test")
    forest = RandomForestClassifier(_TREES, class_weight="balanced", random_state=seed, n_jobs=1)
    counts, labels = train.counts, train.labels
    if is_stored(counts) and len(labels) > MAX_STORED_WINDOWS:
        chosen = np.unique(np.linspace(0, len(labels) - 1, MAX_STORED_WINDOWS).astype(int))
        counts, labels = counts[chosen], labels[chosen]
    forest.fit(window_statistics(preprocessed_counts(np.asarray(counts), contract)), labels)
    probabilities = np.zeros((len(test.labels), num_classes))
    start = 0
    for block in blocks(test.counts, MAX_STORED_WINDOWS):
        statistics = window_statistics(preprocessed_counts(block, contract))
        probabilities[start : start + len(block), forest.classes_] = forest.predict_proba(statistics)
        start += len(block)
    return probabilities


def convolutional_baseline(
    train: Windows,
    validation: Windows | None,
    test: Windows,
    contract: SensorContract,
    num_classes: int,
    config: TrainingConfig,
    *,
    checkpoint_dir: Path | None = None,
    progress: Progress | None = None,
) -> tuple[TrainingResult, NDArray[np.float64]]:
    """Train :class:`edge_seq.training.modules.ConvolutionalBaseline` by the same loop and options.

    Of the configuration, ``cell``, ``hidden_size``, ``num_layers``, ``pooling``, ``initialisation`` do not apply, and
    the loss is taken once a window.

    Returns:
        the training result and the probabilities float64 [B, K] of the test windows.

    Raises:
        as :func:`edge_seq.training.loop.train`; ConfigError for windows of fewer than 5 samples.
    """
    from edge_seq.scores.metrics import softmax
    from edge_seq.training import loop
    from edge_seq.training.modules import ConvolutionalBaseline

    check_windows(test, contract, num_classes, role="test")

    def build() -> ConvolutionalBaseline:
        return ConvolutionalBaseline(
            window_length=contract.window_length,
            input_size=contract.num_channels,
            num_classes=num_classes,
            dropout=config.dropout,
        )

    result = loop.train(
        train,
        validation,
        contract,
        num_classes,
        config.model_copy(update={"label_every": "window"}),
        build=build,
        checkpoint_dir=checkpoint_dir,
        progress=progress,
    )
    module = build()
    loop.load_weights(module, result)
    return result, softmax(loop.predict(result, test.counts, module=module))
