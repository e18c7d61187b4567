"""The search for a decision stage: what it prefers, what it must not take."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_seq.backends.decision import excess_of
from edge_seq.data.recording import Recording
from edge_seq.ir.decision import DISTANCE_LIMIT, DecisionStage
from edge_seq.ir.model import IntModel
from edge_seq.pipeline.decision_search import ONE_LOGIT, candidates, decisions_of, fit_distance, search
from edge_seq.pipeline.streams import LabelStream
from edge_seq.support.errors import DataError, ModelError
from tests.zoo import quantized_model, spec

MODEL = quantized_model(spec("rnn", 3, label_every="sample", window_length=10))


def _streams(noise: float, recordings: int = 4) -> list[LabelStream]:
    """Labels that are right on average: each sample, the true class leads by one and noise."""
    rng = np.random.default_rng(1)
    streams = []
    for index in range(recordings):
        labels = np.repeat(rng.permutation(np.arange(12) % 4), 40).astype(np.int16)
        logits = np.rint((np.eye(4)[labels] + rng.normal(0, noise, (480, 4))) * ONE_LOGIT).astype(np.int64)
        recording = Recording(f"r{index}", f"g{index}", np.zeros((480, 3), dtype=np.int16), labels)
        operands = np.zeros((480, 3), dtype=np.int16)
        streams.append(LabelStream(recording, np.arange(480), logits, logits.argmax(axis=1), operands))
    return streams


def _search(streams: list[LabelStream], *, extra: float) -> tuple[float, float, float, DecisionStage | None]:
    plain, best = search(MODEL, streams, candidates(MODEL, allow_unknown=False), max_extra_delay_s=extra)
    assert best.delay_median_s is not None
    assert plain.delay_median_s is not None
    return (
        best.event_f1 - plain.event_f1,
        best.flicker_per_minute,
        best.delay_median_s - plain.delay_median_s,
        best.stage,
    )


def test_noise_is_taken_out_at_the_price_of_a_delay_within_the_limit() -> None:
    streams = _streams(noise=0.8)
    gain, flicker, delay, stage = _search(streams, extra=2.0)
    assert stage is not None
    assert gain > 0.2
    assert flicker < 60 * 10 / 40 * 1.5  # the truth changes every 40 samples of 10 a second
    assert 0 < delay <= 2.0
    less, _, at_once, _ = _search(streams, extra=0.2)
    assert at_once <= 0.2
    assert less < gain


def test_without_noise_there_is_nothing_to_gain_and_no_stage() -> None:
    gain, _, delay, stage = _search(_streams(noise=0.0), extra=2.0)
    assert (gain, delay, stage) == (0.0, 0.0, None)


def test_where_there_must_be_a_stage_and_each_is_too_late() -> None:
    slow = [DecisionStage(min_labels=30)]
    with pytest.raises(DataError, match=r"none of 1 stages keeps the median detection delay within 0 s; give a larger"):
        search(MODEL, _streams(noise=0.0), slow, max_extra_delay_s=0.0, none_allowed=False)


def _distant_streams(seed: int) -> list[LabelStream]:
    """As :func:`_streams`, and what the head sees lies about a place of its own for each true class."""
    rng = np.random.default_rng(seed)
    places = np.array([[100, -100, 20], [-100, 0, -20], [0, 60, 90], [50, 50, -90]]) * [256, 256, 1]
    return [
        replace(s, operands=np.rint(places[s.truth] + rng.normal(0, [1500, 1500, 6], (480, 3))).astype(np.int16))
        for s in _streams(noise=0.3)
    ]


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2])
def test_a_distance_keeps_all_but_the_share_of_right_labels_within(share: float) -> None:
    training, validation = _distant_streams(0), _distant_streams(1)
    distance = fit_distance(MODEL, training, validation, share=share)
    assert (
        np.abs(np.array(distance.centroids) - [[100, -100, 20], [-100, 0, -20], [0, 60, 90], [50, 50, -90]]).max() <= 1
    )
    beyond: dict[int, list[bool]] = {k: [] for k in range(4)}
    wrong = []
    for stream in validation:
        excess = excess_of(distance, stream.operands.astype(np.int64), stream.labels)
        for label, truth, is_beyond in zip(stream.labels, stream.truth, excess > 0, strict=True):
            if label == truth:
                beyond[label].append(bool(is_beyond))
            else:
                wrong.append(bool(is_beyond))
    for right in beyond.values():
        assert share - 0.05 <= np.mean(right) <= share  # few distances are as many as there are units of Q7
    assert np.mean(wrong) > 0.99, "where the label is wrong, the state is that of another class"


def test_a_class_that_is_never_right_is_never_unknown_by_distance() -> None:
    def without_class_2(streams: list[LabelStream]) -> list[LabelStream]:
        return [replace(s, labels=np.where(s.labels == 2, 1, s.labels)) for s in streams]

    streams = _distant_streams(0)
    for training, validation in ((without_class_2(streams), streams), (streams, without_class_2(streams))):
        distance = fit_distance(MODEL, training, validation, share=0.05)
        assert [radius == DISTANCE_LIMIT for radius in distance.radii] == [False, False, True, False]


def test_a_head_that_sees_all_steps_has_no_distance() -> None:
    flat = quantized_model(spec("gru", 3, pooling="flatten"))
    with pytest.raises(
        ModelError, match=r"states of all steps \(flatten\), which are not kept, .*--unknown-margin works"
    ):
        fit_distance(flat, [], [], share=0.05)


def test_no_stage_turns_more_of_the_right_labels_unknown_than_allowed() -> None:
    streams = _distant_streams(0)
    distance = fit_distance(MODEL, _distant_streams(1), streams, share=0.1)
    stages = [replace(stage, unknown_distance=distance) for stage in candidates(MODEL, allow_unknown=False)]
    bound = {"max_extra_delay_s": 5.0, "none_allowed": False}
    _, best = search(MODEL, streams, stages, **bound, max_unknown_of_right=0.1)  # type: ignore[arg-type]
    assert best.stage is not None
    assert best.stage.unknown_distance == distance
    assert best.unknown_of_right <= 0.1
    never = [replace(stages[0], unknown_distance=replace(distance, radii=(0, 0, 0, 0)))]
    with pytest.raises(DataError, match=r"within 5 s and at most 0\.0% of correct labels unknown; give"):
        search(MODEL, streams, never, **bound, max_unknown_of_right=0.0)  # type: ignore[arg-type]


def test_the_grid_follows_the_rate_of_labels() -> None:
    def min_labels(model: IntModel) -> set[int]:
        return {stage.min_labels for stage in candidates(model, allow_unknown=False)}

    assert min_labels(MODEL) == {1, 2, 5, 10, 20}
    assert min_labels(replace(MODEL, readout=replace(MODEL.readout, label_every="window"))) == {1, 2}
    margins = {stage.unknown_margin for stage in candidates(MODEL, allow_unknown=True)}
    assert margins == {0, ONE_LOGIT // 2}


def test_decisions_come_by_stage_and_stream() -> None:
    streams = _streams(noise=0.5, recordings=2)
    stages = [DecisionStage(), DecisionStage(min_labels=255)]
    plain, slow = decisions_of(streams, stages)
    assert [np.array_equal(p, s.labels) for p, s in zip(plain, streams, strict=True)] == [True, True]
    assert all(len(np.unique(given)) == 1 for given in slow)
