"""Baselines for recurrent networks: majority guess, random forest, MiniRocket."""

from __future__ import annotations

import importlib.util

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.preprocess import normalise
from edge_seq.data.recording import Windows
from edge_seq.data.statistics import window_statistics
from edge_seq.data.stored import blocks, is_stored
from edge_seq.data.windows import spread
from edge_seq.ir.contract import SensorContract
from edge_seq.support.errors import ToolError
from edge_seq.training.features import check_windows, fit_normalisation, preprocessed_counts

_TREES = 300
_ROCKET_KERNEL = 9  # samples
MAX_STORED_WINDOWS = 20_000
MAX_ROCKET_WINDOWS = 10_000  # to learn from; each has 9,996 features in memory
_ROCKET_BLOCK = 2048  # windows that are predicted together


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
        chosen = spread(len(labels), MAX_STORED_WINDOWS)
        counts, labels = counts[chosen], labels[chosen]
    forest.fit(window_statistics(preprocessed_counts(np.asarray(counts), contract)), labels)
    probabilities = np.zeros((len(test.labels), num_classes))
    start = 0
    for block in blocks(test.counts, MAX_STORED_WINDOWS):
        statistics = window_statistics(preprocessed_counts(block, contract))
        probabilities[start : start + len(block), forest.classes_] = forest.predict_proba(statistics)
        start += len(block)
    return probabilities


def minirocket_baseline(
    train: Windows, test: Windows, contract: SensorContract, num_classes: int, *, seed: int
) -> NDArray[np.float64]:
    """Train a ridge classifier on MiniRocket features (Dempster, Schmidt and Webb 2021), and predict.

    Args:
        train: windows to learn from. At most 10,000 are used, evenly spread, because the features of all of them are
            in memory at once.
        test: windows to predict.
        contract: sensor contract of both; its preprocessing is applied, and channels are scaled to a deviation of 1.
        num_classes: K; a class that is absent in training gets probability 0.
        seed: seed of the features.

    Returns:
        one-hot predictions of the test windows, float64 [B, K]; a ridge classifier has no probabilities.

    Raises:
        ToolError: aeon is not installed, or windows are shorter than the 9 samples that its kernels see.
        DataError, ContractError: windows are not usable; see :func:`edge_seq.training.features.check_windows`.
    """
    try:
        from aeon.transformations.collection.convolution_based import MiniRocket
    except ImportError as error:
        raise ToolError(
            "the MiniRocket baseline needs aeon, which is not installed; pip install 'edge-seq[rocket]'"
        ) from error
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    check_windows(train, contract, num_classes, role="training")
    check_windows(test, contract, num_classes, role="test")
    if contract.window_length < _ROCKET_KERNEL:
        raise ToolError(
            f"the MiniRocket baseline needs windows of at least {_ROCKET_KERNEL} samples, and these have "
            f"{contract.window_length}; give a longer window_length"
        )
    chosen = spread(len(train.labels), MAX_ROCKET_WINDOWS)
    counts = preprocessed_counts(np.asarray(train.counts[chosen]), contract)
    normalisation = fit_normalisation(counts)

    def series(of: NDArray[np.int16]) -> NDArray[np.float32]:
        return np.ascontiguousarray(normalise(of, normalisation).transpose(0, 2, 1))

    ridge = RidgeClassifierCV(alphas=np.logspace(-3, 3, 10))
    classifier = make_pipeline(MiniRocket(random_state=seed), StandardScaler(with_mean=False), ridge)
    classifier.fit(series(counts), train.labels[chosen])
    found = [
        classifier.predict(series(preprocessed_counts(block, contract))) for block in blocks(test.counts, _ROCKET_BLOCK)
    ]
    predicted: NDArray[np.int16] = np.concatenate(found)
    return np.eye(num_classes, dtype=np.float64)[predicted]


def aeon_is_here() -> bool:
    """True if aeon is installed, which :func:`minirocket_baseline` needs."""
    return importlib.util.find_spec("aeon") is not None


def minirocket_is_here(contract: SensorContract) -> bool:
    """True if :func:`minirocket_baseline` can be computed: aeon is installed, and windows are long enough."""
    return aeon_is_here() and contract.window_length >= _ROCKET_KERNEL
