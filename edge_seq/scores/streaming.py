"""Scores of a classifier on whole recordings, as a user sees it: events, false alarms, delays. numpy only.

A recording is a timeline of samples. Each sample has a true label (or none) and a decision: the last label that the
classifier gave, which holds until the next one. Definitions for a class k:

- *Event*: a longest run of samples whose true label is k. *Detection*: a longest run of samples with the decision k.
- *Match*: an event and a detection match if they share a sample. For this the event is extended by ``tolerance_s``
  beyond its end, but not into the next event of its class. A label describes the window before it, so a decision comes
  late. (Overlapping segments: Ward, Lukowicz and Gellersen 2011, "Performance metrics for activity recognition". The
  collar, here at the offset only: Mesaros, Heittola and Virtanen 2016, "Metrics for polyphonic sound event detection".)
- *Hit*: an event with a match. *Miss*: an event without one. *False alarm*: a detection without a match, at least one
  sample of which is labelled. A detection without a match in unlabelled time is not counted.
- *Precision*: share of detections that are no false alarms. *Recall*: share of events that are hits. *F1*: their
  harmonic mean. The macro-F1 is the mean over the classes with events or detections.
- *Fragments of a hit*: number of detections that match the event. More than 1 is fragmentation (Ward et al. 2011).
- *Detection delay*: time from the first sample of an event to the first sample with the decision k, 0 if k was decided
  already. Only hits count, and not an event at the start of a recording, because its true start is unknown.
- *Flicker*: changes of the decision per minute, from each labelled sample to the next labelled one. The changes of the
  true label are given beside it.

Rates are per labelled time. The decision "unknown" (no class) is not a detection; its share of the labelled time is
given. Intervals are 95 % intervals from resampling groups, as in :mod:`edge_seq.scores.metrics`. A resample without any
delay is left out of the intervals of the delays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.scores.detection_windows import DetectionWindows, runs, score_detections, sum_of
from edge_seq.scores.metrics import Estimate
from edge_seq.support.errors import DataError
from edge_seq.support.results import Result, written

UNDECIDED = -1  # decision before the first label of a stream
_TALLY = ("events", "hits", "detections", "false_alarms", "fragments", "fragmented")
_CLOCK = ("samples", "right", "unknown", "changes", "true_changes")


@dataclass(frozen=True)
class Timeline:
    """Labels and decisions of one recording, sample by sample.

    Attributes:
        group: drive, subject or session.
        labels: int [T], 0..K-1; anything below 0 is unlabelled.
        decisions: int [T], decision after each sample, 0..K-1; K is unknown, UNDECIDED is before the first label.
    """

    group: str
    labels: NDArray[np.integer[Any]]
    decisions: NDArray[np.integer[Any]]


@dataclass(frozen=True)
class ClassStream:
    """Scores of one class. A score is None where its divisor is 0. The module defines the terms."""

    label: str
    events: int
    hits: int
    misses: int
    detections: int
    false_alarms: int
    false_alarms_per_hour: float
    precision: float | None
    recall: float | None
    f1: float | None
    fragments_per_hit: float | None
    fragmented: int
    delay_median_s: float | None
    delay_p95_s: float | None


@dataclass(frozen=True)
class StreamMetrics(Result):
    """Scores over all classes, and of each class. The module defines the terms.

    Attributes:
        recordings, groups: number of recordings and of groups.
        hours: labelled time.
        tolerance_s: time by which an event is extended beyond its end.
        event_f1: macro-F1 of events.
        recall: share of events that are hits.
        precision: share of detections that are no false alarms.
        false_alarms_per_hour: false alarms of all classes together.
        fragments_per_hit: mean number of fragments; 1 means that no event is fragmented.
        delay_median_s, delay_p95_s: median and 95th percentile of the detection delays; None without any delay.
        flicker_per_minute: changes of the decision.
        true_changes_per_minute: changes of the true label.
        right_share: share of the labelled time in which the decision is the true label.
        unknown_share: share of the labelled time in which the decision is unknown.
        classes: scores of each class, in the order of the labels.
        bootstrap, seed: number of resamples behind the intervals, and their seed.
        detection_windows: scores by the rules of MLPerf Tiny's streaming task; None in files of releases without them.
    """

    recordings: int
    groups: int
    hours: float
    tolerance_s: float
    event_f1: Estimate
    recall: Estimate
    precision: Estimate
    false_alarms_per_hour: Estimate
    fragments_per_hit: Estimate
    delay_median_s: Estimate | None
    delay_p95_s: Estimate | None
    flicker_per_minute: Estimate
    true_changes_per_minute: float
    right_share: Estimate
    unknown_share: float
    classes: tuple[ClassStream, ...]
    bootstrap: int
    seed: int
    detection_windows: DetectionWindows | None = field(default=None, metadata=written(unless_none=True))


@dataclass(frozen=True)
class _Counts:
    """Counts of one or several timelines.

    Attributes:
        tally: int64 [K, 6]; ``_TALLY`` names the columns.
        clock: int64 [5]; ``_CLOCK`` names the entries.
        delays: detection delays of each class, in samples.
    """

    tally: NDArray[np.int64]
    clock: NDArray[np.int64]
    delays: tuple[list[int], ...]


def hold(due: NDArray[np.integer[Any]], given: NDArray[np.integer[Any]], length: int) -> NDArray[np.int64]:
    """Hold each label until the next one: the decision at each sample.

    Args:
        due: int [L], ascending; the sample after which each label was given.
        given: int [L], the labels.
        length: number of samples, T.

    Returns:
        int64 [T]; UNDECIDED before the first label.

    >>> hold(np.array([1, 3]), np.array([5, 6]), 5).tolist()
    [-1, 5, 5, 6, 6]
    """
    latest = np.searchsorted(due, np.arange(length), side="right") - 1
    padded = np.concatenate([[UNDECIDED], given]).astype(np.int64)
    held: NDArray[np.int64] = padded[latest + 1]
    return held


def _count_class(timeline: Timeline, k: int, tolerance: int) -> tuple[list[int], list[int]]:
    """Count one class: its row of the tally, and its delays in samples."""
    length = len(timeline.labels)
    events = [(start, stop) for start, stop, value in runs(timeline.labels).tolist() if value == k]
    detections = [(start, stop) for start, stop, value in runs(timeline.decisions).tolist() if value == k]
    next_starts = [start for start, _ in [*events, (length, length)][1:]]
    reach = [(start, min(stop + tolerance, nxt)) for (start, stop), nxt in zip(events, next_starts, strict=True)]
    labelled = np.concatenate([[0], np.cumsum(timeline.labels >= 0)])
    hits, fragments, fragmented, delays = 0, 0, 0, []
    matched = [False] * len(detections)
    for start, stop in reach:
        found = [i for i, (begin, end) in enumerate(detections) if begin < stop and end > start]
        for i in found:
            matched[i] = True
        hits += bool(found)
        fragments += len(found)
        fragmented += len(found) > 1
        if found and start > 0:
            delays.append(max(0, detections[found[0]][0] - start))
    counted = [
        (match, labelled[end] > labelled[begin]) for match, (begin, end) in zip(matched, detections, strict=True)
    ]
    alarms = sum(in_labelled and not match for match, in_labelled in counted)
    num_detections = sum(bool(in_labelled or match) for match, in_labelled in counted)
    return [len(events), hits, num_detections, alarms, fragments, fragmented], delays


def _count(timeline: Timeline, num_classes: int, tolerance: int) -> _Counts:
    labels, decisions = timeline.labels, timeline.decisions
    labelled = labels >= 0
    decided, truth = decisions[labelled], labels[labelled]
    changed = (decided[1:] != decided[:-1]) & (decided[:-1] != UNDECIDED)
    true_changed = truth[1:] != truth[:-1]
    right, unknown = labelled & (decisions == labels), labelled & (decisions == num_classes)
    clock = [labelled.sum(), right.sum(), unknown.sum(), changed.sum(), true_changed.sum()]
    per_class = [_count_class(timeline, k, tolerance) for k in range(num_classes)]
    return _Counts(
        tally=np.array([row for row, _ in per_class], dtype=np.int64),
        clock=np.array(clock, dtype=np.int64),
        delays=tuple(delays for _, delays in per_class),
    )


def _by_group(timelines: Sequence[Timeline], counts: Sequence[_Counts], num_classes: int) -> list[_Counts]:
    grouped: dict[str, _Counts] = {}
    for timeline, one in zip(timelines, counts, strict=True):
        so_far = grouped.get(timeline.group)
        if so_far is None:
            grouped[timeline.group] = one
        else:
            delays = tuple([*so_far.delays[k], *one.delays[k]] for k in range(num_classes))
            grouped[timeline.group] = _Counts(so_far.tally + one.tally, so_far.clock + one.clock, delays)
    return list(grouped.values())


def _divide(numerator: NDArray[Any], denominator: NDArray[Any]) -> NDArray[np.float64]:
    """Elementwise quotient of counts; 0 where the divisor is 0."""
    return np.asarray(numerator / np.maximum(denominator, 1), dtype=np.float64)


def _f1(tally: NDArray[np.int64]) -> NDArray[np.float64]:
    """F1 of events, [..., K, 6] to [..., K]; 0 for a class with neither events nor detections."""
    events, hits, detections, alarms = (tally[..., i] for i in range(4))
    recall, precision = _divide(hits, events), _divide(detections - alarms, detections)
    return np.asarray(2 * recall * precision / np.where(recall + precision > 0, recall + precision, 1.0))


def macro_event_f1(tally: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean F1 of the classes with events or detections: [..., K, 6] to [...]."""
    there = (tally[..., 0] + tally[..., 2]) > 0
    return _divide((_f1(tally) * there).sum(axis=-1), there.sum(axis=-1))


