"""The decision stage: effect of each parameter, state over windows, and refused values."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_seq.backends.decision import StageNumbers, decide, decide_stream, excess_of, reset_decision, seen_q7
from edge_seq.backends.reference_int import head_operands, run_reference
from edge_seq.ir.decision import SCORE_LIMIT, DecisionStage, UnknownDistance
from edge_seq.ir.kind_names import CELL_NAMES
from edge_seq.ir.model import Readout, model_hash, readout_from_dict, readout_to_dict
from edge_seq.ir.range_proof import range_bounds
from edge_seq.ir.verify import MAX_HIDDEN_SIZE, _verify_distance, verify
from edge_seq.support.errors import ModelError
from tests.zoo import DISTANCES, quantized_model, random_counts, random_float_model, spec, with_decision

ONE = 2**16  # a logit of 1


def decided(stage: DecisionStage, *logits: tuple[float, ...]) -> list[int]:
    """Decisions for one stream of logits."""
    return decide_stream(StageNumbers.of(stage), np.rint(np.array([logits]) * ONE).astype(np.int64))[0].tolist()


def votes(stage: DecisionStage, labels: str, margin: float = 4.0) -> str:
    """Decisions for labels that each lead by ``margin``; ``?`` is unknown."""
    logits = [tuple(margin * (k == int(label)) for k in range(3)) for label in labels]
    return "".join("012?"[d] for d in decided(stage, *logits))


def test_a_stage_of_nothing_is_the_label() -> None:
    assert votes(DecisionStage(), "0120221") == "0120221"
    assert decided(DecisionStage(), (1, 1, 0), (0, 1, 1)) == [0, 1]  # of equal scores the lowest index


def test_another_decision_needs_so_many_labels_in_a_row() -> None:
    assert votes(DecisionStage(min_labels=3), "0110111220222") == "0000001111112"
    assert votes(DecisionStage(min_labels=2), "0121212") == "0000000"  # alternating targets never come twice in a row


def test_hysteresis_asks_for_a_lead_over_what_is_decided() -> None:
    stage = DecisionStage(hysteresis=2 * ONE)
    assert decided(stage, (3, 0, 0), (0, 1.9, 0), (0, 2.0, 0), (0, 0, 1.9)) == [0, 0, 1, 1]


def test_unknown_where_the_first_does_not_lead_the_second() -> None:
    stage = DecisionStage(unknown_margin=ONE)
    assert decided(stage, (0.9, 0, 0), (1, 0, 0), (0, 5, 4.5), (0, 5, 4)) == [3, 0, 3, 1]
    held = DecisionStage(unknown_margin=ONE, hysteresis=3 * ONE)
    assert decided(held, (4, 0, 0), (0, 0.5, 0), (0, 2, 0)) == [0, 3, 1]  # unknown has no hysteresis


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


NEAR = UnknownDistance(centroids=((100, -50, 0, 127), (0, 0, 0, -128)), radii=(10, 0))


def test_the_distance_is_the_sum_of_gaps_of_the_labels_own_centroid() -> None:
    operands = np.array(
        [[100 << 8, -50 << 8, 0, 127], [(100 << 8) + 128, -50 << 8, 9, 127], [-(2**15), 2**15 - 1, 128, 128]]
    )
    assert seen_q7(operands).tolist() == [[100, -50, 0, 127], [101, -50, 9, 127], [-128, 128, 128, 128]]
    assert excess_of(NEAR, operands, np.array([0, 0, 0])).tolist() == [-10, 0, 228 + 178 + 128 + 1 - 10]
    assert excess_of(NEAR, operands, np.array([1, 1, 1])).tolist() == [405, 101 + 50 + 9 + 255, 3 * 128 + 256]


def test_unknown_beyond_the_radius_smoothed_and_for_as_long_as_any_other_decision() -> None:
    leads, none = (4.0, 0.0), DecisionStage(unknown_distance=NEAR)
    logits = np.rint(np.array([[leads] * 6]) * ONE).astype(np.int64)

    def after(stage: DecisionStage, *excess: int) -> list[int]:
        return decide_stream(StageNumbers.of(stage), logits[:, : len(excess)], np.array([excess]))[0].tolist()

    assert after(none, -1, 0, 1, 0, 9) == [0, 0, 2, 0, 2]  # only beyond the radius, not at it
    assert after(replace(none, smoothing_shift=1), -8, 4, 8, 1, 1) == [0, 0, 2, 2, 2]  # -8, -2, 3, 2, 1
    assert after(replace(none, min_labels=3), -1, 5, 5, 5, -1, -1) == [0, 0, 0, 2, 2, 2]
    assert after(none, 7) == [2], "also at the first label"
    assert after(DecisionStage(hysteresis=3 * ONE, unknown_distance=NEAR), -1, 1, -1) == [0, 2, 0]


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_the_distance_is_of_what_the_head_sees(cell: str) -> None:
    model = quantized_model(DISTANCES[cell], amplitude=3.0)
    stage = model.readout.decision
    assert stage is not None
    assert stage.unknown_distance is not None
    values = run_reference(model, random_counts(5, 60, 3, sigma=300)).values
    due = values["label"][0, :, 0] >= 0
    each = {name: array[:, due].reshape(-1, array.shape[2]) for name, array in values.items()}
    fresh = excess_of(
        stage.unknown_distance, head_operands(model, each), each["label"][:, 0], model.dense_inputs[-1][1]
    )
    excess = fresh.reshape(5, -1)
    decisions = decide_stream(StageNumbers.of(stage), values["logits"][:, due], excess)
    assert np.array_equal(decisions, values["decision"][:, due, 0])
    assert (decisions == model.num_classes).any()
    assert (decisions != model.num_classes).any()
    if stage.smoothing_shift == 0:
        assert np.array_equal(excess, values["excess"][:, due, 0])
    assert (values["excess"][:, ~due] == 0).all()


def test_a_model_with_a_distance_keeps_it_and_one_without_does_not_mention_it() -> None:
    model = quantized_model(DISTANCES["lstm"])
    stage = model.readout.decision
    assert stage is not None
    assert readout_from_dict(json.loads(json.dumps(readout_to_dict(model.readout)))) == model.readout
    without = with_decision(model, replace(stage, unknown_distance=None))
    assert "unknown_distance" not in readout_to_dict(without.readout)["decision"]
    bounds = {bound.name: bound.magnitude for bound in range_bounds(model)}
    assert bounds["excess of a distance, and difference of two"] == 2**19
    assert 5 * 128 < bounds["distance"] <= 5 * 256
    assert bounds.keys() - {bound.name for bound in range_bounds(without)} == {
        "distance",
        "excess of a distance, and difference of two",
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"centroids": ((0,) * 5,) * 3}, r"centroids has rows of \[5, 5, 5\] units; expected 4 of 5"),
        ({"centroids": ((0,) * 4,) * 4}, r"centroids has rows of \[4, 4, 4, 4\] units; expected 4 of 5"),
        ({"centroids": ((0, 0, 0, 0, 128),) * 4}, "centroids has a value that is not a whole number from -128 to 127"),
        ({"centroids": ((0, 0, 0, 0, 0.5),) * 4}, "centroids has a value that is not a whole number"),
        ({"radii": (1, 2, 3)}, r"radii is \[1, 2, 3\]; expected 4 whole numbers from 0 to 262144"),
        ({"radii": (1, 2, 3, -1)}, "expected 4 whole numbers from 0 to 262144"),
        ({"radii": (1, 2, 3, 2**18 + 1)}, "expected 4 whole numbers from 0 to 262144"),
        ({"radii": (1, 2, 3, True)}, "expected 4 whole numbers from 0 to 262144"),
    ],
)
def test_a_distance_that_does_not_fit_is_refused(change: dict[str, Any], words: str) -> None:
    model = quantized_model(DISTANCES["lstm"])
    stage = model.readout.decision
    assert stage is not None
    assert stage.unknown_distance is not None
    with pytest.raises(ModelError, match=words):
        with_decision(model, replace(stage, unknown_distance=replace(stage.unknown_distance, **change)))
    with pytest.raises(ModelError, match="unknown_distance is a str; expected an UnknownDistance, or None"):
        with_decision(model, replace(stage, unknown_distance="far"))  # type: ignore[arg-type]


def test_a_distance_over_more_values_than_its_bound_allows_is_refused() -> None:
    """As with 513 units and a readout of both mean and largest value."""
    distance, larger = (UnknownDistance(((0,) * units,) * 2, (0, 0)) for units in (MAX_HIDDEN_SIZE, 2 * 513))
    _verify_distance(distance, 2, MAX_HIDDEN_SIZE)
    with pytest.raises(ModelError, match=r"unknown_distance is over 1026 values, .* expected at most 1024"):
        _verify_distance(larger, 2, 2 * 513)


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
        ModelError, match=rf"readout\.decision\.{field} is {value}; expected a whole number from {allowed}"
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
