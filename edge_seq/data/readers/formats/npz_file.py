"""NPZ files: named arrays, see :mod:`edge_seq.data.readers.formats.arrays`.

Files with Python objects (pickle) are refused, because reading them would run their code.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format

from edge_seq.data.readers.formats.arrays import Arrays, table_of_arrays
from edge_seq.data.readers.table import Reader, ReadOptions, Table
from edge_seq.support.errors import DataError


@contextmanager
def open_npz(path: Path) -> Iterator[Arrays]:
    """Open the arrays of an NPZ file. Shapes are read without unpacking the arrays."""
    with zipfile.ZipFile(path) as archive:
        members = {one.removesuffix(".npy"): one for one in archive.namelist() if one.endswith(".npy")}

        def load(name: str) -> np.ndarray[Any, Any]:
            with archive.open(members[name]) as file:
                return load_npy(file, path.name)

        shapes = {}
        for name, member in members.items():
            with archive.open(member) as file:
                shapes[name] = shape_of(file)
        yield Arrays(path.name, path.stat().st_size, shapes, load)


def shape_of(file: Any) -> tuple[int, ...]:
    """Read the shape of an array from the header of an NPY file."""
    version = npy_format.read_magic(file)
    read = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
    shape, _, dtype = read(file)
    return (*shape, dtype.itemsize) if dtype.itemsize > 8 and dtype.kind not in "US" else tuple(shape)


def load_npy(file: Any, where: str) -> np.ndarray[Any, Any]:
    """Read an array.

    Raises:
        DataError: it holds Python objects.
    """
    try:
        found: np.ndarray[Any, Any] = npy_format.read_array(file, allow_pickle=False)
        return found
    except ValueError as error:
        if "allow_pickle" in str(error) or "Object arrays" in str(error):
            raise DataError(
                f"{where}: holds Python objects (pickle), which run code when they are read; save arrays of numbers "
                "and texts (dtype str, not object)"
            ) from error
        raise


def read_npz(path: Path, options: ReadOptions) -> Table:
    """Read the requested columns; see :class:`Reader`."""
    with open_npz(path) as arrays:
        return table_of_arrays(arrays, options)


READER = Reader(name="npz", title="NPZ", suffixes=(".npz",), read=read_npz, has_recordings=True)