def _scores(tally: NDArray[np.int64], clock: NDArray[np.int64], rate_hz: float) -> dict[str, NDArray[np.float64]]:
    """Compute the scores [...] by name, from tally [..., K, 6] and clock [..., 5]."""
    events, hits, detections, alarms, fragments, _ = np.moveaxis(tally.sum(axis=-2), -1, 0)
    samples, right, _, changes, _ = np.moveaxis(clock, -1, 0)
    return {
        "event_f1": macro_event_f1(tally),
        "recall": _divide(hits, events),
        "precision": _divide(detections - alarms, detections),
        "false_alarms_per_hour": _divide(alarms * 3600 * rate_hz, samples),
        "fragments_per_hit": _divide(fragments, hits),
        "flicker_per_minute": _divide(changes * 60 * rate_hz, samples),
        "right_share": _divide(right, samples),
    }


def score_streams(
    timelines: Sequence[Timeline],
    *,
    label_names: Sequence[str],
    sample_rate_hz: float,
    tolerance_s: float,
    bootstrap: int = 1000,
    seed: int = 0,
) -> StreamMetrics:
    """Score streams. The top of this module defines the terms.

    Args:
        timelines: one timeline for each recording.
        label_names: K names.
        sample_rate_hz: sample rate of all timelines.
        tolerance_s: time by which an event is extended beyond its end; the length of a window suits a classifier of
            windows.
        bootstrap: number of resamples of the groups; 0 leaves the intervals out.
        seed: seed of the resampling.

    Raises:
        DataError: there is no timeline or no labelled sample, lengths differ, or a label, a decision or a number is out
            of range.

    >>> line = Timeline("a", np.array([0, 0, 0, 1, 1, 1]), np.array([-1, 0, 0, 0, 1, 1]))
    >>> metrics = score_streams([line], label_names=("no", "yes"), sample_rate_hz=1.0, tolerance_s=0.0)
    >>> metrics.event_f1.value, metrics.delay_median_s.value
    (1.0, 1.0)
    """
    num_classes = len(label_names)
    _check(timelines, num_classes, sample_rate_hz, tolerance_s, bootstrap)
    tolerance = round(tolerance_s * sample_rate_hz)
    counts = [_count(timeline, num_classes, tolerance) for timeline in timelines]
    groups = _by_group(timelines, counts, num_classes)
    tally, clock = np.stack([g.tally for g in groups]), np.stack([g.clock for g in groups])
    drawn = _draw(len(groups), bootstrap, seed)
    resampled = _scores(np.tensordot(drawn, tally, axes=1), np.tensordot(drawn, clock, axes=1), sample_rate_hz)
    total, time = tally.sum(axis=0), clock.sum(axis=0)
    hours = float(time[0] / sample_rate_hz / 3600)
    estimates = {
        name: _estimate(float(value), resampled[name]) for name, value in _scores(total, time, sample_rate_hz).items()
    }
    delays = [np.array([d for k in g.delays for d in k], dtype=np.float64) / sample_rate_hz for g in groups]
    return StreamMetrics(
        recordings=len(timelines),
        groups=len(groups),
        hours=hours,
        tolerance_s=tolerance_s,
        **estimates,
        delay_median_s=_delay(delays, drawn, 0.5),
        delay_p95_s=_delay(delays, drawn, 0.95),
        true_changes_per_minute=float(time[4] * 60 * sample_rate_hz / time[0]),
        unknown_share=float(time[2] / time[0]),
        classes=tuple(
            _class_stream(name, total[k], [d for g in groups for d in g.delays[k]], hours, sample_rate_hz)
            for k, name in enumerate(label_names)
        ),
        bootstrap=bootstrap,
        seed=seed,
        detection_windows=sum_of(
            [
                score_detections(timeline.labels, timeline.decisions, num_classes, sample_rate_hz)
                for timeline in timelines
            ]
        ),
    )


