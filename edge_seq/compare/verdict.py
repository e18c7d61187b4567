"""Recommendation of a cell by stated rules, with the reason in words."""

from __future__ import annotations

from collections.abc import Sequence

from edge_seq.compare.result import CandidateFigures, ForestFigures, MeasuredCost, NoCost, Verdict
from edge_seq.compare.summary import difference_of_scores, paired_difference
from edge_seq.scores.metrics import Estimate

MARGIN = 0.01  # difference of scores that is ignored
RULES = (
    "The score of a candidate is its mean over seeds on windows of groups that its trainings did not see, at the "
    "learning rate with the best mean.",
    "Its interval is the hull of two 95 % intervals: Student's over seeds (each has its own split, weights and order), "
    "and the bootstrap over groups if the data have groups.",
    "A candidate is level with the best one if its mean lies within the best one's interval and the difference seed by "
    "seed is not significant (Student's 95 % interval; each seed gives both the same data). This is the rule of one "
    "standard error of Breiman et al. (1984) with a 95 % interval. A candidate less than one point below the best is "
    "level too. A candidate whose interval reaches down to the score of a constant guess is not level with any other.",
    "Among the level candidates the cheapest is recommended: the fewest instructions (or cycles) of a time step on the "
    "target, or the fewest multiply-accumulates of a time step if cost was not measured. Among equal ones the shorter "
    "window is recommended, then the better score.",
    "Beside a recommendation stands a random forest on the same windows: it is level if the difference seed by seed is "
    "not significant or less than one point. Its cost is an estimate from the shape of its trees.",
    "No candidate is recommended if the interval of the best one reaches down to the score of a constant guess: then "
    "none has learned the task.",
)


def decide(scope: str, figures: Sequence[CandidateFigures], forests: Sequence[ForestFigures] = ()) -> Verdict:
    """Recommend a candidate by :data:`RULES`.

    Args:
        scope: name of the candidates.
        figures: results of at least one candidate, all of one comparison.
        forests: random forests of the same comparison, by window length.
    """
    best = max(figures, key=lambda one: (one.interval.value, -_price(one)[0]))
    level = tuple(sorted((one for one in figures if _is_level(one, best)), key=_order))
    if _low(best.interval) <= best.majority:
        why = (
            f"No cell: the best, {_name(best)} with {best.interval}, is not significantly better than a constant guess "
            f"with {100 * best.majority:.1f} %."
        )
        return Verdict(scope, None, None, best.name, tuple(one.name for one in level), why)
    pick = level[0]
    why = _why(pick, best, level, figures)
    beside = [one for one in forests if one.time_steps == pick.candidate.time_steps]
    if beside:
        why = f"{why} {_beside_a_forest(pick, beside[0])}"
    return Verdict(scope, pick.name, pick.candidate.cell, best.name, tuple(one.name for one in level), why)


def _is_level(one: CandidateFigures, best: CandidateFigures) -> bool:
    """True if a candidate is level with the best one."""
    if one is best:
        return True
    if _low(one.interval) <= one.majority:
        return False
    if best.interval.value - one.interval.value < MARGIN:
        return True
    difference = paired_difference(best, one)
    leads = difference is not None and difference.low is not None and difference.low > 0
    return one.interval.value >= _low(best.interval) and not leads


def _why(
    pick: CandidateFigures,
    best: CandidateFigures,
    level: Sequence[CandidateFigures],
    figures: Sequence[CandidateFigures],
) -> str:
    sentences = [f"Take {_name(pick)}: {pick.interval}, {_price_text(pick)}."]
    beaten = [one for one in figures if one not in level]
    if pick is not best:
        sentences.append(
            f"{_name(best)} scores best, {best.interval} at {_price_text(best)}, but {_too_close(pick, best)}: the "
            f"cheapest of the {len(level)} level candidates is recommended."
        )
    elif len(level) > 1:
        others = " and ".join(_name(one) for one in level[1:3]) + (" and others" if len(level) > 3 else "")
        sentences.append(f"It scores best, and none of the candidates level with it ({others}) is cheaper.")
    else:
        sentences.append("It scores best, and no other candidate is level with it.")
    cheaper = [one for one in beaten if _price(one) < _price(pick)]
    if cheaper:
        runner_up = max(cheaper, key=lambda one: one.interval.value)
        sentences.append(f"The best cheaper candidate, {_name(runner_up)}, has only {runner_up.interval}.")
    return " ".join(sentences)


