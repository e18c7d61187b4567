"""A text file for each channel, with a window in each row, as in the raw signals of UCI HAR.

``Inertial Signals/total_acc_x_train.txt`` stands for all files of that folder that end in ``_train``: their names
without that end are the columns. ``y_train.txt`` and ``subject_train.txt``, in the folder or above it, hold a value for
each window; any other name can be a column of text in the same way. ``activity_labels.txt`` above names the classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.layout import Layout
from edge_seq.data.readers.foreign import reading
from edge_seq.data.readers.formats.arrays import texts_of
from edge_seq.data.readers.formats.csv_file import read_matrix
from edge_seq.data.readers.source_file import SourceFile
from edge_seq.data.readers.table import Reader, ReadOptions, Table, TextColumn, check_header
from edge_seq.support.errors import DataError
from edge_seq.support.opening import read_text

CLASS_NAMES = "activity_labels.txt"


def columns_beside(path: Path) -> dict[str, Path]:
    """Columns, and their files, of the side that a file belongs to.

    >>> sorted(columns_beside(Path("no/such/total_acc_x_train.txt")))
    []
    """
    side = path.stem.rpartition("_")[2]
    found = sorted(path.parent.glob(f"*_{side}{path.suffix}"))
    return {one.stem[: -len(side) - 1]: one for one in found}


def one_of_each_side(files: Sequence[SourceFile], columns: Sequence[str]) -> tuple[SourceFile, ...]:
    """Of the files of a folder, the first of each side that is one of the columns: it stands for all of its side.

    If none is, all files are given, so that the reader says what is missing.
    """
    found: dict[tuple[Path, str], SourceFile] = {}
    for file in files:
        name, _, side = file.path.stem.rpartition("_")
        if name in columns:
            found.setdefault((file.path.parent, side), file)
    return tuple(found.values()) or tuple(files)


def beside_or_above(path: Path, name: str) -> Path | None:
    """File of a column of text: beside the signals or above them; None if there is none."""
    side = path.stem.rpartition("_")[2]
    places = (path.parent / f"{name}_{side}{path.suffix}", path.parent.parent / f"{name}_{side}{path.suffix}")
    return next((place for place in places if place.is_file()), None)


def class_names(path: Path) -> dict[str, str]:
    """Names of the classes by code, from ``activity_labels.txt``; empty if there is no such file."""
    folders = [path.parent, *path.parent.parents][:3]
    file = next((one / CLASS_NAMES for one in folders if (one / CLASS_NAMES).is_file()), None)
    if file is None:
        return {}
    with reading(file, "text"):
        pairs = [line.split(maxsplit=1) for line in read_text(file, "utf-8-sig").splitlines() if line.strip()]
    return {pair[0]: pair[1].strip().lower() for pair in pairs if len(pair) == 2}


def read_channel_windows(path: Path, options: ReadOptions) -> Table:
    """Read the requested columns; see :class:`Reader`."""
    files = columns_beside(path)
    check_header([*files, *options.text], options, where=path.name)
    windows: dict[str, NDArray[np.float64]] = {}
    for name in options.numeric:
        with reading(files[name], "text"):
            windows[name] = read_matrix(files[name], replace(options, layout=replace(options.layout, column_names=())))
    shapes = {name: one.shape for name, one in windows.items()}
    if len(set(shapes.values())) != 1:
        raise DataError(f"{path.name}: the files of the channels have the shapes {shapes}; expected one shape")
    count, length = next(iter(shapes.values()))
    texts = {}
    for name in options.text:
        file = beside_or_above(path, name)
        if file is None:
            raise DataError(f"{path.name}: there is no file of {name!r} beside it or above; correct the name")
        with reading(file, "text"):
            values = read_matrix(file, ReadOptions((), (), layout=Layout()))
        texts[name] = texts_of(values, count, length, name, file.name)
    return Table(
        where=path.name,
        numeric={name: one.reshape(-1) for name, one in windows.items()},
        text=texts,
        num_rows=count * length,
        recordings=TextColumn(
            tuple(f"#{index + 1}" for index in range(count)), np.repeat(np.arange(count, dtype=np.int64), length)
        ),
        one_group=True,
    )


READER = Reader(
    name="channel_windows", title="text", suffixes=(".txt",), read=read_channel_windows, has_recordings=True
)
