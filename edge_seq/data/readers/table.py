"""What a reader is: a function from a file to a table of the columns asked for."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.support.errors import ContractError, DataError, ToolError


class RowsApartError(DataError):
    """Rows of a recording lie in several parts of a file: it has to be read as a whole."""


@dataclass(frozen=True)
class ReadOptions:
    """Which columns to read, and how a text file is laid out.

    Attributes:
        numeric: columns read as float64.
        text: columns read as text, whatever they hold.
        delimiter: between columns of a text file.
        column_names: of a text file without a header row, or of the last axis of windows; else empty.
        windows_array: of an NPZ file.
    """

    numeric: tuple[str, ...]
    text: tuple[str, ...]
    delimiter: str = ","
    column_names: tuple[str, ...] = ()
    windows_array: str = "X"


@dataclass(frozen=True)
class TextColumn:
    """A column of few different texts.

    Attributes:
        values: the different texts; a null is the empty text.
        codes: int64 [N], index into ``values``.
    """

    values: tuple[str, ...]
    codes: NDArray[np.int64]


@dataclass(frozen=True)
class Table:
    """Columns of one file, N rows each.

    Attributes:
        where: the file, for messages.
        numeric: float64 [N] each; a null is NaN.
        text: see :class:`TextColumn`.
        num_rows: N, at least 1.
        time_s: float64 [N], seconds, where the format has a clock of its own.
        units: name of the unit of a column, where the file says it.
        recordings: which recording a row is of, where the format tells; ``#3`` is added to the file's name.
        one_group: whether all recordings of the file are one group where nothing else says.
        details: what else the file says of itself: device, signature.
        notes: what a user has to know of how the file was read.
        first_row: place in the file of the first row, from 0, for messages.
    """

    where: str
    numeric: dict[str, NDArray[np.float64]]
    text: dict[str, TextColumn]
    num_rows: int
    time_s: NDArray[np.float64] | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    recordings: TextColumn | None = None
    one_group: bool = False
    details: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    first_row: int = 0


@dataclass(frozen=True)
class Reader:
    """A file format.

    Attributes:
        name: value of the data source's ``format``.
        suffixes: ends of the names of its files, in lower case.
        read: reads one file; raises DataError, ContractError (a column is missing) or ToolError (a package is).
        has_time: whether the format has a clock of its own, so that a time_column or index_column has no place.
        has_recordings: whether the format tells recordings apart, so that a recording_column has no place.
        read_parts: reads one file in parts, each of whole recordings, so that it never lies in memory as a whole;
            takes the column that tells recordings apart, raises RowsApartError too. None where a file is read at once.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[Path, ReadOptions], Table]
    has_time: bool = False
    has_recordings: bool = False
    read_parts: Callable[[Path, ReadOptions, str], Iterator[Table]] | None = None


def constant_column(value: str, num_rows: int) -> TextColumn:
    """A column with the same text in each row."""
    return TextColumn(values=(value,), codes=np.zeros(num_rows, dtype=np.int64))


