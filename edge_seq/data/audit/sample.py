"""An even sample of the windows of a data set, drawn while the recordings are read one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_seq.data.readers.signals import Signal
from edge_seq.data.source import DataSource
from edge_seq.data.windows import label_windows

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

    def add(self, signal: Signal) -> None:
        """Draw from the windows of a recording. Windows with missing values are left out."""
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
    """Find the windows of a recording: first samples int64 [B], and indices int16 [B] into its label values."""
    index = np.array([-1 if not value else code for code, value in enumerate(signal.label_values)], dtype=np.int16)
    return label_windows(
        index[signal.label_codes],
        length=source.window_length,
        stride=source.window_stride,
        minimum_share=source.minimum_share,
    )
