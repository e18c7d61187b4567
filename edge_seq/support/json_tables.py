"""Tables in JSON files. They are written atomically, and every fault of a file gives one clear error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from edge_seq.support.errors import DataError
from edge_seq.support.files import json_text, write_atomically
from edge_seq.support.opening import parse_json, read_text
from edge_seq.support.results import Result, from_plain

_Kind = TypeVar("_Kind")


def save_json(path: Path, data: Result | dict[str, Any]) -> None:
    """Write a result or a table as JSON, atomically."""
    write_atomically(path, json_text(data) + "\n")


def load_json(path: Path) -> dict[str, Any]:
    """Read a table.

    Raises:
        DataError: the file is missing, is not JSON, or does not hold a table.
    """
    try:
        table = parse_json(read_text(path))
    except (OSError, ValueError) as error:
        raise DataError(f"reading {path.name}: not a table in JSON ({error}); make it again") from error
    if not isinstance(table, dict):
        raise DataError(f"reading {path.name}: a {type(table).__name__}, expected a table in JSON; make it again")
    return table


def load_result(path: Path, kind: type[_Kind]) -> _Kind:
    """Read a result that :func:`save_json` wrote.

    Raises:
        DataError: the file is damaged, or lacks what the result needs.
    """
    table = load_json(path)
    with reading(path.name):
        return from_plain(kind, table)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn errors from a missing key or a value of the wrong type inside the block into one DataError.

    Args:
        name: name of the table's file, for the message.

    Raises:
        DataError: the table is not as its command writes it.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise DataError(
            f"reading {name}: not as its command writes it ({type(error).__name__}: {error}); make it again"
        ) from error
