"""Origin of the classes and groups: columns, intervals, names of files and folders."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from edge_seq.data.guess.clues.columns import (
    SENSOR_NAMES,
    axis_of,
    tokens_of,
)
from edge_seq.data.guess.clues.headerless import has_runs, keeps_value
from edge_seq.data.guess.clues.labels import (
    Named,
    class_among,
    labels_in_folders_of_groups,
    labels_of_folders,
    labels_of_names,
    names_tell_classes,
)
from edge_seq.data.guess.clues.times import is_time_name
from edge_seq.data.guess.draft import Draft, distinct
from edge_seq.data.guess.files import SPLIT_FOLDERS
from edge_seq.data.guess.rate import seconds_of
from edge_seq.data.readers.clock import SECONDS_PER_UNIT
from edge_seq.data.readers.files import INFO_LABELS, read_info_labels, tables_of_labels
from edge_seq.data.readers.label_intervals import read_intervals
from edge_seq.data.recording import SIDES
from edge_seq.support.errors import DataError
from edge_seq.support.figure_text import counted

MAX_CLASSES, FEWEST_GROUPS = 256, 3  # groups of a class, so that each side of a split can have one
MOST_CODES = 30  # different numbers of a column that may be codes of classes
_EDGE_IMPULSE_NAME = r"(?:^|/)(?P<label>[^/.]+)\.[^/]*$"


def find_classes(draft: Draft) -> None:
    """Find the classes: in a table of intervals, in a column, or in the names of files and folders."""
    found = draft.found
    if found.intervals is not None:
        _intervals(draft, found.intervals)
    elif "label_column" in draft.fields:
        _classes_of_columns(draft)
        if found.is_folder and "split_column" not in draft.fields:
            _sides_of_files(draft)
    else:
        texts = [
            name
            for name in draft.looks[0].texts
            if name not in draft.roles and not is_time_name(name) and "_".join(tokens_of(name)) not in SENSOR_NAMES
        ]
        few = [
            name
            for name in texts
            if 2 <= len(distinct(draft, name) - {""}) <= 50 and all(has_runs(look.texts[name]) for look in draft.looks)
        ]
        if few and not names_tell_classes([look.name for look in draft.looks]) and _take_words(draft, few):
            _classes_of_columns(draft)
            return
        names = [
            look.path.parent.relative_to(found.root).as_posix() if found.sensors else look.name for look in draft.looks
        ]
        if _take_codes(draft, names):
            _classes_of_columns(draft)
            return
        labels_of_files(draft, names)
        if len(few) > 1 and len(draft.classes) < 2:
            draft.problems.append(
                f"several columns hold words ({'; '.join(f'{name!r}: {_shown(draft, name)}' for name in few)}), and "
                "nothing tells which are the classes; give label_column, and group_column for persons or sessions, in "
                "the data source"
            )
    if "recording_column" not in draft.fields and "group_column" in draft.fields and len(draft.looks) == 1:
        draft.fields["recording_column"] = draft.fields["group_column"]
        draft.said.append(f"each {draft.fields['group_column']!r} is a recording")


def _take_words(draft: Draft, columns: Sequence[str]) -> bool:
    """Take the classes from columns of words, if it is clear which holds them."""
    told = class_among({name: distinct(draft, name) - {""} for name in columns}) if len(columns) > 1 else None
    if told is None and len(columns) > 1:
        return False
    label, group = told or (columns[0], None)
    reason = "the only column of words" if len(columns) == 1 else "its words are those of classes"
    draft.fields["label_column"] = label
    draft.take(label, "label", _shown(draft, label), reason)
    draft.said.append(f"label_column is {label!r}, {reason}: {_shown(draft, label)}")
    if group is not None and "group_column" not in draft.fields:
        draft.fields["group_column"] = group
        draft.take(group, "group", counted(len(distinct(draft, group)), "group"), "its words are persons or sessions")
        draft.said.append(f"group_column is {group!r}, its words are persons or sessions: {_shown(draft, group)}")
    return True


def _take_codes(draft: Draft, names: Sequence[str]) -> bool:
    """Take the only column of few whole numbers as classes, to be confirmed, where no name tells any."""
    if draft.found.info_labels or not nothing_tells_classes(names):
        return False
    codes = [
        name
        for name in draft.looks[0].numbers
        if name not in draft.roles
        and axis_of(name) is None
        and 2 <= len(distinct(draft, name)) <= MOST_CODES
        and all(keeps_value(look.numbers[name]) for look in draft.looks)
    ]
    if len(codes) != 1:
        if codes:
            draft.problems.append(
                f"nothing tells the classes; columns {', '.join(map(repr, codes))} hold few whole numbers that stay "
                "for long. Give label_column in the data source, or write one column with the class of each row"
            )
        return False
    draft.fields["label_column"] = codes[0]
    draft.take(codes[0], "label", _shown(draft, codes[0]), "few whole numbers that stay for long")
    draft.problems.append(codes_to_confirm(draft, codes[0]))
    return True


def nothing_tells_classes(names: Sequence[str]) -> bool:
    """True if the names of files and folders [N] give no two classes."""
    folders = {name.split("/")[0] for name in names if "/" in name}
    named = labels_of_names(names)
    return len(folders) < 2 and (named is None or len(set(named.labels)) < 2)


def codes_to_confirm(draft: Draft, column: str) -> str:
    """Sentence about a column of numbers that are taken for classes."""
    return (
        f"the classes are taken from the numbers of column {column!r} ({_shown(draft, column)}), only because nothing "
        "else tells any. If they are classes, go on with the written data source (--write); if not, correct "
        "label_column"
    )


def _shown(draft: Draft, name: str) -> str:
    return ", ".join(sorted(distinct(draft, name) - {""})[:6])


def _intervals(draft: Draft, table: Path) -> None:
    intervals = read_intervals(table)
    root = draft.found.root
    draft.fields.update(label_from="intervals", intervals=table.relative_to(root).as_posix())
    labels = sorted({one.label for one in intervals})
    seconds = seconds_of(draft, draft.looks[0])
    end = max(one.end for one in intervals)
    if seconds is not None and len(draft.looks) == 1:
        span = float(seconds[-1] - seconds[0])
        for unit in dict.fromkeys((draft.fields.get("time_unit", "s"), "s", "ms", "us", "ns")):
            factor = SECONDS_PER_UNIT.get(str(unit), 1.0)
            if draft.looks[0].rows > len(seconds):
                break
            if 0.3 * span <= end * factor - float(seconds[0]) <= 1.05 * span:
                draft.fields["interval_unit"] = "s" if unit == "datetime" else unit
                break
            if 0.3 * span <= end * factor <= 1.05 * span:
                draft.fields.update(interval_unit="s" if unit == "datetime" else unit, interval_origin="start")
                break
    for label in labels:
        draft.classes[label].add("all")
        unit = str(draft.fields.get("interval_unit", draft.fields.get("time_unit", "s")))
        factor = SECONDS_PER_UNIT.get(unit, 1.0) * draft.fields["sample_rate_hz"]
        draft.stretches[label] += [int((one.end - one.start) * factor) for one in intervals if one.label == label]
    draft.said.append(
        f"{table.name} is a table of intervals with the classes {', '.join(labels[:6])}, start and end in "
        f"{draft.fields.get('interval_unit', draft.fields.get('time_unit', 's'))} from "
        f"{'the first sample' if draft.fields.get('interval_origin') == 'start' else 'the zero of the times'}"
    )


def _classes_of_columns(draft: Draft) -> None:
    label, group = (
        draft.fields["label_column"],
        draft.fields.get("group_column") or draft.fields.get("recording_column"),
    )
    for look in draft.looks:
        labels = look.texts.get(label) or [f"{one:g}" for one in look.numbers.get(label, np.empty(0))]
        groups = (
            [look.name] * len(labels)
            if group is None
            else look.texts.get(group) or [f"{one:g}" for one in look.numbers[group]]
        )
        for one, of in set(zip(labels, groups, strict=True)):
            if one:
                draft.classes[one].add(of)
        edges = [n for n in range(1, len(labels)) if (labels[n], groups[n]) != (labels[n - 1], groups[n - 1])]
        for start, end in pairwise([0, *edges, len(labels)]):
            draft.stretches[labels[start]].append(end - start)
        if look.segments:
            for one in set(labels):
                draft.classes[one] |= {f"{look.name}#{n}" for n in range(len(look.segments))}


def labels_of_files(draft: Draft, names: Sequence[str]) -> None:
    """Take the classes from the names of files and folders, or from the labels of an Edge Impulse export."""
    found = draft.found
    if found.info_labels:
        draft.fields["label_from"] = "info_labels"
        entries = [one for table in tables_of_labels(found.root) for one in read_info_labels(table)]
        listed = {
            str(one["label"].get("label") if isinstance(one.get("label"), dict) else one.get("label"))
            for one in entries
        }
        draft.said.append(f"classes and split are those of {INFO_LABELS}: {', '.join(sorted(listed)[:6])}")
        return
    parts = [name.split("/") for name in names]
    tops = {one[0] for one in parts if len(one) > 1}
    below = 0
    if tops and all(len(one) > 1 for one in parts) and tops <= SPLIT_FOLDERS.keys():
        draft.fields["split_folders"] = {SPLIT_FOLDERS[top]: top for top in sorted(tops)}
        draft.said.append(f"the split is as the folders are named: {', '.join(sorted(tops))}")
        below = 1
    elif (at := _split_below(parts)) is not None:
        draft.fields["split_folders"] = {SPLIT_FOLDERS[side]: side for side in sorted({one[at] for one in parts})}
        draft.said.append(f"the split is as folders are named: {', '.join(sorted({one[at] for one in parts}))}")
        parts = [[*one[:at], *one[at + 1 :]] for one in parts]
        names = ["/".join(one) for one in parts]
    folders = {one[below] for one in parts if len(one) > below + 1}
    is_above = "split_folders" not in draft.fields or below == 1
    named = (labels_of_folders(names, below) or labels_in_folders_of_groups(names, below)) if is_above else None
    if named is not None:
        draft.fields["label_from"] = "file_name"
        _take_names(draft, named)
        return
    if len(folders) > 1 and all(len(one) > below + 1 for one in parts):
        if below == 0 and _files_of_pieces(draft, [one[0] for one in parts]):
            draft.fields["label_from"] = "file_name"
            _take_names(
                draft,
                Named(
                    r"^(?=(?P<group>.+)$)(?P<label>[^/]+)/",
                    tuple(one[0] for one in parts),
                    tuple(names),
                    True,
                    "the folder a file lies in",
                ),
            )
            return
        draft.fields["label_from"] = "folder"
        draft.said.append(
            f"the class is the folder a file lies in: {', '.join(sorted(folders)[:6])}{_crossed(parts, below)}"
        )
        for index, (name, one) in enumerate(zip(names, parts, strict=True)):
            has_group = len(one) > below + 2
            _add_class(draft, index, one[below], one[below + 1] if has_group else name, are_groups=has_group)
        return
    draft.fields["label_from"] = "file_name"
    if found.reader.name.startswith("edge_impulse") and all("." in name.rsplit("/", 1)[-1] for name in names):
        draft.fields["file_pattern"] = _EDGE_IMPULSE_NAME
        labels = sorted({name.rsplit("/", 1)[-1].split(".")[0] for name in names})
        draft.said.append(f"the class is a file's name up to the first dot: {', '.join(labels[:6])}")
        for index, name in enumerate(names):
            _add_class(draft, index, name.rsplit("/", 1)[-1].split(".")[0], name)
        return
    if found.is_folder and "split_folders" not in draft.fields:
        _sides_of_files(draft)
    named = labels_of_names(names)
    if named is None:
        return
    if len(set(named.labels)) > MAX_CLASSES:
        raise DataError(
            f"the names of the files give {len(set(named.labels))} classes; expected at most {MAX_CLASSES}. Put the "
            "files "
            "of a class into a folder, or write a data source with file_pattern"
        )
    _take_names(draft, named)


def _split_below(parts: Sequence[Sequence[str]]) -> int | None:
    """Place of the folders of a split below those of the classes, ``walk/train/01``; None if there are none."""
    for at in range(1, min(map(len, parts)) - 1):
        sides = {one[at] for one in parts}
        if len(sides) > 1 and sides <= SPLIT_FOLDERS.keys():
            return at
    return None


def _crossed(parts: Sequence[Sequence[str]], below: int) -> str:
    """What to do if the folders are persons and the files classes, where all folders hold the same names."""
    inside: dict[str, set[str]] = defaultdict(set)
    for one in parts:
        inside[one[below]].add("/".join(one[below + 1 :]))
    names = next(iter(inside.values()))
    if len(names) < 2 or any(one != names for one in inside.values()):
        return ""
    return (
        f". Each holds {', '.join(sorted(names)[:6])}; if those are the classes, set label_from = 'file_name' and "
        "file_pattern = '(?P<group>[^/]+)/(?P<label>[^/]+)$'"
    )


def _files_of_pieces(draft: Draft, labels: Sequence[str]) -> bool:
    """True if the files hold several recordings each, and each class is in enough files to take them as groups."""
    return all(look.segments for look in draft.looks) and min(Counter(labels).values()) >= FEWEST_GROUPS


def _take_names(draft: Draft, named: Named) -> None:
    if not named.has_groups and not draft.found.sensors and _files_of_pieces(draft, named.labels):
        flags, rest = re.fullmatch(r"(\(\?i\))?(.*)", named.pattern, re.DOTALL).groups("")  # type: ignore[union-attr]
        named = replace(named, pattern=f"{flags}^(?=(?P<group>.+)$).*?{rest}", has_groups=True)
    draft.fields["file_pattern"] = named.pattern
    draft.said.append(f"the class is {named.how}: {', '.join(sorted(set(named.labels))[:6])}")
    if named.has_groups:
        groups = sorted(set(named.groups))
        draft.said.append(f"groups are {', '.join(groups[:6])}, by the names of the files")
    for index, (label, group) in enumerate(zip(named.labels, named.groups, strict=True)):
        _add_class(draft, index, label, group, are_groups=named.has_groups)


def _add_class(draft: Draft, index: int, label: str, group: str, *, are_groups: bool = False) -> None:
    look = draft.looks[index] if index < len(draft.looks) else None
    if look is not None and look.segments and not draft.found.sensors and not are_groups:
        draft.classes[label] |= {f"{group}#{n}" for n in range(len(look.segments))}
    else:
        draft.classes[label].add(group)
    if look is not None:
        draft.stretches[label] += look.segments or (look.rows,)


def _sides_of_files(draft: Draft) -> None:
    """Take one train file, one test file and optionally one validation file as the sides of the split."""
    files = [path for path in draft.found.files if path.parent == draft.found.root]
    sides = {side: [one.name for one in files if side in one.name.lower()] for side in SIDES}
    found = {side: names[0] for side, names in sides.items() if len(names) == 1}
    if len(found) == len(draft.found.files) and {"train", "test"} <= found.keys():
        draft.fields["split_files"] = found
        draft.said.append(f"the split is as the files are named: {', '.join(f'{k} {v}' for k, v in found.items())}")
