"""An even sample of the windows of a data set, drawn while the recordings are read one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_seq.data.checks import WILD, find_gaps
from edge_seq.data.readers.signals import Signal
from edge_seq.data.resample import resample, rows_at
from edge_seq.data.source import DataSource
from edge_seq.data.windows import label_windows
from edge_seq.support.errors import ContractError

MAX_WINDOWS, MAX_BYTES = 4000, 32 * 1024 * 1024  # whichever is less; values are kept as float32
SEED = 0


@dataclass(frozen=True)
class WindowSample:
    """N windows of T samples of C channels, as even as possible over the classes of each group.

    Attributes:
        values: float32 [N, T, C], in the channels' units, before any preprocessing.
        labels, groups, recordings: str [N].
        first: int64 [N], first sample of each window within its recording.
        at_s: float64 [N], time of that sample since the first one of the recording, in s.
        total: number of windows in the data set.
    """

    values: NDArray[np.float32]
    labels: NDArray[np.str_]
    groups: NDArray[np.str_]
    recordings: NDArray[np.str_]
    first: NDArray[np.int64]
    at_s: NDArray[np.float64]
    total: int


@dataclass(frozen=True)
class _Drawn:
    priority: float
    order: int
    recording: str
    first: int
    at_s: float
    values: NDArray[np.float32]


@dataclass
class _Cell:
    """Windows of one class of one group: those with the lowest random priorities, all below ``limit``."""

    limit: float = 1.0
    drawn: list[_Drawn] = field(default_factory=list)

    def cut(self, most: int) -> None:
        if len(self.drawn) > most:
            self.drawn.sort(key=lambda one: one.priority)
            self.limit = self.drawn[most].priority
            del self.drawn[most:]


class WindowSampler:
    """Draws windows from recordings that pass by once. Equal recordings in equal order give an equal sample."""

    def __init__(self, source: DataSource) -> None:
        self._source = source
        self._most = max(1, min(MAX_WINDOWS, MAX_BYTES // (4 * source.window_length * len(source.channels))))
        self._random = np.random.default_rng(SEED)
        self._cells: dict[tuple[str, str], _Cell] = {}
        self._total = self._kept = 0
        self._largest = WILD * np.array([channel.full_scale for channel in source.channels])

    def add(self, signal: Signal) -> None:
        """Draw from the windows of a recording at the rate. Windows with missing values are left out, and values far
        beyond full scale, which would hide all others, are cut."""
        starts, codes = windows_of(signal, self._source)
        if not starts.size:
            return
        length, rate_hz = self._source.window_length, self._source.sample_rate_hz
        windows = sliding_window_view(signal.values, length, axis=0)
        for start, code, priority in zip(
            starts.tolist(), codes.tolist(), self._random.random(len(starts)).tolist(), strict=True
        ):
            cell = self._cells.setdefault((signal.group, signal.label_values[code]), _Cell())
            self._total += 1
            if priority >= cell.limit or not np.isfinite(values := windows[start].T).all():
                continue
            values = np.clip(values, -self._largest, self._largest)
            at_s = start / rate_hz if signal.time_s is None else float(signal.time_s[start] - signal.time_s[0])
            cell.drawn.append(_Drawn(priority, self._total, signal.name, start, at_s, values.astype(np.float32)))
            self._kept += 1
            if self._kept > 1.25 * self._most:
                self._trim()

    def sample(self) -> WindowSample | None:
        """The windows drawn, in the order of the recordings; None if there is no window."""
        self._trim()
        drawn = sorted(
            ((one, group, label) for (group, label), cell in self._cells.items() for one in cell.drawn),
            key=lambda found: found[0].order,
        )
        if not drawn:
            return None
        return WindowSample(
            values=np.stack([one.values for one, *_ in drawn]),
            labels=np.array([label for *_, label in drawn], dtype=np.str_),
            groups=np.array([group for _, group, _ in drawn], dtype=np.str_),
            recordings=np.array([one.recording for one, *_ in drawn], dtype=np.str_),
            first=np.array([one.first for one, *_ in drawn], dtype=np.int64),
            at_s=np.array([one.at_s for one, *_ in drawn], dtype=np.float64),
            total=self._total,
        )

    def _trim(self) -> None:
        """Cut the largest cells to one size, so that the windows kept are few enough."""
        share, left, cells = 0, self._most, sorted(self._cells.values(), key=lambda one: len(one.drawn))
        for index, cell in enumerate(cells):
            share = left // (len(cells) - index)
            if len(cell.drawn) > share:
                break
            left -= len(cell.drawn)
        for cell in cells:
            cell.cut(max(1, share))
        full = sorted((cell for cell in cells if cell.drawn), key=lambda one: one.drawn[0].priority)
        for cell in full[self._most :]:  # more cells than windows may be kept
            cell.cut(0)
        self._kept = sum(len(cell.drawn) for cell in cells)


def windows_of(signal: Signal, source: DataSource) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
    """Find the windows of a recording, none of them across a gap; see :func:`at_the_rate`.

    Returns:
        first samples int64 [B], and indices int16 [B] into its label values.
    """
    starts, codes = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int16)]
    for piece in _pieces(signal, source):
        first, found = _windows(signal, signal.label_codes[piece], source)
        starts.append(first + piece.start)
        codes.append(found)
    return np.concatenate(starts), np.concatenate(codes)


def at_the_rate(signal: Signal, source: DataSource) -> Signal:
    """The signal at the rate of the contract, as a training gets it, if the data source asks for resampling.

    A piece that a training would refuse, which is a finding of its own, is left out.
    """
    if source.resample == "none" or signal.time_s is None:
        return signal
    found: list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]] = []
    for piece in _pieces(signal, source):
        time_s = signal.time_s[piece]
        if len(time_s) < 2 or not (np.diff(time_s) > 0).all():
            continue
        try:
            values, codes = resample(
                time_s,
                signal.values[piece],
                signal.label_codes[piece],
                sample_rate_hz=source.sample_rate_hz,
                method=source.resample,
                name=signal.name,
            )
        except ContractError:
            continue
        found.append((rows_at(time_s, source.sample_rate_hz)[0], values, codes))
    if not found:
        nothing = slice(0)
        return replace(signal, values=signal.values[nothing], time_s=signal.time_s[nothing],
                       label_codes=signal.label_codes[nothing], breaks=signal.breaks[nothing])  # fmt: skip
    times, values_of, codes_of = zip(*found, strict=True)
    return replace(
        signal,
        time_s=np.concatenate(times),
        values=np.concatenate(values_of),
        label_codes=np.concatenate(codes_of),
        breaks=np.cumsum([len(one) for one in times[:-1]], dtype=np.int64),
    )


def _windows(
    signal: Signal, codes: NDArray[np.int64], source: DataSource
) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
    index = np.array([-1 if not value else code for code, value in enumerate(signal.label_values)], dtype=np.int16)
    return label_windows(
        index[codes],
        length=source.window_length,
        stride=source.window_stride,
        minimum_share=source.minimum_share,
    )


def _pieces(signal: Signal, source: DataSource) -> list[slice]:
    """Pieces of a recording between the places where a training cuts it."""
    cuts = signal.breaks
    if source.on_gap == "split" and signal.time_s is not None and len(signal.time_s) > 1:
        rate_hz = source.sample_rate_hz
        if source.resample != "none" and (step := float(np.median(np.diff(signal.time_s)))) > 0:
            rate_hz = min(rate_hz, 1.0 / step)
        cuts = np.union1d(cuts, find_gaps(signal.time_s, max_gap_s=source.max_gap_at(rate_hz)) + 1)
    return [slice(first, end) for first, end in pairwise([0, *cuts.tolist(), len(signal.values)]) if end > first]
