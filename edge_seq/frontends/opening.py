"""Model files of others: regular files of limited size, whose errors become a ModelError.

It builds on :mod:`edge_seq.support.opening`.
"""

from __future__ import annotations

import math
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edge_seq.ir.verify import MAX_HIDDEN_SIZE
from edge_seq.support.errors import EdgeSeqError, ModelError
from edge_seq.support.opening import open_regular

# The largest recurrent layer has 4 gates of MAX_HIDDEN_SIZE rows, which see as many inputs and states.
MAX_VALUES = 4 * MAX_HIDDEN_SIZE * 2 * MAX_HIDDEN_SIZE
MAX_FILE_BYTES = 1 << 29
_ERRORS = (
    OSError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError,
    MemoryError, NotImplementedError, RuntimeError, struct.error, zlib.error, zipfile.BadZipFile,
)  # fmt: skip


def model_bytes(path: Path) -> bytes:
    """Read a model file whole.

    Raises:
        ModelError: there is no such file, it is no regular file, or it is larger than any network that can be imported.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_FILE_BYTES:
                raise ModelError(
                    f"importing {path.name}: {size:,} bytes; expected at most {MAX_FILE_BYTES:,}, as no network that "
                    "fits a microcontroller is larger"
                )
            return file.read()
    except OSError as error:
        raise ModelError(
            f"importing {path.name}: cannot be opened ({error.strerror}); give the file of a model"
        ) from error


@contextmanager
def reading_model(what: str, kind: str) -> Iterator[None]:
    """Turn errors of libraries into a ModelError that names the file.

    Args:
        what: name of the file.
        kind: what it was read as.

    Raises:
        ModelError: an error occurred while it was read.
    """
    try:
        yield
    except EdgeSeqError:
        raise
    except _ERRORS as error:
        found = " ".join((str(error) or type(error).__name__).split())[:300]
        raise ModelError(
            f"importing {what}: cannot be read as {kind}: {type(error).__name__}: {found}. The file is damaged or of "
            "another format; save the model again"
        ) from error


def check_size(what: str, where: str, shape: Sequence[int]) -> None:
    """Check the shape of an array before memory is taken for it.

    Raises:
        ModelError: it is larger than any layer that can be imported.
    """
    if math.prod(shape) > MAX_VALUES or len(shape) > 8:
        raise ModelError(
            f"importing {what}: {where} has shape {list(shape)}; expected at most {MAX_VALUES:,} numbers, as no layer "
            "that can be imported is larger. The file is damaged or hostile"
        )
