"""Files of a data source, and the labels, groups and splits that their names or a manifest give."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import Any

from edge_seq.data.readers.foreign import reading
from edge_seq.data.readers.label_folder import label_by_folder
from edge_seq.data.readers.source_file import SourceFile
from edge_seq.data.source import DataSource
from edge_seq.support.errors import DataError
from edge_seq.support.files import stays_in_folder
from edge_seq.support.names import check_name
from edge_seq.support.opening import parse_json, read_text

INFO_LABELS = "info.labels"
MANIFEST_COLUMNS = ("file", "label", "group", "split")


def list_files(
    source: DataSource, base: Path, suffixes: Sequence[str], more_suffixes: Sequence[str] = ()
) -> tuple[SourceFile, ...]:
    """List the files of a data source, in a fixed order.

    Args:
        source: the data source.
        base: folder to which ``source.path`` is relative.
        suffixes: suffixes that readers exist for; other files in a folder are ignored.
        more_suffixes: suffixes to look for where no file has one of those.

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
    known = (*suffixes, *more_suffixes)
    if source.manifest is not None:
        files = _from_manifest(source.manifest, _folder(source, root), known)
    elif source.label_from == "info_labels":
        files = _from_info_labels(_folder(source, root), known)
    elif source.sensor_files:
        files = _folders_of_sensors(_folder(source, root), source.sensor_files)
    elif source.split_files:
        folder = _folder(source, root)
        files = tuple(
            SourceFile(_existing(folder / name, f"split_files.{split}"), _stem(name, known), split=split)
            for split, name in source.split_files.items()
        )
    elif not root.is_dir():
        files = (SourceFile(root, _stem(root.name, known)),)
    else:
        files = _in_folder(root, source, suffixes, more_suffixes)
    if source.split_folders:
        files = tuple(_side_of_folder(file, source) for file in files)
    for file in files:
        _check_path(file.name, what="file", remedy="Rename the file")
    if source.label_from == "file_name":
        return tuple(_read_name(file, source.file_pattern) for file in files)
    if source.label_from == "folder":
        return tuple(label_by_folder(file, besides=tuple(source.split_folders.values())) for file in files)
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
        found = "is not a regular file" if path.exists() else "does not exist"
        raise DataError(f"{what}: file {path} {found}; correct the name, which is relative to the source's path")
    return path


def _check_path(path: str, *, what: str, remedy: str) -> None:
    """Check each part of a path, because the length of a name is limited and that of a path is not."""
    for part in path.split("/"):
        check_name(part, DataError, what=what, remedy=remedy)


def _stem(name: str, suffixes: Sequence[str]) -> str:
    return next((name[: -len(suffix)] for suffix in suffixes if name.lower().endswith(suffix)), name)


def _in_folder(
    root: Path, source: DataSource, suffixes: Sequence[str], more_suffixes: Sequence[str]
) -> tuple[SourceFile, ...]:
    known = (*suffixes, *more_suffixes)
    inside = sorted(path for path in root.rglob("*") if path.is_file())
    visible = [path for path in inside if not any(part.startswith(".") for part in path.relative_to(root).parts)]
    visible = [path for path in visible if source.intervals is None or path != root / source.intervals]
    visible = [path for path in visible if not matches(path.relative_to(root), source.exclude)]
    if source.files:
        found = [path for path in visible if matches(path.relative_to(root), source.files)]
        if not found:
            raise DataError(f"folder {root} holds no file {source.files!r}; correct `files` in the data source")
    else:
        found = [path for path in visible if path.name.lower().endswith(tuple(suffixes))]
        found = found or [path for path in visible if path.name.lower().endswith(tuple(more_suffixes))]
    if not found:
        raise DataError(
            f"folder {root} holds no file that ends in {list(known)}; put one file per recording there, or name other "
            'files with `files`, for example files = "*.dat"'
        )
    return tuple(SourceFile(path, _stem(path.relative_to(root).as_posix(), known)) for path in found)


