"""CSV files, plain or gzipped."""

from __future__ import annotations

import csv
import gzip
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.readers.table import (
    Reader,
    ReadOptions,
    Table,
    check_header,
    finish_table,
    first_non_number,
    import_pyarrow,
    whole_recordings,
)
from edge_seq.support.errors import DataError

log = logging.getLogger(__name__)

SUFFIXES = (".csv", ".csv.gz")
PART_BYTES = 1 << 20
_TAIL_BYTES = 1 << 16


def read_csv(path: Path, options: ReadOptions) -> Table:
    """Read the requested columns; see :class:`Reader`."""
    pa = import_pyarrow()
    names = _names(path, options)
    try:
        with _opened(pa, path, names, options, numbers=True) as batches:
            table = batches.read_all()
    except (pa.ArrowInvalid, OSError, EOFError) as error:
        raise _explained(pa, path, names, options, error) from error
    return finish_table(table, options, where=path.name)


def read_csv_parts(path: Path, options: ReadOptions, recording_column: str) -> Iterator[Table]:
    """Read the requested columns in parts of about 1 MB, each of whole recordings; see :class:`Reader`."""
    pa = import_pyarrow()
    names = _names(path, options)
    try:
        with _opened(pa, path, names, options, numbers=True) as batches:
            yield from whole_recordings(batches.schema, batches, recording_column, options, where=path.name)
    except (pa.ArrowInvalid, OSError, EOFError) as error:
        raise _explained(pa, path, names, options, error) from error


def _names(path: Path, options: ReadOptions) -> list[str]:
    """Names of the file's columns, in its order. Raises an error if a requested column is missing."""
    names = header_of(path, options)
    check_header(names, options, where=path.name)
    return names


def header_of(path: Path, options: ReadOptions) -> list[str]:
    """Names of the columns in the order of the file.

    Raises:
        DataError: the file is empty, or has no header and the data source names no columns.
    """
    first_row = _first_row(path, options, path.name)
    return list(options.column_names) or first_row


def read_integers(path: Path, column: str, options: ReadOptions) -> NDArray[np.int64] | None:
    """Read a column of integers exactly, because float64 rounds those above 2^53. None if it holds other values.

    Raises:
        ToolError: pyarrow is not installed.
    """
    pa = import_pyarrow()
    names = list(options.column_names)
    try:
        table = pa.csv.read_csv(
            str(path),
            read_options=pa.csv.ReadOptions(use_threads=False, column_names=names or None),
            parse_options=pa.csv.ParseOptions(delimiter=options.delimiter),
            convert_options=pa.csv.ConvertOptions(column_types={column: pa.int64()}, include_columns=[column]),
        )
    except (pa.ArrowInvalid, OSError, EOFError):
        return None
    if table.column(column).null_count:
        return None
    numbers: NDArray[np.int64] = table.column(column).to_numpy()
    return numbers


def _first_row(path: Path, options: ReadOptions, where: str) -> list[str]:
    """First row of the file: the header, or the first values if the data source names the columns."""
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter=options.delimiter)
            first = next((row for row in rows if row), None)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{where}: cannot be read as CSV: {error}") from error
    if first is None:
        raise DataError(f"{where}: the file is empty; expected a header row and one row per sample")
    if options.column_names:
        _check_headerless(first, options, where)
    elif all(_is_number(value) for value in first):
        raise DataError(
            f"{where}: the first row {first} holds only numbers, so the file seems to have no header; give "
            "column_names in the data source, in the order of the file"
        )
    return first


def _check_headerless(first: list[str], options: ReadOptions, where: str) -> None:
    if set(first) & set(options.column_names):
        order = "the same order as" if tuple(first) == options.column_names else "another order than"
        raise DataError(
            f"{where}: the file has a header {first}, in {order} column_names "
            f"{list(options.column_names)}; remove column_names from the data source, since columns are found by name"
        )
    if len(first) != len(options.column_names):
        raise DataError(
            f"{where}: rows have {len(first)} columns, column_names in the data source has "
            f"{len(options.column_names)}; name every column of the file, in its order"
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _opened(pa: Any, path: Path, names: list[str], options: ReadOptions, *, numbers: bool) -> Any:
    """Open a file as a pyarrow.csv.CSVStreamingReader, which gives batches of rows."""
    torn = _torn_last_row(path, len(names), options.delimiter)

    def skip_torn(row: Any) -> str:
        if torn is None or row.text != torn:
            return "error"
        log.warning(
            "%s: the last row %r is incomplete, as if the recording was cut off; it is left out", path.name, torn
        )
        return "skip"

    types = dict.fromkeys(options.text, pa.string())
    types.update(dict.fromkeys(options.numeric, pa.float64() if numbers else pa.string()))
    return pa.csv.open_csv(
        str(path),
        read_options=pa.csv.ReadOptions(
            use_threads=False, block_size=PART_BYTES, column_names=names if options.column_names else None
        ),
        parse_options=pa.csv.ParseOptions(delimiter=options.delimiter, invalid_row_handler=skip_torn),
        convert_options=pa.csv.ConvertOptions(column_types=types, include_columns=list(types)),
    )


def _torn_last_row(path: Path, columns: int, delimiter: str) -> str | None:
    """Text of the last row if it has neither a line end nor all columns; else None."""
    if path.name.lower().endswith(".gz"):
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        last = file.read().rpartition(b"\n")[2]
    row = last.decode("utf-8", "replace")
    return row if row and len(next(csv.reader([row], delimiter=delimiter), [])) < columns else None


def _explained(pa: Any, path: Path, names: list[str], options: ReadOptions, error: Exception) -> DataError:
    """Build the error to raise for a failed read. If a numeric column holds text, it names column, row and value."""
    rows = 0
    try:
        with _opened(pa, path, names, options, numbers=False) as batches:
            for batch in batches:
                for name in options.numeric:
                    row, value = first_non_number(batch.column(name))
                    if not _is_number(value or "nan"):
                        return DataError(
                            f"{path.name}: column {name!r} must hold numbers, but data row {rows + row + 1} holds "
                            f"{value!r}; correct the row or name another column"
                        )
                rows += batch.num_rows
    except (pa.ArrowInvalid, OSError, EOFError):
        pass  # no single value is to blame, so the parser's message is used
    return DataError(f"{path.name}: cannot be read as CSV: {error}")


READER = Reader(name="csv", suffixes=SUFFIXES, read=read_csv, read_parts=read_csv_parts)
