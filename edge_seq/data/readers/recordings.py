"""From the rows of a table to recordings: cut, put into order of channels, checked, in counts."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge_seq.data import checks
from edge_seq.data.readers.files import SourceFile
from edge_seq.data.readers.table import Table, TextColumn
from edge_seq.data.recording import SIDES, UNLABELLED, Recording
from edge_seq.data.source import DataSource
from edge_seq.errors import DataError
from edge_seq.ir.contract import to_counts

log = logging.getLogger(__name__)

SECONDS_PER_UNIT = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


@dataclass(frozen=True)
class RawRecording:
    """A recording before the classes of the whole data set are known.

    Attributes:
        name, group, counts, split: as in :class:`Recording`.
        label_values: different class names of its samples; the empty text is unlabelled.
        label_codes: int64 [T], index into ``label_values``.
    """

    name: str
    group: str
    split: str | None
    counts: NDArray[np.int16]
    label_values: tuple[str, ...]
    label_codes: NDArray[np.int64]


def cut_recordings(table: Table, file: SourceFile, source: DataSource) -> tuple[RawRecording, ...]:
    """Cut a table into recordings, check each against the contract and convert it to counts.

    Raises:
        DataError, ContractError: see ``edge_seq.data.checks``.
    """
    recordings: list[RawRecording] = []
    for name, rows in _rows_of_recordings(table, file, source):
        values = np.stack([table.numeric[column][rows] for column in source.channel_columns], axis=1)  # [T, C]
        label_values, label_codes = _labels(table, file, source, rows)
        whole = RawRecording(
            name=name,
            group=_one_value(table, source.group_column, rows, name, source) or file.group or name,
            split=_check_split(_one_value(table, source.split_column, rows, name, source) or file.split, name),
            counts=np.empty((0, 0), dtype=np.int16),
            label_values=label_values,
            label_codes=label_codes,
        )
        channel_names = source.contract.channel_names
        checks.check_finite(values, name=name, channel_names=channel_names)
        checks.check_saturation(
            values, name=name, contract=source.contract, max_saturated_share=source.max_saturated_share
        )
        counts = to_counts(values, source.contract)
        if source.on_constant_axis == "error":
            checks.check_no_constant_axis(counts, name=name, channel_names=channel_names)
        pieces = _cut_at_gaps(_time_s(table, source, rows, name), name, source)
        for number, piece in enumerate(pieces, start=1):
            part = replace(
                whole,
                name=name if len(pieces) == 1 else f"{name}#{number}",
                counts=counts[piece],
                label_codes=label_codes[piece],
            )
            if source.on_short == "skip" and len(part.counts) < source.window_length:
                log.warning("skipped recording %s: %d samples, shorter than a window", part.name, len(part.counts))
                continue
            checks.check_long_enough(len(part.counts), name=part.name, contract=source.contract)
            recordings.append(part)
    return tuple(recordings)


def _rows_of_recordings(table: Table, file: SourceFile, source: DataSource) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Name and rows of each recording, in the order in which they first come."""
    if source.recording_column is None:
        yield file.name, np.arange(table.num_rows, dtype=np.int64)
        return
    column = table.text[source.recording_column]
    order = np.argsort(column.codes, kind="stable")
    edges = np.flatnonzero(np.diff(column.codes[order])) + 1
    pieces = sorted(np.split(order, edges), key=lambda rows: int(rows[0]))
    for rows in pieces:
        name = column.values[int(column.codes[rows[0]])]
        if not name:
            raise DataError(
                f"{table.where}: row {int(rows[0]) + 1} has no value in recording_column {source.recording_column!r}; "
                "give every row one"
            )
        if not (source.time_column or source.index_column) and int(rows[-1] - rows[0]) != len(rows) - 1:
            raise DataError(
                f"recording {name}: its rows are mixed with those of others, and there is no time or index to order "
                "them by; keep the rows of a recording together, or name a time_column or index_column"
            )
        yield name, rows.astype(np.int64)


def _one_value(
    table: Table, column_name: str | None, rows: NDArray[np.int64], name: str, source: DataSource
) -> str | None:
    """The one value of a column in the rows of a recording; None where there is no such column."""
    if column_name is None:
        return None
    column = table.text[column_name]
    values = [column.values[code] for code in np.unique(column.codes[rows])]
    if len(values) != 1 or not values[0]:
        hint = "" if source.recording_column else ", or name a recording_column if the file holds several recordings"
        raise DataError(
            f"recording {name}: column {column_name!r} holds {values}; expected one value for the whole recording. "
            f"Correct the rows{hint}"
        )
    return str(values[0])


def _check_split(split: str | None, name: str) -> str | None:
    if split is not None and split not in SIDES:
        raise DataError(f"recording {name}: split {split!r} is unknown; give one of {list(SIDES)}")
    return split


def _labels(
    table: Table, file: SourceFile, source: DataSource, rows: NDArray[np.int64]
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Class names that occur in the rows, and for each row which."""
    if source.label_from == "column":
        assert source.label_column is not None  # DataSource refuses anything else
        column = table.text[source.label_column]
    else:
        column = TextColumn(values=(file.label or "",), codes=np.zeros(table.num_rows, dtype=np.int64))
    found, codes = np.unique(column.codes[rows], return_inverse=True)
    unlabelled = {str(value) for value in source.unlabelled_values}
    raw = [column.values[code] for code in found]
    values = tuple("" if value in unlabelled else source.label_names.get(value, value) for value in raw)
    return values, codes.astype(np.int64)


def _time_s(table: Table, source: DataSource, rows: NDArray[np.int64], name: str) -> NDArray[np.float64] | None:
    if source.time_column is not None:
        return table.numeric[source.time_column][rows] * SECONDS_PER_UNIT[source.time_unit]
    if source.index_column is not None:
        index = table.numeric[source.index_column][rows]
        fractions = np.flatnonzero(np.isfinite(index) & (index != np.rint(index)))
        if fractions.size:
            raise DataError(
                f"recording {name}: index_column {source.index_column!r} holds {index[fractions[0]]:g} at row "
                f"{int(fractions[0])}; expected whole numbers. A column of times is a time_column"
            )
        return index / source.sample_rate_hz
    return None


def _cut_at_gaps(time_s: NDArray[np.float64] | None, name: str, source: DataSource) -> Sequence[slice]:
    """Check times; pieces without a gap. With no time there is one piece."""
    if time_s is None:
        return (slice(None),)
    checks.check_time_order(time_s, name=name)
    checks.check_rate(time_s, name=name, sample_rate_hz=source.sample_rate_hz, tolerance=source.rate_tolerance)
    if source.on_gap == "error":
        checks.check_gaps(time_s, name=name, max_gap_s=source.max_gap, sample_rate_hz=source.sample_rate_hz)
        return (slice(None),)
    ends = [int(row) + 1 for row in checks.find_gaps(time_s, max_gap_s=source.max_gap)]
    return tuple(slice(first, end) for first, end in zip([0, *ends], [*ends, len(time_s)], strict=True))


def to_recording(raw: RawRecording, labels: tuple[str, ...]) -> Recording:
    """Give class names their index.

    Raises:
        DataError: a class is not in ``labels``.
    """
    checks.check_labels_known([value for value in raw.label_values if value], labels, name=raw.name)
    index = np.array([labels.index(value) if value else UNLABELLED for value in raw.label_values], dtype=np.int16)
    return Recording(name=raw.name, group=raw.group, counts=raw.counts, labels=index[raw.label_codes], split=raw.split)