def matches(path: PurePath, patterns: str | Sequence[str]) -> bool:
    """True if a path below the folder, or its last part, fits one of the patterns with ``*`` and ``?``.

    >>> matches(PurePath("walk/01.txt"), "*.txt"), matches(PurePath("walk/01.txt"), ("walk/*",))
    (True, True)
    """
    each = (patterns,) if isinstance(patterns, str) else patterns
    return any(fnmatchcase(one, pattern) for pattern in each for one in (path.name, path.as_posix()))


def _folders_of_sensors(root: Path, sensor_files: Mapping[str, str]) -> tuple[SourceFile, ...]:
    """A recording for each folder with the file of every sensor."""
    names = list(sensor_files.values())
    folders = sorted({path.parent for path in root.rglob(names[0]) if path.is_file()})
    found = []
    for folder in folders:
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise DataError(
                f"folder {folder} holds {names[0]} but not {missing}; expected the file of each sensor. Add it, move "
                "the "
                "folder away, or leave the sensor out of sensor_files"
            )
        relative = folder.relative_to(root).as_posix()
        found.append(SourceFile(folder, root.name if relative == "." else relative))
    if not found:
        raise DataError(f"folder {root} holds no folder with {names}; correct sensor_files or path")
    return tuple(found)


def _from_info_labels(root: Path, suffixes: Sequence[str]) -> tuple[SourceFile, ...]:
    """Files, classes and sides that the ``info.labels`` of an Edge Impulse export lists."""
    tables = tables_of_labels(root)
    if not tables:
        _existing(root / INFO_LABELS, INFO_LABELS)
    files = []
    for table in tables:
        title = table.relative_to(root).as_posix()
        for number, entry in enumerate(read_info_labels(table)):
            where = f"{title}, file {number + 1}"
            name, label = entry.get("path"), entry.get("label")
            label = label.get("label") if isinstance(label, dict) else label
            if not isinstance(name, str) or not isinstance(label, str) or not stays_in_folder(name):
                raise DataError(f"{where}: has no path inside the export or no label; export the project again")
            _check_path(name, what=f"{where}: path", remedy="Export the project again")
            side = {"training": "train", "testing": "test"}.get(str(entry.get("category")))
            base = root if (root / name).exists() else table.parent
            path = _existing(base / name, where)
            files.append(SourceFile(path, _stem(path.relative_to(root).as_posix(), suffixes), label, split=side))
    if not files:
        raise DataError(f"{INFO_LABELS}: lists no file; export the project again")
    return tuple(sorted(files, key=lambda one: one.name))


def tables_of_labels(root: Path) -> list[Path]:
    """The ``info.labels`` of an Edge Impulse export: that of the whole export, or one in each folder of its sides."""
    whole = root / INFO_LABELS
    return [whole] if whole.is_file() else sorted(one for one in root.glob(f"*/{INFO_LABELS}") if one.is_file())


def read_info_labels(path: Path) -> list[dict[str, Any]]:
    """Entries of the ``info.labels`` of an Edge Impulse export.

    Raises:
        DataError: it is not one.
    """
    with reading(path, "JSON"):
        document = parse_json(read_text(path, "utf-8-sig"))
    files = document.get("files") if isinstance(document, dict) else None
    if not isinstance(files, list) or not all(isinstance(one, dict) for one in files):
        raise DataError(f"{path.name}: has no list of files; expected the info.labels of an Edge Impulse export")
    return files


def _side_of_folder(file: SourceFile, source: DataSource) -> SourceFile:
    folders = file.name.split("/")[:-1]
    side = next((one for one, folder in source.split_folders.items() if folder in folders), None)
    if side is None:
        raise DataError(
            f"file {file.name}: lies in none of the folders {list(source.split_folders.values())} of split_folders; "
            "move "
            "it, or leave it out with `exclude`"
        )
    return replace(file, split=side)


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
