"""Which files of a folder hold recordings, and which are tables beside them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_seq.data.guess.clues.columns import Kind, kind_of, tokens_of
from edge_seq.data.guess.clues.labels import is_group_name, is_state
from edge_seq.data.readers import READERS
from edge_seq.data.readers.files import INFO_LABELS, tables_of_labels
from edge_seq.data.readers.foreign import reading
from edge_seq.data.readers.label_intervals import columns_of_intervals, is_audacity
from edge_seq.data.readers.table import Reader
from edge_seq.support.errors import DataError
from edge_seq.support.figure_text import counted
from edge_seq.support.opening import read_text

_MANY_MORE = 3  # times as many files of one format as of the next
_LARGEST_TABLE = 1 << 20  # bytes of a table of intervals
_NOTES = re.compile(
    r"^(readme|license|licence|notes?|changelog|authors|metadata|annotations?|device|info)\b", re.IGNORECASE
)
CHANNEL_WINDOWS, SIGNALS = "channel_windows", "Inertial Signals"
SENSOR_FILES_WANTED: tuple[Kind, ...] = ("acceleration", "rotation")
SPLIT_FOLDERS = {"train": "train", "training": "train", "test": "test", "testing": "test", "validation": "validation",
                 "val": "validation", "valid": "validation"}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """Files of a folder, sorted by what they hold.

    Attributes:
        root: the folder, or the folder of the file.
        is_folder: True if a folder was given.
        reader: reader of the recordings.
        files: files with recordings, or the first sensor's files of all recordings.
        passed_over: other files, with the reason.
        intervals: table of intervals.
        sensors: file name of each sensor, for a file per sensor.
        patterns: ``files`` of the data source, if the suffix alone does not choose them.
        info_labels: True if the folder is an export of Edge Impulse with ``info.labels``.
    """

    root: Path
    is_folder: bool
    reader: Reader
    files: tuple[Path, ...]
    passed_over: tuple[tuple[str, str], ...] = ()
    intervals: Path | None = None
    sensors: tuple[tuple[str, str], ...] = ()
    patterns: tuple[str, ...] = ()
    info_labels: bool = False


def reader_of(path: Path) -> Reader | None:
    """Reader for the suffix of a file; None if there is none."""
    name = path.name.lower()
    for suffixes in ("suffixes", "more_suffixes"):
        for reader in READERS:
            if reader.name != CHANNEL_WINDOWS and name.endswith(getattr(reader, suffixes) or ("\x00",)):
                return reader
    return None


def below_single_folders(path: Path) -> Path:
    """The folder inside a folder that holds no recordings and only one folder, which holds several: ``data/train``.

    A folder named like a class, or one of persons and sessions, is not passed over: it may be all there is so far.
    """
    while path.is_dir() and not tables_of_labels(path):
        entries = [one for one in path.iterdir() if not one.name.startswith((".", "__"))]
        folders = [one for one in entries if one.is_dir()]
        if len(folders) != 1 or any(reader_of(one) is not None and not _NOTES.match(one.stem)
                                    for one in entries if one.is_file()):  # fmt: skip
            return path
        inside = [one for one in folders[0].iterdir() if one.is_dir() and not one.name.startswith(".")]
        names = [one.name for one in inside]
        if not inside or folders[0].name == SIGNALS or is_state(folders[0].name) or all(map(is_group_name, names)):
            return path
        path = folders[0]
    return path


def find_files(path: Path) -> Found:
    """Sort the files of a folder.

    Raises:
        DataError: there is no file with recordings, or there are several formats.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist; give a folder, a file of recordings or a data source (TOML)")
    if not path.is_dir():
        return _of_file(path)
    if tables_of_labels(path):
        return _of_export(path)
    if signals := sorted(path.rglob(f"{SIGNALS}/*acc*_x_*.txt")):
        return _of_signals(path, signals)
    inside = sorted(one for one in path.rglob("*") if one.is_file())
    visible = [one for one in inside if not any(part.startswith(".") for part in one.relative_to(path).parts)]
    readers = {one: reader for one in visible if (reader := reader_of(one)) is not None}
    passed = [(one.relative_to(path).as_posix(), "no reader for its suffix") for one in visible if one not in readers]
    if not readers:
        ends = sorted({end for reader in READERS for end in (*reader.suffixes, *reader.more_suffixes)})
        raise DataError(f"{path}: no file that ends in {ends}; give recordings, or a data source (TOML)")
    main = [one for one in readers if one.name.lower().endswith(tuple(e for r in READERS for e in r.suffixes))]
    tables = [one for one, reader in readers.items() if reader.name == "csv" and is_intervals(one)]
    tables = tables if len(tables) < len(readers) else []
    notes = {one for one in readers if _NOTES.match(one.stem) and len(readers) > 1 and one not in tables}
    data = [one for one in readers if one not in notes and one not in tables]
    if any(one in main for one in data):
        passed += [
            (one.relative_to(path).as_posix(), f"there are files of recordings that end in {data_end(main)}")
            for one in data
            if one not in main
        ]
        data = [one for one in data if one in main]
    passed += [(one.relative_to(path).as_posix(), "its name is not that of a recording") for one in sorted(notes)]
    if not data:
        raise DataError(f"{path}: only {sorted(one.name for one in notes)}, which hold no recordings; give recordings")
    counts = Counter(readers[one].name for one in data)
    kinds = set(counts)
    (top, most), *rest = counts.most_common()
    if rest and most >= _MANY_MORE * rest[0][1]:
        passed += [
            (one.relative_to(path).as_posix(), f"most files are {top}") for one in data if readers[one].name != top
        ]
        data = [one for one in data if readers[one].name == top]
        kinds = {top}
    if len(kinds) > 1:
        raise DataError(
            f"{path}: files of several formats ({sorted({one.suffix for one in data})}); give one of them, or a data "
            "source (TOML) with `format` or `files`"
        )
    reader = readers[data[0]]
    if reader.name == "csv":
        return _of_tables(path, reader, data, passed, tables)
    if reader.name == "npy":  # the largest holds the windows, the others labels and groups
        data.sort(key=lambda one: one.stat().st_size, reverse=True)
    return Found(path, True, reader, tuple(data), tuple(passed))


