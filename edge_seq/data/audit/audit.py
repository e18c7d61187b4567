"""Audit of a data source in one pass. Only one recording at a time is in memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.audit.axes import check_axes
from edge_seq.data.audit.clock import check_clock
from edge_seq.data.audit.copies import check_copies
from edge_seq.data.audit.facts import Facts, facts_of
from edge_seq.data.audit.finding import Finding, some
from edge_seq.data.audit.giveaway import check_giveaways
from edge_seq.data.audit.labels import check_labels
from edge_seq.data.audit.mounting import check_mounting
from edge_seq.data.audit.sample import WindowSample, WindowSampler, at_the_rate, windows_of
from edge_seq.data.checks import check_contracts_match
from edge_seq.data.readers import count_notes, read_signals
from edge_seq.data.readers.signals import Signal
from edge_seq.data.readers.table import RowsApartError
from edge_seq.data.source import DataSource
from edge_seq.ir.contract import SensorContract
from edge_seq.support.errors import ContractError, DataError
from edge_seq.support.figure_text import counted
from edge_seq.support.results import Result

BINS = 100
MAX_CLASSES = 256
EXAMPLE_WINDOWS = 3  # length of a stretch
EXAMPLES = 2  # stretches of a class
_ORDER = {"error": 0, "warning": 1, "note": 2}


class TooManyClassesError(DataError):
    """A column of labels holds far more values than there are classes."""


@dataclass(frozen=True)
class Stretch:
    """Samples of one class in a row, up to three windows long.

    Attributes:
        label, recording, group: which one.
        first: number of the first sample within the recording, from 0.
        starts: int64 [B], first samples of its windows within the stretch.
        values: float64 [T, C], in the channels' units.
    """

    label: str
    recording: str
    group: str
    first: int
    starts: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Audit:
    """Content of a data set, and what is wrong with it.

    Attributes:
        source: data source that was read.
        facts: facts of each recording.
        findings: results of the checks: errors first, then warnings, then notes.
        notes: changes that reading made to the recordings.
        histograms: int64 [C, 100], number of samples in each bin from -full_scale to full_scale.
        stretches: stretches of samples of each class, from up to two groups, by class.
        sample: windows drawn from all recordings; None if there is no window.
    """

    source: DataSource
    facts: tuple[Facts, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    histograms: NDArray[np.int64]
    stretches: tuple[Stretch, ...]
    sample: WindowSample | None

    @property
    def is_usable(self) -> bool:
        """True if no finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)

    def with_findings(self, findings: Sequence[Finding]) -> Audit:
        """The same audit with further findings in their places."""
        return replace(self, findings=_in_order([*self.findings, *findings]))


def audit(
    source: DataSource,
    *,
    base: Path,
    model_contract: SensorContract | None = None,
    progress: Callable[[int], None] = lambda _: None,
    problems: Sequence[str] = (),
) -> Audit:
    """Read a data set and check it.

    Args:
        source: data source to read.
        base: folder to which ``source.path`` is relative.
        model_contract: sensor contract of the model that will get the data; None skips the comparison.
        progress: called with the number of recordings read so far.
        problems: what a guess of the data source could not read; each is an error.

    Raises:
        DataError, ConfigError, ToolError: no recording can be read, or there are more than 256 classes.
    """
    try:
        seen = _look(source, base, progress, in_parts=True)
    except RowsApartError:
        seen = _look(source, base, progress, in_parts=False)
    facts = seen.facts
    if not facts:
        raise DataError(
            seen.unreadable[0] if seen.unreadable else f"data source {source.name!r}: there is no recording"
        )
    sample = seen.sampler.sample()
    findings = [
        *(Finding("guess", "error", text) for text in problems),
        *_unreadable(seen.unreadable),
        *_lost(seen.lost),
        *_names(facts),
        *_contract(source, model_contract),
        *check_labels(facts, source),
        *check_clock(facts, source),
        *check_axes(facts, source),
        *check_copies(facts),
        *check_giveaways(facts),
        *check_mounting(sample, source),
    ]
    return Audit(
        source=source,
        facts=tuple(facts),
        findings=_in_order(findings),
        notes=count_notes(seen.notes),
        histograms=seen.histograms,
        stretches=tuple(one for label in sorted(seen.stretches) for one in seen.stretches[label]),
        sample=sample,
    )


def _in_order(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda one: _ORDER[one.severity]))


