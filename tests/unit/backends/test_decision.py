"""The decision stage: what each of its numbers does, that it lives over windows, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_seq.backends.decision import StageNumbers, decide, decide_stream, reset_decision
from edge_seq.backends.reference_int import run_reference
from edge_seq.errors import ModelError
from edge_seq.ir.decision import SCORE_LIMIT, DecisionStage
from edge_seq.ir.model import Readout, model_hash, readout_from_dict, readout_to_dict
from edge_seq.ir.verify import verify
from edge_seq.quant.range_proof import range_bounds
from tests.zoo import quantized_model, random_counts, random_float_model, spec, with_decision

ONE = 2**16  # a logit of 1


def decided(stage: DecisionStage, *logits: tuple[float, ...]) -> list[int]:
    """Decisions of one stream of logits."""
    return decide_stream(StageNumbers.of(stage), np.rint(np.array([logits]) * ONE).astype(np.int64))[0].tolist()


def votes(stage: DecisionStage, labels: str, margin: float = 4.0) -> str:
    """Decisions where each label in turn leads by ``margin``; ``?`` is unknown."""
    logits = [tuple(margin * (k == int(label)) for k in range(3)) for label in labels]
    return "".join("012?"[d] for d in decided(stage, *logits))


def test_a_stage_of_nothing_is_the_label() -> None:
    assert votes(DecisionStage(), "0120221") == "0120221"
    assert decided(DecisionStage(), (1, 1, 0), (0, 1, 1)) == [0, 1]  # of equals the lowest


def test_another_decision_needs_so_many_labels_in_a_row() -> None:
    assert votes(DecisionStage(min_labels=3), "0110111220222") == "0000001111112"
    assert votes(DecisionStage(min_labels=2), "0121212") == "0000000"  # two others in turn are none in a row


def test_hysteresis_asks_for_a_lead_over_what_is_decided() -> None:
    stage = DecisionStage(hysteresis=2 * ONE)
    assert decided(stage, (3, 0, 0), (0, 1.9, 0), (0, 2.0, 0), (0, 0, 1.9)) == [0, 0, 1, 1]


def test_unknown_where_the_first_does_not_lead_the_second() -> None:
    stage = DecisionStage(unknown_margin=ONE)
    assert decided(stage, (0.9, 0, 0), (1, 0, 0), (0, 5, 4.5), (0, 5, 4)) == [3, 0, 3, 1]
    held = DecisionStage(unknown_margin=ONE, hysteresis=3 * ONE)
    assert decided(held, (4, 0, 0), (0, 0.5, 0), (0, 2, 0)) == [0, 3, 1]  # unknown has nothing to hold on to


def test_smoothing_moves_by_a_part_and_begins_at_the_first_label() -> None:
    stage = DecisionStage(smoothing_shift=1)
    state = reset_decision(1, 2)
    for logits, expected in ([8, 0], [0, -8]), ([0, 8], [-4, -4]), ([0, 8], [-6, -2]), ([0, 7], [-7, -1]):
        state, _ = decide(StageNumbers.of(stage), np.array([logits]), state)
        assert state.scores[0].tolist() == expected
    assert votes(DecisionStage(smoothing_shift=2), "0000100") == "0000000"


def test_scores_stop_at_odds_of_e_to_the_8() -> None:
    state, _ = decide(StageNumbers.of(DecisionStage()), np.array([[2**30, -(2**30), 0]]), reset_decision(1, 3))
    assert state.scores[0].tolist() == [0, -SCORE_LIMIT, -SCORE_LIMIT]


def test_several_stages_side_by_side_are_each_of_them() -> None:
    rng = np.random.default_rng(0)
    stages = [
        DecisionStage(
            int(rng.integers(0, 9)), int(rng.integers(0, ONE)), int(rng.integers(1, 5)), int(rng.integers(0, ONE))
        )
        for _ in range(40)
    ]
    logits = rng.integers(-2 * ONE, 2 * ONE, (60, 4))
    together = decide_stream(StageNumbers.of(*stages), np.broadcast_to(logits, (40, 60, 4)))
    assert len(np.unique(together)) == 5  # unknown too
    for stage, found in zip(stages, together, strict=True):
        assert np.array_equal(decide_stream(StageNumbers.of(stage), logits[None])[0], found)
        changes = np.flatnonzero(np.diff(found))
        assert (np.diff(changes) >= stage.min_labels).all()


@pytest.mark.parametrize("at_window_end", ["reset", "carry"])
def test_it_lives_over_windows_and_leaves_the_labels_alone(at_window_end: Any) -> None:
    model = quantized_model(spec("gru", 5, window_length=3, at_window_end=at_window_end), amplitude=3.0)
    stage = DecisionStage(2, ONE // 4, 2, ONE // 16)
    counts = random_counts(20, 60, 3, sigma=300)
    plain, staged = run_reference(model, counts), run_reference(with_decision(model, stage), counts)
    for name, values in plain.values.items():
        assert np.array_equal(values, staged.values[name])
    due = plain.values["label"][0, :, 0] >= 0
    expected = decide_stream(StageNumbers.of(stage), plain.values["logits"][:, due])
    assert np.array_equal(staged.values["decision"][:, due, 0], expected)
    assert (expected[:, 1:] != plain.values["label"][:, due, 0][:, 1:]).any()
    assert (staged.values["decision"][:, ~due] == -1).all()
    assert (staged.values["scores"][:, ~due] == 0).all()


def test_models_without_a_stage_do_not_mention_it() -> None:
    model = quantized_model(spec("rnn", 3))
    assert set(readout_to_dict(model.readout)) == {"pooling", "label_every", "at_window_end"}
    staged = with_decision(model, DecisionStage())
    assert readout_from_dict(readout_to_dict(staged.readout)) == staged.readout
    assert readout_from_dict(readout_to_dict(model.readout)) == model.readout
    assert len({model_hash(model), model_hash(staged), model_hash(with_decision(model, DecisionStage(1)))}) == 3
    assert [b.magnitude for b in range_bounds(staged) if b.name.startswith("decision score")] == [2**19]
    assert not any(b.name.startswith("decision") for b in range_bounds(model))


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("smoothing_shift", 9, "0 to 8"),
        ("smoothing_shift", True, "0 to 8"),
        ("hysteresis", -1, "0 to 524288"),
        ("hysteresis", 1.5, "0 to 524288"),
        ("min_labels", 0, "1 to 255"),
        ("min_labels", 256, "1 to 255"),
        ("unknown_margin", 2**19 + 1, "0 to 524288"),
    ],
)
def test_numbers_out_of_range_are_refused(field: str, value: Any, allowed: str) -> None:
    with pytest.raises(
        ModelError, match=rf"readout\.decision\.{field} is {value}; expected a whole number of {allowed}"
    ):
        with_decision(quantized_model(spec("rnn", 3)), replace(DecisionStage(), **{field: value}))


def test_a_float_model_or_something_else_is_refused() -> None:
    model = random_float_model(spec("rnn", 3))
    with pytest.raises(ModelError, match="expected a DecisionStage in an integer model"):
        verify(replace(model, readout=replace(model.readout, decision=DecisionStage())))
    with pytest.raises(ModelError, match="expected a DecisionStage in an integer model"):
        with_decision(quantized_model(spec("rnn", 3)), "often")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="speed"):
        readout_from_dict({**readout_to_dict(Readout()), "decision": {"speed": 3}})
