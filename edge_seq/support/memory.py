"""The most memory that one file of somebody else may take, and the error of a file that would take more."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path


class UnusableFileError(OSError):
    """A file that is not opened, or not read further; its text is the reason alone."""

    def __str__(self) -> str:
        return str(self.strerror)


LIMIT = "EDGE_SEQ_MEMORY_LIMIT"  # environment variable, bytes; worker processes inherit it
_CGROUP = Path("/sys/fs/cgroup/memory.max")
_SHARE = 4  # a file may take so much of the memory: text and numbers of it exist at the same time for a while
_FALLBACK = 1 << 31


def memory_limit() -> int:
    """Most bytes that one file may take when it is unpacked: ``EDGE_SEQ_MEMORY_LIMIT``, or a quarter of the memory.

    Raises:
        ValueError: the variable does not hold a number of bytes.
    """
    stated = os.environ.get(LIMIT)
    if stated is not None:
        return parse_size(stated)
    sizes = []
    with suppress(OSError, ValueError, AttributeError):
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError):
        sizes.append(int(_CGROUP.read_text(encoding="ascii")))
    return min(sizes) // _SHARE if sizes else _FALLBACK


def parse_size(text: str) -> int:
    """Read a number of bytes, with or without a unit.

    Raises:
        ValueError: it is not one.

    >>> parse_size("4G"), parse_size("500 MB"), parse_size("4096")
    (4294967296, 524288000, 4096)
    """
    bare = text.strip().upper().removesuffix("B").removesuffix("I")
    power = "KMGT".find(bare[-1:]) + 1 if bare[-1:] else 0
    number = bare[:-1].strip() if power else bare
    if not (number.isascii() and number.isdigit() and 0 < len(number) <= 15 and int(number) > 0):
        raise ValueError(f"{text!r} is not a number of bytes; expected for example 4G, 500M or 4096")
    return int(number) << (10 * power)


def check_memory(name: str, size: int) -> None:
    """Check, before memory is taken, that a file does not take too much of it.

    Raises:
        OSError: it does.
    """
    limit = memory_limit()
    if size > limit:
        raise UnusableFileError(
            errno.EFBIG,
            f"it takes {size:,} bytes of memory, more than the limit of {limit:,}. If you trust the file, raise the "
            "limit: edge-seq --memory-limit",
            name,
        )
