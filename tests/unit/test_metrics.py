"""Scores equal those of scikit-learn, intervals respect groups, and bad input is refused."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from edge_seq.scores import metrics as metrics_module
from edge_seq.scores.metrics import (
    Metrics,
    confusion_matrix,
    evaluate_predictions,
    expected_calibration_error,
    macro_f1,
    softmax,
)
from edge_seq.support.errors import DataError

NAMES = ("a", "b", "c", "d")


def _sample(num_groups: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 4, 400).astype(np.int16)
    logits = generator.normal(size=(400, 4)) + 1.5 * np.eye(4)[labels]
    groups = np.array([f"drive{i % num_groups}" for i in range(400)])
    return labels, softmax(logits), groups


def _evaluate(labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray, **options: int) -> Metrics:
    return evaluate_predictions(labels, probabilities, groups, label_names=NAMES, **options)


def test_scores_equal_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    labels, probabilities, groups = _sample()
    predictions = probabilities.argmax(axis=1)
    metrics = _evaluate(labels, probabilities, groups)
    assert metrics.accuracy.value == pytest.approx(sklearn.accuracy_score(labels, predictions))
    assert metrics.balanced_accuracy.value == pytest.approx(sklearn.balanced_accuracy_score(labels, predictions))
    assert metrics.macro_f1.value == pytest.approx(sklearn.f1_score(labels, predictions, average="macro"))
    np.testing.assert_array_equal(metrics.confusion, sklearn.confusion_matrix(labels, predictions))
    precision, recall, f1, support = sklearn.precision_recall_fscore_support(labels, predictions)
    for k, score in enumerate(metrics.classes):
        assert (score.label, score.support) == (NAMES[k], support[k])
        assert (score.precision, score.recall, score.f1) == pytest.approx((precision[k], recall[k], f1[k]))
    assert metrics.majority_accuracy == pytest.approx(np.bincount(labels).max() / 400)
    assert (metrics.num_windows, metrics.num_groups) == (400, 12)


def test_absent_classes_are_left_out_without_warnings() -> None:
    labels = np.array([0, 0, 1, 1], dtype=np.int16)
    probabilities = np.eye(4)[[0, 1, 1, 1]]
    metrics = _evaluate(labels, probabilities, np.array(["x", "x", "y", "y"]))
    assert metrics.macro_f1.value == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert metrics.balanced_accuracy.value == pytest.approx((1 / 2 + 1) / 2)
    assert metrics.classes[2].precision is metrics.classes[2].recall is metrics.classes[3].f1 is None


def test_a_predicted_class_without_labels_counts_as_zero() -> None:
    confusion = confusion_matrix(np.array([0, 0]), np.array([0, 1]), 4)
    assert float(macro_f1(confusion)) == pytest.approx((2 / 3 + 0) / 2)


def test_interval_holds_the_value_and_is_seeded() -> None:
    metrics = _evaluate(*_sample())
    for estimate in (metrics.accuracy, metrics.balanced_accuracy, metrics.macro_f1):
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low < estimate.value < estimate.high
    for one in metrics.classes:
        assert one.f1 is not None
        assert one.f1_low is not None
        assert one.f1_high is not None
        assert one.f1_low < one.f1 < one.f1_high
    assert _evaluate(*_sample()) == metrics
    assert _evaluate(*_sample(), seed=1) != metrics


def test_the_interval_of_a_class_is_over_resamples_that_hold_it() -> None:
    """Class 3 is in one of eight groups and always right. A resample without that group must not count as F1 0."""
    groups = (np.arange(80) % 8).astype(str)
    labels = np.where(groups == "0", 3, 0)
    rare, absent = (_evaluate(labels, np.eye(4)[labels], groups).classes[index] for index in (3, 2))
    assert (rare.f1, rare.f1_low, rare.f1_high) == (1.0, 1.0, 1.0)
    assert (absent.f1, absent.f1_low, absent.f1_high) == (None, None, None)


def test_memory_of_the_bootstrap_does_not_grow_with_its_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The matrices of 1,000 resamples with 150 classes would take 180 MB."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 150, 2000)
    probabilities = np.eye(150)[generator.integers(0, 150, 2000)]
    groups = (np.arange(2000) % 10).astype(str)
    tracemalloc.start()
    in_parts = evaluate_predictions(labels, probabilities, groups, label_names=[str(k) for k in range(150)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6
    monkeypatch.setattr(metrics_module, "_BYTES_AT_ONCE", 1)  # one resample at a time: same draws, same scores
    one_by_one = evaluate_predictions(labels, probabilities, groups, label_names=[str(k) for k in range(150)])
    assert one_by_one == in_parts


def test_groups_that_agree_within_widen_the_interval() -> None:
    """The windows are in 8 groups that are all right or all wrong, so they are not 400 independent observations."""
    labels = np.zeros(400, dtype=np.int16)
    right = np.arange(400) % 8 < 6
    probabilities = np.eye(4)[np.where(right, 0, 1)]

    def width(groups: np.ndarray) -> float:
        accuracy = _evaluate(labels, probabilities, groups).accuracy
        assert accuracy.value == 0.75
        assert accuracy.low is not None
        assert accuracy.high is not None
        return accuracy.high - accuracy.low

    by_window = width(np.arange(400).astype(str))
    by_group = width((np.arange(400) % 8).astype(str))
    assert by_window == pytest.approx(2 * 1.96 * np.sqrt(0.75 * 0.25 / 400), rel=0.1)
    assert by_group > 5 * by_window


@pytest.mark.parametrize(("num_groups", "bootstrap"), [(1, 1000), (12, 0)])
def test_no_interval_without_groups_or_resamples(num_groups: int, bootstrap: int) -> None:
    metrics = _evaluate(*_sample(num_groups), bootstrap=bootstrap)
    assert metrics.accuracy.low is None
    assert metrics.accuracy.high is None
    assert {(one.f1_low, one.f1_high) for one in metrics.classes} == {(None, None)}
    assert str(metrics.accuracy) == f"{100 * metrics.accuracy.value:.1f} %"


def test_calibration_error_of_known_cases() -> None:
    labels = np.array([0, 0, 0, 1])
    sure = np.tile([1.0, 0.0], (4, 1))
    calibrated = np.tile([0.75, 0.25], (4, 1))
    assert expected_calibration_error(labels, sure) == pytest.approx(0.25)
    assert expected_calibration_error(labels, calibrated) == pytest.approx(0.0)
    two_bins = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    assert expected_calibration_error(labels, two_bins) == pytest.approx((2 * 0.1 + 2 * 0.1) / 4)


def test_to_dict_is_json() -> None:
    data = json.loads(json.dumps(_evaluate(*_sample(), bootstrap=50).to_dict()))
    assert data["accuracy"]["low"] <= data["accuracy"]["value"] <= data["accuracy"]["high"]
    assert data["classes"][0]["label"] == "a"
    assert np.array(data["confusion"]).sum() == 400


def test_softmax_of_huge_logits() -> None:
    np.testing.assert_allclose(
        softmax(np.array([[1e6, 1e6 - 1], [-1e9, 0]])), [[0.7310586, 0.2689414], [0, 1]], atol=1e-7
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [], "probabilities": np.empty((0, 2)), "groups": []}, "no windows to score"),
        ({"labels": [0]}, "1 labels, 2 rows of probabilities and 2 groups"),
        ({"probabilities": np.ones((2, 3)) / 3}, r"shape \[2, 3\]; expected \[windows, 2\]"),
        ({"labels": [0, 2]}, "labels reach from 0 to 2; expected 0 to 1"),
        ({"labels": [-1, 0]}, "labels reach from -1 to 0"),
        ({"probabilities": [[3.0, -2.0], [0.5, 0.5]]}, "not probabilities"),
        ({"probabilities": [[0.5, 0.6], [0.5, 0.5]]}, "not probabilities"),
        ({"probabilities": [[np.nan, 0.5], [0.5, 0.5]]}, "not probabilities"),
        ({"bootstrap": -1}, "bootstrap is -1"),
    ],
)
def test_refusals(change: dict[str, object], message: str) -> None:
    given = {
        "labels": [0, 1],
        "probabilities": [[0.5, 0.5], [0.5, 0.5]],
        "groups": ["x", "y"],
        "bootstrap": 10,
        **change,
    }
    with pytest.raises(DataError, match=message):
        evaluate_predictions(
            np.asarray(given["labels"], dtype=np.int16),
            np.asarray(given["probabilities"], dtype=np.float64),
            np.asarray(given["groups"], dtype=str),
            label_names=("a", "b"),
            bootstrap=given["bootstrap"],
        )


def test_metrics_and_training_config_import_no_torch() -> None:
    code = (
        "import sys, edge_seq.scores.metrics, edge_seq.training.config, edge_seq.training.features, "
        "edge_seq.training.others.baselines, edge_seq.frontends.from_torch; "
        "print(sorted({'torch', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