def count_streams(
    timelines: Sequence[Timeline], *, num_classes: int, sample_rate_hz: float, tolerance_s: float
) -> tuple[float, float, float | None]:
    """Compute the scores that a search compares, without intervals.

    Returns:
        macro-F1 of events, flicker per minute, and median detection delay in seconds (None without any delay).
    """
    tolerance = round(tolerance_s * sample_rate_hz)
    counts = [_count(timeline, num_classes, tolerance) for timeline in timelines]
    tally, clock = sum(c.tally for c in counts), sum(c.clock for c in counts)
    delays = [d / sample_rate_hz for c in counts for k in c.delays for d in k]
    flicker = float(np.asarray(clock)[3] * 60 * sample_rate_hz / max(int(np.asarray(clock)[0]), 1))
    return float(macro_event_f1(np.asarray(tally))), flicker, float(np.median(delays)) if delays else None


def _check(
    timelines: Sequence[Timeline], num_classes: int, sample_rate_hz: float, tolerance_s: float, bootstrap: int
) -> None:
    if not timelines or not any((timeline.labels >= 0).any() for timeline in timelines):
        raise DataError(
            "scoring streams: there is no labelled sample to score; expected at least one recording with one"
        )
    for index, timeline in enumerate(timelines):
        labels, decisions = timeline.labels, timeline.decisions
        if len(labels) != len(decisions) or len(labels) == 0:
            raise DataError(
                f"scoring streams: recording {index} of group {timeline.group} has {len(labels)} labels and "
                f"{len(decisions)} decisions; expected one of each for every sample, and at least one sample"
            )
        if labels.max() >= num_classes or not -1 <= decisions.min() <= decisions.max() <= num_classes:
            raise DataError(
                f"scoring streams: recording {index} of group {timeline.group} has labels up to {labels.max()} and "
                f"decisions from {decisions.min()} to {decisions.max()}; expected labels below {num_classes} and "
                f"decisions from {UNDECIDED} (none yet) to {num_classes} (unknown)"
            )
    if not sample_rate_hz > 0 or not tolerance_s >= 0 or bootstrap < 0:
        raise DataError(
            f"scoring streams: sample_rate_hz {sample_rate_hz}, tolerance_s {tolerance_s}, bootstrap {bootstrap}; "
            "expected a positive rate, and 0 or more for the others"
        )


