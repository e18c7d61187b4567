"""Checks of the times: rate, jitter, gaps, order of samples; and of missing values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_seq.data.audit.facts import Facts
from edge_seq.data.audit.finding import Finding, some
from edge_seq.data.resample import MAX_LINEAR_RATIO
from edge_seq.data.source import DataSource
from edge_seq.support.figure_text import counted

MAX_JITTER = 0.5  # share of a period


def check_clock(facts: Sequence[Facts], source: DataSource) -> list[Finding]:
    """Check the times of all recordings, and missing values."""
    return [*_rate(facts, source), *_jitter(facts), *_gaps(facts, source), *_order(facts), *_missing(facts)]


def _rate(facts: Sequence[Facts], source: DataSource) -> list[Finding]:
    timed = [one for one in facts if one.rate_hz is not None]
    if not timed:
        return [
            Finding(
                "rate",
                "note",
                "no times in the data: rows are taken as evenly sampled at "
                f"{source.recorded_rate_hz or source.sample_rate_hz:g} Hz. Name a time_column if there is one",
            )
        ]
    limit = source.rate_tolerance * source.sample_rate_hz * (1 + 1e-6)
    off = [one for one in timed if abs((one.rate_hz or 0.0) - source.sample_rate_hz) > limit]
    if not off:
        return []
    rates = [one.rate_hz or 0.0 for one in off]
    found = (
        f"{min(rates):.4g}" if max(rates) - min(rates) < 0.005 * max(rates) else f"{min(rates):.4g} to {max(rates):.4g}"
    )
    names = tuple(one.name for one in off)
    what = f"{len(off)} of {counted(len(timed), 'recording')} were sampled at {found} Hz, the contract says "
    what += f"{source.sample_rate_hz:g} Hz"
    if source.resample == "linear" and max(rates) > MAX_LINEAR_RATIO * source.sample_rate_hz:
        text = f'{what}; resample = "linear" would alias vibration there. Set resample = "lowpass"'
        return [Finding("rate", "error", text, names)]
    if source.resample != "none":
        return [Finding("rate", "note", f"{what}; they are resampled, method {source.resample}", names)]
    todo = (
        'Correct sample_rate_hz or time_unit, or ask for resampling: resample = "lowpass"'
        if len(off) == len(timed)
        else 'Leave them out, or ask for resampling: resample = "lowpass"'
    )
    return [Finding("rate", "error", f"{what} ({some(names)}). {todo}", names)]


def _jitter(facts: Sequence[Facts]) -> list[Finding]:
    bad = [one for one in facts if one.jitter is not None and one.jitter > MAX_JITTER]
    if not bad:
        return []
    worst = max(one.jitter or 0.0 for one in bad)
    names = tuple(one.name for one in bad)
    return [
        Finding(
            "jitter",
            "warning",
            f"the time between two samples varies by up to {worst:.0%} of a period in {counted(len(bad), 'recording')} "
            f"({some(names)}); a model treats samples as evenly spaced. Ask for resampling: "
            'resample = "linear"',
            names,
        )
    ]


def _gaps(facts: Sequence[Facts], source: DataSource) -> list[Finding]:
    bad = [one for one in facts if one.gaps]
    if not bad:
        return []
    names = tuple(one.name for one in bad)
    longest = max(bad, key=lambda one: one.longest_gap_s)
    found = (
        f"{counted(sum(one.gaps for one in bad), 'gap')} in {counted(len(bad), 'recording')} ({some(names)}), the "
        "longest "
        f"{longest.longest_gap_s:.4g} s in {longest.name}"
    )
    if source.on_gap == "split":
        return [Finding("gaps", "note", f'{found}; recordings are cut there (on_gap = "split")', names)]
    return [Finding("gaps", "error", f'{found}. Cut recordings there with on_gap = "split", or raise max_gap_s', names)]


def _order(facts: Sequence[Facts]) -> list[Finding]:
    bad = [one for one in facts if one.disorder]
    if not bad:
        return []
    names = tuple(one.name for one in bad)
    count = int(np.sum([one.disorder for one in bad]))
    return [
        Finding(
            "time order",
            "error",
            f"{counted(count, 'sample does', 'samples do')} not follow the one before in time, in "
            f"{counted(len(bad), 'recording')} ({some(names)}). Sort the "
            "rows, drop duplicates, or name a recording_column if several recordings share a file",
            names,
        )
    ]


def _missing(facts: Sequence[Facts]) -> list[Finding]:
    bad = [one for one in facts if one.missing]
    if not bad:
        return []
    names = tuple(one.name for one in bad)
    return [
        Finding(
            "missing values",
            "error",
            f"{counted(sum(one.missing for one in bad), 'value is', 'values are')} missing or not finite in "
            f"{counted(len(bad), 'recording')} "
            f"({some(names)}). Drop or interpolate them",
            names,
        )
    ]