def data_end(files: Sequence[Path]) -> str:
    """The most common suffix of files."""
    return Counter(one.suffix for one in files).most_common(1)[0][0]


def _of_file(path: Path) -> Found:
    reader = reader_of(path) or READERS[0]
    with reading(path, reader.title):
        pass  # refuses a pipe or a device before it is opened
    if reader.name == "csv":
        beside = [one for one in sorted(path.parent.iterdir()) if one != path and one.is_file()]
        tables = [one for one in beside if reader_of(one) == reader and is_intervals(one)]
        same = [one for one in beside if reader_of(one) == reader and one not in tables]
        return Found(
            path.parent, False, reader, (path,), intervals=tables[0] if len(tables) == 1 and not same else None
        )
    return Found(path.parent, False, reader, (path,))


def _of_signals(path: Path, signals: Sequence[Path]) -> Found:
    """A file for each channel with windows in rows, as in UCI HAR: one file of each side stands for all of it."""
    total = [one for one in signals if "total" in one.name] or list(signals)
    reader = next(one for one in READERS if one.name == CHANNEL_WINDOWS)
    others = [one for one in path.rglob("*.txt") if one.parent.name != SIGNALS]
    passed = tuple((one.relative_to(path).as_posix(), "features or notes, no signals") for one in sorted(others))
    kept = [one for one in passed if not one[0].rsplit("/", 1)[-1].startswith(("y_", "subject_", "activity_labels"))]
    return Found(path, True, reader, tuple(total), tuple(kept))


