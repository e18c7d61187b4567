"""Turn signals into recordings: check them, cut them at gaps, resample them if asked for, convert them to counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edge_seq.data import checks
from edge_seq.data.readers.signals import Signal
from edge_seq.data.recording import UNLABELLED, Recording
from edge_seq.data.resample import resample
from edge_seq.data.source import DataSource
from edge_seq.ir.contract import to_counts


@dataclass(frozen=True)
class RawRecording:
    """A recording before the classes of the whole data set are known.

    Attributes:
        name, group, counts, split, details: see :class:`Recording`.
        label_values: distinct class names of its samples; the empty text is unlabelled.
        label_codes: int64 [T], index into ``label_values``.
        notes: changes that reading made, and checks that it left out.
    """

    name: str
    group: str
    split: str | None
    counts: NDArray[np.int16]
    label_values: tuple[str, ...]
    label_codes: NDArray[np.int64]
    details: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def make_recordings(signal: Signal, source: DataSource, short: list[str]) -> tuple[RawRecording, ...]:
    """Check a signal against the contract and convert it to counts. Cutting at gaps gives several recordings.

    Args:
        signal: signal to convert.
        source: its data source.
        short: gets name and length of each recording that is left out because it is shorter than a window.

    Raises:
        DataError, ContractError: see :mod:`edge_seq.data.checks` and :mod:`edge_seq.data.resample`.
    """
    name, contract = signal.name, source.contract
    checks.check_finite(signal.values, name=name, channel_names=contract.channel_names)
    checks.check_saturation(signal.values, name=name, contract=contract, max_saturated_share=source.max_saturated_share)
    if source.on_constant_axis == "error":
        counts = to_counts(signal.values, contract)
        checks.check_no_constant_axis(counts, name=name, channel_names=contract.channel_names)
    pieces = _pieces(signal, source)
    recordings: list[RawRecording] = []
    for number, piece in enumerate(pieces, start=1):
        part = replace(
            signal,
            name=name if len(pieces) == 1 else f"{name}#{number}",
            values=signal.values[piece],
            time_s=None if signal.time_s is None else signal.time_s[piece],
            label_codes=signal.label_codes[piece],
        )
        part = _at_the_rate(part, source)
        if source.on_short == "skip" and len(part.values) < source.window_length:
            short.append(f"{part.name}: {len(part.values)}")
            continue
        checks.check_long_enough(len(part.values), name=part.name, contract=contract)
        recordings.append(
            RawRecording(
                name=part.name,
                group=part.group,
                split=part.split,
                counts=to_counts(part.values, contract),
                label_values=part.label_values,
                label_codes=part.label_codes,
                details=part.details,
                notes=part.notes,
            )
        )
    return tuple(recordings)


def _at_the_rate(part: Signal, source: DataSource) -> Signal:
    """Resample a signal to the contract's rate if the data source asks for it and the signal has times."""
    if source.resample == "none" or part.time_s is None or len(part.time_s) < 2:
        return part
    values, codes = resample(
        part.time_s,
        part.values,
        part.label_codes,
        sample_rate_hz=source.sample_rate_hz,
        method=source.resample,
        name=part.name,
    )
    found = 1.0 / float(np.median(np.diff(part.time_s)))
    note = f"resampled from {found:.3g} Hz to {source.sample_rate_hz:g} Hz, method {source.resample}"
    return replace(part, values=values, label_codes=codes, time_s=None, notes=(*part.notes, note))


def _pieces(signal: Signal, source: DataSource) -> list[slice]:
    """Pieces of a signal between breaks and gaps."""
    edges = [0, *signal.breaks.tolist(), len(signal.values)]
    pieces = []
    for first, end in pairwise(edges):
        time_s = None if signal.time_s is None else signal.time_s[first:end]
        for piece in _cut_at_gaps(time_s, signal.name, source):
            pieces.append(slice(first + (piece.start or 0), end if piece.stop is None else first + piece.stop))
    return pieces


def _cut_at_gaps(time_s: NDArray[np.float64] | None, name: str, source: DataSource) -> Sequence[slice]:
    """Check the times, and give the pieces between gaps. Without times there is one piece."""
    if time_s is None:
        return (slice(None),)
    checks.check_time_order(time_s, name=name)
    rate_hz = source.sample_rate_hz
    if source.resample == "none":
        checks.check_rate(time_s, name=name, sample_rate_hz=rate_hz, tolerance=source.rate_tolerance)
    elif len(time_s) > 1:
        rate_hz = min(rate_hz, 1.0 / float(np.median(np.diff(time_s))))
    max_gap_s = source.max_gap_at(rate_hz)
    if source.on_gap == "error":
        checks.check_gaps(time_s, name=name, max_gap_s=max_gap_s, sample_rate_hz=rate_hz)
        return (slice(None),)
    ends = [int(row) + 1 for row in checks.find_gaps(time_s, max_gap_s=max_gap_s)]
    return tuple(slice(first, end) for first, end in zip([0, *ends], [*ends, len(time_s)], strict=True))


def to_recording(raw: RawRecording, labels: tuple[str, ...]) -> Recording:
    """Replace class names by class indices.

    Raises:
        DataError: a class is not in ``labels``.
    """
    return Recording(
        name=raw.name,
        group=raw.group,
        counts=raw.counts,
        labels=label_index(raw, labels)[raw.label_codes],
        split=raw.split,
        details=raw.details,
    )


def label_index(raw: RawRecording, labels: tuple[str, ...]) -> NDArray[np.int16]:
    """Find the class index of each of the recording's label values, int16.

    Raises:
        DataError: a class is not in ``labels``.
    """
    checks.check_labels_known([value for value in raw.label_values if value], labels, name=raw.name)
    return np.array([labels.index(value) if value else UNLABELLED for value in raw.label_values], dtype=np.int16)
