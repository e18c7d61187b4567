"""NPY files: windows [N, T, C] or one recording [T, C]; labels are in a file beside it.

``label_column = "y"`` of ``X.npy`` is ``y.npy``, and of ``X_train.npy`` it is ``y_train.npy``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_seq.data.readers.foreign import reading
from edge_seq.data.readers.formats.arrays import Arrays, table_of_arrays
from edge_seq.data.readers.formats.npz_file import load_npy, shape_of
from edge_seq.data.readers.table import Reader, ReadOptions, Table


def beside(path: Path, name: str) -> Path:
    """Path of the array ``name`` that belongs to the windows in ``path``."""
    _, mark, rest = path.stem.partition("_")
    return path.with_name(f"{name}{mark}{rest}.npy")


@contextmanager
def open_npy(path: Path, names: tuple[str, ...] = ()) -> Iterator[Arrays]:
    """Open an NPY file as the array of its own name, with the named arrays beside it."""
    files = {path.stem: path} | {name: other for name in names if (other := beside(path, name)).is_file()}
    shapes = {}
    for name, one in files.items():
        with reading(one, "NPY"), one.open("rb") as file:
            shapes[name] = shape_of(file)

    def load(name: str) -> np.ndarray[Any, Any]:
        with reading(files[name], "NPY"), files[name].open("rb") as file:
            return load_npy(file, files[name].name)

    yield Arrays(path.name, sum(one.stat().st_size for one in files.values()), shapes, load)


def read_npy(path: Path, options: ReadOptions) -> Table:
    """Read the requested columns; see :class:`Reader`."""
    with open_npy(path, options.text) as arrays:
        return table_of_arrays(arrays, replace(options, windows_array=path.stem))


READER = Reader(name="npy", title="NPY", suffixes=(".npy",), read=read_npy)
