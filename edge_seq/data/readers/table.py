"""Interface of readers: a reader turns a file into a table of the requested columns."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.layout import Layout
from edge_seq.data.readers.clock import seconds_of_dates
from edge_seq.data.readers.foreign import check_fits
from edge_seq.support.errors import ContractError, DataError, ToolError

# Columns that a reader may add to an Arrow table: whether a row follows a break, and the number of its recording.
BREAK, RECORDING = "\x00break", "\x00recording"


class RowsApartError(DataError):
    """The rows of a recording are not together, so the file cannot be read in parts."""


@dataclass(frozen=True)
class ReadOptions:
    """Columns to read, and the layout of the file.

    Attributes:
        numeric: columns to read as float64.
        text: columns to read as text, whatever they hold.
        dates: columns of dates or times of day, read as seconds.
        layout: what is stated about text files.
        windows_array: name of the array of windows in an NPZ, MATLAB or HDF5 file.
        axes_order: axes of the array of windows: ``N`` windows, ``T`` samples, ``C`` channels.
        values_per_sample: number of columns of a text file whose rows are whole windows; None for one row per sample.
    """

    numeric: tuple[str, ...]
    text: tuple[str, ...]
    dates: tuple[str, ...] = ()
    layout: Layout = field(default_factory=Layout)
    windows_array: str = "X"
    axes_order: str = "NTC"
    values_per_sample: int | None = None

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns of a text file without a header, or of the channels of windows."""
        return self.layout.column_names

    @property
    def columns(self) -> tuple[str, ...]:
        """All requested columns."""
        return tuple(dict.fromkeys((*self.numeric, *self.dates, *self.text)))


@dataclass(frozen=True)
class TextColumn:
    """A column of text with few distinct values.

    Attributes:
        values: distinct texts; a null is the empty text.
        codes: int64 [N], index into ``values``.
    """

    values: tuple[str, ...]
    codes: NDArray[np.int64]


@dataclass(frozen=True)
class Table:
    """Columns of one file, N rows each.

    Attributes:
        where: name of the file, for messages.
        numeric: columns of numbers, each float64 [N]; a null is NaN.
        text: columns of text.
        num_rows: number of rows, N, at least 1.
        time_s: float64 [N], seconds, if the format has times of its own.
        units: unit of a column as the file names it, for columns that have one.
        recordings: recording of each row, if the format tells recordings apart; a value such as ``#3`` is added to the
            file's name.
        one_group: True if all recordings of the file are one group, unless the data source gives groups.
        details: further information in the file: device, signature.
        notes: notes for the user about the reading of the file.
        first_row: index of the first row in the file, from 0, for messages.
        breaks: bool [N], true for a row before which rows were left out or the logger restarted; None if there is none.
        lost: what was left out, for the user; empty if nothing was.
        splits: side of the split of each row, if the file tells the sides apart.
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
    breaks: NDArray[np.bool_] | None = None
    lost: str = ""
    splits: TextColumn | None = None


@dataclass(frozen=True)
class Reader:
    """A file format.

    Attributes:
        name: value of the data source's ``format``.
        title: name of the format in messages.
        suffixes: suffixes of its files, in lower case.
        read: reads one file. Raises DataError, ContractError (a column is missing) or ToolError (a package is missing).
        more_suffixes: suffixes of its files that are read only where a folder holds no file with a suffix above.
        has_time: True if the format has times of its own; time_column and index_column are then refused.
        has_recordings: True if the format tells recordings apart; a recording_column is then refused.
        read_parts: reads one file in parts, each of whole recordings, so that the whole file is never in memory. Its
            third argument is the column that tells recordings apart. Raises RowsApartError too. None if the format
            cannot be read in parts.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    read: Callable[[Path, ReadOptions], Table]
    more_suffixes: tuple[str, ...] = ()
    has_time: bool = False
    has_recordings: bool = False
    read_parts: Callable[[Path, ReadOptions, str], Iterator[Table]] | None = None


def constant_column(value: str, num_rows: int) -> TextColumn:
    """Make a column with the same text in each row."""
    return TextColumn(values=(value,), codes=np.zeros(num_rows, dtype=np.int64))