def _beside_a_forest(pick: CandidateFigures, forest: ForestFigures) -> str:
    """Say how a random forest on the same windows scores beside the recommended network, and what it costs."""
    what = f"random forest of {forest.trees} trees on statistics of the same windows"
    difference = difference_of_scores(forest.scores, pick.scores)
    lead = forest.interval.value - pick.interval.value
    significant = (
        difference is not None
        and difference.low is not None
        and difference.high is not None
        and (difference.low > 0 or difference.high < 0)
    )
    if abs(lead) < MARGIN or not significant:
        standing = f"A {what} is level here, {forest.interval}"
    elif lead > 0:
        standing = f"A {what} is better here, {forest.interval}"
    else:
        standing = f"A {what} scores less here, {forest.interval}"
    return f"{standing}, {_forest_price(pick, forest)}."


def _forest_price(pick: CandidateFigures, forest: ForestFigures) -> str:
    """Cost of a forest beside that of a network."""
    cost, own = forest.cost, pick.cost.measured
    if cost is None:
        return "but what it costs on the target is not known; costs of forests are known for cortex_m4"
    figures = f"about {cost.per_window:,} instructions a window and {cost.flash_bytes:,} bytes of flash"
    if own is None or own.unit != "instructions":
        return f"and costs {figures}"
    return (
        f"and costs {_times(cost.per_window / own.per_window)}: {figures}, against {own.per_window:,} instructions and "
        f"{own.flash_bytes:,} bytes"
    )


_PARTS = {2: "half", 3: "a third", 4: "a quarter", 5: "a fifth", 6: "a sixth", 8: "an eighth", 10: "a tenth"}


def _times(ratio: float) -> str:
    """A ratio in words.

    >>> _times(0.34), _times(0.97), _times(2.51), _times(0.72)
    ('about a third', 'about as much', '2.5 times as much', '72 % as much')
    """
    if 0.9 <= ratio <= 1.1:
        return "about as much"
    if ratio > 1:
        return f"{ratio:.1f} times as much"
    part = min(_PARTS, key=lambda one: abs(ratio * one - 1))
    return f"about {_PARTS[part]}" if abs(ratio * part - 1) <= 0.1 else f"{100 * ratio:.0f} % as much"


def _name(one: CandidateFigures) -> str:
    c = one.candidate
    return f"{c.cell} with {c.hidden_size} units ({c.how}, T = {c.time_steps})"


def _low(interval: Estimate) -> float:
    return interval.value if interval.low is None else interval.low


def _too_close(pick: CandidateFigures, best: CandidateFigures) -> str:
    """Say why two candidates are level."""
    overlap = _low(best.interval) <= (pick.interval.value if pick.interval.high is None else pick.interval.high)
    intervals = "their intervals overlap" if overlap else "they are less than one point apart"
    difference = paired_difference(best, pick)
    if difference is None or difference.low is None or difference.high is None:
        return intervals
    return (
        f"{intervals} (seed by seed {100 * difference.value:+.1f} points [{100 * difference.low:.1f}, "
        f"{100 * difference.high:.1f}])"
    )


def _price(one: CandidateFigures) -> tuple[float, ...]:
    """Cost of a time step, for sorting. All shapes are measured or none is; one that does not fit comes last."""
    macs = one.cost.macs_per_step
    match one.cost.found:
        case MeasuredCost(per_step=per_step):
            return (per_step,)
        case NoCost(status="failed"):
            return (float("inf"), macs)
        case _:
            return (macs,)


def _order(one: CandidateFigures) -> tuple[float, ...]:
    return (*_price(one), one.candidate.time_steps, -one.interval.value)


def _price_text(one: CandidateFigures) -> str:
    cost = one.cost.measured
    if cost is not None:
        return f"{cost.per_step:,} {cost.unit} a step and {cost.flash_bytes:,} bytes of flash"
    return f"{one.cost.macs_per_step:,} multiply-accumulates a step and {one.cost.parameters:,} parameters"
