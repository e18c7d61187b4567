"""Content of one file: its columns and facts of their values. Values are kept for the first rows only."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.layout import BLANK_LINE, Layout
from edge_seq.data.readers.foreign import opened
from edge_seq.data.readers.formats.arrays import Arrays, vector, vectors_of
from edge_seq.data.readers.formats.hdf5_file import open_hdf5
from edge_seq.data.readers.formats.mat_file import open_mat
from edge_seq.data.readers.formats.npy_file import open_npy
from edge_seq.data.readers.formats.npz_file import open_npz
from edge_seq.data.readers.formats.parquet_file import open_parquet, texts_unpacked
from edge_seq.data.readers.table import BREAK, RECORDING, Reader, ReadOptions, check_header, import_pyarrow
from edge_seq.data.readers.text.dialect import Dialect, is_number, is_value
from edge_seq.data.readers.text.rows import Lost, blocks
from edge_seq.data.readers.text.sniff import numbered_lines, sniff, text_of
from edge_seq.data.units import unit_in_name
from edge_seq.support.errors import DataError

KEPT_ROWS = 50_000
_SAMPLE_LINES = 400
_MANY_TEXTS = 4096
ARRAYS: dict[str, Callable[[Path], Any]] = {"npz": open_npz, "npy": open_npy, "mat": open_mat, "hdf5": open_hdf5}


@dataclass(frozen=True)
class Look:
    """Content of a file.

    Attributes:
        path: the file.
        name: path below the folder without suffix.
        header: how the table is written, one line.
        columns: names in the order of the file.
        numbers: float64 [N] of each column of numbers, the first 50,000 rows.
        texts: texts of each other column, the first 50,000 rows.
        distinct: distinct texts of each other column in the whole file, at most 4096.
        largest: largest magnitude of each column of numbers in the whole file.
        units: unit of a column, as the file says.
        rows: number of rows.
        segments: numbers of rows between blank lines or markers; one for each recording.
        recording_break: what separates them, as a data source says it.
        dialect: dialect of a text file.
        lost: rows that are torn or garbage, for the user.
        lost_share: their share.
        time_s: times that the format has itself.
        preamble: lines before the header; of arrays, those of one number that a rate or a range may be, `fs = 50`.
    """

    path: Path
    name: str
    header: str
    columns: tuple[str, ...]
    numbers: dict[str, NDArray[np.float64]]
    texts: dict[str, list[str]]
    distinct: dict[str, frozenset[str]]
    largest: dict[str, float]
    units: dict[str, str]
    rows: int
    segments: tuple[int, ...] = ()
    recording_break: str | None = None
    dialect: Dialect | None = None
    lost: str = ""
    lost_share: float = 0.0
    time_s: NDArray[np.float64] | None = None
    preamble: tuple[str, ...] = ()
    restarts: bool = False
    details: dict[str, str] = field(default_factory=dict)

    @property
    def stated_by(self) -> str:
        """The part of the file that ``preamble`` is, for the user."""
        return "the arrays of one number" if self.dialect is None else "the first lines"


def look_at_text(path: Path, name: str) -> Look:
    """Look at a text file.

    Raises:
        DataError: it cannot be read as a table.
    """
    dialect = sniff(path, Layout())
    check_header(dialect.names, ReadOptions((), ()), where=path.name)
    numeric = _numeric_columns(path, dialect)
    of_numbers = set(numeric)
    text = tuple(one for one in dialect.names if one not in of_numbers)
    rule = _recording_break(path, dialect, numeric)
    layout = Layout(recording_break=rule, max_lost_share=0.5)
    lost = Lost()
    options = ReadOptions(numeric, text)
    parts = list(blocks(path, dialect, layout, options, lost))
    table = import_pyarrow().concat_tables(parts)
    if table.num_rows == 0:
        raise DataError(f"{path.name}: there is a header ({list(dialect.names)}) but no row; record some data")
    segments: tuple[int, ...] = ()
    if RECORDING in table.column_names:
        segments = tuple(np.unique(table.column(RECORDING).to_numpy(), return_counts=True)[1].tolist())
    units = {one: unit for one in dialect.names if (unit := unit_in_name(one))} | dict(dialect.units)
    look = _of_arrow(table, path, name, str(dialect), dialect.names, numeric, units)
    breaks = table.column(BREAK).to_numpy()
    return replace(
        look,
        segments=segments,
        recording_break=rule,
        dialect=dialect,
        lost=str(lost) if lost.count else "",
        lost_share=lost.count / max(1, lost.rows),
        preamble=dialect.preamble,
        restarts=bool(breaks.sum() > lost.count),
    )


def look_at_parquet(path: Path, name: str) -> Look:
    """Look at a Parquet file."""
    pa = import_pyarrow()
    with open_parquet(path, None) as (file, _):
        table = texts_unpacked(path, file.read(use_threads=False))
    names = list(table.column_names)
    kinds = {one: table.schema.field(one).type for one in names}
    stamps = [one for one in names if pa.types.is_timestamp(kinds[one])]
    for one in stamps:
        column = table.column(one).cast(pa.int64()).cast(pa.float64(), safe=False)
        per_second = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[kinds[one].unit]
        seconds = pa.array(column.to_numpy() / per_second)
        table = table.set_column(names.index(one), one, seconds)
    numeric = tuple(
        one for one in names if one in stamps or pa.types.is_integer(kinds[one]) or pa.types.is_floating(kinds[one])
    )
    for one in numeric:
        table = table.set_column(names.index(one), one, table.column(one).cast(pa.float64(), safe=False))
    for one in names:
        if one not in numeric:
            table = table.set_column(names.index(one), one, table.column(one).cast(pa.string()))
    if table.num_rows == 0:
        raise DataError(f"{path.name}: there is a header ({names}) but no row; record some data")
    units = {one: unit for one in names if (unit := unit_in_name(one))} | dict.fromkeys(stamps, "s")
    return _of_arrow(table, path, name, "Parquet", names, numeric, units)


def look_at_acquisition(path: Path, name: str, reader: Reader, document: Any) -> Look:
    """Look at an acquisition file of Edge Impulse."""
    payload = document.get("payload", {}) if isinstance(document, dict) else {}
    sensors = payload.get("sensors") if isinstance(payload, dict) else None
    columns = tuple(
        str(one.get("name")) for one in (sensors if isinstance(sensors, list) else []) if isinstance(one, dict)
    )
    table = reader.read(path, ReadOptions(columns, ()))
    return Look(
        path=path,
        name=name,
        header=f"Edge Impulse {reader.title}",
        columns=columns,
        numbers=table.numeric,
        texts={},
        distinct={},
        largest={one: _largest(values) for one, values in table.numeric.items()},
        units={one: unit for one, unit in table.units.items() if unit},
        rows=table.num_rows,
        time_s=table.time_s,
    )


def open_arrays(path: Path, kind: str) -> Any:
    """Open a file of arrays: a context manager that gives :class:`Arrays`."""
    return ARRAYS[kind](path)


def look_at_vectors(path: Path, name: str, arrays: Arrays, title: str) -> Look:
    """Look at a file with a vector for each column."""
    columns = {one: vector(arrays, one) for one in vectors_of(arrays.shapes)}
    sizes = Counter(len(values) for values in columns.values())
    count = max((size for size in sizes if size > 1), key=lambda size: sizes[size], default=0)
    numbers: dict[str, NDArray[np.float64]] = {}
    texts: dict[str, list[str]] = {}
    for one, values in columns.items():
        if len(values) == count:
            if values.dtype.kind in "iufb":
                numbers[one] = values.astype(np.float64)
            else:
                texts[one] = [str(text) for text in values.tolist()]
    if not numbers:
        raise DataError(f"{path.name}: no array of numbers; the file has {dict(arrays.shapes)}")
    return Look(
        path=path,
        name=name,
        header=title,
        columns=(*numbers, *texts),
        numbers=numbers,
        texts=texts,
        distinct={one: frozenset(values) for one, values in texts.items()},
        largest={one: _largest(values) for one, values in numbers.items()},
        units={},
        rows=count,
        preamble=single_numbers(arrays),
    )


def single_numbers(arrays: Arrays) -> tuple[str, ...]:
    """Arrays of one number, as lines such as ``fs = 50``."""
    names = [name for name, shape in arrays.shapes.items() if all(size == 1 for size in shape)]
    found = {name: arrays.get(name).reshape(-1) for name in names}
    return tuple(f"{name} = {value[0]:g}" for name, value in found.items() if value.dtype.kind in "iuf")


def _of_arrow(
    table: Any, path: Path, name: str, header: str, names: Sequence[str], numeric: Sequence[str], units: dict[str, str]
) -> Look:
    pa = import_pyarrow()
    head = table.slice(0, KEPT_ROWS)
    texts = [one for one in names if one not in numeric]
    distinct = {}
    for one in texts:
        found = pa.compute.unique(table.column(one)).slice(0, _MANY_TEXTS).to_pylist()
        distinct[one] = frozenset((text or "").strip() for text in found)
    return Look(
        path=path,
        name=name,
        header=header,
        columns=tuple(names),
        numbers={one: head.column(one).to_numpy().astype(np.float64) for one in numeric},
        texts={one: [(text or "").strip() for text in head.column(one).to_pylist()] for one in texts},
        distinct=distinct,
        largest={one: _largest(table.column(one).to_numpy()) for one in numeric},
        units=units,
        rows=table.num_rows,
    )


def _largest(values: NDArray[Any]) -> float:
    finite = values[np.isfinite(values)]
    return float(np.abs(finite).max()) if finite.size else 0.0


def _numeric_columns(path: Path, dialect: Dialect) -> tuple[str, ...]:
    """Columns that hold numbers in nearly all of the first rows."""
    rows = []
    with opened(path) as file, text_of(file, dialect.encoding, path.name) as text:
        for number, line in numbered_lines(text, path.name):
            if number > dialect.first_line and line.strip() and not line.lstrip().startswith(dialect.comment):
                cells = dialect.cells(line)
                if len(cells) == len(dialect.names):
                    rows.append(cells)
            if len(rows) >= _SAMPLE_LINES:
                break
    found = []
    for index, name in enumerate(dialect.names):
        cells = [row[index] for row in rows]
        if sum(is_value(cell, dialect.decimal) for cell in cells) >= 0.9 * len(cells) and any(
            is_number(cell, dialect.decimal) for cell in cells
        ):
            found.append(name)
    return tuple(found)


def _recording_break(path: Path, dialect: Dialect, numeric: Sequence[str]) -> str | None:
    """Find the separator of recordings in a text file: blank lines, or lines that come again and are no rows."""
    blanks, rows, last_was_row = 0, 0, False
    others: Counter[str] = Counter()
    shapes: dict[str, str] = {}
    indices = [n for n, name in enumerate(dialect.names) if name in numeric]
    with opened(path) as file, text_of(file, dialect.encoding, path.name) as text:
        for number, line in numbered_lines(text, path.name):
            bare = dialect.row_of(line)[1].strip()
            if number <= dialect.first_line:
                continue
            if not bare:
                blanks += last_was_row
                last_was_row = False
                continue
            cells = dialect.cells(line)
            if len(cells) == len(dialect.names) and all(is_value(cells[n], dialect.decimal) for n in indices):
                rows += 1
                last_was_row = True
            elif len(bare) < 60 and bare != (dialect.header or "").strip() and not any(map(_is_float, cells)):
                shape = re.sub(r"\d+", "0", bare)
                others[shape] += 1
                shapes.setdefault(shape, bare)
    if others:
        shape, count = others.most_common(1)[0]
        # Words between numbers may differ: `gesture 3`. Comment lines begin no recording unless they come that often.
        if count >= 2 and rows >= 5 * count:
            return re.sub(r"0", r"\\d+", re.escape(shape).replace(r"\ ", " "))
    return BLANK_LINE if blanks >= 2 and rows >= 5 * blanks else None


def _is_float(cell: str) -> bool:
    return is_number(cell) or is_number(cell, ",")
