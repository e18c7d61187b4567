"""A head that learns, by the reference: what it learns and leaves alone, its bounds, its saved bytes, its scores."""

from __future__ import annotations

import re
import zlib
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from edge_seq.backends.adapt import (
    Learned,
    corrected,
    learn,
    nothing_learned,
    restore_learned,
    save_learned,
)
from edge_seq.backends.decision import UNKNOWN_CODE
from edge_seq.data.recording import Windows
from edge_seq.ir.decision import DecisionStage
from edge_seq.ir.model import IntModel
from edge_seq.ir.range_proof import LEARNED_LOGIT_LIMIT, MAX_EXAMPLES, STEP_LIMIT, learning_bounds
from edge_seq.pipeline.adapting.lessons import score_lessons, seen_by_head, taught
from edge_seq.scores.evaluation import SplitNote
from edge_seq.support.errors import DataError, ModelError
from tests.adapt.program import run
from tests.zoo import extreme_model, quantized_model, random_counts, spec, with_decision

SHAPE = spec("gru", 6, channels=2, classes=3, window_length=5, label_every="sample")
MODEL = quantized_model(SHAPE, name="learner", amplitude=3.0)
COUNTS = random_counts(1, 40, 2, seed=4, sigma=800)[0]
NOTE = SplitNote("group")


def test_nothing_learned_changes_nothing() -> None:
    plain = run(MODEL, COUNTS, [-1] * 40, 1, learned=replace(nothing_learned(MODEL, 1), in_use=False))
    assert np.array_equal(run(MODEL, COUNTS, [-1] * 40, 20).logits, plain.logits)


def test_a_lesson_gives_the_class_a_lead_at_its_place_and_nothing_far_away() -> None:
    logits, place = np.array([65536, 0, -20000]), np.array([10, -20, 127, 0, 5, -128])
    learned = learn(nothing_learned(MODEL, 4), logits, place, 1)
    after = corrected(learned, logits[np.newaxis], place[np.newaxis])[0]
    assert after.tolist() == [0, 65536, -20000]  # one logit for one class, against the other
    far = np.where(place > 0, -128, 127)[np.newaxis]
    assert np.array_equal(corrected(learned, logits[np.newaxis], far), logits[np.newaxis])
    again = learn(learned, after, place, 1)
    assert (again.held, again.samples) == (1, 2)  # it leads by a logit, so nothing is to be learned


def test_half_way_to_the_radius_it_counts_half() -> None:
    place = np.zeros(6, dtype=np.int64)
    learned = learn(nothing_learned(MODEL, 1), np.array([0, 0, -65536]), place, 0)
    near = np.array([[64, 0, 0, 0, 0, 0]])  # the radius is 128
    change = corrected(learned, np.zeros((1, 3), dtype=np.int64), near)[0]
    assert change.tolist() == [16384, -16384, 0]


def test_the_oldest_example_goes() -> None:
    learned = nothing_learned(MODEL, 2)
    for index in range(3):
        learned = learn(learned, np.zeros(3, dtype=np.int64), np.full(6, index), index)
    assert learned.labels.tolist() == [2, 1]
    assert learned.places[:, 0].tolist() == [2, 1]
    assert (learned.next, learned.held) == (1, 2)


def test_the_number_of_samples_stops_at_16_bits() -> None:
    learned = replace(nothing_learned(MODEL, 1), samples=65535)
    assert learn(learned, np.zeros(3, dtype=np.int64), np.zeros(6, dtype=np.int64), 0).samples == 65535


