"""The place where files of others are opened: only regular files, and every library error becomes a DataError."""

from __future__ import annotations

import gzip
import io
import lzma
import stat
import struct
import sys
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

from edge_seq.support.errors import DataError, EdgeSeqError, ToolError
from edge_seq.support.memory import check_memory
from edge_seq.support.opening import open_regular

# Recordings are packed to a tenth at best. A larger ratio is a file made to fill the memory.
MAX_RATIO = 200
FREE_BYTES = 1 << 28  # unpacked size below which the ratio does not matter
_ERRORS = (
    OSError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError,
    MemoryError, NotImplementedError, RuntimeError, LookupError, struct.error, zlib.error, lzma.LZMAError,
    zipfile.BadZipFile, SyntaxError, tokenize.TokenError,
)  # fmt: skip
T = TypeVar("T")


def _errors() -> tuple[type[Exception], ...]:
    """Errors that readers of damaged files raise, with those of the libraries in use."""
    own = (("cbor2", "CBORError"), ("pyarrow", "ArrowException"), ("scipy.io.matlab", "MatReadError"))
    loaded = [getattr(sys.modules[module], name) for module, name in own if module in sys.modules]
    return (*_ERRORS, *loaded)


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn errors of libraries into a DataError that names the file.

    Args:
        path: file that is read; it must be a regular file.
        what: format, for the message.

    Raises:
        DataError: the file is not a regular file, or an error occurred while it was read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DataError(f"{path.name}: is not a regular file; give a file of recordings")
        yield
    except EdgeSeqError:
        raise
    except _errors() as error:
        if isinstance(error, UnicodeDecodeError):
            found = f"bytes that are not {error.encoding} at position {error.start}"
        else:
            found = " ".join((str(error) or type(error).__name__).split())[:300]
        raise DataError(
            f"{path.name}: cannot be read as {what}: {found}. The file is damaged or of another format; copy or "
            "record it again, or correct `format` in the data source"
        ) from error


def each(path: Path, what: str, tables: Iterator[T]) -> Iterator[T]:
    """Yield from a reader; its errors become a DataError, errors of whoever takes the tables do not."""
    while True:
        with reading(path, what):
            table = next(tables, None)
        if table is None:
            return
        yield table


def check_unpacked(
    name: str, packed: int, unpacked: int, *, at_once: bool = True, instead: str = "or store it uncompressed"
) -> None:
    """Check, before memory is taken, that a file does not unpack to far more than recordings do, or than fits.

    Args:
        name: name of the file, for messages.
        packed: its size, bytes.
        unpacked: what it unpacks to, bytes.
        at_once: True if all of it is in memory at the same time.
        instead: what else the user can do than to leave the file alone, if it unpacks to too much.

    Raises:
        DataError: it does.
    """
    if unpacked > FREE_BYTES and unpacked > MAX_RATIO * max(1, packed):
        raise DataError(
            f"{name}: {packed:,} bytes would unpack to {unpacked:,}, which is no recording; expected at most "
            f"{MAX_RATIO} times the size of the file. Do not read the file, {instead}"
        )
    if at_once:
        check_fits(name, unpacked)


IN_PARTS = "or train from parts of the file with data.storage=disk"


def check_fits(name: str, size: int, instead: str = IN_PARTS) -> None:
    """Check, before memory is taken, that so many bytes fit into it.

    Args:
        name: name of the file, for messages.
        size: what is to be in memory, bytes.
        instead: what else the user can do than to raise the limit.

    Raises:
        DataError: they do not.
    """
    try:
        check_memory(name, size)
    except OSError as error:
        raise DataError(f"{name}: {error}, {instead}") from error


class _Counted(io.RawIOBase):
    """A binary stream that stops where far more comes out than recordings would give."""

    def __init__(self, stream: IO[bytes], name: str, packed: int) -> None:
        self._stream, self._name, self._packed, self._read = stream, name, packed, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        found = self._stream.read(min(len(view), 1 << 20))
        view[: len(found)] = found
        self._read += len(found)
        check_unpacked(self._name, self._packed, self._read, at_once=False)
        return len(found)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, unpacked if it is gzip or a zip with one file in it, as its first bytes say.

    Raises:
        DataError: a zip holds no file or several.
    """
    packed = path.stat().st_size
    with open_regular(path) as raw:
        magic = raw.read(4)
        raw.seek(0)
        if magic[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=raw) as file:
                yield io.BufferedReader(_Counted(file, path.name, packed))  # type: ignore[arg-type]
        elif magic == b"PK\x03\x04":
            with zipfile.ZipFile(raw) as archive:
                inside = [one for one in archive.infolist() if not one.is_dir() and "__MACOSX" not in one.filename]
                if len(inside) != 1:
                    raise DataError(
                        f"{path.name}: the zip holds {len(inside)} files; expected one table. Unpack it into a folder "
                        "and give the folder"
                    )
                check_unpacked(path.name, packed, inside[0].file_size, at_once=False)
                with archive.open(inside[0]) as member:
                    yield io.BufferedReader(_Counted(member, path.name, packed))
        else:
            yield raw


def require(package: str, what: str, extra: str = "data") -> ToolError:
    """Error for a package that a format needs and that is not installed."""
    return ToolError(
        f"cannot read {what}: the Python package {package} is missing. Install it with: pip install edge-seq[{extra}]"
    )
