"""Readers: files of a data source -> a checked data set in counts.

A new format is a new file in this folder that ends in ``READER = Reader(...)``, one line in ``READERS`` below and its
name in ``DataSource.format``.
"""

from __future__ import annotations

from pathlib import Path

from edge_seq.data import checks
from edge_seq.data.readers import csv_file, parquet_file
from edge_seq.data.readers.files import SourceFile, list_files
from edge_seq.data.readers.recordings import RawRecording, cut_recordings, to_recording
from edge_seq.data.readers.table import Reader, ReadOptions
from edge_seq.data.recording import Dataset
from edge_seq.data.source import DataSource, load_source
from edge_seq.errors import DataError

READERS: tuple[Reader, ...] = (
    csv_file.READER,
    parquet_file.READER,
)

__all__ = ["READERS", "load_dataset", "read_dataset"]


def read_dataset(source: DataSource, *, base: Path) -> Dataset:
    """Read every recording of a data source, check it against the sensor contract and convert it to counts.

    Args:
        source: where the files are and what they hold.
        base: folder to which ``source.path`` is relative; for a TOML file of its own, the folder it is in.

    Returns:
        The data set; recordings in the order of the files, then of the rows.

    Raises:
        DataError: a file or the rows in it are not usable.
        ContractError: a recording does not hold to the sensor contract.
        ToolError: pyarrow is not installed.
    """
    readers = tuple(reader for reader in READERS if source.format in ("auto", reader.name))
    suffixes = tuple(suffix for reader in readers for suffix in reader.suffixes)
    options = ReadOptions(
        numeric=source.numeric_columns,
        text=source.text_columns,
        delimiter=source.delimiter,
        column_names=source.column_names,
    )
    raw: list[RawRecording] = []
    for file in list_files(source, base, suffixes):
        raw += cut_recordings(_reader_of(file, readers).read(file.path, options), file, source)
    _check_together(raw, source)
    labels = source.labels or tuple(sorted({value for one in raw for value in one.label_values if value}))
    if not labels:
        raise DataError(f"data source {source.name!r}: no sample has a label; expected at least one class")
    return Dataset(
        name=source.name,
        contract=source.contract,
        labels=labels,
        recordings=tuple(to_recording(one, labels) for one in raw),
    )


def load_dataset(path: Path) -> Dataset:
    """Read the data set that the TOML file ``path`` describes.

    Raises:
        ConfigError: the file is not a data source.
        DataError, ContractError, ToolError: as :func:`read_dataset`.
    """
    return read_dataset(load_source(path), base=path.parent)


def _reader_of(file: SourceFile, readers: tuple[Reader, ...]) -> Reader:
    if len(readers) == 1:  # the data source names the format, whatever the file is called
        return readers[0]
    for reader in readers:
        if file.path.name.lower().endswith(reader.suffixes):
            return reader
    known = [suffix for reader in readers for suffix in reader.suffixes]
    raise DataError(
        f"file {file.path.name}: no reader for its ending; known are {known}. Convert the file, or give `format` in "
        "the data source"
    )


def _check_together(raw: list[RawRecording], source: DataSource) -> None:
    if not raw:
        raise DataError(
            f"data source {source.name!r}: every recording is shorter than a window of {source.window_length} samples; "
            "shorten window_length"
        )
    seen: set[str] = set()
    for one in raw:
        if one.name in seen:
            raise DataError(
                f"recording {one.name} comes twice, in two files of data source {source.name!r}; give each recording a "
                "name of its own, or remove one of the files"
            )
        seen.add(one.name)
    checks.check_one_split_per_group([(one.group, one.split) for one in raw])
