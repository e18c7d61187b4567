"""Which trials are done, and in which order: successive halving, round after round.

A round begins with many candidates, each scored on one fold after a short training. A third of them is scored on two
folds after longer trainings, and a third of those on all folds after whole trainings (successive halving: Jamieson and
Talwalkar 2016, "Non-stochastic best arm identification"; in rounds: Li et al. 2018, "Hyperband"). The first round
begins with candidates like known recipes; later ones with small changes of the best so far (regularised evolution: Real
et al. 2019) and random ones.

Everything follows from the seed and the results, so a search that was interrupted goes on as if it had not been.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from edge_seq.scores.metrics import macro_f1
from edge_seq.support.errors import ConfigError
from edge_seq.tuning.config import Budget
from edge_seq.tuning.cost import NetworkCost
from edge_seq.tuning.space import Candidate, Space, suits
from edge_seq.tuning.trial import Confusion, Trial, TrialResult

FIRST_ROUND, LATER_ROUNDS = 14, 27  # candidates
KEEP_ONE_OF = 3
FEWEST = 3  # candidates of a round
RANDOM_SHARE = 0.25  # of the candidates of a later round
PARENTS = 6
LARGE_SHARE = 1 / 6  # of the budget, for one candidate
TRIES = 50  # draws of a candidate that is new and within the limits


@dataclass(frozen=True)
class Level:
    """A level of a round.

    Attributes:
        folds: number of folds that are scored; None for all.
        share: share of a candidate's optimiser steps.
        in_full: True if the integer model is scored too.
    """

    folds: int | None
    share: float
    in_full: bool

    def trials(self, candidate: Candidate, *, folds: int, first: int) -> list[Trial]:
        """Trials of a candidate at this level; ``first`` is the first fold that is scored."""
        count = folds if self.folds is None else min(self.folds, folds)
        steps = max(1, round(self.share * candidate.steps))
        return [Trial(candidate, (first + k) % folds, steps, self.in_full) for k in range(count)]


LEVELS = (Level(1, 0.25, False), Level(2, 0.5, False), Level(None, 1.0, True))


@dataclass
class Progress:
    """What is known so far.

    Attributes:
        results: results of finished trials by key.
        refused: seconds of each trial without a result, by key.
        complete: candidates that were scored on all folds, in the order in which they were done.
        seen: candidates that took part in a round.
        by_level: seconds of the trials of each level.
    """

    results: dict[str, TrialResult] = field(default_factory=dict)
    refused: dict[str, float] = field(default_factory=dict)
    complete: list[Candidate] = field(default_factory=list)
    seen: set[Candidate] = field(default_factory=set)
    by_level: list[list[float]] = field(default_factory=lambda: [[] for _ in LEVELS])

    @property
    def done(self) -> int:
        """Number of trials that need no more work."""
        return len(self.results) + len(self.refused)

    def share_of(self, plan: Plan) -> float:
        """Share of the budget that is used."""
        if plan.budget.trials is not None:
            return self.done / plan.budget.trials
        return self.spent(plan) / (plan.budget.seconds or 1.0)

    def spent(self, plan: Plan) -> float:
        """Seconds of all trials that have ended, divided by the number of workers."""
        return (sum(one.seconds for one in self.results.values()) + sum(self.refused.values())) / plan.workers


@dataclass(frozen=True)
class Plan:
    """What the rounds depend on.

    Attributes:
        space: what may be chosen.
        cost: function from a candidate to its cost.
        fits: function that tells if a cost is within the limits.
        folds: number of folds.
        budget: amount of work.
        workers: number of trials side by side, by which a budget in seconds is divided.
        seed: seed of every draw.
    """

    space: Space
    cost: Callable[[Candidate], NetworkCost]
    fits: Callable[[NetworkCost], bool]
    folds: int
    budget: Budget
    workers: int
    seed: int


Do = Callable[[Sequence[Trial], Progress], None]


def run_rounds(plan: Plan, progress: Progress, do: Do) -> None:
    """Do rounds until the budget is used.

    Args:
        plan: what the rounds depend on.
        progress: what is known so far; it is filled.
        do: does trials, and puts each into ``results`` or ``refused``. Trials with a result are not given to it twice.

    """
    index = 0
    while count := round_size(plan, progress, first=index == 0):
        rng = np.random.default_rng([plan.seed, index])
        candidates = list(_candidates(plan, progress, count, rng, first=index == 0))
        if not candidates:
            break
        _round(plan, progress, candidates, index, do)
        index += 1


def round_size(plan: Plan, progress: Progress, *, first: bool) -> int:
    """Number of candidates of the next round; 0 if the budget is used."""
    most = FIRST_ROUND if first else LATER_ROUNDS
    if first and plan.budget.trials is None:
        return most  # what a trial takes is not known yet
    folds = [min(level.folds or plan.folds, plan.folds) for level in LEVELS]
    if plan.budget.trials is not None:
        left, price = float(plan.budget.trials - progress.done), [1.0] * len(LEVELS)
    else:
        left = (plan.budget.seconds or 0.0) - progress.spent(plan)
        price = [sum(times) / max(1, len(times)) / plan.workers for times in progress.by_level]

    def total(count: int) -> float:
        return sum(n * of_level * each for n, of_level, each in zip(_halved(count), folds, price, strict=True))

    return next((count for count in range(most, FEWEST - 1, -1) if total(count) <= left), 0)


def _halved(count: int) -> list[int]:
    """Number of candidates of each level.

    >>> _halved(27), _halved(4)
    ([27, 9, 3], [4, 2, 1])
    """
    counts = [count]
    for _ in LEVELS[1:]:
        counts.append(-(-counts[-1] // KEEP_ONE_OF))
    return counts


def _round(plan: Plan, progress: Progress, candidates: list[Candidate], index: int, do: Do) -> None:
    scores: list[float] = []
    seconds_of_a_step: dict[Candidate, float] = {}
    for at, (level, count) in enumerate(zip(LEVELS, _halved(len(candidates)), strict=True)):
        chosen = candidates
        if at:
            chosen = survivors(candidates, scores, plan.cost, count)
            if plan.budget.seconds is not None and chosen:
                chosen = _in_time(plan, progress, chosen, at, seconds_of_a_step)
        of_each = {one: level.trials(one, folds=plan.folds, first=index) for one in chosen}
        trials = [trial for trials in of_each.values() for trial in trials]
        do([t for t in trials if t.key not in progress.results and t.key not in progress.refused], progress)
        progress.by_level[at] += [progress.results[t.key].seconds for t in trials if t.key in progress.results]
        candidates, scores = [], []
        for one, trials in of_each.items():
            found = [progress.results[t.key] for t in trials if t.key in progress.results]
            if len(found) == len(trials):
                candidates.append(one)
                seconds_of_a_step[one] = sum(r.seconds for r in found) / sum(r.steps for r in found)
                scores.append(score_of([r.int_by_group or r.by_group for r in found]))
    progress.complete += candidates


def _in_time(
    plan: Plan, progress: Progress, chosen: Sequence[Candidate], at: int, seconds_of_a_step: Mapping[Candidate, float]
) -> list[Candidate]:
    """Candidates, in the order of their worth, that the rest of the budget takes from level ``at`` on, by the time of
    their shorter trainings; the quickest one if it takes none. Of those of a level, one of three reaches the next. One
    that alone would take a large share of the whole budget is left out where others do not."""

    def seconds(candidate: Candidate) -> float:
        return sum(
            seconds_of_a_step[candidate] * trial.steps / plan.workers / float(KEEP_ONE_OF**later)
            for later, level in enumerate(LEVELS[at:])
            for trial in level.trials(candidate, folds=plan.folds, first=0)
        )

    whole = plan.budget.seconds or 0.0
    left = whole - progress.spent(plan)
    kept: list[Candidate] = []
    for one in [one for one in chosen if seconds(one) <= LARGE_SHARE * whole] or chosen:
        if seconds(one) <= left:
            kept.append(one)
            left -= seconds(one)
    return kept or [min(chosen, key=seconds)]


def score_of(parts: Sequence[Mapping[str, Confusion]]) -> float:
    """Macro-F1 of all folds together."""
    return float(macro_f1(matrices(parts).sum(axis=0)))


def matrices(parts: Sequence[Mapping[str, Confusion]]) -> NDArray[np.int64]:
    """Confusion matrices int64 [G, K, K] of all groups of all folds."""
    return np.array([matrix for part in parts for matrix in part.values()], np.int64)


def survivors(
    candidates: Sequence[Candidate], scores: Sequence[float], cost: Callable[[Candidate], NetworkCost], count: int
) -> list[Candidate]:
    """Choose candidates for the next level: two thirds by score, the rest by score for their cost.

    A candidate is good for its cost if few others have both a better score and a lower cost.
    """
    order = sorted(range(len(candidates)), key=lambda i: -scores[i])
    by_score = order[: -(-2 * count // 3)]
    costs = [cost(one) for one in candidates]

    def better(i: int) -> int:
        return sum(
            scores[j] >= scores[i]
            and costs[j].flash_bytes <= costs[i].flash_bytes
            and costs[j].instructions <= costs[i].instructions
            for j in range(len(candidates))
            if j != i
        )

    others = sorted(set(order) - set(by_score), key=lambda i: (better(i), -scores[i], i))
    return [candidates[i] for i in (*by_score, *others[: count - len(by_score)])]


def _candidates(
    plan: Plan, progress: Progress, count: int, rng: np.random.Generator, *, first: bool
) -> Iterator[Candidate]:
    """New candidates within the limits."""
    parents = _parents(plan, progress)
    queue = plan.space.first() if first else []
    for _ in range(count):
        for _ in range(TRIES):
            if queue:
                drawn = queue.pop(0)
            elif not parents or rng.random() < RANDOM_SHARE:
                drawn = plan.space.random(rng)
            else:
                drawn = plan.space.changed(parents[int(rng.integers(len(parents)))], rng)
            fitting = _made_to_fit(plan, drawn)
            if fitting is not None and fitting not in progress.seen:
                progress.seen.add(fitting)
                yield fitting
                break


def _made_to_fit(plan: Plan, candidate: Candidate) -> Candidate | None:
    """The candidate with as many units as the limits allow; None if none fits."""
    sizes = [size for size in plan.space.choices["hidden_size"] if size <= candidate.hidden_size]
    for size in reversed(sizes):
        smaller = replace(candidate, hidden_size=size)
        if plan.fits(plan.cost(smaller)):
            return smaller
    return None


def _parents(plan: Plan, progress: Progress) -> list[Candidate]:
    """The best complete candidates."""
    scored = [(score_of(all_folds(one, plan.folds, progress)), one) for one in progress.complete]
    return [one for _, one in sorted(scored, key=lambda pair: -pair[0])[:PARENTS]]


def all_folds(candidate: Candidate, folds: int, progress: Progress) -> list[Mapping[str, Confusion]]:
    """Confusion matrices by group of each fold of a complete candidate's integer model."""
    results = [progress.results[t.key] for t in LEVELS[-1].trials(candidate, folds=folds, first=0)]
    return [result.int_by_group or {} for result in results]


def check_something_fits(plan: Plan, limits: str) -> None:
    """Check that a network of the space is within the limits.

    Raises:
        ConfigError: none is; the message names the smallest one.
    """
    choices = plan.space.choices
    smallest = [
        replace(
            plan.space.first()[0],
            **{name: choices[name][0] for name in ("num_layers", "hidden_size", "companding", "magnitude")},
            **{"cell": cell, "front": front, "pooling": pooling, "window_length": length, "preprocessing": step},
        )
        for cell in choices["cell"]
        for front in choices["front"]
        for pooling in choices["pooling"]
        for length in choices["window_length"]
        for step in choices["preprocessing"]
        if suits(front, length)
    ]
    if not any(plan.fits(plan.cost(one)) for one in smallest):
        one = min(smallest, key=lambda one: plan.cost(one).flash_bytes)
        cost = plan.cost(one)
        raise ConfigError(
            f"search: no network is within {limits}; the smallest one ({one.network}) takes {cost.flash_bytes:,} bytes "
            f"of flash, of which {cost.weight_bytes:,} are weights, {cost.ram_bytes:,} bytes of RAM and "
            f"{cost.instructions:,} instructions a window. Raise the limits, or give a shorter window or other cells"
        )
