"""Parquet files."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_seq.data.readers.foreign import check_unpacked
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
    with _checked(path, options) as file:
        table = file.read(columns=list(options.columns), use_threads=False)
    return finish_table(table, options, where=path.name)


def read_parquet_parts(path: Path, options: ReadOptions, recording_column: str) -> Iterator[Table]:
    """Read the requested columns in parts of about 65,000 rows, each of whole recordings; see :class:`Reader`."""
    pa = import_pyarrow()
    with _checked(path, options) as file:
        columns = list(options.columns)
        batches = file.iter_batches(batch_size=PART_ROWS, columns=columns, use_threads=False)
        schema = pa.schema([file.schema_arrow.field(name) for name in columns])
        parts = itertools.chain([schema.empty_table()], (pa.Table.from_batches([one]) for one in batches))
        yield from whole_recordings(parts, recording_column, options, where=path.name)


def parquet_columns(path: Path) -> list[str]:
    """Names of the columns of a Parquet file."""
    with _checked(path, ReadOptions((), ())) as file:
        return list(file.schema_arrow.names)


@contextmanager
def _checked(path: Path, options: ReadOptions) -> Iterator[Any]:
    pa = import_pyarrow()
    size = path.stat().st_size
    if size == 0:
        raise DataError(f"{path.name}: the file is empty; expected a Parquet file with one row per sample")
    with pa.parquet.ParquetFile(str(path), memory_map=False, pre_buffer=False) as file:
        check_header(list(file.schema_arrow.names), options, where=path.name)
        check_unpacked(path.name, size, file.metadata.num_rows * 8 * max(1, len(options.columns)))
        yield file


READER = Reader(
    name="parquet", title="Parquet", suffixes=(".parquet",), read=read_parquet, read_parts=read_parquet_parts
)
