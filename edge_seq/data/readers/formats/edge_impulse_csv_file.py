"""CSV files of Edge Impulse: the first column is ``timestamp``, in milliseconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edge_seq.data.readers.formats.csv_file import SUFFIXES, header_of, read_csv
from edge_seq.data.readers.table import Reader, ReadOptions, Table
from edge_seq.support.errors import DataError

TIMESTAMP = "timestamp"


def read_edge_impulse_csv(path: Path, options: ReadOptions) -> Table:
    """Read the requested columns and the times; see :class:`Reader`."""
    first = header_of(path, options.layout)[0]
    if first.lower() != TIMESTAMP:
        raise DataError(
            f"{path.name}: the first column is {first!r}; expected {TIMESTAMP!r}, the time in milliseconds, as Edge "
            'Impulse writes it. For another layout set format = "csv" and name the time_column'
        )
    table = read_csv(path, replace(options, numeric=(*options.numeric, first)))
    columns = {name: table.numeric[name] for name in options.numeric}
    return replace(table, numeric=columns, time_s=table.numeric[first] / 1000.0)


READER = Reader(name="edge_impulse_csv", title="CSV", suffixes=SUFFIXES, read=read_edge_impulse_csv, has_time=True)
