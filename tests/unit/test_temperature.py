"""Temperature scaling finds the optimum, keeps the labels and refuses bad input; and reliability bins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_seq.backends.reference_float import run_float
from edge_seq.backends.reference_int import run_reference
from edge_seq.ir.model import model_hash
from edge_seq.quant.calibrate import calibrate
from edge_seq.quant.quantize import quantize
from edge_seq.scores.metrics import ECE_BINS, expected_calibration_error, reliability_bins, softmax
from edge_seq.scores.temperature import (
    TEMPERATURE_MAX,
    TEMPERATURE_MIN,
    fit_temperature,
    fold_into_weights,
    fold_temperature,
    negative_log_likelihood,
)
from edge_seq.support.errors import DataError, ModelError
from tests.zoo import quantized_model, random_counts, random_float_model, spec


def _too_sure(factor: float, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Draw labels from softmax(z), and give them with the logits factor * z."""
    rng = np.random.default_rng(3)
    z = rng.normal(0, 1.5, (count, 4))
    drawn = (softmax(z).cumsum(axis=1) > rng.random((count, 1))).argmax(axis=1)
    return drawn, factor * z


@pytest.mark.parametrize("factor", [0.5, 0.9, 3.0])
def test_the_temperature_that_was_put_in_is_found(factor: float) -> None:
    labels, logits = _too_sure(factor)
    temperature = fit_temperature(labels, logits)
    assert temperature.value == pytest.approx(factor, rel=0.03)
    assert (temperature.windows, temperature.note) == (len(labels), "")


def test_it_is_the_lowest_likelihood_and_mends_the_calibration_error() -> None:
    labels, logits = _too_sure(2.5)
    best = fit_temperature(labels, logits).value
    at_best = negative_log_likelihood(labels, logits / best)
    for other in (1.0, best * 0.99, best * 1.01):
        assert at_best < negative_log_likelihood(labels, logits / other)
    before = expected_calibration_error(labels, softmax(logits))
    assert expected_calibration_error(labels, softmax(logits / best)) < before / 5


@pytest.mark.parametrize(("sign", "end"), [(1, TEMPERATURE_MIN), (-1, TEMPERATURE_MAX)])
def test_a_temperature_beyond_its_range_is_not_applied(sign: int, end: float) -> None:
    """All windows are right, or all are wrong."""
    temperature = fit_temperature(np.zeros(5, dtype=np.int16), np.array([[sign * 1.0, 0.0]] * 5))
    assert (temperature.value, temperature.windows) == (1.0, 5)
    assert f"not applied: the best temperature lies beyond {end:g}, the end of its range" in temperature.note


def test_a_temperature_that_is_not_told_apart_from_1_is_not_applied() -> None:
    z = np.array([[1.0, 0.0]] * 4)
    few = fit_temperature(np.array([0, 0, 0, 1]), z)
    assert (few.value, few.windows) == (1.0, 4)
    assert "not applied: on 4 validation windows a temperature of 0.910 is not told apart from 1" in few.note
    labels, logits = _too_sure(1.0)
    assert fit_temperature(labels, logits).value == 1.0
    z = np.array([[3.0, 0.0]] * 400)
    many = fit_temperature(np.array([0, 0, 0, 1] * 100), z)
    assert many.value == pytest.approx(3.0 / np.log(3), rel=1e-6)
    assert many.note == ""


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(DataError, match=r"0 labels and logits \[0, 2\]; expected at least one label"):
        fit_temperature(np.zeros(0, dtype=int), np.zeros((0, 2)))
    with pytest.raises(DataError, match=r"2 labels and logits \[3, 2\]"):
        fit_temperature(np.zeros(2, dtype=int), np.zeros((3, 2)))


def test_folding_divides_the_logits_of_float_and_integer_model_and_leaves_labels() -> None:
    model = random_float_model(spec("gru", 6, window_length=9), amplitude=2.0)
    counts = random_counts(64, 9, 3, sigma=300)
    folded = fold_temperature(model, 1.7)
    assert np.abs(run_float(folded, counts).logits - run_float(model, counts).logits / 1.7).max() < 1e-6
    calibration = calibrate(model, counts)
    int_model, int_folded = quantize(model, calibration), quantize(folded, calibration)
    plain, divided = run_reference(int_model, counts), run_reference(int_folded, counts)
    assert np.abs(divided.logits - plain.logits / 1.7).max() < 2.0**16 * 0.02
    assert (divided.labels == plain.labels).mean() > 0.95
    assert model_hash(folded) != model_hash(model)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_that_is_none_is_refused(temperature: float) -> None:
    with pytest.raises(ModelError, match="expected a positive number and a float model"):
        fold_temperature(random_float_model(spec("rnn", 3)), temperature)


def test_an_integer_model_is_refused() -> None:
    with pytest.raises(ModelError, match=r"takes it with quantize\(\)"):
        fold_temperature(quantized_model(spec("rnn", 3)), 2.0)  # type: ignore[arg-type]


def test_folding_into_torch_weights_touches_the_head_alone() -> None:
    weights = {"recurrent.weight_ih_l0": np.ones((3, 2), np.float32), "head.bias": np.ones(4, np.float32)}
    folded = fold_into_weights(weights, 4.0, "head.")
    assert (folded["head.bias"] == 0.25).all()
    assert (folded["recurrent.weight_ih_l0"] == 1).all()
    assert folded["head.bias"].dtype == np.float32


def test_reliability_bins_give_the_calibration_error() -> None:
    labels, logits = _too_sure(2.5, 500)
    probabilities = softmax(logits)
    bins = reliability_bins(labels, probabilities)
    assert (len(bins), sum(one.windows for one in bins)) == (ECE_BINS, 500)
    assert (bins[0].low, bins[-1].high) == (0.0, 1.0)
    gaps = [one.windows * abs(one.accuracy - one.confidence) for one in bins if one.accuracy is not None]  # type: ignore[operator]
    assert sum(gaps) / 500 == pytest.approx(expected_calibration_error(labels, probabilities))
    assert replace(bins[0], windows=0).accuracy is None  # four classes give a confidence of at least 1/4
