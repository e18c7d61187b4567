from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from edge_seq.data.recording import Windows
from edge_seq.ir.contract import SensorContract
from edge_seq.support.errors import DataError, ToolError
from edge_seq.training.config import TrainingConfig
from edge_seq.training.others.baselines import (
    majority_baseline,
    minirocket_baseline,
    minirocket_is_here,
    random_forest_baseline,
    window_statistics,
)
from edge_seq.training.others.convolutional import convolutional_baseline


def test_majority_is_the_shares_in_training() -> None:
    shares = majority_baseline(np.array([2, 2, 0, 2], dtype=np.int16), 5, 4)
    np.testing.assert_array_equal(shares, np.tile([0.25, 0, 0.75, 0], (5, 1)))


def test_window_statistics_of_known_windows(train_windows: Windows) -> None:
    statistics = window_statistics(train_windows.counts)
    assert statistics.shape == (180, 16 * 4 + 3)
    assert np.isfinite(statistics).all()
    np.testing.assert_allclose(statistics[:, :3], train_windows.counts.mean(axis=1))
    np.testing.assert_allclose(statistics[:, 4:7], train_windows.counts.std(axis=1))
    reversed_in_time = window_statistics(train_windows.counts[:, ::-1])
    np.testing.assert_allclose(reversed_in_time, statistics, atol=1e-6)
    np.testing.assert_allclose(
        statistics[0, -3:], np.corrcoef(train_windows.counts[0].T)[np.triu_indices(3, k=1)], atol=1e-12
    )


@pytest.mark.parametrize("time_steps", [1, 2, 5])
def test_window_statistics_of_short_constant_windows(time_steps: int) -> None:
    statistics = window_statistics(np.full((2, time_steps, 1), 3, dtype=np.int16))
    assert statistics.shape == (2, 32)
    assert np.isfinite(statistics).all()


def test_random_forest_learns_and_is_seeded(
    train_windows: Windows, validation_windows: Windows, contract: SensorContract
) -> None:
    probabilities = random_forest_baseline(train_windows, validation_windows, contract, 4, seed=0)
    assert probabilities.shape == (90, 4)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert not probabilities[:, 3].any()  # never seen in training
    assert (probabilities.argmax(axis=1) == validation_windows.labels).mean() > 0.85
    again = random_forest_baseline(train_windows, validation_windows, contract, 4, seed=0)
    np.testing.assert_array_equal(probabilities, again)


def test_random_forest_without_scikit_learn(
    monkeypatch: pytest.MonkeyPatch, train_windows: Windows, contract: SensorContract
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(ToolError, match="needs scikit-learn"):
        random_forest_baseline(train_windows, train_windows, contract, 3, seed=0)


@pytest.mark.slow  # its kernels are compiled first
@pytest.mark.filterwarnings("ignore")
def test_minirocket_learns_and_is_seeded(
    train_windows: Windows, validation_windows: Windows, contract: SensorContract
) -> None:
    pytest.importorskip("aeon", reason="aeon is not installed; pip install 'edge-seq[rocket]'")
    assert minirocket_is_here(contract)
    found = minirocket_baseline(train_windows, validation_windows, contract, 4, seed=0)
    assert found.shape == (90, 4)
    assert (found.argmax(axis=1) == validation_windows.labels).mean() > 0.85
    np.testing.assert_array_equal(found, minirocket_baseline(train_windows, validation_windows, contract, 4, seed=0))


def test_minirocket_without_aeon_and_with_short_windows(
    monkeypatch: pytest.MonkeyPatch, train_windows: Windows, contract: SensorContract
) -> None:
    monkeypatch.setitem(sys.modules, "aeon.transformations.collection.convolution_based", None)
    with pytest.raises(ToolError, match=r"MiniRocket baseline needs aeon, .*; pip install 'edge-seq\[rocket\]'$"):
        minirocket_baseline(train_windows, train_windows, contract, 3, seed=0)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    assert minirocket_is_here(contract)
    assert not minirocket_is_here(replace(contract, window_length=8))


def test_convolutional_baseline_learns(
    train_windows: Windows, validation_windows: Windows, contract: SensorContract
) -> None:
    pytest.importorskip("torch")
    config = TrainingConfig(epochs=12, batch_size=32, label_every="sample")
    result, probabilities = convolutional_baseline(
        train_windows, validation_windows, validation_windows, contract, 3, config
    )
    accuracy = (probabilities.argmax(axis=1) == validation_windows.labels).mean()
    assert accuracy > 0.6
    assert accuracy == pytest.approx(result.history[result.best_epoch - 1].validation_accuracy)
    assert result.config.label_every == "window"


def test_bad_test_windows_are_named(train_windows: Windows, contract: SensorContract) -> None:
    pytest.importorskip("torch")
    bad = Windows(train_windows.counts, train_windows.labels - 1, train_windows.groups)
    with pytest.raises(DataError, match="test windows: window 0 has label -1"):
        convolutional_baseline(train_windows, None, bad, contract, 3, TrainingConfig(keep="last"))
    with pytest.raises(DataError, match="test windows: window 0 has label -1"):
        random_forest_baseline(train_windows, bad, contract, 3, seed=0)
