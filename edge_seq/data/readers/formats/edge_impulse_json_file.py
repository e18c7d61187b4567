"""Acquisition files of Edge Impulse in JSON."""

from __future__ import annotations

from pathlib import Path

from edge_seq.data.readers.formats.edge_impulse import table_of_acquisition
from edge_seq.data.readers.table import Reader, ReadOptions, Table
from edge_seq.support.opening import parse_json, read_text


def read_acquisition(path: Path, options: ReadOptions) -> Table:
    """Read the requested columns; see :class:`Reader`."""
    return table_of_acquisition(parse_json(read_text(path, "utf-8-sig")), options, where=path.name)


READER = Reader(name="edge_impulse_json", title="JSON", suffixes=(".json",), read=read_acquisition, has_time=True)
