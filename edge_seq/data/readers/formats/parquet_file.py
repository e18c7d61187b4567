"""Parquet files."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_seq.data.readers.foreign import IN_PARTS, check_fits, check_unpacked
from edge_seq.data.readers.formats.parquet_pages import ColumnPages, column_pages
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
from edge_seq.support.memory import memory_limit

PART_ROWS, LEAST_ROWS = 65_536, 256
BUFFER_BYTES = 1 << 20


def read_parquet(path: Path, options: ReadOptions) -> Table:
    """Read the requested columns; see :class:`Reader`."""
    with open_parquet(path, options) as (file, _):
        table = texts_unpacked(path, file.read(columns=list(options.columns), use_threads=False))
    return finish_table(table, options, where=path.name)


def read_parquet_parts(path: Path, options: ReadOptions, recording_column: str) -> Iterator[Table]:
    """Read the requested columns in parts of about 65,000 rows or fewer, each of whole recordings; see
    :class:`Reader`."""
    pa = import_pyarrow()
    with open_parquet(path, options, in_parts=True) as (file, pages):
        columns = list(options.columns)
        rows = rows_at_once(path, pages)
        batches = file.iter_batches(batch_size=rows, columns=columns, use_threads=False)
        schema = pa.schema([file.schema_arrow.field(name) for name in columns])
        tables = itertools.chain([schema.empty_table()], (pa.Table.from_batches([one]) for one in batches))
        parts = (texts_unpacked(path, one, in_parts=True) for one in tables)
        yield from whole_recordings(parts, recording_column, options, where=path.name)


@contextmanager
def open_parquet(
    path: Path, options: ReadOptions | None, *, in_parts: bool = False
) -> Iterator[tuple[Any, Mapping[str, ColumnPages]]]:
    """Open a file once the metadata say that its columns do not unpack to more than recordings do.

    A text that many rows share takes memory once: give what is read to :func:`texts_unpacked`.

    Args:
        path: the file.
        options: columns to read; None for all.
        in_parts: True if it is read in parts. Then a row group may be larger than the memory.

    Yields:
        A ``pyarrow.parquet.ParquetFile``, and the pages of each column that is not nested.

    Raises:
        DataError: the file is empty, or unpacks to far more than recordings do, or than fits.
    """
    pa = import_pyarrow()
    size = path.stat().st_size
    if size == 0:
        raise DataError(f"{path.name}: the file is empty; expected a Parquet file with one row per sample")
    metadata = pa.parquet.read_metadata(str(path))
    schema = [metadata.schema.column(index) for index in range(metadata.num_columns)]
    wanted = [index for index, one in enumerate(schema) if options is None or one.path in options.columns]
    texts = [index for index in wanted if schema[index].physical_type == "BYTE_ARRAY" and "." not in schema[index].path]
    pages = column_pages(path, [schema[index].path for index in wanted if "." not in schema[index].path])
    # A reader of dictionaries keeps the texts of a row group; any other one unpacks texts that rows share.
    kept = [schema[index].path for index in texts if not pages[schema[index].path].plain]
    with pa.parquet.ParquetFile(
        str(path),
        metadata=metadata,
        read_dictionary=kept,
        memory_map=False,
        pre_buffer=False,
        buffer_size=BUFFER_BYTES,  # else a column of a row group is read at once
    ) as file:
        if options is not None:
            check_header(list(file.schema_arrow.names), options, where=path.name)
        # Sizes of single columns would be closer, but pyarrow ends the process where their statistics are damaged.
        groups = [metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups)]
        numbers = metadata.num_rows * 8 * max(1, len(wanted))
        unpacked = max(numbers, sum(groups) if texts else 0, sum(int(one.sizes.sum()) for one in pages.values()))
        check_unpacked(path.name, size, unpacked, at_once=not in_parts)
        yield file, {name: one.as_group() if name in kept else one for name, one in pages.items()}


def rows_at_once(path: Path, pages: Mapping[str, ColumnPages]) -> int:
    """Number of rows of a batch that fits the memory, whatever the size of the row groups.

    Args:
        path: the file.
        pages: pages of the columns to read.

    Raises:
        DataError: the pages of the fewest rows that are read at once do not fit.
    """
    rows = PART_ROWS
    while True:
        # Pages, and what is read of them, are in memory together.
        needed = 8 * rows * len(pages) + 2 * sum(one.most_bytes(rows) for one in pages.values())
        if rows <= LEAST_ROWS or needed <= memory_limit():
            name = max(pages, key=lambda one: pages[one].most_bytes(rows), default="")
            check_fits(
                path.name,
                needed,
                f"or write the file again with smaller pages (data_page_size in pyarrow): those of column {name!r} are "
                "the largest, and a page is in memory whole",
            )
            return rows
        rows //= 2


def texts_unpacked(path: Path, table: Any, *, in_parts: bool = False) -> Any:
    """Give each row its own text, once the sum of their lengths is known.

    Args:
        path: the file.
        table: ``pyarrow.Table`` that was read from it.
        in_parts: True if it is a part of the file.

    Raises:
        DataError: the texts take far more memory than those of recordings, or than fits; the message names the column
            with the longest.
    """
    pa = import_pyarrow()
    compute = pa.compute
    texts = [pa.dictionary(pa.int32(), kind) for kind in (pa.string(), pa.binary())]
    names = [field.name for field in table.schema if field.type in texts]
    totals = dict.fromkeys(names, 0)
    for name in names:
        for chunk in table.column(name).chunks:
            lengths = compute.binary_length(chunk.dictionary)
            totals[name] += compute.sum(lengths.take(chunk.indices), min_count=0).as_py()
    if names:
        longest = max(names, key=lambda one: totals[one])
        where = f"{path.name}, column {longest!r}, whose rows share long texts"
        instead = f"or write the file again with shorter texts in column {longest!r}"
        check_unpacked(where, path.stat().st_size, sum(totals.values()), at_once=False, instead=instead)
        check_fits(where, sum(totals.values()), instead if in_parts else f"{IN_PARTS}, {instead}")
    for name in names:
        index = table.column_names.index(name)
        table = table.set_column(index, name, table.column(name).cast(table.schema.field(name).type.value_type))
    return table


READER = Reader(
    name="parquet", title="Parquet", suffixes=(".parquet",), read=read_parquet, read_parts=read_parquet_parts
)