@dataclass
class _Seen:
    """Data kept from the recordings read so far (see :class:`Audit`), and errors of files that could not be read."""

    histograms: NDArray[np.int64]
    sampler: WindowSampler
    unreadable: list[str] = field(default_factory=list)
    facts: list[Facts] = field(default_factory=list)
    notes: list[tuple[str, ...]] = field(default_factory=list)
    stretches: dict[str, list[Stretch]] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    labels: set[str] = field(default_factory=set)


def _unreadable(messages: Sequence[str]) -> list[Finding]:
    """One finding for each kind of message: messages that differ in names and numbers only are one."""
    kinds: dict[str, list[str]] = {}
    for text in messages:
        _, _, what = text.partition(": ")
        kinds.setdefault(re.sub(r"[\d.,]+|'[^']*'", "0", what or text), []).append(text)
    found = []
    for alike in kinds.values():
        names = tuple(text.partition(": ")[0] for text in alike)
        more = "" if len(alike) == 1 else f" ({len(alike)} files: {some(names)})"
        found.append(Finding("reading", "error", alike[0] + more, names))
    return found


def _lost(lost: Mapping[str, str]) -> list[Finding]:
    if not lost:
        return []
    names = tuple(lost)
    text = (
        f"torn or garbage rows were left out of {counted(len(lost), 'recording')} ({some(names)}), each a gap; "
        f"{names[0]}: "
        f"{lost[names[0]]}. More than max_lost_share of the rows of a file are refused"
    )
    return [Finding("lost rows", "warning", text, names)]


def _look(source: DataSource, base: Path, progress: Callable[[int], None], *, in_parts: bool) -> _Seen:
    """Read every recording and keep its facts.

    Raises:
        RowsApartError: the rows of a recording are not together, and ``in_parts`` is set.
    """
    seen = _Seen(np.zeros((len(source.channels), BINS), dtype=np.int64), WindowSampler(source))

    def keep(error: DataError) -> None:
        if isinstance(error, RowsApartError):
            raise error
        seen.unreadable.append(str(error))

    for signal in read_signals(source, base=base, on_error=keep, in_parts=in_parts):
        cut = at_the_rate(signal, source)
        seen.facts.append(facts_of(signal, cut, source))
        seen.notes.append(signal.notes)
        if signal.lost:
            seen.lost[signal.name] = signal.lost
        seen.labels.update(signal.label_values)
        if len(seen.labels) > MAX_CLASSES:
            raise TooManyClassesError(
                f"data source {source.name!r}: more than {MAX_CLASSES} classes after "
                f"{counted(len(seen.facts), 'recording')} (for "
                f"example {some(sorted(seen.labels - {''}))}), so label_column {source.label_column!r} is no column of "
                "classes; correct label_column or label_from"
            )
        _add_histograms(seen.histograms, signal, source)
        _add_stretches(seen.stretches, cut, source)
        seen.sampler.add(cut)
        progress(len(seen.facts))
    return seen


def _names(facts: list[Facts]) -> list[Finding]:
    names = [one.name for one in facts]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if not twice:
        return []
    text = (
        f"{counted(len(twice), 'name belongs', 'names belong')} to several recordings ({some(twice)}). Give each "
        "recording a name of its own"
    )
    return [Finding("names", "error", text, tuple(twice))]


def _contract(source: DataSource, model_contract: SensorContract | None) -> list[Finding]:
    if model_contract is None:
        return []
    try:
        check_contracts_match(model_contract, source.contract)
    except ContractError as error:
        return [Finding("contract", "error", str(error))]
    return []


def _add_histograms(histograms: NDArray[np.int64], signal: Signal, source: DataSource) -> None:
    for index, channel in enumerate(source.channels):
        share = (signal.values[:, index] / channel.full_scale + 1) / 2
        bins = np.clip(np.nan_to_num(share) * BINS, 0, BINS - 1).astype(np.int64)
        histograms[index] += np.bincount(bins, minlength=BINS)


