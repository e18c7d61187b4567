"""What a page shows of a data set, as plain values: examples, clock, amplitudes, a map of windows, doubtful labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.audit.audit import Audit, Stretch
from edge_seq.data.audit.folds import levels, motion, needs_scikit_learn
from edge_seq.data.audit.mounting import group_distances
from edge_seq.data.audit.sample import SEED, WindowSample
from edge_seq.data.audit.suspects import Doubts, find_doubts
from edge_seq.support.results import Result

MOST_POINTS = 1500
MOST_EXAMPLES, MOST_VALUES = 40, 60_000  # stretches, and values of all of them together
# A group stands apart if its distance is above 1, and 3 times the median of all groups, of which there must be 4.
APART, APART_TIMES, FEWEST_GROUPS = 1.0, 3.0, 4


@dataclass(frozen=True)
class Example(Result):
    """A stretch of one class.

    Attributes:
        label, recording, group: which one.
        at_s: time of its first sample since the recording's first one, in s.
        seconds: length in s.
        window_s: length of a window in s.
        starts_s: first samples of its windows, in s from its beginning.
        values: values of each channel at equal steps, in the channel's unit; of a long stretch (least, largest) in
            turn.
    """

    label: str
    recording: str
    group: str
    at_s: float
    seconds: float
    window_s: float
    starts_s: tuple[float, ...]
    values: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class RecordingClock(Result):
    """Length and clock of a recording.

    Attributes:
        name, group: which one.
        seconds: length in s.
        rate_hz, jitter: sample rate and spread of the periods; None without times.
        gaps, longest_gap_s: number of gaps and the longest of them.
    """

    name: str
    group: str
    seconds: float
    rate_hz: float | None
    jitter: float | None
    gaps: int
    longest_gap_s: float


@dataclass(frozen=True)
class GroupDistance(Result):
    """How far the windows of a group lie from windows of the same classes in other groups.

    The unit is the spread of the windows of one class in one group, or a fifth of the spread of all windows if that is
    more: at 1 the centres are one standard deviation apart in each feature, on average.

    Attributes:
        group: name of the group.
        windows: number of its windows that were drawn.
        level: distance of the means of the channels, which mounting and offset change.
        motion: distance of all other statistics.
        stands_apart: ``level``, ``motion``, ``both``, or an empty text.
    """

    group: str
    windows: int
    level: float
    motion: float
    stands_apart: str


@dataclass(frozen=True)
class WindowMap(Result):
    """Windows in two dimensions, by the principal components of their statistics.

    Attributes:
        x, y: [N] coordinates.
        labels, groups: [N] indices into the names.
        label_names, group_names: names of classes and groups.
        explained: share of the variance that each of the two components holds.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    labels: tuple[int, ...]
    groups: tuple[int, ...]
    label_names: tuple[str, ...]
    group_names: tuple[str, ...]
    explained: tuple[float, ...]


@dataclass(frozen=True)
class DataLook(Result):
    """A closer look at a data set.

    Attributes:
        window_length, window_stride: of the data source, in samples.
        sample_rate_hz: of the data source.
        drawn, total: number of windows that were drawn, as evenly as possible from each class of each group, and of all
            windows. Map, distances and doubts are of those that were drawn.
        seed: seed of the draw.
        examples: stretches of each class.
        windows_by_group: number of windows of each class by group.
        clocks: length and clock of each recording.
        histograms: number of samples in 100 bins of equal width from -full_scale to full_scale, by channel. The bins at
            the ends also count what lies beyond.
        window_map: the windows in two dimensions; None with fewer than three windows.
        distances: distance of each group, the farthest first; empty unless a class is in two groups.
        doubts: labels that may be wrong; None if there is no window.
    """

    window_length: int
    window_stride: int
    sample_rate_hz: float
    drawn: int
    total: int
    seed: int
    examples: tuple[Example, ...]
    windows_by_group: dict[str, dict[str, int]]
    clocks: tuple[RecordingClock, ...]
    histograms: dict[str, tuple[int, ...]]
    window_map: WindowMap | None
    distances: tuple[GroupDistance, ...]
    doubts: Doubts | None


def look_closer(result: Audit) -> DataLook:
    """Collect what a page shows from an audit.

    Raises:
        ToolError: scikit-learn is not installed.
    """
    source, sample = result.source, result.sample
    by_group: dict[str, dict[str, int]] = {}
    for one in result.facts:
        counts = by_group.setdefault(one.group, {})
        for label, count in one.windows.items():
            counts[label] = counts.get(label, 0) + count
    features = None if sample is None else _scaled(sample)
    return DataLook(
        window_length=source.window_length,
        window_stride=source.window_stride,
        sample_rate_hz=source.sample_rate_hz,
        drawn=0 if sample is None else len(sample.labels),
        total=0 if sample is None else sample.total,
        seed=SEED,
        examples=_examples(result),
        windows_by_group=by_group,
        clocks=tuple(
            RecordingClock(
                name=one.name,
                group=one.group,
                seconds=one.samples / (one.rate_hz or source.sample_rate_hz),
                rate_hz=one.rate_hz,
                jitter=one.jitter,
                gaps=one.gaps,
                longest_gap_s=one.longest_gap_s,
            )
            for one in result.facts
        ),
        histograms={
            channel.name: tuple(result.histograms[index].tolist()) for index, channel in enumerate(source.channels)
        },
        window_map=None if sample is None or features is None else _map(sample, features),
        distances=() if sample is None or features is None else _distances(sample, features),
        doubts=None if sample is None else find_doubts(sample),
    )