def _draw(num_groups: int, bootstrap: int, seed: int) -> NDArray[np.int64]:
    """Number of times that each group is in each resample: [R, G]; R is 0 with fewer than two groups."""
    rows = bootstrap if num_groups >= 2 else 0
    share = np.full(num_groups, 1 / num_groups)
    return np.random.default_rng(seed).multinomial(num_groups, share, size=rows).astype(np.int64)


def _estimate(value: float, resampled: NDArray[np.float64]) -> Estimate:
    if len(resampled) == 0:
        return Estimate(value, None, None)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Estimate(value, float(low), float(high))


def _delay(delays: list[NDArray[np.float64]], drawn: NDArray[np.int64], quantile: float) -> Estimate | None:
    """Estimate a quantile of all delays. ``delays`` holds one array for each group."""
    every = np.concatenate(delays)
    if not every.size:
        return None
    group = np.repeat(np.arange(len(delays)), [len(d) for d in delays])
    resampled = [float(np.quantile(r, quantile)) for row in drawn if (r := np.repeat(every, row[group])).size]
    return _estimate(float(np.quantile(every, quantile)), np.array(resampled))


def _class_stream(
    name: str, row: NDArray[np.int64], delays: list[int], hours: float, sample_rate_hz: float
) -> ClassStream:
    events, hits, detections, alarms, fragments, fragmented = (int(value) for value in row)
    seconds = np.array(delays, dtype=np.float64) / sample_rate_hz
    return ClassStream(
        label=name,
        events=events,
        hits=hits,
        misses=events - hits,
        detections=detections,
        false_alarms=alarms,
        false_alarms_per_hour=alarms / hours,
        precision=(detections - alarms) / detections if detections else None,
        recall=hits / events if events else None,
        f1=float(_f1(row)) if events + detections else None,
        fragments_per_hit=fragments / hits if hits else None,
        fragmented=fragmented,
        delay_median_s=float(np.median(seconds)) if seconds.size else None,
        delay_p95_s=float(np.quantile(seconds, 0.95)) if seconds.size else None,
    )
