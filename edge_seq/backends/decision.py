"""The decision stage in numpy (SPEC.md, section 14), a label at a time, for any number of streams side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_seq.ir.decision import SCORE_LIMIT, DecisionStage
from edge_seq.quant.fixed_point import Int64, check_int32

UNKNOWN_CODE = 0  # of `decided` and `pending`; class k is k + 1, so that all is 0 after a reset


@dataclass(frozen=True)
class DecisionState:
    """What the stage remembers between two labels; after a reset all 0.

    Attributes:
        scores: int64 [B, K], Q16, in [-2^19, 0].
        decided: int64 [B], 0 unknown, k + 1 class k.
        pending: int64 [B], what the label before asked for, coded alike.
        run: int64 [B], labels in a row that asked for ``pending`` where that is not decided, below min_labels.
        primed: int64 [B], 1 once a label was seen.
    """

    scores: Int64
    decided: Int64
    pending: Int64
    run: Int64
    primed: Int64


def decision_words(state: DecisionState) -> Int64:
    """int64 [B, K + 4]: all of a state, in the order in which it is saved (SPEC.md, section 13)."""
    scores, *codes = vars(state).values()
    return np.concatenate([scores, np.stack(codes, axis=1)], axis=1)


def decision_of_words(stage: DecisionStage, num_classes: int, words: Int64) -> DecisionState | None:
    """Inverse of :func:`decision_words`; None where a word is outside its range (SPEC.md, section 14)."""
    scores, codes = words[:, :num_classes], words[:, num_classes:]
    highest = np.array([num_classes, num_classes, stage.min_labels - 1, 1])
    if (scores > 0).any() or (scores < -SCORE_LIMIT).any() or (codes < 0).any() or (codes > highest).any():
        return None
    return DecisionState(scores, *codes.T)


@dataclass(frozen=True)
class StageNumbers:
    """A stage's numbers, int64 [] or [B]: one for all streams, or for each its own, as a search wants it."""

    smoothing_shift: Int64
    hysteresis: Int64
    min_labels: Int64
    unknown_margin: Int64

    @staticmethod
    def of(*stages: DecisionStage) -> StageNumbers:
        """[] of one stage, [N] of several."""
        columns = [[getattr(stage, name) for stage in stages] for name in vars(stages[0])]
        return StageNumbers(*(np.array(c if len(stages) > 1 else c[0], dtype=np.int64) for c in columns))


def reset_decision(batch: int, num_classes: int) -> DecisionState:
    """State after a reset, for ``batch`` streams."""
    zero = np.zeros(batch, dtype=np.int64)
    return DecisionState(np.zeros((batch, num_classes), dtype=np.int64), zero, zero, zero, zero)


def decide(numbers: StageNumbers, logits: Int64, state: DecisionState) -> tuple[DecisionState, Int64]:
    """One label.

    Args:
        numbers: of the stage.
        logits: int64 [B, K], Q16.
        state: from :func:`reset_decision` or the label before.

    Returns:
        the next state, and the decision int64 [B]: 0..K-1, or K for unknown.
    """
    rows = np.arange(len(logits))
    gaps = check_int32(logits - logits.max(axis=1, keepdims=True), "the gap to the largest logit")
    fresh = np.maximum(gaps, -SCORE_LIMIT)
    shift = (numbers.smoothing_shift * state.primed)[:, None]
    scores = state.scores + ((fresh - state.scores) >> shift)

    best = scores.argmax(axis=1)  # the first of equals
    second, first = np.sort(scores, axis=1)[:, -2:].T
    lead = first - scores[rows, np.maximum(state.decided - 1, 0)]
    target = np.where((state.decided != UNKNOWN_CODE) & (lead < numbers.hysteresis), state.decided, best + 1)
    target = np.where(first - second < numbers.unknown_margin, UNKNOWN_CODE, target)

    run = np.where(target == state.decided, 0, np.where(target == state.pending, state.run + 1, 1))
    follow = (run >= numbers.min_labels) | (state.primed == 0)
    after = DecisionState(
        scores=scores,
        decided=np.where(follow, target, state.decided),
        pending=target,
        run=np.where(follow, 0, run),
        primed=np.ones_like(state.primed),
    )
    num_classes = logits.shape[1]
    return after, np.where(after.decided == UNKNOWN_CODE, num_classes, after.decided - 1)


def decide_stream(numbers: StageNumbers, logits: Int64) -> NDArray[np.int64]:
    """Decisions int64 [B, L] of logits int64 [B, L, K], from a reset.

    >>> stage = StageNumbers.of(DecisionStage(min_labels=2))
    >>> decide_stream(stage, np.array([[[9, 0], [0, 9], [9, 0], [0, 9], [0, 9]]])).tolist()
    [[0, 0, 0, 0, 1]]
    """
    state = reset_decision(len(logits), logits.shape[2])
    decisions = np.zeros(logits.shape[:2], dtype=np.int64)
    for index in range(logits.shape[1]):
        state, decisions[:, index] = decide(numbers, logits[:, index], state)
    return decisions