def test_the_bounds_hold_for_every_model_and_are_met() -> None:
    """Extreme weights; examples with the largest steps, all in one place, all for one class."""
    for model in (MODEL, extreme_model(spec("lstm", 64, classes=3, window_length=4), name="learner")):
        bounds = {bound.name: bound for bound in learning_bounds(model)}
        assert all(bound.holds for bound in bounds.values())
        size = model.head_size
        ones = np.ones(MAX_EXAMPLES, dtype=np.int64)
        learned = Learned(np.full((MAX_EXAMPLES, size), 127), 0 * ones, 2 * ones, STEP_LIMIT * ones)
        logits = np.array([[2**30 - 2**15, 0, -(2**30) + 2**15]])  # the most that a multiplier lets a logit be
        after = corrected(learned, logits, np.full((1, size), 127))[0]
        assert after.tolist() == [LEARNED_LOGIT_LIMIT, 0, -LEARNED_LOGIT_LIMIT]
        assert after[0] - after[2] == bounds["difference of two corrected logits"].magnitude
        change = corrected(learned, np.zeros((1, 3), dtype=np.int64), np.full((1, size), 127))[0, 0]
        assert change == 2 * STEP_LIMIT * MAX_EXAMPLES
        far = np.abs(np.full(size, 127) - np.full(size, -128)).sum()
        assert far == bounds["distance from an example"].magnitude


def test_what_was_saved_is_restored_and_damage_is_refused() -> None:
    learned = run(MODEL, COUNTS, [0, 1, 2, -1] * 10, 5).learned
    content = save_learned(MODEL, learned)
    back = restore_learned(MODEL, content, 5)
    assert save_learned(MODEL, back) == content
    assert np.array_equal(back.places, learned.places)

    def refused(wrong: bytes, words: str, *, checksum: bool = True) -> None:
        wrong = wrong + zlib.crc32(wrong).to_bytes(4, "little") if checksum else wrong
        with pytest.raises(DataError, match=re.escape(words)):
            restore_learned(MODEL, wrong, 5)

    body = content[:-4]
    refused(content[:-1], f"found {len(content) - 1} bytes; expected {len(content)}", checksum=False)
    refused(content[:20] + b"\x01" + content[21:], "the checksum differs", checksum=False)
    refused(b"\0" * 8 + body[8:], "learned with another model")
    refused(body[:10] + b"\x07\0" + body[12:], "its sizes do not fit")
    refused(body[:14] + b"\x05\0" + body[16:], "its sizes do not fit")
    refused(body[:16] + b"\x01\x80" + body[18:], "a number is out of range")
    refused(body[:26] + b"\x03" + body[27:], "a number is out of range")


def test_heads_and_numbers_that_cannot_be() -> None:
    with pytest.raises(ModelError, match="room for 256 examples; expected 1 to 255"):
        nothing_learned(MODEL, 256)
    with pytest.raises(ModelError, match=r"the states of all steps \(flatten\), which are not kept; put a dense"):
        nothing_learned(quantized_model(spec("gru", 3, pooling="flatten")))
    wide = cast("IntModel", SimpleNamespace(name="wide", head_size=1040))  # a real one takes long to make
    with pytest.raises(ModelError, match="its head sees 1,040 values; expected at most 1,024"):
        nothing_learned(wide)


def some_windows(groups: int, each: int) -> Windows:
    counts = random_counts(groups * each, 5, 2, seed=3, sigma=900)
    labels = (np.arange(groups * each) % 3).astype(np.int16)
    return Windows(counts, labels, np.repeat([f"g{k}" for k in range(groups)], each))


def test_scores_of_lessons() -> None:
    model = quantized_model(replace(SHAPE, window_length=5), name="learner", amplitude=3.0)
    model = replace(model, contract=replace(model.contract, window_stride=5))
    windows = some_windows(3, 30)
    found = score_lessons(model, windows, 6, side="test", note=NOTE, examples=4, draws=3)
    assert [one.windows for one in found.groups] == [30, 30, 30]
    assert found == score_lessons(model, windows, 6, side="test", note=NOTE, examples=4, draws=3)
    logits, places = seen_by_head(model, windows.counts)
    before = (logits.argmax(axis=1) == windows.labels).mean()
    assert abs(found.before.value - before) < 0.15  # the same windows but for those that were labelled
    text = "\n".join(" ".join(row) for table in found.tables() for row in table.rows)
    assert "points" in text
    right = taught(nothing_learned(model, 100), logits[:30], places[:30], windows.labels[:30].tolist())
    learnt = corrected(right, logits[:30], places[:30]).argmax(axis=1)
    assert (learnt == windows.labels[:30]).mean() > (logits[:30].argmax(axis=1) == windows.labels[:30]).mean()


