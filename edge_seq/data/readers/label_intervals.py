"""Labels of long recordings from a table of intervals: CSV, labels of Audacity, or an export of Label Studio.

A CSV file has the columns ``start``, ``end``, ``label`` and, for several recordings, ``recording``, or other usual
names for them (``begin``, ``stop``, ``activity``); commas, semicolons or tabs are between them. Labels of Audacity are
three columns without a header, with tabs. Time series of
Label Studio are read from its ``JSON`` and its ``JSON-MIN`` export. An interval holds the samples with start <= t <
end. Samples outside all intervals are unlabelled.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.support.errors import DataError
from edge_seq.support.names import check_name
from edge_seq.support.opening import parse_json, read_text

COLUMNS = ("recording", "start", "end", "label")
_NAMES = {
    "start": ("start", "begin", "onset", "from", "starttime", "begintime"),
    "end": ("end", "stop", "offset", "to", "endtime", "stoptime"),
    "label": ("label", "class", "activity", "state", "event", "annotation", "gesture"),
    "recording": ("recording", "file", "filename"),
}
_UNIT_OF_NAME = re.compile(r"(?:[\s_]+|[\s_]*[(\[])(?:s|sec|seconds|ms|us|ns|samples)[)\]]?$")
_BEYOND = "\x00beyond"  # key of cells that the header does not name
_LABEL_STUDIO_PREFIX = re.compile(r"^[0-9a-f]{8}-")  # Label Studio prefixes the name of every uploaded file


@dataclass(frozen=True)
class Interval:
    """A label for the time from ``start`` up to ``end``, exclusive, in the unit of the table.

    Attributes:
        where: file and line, for messages.
        recording: name of the recording; None if the table does not name one.
        start, end: finite numbers, start before end.
        label: class name.
    """

    where: str
    recording: str | None
    start: float
    end: float
    label: str


def read_intervals(path: Path) -> tuple[Interval, ...]:
    """Read a table of intervals: a ``.json`` file as an export of Label Studio, any other file as CSV.

    Raises:
        DataError: the file cannot be read, lacks a column or has no interval; a start or end is not a number; an
            interval does not end after it starts or has no label; a region has several labels; or a task has several
            annotations.
    """
    try:
        text = read_text(path, "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"intervals {path.name}: cannot be read: {error}") from error
    found = _of_label_studio(text, path.name) if path.suffix.lower() == ".json" else _of_csv(text, path.name)
    if not found:
        raise DataError(f"intervals {path.name}: no interval; expected start, end and label of at least one")
    return found


def label_samples(
    intervals: Sequence[Interval], clock: NDArray[np.float64], *, name: str, is_only: bool
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Label the samples of a recording.

    Args:
        intervals: intervals of all recordings.
        clock: float64 [T], increasing: time of each sample in the unit of the intervals.
        name: name of the recording; intervals with this name, or with the last part of it, belong to the recording.
        is_only: True if there is no other recording, so that intervals without a name belong to this one.

    Returns:
        label values, of which the first is the empty text for unlabelled, and the code of each sample, int64 [T].

    Raises:
        DataError: two intervals overlap under different labels, or one lies outside the recording.
    """
    own = [one for one in intervals if _is_of(one, name, is_only=is_only)]
    values = ("", *dict.fromkeys(one.label for one in own))
    codes = np.zeros(len(clock), dtype=np.int64)
    for one in own:
        first, end = np.searchsorted(clock, [one.start, one.end], side="left")
        if first >= end:
            raise DataError(
                f"{one.where}: the interval {one.start:g} to {one.end:g} holds no sample of recording {name}, which "
                f"lasts from {clock[0]:.6g} to {clock[-1]:.6g}. Correct the interval, or interval_unit or "
                "interval_origin in the data source"
            )
        code = values.index(one.label)
        other = codes[first:end][(codes[first:end] != 0) & (codes[first:end] != code)]
        if other.size:
            raise DataError(
                f"{one.where}: the interval {one.start:g} to {one.end:g} ({one.label}) of recording {name} overlaps "
                f"with one of {values[int(other[0])]}; expected one label per sample. Correct one of them"
            )
        codes[first:end] = code
    return values, codes


def check_all_used(intervals: Sequence[Interval], names: Sequence[str]) -> None:
    """Check that every interval belongs to a recording that was read.

    Raises:
        DataError: an interval does not; the message names the first one.
    """
    only = len(names) == 1
    for one in intervals:
        if not any(_is_of(one, name, is_only=only) for name in names):
            of = "names no recording, and there are several" if one.recording is None else f"is of {one.recording!r}"
            raise DataError(
                f"{one.where}: the interval {one.start:g} to {one.end:g} {of}; expected one of {list(names)[:5]}"
                f"{', ...' if len(names) > 5 else ''}. Correct the name, or remove the interval"
            )


def _is_of(one: Interval, name: str, *, is_only: bool) -> bool:
    if one.recording is None:
        return is_only
    return one.recording in (name, name.rsplit("/", 1)[-1])


