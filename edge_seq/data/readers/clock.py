"""Times of samples: dates and clock times as text, and stamps that several samples share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edge_seq.support.errors import DataError

SECONDS_PER_UNIT = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_TIME = r"(?P<h>\d{1,2}):(?P<m>\d{2})(?::(?P<s>\d{2})(?:[.,:](?P<f>\d{1,9}))?)?\s*(?P<half>[AaPp][Mm])?"
_ZONE = r"\s*(?P<zone>Z|UTC|[+-]\d{2}:?\d{2})?"
_DATES = (
    r"(?P<y>\d{4})[-/.](?P<mo>\d{1,2})[-/.](?P<d>\d{1,2})",
    r"(?P<d>\d{1,2})\.(?P<mo>\d{1,2})\.(?P<y>\d{4})",
    r"(?P<mo>\d{1,2})[/-](?P<d>\d{1,2})[/-](?P<y>\d{4})",
    r"(?P<d>\d{1,2})[/-](?P<mo>\d{1,2})[/-](?P<y>\d{4})",
)
_FORMS = tuple(re.compile(f"{date}[T\\s_,;]+{_TIME}{_ZONE}", re.ASCII) for date in _DATES)
_CLOCK = re.compile(_TIME + _ZONE, re.ASCII)
# Largest value and one: of counters, as they are and divided; of seconds and milliseconds of a day and of a week.
_COUNTER_SIZES = (
    2.0**8, 2.0**16, 2.0**32, 2.0**32 / 1e3, 2.0**32 / 1e6, 86400.0, 86400e3, 604800.0, 604800e3
)  # fmt: skip
_LONGEST_STEP = 4.0  # times the usual one, where a counter runs over
_DAY = 86400.0
_HALF_DAY = 43200.0


def is_date(text: str) -> bool:
    """True if a text is a date with a time of day, or a time of day.

    >>> is_date("2023-05-04T10:11:12.010Z"), is_date("10:11:12"), is_date("12.5"), is_date("walk")
    (True, True, False, False)
    """
    text = text.strip()
    return any(form.fullmatch(text) for form in (*_FORMS, _CLOCK))


def seconds_of_dates(texts: Sequence[str], *, where: str, column: str) -> NDArray[np.float64]:
    """Convert dates or times of day to seconds: float64 [N], since 1970 for dates, NaN for an empty text.

    Days and months that can be told apart only by their order are read so that the recording is shortest. A time of
    day that falls by more than half a day has passed midnight.

    Raises:
        DataError: a text is neither; the message names the first one.

    >>> seconds_of_dates(["23:59:59.5", "00:00:00.5"], where="a.csv", column="t").tolist()
    [86399.5, 86400.5]
    """
    found: list[NDArray[np.float64]] = []
    stripped = [text.strip() for text in texts]
    for form in (*_FORMS, _CLOCK):
        seconds = _parsed(stripped, form)
        if seconds is not None:
            found.append(seconds)
    if not found:
        row = next((n for n, text in enumerate(stripped) if text and not is_date(text)), 0)
        raise DataError(
            f"{where}: column {column!r} must hold dates or times of day, but row {row + 1} holds {stripped[row]!r}; "
            "correct the row, or set time_unit to the unit of its numbers (s, ms, us, ns)"
        )
    return min(found, key=_duration)


def _duration(seconds: NDArray[np.float64]) -> float:
    known = seconds[np.isfinite(seconds)]
    return float(known.max() - known.min()) if known.size else 0.0


def _parsed(texts: Sequence[str], form: re.Pattern[str]) -> NDArray[np.float64] | None:
    seconds = np.full(len(texts), np.nan)
    days: dict[tuple[str, str, str], float] = {}
    for n, text in enumerate(texts):
        if not text:
            continue
        match = form.fullmatch(text)
        if match is None:
            return None
        part = match.groupdict()
        hour, minute, second = int(part["h"]), int(part["m"]), int(part["s"] or 0)
        if part["half"]:
            hour = hour % 12 + (12 if part["half"].lower() == "pm" else 0)
        if hour > 24 or minute > 59 or second > 60:
            return None
        of_day = hour * 3600 + minute * 60 + second + (float(f"0.{part['f']}") if part["f"] else 0.0)
        if "y" in part:
            key = (part["y"], part["mo"], part["d"])
            if key not in days:
                day = _day(*key)
                if day is None:
                    return None
                days[key] = day
            of_day += days[key] * _DAY
        zone = part["zone"]
        if zone and zone[0] in "+-":
            offset = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
            of_day -= offset if zone[0] == "+" else -offset
        seconds[n] = of_day
    if "y" not in form.groupindex:
        known = np.flatnonzero(np.isfinite(seconds))
        passed = np.concatenate([[0], np.cumsum(np.diff(seconds[known]) < -_HALF_DAY)]) if known.size else np.empty(0)
        seconds[known] += passed * _DAY
    return seconds


def _day(year: str, month: str, day: str) -> float | None:
    try:
        return float(np.datetime64(f"{year}-{int(month):02d}-{int(day):02d}", "D").astype(np.int64))
    except ValueError:
        return None


def unwrapped(ticks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Let a counter of 8, 16 or 32 bits go on where it ran over: milliseconds after 49 days, microseconds after 72 min.

    A fall is taken for that only if the counter went on by about a usual step, and not back to where the rows begin:
    that is how recordings of 256 samples follow each other. Counts may have been divided by 1,000 or 1,000,000 before
    they were written.

    Args:
        ticks: float64 [T], values of the counter, in the order of the rows.

    Returns:
        float64 [T]; ``ticks`` itself if it did not run over.

    >>> unwrapped(np.array([65516.0, 0.0, 20.0])).tolist(), unwrapped(np.array([500.0, 0.0, 20.0])).tolist()
    ([65516.0, 65536.0, 65556.0], [500.0, 0.0, 20.0])
    """
    steps = np.diff(ticks)
    falls = np.flatnonzero(steps < 0)
    forward = steps[steps > 0]
    if not falls.size or not forward.size or not np.isfinite(ticks).all() or bool((ticks[falls + 1] == ticks[0]).all()):
        return ticks
    longest = _LONGEST_STEP * float(np.median(forward))
    for size in _COUNTER_SIZES:
        # From the largest count to 0, or of a signed counter to the smallest.
        is_inside = bool((ticks >= 0).all() and (ticks < size).all()) or bool((np.abs(ticks) <= size / 2).all())
        over = steps[falls] + size
        if is_inside and bool(((over > 0) & (over <= longest)).all()):
            added = np.zeros(len(ticks))
            added[falls + 1] = size
            return ticks + np.cumsum(added)
    return ticks


