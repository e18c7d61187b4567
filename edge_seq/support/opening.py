"""The place where files of others are opened: run folders, models, configurations, recordings.

Only regular files are opened, so that a device or a pipe in their place neither blocks nor fills the memory. The size
is known before memory is taken, and compared with :func:`memory_limit`. Errors are OSError and ValueError, whatever the
library under it raises: a caller turns these two into the project's error for its kind of file. A reader of another
format does the same: open with :func:`open_regular` or :func:`read_bytes`, and check with :func:`check_memory` what the
file's header says before it is unpacked. Readers of recordings use :mod:`edge_seq.data.readers.foreign`, which builds
on this module.
"""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from edge_seq.support.memory import UnusableFileError, check_memory

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


_WHOLE_NUMBERS = 2**64
_DEEPEST = 100
Tensors = dict[str, NDArray[Any]]


def open_regular(path: Path) -> io.BufferedReader:
    """Open a file for reading, without waiting for the writer of a pipe.

    Raises:
        OSError: it does not exist, is not a regular file, or cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnusableFileError(errno.EINVAL, "it is not a regular file", str(path))
        return io.BufferedReader(io.FileIO(descriptor, "rb"))
    except BaseException:
        os.close(descriptor)
        raise


def read_bytes(path: Path) -> bytes:
    """Read a whole file.

    Raises:
        OSError: see :func:`open_regular` and :func:`check_memory`.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        check_memory(str(path), size)
        content = file.read(size + 1)
    if len(content) > size:
        raise UnusableFileError(errno.EBUSY, "it grew while it was read", str(path))
    return content


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """Read a whole file of text as :meth:`pathlib.Path.read_text` does: every end of a line becomes a newline.

    Raises:
        OSError: see :func:`read_bytes`.
        ValueError: it is not of that encoding.
    """
    return read_bytes(path).decode(encoding).replace("\r\n", "\n").replace("\r", "\n")


def _whole(text: str) -> int:
    value = int(text) if len(text) <= 20 else _WHOLE_NUMBERS  # longer ones take time to convert
    if abs(value) >= _WHOLE_NUMBERS:
        raise ValueError(f"the number {text[:12]}... has {len(text)} digits; expected at most 64 bits")
    return value


def parse_json(text: str | bytes) -> Any:
    """Parse JSON of another program.

    Raises:
        ValueError: it is not JSON, is nested too deeply, or holds a whole number beyond 64 bits.
    """
    try:
        return json.loads(text, parse_int=_whole)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML of another program.

    Raises:
        ValueError: it is not TOML, is nested too deeply, or holds a whole number beyond 64 bits.
    """
    try:
        table: dict[str, Any] = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    _check_values(table)
    return table


def _check_values(table: dict[str, Any]) -> None:
    waiting: list[tuple[Any, int]] = [(table, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ValueError("it is nested too deeply")
        if isinstance(value, int) and abs(value) >= _WHOLE_NUMBERS:
            raise ValueError("it holds a whole number beyond 64 bits")
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        waiting += [(one, depth + 1) for one in inside]


def load_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file. A byte order mark before it, as some editors write, is no part of it.

    Raises:
        OSError: see :func:`read_bytes`.
        ValueError: see :func:`parse_toml`, or it is not UTF-8.
    """
    return parse_toml(read_text(path, "utf-8-sig"))


def load_tensors(path: Path) -> tuple[Tensors, dict[str, str]]:
    """Read a safetensors file: arrays by name, and the metadata.

    Raises:
        OSError: see :func:`read_bytes`.
        ValueError: it is not a whole safetensors file, or holds a type that numpy does not have.
    """
    return parse_tensors(read_bytes(path))


def parse_tensors(content: bytes) -> tuple[Tensors, dict[str, str]]:
    """Read the bytes of a safetensors file; see :func:`load_tensors`."""
    try:
        tensors = safetensors.numpy.load(content)
        header = parse_json(content[8 : 8 + int.from_bytes(content[:8], "little")])
        metadata = header.get("__metadata__") or {}
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not a whole safetensors file ({error})") from error
    return {name: np.asarray(array) for name, array in tensors.items()}, metadata
