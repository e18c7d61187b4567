"""Acquisition files of Edge Impulse in CBOR."""

from __future__ import annotations

from pathlib import Path

from edge_seq.data.readers.foreign import require
from edge_seq.data.readers.formats.edge_impulse import table_of_acquisition
from edge_seq.data.readers.table import Reader, ReadOptions, Table
from edge_seq.support.opening import read_bytes


def read_acquisition(path: Path, options: ReadOptions) -> Table:
    """Read the requested columns; see :class:`Reader`."""
    try:
        import cbor2
    except ImportError as error:
        raise require("cbor2", path.name) from error
    return table_of_acquisition(cbor2.loads(read_bytes(path)), options, where=path.name)


READER = Reader(name="edge_impulse_cbor", title="CBOR", suffixes=(".cbor",), read=read_acquisition, has_time=True)
