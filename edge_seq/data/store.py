"""Read a data source into files instead of memory: one recording, or one part of a file, at a time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from edge_seq.data.readers import count_notes, read_recordings
from edge_seq.data.readers.recordings import RawRecording
from edge_seq.data.recording import UNLABELLED, Dataset, Recording
from edge_seq.data.source import DataSource
from edge_seq.data.stored import RowFile, StoredRows, as_array
from edge_seq.support.errors import DataError
from edge_seq.support.files import replace_when_done

_CHUNK = 1 << 20


@dataclass
class _Index:
    """Index of the recordings written so far. It does not grow with the number of samples."""

    names: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    splits: list[str | None] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    notes: list[tuple[str, ...]] = field(default_factory=list)
    classes: dict[str, int] = field(default_factory=dict)


def store_dataset(source: DataSource, *, base: Path, folder: Path) -> Dataset:
    """Read every recording, check it, and write its counts and labels to two files in ``folder``.

    The names of the files contain a hash of their contents, so files of other data are not overwritten. The data set
    equals that of ``read_dataset``, but its counts and labels are on disk (:mod:`edge_seq.data.stored`), and the
    details of the recordings are left out.

    Args:
        source: data source to read.
        base: folder to which ``source.path`` is relative.
        folder: folder to write to.

    Raises:
        DataError, ContractError, ConfigError, ToolError: the same cases as ``read_dataset``. DataError also if the rows
            of a recording are not together in a file that is read in parts.
    """
    index, digest = _Index(), hashlib.sha256()
    folder.mkdir(parents=True, exist_ok=True)
    with (
        replace_when_done(folder / "counts.part") as counts_path,
        replace_when_done(folder / "labels.part") as codes_path,
    ):
        with counts_path.open("wb") as counts_file, codes_path.open("wb") as codes_file:
            for raw in read_recordings(source, base=base, in_parts=True):
                _append(raw, index, counts_file, codes_file, digest)
        labels = _class_names(source, index)
        _to_class_index(codes_path, index, labels)
    digest.update("\n".join(labels).encode())
    stem = digest.hexdigest()[:16]
    counts = (folder / "counts.part").replace(folder / f"{stem}.counts.i16")
    codes = (folder / "labels.part").replace(folder / f"{stem}.labels.i16")
    return _dataset(source, index, labels, RowFile(counts, (len(source.channels),)), RowFile(codes, ()))


def _append(
    raw: RawRecording, index: _Index, counts_file: BinaryIO, codes_file: BinaryIO, digest: hashlib._Hash
) -> None:
    of_class = np.array(
        [index.classes.setdefault(value, len(index.classes)) if value else UNLABELLED for value in raw.label_values],
        dtype="<i2",
    )
    for file, content in (
        (counts_file, np.ascontiguousarray(raw.counts, dtype="<i2").tobytes()),
        (codes_file, of_class[raw.label_codes].tobytes()),
    ):
        file.write(content)
        digest.update(content)
    index.names.append(raw.name)
    index.groups.append(raw.group)
    index.splits.append(raw.split)
    index.lengths.append(len(raw.counts))
    index.notes.append(raw.notes)


def _class_names(source: DataSource, index: _Index) -> tuple[str, ...]:
    labels = source.labels or tuple(sorted(index.classes))
    if not labels:
        raise DataError(f"data source {source.name!r}: no sample has a label; expected at least one class")
    unknown = [value for value in index.classes if value not in labels]
    if unknown:
        raise DataError(
            f"data source {source.name!r}: unknown labels {unknown}; known are {list(labels)}. Correct the data, add "
            "them to labels or label_names, or list them in unlabelled_values"
        )
    return labels


def _to_class_index(path: Path, index: _Index, labels: tuple[str, ...]) -> None:
    """Replace the class codes in a file, numbered in the order of their first use, by class indices, in place."""
    final = np.array([labels.index(value) for value in index.classes] + [UNLABELLED], dtype="<i2")
    with path.open("r+b") as file:
        while content := file.read(_CHUNK):
            file.seek(-len(content), 1)
            file.write(final[np.frombuffer(content, dtype="<i2")].tobytes())


def _dataset(source: DataSource, index: _Index, labels: tuple[str, ...], counts: RowFile, codes: RowFile) -> Dataset:
    firsts = np.concatenate([[0], np.cumsum(index.lengths)]).tolist()
    return Dataset(
        name=source.name,
        contract=source.contract,
        labels=labels,
        recordings=tuple(
            Recording(
                name=name,
                group=group,
                counts=as_array(StoredRows(counts, first, length)),
                labels=as_array(StoredRows(codes, first, length)),
                split=split,
            )
            for name, group, split, first, length in zip(
                index.names, index.groups, index.splits, firsts, index.lengths, strict=False
            )
        ),
        notes=count_notes(index.notes),
    )
