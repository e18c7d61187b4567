"""MATLAB files: see :mod:`edge_seq.data.readers.formats.arrays`. Version 7.3 needs h5py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from edge_seq.data.readers.foreign import require
from edge_seq.data.readers.formats.arrays import Arrays, table_of_arrays
from edge_seq.data.readers.formats.hdf5_file import open_hdf5
from edge_seq.data.readers.table import Reader, ReadOptions, Table

_HDF5 = b"\x89HDF\r\n\x1a\n"


@contextmanager
def open_mat(path: Path) -> Iterator[Arrays]:
    """Open the variables of a MATLAB file.

    Raises:
        ToolError: SciPy (or h5py, for version 7.3) is not installed.
    """
    with path.open("rb") as file:
        start = file.read(1024)
    if _HDF5 in (start[:8], start[512:520]):
        with open_hdf5(path, is_matlab=True) as arrays:
            yield arrays
        return
    try:
        from scipy.io import loadmat, whosmat
    except ImportError as error:
        raise require("scipy", path.name) from error
    shapes = {name: tuple(shape) for name, shape, _ in whosmat(str(path))}

    def load(name: str) -> np.ndarray[Any, Any]:
        return np.asarray(loadmat(str(path), variable_names=[name], squeeze_me=False)[name])

    yield Arrays(path.name, path.stat().st_size, shapes, load)


def read_mat(path: Path, options: ReadOptions) -> Table:
    """Read the requested columns; see :class:`Reader`."""
    with open_mat(path) as arrays:
        return table_of_arrays(arrays, options)


READER = Reader(name="mat", title="MATLAB", suffixes=(".mat",), read=read_mat)
