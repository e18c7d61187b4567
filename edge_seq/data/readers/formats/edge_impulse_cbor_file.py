"""Acquisition files of Edge Impulse in CBOR."""

from __future__ import annotations

from pathlib import Path

from edge_seq.data.readers.formats.edge_impulse import table_of_acquisition
from edge_seq.data.readers.table import Reader, ReadOptions, Table
from edge_seq.support.errors import DataError, ToolError


def read_acquisition(path: Path, options: ReadOptions) -> Table:
    """Read the requested columns; see :class:`Reader`."""
    try:
        import cbor2
    except ImportError as error:
        raise ToolError(
            f"cannot read {path.name}: the Python package cbor2 is missing. Install it with: pip install edge-seq[data]"
        ) from error
    try:
        document = cbor2.loads(path.read_bytes())
    except (cbor2.CBORError, OSError, ValueError, EOFError, RecursionError) as error:
        raise DataError(f"{path.name}: cannot be read as CBOR: {error}") from error
    return table_of_acquisition(document, options, where=path.name)


READER = Reader(name="edge_impulse_cbor", suffixes=(".cbor",), read=read_acquisition, has_time=True)
