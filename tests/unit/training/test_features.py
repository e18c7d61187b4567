from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edge_seq.backends.preprocess import normalise
from edge_seq.data.recording import Windows
from edge_seq.ir.contract import Normalisation, Preprocessing, SensorContract
from edge_seq.support.errors import ConfigError, ContractError, DataError, EdgeSeqError
from edge_seq.training.features import check_windows, fit_normalisation, gains_of, preprocessed_counts


def test_training_features_have_unit_variance(train_windows: Windows, contract: SensorContract) -> None:
    counts = preprocessed_counts(train_windows.counts, contract)
    features = normalise(counts, fit_normalisation(counts))
    assert features.dtype == np.float32
    np.testing.assert_allclose(features.mean(axis=(0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(features.std(axis=(0, 1)), 1, atol=1e-5)


def test_a_gain_is_the_standard_deviation_that_features_get(train_windows: Windows) -> None:
    plain, gained = fit_normalisation(train_windows.counts), fit_normalisation(train_windows.counts, gain=6.0)
    assert gained.mean == plain.mean
    np.testing.assert_allclose(gained.scale, np.array(plain.scale) / 6)
    features = normalise(train_windows.counts, gained)
    np.testing.assert_allclose(features.std(axis=(0, 1)), 6, atol=1e-4)
    np.testing.assert_allclose(features.mean(axis=(0, 1)), 0, atol=1e-4)
    assert not normalise(
        np.full((4, 5, 2), 17, dtype=np.int16), fit_normalisation(np.full((4, 5, 2), 17), gain=6)
    ).any()


def test_a_channel_can_have_a_gain_of_its_own(train_windows: Windows, contract: SensorContract) -> None:
    gains = gains_of(contract, 2.0, {contract.channel_names[1]: 20.0})
    assert gains == (2.0, 20.0, 2.0)
    features = normalise(train_windows.counts, fit_normalisation(train_windows.counts, gain=gains))
    np.testing.assert_allclose(features.std(axis=(0, 1)), gains, rtol=1e-5)


def test_a_magnitude_has_a_gain_and_a_normalisation_of_its_own(
    train_windows: Windows, contract: SensorContract
) -> None:
    longer = dataclasses.replace(contract, preprocessing=Preprocessing("difference", magnitude=True))
    gains = gains_of(longer, 2.0, {"|ax ay az|": 5.0})
    assert gains == (2.0, 2.0, 2.0, 5.0)
    counts = preprocessed_counts(train_windows.counts, longer)
    features = normalise(counts, fit_normalisation(counts, gain=gains))
    np.testing.assert_allclose(features.std(axis=(0, 1)), gains, rtol=1e-5)


def test_a_gain_for_a_channel_that_is_not_there_is_refused(contract: SensorContract) -> None:
    with pytest.raises(ConfigError, match=r"channel_gains name \['gx'\], which the sensor contract does not have; its"):
        gains_of(contract, 1.0, {"gx": 20.0})


def test_a_constant_channel_becomes_zero() -> None:
    counts = np.full((4, 5, 2), 17, dtype=np.int16)
    normalisation = fit_normalisation(counts)
    assert normalisation == Normalisation(mean=(17.0, 17.0), scale=(1.0, 1.0))
    assert not normalise(counts, normalisation).any()


def test_normalisation_of_extreme_counts_is_exact() -> None:
    counts = np.tile(np.array([[-32768], [32767]], dtype=np.int16), (70_000, 1, 1))
    assert fit_normalisation(counts) == Normalisation(mean=(-0.5,), scale=(32767.5,))


def test_preprocessing_is_applied(contract: SensorContract) -> None:
    counts = np.cumsum(np.ones((2, 20, 3)), axis=1).astype(np.int16)
    with_difference = dataclasses.replace(contract, preprocessing=Preprocessing("difference"))
    np.testing.assert_array_equal(preprocessed_counts(counts, with_difference)[:, 1:], 1)


def test_refusals(train_windows: Windows, contract: SensorContract) -> None:
    def refuse(kind: type[EdgeSeqError], message: str, **change: np.ndarray) -> None:
        with pytest.raises(kind, match=message):
            check_windows(dataclasses.replace(train_windows, **change), contract, 3, role="training")

    refuse(DataError, "training windows: there are none", counts=train_windows.counts[:0])
    refuse(DataError, "180 windows, 179 labels and 180 groups", labels=train_windows.labels[1:])
    refuse(ContractError, r"shape \[180, 19, 3\]; .* expects \[windows, 20, 3\]", counts=train_windows.counts[:, 1:])
    refuse(DataError, "window 0 has label -1; expected 0 to 2", labels=train_windows.labels - 1)
    refuse(DataError, "window 2 has label 3", labels=train_windows.labels + 1)
    of_samples = train_windows.sample_labels
    assert of_samples is not None
    refuse(DataError, r"sample_labels have shape \[180, 19\]; expected \[180, 20\]", sample_labels=of_samples[:, 1:])
    beyond = of_samples.copy()
    beyond[7, 3] = 3
    refuse(DataError, "a sample of window 7 has label 3; expected 0 to 2, or -1", sample_labels=beyond)
    other_end = of_samples.copy()
    other_end[4, -1] = -1
    refuse(DataError, "window 4 has label 1, but its last sample has -1", sample_labels=other_end)
    with pytest.raises(DataError, match="no training windows to take mean"):
        fit_normalisation(train_windows.counts[:0])
    with pytest.raises(ContractError, match=r"float64 \[180, 20, 3\]; expected int16 \[windows, samples, 3\]"):
        preprocessed_counts(train_windows.counts.astype(np.float64), contract)
    with pytest.raises(ContractError, match=r"int16 \[180, 20, 2\]"):
        preprocessed_counts(train_windows.counts[:, :, :2], contract)
