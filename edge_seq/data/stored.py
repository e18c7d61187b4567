"""Samples on disk that behave like arrays, for data sets that do not fit into memory.

A file holds int16 rows, one after the other, little-endian. :class:`StoredRows` is a stretch of it (a recording),
:class:`StoredWindows` are windows that begin anywhere in it. Both are read when they are indexed. They use plain reads
instead of a memory map, so that the memory is free again afterwards. They can replace a numpy array
(``Recording.counts``, ``Windows.counts``): shape, dtype, len, slices and index arrays give the same as for an array.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edge_seq.support.errors import DataError
from edge_seq.support.opening import open_regular

BLOCK = 1024  # number of windows in memory at a time
_ITEM = np.dtype("<i2")


class RowFile:
    """A file of int16 rows.

    Attributes:
        path: path of the file.
        row_shape: shape of one row: ``(C,)`` for counts, ``()`` for labels.
        num_rows: number of rows, N.
    """

    def __init__(self, path: Path, row_shape: tuple[int, ...]) -> None:
        self.path = path
        self.row_shape = row_shape
        self._row_bytes = _ITEM.itemsize * int(np.prod(row_shape, dtype=np.int64))
        try:
            self._file = open_regular(path)
        except OSError as error:
            raise DataError(f"reading {path.name}: {error.strerror}; run edge-seq train again") from error
        self.num_rows = path.stat().st_size // self._row_bytes

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def read(self, first: int, count: int) -> NDArray[np.int16]:
        """Read ``count`` rows from row ``first`` on, int16 [count, ...].

        Raises:
            DataError: the file ends earlier.
        """
        rows = np.empty((count, *self.row_shape), dtype=_ITEM)
        self._file.seek(first * self._row_bytes)
        if count and self._file.readinto(rows.data.cast("B")) != rows.nbytes:
            raise DataError(
                f"reading {self.path.name}: it ends before row {first + count}; it was cut off or changed, run "
                "edge-seq train again"
            )
        return rows.astype(np.int16, copy=False)


class StoredRows:
    """Rows of a file that behave like an array int16 [T, ...]."""

    dtype = np.dtype(np.int16)

    def __init__(self, file: RowFile, first: int, count: int) -> None:
        self.file, self.first = file, first
        self.shape = (count, *file.row_shape)
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            return self.file.read(self.first + start, max(0, stop - start))[::step]
        return self.__array__()[index]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self.file.read(self.first, len(self)).astype(dtype or np.int16, copy=False)


class StoredWindows:
    """Windows of a file that behave like an array int16 [B, T, ...]."""

    dtype = np.dtype(np.int16)

    def __init__(self, file: RowFile, starts: NDArray[np.int64], length: int) -> None:
        self.file, self.starts = file, starts
        self.shape = (len(starts), length, *file.row_shape)
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, tuple):
            return self[index[0]][tuple([slice(None), *index[1:]])]  # noqa: C409 - Python 3.10
        chosen = self.starts[index]
        if np.ndim(chosen) == 0:
            return self.file.read(int(chosen), self.shape[1])
        windows = np.empty((len(chosen), *self.shape[1:]), dtype=np.int16)
        for row, start in enumerate(chosen.tolist()):
            windows[row] = self.file.read(start, self.shape[1])
        return windows

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)

    def select(self, index: NDArray[np.integer | np.bool_]) -> StoredWindows:
        """Select the windows at ``index``. They stay on disk."""
        return StoredWindows(self.file, self.starts[index], self.shape[1])


def as_array(stored: StoredRows | StoredWindows) -> NDArray[np.int16]:
    """Return the same object, with the type of the array that it replaces."""
    return cast("NDArray[np.int16]", stored)


def join(parts: Sequence[NDArray[np.int16]]) -> NDArray[np.int16]:
    """Put arrays together along their first axis. Windows of one file stay on disk.

    >>> join([np.zeros((2, 3), np.int16), np.ones((1, 3), np.int16)]).shape
    (3, 3)
    """
    stored = [part for part in cast("Sequence[object]", parts) if isinstance(part, StoredWindows)]
    if len(stored) == len(parts) and len({part.file.path for part in stored}) == 1:
        starts = np.concatenate([part.starts for part in stored])
        return as_array(StoredWindows(stored[0].file, starts, stored[0].shape[1]))
    return np.concatenate([np.asarray(part) for part in parts])


def blocks(array: NDArray[np.int16], size: int = BLOCK) -> Iterator[NDArray[np.int16]]:
    """Yield an array in blocks of at most ``size`` along its first axis, each in memory.

    >>> [len(block) for block in blocks(np.zeros((5, 2), dtype=np.int16), size=2)]
    [2, 2, 1]
    """
    for start in range(0, len(array), size):
        yield np.ascontiguousarray(array[start : start + size])


def is_stored(array: object) -> bool:
    """True if an array is on disk."""
    return isinstance(array, StoredRows | StoredWindows)
