"""Fields of a data source for tables: recordings, groups, sensors and channels by the names of columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.guess.channels import choose_channels
from edge_seq.data.guess.classes import MAX_CLASSES, MOST_CODES, codes_to_confirm, find_classes, nothing_tells_classes
from edge_seq.data.guess.clues.columns import (
    GROUP_NAMES,
    LABEL_NAMES,
    RECORDING_NAMES,
    SENSOR_NAMES,
    axis_of,
    kind_of,
    sensors_in,
    tokens_of,
)
from edge_seq.data.guess.clues.headerless import PAMAP2, names_of_columns
from edge_seq.data.guess.clues.labels import names_tell_classes
from edge_seq.data.guess.clues.times import is_time_name
from edge_seq.data.guess.draft import Draft, distinct, is_fraction
from edge_seq.data.guess.gestures import find_gestures
from edge_seq.data.guess.look import (
    Look,
    look_at_text,
)
from edge_seq.data.guess.rate import find_clock, find_rate
from edge_seq.data.recording import SIDES
from edge_seq.support.errors import DataError
from edge_seq.support.figure_text import counted

WINDOW_S = 2.0
_FRACTION = re.compile(r"\d[.,]\d")


def fields_of_tables(draft: Draft) -> None:
    """Find all fields of a data source of tables."""
    looks = draft.looks
    _name_headerless(draft)
    columns = draft.looks[0].columns
    _named_columns(draft, columns)
    sensor_column = _long_format(draft)
    if sensor_column is not None:
        draft.sensor = (sensor_column, next(iter(_wanted_sensors(draft, sensor_column)), ""))
    find_clock(draft)
    find_rate(draft)
    find_gestures(draft)
    find_classes(draft)
    if any(look.segments for look in draft.looks) and not _tells_groups(draft):
        draft.said.append("each recording within a file is a group of its own")
    taken = set(draft.roles)
    numeric = [name for name in columns if name in draft.looks[0].numbers and name not in taken]
    if sensor_column is not None:
        _channels_in_rows(draft, sensor_column, numeric)
    elif draft.found.sensors:
        _channels_of_sensors(draft)
    else:
        if not numeric:
            text = [name for name in columns if name not in looks[0].numbers]
            raise DataError(
                f"{draft.header.split(';')[0]}: no column of numbers besides {sorted(taken)}; columns of text are "
                f"{text[:8]}. If they hold numbers, give delimiter and decimal in a data source (datasets/README.md)"
            )
        draft.use(choose_channels(draft.looks, numeric))
    for name in columns:
        if name not in draft.roles and not draft.found.sensors:
            _unused_text(draft, name)
    draft.roles = {name: draft.roles[name] for name in (*columns, *draft.roles) if name in draft.roles}
    _dialect(draft)
    draft.fields["window_length"] = max(2, round(WINDOW_S * draft.fields["sample_rate_hz"]))
    draft.fields["window_stride"] = max(1, draft.fields["window_length"] // 2)


def _tells_groups(draft: Draft) -> bool:
    return "group_column" in draft.fields or "(?P<group>" in str(draft.fields.get("file_pattern"))


def _unused_text(draft: Draft, name: str) -> None:
    """Note a column of text that is not used; where it should hold numbers, that is a problem."""
    texts = [text for look in draft.looks for text in look.texts.get(name, ())]
    known = [text for text in texts if text]
    if not known:
        draft.take(name, "unused", "", "it is empty")
        return
    dialect = draft.looks[0].dialect
    is_headerless = dialect is not None and not dialect.has_header
    with_digits = sum(any(one.isdigit() for one in text) for text in known)
    with_fractions = sum(_FRACTION.search(text) is not None for text in known)  # `0.12 g`
    if (
        axis_of(name) is not None
        or (is_headerless and with_digits > 0.5 * len(known) and len(set(known)) > max(20, 0.2 * len(known)))
        or with_fractions > 0.5 * len(known)
    ):
        draft.problems.append(
            f"column {name!r} should hold numbers, but it holds texts such as {known[0][:40]!r}; correct the "
            "delimiter, the "
            "decimal mark or the header in the data source (delimiter, decimal, skip_rows, column_names)"
        )
    draft.take(name, "unused", "", f"a text of no known use, such as {known[0][:30]!r}")


def _name_headerless(draft: Draft) -> None:
    first = draft.looks[0]
    if first.dialect is None or first.dialect.has_header:
        return
    names, reasons = names_of_columns(first)
    if "group" in names and len(distinct(draft, first.columns[names.index("group")])) < 2:  # an unused output, always 0
        at = names.index("group")
        names[at] = first.columns[at]
        reasons = [one for one in reasons if not one.startswith(f"column {at + 1} keeps")]
    if "group" in names and "label" not in names and nothing_tells_classes([look.name for look in draft.looks]):
        codes = first.columns[names.index("group")]
        if draft.found.intervals is None and len(distinct(draft, codes)) <= MOST_CODES:
            names[names.index("group")] = "label"
            draft.problems.append(codes_to_confirm(draft, codes))
    renamed = []
    for look in draft.looks:
        new = dict(zip(look.columns, names, strict=True))
        renamed.append(
            Look(
                **{
                    **look.__dict__,
                    "columns": tuple(names),
                    **{
                        part: {new[key]: value for key, value in getattr(look, part).items()}
                        for part in ("numbers", "texts", "distinct", "largest", "units")
                    },
                }
            )
        )
    draft.looks = renamed
    draft.fields["column_names"] = list(names)
    if names == PAMAP2:
        draft.fields["unlabelled_values"] = ["0"]
    draft.said.append(f"there is no header; the columns are taken as {', '.join(names)} ({'; '.join(reasons)})")


def _dialect(draft: Draft) -> None:
    """State the dialect where it is not the plain one, or not the same in all files."""
    dialects = [look.dialect for look in draft.looks if look.dialect is not None]
    if not dialects:
        return
    for name, usual in (("delimiter", ","), ("decimal", "."), ("encoding", "utf-8")):
        values = {getattr(one, name) for one in dialects}
        if len(values) == 1 and not (value := values.pop()).startswith(usual):
            draft.fields[name] = value
    rules = {look.recording_break for look in draft.looks}
    if rules - {None}:
        rule = next(look.recording_break for look in draft.looks if look.recording_break)
        lengths = [n for look in draft.looks for n in look.segments]
        draft.fields["recording_break"] = rule
        what = "a blank line" if rule == "blank" else f"a line such as {_unescaped(rule)!r}"
        draft.said.append(
            f"{what} ends a recording: {counted(len(lengths), 'recording')} of {min(lengths)} to "
            f"{counted(max(lengths), 'sample')}"
        )
    if any(look.restarts for look in draft.looks):
        draft.said.append("a header that comes again is a restart of the logger, and a gap")
    if any(one.preamble for one in dialects):
        draft.said.append(f"lines before the header are passed over: {' / '.join(dialects[0].preamble[:3])[:160]}")


def _unescaped(rule: str) -> str:
    """A line that a rule made by the guess takes, for the user.

    >>> _unescaped(r"\\-\\-\\- gesture \\d+")
    '--- gesture 1'
    """
    return re.sub(r"\\(.)", r"\1", rule.replace(r"\d+", "1"))


def _named_columns(draft: Draft, columns: Sequence[str]) -> None:
    """Columns of recordings, groups, labels and split, by their names."""
    axes = {one.column for axes in sensors_in(list(columns)).values() for one in axes}
    by_name = {"_".join(tokens_of(name)): name for name in reversed(columns) if name not in axes}
    _label_column(draft, columns, axes)
    taken = {name for name, role in draft.roles.items() if role.role == "label"}
    group = next(
        (by_name[name] for known in GROUP_NAMES for name in _spelled(known, by_name) if by_name[name] not in taken),
        None,
    )
    recording = next(
        (
            by_name[name]
            for known in RECORDING_NAMES
            for name in _spelled(known, by_name)
            if by_name[name] not in taken and not is_fraction(draft, by_name[name]) and known != "file"
        ),
        None,
    )
    if group is not None and not is_fraction(draft, group):
        draft.fields["group_column"] = group
        draft.take(group, "group", counted(len(distinct(draft, group)), "group"), "its name")
    if recording is not None:
        draft.fields["recording_column"] = recording
        if recording != group:
            draft.take(recording, "recording", counted(len(distinct(draft, recording)), "recording"), "its name")
        else:
            draft.take(
                recording, "group", f"{counted(len(distinct(draft, recording)), 'recording')}, each a group", "its name"
            )
    if "split" in by_name and distinct(draft, by_name["split"]) <= {*SIDES, ""}:
        draft.fields["split_column"] = by_name["split"]
        draft.take(by_name["split"], "split", "", "its name")


def _spelled(known: str, by_name: Mapping[str, str]) -> list[str]:
    return [name for name in (known, f"{known}_id", f"{known}_number", f"{known}_no", f"{known}id") if name in by_name]


def _label_column(draft: Draft, columns: Sequence[str], axes: set[str]) -> None:
    named = [name for name in columns if set(tokens_of(name)) & LABEL_NAMES and name not in axes]
    if not named:
        named = [name for name in columns if name.lower() == "y" and name not in axes]
    named.sort(key=lambda name: name in draft.looks[0].numbers)  # words before codes
    for name in named:
        values = distinct(draft, name)
        if is_fraction(draft, name):
            if name.lower() != "y":
                draft.take(name, "unused", "", "named like a class, but it holds fractions")
            continue
        if len(values) > MAX_CLASSES:
            raise DataError(
                f"column {name!r} is named like a class and holds {len(values)} or more values; expected at most "
                f"{MAX_CLASSES} classes. Write a data source with the right label_column or label_from "
                "(datasets/README.md)"
            )
        if len(values - {""}) == 1 and names_tell_classes([look.name for look in draft.looks]):
            draft.take(name, "unused", "", f"named like a class, but all files hold {max(values)!r} alone")
            continue
        draft.fields["label_column"] = name
        shown = ", ".join(sorted(values - {""})[:6])
        draft.take(name, "label", shown, "its name")
        draft.said.append(f"label_column is {name!r}, by its name: {shown}")
        return


def _long_format(draft: Draft) -> str | None:
    """The column that names the sensor of each row, if there is one."""
    first = draft.looks[0]
    for name in first.texts:
        if "_".join(tokens_of(name)) in SENSOR_NAMES:
            values = distinct(draft, name) - {""}
            if 1 <= len(values) <= 20 and any(kind_of(tokens_of(value)) != "plain" for value in values):
                return name
    return None


def _wanted_sensors(draft: Draft, column: str) -> list[str]:
    """Names of an accelerometer and a gyroscope in a column that names sensors."""
    values = sorted(distinct(draft, column) - {""})
    kinds = {value: kind_of(tokens_of(value)) for value in values}
    wanted = [value for value in values if kinds[value] == "acceleration"][:1]
    wanted = wanted or [value for value in values if kinds[value] == "linear"][:1]
    return wanted + [value for value in values if kinds[value] == "rotation"][:1]


def _channels_in_rows(draft: Draft, column: str, numeric: Sequence[str]) -> None:
    values = sorted(distinct(draft, column) - {""})
    draft.take(column, "sensor", ", ".join(values), "it names the sensor of each row")
    wanted = _wanted_sensors(draft, column)
    axes = [one for group in sensors_in(list(numeric)).values() for one in group]
    if not axes or not wanted:
        raise DataError(
            f"column {column!r} names sensors ({', '.join(values)}), but there are no columns x, y, z of numbers or no "
            "accelerometer or gyroscope; write a data source with sensor_column"
        )
    parts = []
    for sensor in wanted:
        for look in draft.looks:
            rows = np.array([text == sensor for text in look.texts[column]])
            numbers = {f"{sensor}/{one.column}": look.numbers[one.column][rows] for one in axes}
            parts.append((sensor, look, numbers))
    merged = []
    for look in draft.looks:
        numbers = {key: v for s, other, part in parts if other is look for key, v in part.items()}
        merged.append(_with_numbers(look, numbers, look.units))
    draft.fields["sensor_column"] = column
    draft.said.append(f"the sensors {' and '.join(wanted)} are in rows, and joined by time")
    unused = [value for value in values if value not in wanted]
    if unused:
        draft.said.append(f"rows of the sensors {', '.join(unused)} are not used")
    draft.use(choose_channels(merged, list(merged[0].numbers), in_sensors=True))
    for axis in axes:
        draft.take(
            axis.column, "channel", f"{axis.axis} of {' and '.join(wanted)}", "an axis of the sensor in each row"
        )
    for name in numeric:
        if name not in draft.roles:
            draft.take(name, "unused", "", "names no axis")


def _with_numbers(look: Look, numbers: dict[str, NDArray[np.float64]], units: Mapping[str, str]) -> Look:
    return Look(
        path=look.path, name=look.name, header=look.header, columns=tuple(numbers), numbers=numbers,
        texts={}, distinct={}, largest={key: float(np.nanmax(np.abs(v), initial=0.0)) for key, v in numbers.items()},
        units={key: units[column] for key in numbers if (column := key.partition("/")[2]) in units},
        rows=look.rows, preamble=look.preamble,
    )  # fmt: skip


def _channels_of_sensors(draft: Draft) -> None:
    """Channels of recordings that are folders with a file for each sensor."""
    found = draft.found
    merged: list[Look] = []
    for look in draft.looks:
        numbers: dict[str, NDArray[np.float64]] = {}
        units: dict[str, str] = {}
        largest: dict[str, float] = {}
        for sensor, file in found.sensors:
            one = look if look.path.name == file else look_at_text(look.path.parent / file, sensor)
            axes = [axis.column for group in sensors_in(list(one.columns)).values() for axis in group]
            for column in axes or [c for c in one.columns if c in one.numbers and not is_time_name(c)]:
                numbers[f"{sensor}/{column}"] = one.numbers[column]
                largest[f"{sensor}/{column}"] = one.largest[column]
                if column in one.units:
                    units[f"{sensor}/{column}"] = one.units[column]
            if draft.fields.get("time_column") not in one.columns:
                draft.problems.append(
                    f"{one.path.name} has no column {draft.fields.get('time_column')!r} of times like "
                    f"{look.path.name}, so "
                    "the sensors cannot be joined; choose one of them with `files`"
                )
        merged.append(Look(**{**look.__dict__, "columns": tuple(numbers), "numbers": numbers, "largest": largest,
                              "units": units, "texts": {}, "distinct": {}}))  # fmt: skip
    draft.fields["sensor_files"] = dict(found.sensors)
    files = " and ".join(file for _, file in found.sensors)
    draft.said.append(
        f"a folder is a recording; {files} are its sensors, joined by time on the clock of the first. For one sensor "
        "alone "
        "give files instead of sensor_files"
    )
    draft.use(choose_channels(merged, list(merged[0].numbers), in_sensors=True))
    for column in draft.looks[0].columns:
        if column not in draft.roles and column in draft.looks[0].numbers and axis_of(column) is None:
            draft.take(column, "unused", "", "names no axis")
