"""Tables in JSON files: written whole, and read with one message for whatever is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_seq.support.errors import DataError
from edge_seq.support.files import json_text, write_atomically

if TYPE_CHECKING:
    pass  # needs pydantic, which those that only look at a run do without


def save_json(path: Path, data: dict[str, Any]) -> None:
    """Write a table as JSON, whole or not at all."""
    write_atomically(path, json_text(data) + "\n")


def load_json(path: Path) -> dict[str, Any]:
    """Read a table.

    Raises:
        DataError: where the file is damaged.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"reading {path.name}: not a table in JSON ({error}); make it again") from error
    if not isinstance(table, dict):
        raise DataError(f"reading {path.name}: a {type(table).__name__}, expected a table in JSON; make it again")
    return table


@contextmanager
def reading(name: str) -> Iterator[None]:
    """What a table lacks, or holds in another form than its command writes, becomes one message.

    Raises:
        DataError: naming the table.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise DataError(
            f"reading {name}: not as its command writes it ({type(error).__name__}: {error}); make it again"
        ) from error
