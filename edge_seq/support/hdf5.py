"""A check of HDF5 files that its library lacks."""

from __future__ import annotations

import mmap

_HEAD = 16  # bytes before the first object of a heap, and before each object's data


def check_heaps(content: bytes | mmap.mmap) -> None:
    """Check the global heaps of an HDF5 file, which hold texts of any length.

    The HDF5 library (1.14 and before) walks over the objects of a heap by their sizes, and for ever where the size of
    free space is zero. See the HDF5 file format specification, III.E.

    Args:
        content: the file.

    Raises:
        ValueError: a walk would not end.
    """
    start = content.find(b"GCOL")
    while start >= 0:
        end = min(start + int.from_bytes(content[start + 8 : start + 16], "little"), len(content))
        at = start + _HEAD
        while at + _HEAD <= end:
            index, size = (int.from_bytes(content[at + a : at + b], "little") for a, b in ((0, 2), (8, 16)))
            if index == 0 and size == 0:
                raise ValueError("a heap of its texts is damaged, and reading it would not end")
            at += size if index == 0 else _HEAD + (size + 7) // 8 * 8
        start = content.find(b"GCOL", start + 4)
