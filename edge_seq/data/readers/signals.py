"""Cut tables into signals: labelled recordings in the channels' units, not yet checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.readers.clock import SECONDS_PER_UNIT, seconds_of_ticks, spread, unwrapped
from edge_seq.data.readers.label_intervals import Interval, label_samples
from edge_seq.data.readers.source_file import SourceFile
from edge_seq.data.readers.table import Table, TextColumn
from edge_seq.data.recording import SIDES
from edge_seq.data.source import ChannelSource, DataSource
from edge_seq.data.units import conversion_factor, unit_named, unit_of
from edge_seq.support.errors import ContractError, DataError
from edge_seq.support.names import check_name


@dataclass(frozen=True)
class Signal:
    """A recording as its file gives it, converted to the channels' units.

    Attributes:
        name, group, split: see :class:`edge_seq.data.recording.Recording`.
        values: float64 [T, C].
        time_s: float64 [T], seconds; None if the rows are taken as evenly sampled, in order.
        label_values: distinct class names of its samples; the empty text is unlabelled.
        label_codes: int64 [T], index into ``label_values``.
        details: further information in the file: device, signature.
        notes: changes that reading made, and checks that it left out.
        breaks: int64 [B], samples before which rows were left out or the logger restarted; not sample 0.
        lost: rows that were left out of its file, for the user; empty if there is none.
    """

    name: str
    group: str
    split: str | None
    values: NDArray[np.float64]
    time_s: NDArray[np.float64] | None
    label_values: tuple[str, ...]
    label_codes: NDArray[np.int64]
    details: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    breaks: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    lost: str = ""


def cut_signals(
    table: Table, file: SourceFile, source: DataSource, intervals: Sequence[Interval] = (), *, is_only: bool = True
) -> Iterator[Signal]:
    """Cut a table into signals.

    Args:
        table: table of one file, or of a part of it.
        file: the file, with what its name or the manifest gives.
        source: the data source.
        intervals: labelled intervals of all recordings, if the labels come from intervals.
        is_only: True if there is no other file, so that intervals without a recording belong to this one.

    Raises:
        DataError: the rows of recordings are mixed, a group or split is not the same in all rows of a recording, or the
            name of a recording, group or class cannot be printed.
        ContractError: a unit is unknown, or cannot be converted to the channel's.
    """
    factors, notes = _unit_factors(table, source)
    if table.lost:
        notes += ("torn or garbage rows were left out",)
    pieces = list(_rows_of_recordings(table, file, source))
    for number, (name, rows) in enumerate(pieces):
        breaks = _breaks(table, rows)
        time_s = _time_s(table, source, rows, name, breaks)
        if source.label_from == "intervals":
            clock = _interval_clock(time_s, len(rows), source)
            values, codes = label_samples(intervals, clock, name=name, is_only=is_only and len(pieces) == 1)
            values = _class_names(values, source)
        else:
            values, codes = _labels(table, file, source, rows)
        own_group = file.name if table.one_group else name  # the parts of file.name were checked before
        if table.one_group and (side := _side(table, rows)) is not None:
            own_group = f"{file.name} {side}"
        said_group = _one_value(table, source.group_column, rows, name, source) or file.group
        for kind, one in (("group", said_group or ""), *(("label", value) for value in values)):
            check_name(one, DataError, what=f"recording {name}: {kind}", remedy="Rename it in the data")
        values_of_channels = np.stack([table.numeric[column][rows] for column in source.channel_columns], axis=1)
        own_notes = (*notes, *table.notes)
        if _ran_over(table, source, rows):
            own_notes += ("the counter of times ran over its largest value, and is taken as going on",)
        if source.on_missing == "split" and not (kept := np.isfinite(values_of_channels).all(axis=1)).all():
            breaks = np.union1d(breaks, np.flatnonzero(~kept))
            breaks = np.unique(np.cumsum(kept)[np.maximum(breaks, 1) - 1])
            breaks = breaks[(breaks > 0) & (breaks < kept.sum())]
            rows, values_of_channels, codes = rows[kept], values_of_channels[kept], codes[kept]
            time_s = None if time_s is None else time_s[kept]
            own_notes += ("samples with missing values were left out",)
            if not len(rows):
                continue
        yield Signal(
            name=name,
            group=said_group or own_group,
            split=_check_split(
                _one_value(table, source.split_column, rows, name, source) or _side(table, rows) or file.split, name
            ),
            values=values_of_channels * factors,
            time_s=time_s,
            label_values=values,
            label_codes=codes,
            details=table.details,
            notes=own_notes,
            breaks=breaks,
            lost=table.lost if number == 0 else "",
        )


def _breaks(table: Table, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    if table.breaks is None:
        return np.empty(0, dtype=np.int64)
    found = np.flatnonzero(table.breaks[rows])
    return found[found > 0].astype(np.int64)


def _side(table: Table, rows: NDArray[np.int64]) -> str | None:
    return None if table.splits is None else table.splits.values[int(table.splits.codes[rows[0]])]


def _unit_factors(table: Table, source: DataSource) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Factors from the file's units to the channels', float64 [C], and a note for each change of unit."""
    factors, changes = [], dict[str, list[str]]()
    for channel, column in zip(source.channels, source.channel_columns, strict=True):
        what = f"{table.where}, column {column!r}"
        found = _unit_of_column(channel, table.units.get(column), what)
        if found == "counts" and channel.column_full_scale is not None:
            factors.append(channel.column_full_scale / 2.0 ** (channel.column_bits - 1))
            scale = f"of {channel.column_bits} bits at +-{channel.column_full_scale:g} {channel.unit}"
            changes.setdefault(f"counts {scale} read as {channel.unit}", []).append(channel.name)
            continue
        factors.append(conversion_factor(found, channel.unit, what=what))
        if found != channel.unit:
            changes.setdefault(f"{found} converted to {channel.unit}", []).append(channel.name)
    return np.array(factors), tuple(f"{', '.join(names)}: {change}" for change, names in changes.items())


