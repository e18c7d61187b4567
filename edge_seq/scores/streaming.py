"""Scores of a classifier on whole recordings, as a user meets it: events, alarms, delays. numpy only.

A recording is a timeline of samples. At each sample stand the true label (or none) and what is decided so far: the
label given last, which holds until the next one. Definitions, of a class k:

- *event*: a longest run of samples whose true label is k. *Detection*: a longest run of samples at which k is decided.
- An event reaches to its end and ``tolerance_s`` beyond it, but not into the next event of its class: a label is about
  the window before it, so a decision comes late. Event and detection *match* if they share a sample (the segments that
  overlap of Ward, Lukowicz and Gellersen 2011, "Performance metrics for activity recognition"; the collar, here at the
  offset alone, of Mesaros, Heittola and Virtanen 2016, "Metrics for polyphonic sound event detection").
- *hit*: an event with a match; *miss*: one without. *False alarm*: a detection without a match, unless it lies in
  unlabelled time altogether. Precision is the share of detections that are no false alarms, recall the share of events
  that are hit, F1 their harmonic mean; the macro-F1 is over the classes with events or detections.
- *fragments of a hit*: detections that match the event; 1 is whole, more is fragmentation (Ward et al. 2011).
- *detection delay*: from an event's first sample to the first at which k is decided, 0 if it was decided before. Hits
  only, and not of events with which a recording begins, whose true beginning nobody saw.
- *flicker*: changes of what is decided in a minute, from one labelled sample to the next, over unlabelled time too;
  beside it the changes of the truth.

Rates are per labelled time. Unknown (no class) is no detection; its share of the labelled time is given.
Intervals are 95 %, by resampling groups as in :mod:`edge_seq.scores.metrics`; where a resample has no delay, it is left
out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.scores.metrics import Estimate
from edge_seq.support.errors import DataError

UNDECIDED = -1  # before the first label of a stream
_TALLY = ("events", "hits", "detections", "false_alarms", "fragments", "fragmented")
_CLOCK = ("samples", "right", "unknown", "changes", "true_changes")


@dataclass(frozen=True)
class Timeline:
    """One recording as a stream.

    Attributes:
        group: drive, subject or session.
        labels: int [T], 0..K-1; anything below 0 is unlabelled.
        decisions: int [T], 0..K-1 after each sample; K is unknown, UNDECIDED before the first.
    """

    group: str
    labels: NDArray[np.integer[Any]]
    decisions: NDArray[np.integer[Any]]


@dataclass(frozen=True)
class ClassStream:
    """Scores of one class; None where the divisor is 0. Terms as the module defines them."""

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
class StreamMetrics:
    """Scores over all classes, and one for each. Terms as the module defines them.

    Attributes:
        recordings, groups: how many.
        hours: labelled time.
        tolerance_s: how far an event reaches beyond its end.
        event_f1: macro-F1 over classes.
        recall: share of events that are hit.
        precision: share of detections that match.
        false_alarms_per_hour: of all classes together.
        fragments_per_hit: mean; 1 is none.
        delay_median_s, delay_p95_s: median and 95th percentile of the detection delays; None without any.
        flicker_per_minute: changes of what is decided.
        true_changes_per_minute: changes of the truth.
        right_share: of the labelled time, in which the true label is decided.
        unknown_share: of the labelled time.
        classes: in the order of the labels.
        bootstrap, seed: of the intervals.
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

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, numbers and None, ready for JSON."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class _Counts:
    """What was counted in some timelines.

    Attributes:
        tally: int64 [K, 6], as ``_TALLY`` names it.
        clock: int64 [5], as ``_CLOCK`` names it.
        delays: for each class, in samples.
    """

    tally: NDArray[np.int64]
    clock: NDArray[np.int64]
    delays: tuple[list[int], ...]


