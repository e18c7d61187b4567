"""Recordings of equal length that follow each other in a file, with no mark between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_seq.data.guess.draft import Draft
from edge_seq.data.readers.clock import unwrapped
from edge_seq.support.figure_text import counted

_SHORTEST, _LONGEST = 16, 2000  # rows of a recording
_LARGE_SHARE, _APART = 0.1, 2.0  # a jump is among the tenth of largest steps, and twice as large as those around it
_MOST, _FEW, _MANY = 0.75, 6, 12  # share of the places that must be jumps; number of places that tell enough
_HUGE = 1e100  # no sensor gives it; numbers of a damaged file must not overflow here


def find_gestures(draft: Draft) -> None:
    """Cut files into recordings of equal length where times start again or values jump after that many rows.

    Only tables of text can be cut so. Where a mark, a column or a clock tells recordings apart, there is no need.
    """
    if draft.found.sensors or draft.sensor is not None or "recording_column" in draft.fields:
        return
    if any(look.dialect is None or look.segments for look in draft.looks):
        return
    clock = draft.fields.get("time_column") or draft.fields.get("index_column")
    if clock is not None:
        if draft.fields.get("time_unit") == "datetime":
            return
        rows, why = _restarts([unwrapped(look.numbers[clock]) for look in draft.looks]), f"{clock!r} starts again"
    else:
        names = [name for name in draft.looks[0].columns if name in draft.looks[0].numbers and name not in draft.roles]
        if not names:
            return
        rows = rows_apart([np.stack([look.numbers[name] for name in names], axis=1) for look in draft.looks])
        why = "the values jump, as between gestures,"
    if rows is None:
        return
    draft.fields["rows_per_recording"] = rows
    cut = [(*[rows] * (look.rows // rows), *([look.rows % rows] if look.rows % rows else [])) for look in draft.looks]
    draft.looks = [replace(look, segments=lengths) for look, lengths in zip(draft.looks, cut, strict=True)]
    draft.said.append(
        f"{why} after each {rows} rows: {counted(sum(map(len, cut)), 'recording')} of {counted(rows, 'sample')} "
        f"(rows_per_recording = {rows}; take it out if a file is one recording)"
    )


def _restarts(clocks: Sequence[NDArray[np.float64]]) -> int | None:
    """Number of rows after which times start again; None if they do not, or not at equal distances."""
    found: set[int] = set()
    for ticks in clocks:
        falls = np.flatnonzero(np.diff(ticks) < 0) + 1
        lengths = np.diff(np.concatenate([[0], falls, [len(ticks)]]))
        found |= {int(one) for one in lengths[:-1]}
        if not falls.size or len(found) != 1 or lengths[-1] > lengths[0]:
            return None
    return found.pop() if found else None


def rows_apart(files: Sequence[NDArray[np.float64]]) -> int | None:
    """Find the number of rows of recordings of equal length by the jumps between them; None if it is not clear.

    Args:
        files: float64 [N, C], values of each file.

    >>> rng = np.random.default_rng(0)
    >>> gestures = [np.cumsum(rng.normal(0, 0.1, (40, 3)), axis=0) + rng.normal(0, 2, 3) for _ in range(10)]
    >>> rows_apart([np.concatenate(gestures)]), rows_apart([np.cumsum(rng.normal(0, 0.1, (400, 3)), axis=0)])
    (40, None)
    """
    jumps = [_jumps(values) for values in files]
    longest = min(_LONGEST, max(len(values) for values in files) // 2)
    for rows in range(_SHORTEST, longest + 1):
        at = np.concatenate([one[rows - 1 :: rows] for one in jumps])
        is_whole = all(len(values) % rows == 0 for values in files)
        if at.size >= (_FEW if is_whole else _MANY) and at.mean() >= _MOST:
            return rows
    return None


def _jumps(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether the step from each row to the next is a jump, bool [N - 1]."""
    steps = np.abs(np.diff(np.clip(np.nan_to_num(values), -_HUGE, _HUGE), axis=0))
    if len(steps) < 2 * _SHORTEST:
        return np.zeros(len(steps), dtype=np.bool_)
    size = (steps / np.maximum(np.median(steps, axis=0), 1e-9)).sum(axis=1)
    around = sliding_window_view(np.pad(size, 3, mode="edge"), 7)
    found: NDArray[np.bool_] = (size > np.quantile(size, 1 - _LARGE_SHARE)) & (
        size > _APART * np.median(around, axis=1)
    )
    return found
