"""Which trials a search does: budgets, limits, and the same order after an interruption. Nothing is trained here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from edge_seq.ir.contract import Channel, Preprocessing, SensorContract
from edge_seq.support.errors import ConfigError
from edge_seq.tuning.choice import choose, front_of
from edge_seq.tuning.config import Budget, Limits, SearchConfig, make_search_config, parse_budget, parse_bytes
from edge_seq.tuning.cost import NetworkCost, costs_on, network_cost, steps_of
from edge_seq.tuning.rounds import FIRST_ROUND, Plan, Progress, check_something_fits, run_rounds, survivors
from edge_seq.tuning.run import limits_text, within
from edge_seq.tuning.space import Candidate, space_of
from edge_seq.tuning.trial import Trial, TrialResult

CONTRACT = SensorContract(50.0, tuple(Channel(name, "g", 8192, 4) for name in ("ax", "ay", "az")), 100, 50)
FOLDS = 4


@cache
def cost_of(candidate: Candidate) -> NetworkCost:
    contract = candidate.contract(CONTRACT)
    return network_cost(
        candidate.training(contract, windows=1, steps=1, seed=0),
        contract,
        3,
        costs_on("cortex_m4"),
        bits=candidate.bits,
    )


def plan_of(config: SearchConfig, *, workers: int = 1) -> Plan:
    return Plan(
        space=space_of(config, CONTRACT, own_steps=True, compandings=(3, 6)),
        cost=cost_of,
        fits=lambda cost: within(cost, config),
        folds=FOLDS,
        budget=config.budget,
        workers=workers,
        seed=config.seed,
    )


def made_up(trial: Trial, *, seconds: float = 10.0, right: int | None = None) -> TrialResult:
    """A score that only the candidate decides: differences, few units and a gain of 3 are good."""
    one = trial.candidate
    if right is None:
        right = 40 + 20 * (one.preprocessing == "difference") + 20 * (one.input_gain == 3.0) + one.hidden_size // 4
    matrix = ((right, 100 - right), (100 - right, right))
    groups = {f"fold {trial.fold}, group {k}": matrix for k in range(2)}
    return TrialResult(
        one, trial.fold, trial.steps, groups, groups if trial.in_full else None, 1.0 if trial.in_full else None, seconds
    )


def workers_with(kept: dict[str, TrialResult], *, after: int = 10**9, refuse: str = "-") -> Callable[..., None]:
    """Do trials; results in ``kept`` are not made again. It is interrupted ``after`` so many."""

    def do(trials: Sequence[Trial], progress: Progress) -> None:
        for trial in trials:
            assert trial.key not in progress.results
            if trial.candidate.cell == refuse:
                progress.refused[trial.key] = 10.0
                continue
            if trial.key not in kept and len(kept) >= after:
                raise KeyboardInterrupt
            kept.setdefault(trial.key, made_up(trial))
            progress.results[trial.key] = kept[trial.key]

    return do


def searched(config: SearchConfig, **options: object) -> Progress:
    progress = Progress()
    run_rounds(plan_of(config), progress, workers_with({}, **options))  # type: ignore[arg-type]
    return progress


@pytest.mark.parametrize("trials", [12, 19, 100, 200])
def test_a_budget_of_trials_is_not_exceeded_and_gives_complete_candidates(trials: int) -> None:
    found = searched(SearchConfig(budget=Budget(trials=trials)))
    assert trials / 2 < found.done <= trials
    assert found.complete
    assert len(found.seen) == len(set(found.seen))


def test_a_budget_of_time_counts_what_trials_took_on_all_workers() -> None:
    config = SearchConfig(budget=Budget(seconds=600))
    for workers in (1, 2):
        progress = Progress()
        plan = plan_of(config, workers=workers)
        run_rounds(plan, progress, workers_with({}))
        assert 300 * workers < sum(one.seconds for one in progress.results.values()) <= 600 * workers
        assert 0.5 < progress.share_of(plan) <= 1


def test_a_budget_of_time_counts_trials_without_a_result_and_trials_that_take_longer_than_expected() -> None:
    plan = plan_of(SearchConfig(budget=Budget(seconds=1500)))
    progress = Progress()
    run_rounds(plan, progress, workers_with({}, refuse="gru"))
    assert progress.refused
    assert progress.spent(plan) == 10.0 * (len(progress.results) + len(progress.refused)) <= 1500

    def slower_and_slower(trials: Sequence[Trial], progress: Progress) -> None:
        for trial in trials:
            progress.results[trial.key] = made_up(trial, seconds=5.0 + 0.1 * progress.done)

    progress = Progress()
    run_rounds(plan, progress, slower_and_slower)
    last = max(one.seconds for one in progress.results.values())
    assert 1000 < progress.spent(plan) < 1500 + FOLDS * last


def test_candidates_have_gains_that_suit_convolutions_and_trainings_of_like_length() -> None:
    config = SearchConfig()
    space = space_of(config, CONTRACT, own_steps=True)
    first = space.first()
    assert len(first) == len(set(first)) == FIRST_ROUND
    rng = np.random.default_rng(0)
    drawn = [space.random(rng) for _ in range(300)]
    changed = [space.changed(one, rng) for one in drawn]
    gains = {one.input_gain for one in (*first, *drawn, *changed) if one.front != "none"}
    assert max(gains) == 10.0
    assert {one.input_gain for one in drawn if one.front == "none"} == set(space.choices["input_gain"])
    assert max(one.steps * one.batch_size for one in (*first, *drawn, *changed)) == 1600 * 64
    assert {one.steps for one in drawn} == {400, 800, 1600, 3200}
    assert max(one.steps for one in (*drawn, *changed) if one.cell != "lstm") == 800
    without = space_of(SearchConfig(cells=("gru",)), CONTRACT, own_steps=True)
    assert max(without.random(rng).steps for _ in range(50)) == 3200


def test_only_the_first_convolution_of_a_long_window_has_a_wide_kernel() -> None:
    space = space_of(SearchConfig(), CONTRACT, own_steps=True)
    (wide,) = [one for one in space.first() if one.kernel]
    assert wide.network.startswith("conv 32 stride 4 kernel 15, lstm 32")
    two = replace(wide, front="16/4 32/4")
    assert two.network.startswith("conv 16 stride 4 kernel 15, conv 32 stride 4, lstm 32")
    for candidate, kernels in ((wide, [15]), (two, [15, 5]), (replace(wide, kernel=None), [5])):
        training = candidate.training(CONTRACT, windows=100, steps=10, seed=0)
        assert [layer.kernel for layer in training.front] == kernels
    rng = np.random.default_rng(0)
    assert {one.kernel for one in (space.random(rng) for _ in range(50)) if one.front == "none"} == {None}
    short = space_of(SearchConfig(window_lengths=(40,)), CONTRACT, own_steps=True)
    assert {one.kernel for one in (*short.first(), *(short.random(rng) for _ in range(50)))} == {None}


def test_other_classifiers_teach_where_they_are_given() -> None:
    without, space = (
        space_of(SearchConfig(), CONTRACT, own_steps=True, teacher=one) for one in (None, "forest_and_rocket")
    )
    rng = np.random.default_rng(0)
    assert {one.teacher for one in (*without.first(), *(without.random(rng) for _ in range(50)))} == {None}
    (taught,) = [one for one in space.first() if one.teacher]
    assert "taught by forest and rocket" in taught.options
    assert taught.training(CONTRACT, windows=100, steps=10, seed=0).taught_by == "forest_and_rocket"
    assert replace(taught, teacher=None).training(CONTRACT, windows=100, steps=10, seed=0).taught_by == "labels"
    assert {space.random(rng).teacher for _ in range(50)} == {None, "forest_and_rocket"}


def test_a_slow_candidate_does_not_take_the_time_of_many() -> None:
    plan = plan_of(SearchConfig(budget=Budget(seconds=2000)))
    of_a_step = {"lstm": 0.01, "gru": 0.01, "fastgrnn": 0.15}  # seconds

    def slow(trials: Sequence[Trial], progress: Progress) -> None:
        for trial in trials:
            seconds = of_a_step[trial.candidate.cell] * trial.steps
            score = 90 if trial.candidate.cell == "fastgrnn" else 50
            progress.results[trial.key] = made_up(trial, seconds=seconds, right=score)

    progress = Progress()
    run_rounds(plan, progress, slow)
    assert any(one.cell == "fastgrnn" for one in progress.seen)
    taken = [of_a_step[one.cell] * one.steps * FOLDS for one in progress.complete]
    assert max(taken) <= 2000 / 6
    assert sum(taken) < 2000


@pytest.mark.parametrize("length", [8, 20, 50, 300, 1000, 2500, 16383])
def test_recurrent_layers_have_a_trainable_number_of_steps_in_any_window(length: int) -> None:
    contract = replace(CONTRACT, window_length=length, window_stride=length)
    space = space_of(SearchConfig(), contract, own_steps=True)
    rng = np.random.default_rng(0)
    drawn = [space.random(rng) for _ in range(40)]
    for one in (*space.first(), *drawn, *(space.changed(parent, rng) for parent in drawn)):
        steps = length
        for layer in one.training(contract, windows=100, steps=10, seed=0).front:
            steps = steps_of(layer, steps)
        assert min(length, 5) <= steps <= 256
    fronts = {one.front for one in space.first()}
    assert len(fronts) >= (2 if 20 <= length <= 2500 else 1)
    assert ("none" in fronts) == (length <= 256)


def test_an_interrupted_search_does_the_same_trials_as_one_that_was_not() -> None:
    plan = plan_of(SearchConfig(budget=Budget(trials=120)))
    whole = Progress()
    run_rounds(plan, whole, workers_with({}))
    kept: dict[str, TrialResult] = {}
    for after in (3, 30, 77):
        with pytest.raises(KeyboardInterrupt):
            run_rounds(plan, Progress(), workers_with(kept, after=after))
    again = Progress()
    run_rounds(plan, again, workers_with(kept))
    assert again == whole
    assert front_of(plan, again) == front_of(plan, whole)


def test_later_rounds_find_what_the_first_did_not() -> None:
    def best(trials: int) -> float:
        found = searched(SearchConfig(budget=Budget(trials=trials)))
        return max(one.macro_f1.value for one in front_of(plan_of(SearchConfig()), found))

    assert best(400) > best(19)


def test_a_trial_without_a_result_takes_its_candidate_out() -> None:
    found = searched(SearchConfig(budget=Budget(trials=200)), refuse="gru")
    assert any(one.cell == "gru" for one in found.seen)
    assert {one.cell for one in found.complete} <= {"lstm", "fastgrnn"}
    assert found.refused


def test_every_candidate_is_within_the_limits() -> None:
    limits = Limits(max_weights=3000, max_ram=700, max_instructions=200_000)
    found = searched(SearchConfig(budget=Budget(trials=200), limits=limits))
    for one in found.seen:
        cost = cost_of(one)
        assert cost.weight_bytes <= 3000
        assert cost.ram_bytes <= 700
        assert cost.instructions <= 200_000


def test_limits_that_nothing_meets_are_one_error_with_the_smallest_network() -> None:
    config = SearchConfig(limits=Limits(max_flash=2000))
    with pytest.raises(ConfigError, match=r"no network is within --max-flash 2,000; the smallest one .* takes 4,\d{3}"):
        check_something_fits(plan_of(config), limits_text(config))
    check_something_fits(plan_of(SearchConfig()), "no limits")


def test_survivors_are_the_best_and_the_good_for_their_cost() -> None:
    sizes = (8, 16, 24, 32, 48, 64)
    candidates = [Candidate(hidden_size=size, window_length=100) for size in sizes]
    scores = [0.70, 0.71, 0.60, 0.90, 0.89, 0.91]
    assert [one.hidden_size for one in survivors(candidates, scores, cost_of, 3)] == [64, 32, 16]
    assert [one.hidden_size for one in survivors(candidates, scores, cost_of, 1)] == [64]


def test_the_choice_is_the_cheapest_point_near_the_best_and_says_why() -> None:
    plan = plan_of(SearchConfig())
    progress = Progress()
    values = {8: (70, 1.0), 16: (88, 1.0), 32: (89, 1.0), 64: (95, 0.97)}
    for size, (right, agreement) in values.items():
        one = Candidate(hidden_size=size, window_length=100)
        matrix = ((right, 100 - right), (100 - right, right))
        for fold in range(FOLDS):
            trial = Trial(one, fold, one.steps, in_full=True)
            groups = {f"{fold}": matrix}
            progress.results[trial.key] = TrialResult(one, fold, one.steps, groups, groups, agreement, 1.0)
        progress.complete.append(one)
    points = front_of(plan, progress)
    assert [one.candidate.hidden_size for one in points] == [8, 16, 32, 64]
    assert [one.number for one in points] == [1, 2, 3, 4]
    near = choose(points, tolerance=0.02, unit="instructions", limits=Limits())
    assert near.number == 2
    assert near.why.startswith("Take point 2: its macro-F1 of 88.0 %")
    assert "within 2.0 % of the best (89.0 %, point 3)" in near.why
    assert "Point 4 has a better score, but its integer model gives another label" in near.why
    best = choose(points, tolerance=0.0, unit="cycles", limits=Limits(max_flash=20_000))
    assert best.number == 3
    assert "is the best within the limits" in best.why
    only = choose([replace(points[3], number=1)], tolerance=0.0, unit="instructions", limits=Limits())
    assert "agree on 97.0 % of the windows of a fold only" in only.why
    narrow = replace(points[3], candidate=replace(points[3].candidate, four_bits="all"))
    assert choose([*points[:3], narrow], tolerance=0.0, unit="instructions", limits=Limits()).number == 4


def test_changes_of_a_candidate_stay_in_the_space() -> None:
    space = space_of(SearchConfig(window_lengths=(50, 100)), CONTRACT, own_steps=True, compandings=(3, 6))
    assert space.choices["companding"] == (None, 3, 6)
    assert space.choices["magnitude"] == (False, True)
    rng = np.random.default_rng(0)
    one = space.random(rng)
    for _ in range(200):
        changed = space.changed(one, rng)
        for name, values in space.choices.items():
            assert getattr(changed, name) in values
        one = changed
    fixed = space_of(SearchConfig(cells=("rnn",)), replace(CONTRACT, window_length=10), own_steps=False)
    assert fixed.choices["preprocessing"] == ("none",)
    assert fixed.choices["front"] == ("none",)
    assert fixed.choices["companding"] == (None,)
    told = replace(CONTRACT, preprocessing=Preprocessing("difference", companding=4))
    assert space_of(SearchConfig(), told, own_steps=False).choices["companding"] == (4,)
    assert {one.cell for one in fixed.first()} == {"rnn"}


def test_magnitudes_are_tried_only_where_there_can_be_some() -> None:
    rates = tuple(Channel(f"g{axis}", "deg/s", 16.0, 2000.0) for axis in "xyz")
    contract = replace(CONTRACT, channels=CONTRACT.channels + rates)
    told = replace(contract, preprocessing=Preprocessing("difference", magnitude=True))
    assert space_of(SearchConfig(), told, own_steps=False).choices["magnitude"] == (True,)
    assert space_of(SearchConfig(), contract, own_steps=False).choices["magnitude"] == (False,)
    two = replace(contract, channels=contract.channels[:2])
    assert space_of(SearchConfig(), two, own_steps=True).choices["magnitude"] == (False,)
    one = Candidate(magnitude=True, rate_gain=3.0, input_gain=2.0)
    made = one.training(one.contract(contract), windows=64, steps=10, seed=0)
    assert made.channel_gains == dict.fromkeys(("gx", "gy", "gz", "|gx gy gz|"), 6.0)
    assert ", magnitude, " in one.options
    assert Candidate(magnitude=True).key != Candidate().key


@pytest.mark.parametrize(
    ("text", "match"),
    [("soon", "is no budget; give for example"), ("3 trials", "give at least 12 trials"), ("0min", "is no budget")],
)
def test_a_budget_that_is_none_is_refused(text: str, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        parse_budget(text)


def test_sizes_that_are_none_are_refused() -> None:
    assert parse_bytes("1.5 KiB", "--max-ram") == 1536
    for text in ("much", "-3", "0"):
        with pytest.raises(ConfigError, match=r"--max-ram .* is no number of bytes; give for example 8kB"):
            parse_bytes(text, "--max-ram")


def test_a_layer_each_has_weights_of_4_or_8_bits() -> None:
    space = space_of(SearchConfig(), CONTRACT, own_steps=False)
    drawn = [space.random(np.random.default_rng(seed)) for seed in range(200)]
    assert {one.bits for one in drawn if one.num_layers == 2} == {(8,), (4,), (4, 8), (8, 4)}
    assert {one.bits for one in drawn if one.num_layers == 1} == {(8,), (4,)}
    assert Candidate(num_layers=2, four_bits="second").network == ("lstm 16 x 2 (second of 4 bits), mean of states")
    assert Candidate(num_layers=2, four_bits="first").least_agreement == 0.95
    fewer = space_of(
        SearchConfig(), CONTRACT, own_steps=False, bits_by_layer=False
    )  # on a target that was not measured
    assert fewer.choices["four_bits"] == (None, "all")


def test_options_out_of_range_and_unknown_targets_are_refused() -> None:
    with pytest.raises(ConfigError, match="folds is 1; give at least 2"):
        make_search_config("x.toml", folds=1)
    with pytest.raises(ConfigError, match="repeat; give each once"):
        make_search_config("x.toml", cells=["lstm", "lstm"])
    with pytest.raises(ConfigError, match="give either seconds or trials"):
        make_search_config("x.toml", budget={})
    with pytest.raises(ConfigError, match=r"on 'z80' is not known from its shape; give one of \['cortex_m4'"):
        costs_on("z80")
