"""Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge_seq.data.readers.table import (
    Reader,
    ReadOptions,
    Table,
    check_header,
    finish_table,
    import_pyarrow,
    whole_recordings,
)
from edge_seq.support.errors import DataError

PART_ROWS = 65_536


def read_parquet(path: Path, options: ReadOptions) -> Table:
    """Read the requested columns; see :class:`Reader`."""
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
    """Read the requested columns in parts of about 65,000 rows, each of whole recordings; see :class:`Reader`."""
    pa = import_pyarrow()
    where = path.name
    if path.stat().st_size == 0:
        raise DataError(f"{where}: the file is empty; expected a Parquet file with one row per sample")
    try:
        with pa.parquet.ParquetFile(str(path), memory_map=False, pre_buffer=False) as file:
            check_header(list(file.schema_arrow.names), options, where=where)
            columns = list(options.numeric + options.text)
            batches = file.iter_batches(batch_size=PART_ROWS, columns=columns, use_threads=False)
            schema = pa.schema([file.schema_arrow.field(name) for name in columns])
            yield from whole_recordings(schema, batches, recording_column, options, where=where)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{where}: cannot be read as Parquet: {error}") from error


READER = Reader(name="parquet", suffixes=(".parquet",), read=read_parquet, read_parts=read_parquet_parts)
