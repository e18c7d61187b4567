"""Accuracy before and after a head has learned from labelled windows of the same group, by the integer reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edge_seq.arithmetic.fixed_point import Int64
from edge_seq.backends.adapt import DEFAULT_EXAMPLES, Learned, corrected, learn, nothing_learned
from edge_seq.backends.reference_int import NO_LABEL, head_place, run_stream
from edge_seq.data.recording import Windows
from edge_seq.ir.model import IntModel, model_hash, without_decision
from edge_seq.scores.evaluation import SplitNote
from edge_seq.scores.metrics import Estimate, accuracy, confusion_matrix, estimate_over_groups
from edge_seq.scores.paired import PairedScore, paired_scores
from edge_seq.support.display import ShownAsTables, Table
from edge_seq.support.errors import DataError
from edge_seq.support.figure_text import percent
from edge_seq.support.results import Result, written

DRAWS = 20
WRONG_SHARE = 0.1
_BATCH = 512
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class AdaptedGroup(Result):
    """Accuracies of one group, mean over the draws.

    Attributes:
        group: name of the group.
        windows: windows of the group, labelled ones among them.
        before: accuracy of the factory's head.
        after: accuracy after the lessons.
        after_wrong: accuracy after lessons of which some were wrong.
    """

    group: str
    windows: int
    before: float
    after: float
    after_wrong: float


@dataclass(frozen=True, kw_only=True)
class Adaptation(Result, ShownAsTables):
    """Scores of a head that learns. In each draw other windows of a group are labelled, in another order; the group's
    other windows are scored, but for those that overlap a labelled one.

    Attributes:
        side: what was scored, a side of the split or other recordings.
        note: kind of split, with a warning where it leaks.
        int_model_hash: hash of the integer model without its decision stage.
        lessons: labelled windows of a group.
        examples: examples that the head can hold.
        draws: number of draws.
        wrong_share: probability of a wrong label in the column of wrong labels, 0 to 1.
        before, after, after_wrong: accuracy over all groups, with a 95 % interval from resampling groups.
        gain, gain_wrong: difference to ``before`` on the same windows.
        groups: accuracies of each group, the lowest first.
        left_out: groups with too few windows to be scored after the lessons.
    """

    side: str
    note: SplitNote = field(metadata=written(inline=True))
    int_model_hash: str
    lessons: int
    examples: int
    draws: int
    wrong_share: float
    before: Estimate
    after: Estimate
    after_wrong: Estimate
    gain: PairedScore
    gain_wrong: PairedScore
    groups: tuple[AdaptedGroup, ...]
    left_out: tuple[str, ...] = ()

    def tables(self) -> Sequence[Table]:
        """Accuracies of all groups together, and of each."""
        wrong = f"after, {self.wrong_share:.0%} of the labels wrong"
        columns = ["accuracy", "before", "after", wrong]
        rows = [
            ["all", str(self.before), str(self.after), str(self.after_wrong)],
            ["difference", "", self.gain.text(), self.gain_wrong.text()],
        ]
        title = (
            f"{self.side}: {self.lessons} labelled windows of each of {len(self.groups)} groups, room for "
            f"{self.examples} examples, mean of {self.draws} draws"
        )
        each = [
            [one.group, f"{one.windows:,}", *map(percent, (one.before, one.after, one.after_wrong))]
            for one in self.groups
        ]
        return [Table(title, columns, rows), Table("by group", ["group", "windows", "before", "after", wrong], each)]

    def warned(self) -> str | None:
        """Warning of the split, and groups that were left out."""
        left = f"left out, as they have too few windows: {', '.join(self.left_out)}" if self.left_out else None
        return "; ".join(text for text in (self.note.warning, left) if text is not None) or None


def seen_by_head(
    model: IntModel, counts: NDArray[np.int16], progress: Progress = lambda *_: None
) -> tuple[Int64, Int64]:
    """Logits and places of windows, each from a reset, by the integer reference.

    Args:
        model: integer model.
        counts: int16 [B, T, C], T samples after which a label is due.
        progress: called with windows done and windows in all.

    Returns:
        Logits int64 [B, K], Q16, and what a head that learns keeps, int64 [B, J], Q7.

    Raises:
        DataError: no label is due after T samples.
    """
    logits, places = [], []
    for start in range(0, len(counts), _BATCH):
        last: dict[str, Int64] = {}
        for values in run_stream(model, counts[start : start + _BATCH]):
            last = values
        if (last["label"] == NO_LABEL).any():
            raise DataError(
                f"adapting {model.name}: windows of {counts.shape[1]} samples end without a label; give windows of "
                f"{model.contract.window_length} samples, as in the contract"
            )
        logits.append(last["logits"])
        places.append(head_place(model, last))
        progress(min(start + _BATCH, len(counts)), len(counts))
    return np.concatenate(logits), np.concatenate(places)


def taught(learned: Learned, logits: Int64, places: Int64, labels: Sequence[int]) -> Learned:
    """Learn from windows, one after the other.

    Args:
        learned: what the head has learned before.
        logits: int64 [N, K], Q16, of the factory's head.
        places: int64 [N, J], Q7.
        labels: [N], class index that is said to be right.
    """
    for index, label in enumerate(labels):
        shown = corrected(learned, logits[index : index + 1], places[index : index + 1])[0]
        learned = learn(learned, shown, places[index], label)
    return learned


def score_lessons(
    model: IntModel,
    windows: Windows,
    lessons: int,
    *,
    side: str,
    note: SplitNote,
    examples: int = DEFAULT_EXAMPLES,
    draws: int = DRAWS,
    wrong_share: float = WRONG_SHARE,
    seed: int = 0,
    progress: Progress = lambda *_: None,
) -> Adaptation:
    """Score a head that learns: each group by itself, before and after lessons drawn from its own windows.

    Args:
        model: integer model; its decision stage plays no part.
        windows: windows of groups that the model was not trained on.
        lessons: labelled windows of a group, at least 1.
        side: what is scored, for people.
        note: note of the split, which stands beside the scores.
        examples: examples that the head can hold, 1 to 255.
        draws: number of draws, each with other windows.
        wrong_share: probability that a label is wrong, in the score with wrong labels.
        seed: seed of the draws.
        progress: called with windows done and windows in all.

    Raises:
        DataError: no group has enough windows, or no label is due at the end of a window.
        ModelError: the head sees too many values, or ``examples`` is out of range.
    """
    fresh = nothing_learned(model, examples)
    plain = without_decision(model)
    logits, places = seen_by_head(plain, windows.counts, progress)
    contract = model.contract
    reach = -(-contract.window_length // contract.window_stride) - 1  # windows on each side that overlap one
    classes = model.num_classes
    names: list[str] = []
    left_out: list[str] = []
    matrices: list[NDArray[np.int64]] = []  # [draws, 3, K, K]
    for number, group in enumerate(np.unique(windows.groups).tolist()):
        mine = np.flatnonzero(windows.groups == group)
        if len(mine) < lessons * (2 * reach + 1) + 1:
            left_out.append(group)
            continue
        score = partial(_draw, logits, places, windows.labels.astype(np.int64), mine, fresh, lessons, reach)
        found = [score(np.random.default_rng((seed, number, draw)), wrong_share) for draw in range(draws)]
        matrices.append(np.stack([[confusion_matrix(*pair, classes) for pair in one] for one in found]))
        names.append(group)
    if not names:
        most = max(int((windows.groups == one).sum()) for one in left_out)
        raise DataError(
            f"adapting {model.name}: {lessons} labelled windows of a group, and those that overlap them, leave nothing "
            f"to score; the largest of {len(left_out)} groups has {most} windows. Give fewer labelled windows"
        )
    whole = np.stack(matrices)  # [G, draws, 3, K, K]
    before, after, after_wrong = (
        estimate_over_groups(whole[:, :, which].sum(axis=1), accuracy, seed=seed) for which in range(3)
    )
    of_group = accuracy(whole.sum(axis=1))  # [G, 3]
    rows = [
        AdaptedGroup(name, int((windows.groups == name).sum()), *map(float, row))
        for name, row in zip(names, of_group, strict=True)
    ]
    return Adaptation(
        side=side,
        note=note,
        int_model_hash=model_hash(plain),
        lessons=lessons,
        examples=examples,
        draws=draws,
        wrong_share=wrong_share,
        before=before,
        after=after,
        after_wrong=after_wrong,
        gain=paired_scores(whole[:, :, 1], whole[:, :, 0]).accuracy,
        gain_wrong=paired_scores(whole[:, :, 2], whole[:, :, 0]).accuracy,
        groups=tuple(sorted(rows, key=lambda one: one.before)),
        left_out=tuple(left_out),
    )


def _draw(
    logits: Int64,
    places: Int64,
    labels: Int64,
    mine: Int64,
    fresh: Learned,
    lessons: int,
    reach: int,
    rng: np.random.Generator,
    wrong_share: float,
) -> list[tuple[Int64, Int64]]:
    """Labels and predictions of the windows that are scored in one draw: before, after, after with wrong labels."""
    chosen = rng.permutation(len(mine))[:lessons]
    near = (chosen[:, np.newaxis] + np.arange(-reach, reach + 1)).ravel()
    rest = mine[np.setdiff1d(np.arange(len(mine)), near)]
    given = mine[chosen]
    wrong = labels[given].copy()
    spoilt = rng.random(lessons) < wrong_share
    wrong[spoilt] = (wrong[spoilt] + rng.integers(1, logits.shape[1], int(spoilt.sum()))) % logits.shape[1]
    found = []
    for said in (None, labels[given], wrong):
        learned = fresh if said is None else taught(fresh, logits[given], places[given], said.tolist())
        found.append((labels[rest], corrected(learned, logits[rest], places[rest]).argmax(axis=1)))
    return found
