"""CSV files of logger apps on phones: one column for the time, under one of several names, and one for each axis.

The time is the first of these columns that exists: ``seconds_elapsed``, ``time``, ``timestamp``, ``t``, ``elapsed``,
``loggingtime``. A unit may follow the name, in brackets or after an underscore (``Time (s)``, ``elapsed_ns``). Without
a unit the time is in seconds or nanoseconds, whichever suits the size of its steps. A unit in brackets after the name
of an axis, as in ``Acceleration x (m/s^2)``, is the unit of that column.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.readers.formats.csv_file import SUFFIXES, header_of, read_csv
from edge_seq.data.readers.table import Reader, ReadOptions, Table
from edge_seq.data.units import unit_in_name
from edge_seq.support.errors import DataError

TIME_NAMES = ("seconds_elapsed", "time", "timestamp", "t", "elapsed", "loggingtime")
PER_SECOND = {"s": 1, "sec": 1, "seconds": 1, "ms": 10**3, "us": 10**6, "µs": 10**6, "ns": 10**9}
_SMALLEST_NS_STEP = 1e5  # 10 kHz in nanoseconds; in seconds such a step would be more than a day
_LARGEST_S_STEP = 10.0


def read_phone_csv(path: Path, options: ReadOptions) -> Table:
    """Read the requested columns and the times; see :class:`Reader`."""
    header = header_of(path, options.layout)
    column = time_column_of(header)
    if column is None:
        raise DataError(
            f'{path.name}: no column of times; looked for {list(TIME_NAMES)} in {header}. Set format = "csv" and name '
            "the time_column"
        )
    table = read_csv(path, replace(options, numeric=tuple(dict.fromkeys((*options.numeric, column)))))
    ticks = table.numeric[column]
    return replace(
        table,
        numeric={name: table.numeric[name] for name in options.numeric},
        time_s=ticks / _per_second(column, ticks, path.name),
        units={name: unit for name in header if (unit := unit_in_name(name)) is not None},
    )


def time_column_of(header: list[str]) -> str | None:
    """Find the column of times among the names of a header; None if there is none."""
    by_name = {re.split(r"[\s\(\[]", name.strip().lower(), maxsplit=1)[0]: name for name in reversed(header)}
    by_stem = {re.sub(r"_(s|ms|us|ns)$", "", short): name for short, name in by_name.items()}
    return next((names[known] for known in TIME_NAMES for names in (by_name, by_stem) if known in names), None)


def _per_second(column: str, ticks: NDArray[np.float64], where: str) -> int:
    named = unit_in_name(column) or (column.rsplit("_", 1)[1] if "_" in column else "")
    if named.lower() in PER_SECOND:
        return PER_SECOND[named.lower()]
    if column.strip().lower() == "seconds_elapsed" or len(ticks) < 2:
        return 1
    step = float(np.median(np.diff(ticks)))
    if step >= _SMALLEST_NS_STEP:
        return PER_SECOND["ns"]
    if step <= _LARGEST_S_STEP:
        return 1
    raise DataError(
        f"{where}: column {column!r} goes up by {step:g} per sample, which is neither seconds nor nanoseconds. Set "
        f'format = "csv", time_column = {column!r} and time_unit = "ms" or "us"'
    )


READER = Reader(name="phone_csv", title="CSV", suffixes=SUFFIXES, read=read_phone_csv, has_time=True)