def _examples(result: Audit) -> tuple[Example, ...]:
    chosen = result.stretches
    if len(chosen) > MOST_EXAMPLES:  # one of each class
        first = {one.label: one for one in reversed(chosen)}
        chosen = tuple(one for one in chosen if first[one.label] is one)[:MOST_EXAMPLES]
    channels = [channel.name for channel in result.source.channels]
    points = max(40, MOST_VALUES // max(1, len(chosen) * len(channels)))
    window_s = result.source.window_length / result.source.sample_rate_hz
    return tuple(_example(one, channels, points, result.source.sample_rate_hz, window_s) for one in chosen)


def _example(one: Stretch, channels: list[str], points: int, rate_hz: float, window_s: float) -> Example:
    return Example(
        label=one.label,
        recording=one.recording,
        group=one.group,
        at_s=one.first / rate_hz,
        seconds=len(one.values) / rate_hz,
        window_s=window_s,
        starts_s=tuple(start / rate_hz for start in one.starts),
        values={name: _thinned(one.values[:, index], points) for index, name in enumerate(channels)},
    )


def _thinned(values: NDArray[np.float64], most: int) -> tuple[float, ...]:
    """Values as they are, or (least, largest) of equal pieces in turn, so that no peak is lost."""
    if len(values) > most:
        pieces = np.array_split(values, most // 2)
        values = np.array([end for piece in pieces for end in (piece.min(), piece.max())])
    return tuple(float(f"{value:.4g}") for value in values)


@dataclass(frozen=True)
class _Features:
    """Levels float64 [N, C] and motion float64 [N, F] of windows in units of the spread within a class of a group."""

    level: NDArray[np.float64]
    motion: NDArray[np.float64]


def _scaled(sample: WindowSample) -> _Features:
    """Scale each feature by its spread within a class of a group, but by no less than a fifth of its whole spread."""
    _, cell = np.unique(np.stack([sample.labels, sample.groups]), axis=1, return_inverse=True)
    scaled = []
    for values in (levels(sample), motion(sample)):
        count = np.bincount(cell).astype(np.float64)
        centre = np.stack([np.bincount(cell, weights=column) for column in values.T], axis=1) / count[:, np.newaxis]
        within = np.sqrt(((values - centre[cell]) ** 2).mean(axis=0))
        scale = np.maximum(within, 0.2 * values.std(axis=0))
        moves = scale > 1e-9 * np.abs(values).max(axis=0, initial=1e-12)
        kept = values[:, moves]
        scaled.append((kept - kept.mean(axis=0)) / scale[moves])
    return _Features(*scaled)


def _map(sample: WindowSample, features: _Features) -> WindowMap | None:
    """Project windows on two principal components. Levels and motion weigh the same."""
    with needs_scikit_learn():
        from sklearn.decomposition import PCA
    blocks = [block / np.sqrt(block.shape[1]) for block in (features.level, features.motion) if block.shape[1]]
    if len(sample.labels) < 3 or not blocks:
        return None
    together = np.concatenate(blocks, axis=1)
    if together.shape[1] < 2:
        together = np.concatenate([together, np.zeros((len(together), 1))], axis=1)
    components = PCA(2, svd_solver="full").fit(together)
    placed = components.transform(together)
    shown = np.arange(len(placed))
    if len(placed) > MOST_POINTS:
        shown = np.sort(np.random.default_rng(SEED).choice(len(placed), MOST_POINTS, replace=False))
    label_names, labels = np.unique(sample.labels, return_inverse=True)
    group_names, groups = np.unique(sample.groups, return_inverse=True)
    return WindowMap(
        x=tuple(float(f"{value:.4g}") for value in placed[shown, 0]),
        y=tuple(float(f"{value:.4g}") for value in placed[shown, 1]),
        labels=tuple(labels[shown].tolist()),
        groups=tuple(groups[shown].tolist()),
        label_names=tuple(label_names.tolist()),
        group_names=tuple(group_names.tolist()),
        explained=tuple(float(share) for share in np.nan_to_num(components.explained_variance_ratio_)),
    )


def _distances(sample: WindowSample, features: _Features) -> tuple[GroupDistance, ...]:
    group_names, groups = np.unique(sample.groups, return_inverse=True)
    _, labels = np.unique(sample.labels, return_inverse=True)
    found = np.stack([group_distances(block, labels, groups) for block in (features.level, features.motion)], axis=1)
    known = np.isfinite(found).all(axis=1)
    if known.sum() < 2:
        return ()
    usual = np.median(found[known], axis=0)
    apart = (found > np.maximum(APART, APART_TIMES * usual)) & (known.sum() >= FEWEST_GROUPS)
    named = {(False, False): "", (True, False): "level", (False, True): "motion", (True, True): "both"}
    distances = [
        GroupDistance(
            group=str(group_names[g]),
            windows=int((groups == g).sum()),
            level=float(found[g, 0]),
            motion=float(found[g, 1]),
            stands_apart=named[bool(apart[g, 0]), bool(apart[g, 1])],
        )
        for g in np.flatnonzero(known)
    ]
    return tuple(sorted(distances, key=lambda one: (not one.stands_apart, -max(one.level, one.motion), one.group)))