def test_groups_that_are_too_small_are_named() -> None:
    windows = some_windows(2, 20)
    kept = np.r_[0:20, 20:24]
    few = Windows(windows.counts[kept], windows.labels[kept], windows.groups[kept])
    model = replace(MODEL, contract=replace(MODEL.contract, window_stride=5))
    found = score_lessons(model, few, 6, side="test", note=NOTE, draws=2)
    assert found.left_out == ("g1",)
    assert found.warned() == "left out, as they have too few windows: g1"
    with pytest.raises(DataError, match="the largest of 2 groups has 20 windows"):
        score_lessons(model, few, 40, side="test", note=NOTE)


def test_windows_without_a_label_are_refused() -> None:
    model = quantized_model(spec("rnn", 4, channels=2, window_length=7), name="learner")
    with pytest.raises(DataError, match="end without a label; give windows of 7 samples"):
        seen_by_head(model, random_counts(2, 5, 2))


def test_a_decision_stage_sees_what_was_learned() -> None:
    model = with_decision(MODEL, DecisionStage(min_labels=1))
    result = run(model, COUNTS, [2] * 40, 20)
    assert UNKNOWN_CODE == 0
    assert np.array_equal(result.decisions, result.labels)  # without smoothing it follows the corrected label
    assert not np.array_equal(result.labels, run(model, COUNTS, [-1] * 40, 20).labels)


class Oracle:
    """Section 24 of SPEC.md in plain Python, written from its text alone."""

    def __init__(self, values: int, examples: int) -> None:
        self.r = next(r for r in range(99) if 2**r >= 16 * values)
        self.places = [[0] * values for _ in range(examples)]
        self.classes, self.rivals, self.steps = [0] * examples, [0] * examples, [0] * examples
        self.following = 0

    def logits(self, logits: list[int], u: list[int]) -> list[int]:
        changed = list(logits)
        for i, step in enumerate(self.steps):
            gap = sum(abs(a - b) for a, b in zip(u, self.places[i], strict=True))
            amount = step * max(2**self.r - gap, 0) // 2 ** (self.r - 1)
            changed[self.classes[i]] += amount
            changed[self.rivals[i]] -= amount
        return [max(-(2**30 - 1), min(2**30 - 1, one)) for one in changed]

    def learn(self, logits: list[int], u: list[int], right: int) -> None:
        rival = max((k for k in range(len(logits)) if k != right), key=lambda k: (logits[k], -k))
        step = min((2**16 - max(logits[right] - logits[rival], -(2**17))) // 4, 2**15)
        if step > 0:
            n = self.following
            self.places[n], self.classes[n], self.rivals[n], self.steps[n] = list(u), right, rival, step
            self.following = (n + 1) % len(self.steps)


@pytest.mark.parametrize("values", [1, 5, 33])
def test_the_reference_is_as_the_specification_says(values: int) -> None:
    rng = np.random.default_rng(values)
    oracle = Oracle(values, 3)
    zeros = np.zeros(3, dtype=np.int64)
    learned = Learned(np.zeros((3, values), dtype=np.int64), zeros, zeros, zeros)
    for turn in range(60):
        logits = (
            rng.integers(-(2**17), 2**17, 4) // (1 if turn % 3 else 2**14) * (1 if turn % 3 else 2**14)
        )  # ties, too
        place = rng.integers(-128, 128, values) // int(rng.choice([1, 8, 64]))
        shown = corrected(learned, logits[np.newaxis], place[np.newaxis])[0]
        assert shown.tolist() == oracle.logits(logits.tolist(), place.tolist())
        right = int(rng.integers(4))
        oracle.learn(shown.tolist(), place.tolist(), right)
        learned = learn(learned, shown, place, right)
        assert (learned.steps.tolist(), learned.rivals.tolist()) == (oracle.steps, oracle.rivals)
        assert learned.next == oracle.following
