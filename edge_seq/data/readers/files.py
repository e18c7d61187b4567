"""Files of a data source, and the labels, groups and splits that their names or a manifest give."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from edge_seq.data.readers.label_folder import label_by_folder
from edge_seq.data.readers.source_file import SourceFile
from edge_seq.data.source import DataSource
from edge_seq.support.errors import DataError
from edge_seq.support.files import stays_in_folder
from edge_seq.support.names import check_name

MANIFEST_COLUMNS = ("file", "label", "group", "split")


def list_files(source: DataSource, base: Path, suffixes: Sequence[str]) -> tuple[SourceFile, ...]:
    """List the files of a data source, in a fixed order.

    Args:
        source: the data source.
        base: folder to which ``source.path`` is relative.
        suffixes: suffixes that readers exist for; other files in a folder are ignored.

    Raises:
        DataError: a file or folder is missing, a folder holds no file with such a suffix, a name does not match
            ``file_pattern`` or cannot be printed, or the manifest is not usable.
    """
    root = base / source.path
    if not root.exists():
        raise DataError(
            f"data source {source.name!r}: {root} does not exist; path is relative to the folder of the TOML file "
            f"({base})"
        )
    if source.manifest is not None:
        files = _from_manifest(source.manifest, _folder(source, root), suffixes)
    elif source.split_files:
        folder = _folder(source, root)
        files = tuple(
            SourceFile(_existing(folder / name, f"split_files.{split}"), _stem(name, suffixes), split=split)
            for split, name in source.split_files.items()
        )
    elif root.is_file():
        files = (SourceFile(root, _stem(root.name, suffixes)),)
    else:
        files = _in_folder(root, suffixes, without=source.intervals)
    for file in files:
        _check_path(file.name, what="file", remedy="Rename the file")
    if source.label_from == "file_name":
        return tuple(_read_name(file, source.file_pattern) for file in files)
    if source.label_from == "folder":
        return tuple(label_by_folder(file) for file in files)
    return files


def find_intervals(source: DataSource, base: Path) -> Path | None:
    """Path of the table of intervals: inside ``path`` if that is a folder, else beside it. None if none is named.

    Raises:
        DataError: the file does not exist.
    """
    if source.intervals is None:
        return None
    root = base / source.path
    return _existing((root if root.is_dir() else root.parent) / source.intervals, "intervals")


def _folder(source: DataSource, root: Path) -> Path:
    if not root.is_dir():
        raise DataError(
            f"data source {source.name!r}: {root} is a file; with split_files or a manifest, path must be a folder"
        )
    return root


def _existing(path: Path, what: str) -> Path:
    if not path.is_file():
        raise DataError(f"{what}: file {path} does not exist; correct the name, which is relative to the source's path")
    return path


def _check_path(path: str, *, what: str, remedy: str) -> None:
    """Check each part of a path, because the length of a name is limited and that of a path is not."""
    for part in path.split("/"):
        check_name(part, DataError, what=what, remedy=remedy)


def _stem(name: str, suffixes: Sequence[str]) -> str:
    return next((name[: -len(suffix)] for suffix in suffixes if name.lower().endswith(suffix)), name)


def _in_folder(root: Path, suffixes: Sequence[str], *, without: str | None) -> tuple[SourceFile, ...]:
    paths = sorted(path for path in root.rglob("*") if path.name.lower().endswith(tuple(suffixes)) and path.is_file())
    visible = [path for path in paths if not any(part.startswith(".") for part in path.relative_to(root).parts)]
    visible = [path for path in visible if without is None or path != root / without]
    if not visible:
        raise DataError(f"folder {root} holds no file that ends in {list(suffixes)}; put one file per recording there")
    return tuple(SourceFile(path, _stem(path.relative_to(root).as_posix(), suffixes)) for path in visible)


def _read_name(file: SourceFile, pattern: str) -> SourceFile:
    match = re.search(pattern, file.name)
    if match is None:
        raise DataError(
            f"file {file.name}: its name does not match file_pattern {pattern!r}, so its class is not known; rename "
            "the file, correct the pattern, or use a manifest"
        )
    found = match.groupdict()
    return SourceFile(file.path, file.name, found["label"] or "", found.get("group"), file.split)


def _from_manifest(name: str, root: Path, suffixes: Sequence[str]) -> tuple[SourceFile, ...]:
    path = _existing(root / name, "manifest")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.DictReader(file, restkey="", strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"manifest {name}: cannot be read as CSV: {error}") from error
    if not lines:
        raise DataError(f"manifest {name}: lists no file; expected a header and one row per file")
    columns = list(lines[0])
    missing = [column for column in ("file", "label") if column not in columns]
    strange = [column for column in columns if column not in MANIFEST_COLUMNS]
    if missing or strange:
        raise DataError(f"manifest {name}: columns {columns}; expected file and label, and optionally group and split")
    files = []
    for number, line in enumerate(lines, start=2):
        if any(value is None for value in line.values()) or not line["file"]:
            raise DataError(
                f"manifest {name}, line {number}: has fewer values than the header; give one for each column"
            )
        _check_path(line["file"], what=f"manifest {name}, line {number}: file", remedy="Correct the line")
        if not stays_in_folder(line["file"]):
            raise DataError(
                f"manifest {name}, line {number}: file {line['file']!r} is outside the source's path; give a path "
                "inside it, without '..' and not absolute"
            )
        data_path = _existing(root / line["file"], f"manifest {name}, line {number}")
        stem = _stem(line["file"], suffixes)
        files.append(SourceFile(data_path, stem, line["label"], line.get("group") or None, line.get("split") or None))
    return tuple(files)
