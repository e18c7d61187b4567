"""Figures and verdicts, from results whose right answer is known."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from edge_seq.compare.config import CompareConfig
from edge_seq.compare.points import Candidate, Point, Shape
from edge_seq.compare.result import (
    CandidateFigures,
    Cost,
    ForestCost,
    ForestFigures,
    GradientNorms,
    MeasuredCost,
    NoCost,
    StoredCosts,
    TrialInteger,
    TrialResult,
    WindowCounts,
)
from edge_seq.compare.run import stored_costs
from edge_seq.compare.summary import (
    figures_of,
    gradient_reach,
    over_seeds,
    paired_difference,
    student,
)
from edge_seq.compare.verdict import decide
from edge_seq.ir.kind_names import CellName
from edge_seq.ir.model import Pooling
from edge_seq.support.json_tables import save_json
from edge_seq.support.results import from_plain

SEEDS = 4
CONFIG = CompareConfig(task="recall", hidden_sizes=(4,), seeds=SEEDS)


def result(right: int, of: int = 100, *, groups: int = 1) -> TrialResult:
    """A training with so many right of two equal classes, the same in each group."""
    half = of // 2
    matrix = ((right // 2, half - right // 2), (half - (right - right // 2), right - right // 2))
    return TrialResult(
        groups={f"g{index}": matrix for index in range(groups)},
        windows=WindowCounts(train=10, scored=of * groups),
        seconds=2.0,
        cpu_seconds=1.0,
        parameters=7,
        train_loss=(1.0,),
        validation_accuracy=(right / of,),
        gradient=GradientNorms(before=(1.0, 0.1), after=(1.0, 0.5)),
        integer=TrialInteger("measured", weight_bytes=9, confusion=matrix, float_confusion=matrix, agreement=1.0),
        versions={},
    )


def cost(shape: Shape, per_step: int, status: str = "measured") -> Cost:
    """A network with so many multiply-accumulates and, if it was measured, instructions of a step."""
    found: MeasuredCost | NoCost
    match status:
        case "measured":
            found = MeasuredCost(
                detail="an emulator",
                code_bytes=3000,
                table_bytes=500,
                weight_bytes=500,
                flash_bytes=4000,
                ram_bytes=100,
                stack_bytes=None,
                status="measured",
                unit="instructions",
                per_window=50 * per_step,
                per_step=per_step,
                latency_estimate=None,
            )
        case "skipped":
            found = NoCost("skipped", "no compiler")
        case _:
            found = NoCost("failed", "too large")
    return Cost(shape, parameters=7, macs_per_step=per_step, target="board", found=found)


def figures(
    cell: CellName, rights: list[int], per_step: int, readout: Pooling = "last", status: str = "measured"
) -> CandidateFigures:
    candidate = Candidate(cell, 4, 50, "chrono", readout)
    results = {Point(candidate, 0.01, seed).key: result(right) for seed, right in enumerate(rights)}
    found = figures_of(candidate, CONFIG, results, {candidate.shape: cost(candidate.shape, per_step, status)}, [])
    assert found is not None
    return found


def test_the_interval_over_seeds_is_students() -> None:
    found = over_seeds([0.5, 0.6, 0.7])
    half = 4.303 * 0.1 / math.sqrt(3)
    assert (found.value, found.low, found.high) == pytest.approx((0.6, 0.6 - half, 0.6 + half))
    assert over_seeds([0.9]).low is None
    assert over_seeds([0.1, 0.9]).low == 0.0
    assert student(1) > student(5) > student(30) == student(1000)


def test_it_covers_the_true_mean_19_times_of_20() -> None:
    rng = np.random.default_rng(0)
    estimates = [over_seeds(rng.normal(0.5, 0.02, 4).tolist()) for _ in range(2000)]
    covered = np.mean([(one.low or 0) <= 0.5 <= (one.high or 0) for one in estimates])
    assert 0.94 < covered < 0.96


def test_groups_that_differ_widen_the_interval() -> None:
    candidate = Candidate("gru", 4, 50, "chrono")
    same = {Point(candidate, 0.01, seed).key: result(80, groups=6) for seed in range(SEEDS)}
    costs = {candidate.shape: cost(candidate.shape, 10)}
    narrow = figures_of(candidate, CONFIG, same, costs, [])
    other = {"g0": result(20).groups["g0"], "g1": result(40).groups["g0"]}
    differing = {key: dataclasses.replace(one, groups={**one.groups, **other}) for key, one in same.items()}
    wide = figures_of(candidate, CONFIG, differing, costs, [])
    assert narrow is not None
    assert wide is not None
    assert narrow.over_seeds.low == narrow.over_seeds.high == narrow.over_groups.low
    assert wide.over_seeds.low == wide.over_seeds.high  # the seeds agree
    assert wide.interval.low == wide.over_groups.low < wide.interval.value - 0.1


def test_the_best_learning_rate_is_taken_and_others_are_on_record() -> None:
    config = CONFIG.model_copy(update={"learning_rates": (0.01, 0.1)})
    candidate = Candidate("gru", 4, 50, "chrono")
    results = {Point(candidate, rate, 0).key: result(right) for rate, right in ((0.01, 60), (0.1, 90))}
    found = figures_of(candidate, config, results, {candidate.shape: cost(candidate.shape, 10)}, ["4 units"])
    assert found is not None
    assert found.learning_rate == 0.1
    assert found.scores == (0.9, None, None, None)
    assert found.score_by_learning_rate == {"0.01": 0.6, "0.1": 0.9}
    assert found.sizes == ("4 units",)
    assert figures_of(candidate, config, {}, {}, []) is None


def test_a_readout_can_be_what_makes_a_cheap_cell_level() -> None:
    """As on hapt: a vanilla RNN forgets, and a mean of its states remembers in its place."""
    plain, gated = figures("rnn", [73, 70, 74, 72], 100), figures("gru", [93, 94, 92, 95], 300)
    pooled = figures("rnn", [94, 92, 95, 93], 120, readout="mean")
    assert decide("x", [plain, gated]).pick == gated.name
    verdict = decide("x", [plain, gated, pooled])
    assert verdict.pick == pooled.name
    assert verdict.why.startswith("Take rnn with 4 units (chrono, mean of states, T = 50): 93.5 %")
    assert "The best cheaper candidate, rnn with 4 units (chrono, T = 50), has only 72.2 %" in verdict.why
    assert pooled.to_dict()["readout"] == "mean"


@pytest.mark.parametrize("status", ["measured", "skipped", "failed"])
def test_figures_are_written_with_the_keys_of_candidate_and_cost_and_read_back(status: str) -> None:
    found = figures("gru", [93, 94, 92, 95], 300, readout="mean", status=status)
    table = found.to_dict()
    keys = ["name", "cell", "hidden_size", "time_steps", "first_weights", "readout", "learning_rate", "scores"]
    assert list(table)[: len(keys)] == keys
    assert table["cost"]["status"] == status
    assert [key for key in ("per_step", "reason") if key in table["cost"]] == [
        "per_step" if status == "measured" else "reason"
    ]
    assert from_plain(CandidateFigures, table) == found


def test_stored_costs_are_used_for_the_same_key_and_a_damaged_file_is_ignored(tmp_path: Path) -> None:
    path, shape = tmp_path / "costs.json", Shape("gru", 4, 50)
    assert stored_costs(path, "a") == {}
    save_json(path, StoredCosts("a", {str(shape): cost(shape, 10)}))
    assert stored_costs(path, "a") == {"gru-4-T50": cost(shape, 10)}
    assert stored_costs(path, "b") == {}
    table = json.loads(path.read_text())
    del table["shapes"]["gru-4-T50"]["per_step"]
    save_json(path, table)
    assert stored_costs(path, "a") == {}


def test_a_clear_winner_is_taken_and_the_best_of_the_cheaper_named() -> None:
    verdict = decide("x", [figures("rnn", [60, 62, 61, 59], 100), figures("lstm", [95, 96, 95, 94], 400)])
    assert verdict.pick == verdict.best
    assert verdict.cell == "lstm"
    assert "no other candidate is level with it" in verdict.why
    assert "The best cheaper candidate, rnn with 4 units (chrono, T = 50), has only 60.5 %" in verdict.why


def test_where_intervals_overlap_the_cheaper_wins_and_the_words_say_so() -> None:
    verdict = decide("x", [figures("rnn", [96, 92, 97, 91], 100), figures("lstm", [97, 94, 96, 95], 400)])
    assert verdict.cell == "rnn"
    assert verdict.best == "lstm 4 (chrono), T = 50"
    assert "their intervals overlap (seed by seed +1.5 points [-1.8, 4.8]): the cheapest of the 2" in verdict.why
    assert "100 instructions a step" in verdict.why


def test_a_lead_seed_by_seed_is_no_level_although_intervals_overlap() -> None:
    rnn, lstm = figures("rnn", [80, 86, 90, 94], 100), figures("lstm", [82, 88, 92, 96], 400)
    difference = paired_difference(lstm, rnn)
    assert difference is not None
    assert (difference.low, difference.high) == pytest.approx((0.02, 0.02))
    verdict = decide("x", [rnn, lstm])
    assert verdict.cell == "lstm"


def test_to_be_unreliable_is_no_merit() -> None:
    """An interval so wide that it overlaps is not enough: the mean has to lie within that of the best."""
    verdict = decide("x", [figures("rnn", [60, 99, 61, 90], 100), figures("lstm", [93, 94, 93, 92], 400)])
    assert verdict.cell == "lstm"


def test_less_than_a_point_is_not_worth_anything() -> None:
    rnn, lstm = figures("rnn", [99, 99, 99, 99], 100), figures("lstm", [100, 100, 100, 99], 400)
    verdict = decide("x", [rnn, lstm])
    assert verdict.cell == "rnn"
    assert "(seed by seed +0.7 points" in verdict.why or "(seed by seed +0.8 points" in verdict.why


def test_what_learned_nothing_is_not_taken() -> None:
    verdict = decide("x", [figures("rnn", [50, 52, 49, 51], 100), figures("lstm", [51, 49, 53, 50], 400)])
    assert verdict.pick is None
    assert verdict.why.startswith("No cell: the best, lstm")
    assert "is not significantly better than a constant guess with 50.0 %" in verdict.why
    assert verdict.cell is None


def test_luck_is_not_level_with_the_best() -> None:
    verdict = decide("x", [figures("rnn", [50, 50, 99, 52], 100), figures("lstm", [95, 96, 94, 95], 400)])
    assert verdict.cell == "lstm"  # that of the rnn overlaps, as it reaches from a guess to 100 %


def test_without_a_target_multiply_accumulates_are_the_price_and_what_does_not_fit_comes_last() -> None:
    skipped = [figures("rnn", [90] * 4, 100, status="skipped"), figures("gru", [90] * 4, 300, status="skipped")]
    verdict = decide("x", skipped)
    assert "100 multiply-accumulates a step and 7 parameters" in verdict.why
    verdict = decide("x", [figures("rnn", [90] * 4, 100, status="failed"), figures("gru", [90] * 4, 300)])
    assert verdict.cell == "gru"


def test_how_far_back_the_gradient_reaches() -> None:
    assert gradient_reach(np.array([1.0, 0.0, 0.0])) == 0
    assert gradient_reach(np.ones(10)) == 8
    assert gradient_reach(np.zeros(3)) is None
    found = figures("rnn", [90] * 4, 100)
    assert found.gradient.oldest_to_newest_before == pytest.approx(0.1)
    assert found.gradient.reach_after == 1


def forest(rights: list[int], per_window: int | None, time_steps: int = 50) -> ForestFigures:
    """A forest with so many right of a hundred, and its cost."""
    scores = tuple(right / 100 for right in rights)
    cost = None if per_window is None else ForestCost("board", per_window, 15_000)
    return ForestFigures(time_steps, 30, 64, scores, over_seeds(scores), cost)


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        (
            forest([89, 91, 90, 90], 16_666),
            "A random forest of 30 trees on statistics of the same windows is level here, 90.0 % [88.7, 91.3], and "
            "costs about a third: about 16,666 instructions a window and 15,000 bytes of flash, against 50,000 "
            "instructions and 4,000 bytes.",
        ),
        (forest([97, 98, 97, 97], 130_000), "is better here, 97.2 % [96.5, 98.0], and costs 2.6 times as much: about"),
        (forest([80, 81, 80, 80], 21_000), "scores less here, 80.2 % [79.5, 81.0], and costs 42 % as much: about"),
        (forest([90, 90, 90, 89], 49_000), "is level here, 89.8 % [89.0, 90.5], and costs about as much: about"),
        (
            forest([90, 89, 90, 91], None),
            "but what it costs on the target is not known; costs of forests are known for cortex_m4.",
        ),
    ],
)
def test_a_forest_stands_beside_the_recommendation(beside: ForestFigures, expected: str) -> None:
    networks = [figures("gru", [90, 89, 91, 90], 1000), figures("rnn", [60, 61, 59, 60], 300)]
    verdict = decide("x", networks, [forest([50] * 4, 1, time_steps=25), beside])
    assert verdict.cell == "gru"
    assert expected in verdict.why
    assert verdict.why == f"{decide('x', networks).why} {verdict.why[verdict.why.index('A random forest') :]}"


def test_a_forest_without_a_counted_network_gives_its_own_cost() -> None:
    verdict = decide("x", [figures("gru", [90] * 4, 1000, status="skipped")], [forest([90] * 4, 16_666)])
    assert verdict.why.endswith("and costs about 16,666 instructions a window and 15,000 bytes of flash.")


def test_a_forest_of_another_window_length_says_nothing() -> None:
    assert "forest" not in decide("x", [figures("gru", [90] * 4, 1000)], [forest([90] * 4, 1, time_steps=25)]).why
