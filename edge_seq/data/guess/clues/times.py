"""Times in columns: which column they are in, and their unit by name and by size."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.guess.clues.columns import INDEX_NAMES, TIME_WORDS, axis_of, tokens_of
from edge_seq.data.periods import typical_period
from edge_seq.data.readers.clock import SECONDS_PER_UNIT, is_date, seconds_of_dates
from edge_seq.data.readers.text.dialect import is_number
from edge_seq.data.units import unit_in_name, without_unit

_UNITS = {
    "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "sekunden": "s",
    "ms": "ms", "msec": "ms", "milli": "ms", "millis": "ms", "millisecond": "ms", "milliseconds": "ms",
    "us": "us", "µs": "us", "μs": "us", "usec": "us", "micros": "us", "microsecond": "us", "microseconds": "us",
    "ns": "ns", "nsec": "ns", "nanos": "ns", "nanosecond": "ns", "nanoseconds": "ns",
}  # fmt: skip
_EPOCH = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
_EPOCH_S = (9.5e8, 2.2e9)  # 2000 to 2039
_FEWEST_STAMPS = 2
_RATES_HZ = (4.0, 8000.0)  # a step of 0.2 fits twice: 5 Hz in seconds, and 5 kHz in milliseconds


@dataclass(frozen=True)
class Clock:
    """A column of times.

    Attributes:
        column: its name.
        unit: ``s``, ``ms``, ``us``, ``ns`` or ``datetime``.
        reason: why it is in that unit.
        stands_still: True if several samples share a stamp.
    """

    column: str
    unit: str
    reason: str
    stands_still: bool


def is_time_name(name: str) -> bool:
    """True if the name of a column is one of a time.

    >>> [is_time_name(name) for name in ("Time (s)", "time_us", "ms", "seconds_elapsed", "datetime", "lifetime", "ax")]
    [True, True, True, True, True, False, False]
    """
    if axis_of(name) is not None:  # `gyro_x_rad/sec`
        return False
    tokens = tokens_of(name)
    joined = "".join(tokens)
    return bool(set(tokens) & TIME_WORDS) or joined in TIME_WORDS or without_unit(name).lower() in TIME_WORDS


def is_index_name(name: str) -> bool:
    """True if the name of a column is one of a counter."""
    return "".join(tokens_of(name)) in INDEX_NAMES or name.lower() in INDEX_NAMES


def unit_by_name(name: str) -> str | None:
    """Unit of time that a name gives; None if it gives none.

    >>> unit_by_name("Time (ms)"), unit_by_name("time_us"), unit_by_name("millis"), unit_by_name("seconds_elapsed")
    ('ms', 'us', 'ms', 's')
    """
    in_brackets = (unit_in_name(name) or "").lower()
    if in_brackets in _UNITS:
        return _UNITS[in_brackets]
    tokens = re.split(r"[\W_]+", without_unit(name).lower()) + tokens_of(name)
    return next((_UNITS[token] for token in reversed(tokens) if token in _UNITS), None)


def unit_by_size(ticks: NDArray[np.float64], step: float) -> tuple[str, str] | None:
    """Unit of time by the size of times, or of their step; None if several fit alike.

    >>> unit_by_size(np.array([0.0, 20.0, 40.0]), 20.0)
    ('ms', 'a step of 20 is 50 Hz in ms')
    """
    first = float(ticks[0])
    for unit, factor in _EPOCH.items():
        if _EPOCH_S[0] <= first / factor <= _EPOCH_S[1]:
            return unit, f"{first:.13g} is a date of {1970 + int(first / factor / 31556952)} in {unit}"
    if step == 1.0 and bool((ticks == np.rint(ticks)).all()):
        return None
    usual = [
        unit for unit, seconds in SECONDS_PER_UNIT.items() if _RATES_HZ[0] <= 1.0 / (step * seconds) <= _RATES_HZ[1]
    ]
    if len(usual) != 1:
        return None
    unit = usual[0]
    return unit, f"a step of {step:.6g} is {1.0 / (step * SECONDS_PER_UNIT[unit]):.5g} Hz in {unit}"


def median_step(ticks: NDArray[np.float64]) -> float | None:
    """Typical step forward, per sample where several share a stamp; None if times do not increase."""
    known = ticks[np.isfinite(ticks)]
    steps = np.diff(known)
    if steps.size == 0 or not (steps > 0).any():
        return None
    if (steps == 0).mean() < 0.02:
        return typical_period(steps[steps > 0])
    changes = np.flatnonzero(steps > 0)
    stamps = known[np.concatenate([[0], changes + 1])]
    return float(np.median(np.diff(stamps)) / (np.diff(np.concatenate([changes, [len(steps)]])).mean()))


def rises(ticks: NDArray[np.float64], *, named: bool = False) -> bool:
    """True if values never or hardly ever fall, and change.

    Args:
        ticks: values of a column.
        named: True if its name is that of a time, so that a few changes are enough: 100 samples may share a second.
    """
    known = ticks[np.isfinite(ticks)]
    if len(known) < 3 or len(known) < 0.9 * len(ticks):
        return False
    steps = np.diff(known)
    changes = (steps > 0).sum()
    is_enough = changes >= _FEWEST_STAMPS if named else changes > 0.02 * len(steps)
    return bool((steps < 0).mean() <= 0.02 and is_enough)


def counts_by_one(numbers: NDArray[np.float64]) -> bool:
    """True if nearly every number [N] is one more than that before; False for a single number."""
    steps = np.diff(numbers) == 1
    return bool(steps.size and steps.mean() > 0.9)


def clock_of(name: str, ticks: NDArray[np.float64]) -> Clock | str | None:
    """Take a column of numbers for times.

    Returns:
        the clock; a text that says why it cannot be one although its name is that of a time; or None if it is no time.
    """
    named = is_time_name(name)
    if not rises(ticks, named=named):
        return f"{name!r} is named like a time, but its values do not rise" if named else None
    step = median_step(ticks)
    if step is None:
        return None
    stands_still = bool((np.diff(ticks) == 0).mean() > 0.02)
    unit = unit_by_name(name) if named else None
    if unit is not None:
        rate = 1.0 / (step * SECONDS_PER_UNIT[unit])
        by_size = unit_by_size(ticks, step)
        if not 0.01 <= rate <= 1e5 and by_size is not None:
            return Clock(name, by_size[0], f"{by_size[1]}, although its name says {unit}", stands_still)
        return Clock(name, unit, f"its name says {unit}", stands_still)
    if not named:
        steps = np.diff(ticks)
        forward = steps[steps > 0]
        even = forward.size > 4 and float(np.quantile(forward, 0.9)) <= 1.6 * step and (steps >= 0).all()
        if not even or (step == 1.0 and bool((ticks == np.rint(ticks)).all())):
            return None
    found = unit_by_size(ticks, step)
    if found is None:
        if not named:
            return None
        return (
            f"{name!r} is named like a time and rises by {step:g} a sample, which does not tell its unit: seconds, "
            "milliseconds, or a number of samples"
        )
    return Clock(name, found[0], found[1], stands_still)


def clock_of_texts(name: str, texts: Sequence[str]) -> Clock | str | None:
    """Take a column of texts for dates or times of day; see :func:`clock_of`."""
    known = [text for text in texts if text]
    if not known:
        return None
    if sum(map(is_date, known[:50])) > 0.9 * len(known[:50]):
        seconds = seconds_of_dates(known, where="", column=name) if all(map(is_date, known)) else np.empty(0)
        stands_still = len(seconds) > 2 and bool((np.diff(seconds) == 0).mean() > 0.02)
        return Clock(name, "datetime", f"{known[0]!r} is a date or a time of day", stands_still)
    if is_time_name(name):
        strange = next((text for text in known if not is_number(text)), known[0])
        return (
            f"{name!r} is named like a time, but {strange[:40]!r} is neither a number nor a known way to write a date"
        )
    return None
