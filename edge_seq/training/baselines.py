"""Baselines for recurrent networks: majority guess, random forest on window statistics, convolutional network."""

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


def majority_baseline(labels: NDArray[np.int16], num_windows: int, num_classes: int) -> NDArray[np.float64]:
    """Predict the shares of the classes in training, the same for every window.

    Args:
        labels: int16 [B], labels of the training windows.
        num_windows: number of windows to predict.
        num_classes: K.

    Returns:
        probabilities, float64 [num_windows, K].

    >>> majority_baseline(np.array([1, 1, 0, 1], dtype=np.int16), 1, 2).tolist()
    [[0.25, 0.75]]
    """
    shares = np.bincount(labels, minlength=num_classes) / len(labels)
    return np.tile(shares, (num_windows, 1))


def random_forest_baseline(
    train: Windows, test: Windows, contract: SensorContract, num_classes: int, *, seed: int
) -> NDArray[np.float64]:
    """Train a random forest (Breiman 2001; 300 trees, balanced classes) on :func:`window_statistics`, and predict.

    Args:
        train: windows to learn from. At most 20,000 windows on disk are used, evenly spread, because the forest keeps
            all of them in memory.
        test: windows to predict.
        contract: sensor contract of both; its preprocessing is applied.
        num_classes: K; a class that is absent in training gets probability 0.
        seed: seed of the forest.

    Returns:
        probabilities of the test windows, float64 [B, K].

    Raises:
        ToolError: scikit-learn is not installed.
        DataError, ContractError: windows are not usable; see :func:`edge_seq.training.features.check_windows`.
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
    """Train :class:`edge_seq.training.modules.ConvolutionalBaseline` with the same loop and options, and predict.

    The options ``cell``, ``hidden_size``, ``num_layers``, ``pooling`` and ``initialisation`` do not apply. The loss is
    always that of whole windows.

    Returns:
        training result, and probabilities of the test windows, float64 [B, K].

    Raises:
        DataError, ContractError, ConfigError, ModelError: the same cases as :func:`edge_seq.training.loop.train`.
            ConfigError also if windows have fewer than 5 samples.
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