def _of_export(path: Path) -> Found:
    files = sorted(one for one in path.rglob("*") if one.is_file() and one.name != INFO_LABELS)
    readers = {one: reader for one in files if (reader := reader_of(one)) is not None}
    if not readers:
        raise DataError(f"{path}: {INFO_LABELS} is there, but no file of recordings; export the project again")
    if len({reader.name for reader in readers.values()}) > 1:
        acquisitions = [one for one, reader in readers.items() if reader.name.startswith("edge_impulse")]
        return Found(path, True, readers[(acquisitions or files)[0]], tuple(readers), info_labels=True)
    return Found(path, True, next(iter(readers.values())), tuple(readers), info_labels=True)


def _of_tables(
    path: Path, reader: Reader, data: list[Path], passed: list[tuple[str, str]], tables: Sequence[Path]
) -> Found:
    intervals = tables[0] if len(tables) == 1 else None
    if intervals is None:
        passed += [
            (one.relative_to(path).as_posix(), "a table of intervals, of which there are several") for one in tables
        ]
    sensors = _sensors(data)
    if sensors:
        first = sensors[0][1]
        kept = {name for _, name in sensors}
        others = Counter(one.name for one in data if one.name not in kept)
        passed += [
            (name, f"another sensor, or no samples ({counted(count, 'file')})")
            for name, count in sorted(others.items())
        ]
        return Found(
            path,
            True,
            reader,
            tuple(one for one in data if one.name == first),
            tuple(passed),
            intervals,
            tuple(sensors) if len(sensors) > 1 else (),
            patterns=() if len(sensors) > 1 else (first,),
        )
    ends = Counter("".join(one.suffixes[-2:]) if one.suffix in (".gz", ".zip") else one.suffix for one in data)
    patterns = tuple(f"*{end}" for end in sorted(ends)) if not set(ends) <= set(reader.suffixes) else ()
    return Found(path, True, reader, tuple(data), tuple(passed), intervals, patterns=patterns)


def _sensors(data: Sequence[Path]) -> list[tuple[str, str]]:
    """Name and file of each sensor to read, where every folder holds a file for each sensor."""
    folders: dict[Path, set[str]] = defaultdict(set)
    for one in data:
        folders[one.parent].add(one.name)
    everywhere = set.intersection(*folders.values())
    kinds: dict[Kind, list[str]] = defaultdict(list)
    for name in sorted(everywhere):
        kinds[kind_of(tokens_of(name.split(".")[0]))].append(name)
    moving = [kind for kind in kinds if kind != "plain"]
    if not moving or not any(len(one) > 1 for one in folders.values()):
        return []
    if not any(kind in kinds for kind in ("acceleration", "linear", "rotation")):
        return []
    if len({name for names in folders.values() for name in names}) > max(12, 4 * len(everywhere)):
        return []
    chosen = []
    for kind in SENSOR_FILES_WANTED:
        names = kinds.get(kind) or (kinds.get("linear", []) if kind == "acceleration" else [])
        plain = [name for name in names if "uncalibrated" not in name.lower()] or names
        total = [name for name in plain if "total" in name.lower()] or plain
        if len(folders) == 1 and len(total) > 1:  # `acc_walk.csv`, `acc_run.csv`: a recording each
            return []
        if total:
            best = min(total, key=len)
            chosen.append((best.split(".")[0], best))
    return chosen


def is_intervals(path: Path) -> bool:
    """True if a small text file names the start, the end and the label of intervals, or holds labels of Audacity."""
    try:
        if path.stat().st_size >= _LARGEST_TABLE or path.suffix.lower() in (".gz", ".zip"):
            return False
        text = read_text(path, "utf-8-sig")
    except (OSError, ValueError):
        return False
    lines = text.splitlines()
    return bool(lines) and (columns_of_intervals(lines[0])[1] is not None or is_audacity(text))