def import_pyarrow() -> Any:
    """Import pyarrow with its CSV and Parquet modules. The import is late because only readers need it.

    Raises:
        ToolError: pyarrow is not installed.
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
    """Check that each requested column exists exactly once.

    Raises:
        DataError: two columns have the same name.
        ContractError: a column is missing.
    """
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise DataError(
            f"{where}: column names {repeated} occur more than once, so it is not clear which is meant; rename all "
            "but one"
        )
    missing = [name for name in options.columns if name not in names]
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
    parts: Iterable[Any], recording_column: str, options: ReadOptions, *, where: str
) -> Iterator[Table]:
    """Join the batches of a file into tables that end where a recording ends, so that no recording is in two tables.

    Args:
        parts: parts of a file, each a ``pyarrow.Table``.
        recording_column: requested column that tells recordings apart; a new value begins another recording.
        options: columns to read.
        where: name of the file, for messages.

    Raises:
        RowsApartError: a recording occurs again after another one.
        DataError: the same cases as :func:`finish_table`.
    """
    known: set[str] = set()
    first_ticks: dict[str, int] = {}
    first_row = 0
    for arrow_table in _cut_at_changes(parts, recording_column, where):
        table = finish_table(arrow_table, options, where=where, first_ticks=first_ticks, first_row=first_row)
        first_row += table.num_rows
        names = table.text[recording_column].values
        again = next((name for name in names if name in known), None)
        if again is not None:
            raise RowsApartError(
                f"recording {again}: its rows are not together, but the file is read in parts; sort the rows by "
                "recording"
            )
        known.update(names)
        yield table


def _cut_at_changes(parts: Iterable[Any], recording_column: str, where: str) -> Iterator[Any]:
    """Yield a ``pyarrow.Table`` up to the last change of recording in a part; an empty file gives an empty table."""
    pa = import_pyarrow()
    waiting: list[Any] = []
    for part in parts:
        before = sum(len(one) for one in waiting)
        last = waiting[-1].slice(len(waiting[-1]) - 1) if before else part.slice(0, 0)
        column = pa.concat_tables([last, part]).column(recording_column)
        differs = pa.compute.not_equal(column.slice(1), column.slice(0, max(0, len(column) - 1))).fill_null(True)
        changes = np.flatnonzero(differs.to_numpy())
        if changes.size:
            end = int(changes[-1]) + 1 - len(last)
            yield pa.concat_tables([*waiting, part.slice(0, end)])
            waiting = []
            part = part.slice(end)
        if len(part) or not waiting:
            size = sum(one.nbytes for one in (*waiting, part))
            check_fits(where, size, "or cut its longest recording, as each is in memory whole")
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
    """Convert the requested columns of a ``pyarrow.Table``.

    Args:
        arrow_table: table of a file, or of a part of it.
        options: columns to read.
        where: name of the file, for messages.
        first_ticks: first timestamp of each column of timestamps, from which times count. The first part of a file
            fills it, the later parts use it.
        first_row: index of the first row in the file, from 0.

    Raises:
        DataError: there are no rows, or a numeric column holds something that is not a number.
    """
    if arrow_table.num_rows == 0:
        names = [name for name in arrow_table.column_names if name not in (BREAK, RECORDING)]
        raise DataError(f"{where}: there is a header ({names}) but no row; record some data")
    ticks = {} if first_ticks is None else first_ticks
    numeric = {name: _numbers(arrow_table.column(name), name, where, ticks) for name in options.numeric}
    numeric.update({name: _dates(arrow_table.column(name), name, where, ticks) for name in options.dates})
    breaks = arrow_table.column(BREAK).to_numpy() if BREAK in arrow_table.column_names else np.zeros(0, dtype=np.bool_)
    recordings = None
    if RECORDING in arrow_table.column_names:
        found, codes = np.unique(arrow_table.column(RECORDING).to_numpy(), return_inverse=True)
        recordings = TextColumn(tuple(f"#{number + 1}" for number in found.tolist()), codes.astype(np.int64))
    return Table(
        where=where,
        numeric=numeric,
        text={name: _texts(arrow_table.column(name)) for name in options.text},
        num_rows=arrow_table.num_rows,
        first_row=first_row,
        recordings=recordings,
        breaks=breaks if breaks.any() else None,
    )


def _dates(column: Any, name: str, where: str, first_ticks: dict[str, int]) -> NDArray[np.float64]:
    pa = import_pyarrow()
    if pa.types.is_timestamp(column.type):
        return _numbers(column, name, where, first_ticks)
    return seconds_of_dates(column.cast(pa.string()).fill_null("").to_pylist(), where=where, column=name)


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
    """Find row (from 0) and text of the first value of a column that is not a number; the first row if all are."""
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
    stripped = [value.strip() for value in encoded.dictionary.to_pylist()]  # CSV files often have blanks: `1, walk`
    values = tuple(dict.fromkeys(stripped))
    new_code = np.array([values.index(value) for value in stripped], dtype=np.int64)
    return TextColumn(values=values, codes=new_code[encoded.indices.to_numpy()])
