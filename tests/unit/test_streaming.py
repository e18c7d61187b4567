"""Events, false alarms and delays on short timelines, counted by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edge_seq.scores.detection_windows import DetectionWindows, runs, score_detections, sum_of
from edge_seq.scores.streaming import StreamMetrics, Timeline, count_streams, hold, score_streams
from edge_seq.scores.warm_up import warm_up_of
from edge_seq.support.errors import DataError

NAMES = ("calm", "shake", "skid")


def line(labels: str, decisions: str, group: str = "a") -> Timeline:
    """Build a timeline from text: digits are classes, ``.`` is unlabelled or undecided, ``?`` is unknown."""
    code = {".": -1, "?": len(NAMES)}

    def array(text: str) -> np.ndarray:
        return np.array([code[c] if c in code else int(c) for c in text])

    return Timeline(group, array(labels), array(decisions))


def score(*timelines: Timeline, tolerance_s: float = 0.0, rate: float = 1.0, bootstrap: int = 0) -> StreamMetrics:
    return score_streams(
        timelines, label_names=NAMES, sample_rate_hz=rate, tolerance_s=tolerance_s, bootstrap=bootstrap
    )


def test_all_right_from_the_start() -> None:
    metrics = score(line("0001110002", "0001110002"))
    assert (metrics.event_f1.value, metrics.recall.value, metrics.precision.value) == (1, 1, 1)
    assert (metrics.false_alarms_per_hour.value, metrics.fragments_per_hit.value) == (0, 1)
    assert (metrics.delay_median_s.value, metrics.delay_p95_s.value) == (0, 0)  # type: ignore[union-attr]
    assert metrics.flicker_per_minute.value == metrics.true_changes_per_minute == 3 * 60 / 10
    assert [c.events for c in metrics.classes] == [2, 1, 1]


def test_delay_false_alarm_fragment_and_miss() -> None:
    #              0         1
    #              01234567890123456789
    metrics = score(line("00000111111111100000", "00200001101111000000"), rate=2.0)
    calm, shake, skid = metrics.classes
    assert (calm.events, calm.hits, calm.detections, calm.false_alarms) == (2, 2, 4, 1)  # false alarm at sample 9
    assert calm.fragments_per_hit == 1.5  # the skid cuts the first in two
    assert calm.fragmented == 1
    assert (shake.hits, shake.fragments_per_hit, shake.false_alarms) == (1, 2, 0)
    assert shake.delay_median_s == 2 / 2.0
    assert calm.delay_median_s == 0  # decided before the second began; the first began with the recording
    assert (skid.events, skid.detections, skid.false_alarms, skid.f1) == (0, 1, 1, 0.0)
    assert skid.false_alarms_per_hour == pytest.approx(3600 / 10)
    assert metrics.false_alarms_per_hour.value == pytest.approx(2 * 3600 / 10)
    missed = score(line("0001110", "0000000")).classes[1]
    assert (missed.misses, missed.recall, missed.delay_median_s, missed.precision) == (1, 0, None, None)


def test_the_tolerance_reaches_beyond_the_end_and_not_into_the_next_event() -> None:
    late = line("0110000", "0000110")
    assert score(late).classes[1].hits == 0
    assert score(late).classes[1].false_alarms == 1
    assert score(late, tolerance_s=2.0).classes[1].hits == 1
    assert score(late, tolerance_s=2.0).classes[1].delay_median_s == 3.0
    of_the_second = line("01101100", "00001110")
    assert score(of_the_second, tolerance_s=5.0).classes[1].hits == 1


def test_unknown_and_unlabelled_time() -> None:
    metrics = score(line("00....11", ".0?222?1"))
    assert metrics.hours == pytest.approx(4 / 3600)
    assert metrics.unknown_share == 1 / 4  # unlabelled time does not count
    assert metrics.classes[2].detections == metrics.classes[2].false_alarms == 0
    assert metrics.true_changes_per_minute == 60 / 4  # a change across unlabelled time counts
    assert metrics.flicker_per_minute.value == 2 * 60 / 4  # 0 to unknown to 1; the first label is no change
    assert score(line("00..11", "002221")).classes[2].false_alarms == 1  # it reaches into labelled time


def test_several_recordings_of_a_group_and_intervals_over_groups() -> None:
    rng = np.random.default_rng(0)
    lines = []
    for index in range(24):
        labels = np.repeat(rng.integers(0, 3, 30), 10)
        decisions = np.where(rng.random(300) < 0.9, np.roll(labels, 2), rng.integers(0, 3, 300))
        lines.append(Timeline(f"drive{index % 8}", labels, decisions))
    metrics = score(*lines, tolerance_s=3.0, bootstrap=200)
    assert (metrics.recordings, metrics.groups) == (24, 8)
    for estimate in (metrics.event_f1, metrics.flicker_per_minute, metrics.delay_median_s, metrics.right_share):
        assert estimate is not None
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low <= estimate.value <= estimate.high
    assert metrics == score(*lines, tolerance_s=3.0, bootstrap=200)
    f1, flicker, delay = count_streams(lines, num_classes=3, sample_rate_hz=1.0, tolerance_s=3.0)
    assert (f1, flicker) == pytest.approx((metrics.event_f1.value, metrics.flicker_per_minute.value))
    assert delay == metrics.delay_median_s.value  # type: ignore[union-attr]
    assert json.loads(json.dumps(metrics.to_dict()))["classes"][2]["label"] == "skid"


def test_without_hits_there_is_no_delay() -> None:
    metrics = score(line("0011", "...."), line("0011", "....", "b"), bootstrap=50)
    assert metrics.delay_median_s is None
    assert (metrics.recall.value, metrics.precision.value) == (0, 0)


def test_runs_and_held_decisions() -> None:
    assert runs(np.array([1])).tolist() == [[0, 1, 1]]
    assert hold(np.array([], dtype=int), np.array([], dtype=int), 3).tolist() == [-1, -1, -1]
    assert hold(np.array([0, 2]), np.array([1, 0]), 3).tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("timelines", "message"),
    [
        ([], "there is no labelled sample"),
        ([line("..", "00")], "there is no labelled sample"),
        ([line("00", "0")], "has 2 labels and 1 decisions; expected one of each"),
        ([Timeline("a", np.array([3]), np.array([0]))], "expected labels below 3"),
        ([Timeline("a", np.array([0]), np.array([4]))], r"decisions from 4 to 4; .* to 3 \(unknown\)"),
    ],
)
def test_timelines_that_cannot_be_scored(timelines: list[Timeline], message: str) -> None:
    with pytest.raises(DataError, match=message):
        score(*timelines)


def test_options_out_of_range() -> None:
    with pytest.raises(DataError, match="expected a positive rate"):
        score(line("00", "00"), rate=0.0)
    with pytest.raises(DataError, match="tolerance_s -1"):
        score(line("00", "00"), tolerance_s=-1.0)


def windows(labels: str, decisions: str, rate: float = 1.0) -> DetectionWindows:
    made = line(labels, decisions)
    return score_detections(made.labels, made.decisions, len(NAMES), rate)


def test_detections_in_windows_are_counted_as_mlperf_tiny_does() -> None:
    found = windows("..111....", "..1.1..1.")  # twice in the window are one; the window ends a second after the event
    assert (found.true_positives, found.false_negatives, found.false_positives) == (1, 0, 1)
    late = windows(".11......", ".....1...")  # second 5 is more than a second after the end at 3
    assert (late.true_positives, late.false_negatives, late.false_positives) == (0, 1, 1)
    just = windows(".11......", ".....1...", rate=2.0)
    assert (just.true_positives, just.false_positives) == (1, 0)
    before = windows("..11.....", ".111.....")  # decided already: no detection begins in the window
    assert (before.true_positives, before.false_negatives, before.false_positives) == (0, 1, 1)
    assert windows(".........", "1.1..1...", rate=2.0).false_positives == 2  # at 0 and 2.5 s; that at 1 s is debounced
    both = windows("000111222", "?001.1222")
    assert (both.true_positives, both.false_negatives, both.false_positives) == (3, 0, 0)
    total = sum_of([found, late])
    assert (total.true_positives, total.false_positives, total.hours) == (1, 2, 18 / 3600)
    assert total.false_positives_per_hour == 400


def test_stream_scores_hold_those_of_detections_in_windows() -> None:
    found = score(line("0001110002", "0001110002"), line("000", "111")).detection_windows
    assert found == DetectionWindows(4, 1, 1, pytest.approx(13 / 3600))  # type: ignore[arg-type]


def test_a_warm_up_without_an_end_is_said() -> None:
    assert "within 40 samples at 50.0 % of the places" in warm_up_of(np.array([3, 0]), 40).text(10.0)
    none = warm_up_of(np.array([0, 0]), 40)
    assert (none.median, none.never) == (None, 1.0)
    assert none.text(10.0) == "after a reset no label is that of a stream that ran on, within 40 samples"
