"""Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edge_seq.data.readers.table import Reader, ReadOptions, Table, check_header, finish_table, import_pyarrow
from edge_seq.errors import DataError

PART_ROWS = 65_536


def read_parquet(path: Path, options: ReadOptions) -> Table:
    """Read the columns asked for; see :class:`Reader`."""
    pa = import_pyarrow()
    where = path.name
    if path.stat().st_size == 0:
        raise DataError(f"{where}: the file is empty; expected a Parquet file with one row per sample")
    try:
        with pa.parquet.ParquetFile(str(path)) as file:
            check_header(list(file.schema_arrow.names), options, where=where)
            table = file.read(columns=list(options.numeric + options.text), use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{where}: cannot be read as Parquet: {error}") from error
    return finish_table(table, options, where=where)


def read_parquet_parts(path: Path, options: ReadOptions, recording_column: str) -> Iterator[Table]:
    """Read the columns asked for in parts of some ten thousand rows, each of whole recordings; see :class:`Reader`."""
    pa = import_pyarrow()
    where = path.name
    if path.stat().st_size == 0:
        raise DataError(f"{where}: the file is empty; expected a Parquet file with one row per sample")
    rest: Any = None
    try:
        with pa.parquet.ParquetFile(str(path), memory_map=False, pre_buffer=False) as file:
            check_header(list(file.schema_arrow.names), options, where=where)
            columns = list(options.numeric + options.text)
            for batch in file.iter_batches(batch_size=PART_ROWS, columns=columns, use_threads=False):
                part = pa.Table.from_batches([batch])
                part = part if rest is None else pa.concat_tables([rest, part])
                end = _rows_before_the_last_recording(part.column(recording_column))
                if end:
                    yield finish_table(part.slice(0, end), options, where=where)
                rest = part.slice(end).combine_chunks()
            if rest is None:
                rest = file.read(columns=columns, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{where}: cannot be read as Parquet: {error}") from error
    yield finish_table(rest, options, where=where)


def _rows_before_the_last_recording(column: Any) -> int:
    """Rows up to the last change of a column."""
    pa = import_pyarrow()
    if len(column) < 2:
        return 0
    differs = pa.compute.not_equal(column.slice(1), column.slice(0, len(column) - 1)).fill_null(True)
    changes = np.flatnonzero(differs.to_numpy())
    return int(changes[-1]) + 1 if changes.size else 0


READER = Reader(name="parquet", suffixes=(".parquet",), read=read_parquet, read_parts=read_parquet_parts)
