"""The decision stage in numpy (SPEC.md, section 14), one label at a time, for any number of parallel streams."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from edge_seq.arithmetic.fixed_point import COARSE_DROP, Int64, check_int32, rounding_shift
from edge_seq.ir.decision import DISTANCE_LIMIT, SCORE_LIMIT, DecisionStage, UnknownDistance
from edge_seq.ir.rows import is_coarse

UNKNOWN_CODE = 0  # code in `decided` and `pending`; class k has code k + 1, so all codes are 0 after a reset


@dataclass(frozen=True)
class DecisionState:
    """Memory of the stage between two labels, all 0 after a reset.

    Attributes:
        scores: int64 [B, K], Q16, in [-2^19, 0].
        decided: int64 [B], current decision: 0 unknown, k + 1 class k.
        pending: int64 [B], target of the previous label, in the same code.
        run: int64 [B], consecutive labels with target ``pending`` if that is not decided; below min_labels.
        primed: int64 [B], 1 after the first label.
        excess: int64 [B], Q7, smoothed excess of :func:`excess_of`; None without a distance.
    """

    scores: Int64
    decided: Int64
    pending: Int64
    run: Int64
    primed: Int64
    excess: Int64 | None = None


def decision_words(state: DecisionState) -> Int64:
    """All words of a state, int64 [B, K + 4 or 5], in the order of a saved state (SPEC.md, section 13)."""
    scores, *others = (value for value in vars(state).values() if value is not None)
    return np.concatenate([scores, np.stack(others, axis=1)], axis=1)


def decision_of_words(stage: DecisionStage, num_classes: int, words: Int64) -> DecisionState | None:
    """Inverse of :func:`decision_words`; None if a word is out of range (SPEC.md, section 14)."""
    scores, others = words[:, :num_classes], words[:, num_classes:]
    lowest = np.array([0, 0, 0, 0, -DISTANCE_LIMIT])[: others.shape[1]]
    highest = np.array([num_classes, num_classes, stage.min_labels - 1, 1, DISTANCE_LIMIT])[: others.shape[1]]
    if (scores > 0).any() or (scores < -SCORE_LIMIT).any() or (others < lowest).any() or (others > highest).any():
        return None
    return DecisionState(scores, *others.T)


@dataclass(frozen=True)
class StageNumbers:
    """Parameters of a stage, int64 [] (the same for all streams) or [B] (one for each stream, for searches)."""

    smoothing_shift: Int64
    hysteresis: Int64
    min_labels: Int64
    unknown_margin: Int64

    @staticmethod
    def of(*stages: DecisionStage) -> StageNumbers:
        """Parameters of the given stages: shape [] for one stage, [N] for several."""
        columns = [[getattr(stage, field.name) for stage in stages] for field in fields(StageNumbers)]
        return StageNumbers(*(np.array(c if len(stages) > 1 else c[0], dtype=np.int64) for c in columns))


def seen_q7(operands: Int64, parts: int = 1) -> Int64:
    """Convert operands [B, parts * H], fine units in Q15 and coarse ones in Q7, to Q7, -128 to 128.

    >>> seen_q7(np.array([[256, -256, 5, 7]])).tolist()
    [[1, -1, 5, 7]]
    """
    return np.where(is_coarse(operands.shape[1] // parts, parts), operands, rounding_shift(operands, COARSE_DROP))


def excess_of(distance: UnknownDistance, operands: Int64, label: Int64, parts: int = 1) -> Int64:
    """Distance of the head's operands from the centroid of their label, minus the label's radius.

    Args:
        distance: distance rule of the stage.
        operands: input of the head, int64 [B, parts * H].
        label: class index, int64 [B].
        parts: number of values that the head sees of each unit, one part behind the other.

    Returns:
        int64 [B], Q7: the sum over the units of |v - centroid[label]|, minus radius[label].
    """
    gaps = np.abs(seen_q7(operands, parts) - np.array(distance.centroids, dtype=np.int64)[label])
    return np.asarray(gaps.sum(axis=1) - np.array(distance.radii, dtype=np.int64)[label])


def reset_decision(batch: int, num_classes: int, *, by_distance: bool = False) -> DecisionState:
    """State after a reset, for ``batch`` streams."""
    zero = np.zeros(batch, dtype=np.int64)
    scores = np.zeros((batch, num_classes), dtype=np.int64)
    return DecisionState(scores, zero, zero, zero, zero, zero if by_distance else None)


def decide(
    numbers: StageNumbers, logits: Int64, state: DecisionState, excess: Int64 | None = None
) -> tuple[DecisionState, Int64]:
    """Process one label.

    Args:
        numbers: parameters of the stage.
        logits: logits of the label, int64 [B, K], Q16.
        state: state from :func:`reset_decision` or the previous label.
        excess: int64 [B], from :func:`excess_of`; None without a distance, as in ``state``.

    Returns:
        The next state, and the decision int64 [B]: 0 to K-1, or K for unknown.
    """
    rows = np.arange(len(logits))
    gaps = check_int32(logits - logits.max(axis=1, keepdims=True), "the gap to the largest logit")
    fresh = np.maximum(gaps, -SCORE_LIMIT)
    shift = numbers.smoothing_shift * state.primed
    scores = state.scores + ((fresh - state.scores) >> shift[:, None])

    best = scores.argmax(axis=1)  # the first of equal scores
    second, first = np.sort(scores, axis=1)[:, -2:].T
    lead = first - scores[rows, np.maximum(state.decided - 1, 0)]
    target = np.where((state.decided != UNKNOWN_CODE) & (lead < numbers.hysteresis), state.decided, best + 1)
    target = np.where(first - second < numbers.unknown_margin, UNKNOWN_CODE, target)
    smoothed = None
    if state.excess is not None and excess is not None:
        smoothed = state.excess + ((excess - state.excess) >> shift)
        target = np.where(smoothed > 0, UNKNOWN_CODE, target)

    run = np.where(target == state.decided, 0, np.where(target == state.pending, state.run + 1, 1))
    follow = (run >= numbers.min_labels) | (state.primed == 0)
    after = DecisionState(
        scores=scores,
        decided=np.where(follow, target, state.decided),
        pending=target,
        run=np.where(follow, 0, run),
        primed=np.ones_like(state.primed),
        excess=smoothed,
    )
    num_classes = logits.shape[1]
    return after, np.where(after.decided == UNKNOWN_CODE, num_classes, after.decided - 1)


def decide_stream(numbers: StageNumbers, logits: Int64, excess: Int64 | None = None) -> NDArray[np.int64]:
    """Decisions int64 [B, L] for logits int64 [B, L, K] and, with a distance, excess int64 [B, L], from a reset.

    >>> stage = StageNumbers.of(DecisionStage(min_labels=2))
    >>> decide_stream(stage, np.array([[[9, 0], [0, 9], [9, 0], [0, 9], [0, 9]]])).tolist()
    [[0, 0, 0, 0, 1]]
    """
    state = reset_decision(len(logits), logits.shape[2], by_distance=excess is not None)
    decisions = np.zeros(logits.shape[:2], dtype=np.int64)
    for index in range(logits.shape[1]):
        state, decisions[:, index] = decide(
            numbers, logits[:, index], state, None if excess is None else excess[:, index]
        )
    return decisions