def runs(values: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Longest runs of equal values: int64 [N, 3], start, stop (exclusive) and value.

    >>> runs(np.array([7, 7, 3])).tolist()
    [[0, 2, 7], [2, 3, 3]]
    """
    starts = np.concatenate([[0], np.flatnonzero(np.diff(values)) + 1]).astype(np.int64)
    stops = np.concatenate([starts[1:], [len(values)]]).astype(np.int64)
    return np.stack([starts, stops, values[starts].astype(np.int64)], axis=1)


def hold(due: NDArray[np.integer[Any]], given: NDArray[np.integer[Any]], length: int) -> NDArray[np.int64]:
    """What is decided at each of ``length`` samples, where ``given`` [L] came after the samples ``due`` [L], ascending.

    >>> hold(np.array([1, 3]), np.array([5, 6]), 5).tolist()
    [-1, 5, 5, 6, 6]
    """
    latest = np.searchsorted(due, np.arange(length), side="right") - 1
    padded = np.concatenate([[UNDECIDED], given]).astype(np.int64)
    held: NDArray[np.int64] = padded[latest + 1]
    return held


def _count_class(timeline: Timeline, k: int, tolerance: int) -> tuple[list[int], list[int]]:
    """The row of the tally, and the delays in samples, of one class."""
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
    """Elementwise quotient, 0 where the divisor is 0."""
    return np.asarray(numerator / np.maximum(denominator, 1), dtype=np.float64)


def _f1(tally: NDArray[np.int64]) -> NDArray[np.float64]:
    """F1 of events, [..., K, 6] to [..., K]; 0 where there is neither event nor detection."""
    events, hits, detections, alarms = (tally[..., i] for i in range(4))
    recall, precision = _divide(hits, events), _divide(detections - alarms, detections)
    return np.asarray(2 * recall * precision / np.where(recall + precision > 0, recall + precision, 1.0))


def macro_event_f1(tally: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean F1 of the classes with events or detections: [..., K, 6] to [...]."""
    there = (tally[..., 0] + tally[..., 2]) > 0
    return _divide((_f1(tally) * there).sum(axis=-1), there.sum(axis=-1))


def _scores(tally: NDArray[np.int64], clock: NDArray[np.int64], rate_hz: float) -> dict[str, NDArray[np.float64]]:
    """Scores [...] by name, of tally [..., K, 6] and clock [..., 5]."""
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
    """Score streams; every term is defined at the top of this module.

    Args:
        timelines: one a recording.
        label_names: K names.
        sample_rate_hz: of all of them.
        tolerance_s: how far an event reaches beyond its end; a window's length is fair to a classifier of windows.
        bootstrap: resamples of the groups; 0 leaves the intervals out.
        seed: of the resampling.

    Raises:
        DataError: there is no timeline or no labelled sample, lengths differ, or a label or decision is out of range.

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
    )


def count_streams(
    timelines: Sequence[Timeline], *, num_classes: int, sample_rate_hz: float, tolerance_s: float
) -> tuple[float, float, float | None]:
    """What a search looks at, without intervals: macro-F1 of events, flicker a minute, median delay in seconds."""
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
            "expected a positive rate, and the others not below 0"
        )


def _draw(num_groups: int, bootstrap: int, seed: int) -> NDArray[np.int64]:
    """How often each group is in each resample: [R, G]; R is 0 with fewer than two groups."""
    rows = bootstrap if num_groups >= 2 else 0
    share = np.full(num_groups, 1 / num_groups)
    return np.random.default_rng(seed).multinomial(num_groups, share, size=rows).astype(np.int64)


def _estimate(value: float, resampled: NDArray[np.float64]) -> Estimate:
    if len(resampled) == 0:
        return Estimate(value, None, None)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Estimate(value, float(low), float(high))


def _delay(delays: list[NDArray[np.float64]], drawn: NDArray[np.int64], quantile: float) -> Estimate | None:
    """A quantile over all delays, each of ``delays`` those of a group."""
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
