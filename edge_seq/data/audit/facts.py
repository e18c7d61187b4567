"""Facts of one recording. They are small, so the facts of any number of recordings fit into memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.audit.sample import windows_of
from edge_seq.data.checks import find_gaps
from edge_seq.data.periods import typical_period
from edge_seq.data.readers.signals import Signal
from edge_seq.data.source import DataSource
from edge_seq.data.units import GRAVITY_IN
from edge_seq.ir.contract import SensorContract, axis_triples, to_counts

# A second is still if the length of the vector varies by less than 2 %, and each axis by less than 3 % of that length.
_STILL_NORM, _STILL_AXIS, _MIN_STILL_BLOCKS = 0.02, 0.03, 2
_MIN_LEVELS = 4
_ANCHOR_STEPS = 4  # a stretch that stays within so many steps of the sensor is noise at rest
_ANCHOR_ROWS, _ANCHOR_CHANGES, _ANCHOR_EVERY = 12, 6, 8
_NEXT_VALUES, _FEWEST_CLIPPED, _PEAK = 8, 5, 4.0


@dataclass(frozen=True)
class Axis:
    """Facts of one channel of one recording, in the channel's unit.

    Attributes:
        lowest, highest: smallest and largest value.
        at_lowest, at_highest: share of samples at exactly that value if there are far more of them than at the
            neighbouring values, as for a saturated sensor; else 0.
        values: number of different values, counted up to 64.
        beyond: share of samples beyond full scale.
        is_constant: True if the channel never changes by a count.
        stuck_s: longest time without a change while another axis changes.
    """

    lowest: float
    highest: float
    at_lowest: float
    at_highest: float
    values: int
    beyond: float
    is_constant: bool
    stuck_s: float


@dataclass(frozen=True)
class Gravity:
    """Gravity as three axes of an accelerometer show it.

    Attributes:
        still_norm: median length of the vector in still seconds, in g; None with fewer than two of them.
        level: median length of the mean vector of a second, in g.
        level_spread: difference of the 90 % and the 10 % quantile of these lengths, as a share of the median. It is
            small if the data contain gravity, whatever the unit; infinite with fewer than four seconds.
        directions: mean vector of each label, in g.
    """

    still_norm: float | None
    level: float
    level_spread: float
    directions: Mapping[str, tuple[float, float, float]]


@dataclass(frozen=True)
class Facts:
    """Facts of one recording.

    Attributes:
        name, group, split: see :class:`edge_seq.data.recording.Recording`.
        samples: number of samples, T.
        start_s: time of the first sample; None without times.
        rate_hz: sample rate from the typical period; None without times.
        jitter: difference of the 95 % and the 5 % quantile of the periods, as a share of the median; None without
            times.
        gaps, longest_gap_s: number of gaps longer than the data source allows, and the longest of them.
        disorder: number of samples whose time is missing or not later than that of the sample before.
        missing: number of values that are missing or not finite.
        labels: number of samples of each class; the empty text is unlabelled.
        windows: number of windows of each class that a training would cut.
        segments: class, first sample and length of every stretch of one label.
        axes: facts of each channel.
        gravity: gravity of each triple of axes of an accelerometer, by the indices of its channels.
        anchors: uint64 [A], hashes of short stretches of samples; see :func:`anchors_of`.
    """

    name: str
    group: str
    split: str | None
    samples: int
    start_s: float | None
    rate_hz: float | None
    jitter: float | None
    gaps: int
    longest_gap_s: float
    disorder: int
    missing: int
    labels: Mapping[str, int]
    windows: Mapping[str, int]
    segments: tuple[tuple[str, int, int], ...]
    axes: tuple[Axis, ...]
    gravity: Mapping[tuple[int, int, int], Gravity]
    anchors: NDArray[np.uint64]


def facts_of(signal: Signal, cut: Signal, source: DataSource) -> Facts:
    """Collect the facts of a recording.

    Args:
        signal: the recording as its file gives it, before checks and resampling.
        cut: the same at the rate of the contract, for the windows that a training would cut.
        source: its data source.
    """
    contract = source.contract
    finite = np.isfinite(signal.values)
    values = np.where(finite, signal.values, 0.0)
    counts = to_counts(values, contract)
    codes = signal.label_codes
    edges = np.concatenate([[0], np.flatnonzero(np.diff(codes)) + 1, [len(codes)]])
    names = np.array(signal.label_values, dtype=object)
    clock = _clock_facts(signal.time_s, source)
    return Facts(
        name=signal.name,
        group=signal.group,
        split=signal.split,
        samples=len(values),
        **clock,
        missing=int((~finite).sum()),
        labels=_counted(signal.label_values, np.bincount(codes, minlength=len(signal.label_values))),
        windows=_counted(
            signal.label_values, np.bincount(windows_of(cut, source)[1], minlength=len(signal.label_values))
        ),
        segments=tuple(
            (str(names[codes[first]]), int(first), int(end - first))
            for first, end in pairwise(edges)
            if names[codes[first]]
        ),
        axes=tuple(_axis(values, counts, index, contract) for index in range(contract.num_channels)),
        gravity={
            triple: _gravity(values[:, triple], signal, contract, triple)
            for triple in axis_triples(contract)
            if contract.channels[triple[0]].unit in GRAVITY_IN
        },
        anchors=anchors_of(counts),
    )


def _counted(values: tuple[str, ...], counts: NDArray[np.integer]) -> dict[str, int]:
    found: dict[str, int] = {}
    for value, count in zip(values, counts.tolist(), strict=True):
        if count:
            found[value] = found.get(value, 0) + count
    return found


def _clock_facts(time_s: NDArray[np.float64] | None, source: DataSource) -> dict[str, Any]:
    nothing = {"start_s": None, "rate_hz": None, "jitter": None, "gaps": 0, "longest_gap_s": 0.0, "disorder": 0}
    if time_s is None or len(time_s) < 2:
        return nothing
    known = time_s[np.isfinite(time_s)]
    steps = np.diff(known)
    forward = steps[steps > 0]
    disorder = int((steps <= 0).sum() + len(time_s) - len(known))
    if not forward.size:
        return {**nothing, "disorder": disorder}
    median = float(np.median(forward))
    low, high = np.quantile(forward, [0.05, 0.95])
    rate_hz = 1.0 / typical_period(forward)
    limit = source.max_gap_at(min(source.sample_rate_hz, rate_hz) if source.resample != "none" else rate_hz)
    gaps = find_gaps(known, max_gap_s=limit)
    return {
        "start_s": float(known[0]),
        "rate_hz": rate_hz,
        "jitter": float(high - low) / median,
        "gaps": len(gaps),
        "longest_gap_s": float(steps[gaps].max()) if gaps.size else 0.0,
        "disorder": disorder,
    }


def _axis(values: NDArray[np.float64], counts: NDArray[np.int16], index: int, contract: SensorContract) -> Axis:
    column, channel = values[:, index], contract.channels[index]
    lowest, highest = float(column.min()), float(column.max())
    others_move = (np.diff(np.delete(values, index, axis=1), axis=0) != 0).any(axis=1)
    run = _longest_run((np.diff(column) == 0) & others_move) if contract.num_channels > 1 else 0
    return Axis(
        lowest=lowest,
        highest=highest,
        at_lowest=_share_at_end(-column),
        at_highest=_share_at_end(column),
        values=min(64, len(np.unique(column[:: max(1, len(column) // 5000)]))),
        beyond=float((np.abs(column) > channel.full_scale * (1 + 1e-3)).mean()),
        is_constant=len(counts) > 1 and bool((counts[:, index] == counts[0, index]).all()),
        stuck_s=run / contract.sample_rate_hz,
    )


def _runs(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Find the length of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return edges[1::2] - edges[::2]


def _longest_run(mask: NDArray[np.bool_]) -> int:
    return int(_runs(mask).max(initial=0))


def _share_at_end(column: NDArray[np.float64]) -> float:
    """Share of samples at the largest value if that value is a peak of the distribution; else 0."""
    _, counts = np.unique(column, return_counts=True)
    if len(counts) <= _NEXT_VALUES:
        return 0.0
    expected = float(np.median(counts[-_NEXT_VALUES - 1 : -1]))
    is_peak = counts[-1] >= _FEWEST_CLIPPED and counts[-1] > _PEAK * expected
    return float(counts[-1]) / len(column) if is_peak else 0.0


def _gravity(
    xyz: NDArray[np.float64], signal: Signal, contract: SensorContract, triple: tuple[int, int, int]
) -> Gravity:
    unit = contract.channels[triple[0]].unit
    xyz = xyz / GRAVITY_IN[unit]
    rate_hz = contract.sample_rate_hz
    if signal.time_s is not None and len(signal.time_s) > 1:
        period = float(np.median(np.diff(signal.time_s)))
        rate_hz = 1.0 / period if period > 0 else rate_hz
    block = min(max(8, round(rate_hz)), len(xyz))
    blocks = xyz[: len(xyz) // block * block].reshape(-1, block, 3)
    norm = np.linalg.norm(blocks, axis=2)
    mean_norm = np.maximum(norm.mean(axis=1), 1e-12)
    still = (norm.std(axis=1) < _STILL_NORM * mean_norm) & (blocks.std(axis=1).max(axis=1) < _STILL_AXIS * mean_norm)
    directions = {}
    for code, value in enumerate(signal.label_values):
        rows = xyz[signal.label_codes == code]
        if value and len(rows):
            x, y, z = rows.mean(axis=0).tolist()
            directions[value] = (x, y, z)
    levels = np.linalg.norm(blocks.mean(axis=1), axis=1)
    low, level, high = np.quantile(levels, [0.1, 0.5, 0.9]).tolist()
    return Gravity(
        still_norm=float(np.median(norm[still])) if still.sum() >= _MIN_STILL_BLOCKS else None,
        level=level,
        level_spread=(high - low) / max(level, 1e-12) if len(levels) >= _MIN_LEVELS else float("inf"),
        directions=directions,
    )


def _spans_steps(counts: NDArray[np.int16]) -> NDArray[np.bool_]:
    """True for each stretch of 12 samples in which an axis spans more than a few of its steps, bool [T - 11]."""
    spans = np.zeros(len(counts) - _ANCHOR_ROWS + 1, dtype=np.bool_)
    for channel in range(counts.shape[1]):
        column = counts[:, channel].astype(np.int32)
        steps = np.abs(np.diff(column))
        steps = steps[steps > 0]
        if steps.size:
            stretches = np.lib.stride_tricks.sliding_window_view(column, _ANCHOR_ROWS)
            spans |= np.ptp(stretches, axis=1) > _ANCHOR_STEPS * int(steps.min())
    return spans


def anchors_of(counts: NDArray[np.int16]) -> NDArray[np.uint64]:
    """Hash about every eighth stretch of 12 samples. The hash itself selects the stretch (winnowing).

    Equal samples give equal anchors wherever they lie, so shifted and shortened copies are found too. Stretches that
    hardly change are left out, because one parked car looks like another.

    Args:
        counts: int16 [T, C].

    Returns:
        uint64 [A], sorted, without duplicates.
    """
    if len(counts) < _ANCHOR_ROWS:
        return np.empty(0, dtype=np.uint64)
    odd = np.random.default_rng(12345).integers(1, 2**63, size=(counts.shape[1] + _ANCHOR_ROWS), dtype=np.uint64) | 1
    rows = (counts.astype(np.int64).astype(np.uint64) * odd[: counts.shape[1]]).sum(axis=1, dtype=np.uint64)
    rows ^= rows >> np.uint64(29)
    number = len(counts) - _ANCHOR_ROWS + 1
    hashes = np.zeros(number, dtype=np.uint64)
    for offset in range(_ANCHOR_ROWS):
        hashes += rows[offset : offset + number] * odd[counts.shape[1] + offset]
    hashes ^= hashes >> np.uint64(31)
    changes = np.concatenate([[0], np.cumsum(np.diff(rows) != 0)])
    lively = changes[_ANCHOR_ROWS - 1 :] - changes[:number] >= _ANCHOR_CHANGES
    lively &= _spans_steps(counts)
    return np.unique(hashes[lively & (hashes % np.uint64(_ANCHOR_EVERY) == 0)])
