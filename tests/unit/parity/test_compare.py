"""A mismatch is found wherever it is, and named."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from edge_seq.backends.trace import Trace
from edge_seq.parity.compare import Comparison, compare, compare_runs, merge
from edge_seq.parity.ladder import Ladder, Rung, comparison_rung, write_junit
from edge_seq.scores.agreement import quantisation_cost
from edge_seq.support.errors import ParityError
from edge_seq.support.json_tables import load_result, save_json

NAMES = ("features", "layer0.forget_gate", "layer0.cell_state", "logits")


def trace(seed: int = 0) -> Trace:
    rng = np.random.default_rng(seed)
    return Trace({name: rng.integers(-100, 100, (3, 5, 4)) for name in NAMES})


def changed(original: Trace, name: str, place: tuple[int, int, int], value: int) -> Trace:
    values = {key: array.copy() for key, array in original.values.items()}
    values[name][place] = value
    return Trace(values)


def test_equal_traces_hold_and_count_everything() -> None:
    result = compare(trace(), trace())
    assert result.holds
    assert (result.windows, result.steps, result.values) == (3, 15, 4 * 3 * 5 * 4)
    assert result.first is None


def test_the_first_mismatch_is_the_earliest_step_then_the_order_of_computation() -> None:
    found = changed(trace(), "logits", (0, 2, 1), 777)
    found = changed(found, "layer0.cell_state", (2, 2, 3), 888)
    found = changed(found, "features", (0, 4, 0), 999)
    result = compare(trace(), found, first_window=10)
    assert result.mismatches == 3
    assert not result.holds
    assert result.first is not None
    assert str(result.first) == (
        f"window 12, time step 2, layer 0, cell_state[3]: expected {trace().values['layer0.cell_state'][2, 2, 3]}, "
        "found 888"
    )


def test_a_name_without_a_layer_is_named_as_it_is() -> None:
    result = compare(trace(), changed(trace(), "logits", (1, 0, 2), 777))
    assert result.first is not None
    assert "time step 0, logits[2]" in str(result.first)


def test_floats_hold_within_the_tolerance_and_a_nan_never() -> None:
    expected = Trace({"logits": np.zeros((1, 2, 3), dtype=np.float32)})
    near = Trace({"logits": np.full((1, 2, 3), 1e-5, dtype=np.float32)})
    assert compare(expected, near, tolerance=1e-4).holds
    assert compare(expected, near, tolerance=1e-4).max_abs_error == pytest.approx(1e-5)
    assert not compare(expected, near, tolerance=1e-6).holds
    nan = Trace({"logits": np.full((1, 2, 3), np.nan, dtype=np.float32)})
    assert compare(expected, nan, tolerance=1e9).mismatches == 6


def test_the_tolerance_of_large_cell_states_grows_with_them_and_of_nothing_else() -> None:
    def differ(name: str, size: float, by: float) -> bool:
        values = np.array([[[size, 1.0]]])
        return not compare(Trace({name: values}), Trace({name: np.add(values, [0.0, by])}), tolerance=1e-4).holds

    assert not differ("layer0.cell_state", 100.0, 0.009)
    assert differ("layer0.cell_state", 100.0, 0.011)
    assert differ("layer0.cell_state", 0.5, 2e-4)
    assert differ("logits", 100.0, 0.009)
    nan = np.array([[[np.nan, 1.0]]])
    assert not compare(Trace({"layer0.cell_state": nan}), Trace({"layer0.cell_state": nan}), tolerance=1e-4).holds
    one = Trace({"layer0.cell_state": np.array([[[100, 1]]])})
    assert not compare(one, Trace({"layer0.cell_state": np.array([[[100, 2]]])})).holds


def test_only_the_names_asked_for_are_compared() -> None:
    found = changed(trace(), "logits", (0, 0, 0), 777)
    assert compare(trace(), found, names=("features",)).holds


def test_traces_with_nothing_in_common_are_refused() -> None:
    with pytest.raises(ParityError, match="nothing in common"):
        compare(trace(), Trace({"other": np.zeros((3, 5, 4))}))


def test_traces_of_other_windows_are_refused() -> None:
    with pytest.raises(ParityError, match=r"shapes \[3, 5, 4\] and \[2, 5, 4\] differ"):
        compare(trace(), Trace({name: array[:2] for name, array in trace().values.items()}))


def test_merging_adds_up_and_keeps_the_earliest() -> None:
    a = compare(trace(), changed(trace(), "logits", (0, 3, 0), 777))
    b = compare(trace(), changed(trace(), "logits", (0, 1, 0), 777), first_window=3)
    merged = merge([a, b])
    assert (merged.windows, merged.steps, merged.mismatches) == (6, 30, 2)
    assert merged.first is not None
    assert (merged.first.window, merged.first.step) == (3, 1)
    with pytest.raises(ParityError, match="there is none"):
        merge([])


def ladder() -> Ladder:
    broken = compare(trace(), changed(trace(), "logits", (0, 3, 0), 777))
    return Ladder(
        "ab" * 32,
        "cd" * 32,
        (
            comparison_rung("integer reference = C", compare(trace(), trace())),
            comparison_rung("integer reference = ONNX", broken),
            Rung("float reference = torch", "budget", "skipped", "torch is not installed"),
        ),
    )


def test_a_ladder_with_a_failed_rung_does_not_hold() -> None:
    assert not ladder().holds
    assert Ladder("", "", ladder().rungs[::2]).holds, "a skipped rung is no failure"
    assert not Ladder("", "", ladder().rungs[2:]).holds, "skipped rungs alone are no proof"


def test_the_ladder_is_written_as_json_and_junit(tmp_path: Path) -> None:
    save_json(tmp_path / "verify.json", ladder())
    data = json.loads((tmp_path / "verify.json").read_text())
    assert load_result(tmp_path / "verify.json", Ladder) == ladder()
    assert data["holds"] is False
    assert [rung["verdict"] for rung in data["rungs"]] == ["holds", "failed", "skipped"]
    assert data["rungs"][1]["comparison"]["first"]["found"] == 777

    write_junit(ladder(), tmp_path / "verify.xml")
    suite = ElementTree.parse(tmp_path / "verify.xml").getroot()
    assert {key: suite.get(key) for key in ("tests", "failures", "skipped", "errors")} == {
        "tests": "3",
        "failures": "1",
        "skipped": "1",
        "errors": "0",
    }
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert "found 777" in str(failure.get("message"))


def test_quantisation_cost_counts_labels_and_probabilities() -> None:
    float_probabilities = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    int_probabilities = np.array([[0.4, 0.6], [0.8, 0.2], [0.2, 0.8], [0.5, 0.5]])
    cost = quantisation_cost(float_probabilities, int_probabilities)
    assert cost.agreement_rate == 0.75
    assert cost.max_abs_probability_error == pytest.approx(0.2)
    assert cost.mean_abs_probability_error == pytest.approx(0.075)
    assert cost.windows == 4


def test_nothing_compared_is_not_held_to_hold() -> None:
    assert not Comparison(0, 0, 0, 0, None, 0.0, ()).holds


def test_a_difference_of_the_tolerance_holds_and_its_size_is_told() -> None:
    zeros, halves = (Trace({"logits": np.full((1, 1, 2), value)}) for value in (0.0, -0.5))
    within = compare(zeros, halves, tolerance=0.5)
    assert (within.holds, within.max_abs_error) == (True, 0.5)
    assert not compare(zeros, halves, tolerance=0.499).holds
    exact = compare(trace(), changed(trace(), "logits", (1, 0, 2), int(trace().values["logits"][1, 0, 2]) - 7))
    assert exact.max_abs_error == 7.0


def test_windows_are_run_in_batches_and_keep_their_numbers() -> None:
    counts = np.arange(300, dtype=np.int16).reshape(300, 1, 1)
    sizes: list[int] = []

    def expected(part: np.ndarray) -> Trace:
        sizes.append(len(part))
        return Trace({"logits": part.astype(np.int64)})

    def found(part: np.ndarray) -> Trace:
        return Trace({"logits": np.where(part == 200, -1, part).astype(np.int64)})

    result = compare_runs(counts, expected, found, first_step=3)
    assert sizes == [128, 128, 44]
    assert (result.windows, result.steps, result.values, result.mismatches) == (300, 300, 300, 1)
    assert result.first is not None
    assert (result.first.window, result.first.step, result.first.index) == (200, 3, 0)
    assert compare_runs(counts, expected, expected).first is None


def test_small_differences_at_the_edges_of_what_is_allowed() -> None:
    def one(name: str, value: float | int) -> Trace:
        return Trace({name: np.array([[[value]]])})

    assert compare(one("logits", 5), one("logits", 5)).holds
    assert not compare(one("logits", 2**60), one("logits", 2**60 + 1)).holds  # equal as floats
    assert compare(one("logits", 5), one("logits", 6), tolerance=1.0).holds
    for name in ("layer0.cell_state", "layer0.hidden_state"):
        assert compare(one(name, 50.0), one(name, 70.0), tolerance=1.0).holds
        assert not compare(one(name, 0.5), one(name, 1.6), tolerance=1.0).holds
    assert not compare(one("logits", 50.0), one("logits", 70.0), tolerance=1.0).holds


def test_the_earliest_of_several_values_of_one_name() -> None:
    found = trace()
    for place in ((0, 4, 0), (2, 1, 0), (1, 1, 3), (1, 1, 2)):
        found = changed(found, "logits", place, 777)
    first = merge([compare(trace(), found)]).first
    assert first is not None
    assert (first.step, first.window, first.index) == (1, 1, 2)
