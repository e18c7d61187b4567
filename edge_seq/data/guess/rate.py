"""The column of times, and the rate."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.guess.clues.columns import (
    axis_of,
)
from edge_seq.data.guess.clues.times import (
    Clock,
    clock_of,
    clock_of_texts,
    counts_by_one,
    is_index_name,
    is_time_name,
    median_step,
    rises,
)
from edge_seq.data.guess.draft import Draft
from edge_seq.data.guess.look import (
    Look,
)
from edge_seq.data.readers.clock import seconds_of_dates, seconds_of_ticks, spread, unwrapped
from edge_seq.support.errors import DataError
from edge_seq.support.figure_text import counted

UNKNOWN_RATE_HZ = 50.0
# Rates that sensors and phones are set to, beside whole and half numbers: Bosch, ST, InvenSense, Shimmer.
_USUAL_RATES_HZ = (
    3.125, 6.25, 10, 12.5, 13, 14.9, 15.625, 20, 25, 26, 30, 31.25, 32, 40, 50, 51.2, 52, 59.5, 60, 62.5, 64, 75, 80,
    100, 102.4, 104, 119, 120, 125, 128, 200, 204.8, 208, 238, 250, 256, 400, 416, 476, 500, 512, 800, 833, 952, 1000,
    1024, 1600, 1666,
)  # fmt: skip
_SAME_RATE, _NEAR_RATE = 1e-3, 0.015  # relative: as exact as stamps are, and as a part's own clock is
_RATE_WORDS = re.compile(r"rate|sampl|\bodr\b|\bfs\b|frequen", re.IGNORECASE)
_AT_RATE = re.compile(r"\bat\s+(\d{1,6}(?:\.\d{1,6})?)\s*Hz\b", re.IGNORECASE)
_RATE_IS = re.compile(
    r"\W*(?:sampl\w*[ _-]?)?(?:rate|freq\w*|odr|fs)(?:[ _-]?(?:in[ _-])?[(\[]?hz[)\]]?)?\s*[:=,;]\s*"
    r"(\d{1,6}(?:\.\d{1,6})?)\W*",
    re.IGNORECASE,
)
_FILTER_WORDS = re.compile(r"filter|cut.?off|\blpf\b|\bhpf\b|pass|bandwidth", re.IGNORECASE)


def find_clock(draft: Draft) -> None:
    """Find the column of times, or one that counts samples."""
    first = draft.looks[0]
    if first.time_s is not None:
        return
    recording = draft.fields.get("recording_column")
    clocks: list[Clock] = []
    problems: list[str] = []
    why: dict[str, str] = {}
    for name in first.columns:
        if name in draft.roles:
            continue
        if name in first.numbers:
            if axis_of(name) is not None:
                continue
            found = clock_of(name, _one_recording(first, first.numbers[name], recording, draft.sensor))
        else:
            found = clock_of_texts(name, first.texts[name][:2000])
        if isinstance(found, Clock):
            clocks.append(found)
        elif isinstance(found, str):
            problems.append(found)
            why[name] = found
            if "number of samples" in found and is_index_name(name):
                problems.pop()
    if clocks:
        best = min(clocks, key=lambda one: _rank(one, first))
        draft.fields["time_column"], draft.fields["time_unit"] = best.column, best.unit
        draft.take(best.column, "time", f"in {best.unit}", best.reason)
        draft.said.append(f"{best.column!r} is the time in {best.unit}: {best.reason}")
        if best.stands_still:
            draft.fields["repeated_times"] = "spread"
            draft.said.append(
                f'several samples share a stamp of {best.column!r}; they are spread evenly (repeated_times = "spread")'
            )
        for other in clocks:
            if other is not best:
                draft.take(other.column, "unused", "", f"a second column of times; {best.column!r} is used")
        for name in first.columns:
            if name in draft.roles or name not in first.numbers:
                continue
            if is_time_name(name) or (is_index_name(name) and axis_of(name) is None and rises(first.numbers[name])):
                draft.take(
                    name, "unused", "", f"a second column of times or numbers of samples; {best.column!r} is used"
                )
        return
    index = next(
        (
            name
            for name in first.columns
            if name in first.numbers
            and name not in draft.roles
            and is_index_name(name)
            and counts_by_one(_one_recording(first, first.numbers[name], recording, draft.sensor))
        ),
        None,
    )
    if index is not None:
        draft.fields["index_column"] = index
        draft.take(index, "index", "", "it counts samples by 1")
        draft.said.append(f"samples are counted by the column {index!r}")
    for problem in problems:
        draft.problems.append(
            f"{problem}. Set time_column and time_unit (or index_column) in the data source, or rename the column"
        )
    for name, reason in why.items():
        if name not in draft.roles:
            draft.take(name, "unused", "", reason)


def _one_recording(
    look: Look, values: NDArray[np.float64], recording: str | None, sensor: tuple[str, str] | None
) -> NDArray[np.float64]:
    """Values of the first recording of a file: up to a change of its name, or to where they fall back."""
    if sensor is not None:
        return values[[one == sensor[1] for one in look.texts[sensor[0]]]]
    if recording is not None and recording in look.texts:
        names = look.texts[recording]
        values = values[[one == names[0] for one in names]]
    elif recording is not None and recording in look.numbers:
        values = values[look.numbers[recording] == look.numbers[recording][0]]
    elif look.segments:
        values = values[: look.segments[0]]
    values = unwrapped(values)
    falls = np.flatnonzero(np.diff(values) < 0)
    return values[: int(falls[0]) + 1] if falls.size and falls[0] > 50 else values


def _rank(clock: Clock, look: Look) -> tuple[bool, bool, bool, float]:
    """The best clock changes at each sample, is in numbers, counts from the start, and has the finest steps."""
    texts = clock.unit == "datetime"
    values = look.numbers.get(clock.column)
    coarse = float("inf") if values is None else len(values) / max(1, len(np.unique(values)))
    return clock.stands_still, texts, "elapsed" not in clock.column.lower(), coarse


def seconds_of(draft: Draft, look: Look) -> NDArray[np.float64] | None:
    """Times of a file in seconds, float64 [N]; None if it has none."""
    if look.time_s is not None:
        return look.time_s
    column, unit = draft.fields.get("time_column"), draft.fields.get("time_unit")
    if column is None:
        return None
    if unit == "datetime":
        return seconds_of_dates(look.texts[column], where=look.path.name, column=column)
    return seconds_of_ticks(look.numbers[column], str(unit))


def find_rate(draft: Draft) -> None:
    """Find the rate of all files, and whether they have gaps or differ."""
    rates, jitters = [], []
    for look in draft.looks:
        try:
            seconds = seconds_of(draft, look)
        except DataError as error:
            draft.problems.append(str(error))
            continue
        if seconds is None:
            break
        seconds = _one_recording(look, seconds, draft.fields.get("recording_column"), draft.sensor)
        if draft.fields.get("repeated_times") == "spread":
            seconds = spread(seconds)
        step = median_step(seconds)
        if step is None:
            continue
        steps = np.diff(seconds)
        rates.append(1.0 / step)
        jitters.append(float(np.quantile(steps, 0.95) - np.quantile(steps, 0.05)) / step)
        draft.gaps |= bool((steps > 2.0 * step * 1.001).any())
    if not rates:
        rate_without_times(draft, draft.looks[0])
        return
    rate = _round_rate(float(np.median(rates)))
    draft.fields["sample_rate_hz"] = rate
    spread_of_rates = (
        f"{min(rates):.4g} Hz" if max(rates) < 1.005 * min(rates) else f"{min(rates):.4g} to {max(rates):.4g} Hz"
    )
    jitter = f"jitter up to {max(jitters):.0%} of a period"
    draft.rate = f"{spread_of_rates} by the mean period of {counted(len(rates), 'file')}, {jitter}"
    draft.said.append(f"sample_rate_hz is {rate:.6g}, by the mean period of all files ({spread_of_rates})")
    _compare_with_stated(draft, rate)
    off = max(abs(one - rate) for one in rates) / rate
    if off > 0.05:
        method = "linear" if max(rates) <= 1.5 * rate else "lowpass"
        draft.fields["resample"] = method
        draft.said.append(f'the files differ in rate, so they are resampled to {rate:g} Hz (resample = "{method}")')


def rate_without_times(draft: Draft, look: Look) -> None:
    """Take the rate that a file states elsewhere, or a guess."""
    stated = _stated_rate(look)
    draft.fields["sample_rate_hz"] = stated or UNKNOWN_RATE_HZ
    draft.rate = "no times in the files"
    draft.said.append(
        f"there are no times; {stated:g} Hz is what {look.stated_by} of the file say"
        if stated
        else f"there are no times; {UNKNOWN_RATE_HZ:g} Hz is only a guess, correct sample_rate_hz"
    )


def _compare_with_stated(draft: Draft, rate: float) -> None:
    """Note a rate in the first lines of the files that is not that of the times, whose unit is a guess by size."""
    stated, column = _stated_rate(draft.looks[0]), draft.fields.get("time_column")
    if stated is None or column is None or abs(stated - rate) <= 0.1 * stated:
        return
    text = (
        f"{draft.looks[0].stated_by} of the file say {stated:g} Hz, but {column!r} in "
        f"{draft.fields['time_unit']} gives {rate:g} Hz; correct time_unit, or give sample_rate_hz = {stated:g} and "
        "leave out time_column and time_unit"
    )
    by_size = draft.roles[column].reason.startswith("a step of")
    (draft.problems if by_size else draft.said).append(text)


def _stated_rate(look: Look) -> float | None:
    lines = [line for line in look.preamble if _RATE_WORDS.search(line) and not _FILTER_WORDS.search(line)]
    found = {float(one) for one in re.findall(r"(\d{1,6}(?:\.\d{1,6})?)\s*Hz\b", "\n".join(lines), re.IGNORECASE)}
    if not found:  # `Data File Created By ... at 30 Hz Filter Normal`
        found = {float(one) for line in look.preamble for one in _AT_RATE.findall(line)}
    if not found:  # `sample_rate = 62.5`, which is in Hz wherever it was seen
        found = {float(match[1]) for line in look.preamble if (match := _RATE_IS.fullmatch(line))}
    return found.pop() if len(found) == 1 else None


def _round_rate(rate: float) -> float:
    """Round a rate to what the sensor was set to, if that is clear; else keep four digits.

    A whole or half number, or a usual rate, is taken if the stamps agree with it. A part's clock may be a percent off,
    so a usual rate is also taken if no other is nearly as close.

    >>> [_round_rate(rate) for rate in (51.203, 51.99, 62.49, 49.6, 99.4, 119.02, 51.6, 47.31)]
    [51.2, 52.0, 62.5, 50.0, 100.0, 119.0, 51.6, 47.31]
    """
    exact = [
        one for one in (round(rate), round(2 * rate) / 2, *_USUAL_RATES_HZ) if abs(one - rate) <= _SAME_RATE * rate
    ]
    if exact:
        return float(min(exact, key=lambda one: abs(one - rate)))
    nearest, second = sorted(_USUAL_RATES_HZ, key=lambda one: abs(one - rate))[:2]
    if abs(nearest - rate) <= min(_NEAR_RATE * rate, 0.5 * abs(second - rate)):
        return float(nearest)
    return float(f"{rate:.4g}")
