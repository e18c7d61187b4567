"""Files of windows, and the hashes by which a run recognises its data."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from edge_seq.data.recording import Windows
from edge_seq.data.stored import RowFile, StoredWindows, as_array, blocks
from edge_seq.support.errors import DataError
from edge_seq.support.files import write_atomically
from edge_seq.support.json_tables import load_json
from edge_seq.support.opening import load_tensors, parse_json

HASHES = "hashes.json"


STORE = "recordings"  # folder of the samples of windows that stay on disk


def save_windows(path: Path, windows: Windows) -> None:
    """Write windows as safetensors.

    Groups are written as indices into a list of names. Of windows on disk only the starts and the file are written.
    """
    names, index = np.unique(windows.groups, return_inverse=True)
    tensors: dict[str, NDArray[Any]] = {"labels": windows.labels, "group": index.astype(np.int32)}
    metadata = {"groups": json.dumps(names.tolist())}
    if isinstance(windows.counts, StoredWindows):
        stored = windows.counts
        tensors["starts"] = stored.starts
        metadata["stored"] = json.dumps([stored.file.path.name, *stored.shape[1:]])
    else:
        tensors["counts"] = np.ascontiguousarray(windows.counts)
    write_atomically(path, safetensors.numpy.save(tensors, metadata=metadata))


def load_windows(path: Path, *, num_classes: int | None = None) -> Windows:
    """Read windows, and check them against the hashes beside their file.

    Args:
        path: path of the file, from :meth:`edge_seq.workflow.folder.RunFolder.windows`.
        num_classes: K, to check the labels; None does not check them.

    Raises:
        DataError: the file is missing or damaged, or the windows are not those that the run was trained with.
    """
    if not path.is_file():
        raise DataError(f"reading {path.name}: the run holds no such windows; run edge-seq train again")
    try:
        tensors, metadata = load_tensors(path)
        names = np.array(parse_json(metadata["groups"]), dtype=np.str_)
        if "stored" in metadata:
            tensors["counts"] = as_array(_stored_counts(path, tensors["starts"], parse_json(metadata["stored"])))
        _check_tensors(tensors, len(names), num_classes)
        windows = Windows(tensors["counts"], tensors["labels"], names[tensors["group"]])
    except (OSError, ValueError, KeyError, IndexError, TypeError, OverflowError) as error:
        raise DataError(
            f"reading {path.name}: damaged ({type(error).__name__}: {error}); run edge-seq train again"
        ) from error
    expected = hash_of_training(path.parent / HASHES, path.stem)
    if expected is not None and windows_hash(windows) != expected:
        raise DataError(
            f"reading {path.name}: these are not the windows that the run was trained with (SHA-256 "
            f"{windows_hash(windows)[:16]}..., {HASHES} says {expected[:16]}...); run edge-seq train again"
        )
    return windows


def hash_of_training(table: Path, name: str) -> str | None:
    """SHA-256 of the data that a run was trained with; None if the run has no table of hashes.

    Args:
        table: path of the table.
        name: side of the split, or ``calibration``.

    Raises:
        DataError: the table is damaged, or lacks the data.
    """
    if not table.is_file():
        return None
    found = load_json(table).get(name)
    if not isinstance(found, str):
        raise DataError(
            f"reading {table.name}: {found!r} as the SHA-256 of the {name} data, expected a text; restore the file, or "
            "run edge-seq train again"
        )
    return found


def _stored_counts(path: Path, starts: NDArray[np.int64], stored: list[Any]) -> StoredWindows:
    """Open windows on disk, whose samples are in the folder STORE beside ``path``.

    Raises:
        ValueError: the file of samples is not in that folder, or a window lies outside the file.
    """
    name, length, channels = stored
    if not isinstance(name, str) or Path(name).name != name:
        raise ValueError(f"samples in {name!r}; expected a file of the run")
    file = RowFile(path.parent / STORE / name, (int(channels),))
    if starts.dtype != np.int64 or starts.ndim != 1 or starts.min() < 0 or starts.max() + length > file.num_rows:
        raise ValueError(f"windows begin at {starts.dtype} {list(starts.shape)}, outside the {file.num_rows} samples")
    return StoredWindows(file, starts, int(length))


def _check_tensors(tensors: dict[str, NDArray[Any]], num_groups: int, num_classes: int | None) -> None:
    """Check that tensors are windows: counts int16 [B, T, C], labels int16 [B], group int32 [B]; B, T, C at least 1.

    Raises:
        ValueError: a dtype, a shape or a value is wrong; the message names what was found and what was expected.
    """
    counts, labels, group = tensors["counts"], tensors["labels"], tensors["group"]
    for name, array, dtype, dimensions in (
        ("counts", counts, np.int16, 3),
        ("labels", labels, np.int16, 1),
        ("group", group, np.int32, 1),
    ):
        if array.dtype != dtype or array.ndim != dimensions or 0 in array.shape or len(array) != len(counts):
            raise ValueError(
                f"{name} is {array.dtype} {list(array.shape)}; expected {np.dtype(dtype).name} with {dimensions} "
                f"dimensions, {len(counts)} windows, none empty"
            )
    for name, array, limit in (("labels", labels, num_classes), ("group", group, num_groups)):
        if array.min() < 0 or (limit is not None and array.max() >= limit):
            most = "" if limit is None else f" to {limit - 1}"
            raise ValueError(f"{name} run from {array.min()} to {array.max()}; expected 0{most}")


def counts_hash(counts: np.ndarray[Any, np.dtype[np.int16]]) -> str:
    """Compute the SHA-256 of the shape and the counts (little-endian)."""
    digest = hashlib.sha256(repr(counts.shape).encode())
    for block in blocks(counts):
        digest.update(block.astype("<i2", copy=False).tobytes())
    return digest.hexdigest()


def windows_hash(windows: Windows) -> str:
    """Compute the SHA-256 of counts, labels and groups."""
    digest = hashlib.sha256(counts_hash(windows.counts).encode())
    digest.update(np.ascontiguousarray(windows.labels, dtype="<i2").tobytes())
    digest.update(json.dumps(windows.groups.tolist()).encode())
    return digest.hexdigest()
