"""Acquisition files of Edge Impulse in JSON."""

from __future__ import annotations

import json
from pathlib import Path

from edge_seq.data.readers.formats.edge_impulse import table_of_acquisition
from edge_seq.data.readers.table import Reader, ReadOptions, Table
from edge_seq.support.errors import DataError


def read_acquisition(path: Path, options: ReadOptions) -> Table:
    """Read the requested columns; see :class:`Reader`."""
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path.name}: cannot be read as JSON: {error}") from error
    return table_of_acquisition(document, options, where=path.name)


READER = Reader(name="edge_impulse_json", suffixes=(".json",), read=read_acquisition, has_time=True)