def columns_of_intervals(header: str) -> tuple[str, dict[str, str] | None]:
    """Find the delimiter of a table of intervals, and ``start``, ``end``, ``label`` and ``recording`` in its header.

    >>> columns_of_intervals("begin_ms;end_ms;activity")
    (';', {'start': 'begin_ms', 'end': 'end_ms', 'label': 'activity'})
    >>> columns_of_intervals("t,ax,ay,az")
    (',', None)
    """
    delimiter = max(",;\t", key=header.count)
    by_name = {_bare(name): name.strip() for name in reversed(header.split(delimiter))}
    found = {
        meant: next(by_name[one] for one in names if one in by_name)
        for meant, names in _NAMES.items()
        if any(one in by_name for one in names)
    }
    return delimiter, found if set(COLUMNS[1:]) <= found.keys() else None


def _bare(name: str) -> str:
    bare = _UNIT_OF_NAME.sub("", name.strip().strip('"').lower())
    return re.sub(r"[\s_]", "", bare)


def is_audacity(text: str) -> bool:
    """True if each line of a text is a start, an end and a label with tabs between, one interval after the other."""
    last = -math.inf
    lines = [line.split("\t") for line in text.splitlines() if line.strip()]
    for cells in lines:
        try:
            start, end = (float(cell) for cell in cells[:2])
        except ValueError:
            return False
        if len(cells) != 3 or not last <= start < end or not cells[2].strip():
            return False
        last = start
    return bool(lines)


def _of_csv(text: str, file: str) -> tuple[Interval, ...]:
    lines = text.lstrip().splitlines()
    if is_audacity(text):
        lines.insert(0, "start\tend\tlabel")
    delimiter, names = columns_of_intervals(lines[0] if lines else "")
    try:
        rows: list[dict[str, Any]] = list(csv.DictReader(lines, restkey=_BEYOND, strict=True, delimiter=delimiter))
    except csv.Error as error:
        raise DataError(f"intervals {file}: cannot be read as CSV: {error}") from error
    if rows and names is None:
        columns = [column.strip() for column in rows[0]]
        raise DataError(f"intervals {file}: columns {columns}; expected start, end, label, and optionally recording")
    found = []
    for line, row in enumerate(rows, start=2):
        beyond = [cell for cell in row.pop(_BEYOND, None) or () if cell.strip()]
        given = {key.strip(): (value or "").strip() for key, value in row.items()}
        cells = {meant: given.get(name.strip('"'), "") for meant, name in (names or {}).items()}
        where = f"intervals {file}, line {line}"
        if beyond:
            raise DataError(f"{where}: {beyond} are more cells than the header names; put texts with commas in quotes")
        found.append(_interval(where, cells.get("recording") or None, cells["start"], cells["end"], cells["label"]))
    return tuple(found)


def _of_label_studio(text: str, file: str) -> tuple[Interval, ...]:
    where = f"intervals {file}"
    try:
        tasks = parse_json(text)
    except ValueError as error:
        raise DataError(f"{where}: cannot be read as JSON: {error}") from error
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise DataError(f"{where}: expected a list of tasks, as Label Studio exports it (JSON or JSON-MIN)")
    found: list[Interval] = []
    for number, task in enumerate(tasks):
        where_task = f"{where}, task {task.get('id', number)}"
        recording = _recording_of(task)
        for region in _regions(task, where_task):
            labels = region.get("timeserieslabels")
            if not isinstance(labels, list):
                continue  # a region of another kind, for example a choice or a text
            if len(labels) != 1:
                raise DataError(f"{where_task}: a region has the labels {labels}; expected one. Correct the annotation")
            found.append(_interval(where_task, recording, region.get("start"), region.get("end"), str(labels[0])))
    return tuple(found)


def _regions(task: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """Regions of a task: in the full export those of its only annotation, in JSON-MIN every list of dictionaries."""
    if "annotations" not in task:
        lists = [value for value in task.values() if isinstance(value, list)]
        return [region for one in lists for region in one if isinstance(region, dict)]
    kept = [one for one in task["annotations"] if not one.get("was_cancelled")]
    if len(kept) > 1:
        raise DataError(
            f"{where}: {len(kept)} annotations, and it is not clear which is right; keep one in Label Studio (cancel "
            "or delete the others) and export again"
        )
    return [part["value"] for one in kept for part in one.get("result", []) if isinstance(part.get("value"), dict)]


def _recording_of(task: Mapping[str, Any]) -> str | None:
    """Name of the labelled file, without its suffix and without the prefix of eight digits that Label Studio adds."""
    data = task.get("data", task)
    texts = [task.get("file_upload"), *(data.values() if isinstance(data, dict) else ())]
    name = next(
        (one for one in texts if isinstance(one, str) and re.search(r"\.(csv|json|parquet)(\.gz)?$", one)), None
    )
    if name is None:
        return None
    return re.sub(r"\.\w+(\.gz)?$", "", _LABEL_STUDIO_PREFIX.sub("", name.rsplit("/", 1)[-1]))


def _interval(where: str, recording: str | None, start: Any, end: Any, label: str) -> Interval:
    try:
        first, last = float(start), float(end)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{where}: start {start!r} and end {end!r}; expected numbers, in the unit of the data source's "
            "interval_unit. Label Studio writes dates if timeFormat is set in its configuration; leave timeFormat out"
        ) from error
    if not (math.isfinite(first) and math.isfinite(last) and first < last):
        raise DataError(f"{where}: the interval {first:g} to {last:g} does not end after it starts; correct it")
    if not label:
        raise DataError(f"{where}: the interval {first:g} to {last:g} has no label; give it one, or remove it")
    check_name(label, DataError, what=f"{where}: label", remedy="Rename it in the table")
    return Interval(where, recording, first, last, label)
