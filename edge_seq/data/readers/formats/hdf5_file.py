"""HDF5 files, and MATLAB files of version 7.3, which are HDF5: see :mod:`edge_seq.data.readers.formats.arrays`."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from edge_seq.data.readers.foreign import require
from edge_seq.data.readers.formats.arrays import Arrays, table_of_arrays
from edge_seq.data.readers.table import Reader, ReadOptions, Table
from edge_seq.support.hdf5 import check_heaps
from edge_seq.support.opening import open_regular


@contextmanager
def open_hdf5(path: Path, *, is_matlab: bool = False) -> Iterator[Arrays]:
    """Open the data sets of an HDF5 file; MATLAB stores their axes in reverse order.

    Raises:
        ToolError: h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise require("h5py", path.name, "hdf5") from error
    with open_regular(path) as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as content:
        check_heaps(content)
    with h5py.File(path, "r") as file:
        shapes: dict[str, tuple[int, ...]] = {}

        def visit(name: str, one: Any) -> None:
            if isinstance(one, h5py.Dataset) and not name.startswith("#") and one.external is None:
                shapes[name] = tuple(reversed(one.shape)) if is_matlab else tuple(one.shape)

        file.visititems(visit)

        def load(name: str) -> np.ndarray[Any, Any]:
            data = file[name]
            if h5py.check_string_dtype(data.dtype) is not None:
                return np.array([str(one) for one in data.asstr()[()].reshape(-1)])
            found = np.asarray(data[()])
            return found.T if is_matlab else found

        yield Arrays(path.name, path.stat().st_size, shapes, load)


def read_hdf5(path: Path, options: ReadOptions) -> Table:
    """Read the requested columns; see :class:`Reader`."""
    with open_hdf5(path) as arrays:
        return table_of_arrays(arrays, options)


READER = Reader(name="hdf5", title="HDF5", suffixes=(".h5", ".hdf5", ".hdf"), read=read_hdf5)