def seconds_of_ticks(ticks: NDArray[np.float64], unit: str) -> NDArray[np.float64]:
    """Times in seconds, float64 [T], of a column of numbers in ``s``, ``ms``, ``us`` or ``ns``; see :func:`unwrapped`.

    A column of dates that was read as seconds has the unit ``datetime``.
    """
    return ticks if unit == "datetime" else unwrapped(ticks) * SECONDS_PER_UNIT[unit]


def spread(time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give samples that share a stamp times of their own, evenly spaced between gaps.

    A sensor with a buffer stamps many samples at once; a coarse clock stands still for a few. Stamps further apart than
    half a step more than their samples need are a gap, and times are spaced evenly from gap to gap.

    Args:
        time_s: float64 [T], seconds, never decreasing.

    Returns:
        float64 [T], increasing where ``time_s`` has at least two stamps.

    >>> spread(np.array([0.0, 0.0, 0.2, 0.2, 0.4, 0.4])).round(3).tolist()
    [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    """
    if len(time_s) < 2 or not np.isfinite(time_s).all() or (np.diff(time_s) < 0).any():
        return time_s
    first = np.concatenate([[0], np.flatnonzero(np.diff(time_s) > 0) + 1])  # first sample of each stamp
    if len(first) < 2 or len(first) == len(time_s):
        return time_s
    steps, counts = np.diff(time_s[first]), np.diff(first)
    period = float(steps.sum() / counts.sum()) if len(steps) < 3 else float(np.median(steps) / np.mean(counts))
    if np.all(counts == counts[0]):
        period = float(np.median(steps / counts))
    is_gap = (steps > 1.5 * counts * period) & (steps > 1.5 * np.median(steps))
    edges = np.concatenate([[0], np.flatnonzero(is_gap) + 1, [len(first)]])
    out: NDArray[np.float64] = time_s.copy()
    for start, stop in pairwise(edges.tolist()):
        begin = int(first[start])
        end = int(first[stop]) if stop < len(first) else len(time_s)
        last = int(first[stop - 1])
        own = (time_s[last] - time_s[begin]) / (last - begin) if last > begin else period
        out[begin:end] = time_s[begin] + own * np.arange(end - begin)
    return out
