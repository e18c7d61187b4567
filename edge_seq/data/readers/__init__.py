"""Readers: they turn the files of a data source into a checked data set in counts.

To add a format, add a file to ``formats`` that ends in ``READER = Reader(...)``, a line to ``READERS`` below, and the
name of the format to ``DataSource.format``.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from edge_seq.data import checks
from edge_seq.data.audit.finding import some
from edge_seq.data.layout import sensor_of
from edge_seq.data.readers.files import find_intervals, list_files
from edge_seq.data.readers.foreign import each, reading
from edge_seq.data.readers.formats import (
    channel_windows_file,
    csv_file,
    edge_impulse_cbor_file,
    edge_impulse_csv_file,
    edge_impulse_json_file,
    hdf5_file,
    mat_file,
    npy_file,
    npz_file,
    parquet_file,
    phone_csv_file,
)
from edge_seq.data.readers.join import join_rows, join_tables
from edge_seq.data.readers.label_intervals import Interval, check_all_used, read_intervals
from edge_seq.data.readers.recordings import RawRecording, make_recordings, to_recording
from edge_seq.data.readers.signals import Signal, cut_signals
from edge_seq.data.readers.source_file import SourceFile
from edge_seq.data.readers.table import Reader, ReadOptions, RowsApartError, Table
from edge_seq.data.recording import Dataset
from edge_seq.data.source import DataSource, load_source
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.support.figure_text import counted

READERS: tuple[Reader, ...] = (
    csv_file.READER,
    parquet_file.READER,
    edge_impulse_json_file.READER,
    edge_impulse_cbor_file.READER,
    npz_file.READER,
    npy_file.READER,
    mat_file.READER,
    hdf5_file.READER,
    # These share their suffixes with plain tables of text, so they are used only if the data source names the format.
    edge_impulse_csv_file.READER,
    phone_csv_file.READER,
    channel_windows_file.READER,
)

log = logging.getLogger(__name__)

__all__ = ["READERS", "load_dataset", "read_dataset", "read_recordings", "read_signals"]


def read_dataset(source: DataSource, *, base: Path) -> Dataset:
    """Read every recording of a data source, check it against the sensor contract and convert it to counts.

    Args:
        source: data source to read.
        base: folder to which ``source.path`` is relative, usually the folder of the TOML file.

    Returns:
        data set, with recordings in the order of the files, then of the rows.

    Raises:
        DataError: a file or its rows are not usable.
        ContractError: a recording does not fit the sensor contract.
        ConfigError: a field of the data source does not apply to the format of a file.
        ToolError: a package that reads a format is not installed.
    """
    raw = list(read_recordings(source, base=base))
    labels = source.labels or tuple(sorted({value for one in raw for value in one.label_values if value}))
    if not labels:
        raise DataError(f"data source {source.name!r}: no sample has a label; expected at least one class")
    return Dataset(
        name=source.name,
        contract=source.contract,
        labels=labels,
        recordings=tuple(to_recording(one, labels) for one in raw),
        notes=count_notes(one.notes for one in raw),
    )


def load_dataset(path: Path) -> Dataset:
    """Read the data set that the TOML file ``path`` describes.

    Raises:
        ConfigError: the file is not a data source.
        DataError, ContractError, ToolError: the same cases as :func:`read_dataset`.
    """
    return read_dataset(load_source(path), base=path.parent)


def read_recordings(source: DataSource, *, base: Path, in_parts: bool = False) -> Iterator[RawRecording]:
    """Yield recordings one after the other, so that a data set may be larger than the memory.

    Args:
        source: data source to read.
        base: folder to which ``source.path`` is relative.
        in_parts: read files in parts if their format allows it; the rows of a recording must then be together.

    Raises:
        DataError, ContractError, ConfigError, ToolError: the same cases as :func:`read_dataset`. Errors that concern
            all recordings together are raised at the end.
    """
    sides: dict[str, tuple[str, str | None]] = {}
    lost, short = dict[str, str](), list[str]()
    for signal in read_signals(source, base=base, in_parts=in_parts):
        if signal.lost:
            lost[signal.name] = signal.lost
        for one in make_recordings(signal, source, short):
            if one.name in sides:
                raise DataError(
                    f"recording {one.name} is in two files of data source {source.name!r}; give each recording a name "
                    "of its own, or remove one of the files"
                )
            sides[one.name] = (one.group, one.split)
            yield one
    if lost:
        name = next(iter(lost))
        log.warning("torn or garbage rows are left out of %s (%s: %s); edge-seq data check --json names all of them",
                    counted(len(lost), "recording"), name, lost[name])  # fmt: skip
    if short:
        log.warning("left out %s shorter than a window of %d samples (%s)",
                    counted(len(short), "recording"), source.window_length, some(short))  # fmt: skip
    if not sides:
        raise DataError(
            f"data source {source.name!r}: every recording is shorter than a window of {source.window_length} samples; "
            "shorten window_length"
        )
    checks.check_one_split_per_group(list(sides.values()))


def read_signals(
    source: DataSource, *, base: Path, on_error: Callable[[DataError], None] | None = None, in_parts: bool = False
) -> Iterator[Signal]:
    """Yield signals one after the other, in the channels' units, not checked against the contract.

    Args:
        source: data source to read.
        base: folder to which ``source.path`` is relative.
        on_error: called with the DataError of a file, whose remaining rows are then left out; None raises the error. If
            the file is read in parts, the recordings of earlier parts were already yielded.
        in_parts: see :func:`read_recordings`; if the rows of a recording are not together, the error is a
            RowsApartError.

    Raises:
        DataError, ContractError, ConfigError, ToolError: the same cases as :func:`read_dataset`, except those that the
            checks against the contract find.
    """
    readers, files = files_of(source, base)
    table_of_intervals = find_intervals(source, base)
    intervals = read_intervals(table_of_intervals) if table_of_intervals else ()
    names: list[str] = []
    for file in files:
        try:
            tables = _tables_of(file, readers, source, in_parts=in_parts)
            for signal in _cut_tables(tables, file, source, intervals, is_only=len(files) == 1):
                names.append(signal.name)
                yield signal
        except DataError as error:
            if on_error is None:
                raise
            on_error(error)
    check_all_used(intervals, names)


def files_of(source: DataSource, base: Path) -> tuple[tuple[Reader, ...], tuple[SourceFile, ...]]:
    """Readers that a data source allows, and its files in a fixed order.

    Raises:
        DataError: the same cases as :func:`edge_seq.data.readers.files.list_files`.
    """
    readers = tuple(
        reader
        for reader in READERS
        if source.format == reader.name or (source.format == "auto" and reader.name != "channel_windows")
    )
    suffixes = tuple(dict.fromkeys(suffix for reader in readers for suffix in reader.suffixes))
    more = tuple(dict.fromkeys(suffix for reader in readers for suffix in reader.more_suffixes))
    files = list_files(source, base, suffixes, more)
    if source.format == "channel_windows":
        files = channel_windows_file.one_of_each_side(files, source.channel_columns)
    return readers, files


def _cut_tables(
    tables: Iterator[Table], file: SourceFile, source: DataSource, intervals: Sequence[Interval], *, is_only: bool
) -> Iterator[Signal]:
    """Cut the tables of one file into signals.

    Raises:
        RowsApartError: a recording continues in a later table. With intervals, which describe whole recordings, this
            error replaces one of an interval that does not fit an earlier table.
        DataError, ContractError: the same cases as :func:`cut_signals`.
    """
    for table in tables:
        try:
            yield from cut_signals(table, file, source, intervals, is_only=is_only)
        except DataError:
            if source.label_from == "intervals":
                _check_rows_are_together(tables)
            raise


def _check_rows_are_together(tables: Iterator[Table]) -> None:
    """Read the remaining tables, only to find a RowsApartError."""
    try:
        for _ in tables:
            pass
    except RowsApartError:
        raise
    except DataError:
        pass  # the caller raises the first error


def _tables_of(file: SourceFile, readers: tuple[Reader, ...], source: DataSource, *, in_parts: bool) -> Iterator[Table]:
    """Read a file, or a folder with a file for each sensor, as one table, or in parts of whole recordings."""
    if source.sensor_files:
        yield _read_sensors(file, readers, source)
        return
    reader = reader_of(file.path, readers)
    _check_fields_fit(reader, source)
    if source.sensor_column is not None:
        yield join_rows(_read_long(file.path, reader, source), source)
        return
    options = _options(source, source.numeric_columns)
    if in_parts and reader.read_parts is not None and source.recording_column is not None:
        yield from each(file.path, reader.title, reader.read_parts(file.path, options, source.recording_column))
        return
    with reading(file.path, reader.title):
        table = reader.read(file.path, options)
    yield table


def _options(source: DataSource, numeric: Sequence[str], text: Sequence[str] | None = None) -> ReadOptions:
    return ReadOptions(
        numeric=tuple(dict.fromkeys(numeric)),
        text=source.text_columns if text is None else tuple(text),
        dates=source.date_columns,
        layout=source.layout,
        windows_array=source.windows_array,
        axes_order=source.axes_order,
        values_per_sample=source.row_is_window,
    )


def _read_long(path: Path, reader: Reader, source: DataSource) -> Table:
    """Read a file with the sensors in rows."""
    clock = [one for one in source.numeric_columns if one not in source.channel_columns]
    columns = [sensor_of(column)[1] for column in source.channel_columns]
    with reading(path, reader.title):
        return reader.read(path, _options(source, (*columns, *clock)))


def _read_sensors(file: SourceFile, readers: tuple[Reader, ...], source: DataSource) -> Table:
    """Read the files of all sensors of a recording, and join them."""
    wanted: dict[str, list[str]] = {}
    for column in source.channel_columns:
        sensor, name = sensor_of(column)
        wanted.setdefault(sensor, []).append(name)
    clock = [one for one in source.numeric_columns if one not in source.channel_columns]
    tables = {}
    for sensor, columns in wanted.items():
        path = file.path / source.sensor_files[sensor]
        reader = reader_of(path, readers)
        with reading(path, reader.title):
            tables[sensor] = reader.read(path, _options(source, (*columns, *clock), ()))
    return join_tables(tables, source, name=file.name)


def _check_fields_fit(reader: Reader, source: DataSource) -> None:
    clash = [
        field
        for field, has_own in (
            ("time_column", reader.has_time),
            ("index_column", reader.has_time),
            ("recording_column", reader.has_recordings),
        )
        if has_own and getattr(source, field) is not None
    ]
    if clash:
        raise ConfigError(
            f"data source {source.name!r}: {clash[0]} does not apply to the format {reader.name}, which contains this "
            "information itself; leave it out"
        )


def count_notes(notes_of_recordings: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """List each note once, with the number of recordings that have it.

    >>> count_notes([("resampled",), (), ("resampled",)])
    ('resampled (2 of 3 recordings)',)
    """
    tally: Counter[str] = Counter()
    total = 0
    for notes in notes_of_recordings:
        tally.update(notes)
        total += 1
    return tuple(f"{note} ({count} of {counted(total, 'recording')})" for note, count in tally.items())


def reader_of(path: Path, readers: tuple[Reader, ...]) -> Reader:
    """Choose the reader of a file by its suffix, or the only one.

    Raises:
        DataError: no reader knows the suffix.
    """
    if len(readers) == 1:  # the data source names the format, so the name of the file does not matter
        return readers[0]
    for reader in readers:
        if path.name.lower().endswith((*reader.suffixes, *reader.more_suffixes)):
            return reader
    known = [suffix for reader in readers for suffix in (*reader.suffixes, *reader.more_suffixes)]
    raise DataError(
        f"file {path.name}: no reader for its suffix; known are {known}. Convert the file, or give `format` in "
        "the data source"
    )
