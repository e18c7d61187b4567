"""Detections in windows of time, as MLPerf Tiny scores its streaming task. numpy only.

The rules are those of ``calc_detection_stats`` in ``benchmark/runner/streaming_ww_utils.py`` of mlcommons/tiny (commit
267cc31), which scores one wake word. Here each class is a wake word of its own, and the counts are summed:

- A *detection* is the moment at which the decision becomes the class.
- Each event of the class has a *window*: from its start to a second after its end. All detections in it together are
  one *true positive*; a window without a detection is a *false negative*.
- Each other detection is a *false positive*, but for those within a second after a false positive (debounce).

Other than for the scores of :mod:`edge_seq.scores.streaming`, a class that was decided already when its event began is
not found, and detections in unlabelled time count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.support.results import Result

DELAY_S = 1.0  # false_pos_suppresion_delay_sec of the runner
DEBOUNCE_S = 1.0  # debounce_time_sec of the runner


@dataclass(frozen=True)
class DetectionWindows(Result):
    """Scores by the rules of this module.

    Attributes:
        true_positives: events that were found.
        false_negatives: events that were not.
        false_positives: detections outside all windows, after debouncing.
        hours: time of the recordings, unlabelled time included.
    """

    true_positives: int
    false_negatives: int
    false_positives: int
    hours: float

    @property
    def false_positives_per_hour(self) -> float:
        """False positives of all classes together."""
        return self.false_positives / self.hours


def runs(values: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Find the longest runs of equal values: int64 [N, 3], each row start, stop (exclusive) and value.

    >>> runs(np.array([7, 7, 3])).tolist()
    [[0, 2, 7], [2, 3, 3]]
    """
    starts = np.concatenate([[0], np.flatnonzero(np.diff(values)) + 1]).astype(np.int64)
    stops = np.concatenate([starts[1:], [len(values)]]).astype(np.int64)
    return np.stack([starts, stops, values[starts].astype(np.int64)], axis=1)


def score_detections(
    labels: NDArray[np.integer[Any]], decisions: NDArray[np.integer[Any]], num_classes: int, sample_rate_hz: float
) -> DetectionWindows:
    """Score one recording.

    Args:
        labels: int [T], T at least 1; 0..K-1, anything else is unlabelled.
        decisions: int [T], decision after each sample; anything but 0..K-1 is none.
        num_classes: K.
        sample_rate_hz: sample rate.

    >>> score_detections(np.array([0, 0, 1, 1]), np.array([-1, 0, 0, 1]), 2, 1.0)
    DetectionWindows(true_positives=2, false_negatives=0, false_positives=0, hours=0.0011111111111111111)
    """
    true, detected = runs(labels), runs(decisions)
    counts = np.zeros(3, dtype=np.int64)
    for k in range(num_classes):
        windows = true[true[:, 2] == k, :2] / sample_rate_hz
        counts += _count(detected[detected[:, 2] == k, 0] / sample_rate_hz, windows)
    found, missed, false = counts.tolist()
    return DetectionWindows(found, missed, false, len(labels) / sample_rate_hz / 3600)


def _count(times_s: NDArray[np.float64], windows_s: NDArray[np.float64]) -> NDArray[np.int64]:
    """True positives, false negatives and false positives of one class."""
    found = 0
    for start, stop in windows_s:
        inside = (times_s >= start) & (times_s <= stop + DELAY_S)
        found += bool(inside.any())
        times_s = times_s[~inside]
    false, last = 0, -np.inf
    for time in times_s:
        if time > last + DEBOUNCE_S:
            false, last = false + 1, time
    return np.array([found, len(windows_s) - found, false], dtype=np.int64)


def sum_of(scores: Sequence[DetectionWindows]) -> DetectionWindows:
    """Add the counts of several recordings, at least one."""
    return DetectionWindows(
        sum(one.true_positives for one in scores),
        sum(one.false_negatives for one in scores),
        sum(one.false_positives for one in scores),
        sum(one.hours for one in scores),
    )
