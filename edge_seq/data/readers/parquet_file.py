"""Parquet files."""

from __future__ import annotations

from pathlib import Path

from edge_seq.data.readers.table import Reader, ReadOptions, Table, check_header, finish_table, import_pyarrow
from edge_seq.errors import DataError


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


READER = Reader(name="parquet", suffixes=(".parquet",), read=read_parquet)