def import_pyarrow() -> Any:
    """Import pyarrow, its CSV and its Parquet part; late, because only readers need it.

    Raises:
        ToolError: where it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.compute
        import pyarrow.csv
        import pyarrow.parquet
    except ImportError as error:
        raise ToolError(
            "cannot read tables: the Python package pyarrow is missing. Install it with: pip install edge-seq[data]"
        ) from error
    return pyarrow


def check_header(names: Sequence[str], options: ReadOptions, *, where: str) -> None:
    """Check that each column asked for is there, once.

    Raises:
        DataError: a column name comes twice.
        ContractError: a column is missing.
    """
    repeated = sorted({name for name in names if list(names).count(name) > 1})
    if repeated:
        raise DataError(
            f"{where}: column names {repeated} come more than once, so it is not clear which is meant; rename all "
            "but one"
        )
    missing = [name for name in options.numeric + options.text if name not in names]
    if missing:
        hints = []
        for name in missing:
            close = difflib.get_close_matches(name.strip().lower(), [n.strip().lower() for n in names], n=1, cutoff=0.6)
            hints += [f"{name!r} may be {n!r}" for n in names if close and n.strip().lower() == close[0]]
        raise ContractError(
            f"{where}: columns {missing} are missing; the file has {list(names)}. "
            + (f"{'; '.join(hints)}. " if hints else "")
            + "Name the columns in the data source as they are named in the file"
        )


def whole_recordings(
    schema: Any, batches: Iterable[Any], recording_column: str, options: ReadOptions, *, where: str
) -> Iterator[Table]:
    """Put the batches of a file together to tables that end where a recording does: one recording is in one table.

    Args:
        schema: of the batches.
        batches: ``pyarrow.RecordBatch``.
        recording_column: a new value begins another recording; one of the columns asked for.
        options: columns.
        where: the file, for messages.

    Raises:
        RowsApartError: a recording comes back that a table before held.
        DataError: as :func:`finish_table`.
    """
    known: set[str] = set()
    first_ticks: dict[str, int] = {}
    first_row = 0
    for arrow_table in _cut_at_changes(schema, batches, recording_column):
        table = finish_table(arrow_table, options, where=where, first_ticks=first_ticks, first_row=first_row)
        first_row += table.num_rows
        names = table.text[recording_column].values
        again = next((name for name in names if name in known), None)
        if again is not None:
            raise RowsApartError(
                f"recording {again}: its rows are not together, and the file is read in parts; sort its rows by "
                "recording"
            )
        known.update(names)
        yield table


def _cut_at_changes(schema: Any, batches: Iterable[Any], recording_column: str) -> Iterator[Any]:
    """``pyarrow.Table`` up to the last change of a batch; one without rows where there are none."""
    pa = import_pyarrow()
    waiting = [schema.empty_table()]
    for batch in batches:
        part = pa.Table.from_batches([batch])
        before = sum(len(one) for one in waiting)
        last = waiting[-1].slice(len(waiting[-1]) - 1) if before else waiting[-1]
        column = pa.concat_tables([last, part]).column(recording_column)
        differs = pa.compute.not_equal(column.slice(1), column.slice(0, max(0, len(column) - 1))).fill_null(True)
        changes = np.flatnonzero(differs.to_numpy())
        if changes.size:
            end = int(changes[-1]) + 1 - len(last)
            yield pa.concat_tables([*waiting, part.slice(0, end)])
            waiting = []
            part = part.slice(end)
        waiting.append(part)
    yield pa.concat_tables(waiting)


def finish_table(
    arrow_table: Any,
    options: ReadOptions,
    *,
    where: str,
    first_ticks: dict[str, int] | None = None,
    first_row: int = 0,
) -> Table:
    """Convert the columns asked for from a ``pyarrow.Table``.

    Args:
        arrow_table: of a file, or of a part of it.
        options: columns.
        where: the file, for messages.
        first_ticks: of columns of timestamps, from the first part of the file on; filled here.
        first_row: place of the first row in the file.

    Raises:
        DataError: there are no rows, or a numeric column holds something that is not a number.
    """
    if arrow_table.num_rows == 0:
        raise DataError(f"{where}: there is a header ({arrow_table.column_names}) but not one row; record some data")
    return Table(
        where=where,
        numeric={
            name: _numbers(arrow_table.column(name), name, where, {} if first_ticks is None else first_ticks)
            for name in options.numeric
        },
        text={name: _texts(arrow_table.column(name)) for name in options.text},
        num_rows=arrow_table.num_rows,
        first_row=first_row,
    )


def _numbers(column: Any, name: str, where: str, first_ticks: dict[str, int]) -> NDArray[np.float64]:
    pa = import_pyarrow()
    kind = column.type
    if pa.types.is_timestamp(kind):
        per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
        ticks = column.cast(pa.int64())
        first = first_ticks.setdefault(name, ticks[0].as_py() or 0)
        seconds: NDArray[np.float64] = (ticks.to_numpy() - first) / float(per_second)
        return seconds
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        row, text = first_non_number(column)
        raise DataError(
            f"{where}: column {name!r} must hold numbers, but row {row + 1} holds {text!r} (type {kind}); correct "
            "the row or name another column"
        )
    numbers: NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy().astype(np.float64)
    return numbers


def first_non_number(column: Any) -> tuple[int, str]:
    """First row (from 0) and value of a column that does not read as a number; the first row where all do."""
    for row, value in enumerate(column.to_pylist()):
        try:
            float("nan" if value in (None, "") else value)
        except (TypeError, ValueError):
            return row, str(value)
    return 0, str(column[0].as_py())


def _texts(column: Any) -> TextColumn:
    pa = import_pyarrow()
    filled = pa.compute.fill_null(column.cast(pa.string()), "").combine_chunks()
    encoded = filled.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    stripped = [value.strip() for value in encoded.dictionary.to_pylist()]  # `1, walk` is a common way to write CSV
    values = tuple(dict.fromkeys(stripped))
    new_code = np.array([values.index(value) for value in stripped], dtype=np.int64)
    return TextColumn(values=values, codes=new_code[encoded.indices.to_numpy()])
