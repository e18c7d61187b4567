"""Which cell to take, by stated rules, and why, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edge_seq.compare.summary import CandidateFigures, paired_difference
from edge_seq.scores.metrics import Estimate

MARGIN = 0.01  # of the score, below which a difference is not worth anything
RULES = (
    "The score of a candidate is its mean over seeds on windows of groups that its trainings did not see, at the "
    "learning rate, of those tried, with the best mean.",
    "Its interval is the hull of two 95 % intervals: Student's over seeds (each has its own split, weights and order), "
    "and the bootstrap over groups where data come by group.",
    "A candidate is level with the best one where its mean lies within the best one's interval and the difference seed "
    "by seed cannot be told from 0 (Student's 95 % interval; each seed gives both the same data). That is the rule of "
    "one standard error of Breiman et al. (1984) with a 95 % interval. Less than a point below the best is level too. "
    "An interval that reaches down to what a constant guess would score is level with nothing.",
    "Of those that are level the cheapest is taken: fewest instructions (or cycles) of a step on the target; fewest "
    "multiply-accumulates of a step where that was not measured; of equal ones the shorter window, then the better "
    "score.",
    "Nothing is taken where the interval of the best reaches down to what a constant guess would score: then none has "
    "learned the task.",
)


@dataclass(frozen=True)
class Verdict:
    """A choice among candidates.

    Attributes:
        scope: among which, in words.
        pick: who is taken; None where none has learned the task.
        best: who scores best.
        level: who is level with the best, the best among them, cheapest first.
        why: in words.
    """

    scope: str
    pick: CandidateFigures | None
    best: CandidateFigures
    level: tuple[CandidateFigures, ...]
    why: str

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; candidates by name."""
        return {
            "scope": self.scope,
            "pick": None if self.pick is None else str(self.pick.candidate),
            "cell": None if self.pick is None else self.pick.candidate.cell,
            "best": str(self.best.candidate),
            "level_with_best": [str(one.candidate) for one in self.level],
            "why": self.why,
        }


def decide(scope: str, figures: Sequence[CandidateFigures]) -> Verdict:
    """Apply the rules.

    Args:
        scope: among which candidates, in words.
        figures: of at least one candidate, all of one comparison.
    """
    best = max(figures, key=lambda one: (one.interval.value, -_price(one)[0]))
    level = tuple(sorted((one for one in figures if _is_level(one, best)), key=_order))
    if _low(best.interval) <= best.majority:
        why = (
            f"No cell: the best, {_name(best)} with {best.interval}, cannot be told from a constant guess, which has "
            f"{100 * best.majority:.1f} %."
        )
        return Verdict(scope, None, best, level, why)
    pick = level[0]
    return Verdict(scope, pick, best, level, _why(pick, best, level, figures))


def _is_level(one: CandidateFigures, best: CandidateFigures) -> bool:
    """Whether a candidate is as good as the best one, as far as can be told."""
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
            f"cheapest of the {len(level)} that are level is taken."
        )
    elif len(level) > 1:
        others = " and ".join(_name(one) for one in level[1:3]) + (" and others" if len(level) > 3 else "")
        sentences.append(f"It scores best and is the cheapest of those level with it ({others}).")
    else:
        sentences.append("It scores best, and no other is level with it.")
    cheaper = [one for one in beaten if _price(one) < _price(pick)]
    if cheaper:
        runner_up = max(cheaper, key=lambda one: one.interval.value)
        sentences.append(f"The best of the cheaper ones, {_name(runner_up)}, has only {runner_up.interval}.")
    return " ".join(sentences)


def _name(one: CandidateFigures) -> str:
    c = one.candidate
    return f"{c.cell} of {c.hidden_size} units ({c.how}, T = {c.time_steps})"


def _low(interval: Estimate) -> float:
    return interval.value if interval.low is None else interval.low


def _too_close(pick: CandidateFigures, best: CandidateFigures) -> str:
    """Why the two are level."""
    overlap = _low(best.interval) <= (pick.interval.value if pick.interval.high is None else pick.interval.high)
    intervals = "their intervals overlap" if overlap else "less than a point apart"
    difference = paired_difference(best, pick)
    if difference is None or difference.low is None or difference.high is None:
        return intervals
    return (
        f"{intervals} (seed by seed {100 * difference.value:+.1f} points [{100 * difference.low:.1f}, "
        f"{100 * difference.high:.1f}])"
    )


def _price(one: CandidateFigures) -> tuple[float, ...]:
    """Cost of a step. All shapes of a comparison are measured or none is; one that does not fit comes last."""
    cost = one.other["cost"]
    match cost["status"]:
        case "measured":
            return (cost["per_step"],)
        case "failed":
            return (float("inf"), cost["macs_per_step"])
        case _:
            return (cost["macs_per_step"],)


def _order(one: CandidateFigures) -> tuple[float, ...]:
    return (*_price(one), one.candidate.time_steps, -one.interval.value)


def _price_text(one: CandidateFigures) -> str:
    cost = one.other["cost"]
    if cost["status"] == "measured":
        return f"{cost['per_step']:,} {cost['unit']} a step and {cost['flash_bytes']:,} bytes of flash"
    return f"{cost['macs_per_step']:,} multiply-accumulates a step and {cost['parameters']:,} parameters"