def _add_stretches(stretches: dict[str, list[Stretch]], signal: Signal, source: DataSource) -> None:
    """Keep the beginning of each class in the first two groups that have it."""
    for code, label in enumerate(signal.label_values):
        kept = stretches.get(label, [])
        if not label or len(kept) == EXAMPLES or any(one.group == signal.group for one in kept):
            continue
        if code not in signal.label_codes:
            continue
        first = int(np.argmax(signal.label_codes == code))
        piece = signal.label_codes[first : first + EXAMPLE_WINDOWS * source.window_length] == code
        stop = first + (len(piece) if piece.all() else int(np.argmin(piece)))
        if stop - first >= source.window_length:
            starts = windows_of(signal, source)[0] - first
            inside = starts[(starts >= 0) & (starts <= stop - first - source.window_length)]
            values = signal.values[first:stop].copy()
            stretches.setdefault(label, []).append(Stretch(label, signal.name, signal.group, first, inside, values))


@dataclass(frozen=True)
class Rates(Result):
    """Sample rates of recordings with times, in Hz."""

    lowest: float
    median: float
    highest: float

    def text(self) -> str:
        """The range in words, one rate where all are equal.

        >>> Rates(49.99, 50.0, 50.01).text(), Rates(50.0, 50.0, 50.0).text()
        ('49.99 to 50.01 Hz', '50 Hz')
        """
        ends = dict.fromkeys(f"{one:.4g}" for one in (self.lowest, self.highest))
        return f"{' to '.join(ends)} Hz"


@dataclass(frozen=True)
class ClassCounts(Result):
    """How much there is of one class."""

    windows: int
    samples: int
    recordings: int
    groups: int


@dataclass(frozen=True)
class ChannelRange(Result):
    """Unit, lowest and highest value, and full scale of one channel."""

    unit: str
    lowest: float
    highest: float
    full_scale: float


@dataclass(frozen=True)
class AuditSummary(Result):
    """Totals and findings of a data set.

    Attributes:
        name: name of the data source.
        usable: False if something was found that would spoil a training.
        recordings, groups, samples: how many there are.
        hours: length of all recordings.
        rate_hz: sample rates; None without times.
        largest_jitter: spread of the periods as a share of their median; None without times.
        gaps: number of gaps.
        unlabelled_share: share of the samples without a label.
        labels: counts by class.
        channels: ranges by channel.
        still_gravity_g: median over recordings of the acceleration while still, in g; None where nothing is still.
        reading: what was noticed while reading.
        findings: errors first, then warnings, then notes.
    """

    name: str
    usable: bool
    recordings: int
    groups: int
    samples: int
    hours: float
    rate_hz: Rates | None
    largest_jitter: float | None
    gaps: int
    unlabelled_share: float
    labels: dict[str, ClassCounts]
    channels: dict[str, ChannelRange]
    still_gravity_g: float | None
    reading: tuple[str, ...]
    findings: tuple[Finding, ...]


def summarize(result: Audit) -> AuditSummary:
    """Sum an audit up over its recordings."""
    source, facts = result.source, result.facts
    labels = sorted({label for one in facts for label in one.labels if label})
    rates = [one.rate_hz for one in facts if one.rate_hz is not None]
    return AuditSummary(
        name=source.name,
        usable=result.is_usable,
        recordings=len(facts),
        groups=len({one.group for one in facts}),
        samples=sum(one.samples for one in facts),
        hours=round(sum(one.samples / (one.rate_hz or source.sample_rate_hz) for one in facts) / 3600, 4),
        rate_hz=Rates(min(rates), float(np.median(rates)), max(rates)) if rates else None,
        largest_jitter=max((one.jitter for one in facts if one.jitter is not None), default=None),
        gaps=sum(one.gaps for one in facts),
        unlabelled_share=sum(one.labels.get("", 0) for one in facts) / max(1, sum(one.samples for one in facts)),
        labels={
            label: ClassCounts(
                windows=sum(one.windows.get(label, 0) for one in facts),
                samples=sum(one.labels.get(label, 0) for one in facts),
                recordings=sum(label in one.labels for one in facts),
                groups=len({one.group for one in facts if label in one.labels}),
            )
            for label in labels
        },
        channels={
            channel.name: ChannelRange(
                unit=channel.unit,
                lowest=min(one.axes[index].lowest for one in facts),
                highest=max(one.axes[index].highest for one in facts),
                full_scale=channel.full_scale,
            )
            for index, channel in enumerate(source.channels)
        },
        still_gravity_g=_still_gravity(facts),
        reading=result.notes,
        findings=result.findings,
    )


def _still_gravity(facts: tuple[Facts, ...]) -> float | None:
    """Median over recordings of the length of the vector at rest, in g; None without any still second."""
    found = [g.still_norm for one in facts for g in one.gravity.values() if g.still_norm is not None]
    return float(np.median(found)) if found else None