def _unit_of_column(channel: ChannelSource, said: str | None, what: str) -> str:
    """Unit of a column: the one in the data source, else the one in the file, else the channel's.

    Raises:
        ContractError: file and data source give different units, or only the file gives one and it is unknown.
    """
    if channel.column_unit is None:
        return unit_named(said, what=f"{what} (as its file says)") if said else channel.unit
    stated = unit_named(channel.column_unit, what=what)
    in_file = unit_of(said or "")
    if in_file is not None and in_file != stated:
        raise ContractError(
            f"{what}: the file says {said!r}, column_unit in the data source says {channel.column_unit!r}; correct or "
            "leave out column_unit"
        )
    return stated


def _rows_of_recordings(table: Table, file: SourceFile, source: DataSource) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Yield name and rows of each recording, in the order of their first rows."""
    if table.recordings is None and source.recording_column is None:
        yield file.name, np.arange(table.num_rows, dtype=np.int64)
        return
    column = table.recordings or table.text[str(source.recording_column)]
    order = np.argsort(column.codes, kind="stable")
    edges = np.flatnonzero(np.diff(column.codes[order])) + 1
    pieces = sorted(np.split(order, edges), key=lambda rows: int(rows[0]))
    for rows in pieces:
        name = column.values[int(column.codes[rows[0]])]
        if not name:
            raise DataError(
                f"{table.where}: row {table.first_row + int(rows[0]) + 1} has no value in recording_column "
                f"{source.recording_column!r}; give every row one"
            )
        check_name(name, DataError, what=f"{table.where}: recording", remedy="Rename it in the data")
        if not (source.time_column or source.index_column) and int(rows[-1] - rows[0]) != len(rows) - 1:
            raise DataError(
                f"recording {name}: its rows are mixed with those of others, and there is no time or index to order "
                "them by; keep the rows of a recording together, or name a time_column or index_column"
            )
        yield (name if table.recordings is None else file.name + name), rows.astype(np.int64)


def _one_value(
    table: Table, column_name: str | None, rows: NDArray[np.int64], name: str, source: DataSource
) -> str | None:
    """Value of a column, which must be the same in all rows of a recording. None if no column is named."""
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
    """Class names that occur in the rows, and the index of the name of each row."""
    if source.label_from == "column":
        assert source.label_column is not None  # DataSource refuses anything else
        column = table.text[source.label_column]
    else:
        column = TextColumn(values=(file.label or "",), codes=np.zeros(table.num_rows, dtype=np.int64))
    found, codes = np.unique(column.codes[rows], return_inverse=True)
    return _class_names([column.values[code] for code in found], source), codes.astype(np.int64)


def _class_names(raw: Sequence[str], source: DataSource) -> tuple[str, ...]:
    """Convert label values to class names. The empty text is unlabelled."""
    unlabelled = {str(value) for value in source.unlabelled_values}
    return tuple("" if value in unlabelled else source.label_names.get(value, value) for value in raw)


def _time_s(
    table: Table, source: DataSource, rows: NDArray[np.int64], name: str, breaks: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    if table.time_s is not None:
        return table.time_s[rows]
    if source.time_column is not None:
        times = seconds_of_ticks(table.numeric[source.time_column][rows], source.time_unit)
        if source.repeated_times == "spread":
            times = np.concatenate([spread(part) for part in np.split(times, breaks)])
        return times
    if source.index_column is not None:
        index = table.numeric[source.index_column][rows]
        fractions = np.flatnonzero(np.isfinite(index) & (index != np.rint(index)))
        if fractions.size:
            raise DataError(
                f"recording {name}: index_column {source.index_column!r} holds {index[fractions[0]]:g} at row "
                f"{int(fractions[0])}; expected whole numbers. A column of times is a time_column"
            )
        return unwrapped(index) / (source.recorded_rate_hz or source.sample_rate_hz)
    if source.recorded_rate_hz is not None:
        return np.arange(len(rows)) / source.recorded_rate_hz
    return None


def _ran_over(table: Table, source: DataSource, rows: NDArray[np.int64]) -> bool:
    column = source.index_column or (None if source.time_unit == "datetime" else source.time_column)
    if table.time_s is not None or column is None:
        return False
    ticks = table.numeric[column][rows]
    return unwrapped(ticks) is not ticks


def _interval_clock(time_s: NDArray[np.float64] | None, count: int, source: DataSource) -> NDArray[np.float64]:
    """Time of each sample in the unit of the intervals, float64 [T]."""
    if source.interval_unit == "samples":
        return np.arange(count, dtype=np.float64)
    seconds = np.arange(count) / source.sample_rate_hz if time_s is None else time_s
    if source.interval_origin == "start":
        seconds = seconds - seconds[0]
    unit = source.interval_unit or (source.time_unit if source.time_column else "s")
    return seconds / SECONDS_PER_UNIT["s" if unit == "datetime" else unit]
