"""Tables in text files, plain or packed: CSV and its relatives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.layout import Layout
from edge_seq.data.readers.table import (
    Reader,
    ReadOptions,
    Table,
    TextColumn,
    check_header,
    finish_table,
    import_pyarrow,
    whole_recordings,
)
from edge_seq.data.readers.text.dialect import Dialect
from edge_seq.data.readers.text.rows import Lost, blocks
from edge_seq.data.readers.text.sniff import sniff
from edge_seq.data.units import unit_in_name, unit_of
from edge_seq.support.errors import DataError
from edge_seq.support.figure_text import counted

SUFFIXES = (".csv", ".csv.gz")
# A folder of CSV files often holds notes with these suffixes, so they are read where there is no CSV.
_ENDS = (".txt", ".tsv", ".dat", ".log")
MORE_SUFFIXES = (*_ENDS, ".csv.zip", *(end + packed for end in _ENDS for packed in (".gz", ".zip")))


def read_csv(path: Path, options: ReadOptions) -> Table:
    """Read the requested columns; see :class:`Reader`."""
    pa = import_pyarrow()
    if options.values_per_sample is not None:
        return _read_rows_of_windows(path, options, options.values_per_sample)
    dialect = dialect_of(path, options)
    lost = Lost()
    table = finish_table(
        pa.concat_tables(blocks(path, dialect, options.layout, options, lost)), options, where=path.name
    )
    return replace(table, units=units_of(dialect), lost=str(lost) if lost.count else "")


def read_csv_parts(path: Path, options: ReadOptions, recording_column: str) -> Iterator[Table]:
    """Read the requested columns in parts of about 1 MB, each of whole recordings; see :class:`Reader`."""
    import_pyarrow()
    dialect = dialect_of(path, options)
    lost, said = Lost(), 0
    parts = blocks(path, dialect, options.layout, options, lost)
    for table in whole_recordings(parts, recording_column, options, where=path.name):
        yield replace(table, units=units_of(dialect), lost=str(lost) if lost.count > said else "")
        said = lost.count


def dialect_of(path: Path, options: ReadOptions) -> Dialect:
    """Find the dialect of a file, and check that it has the requested columns.

    Raises:
        DataError: the file has no header although columns are wanted by name, or two columns have the same name.
        ContractError: a column is missing.
    """
    dialect = sniff(path, options.layout, options.columns)
    if not dialect.has_header and not options.layout.column_names and not set(options.columns) <= set(dialect.names):
        raise DataError(
            f"{path.name}: line {dialect.first_line + 1} holds only numbers and no line before it names "
            f"{len(dialect.names)} columns, so the file seems to have no header; give column_names in the data source, "
            "in the order of the file"
        )
    check_header(dialect.names, options, where=path.name)
    return dialect


def units_of(dialect: Dialect) -> Mapping[str, str]:
    """Known units of columns, from a row of units or from brackets in the names."""
    found = {name: unit for name in dialect.names if (unit := unit_in_name(name))} | dict(dialect.units)
    return {name: unit for name, unit in found.items() if unit_of(unit)}


def header_of(path: Path, layout: Layout) -> list[str]:
    """Names of the columns of a text file, in its order.

    Raises:
        DataError: see :func:`edge_seq.data.readers.text.sniff.sniff`.
    """
    return list(sniff(path, layout).names)


def read_matrix(path: Path, options: ReadOptions) -> NDArray[np.float64]:
    """Read all columns of a text file without a header: float64 [rows, columns].

    Raises:
        DataError: a row is torn or garbage, so that rows no longer go with those of other files, or there is none.
    """
    lost, dialect = Lost(), sniff(path, options.layout)
    values = _matrix(path, dialect, options, lost)
    garbage = [f"line 1: {line[:40]!r}" for line in dialect.preamble[:1]] + [str(lost)] * bool(lost.count)
    if garbage:
        count = len(dialect.preamble) + lost.count
        raise DataError(
            f"{path.name}: {counted(count, 'row is', 'rows are')} torn or garbage ({'; '.join(garbage)}), so its rows "
            "do not go with those of the files beside it; correct the file"
        )
    return values


def _matrix(path: Path, dialect: Dialect, options: ReadOptions, lost: Lost) -> NDArray[np.float64]:
    wide = replace(options, numeric=dialect.names, text=(), dates=())
    table = import_pyarrow().concat_tables(blocks(path, dialect, options.layout, wide, lost))
    if table.num_rows == 0:
        raise DataError(f"{path.name}: there is no row; expected numbers in each row")
    return np.stack([table.column(name).to_numpy() for name in dialect.names], axis=1)


def _read_rows_of_windows(path: Path, options: ReadOptions, per_sample: int) -> Table:
    """Read a file with a window in each row: x y z x y z ... Each row is a recording, and the file one group."""
    layout = replace(options.layout, column_names=())
    dialect = sniff(path, layout)
    width = len(dialect.names)
    names = options.column_names or options.numeric
    if width % per_sample or len(names) != per_sample:
        raise DataError(
            f"{path.name}: a row holds {width} values and row_is_window is {per_sample} ({list(names)}); expected a "
            "whole number of samples. Correct row_is_window, and name its columns with channels or column_names"
        )
    check_header((*names, *options.text), options, where=path.name)
    if options.text or options.dates:
        raise DataError(
            f"{path.name}: rows are windows of {list(names)} and hold no column {[*options.text, *options.dates]}; "
            "give "
            'the class with label_from = "file_name", "folder" or "manifest", and leave out columns of times'
        )
    lost = Lost()
    values = _matrix(path, dialect, replace(options, layout=layout), lost)
    samples = width // per_sample
    windows = values.reshape(len(values), samples, per_sample)
    return Table(
        where=path.name,
        numeric={name: windows[:, :, names.index(name)].reshape(-1) for name in options.numeric},
        text={},
        num_rows=len(values) * samples,
        recordings=TextColumn(
            tuple(f"#{index + 1}" for index in range(len(values))), np.repeat(np.arange(len(values)), samples)
        ),
        one_group=True,
        lost=str(lost) if lost.count else "",
    )


READER = Reader(
    name="csv", title="CSV", suffixes=SUFFIXES, more_suffixes=MORE_SUFFIXES, read=read_csv, read_parts=read_csv_parts
)
