"""The front of score and cost among complete candidates, and the choice with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edge_seq.scores.metrics import accuracy, estimate_over_groups, macro_f1
from edge_seq.support.figure_text import percent
from edge_seq.tuning.config import Limits
from edge_seq.tuning.result import Choice, Point
from edge_seq.tuning.rounds import LEVELS, Plan, Progress, all_folds, matrices, score_of
from edge_seq.tuning.space import Candidate


def front_of(plan: Plan, progress: Progress) -> tuple[Point, ...]:
    """Score the complete candidates, and keep those that no other one beats in score and cost."""
    every = [_point(one, plan, progress) for one in progress.complete]
    best = [one for one in every if not any(_beats(other, one) for other in every)]
    best = sorted(best, key=lambda one: (one.cost.instructions, one.cost.flash_bytes, -one.macro_f1.value))
    return tuple(replace(one, number=number) for number, one in enumerate(best, start=1))


def _point(candidate: Candidate, plan: Plan, progress: Progress) -> Point:
    parts = all_folds(candidate, plan.folds, progress)
    by_group = matrices(parts)
    results = [progress.results[t.key] for t in LEVELS[-1].trials(candidate, folds=plan.folds, first=0)]
    return Point(
        number=0,
        candidate=candidate,
        network=candidate.network,
        options=candidate.options,
        cost=plan.cost(candidate),
        macro_f1=estimate_over_groups(by_group, macro_f1),
        accuracy=estimate_over_groups(by_group, accuracy),
        float_macro_f1=score_of([result.by_group for result in results]),
        agreement=min(result.agreement or 0.0 for result in results),
    )


def _values(point: Point) -> tuple[float, ...]:
    cost = point.cost
    return (-point.macro_f1.value, cost.flash_bytes, cost.ram_bytes, cost.instructions)


def _beats(one: Point, other: Point) -> bool:
    """True if a point is at least as good as another one in everything, and better in something."""
    mine, others = _values(one), _values(other)
    return mine != others and all(a <= b for a, b in zip(mine, others, strict=True))


def choose(points: Sequence[Point], *, tolerance: float, unit: str, limits: Limits) -> Choice:
    """Choose the cheapest point whose macro-F1 is close to the best.

    Args:
        points: the front, at least one point.
        tolerance: largest difference from the best macro-F1.
        unit: what instructions count.
        limits: limits of the search, for the words.
    """
    sound = [one for one in points if one.agreement >= one.candidate.least_agreement] or list(points)
    best = max(sound, key=lambda one: one.macro_f1.value)
    near = [one for one in sound if one.macro_f1.value >= best.macro_f1.value - tolerance]
    taken = min(near, key=lambda one: one.cost.instructions * one.cost.flash_bytes)
    within = " within the limits" if limits.model_dump(exclude_none=True) else ""
    cost = (
        f"{taken.cost.flash_bytes:,} bytes of flash, {taken.cost.ram_bytes:,} of RAM and {taken.cost.instructions:,} "
        f"{unit} a window"
    )
    if taken.number == best.number:
        why = f"Take point {taken.number}: its macro-F1 of {taken.macro_f1} is the best{within}, for {cost}."
    else:
        why = (
            f"Take point {taken.number}: its macro-F1 of {taken.macro_f1} is within {percent(tolerance)} of the best"
            f"{within} ({percent(best.macro_f1.value)}, point {best.number}), for {cost}, which is "
            f"{taken.cost.instructions / best.cost.instructions:.0%} of the {unit} and "
            f"{taken.cost.flash_bytes / best.cost.flash_bytes:.0%} of the flash."
        )
    left_out = [one for one in points if one not in sound and one.macro_f1.value > best.macro_f1.value]
    if left_out:
        why += (
            f" Point {left_out[0].number} has a better score, but its integer model gives another label than its float "
            f"model on more than {percent(1 - left_out[0].candidate.least_agreement)} of the windows of a fold."
        )
    if taken.agreement < taken.candidate.least_agreement:
        why += (
            f" Its float and integer model agree on {percent(taken.agreement)} of the windows of a fold only; see what "
            "edge-seq quantize advises."
        )
    return Choice(taken.number, why)
