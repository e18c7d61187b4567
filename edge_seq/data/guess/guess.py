"""Put a data source together from what the files hold, and say why."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.guess.channels import choose_channels
from edge_seq.data.guess.columns import (
    GROUP_NAMES,
    LABEL_NAMES,
    RECORDING_NAMES,
    SENSOR_NAMES,
    ColumnRole,
    axis_of,
    kind_of,
    sensors_in,
    tokens_of,
)
from edge_seq.data.guess.files import SPLIT_FOLDERS, Found, find_files
from edge_seq.data.guess.headerless import names_of_columns
from edge_seq.data.guess.labels import labels_of_names
from edge_seq.data.guess.look import (
    Look,
    look_at_acquisition,
    look_at_parquet,
    look_at_text,
    look_at_vectors,
    open_arrays,
)
from edge_seq.data.guess.times import Clock, clock_of, clock_of_texts, is_index_name, is_time_name, median_step, rises
from edge_seq.data.guess.windows import WindowsGuess, is_window_per_row, samples_apart, windows_in
from edge_seq.data.readers.clock import SECONDS_PER_UNIT, seconds_of_dates, spread
from edge_seq.data.readers.files import INFO_LABELS, read_info_labels
from edge_seq.data.readers.foreign import reading
from edge_seq.data.readers.label_intervals import read_intervals
from edge_seq.data.recording import SIDES
from edge_seq.data.source import DataSource, parse_source
from edge_seq.support.errors import DataError

WINDOW_S = 2.0
MAX_CLASSES = 256
_FEW_GROUPS, _BLOCKS = 3, 5
_WINDOWS_FOR_BLOCKS, _SHORTEST_WINDOW = 5, 16  # three blocks with a window between them hold five windows
_UNKNOWN_RATE_HZ = 50.0
_EDGE_IMPULSE_NAME = r"(?:^|/)(?P<label>[^/.]+)\.[^/]*$"


@dataclass(frozen=True)
class Guess:
    """A guessed data source, and the assumptions behind it.

    Attributes:
        source: the data source.
        fields: its table, ready for TOML; ``path`` is relative to ``base``.
        base: folder to which ``path`` is relative.
        assumptions: what was taken for granted, one sentence each.
        problems: what could not be read and would make the data source wrong.
        header: how the files are written, one line.
        columns: what each column was taken for, and why.
        rate: rate and jitter, one line.
    """

    source: DataSource
    fields: dict[str, Any]
    base: Path
    assumptions: tuple[str, ...]
    problems: tuple[str, ...] = ()
    header: str = ""
    columns: tuple[ColumnRole, ...] = ()
    rate: str = ""


@dataclass
class _Draft:
    """A data source in the making."""

    found: Found
    fields: dict[str, Any]
    looks: list[Look] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    roles: dict[str, ColumnRole] = field(default_factory=dict)
    rate: str = ""
    header: str = ""
    lengths: list[int] = field(default_factory=list)
    classes: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    gaps: bool = False

    def take(self, column: str, role: Any, detail: str, reason: str) -> None:
        self.roles[column] = ColumnRole(column, role, detail, reason)


def guess_source(path: Path) -> Guess:
    """Guess the data source of a file or a folder of recordings.

    Raises:
        DataError: there is no file of a known format, files have several formats, there is no column of numbers, or a
            column of classes holds thousands of values.
        ConfigError, ContractError: the guess is not a valid data source.
        ToolError: a package that reads the format is not installed.
    """
    found = find_files(path)
    draft = _Draft(found, {"name": re.sub(r"\W+", "_", path.name.split(".")[0]) or "data", "path": path.name or "."})
    if path.name in ("", ".", ".."):
        draft.fields["name"] = re.sub(r"\W+", "_", path.resolve().name) or "data"
    base = path.parent if path.name not in ("", "..") else path
    if found.reader.name in ("npz", "npy", "mat", "hdf5") and (windows := _windows(draft)) is not None:
        _fields_of_windows(draft, windows)
    else:
        _look_at_all(draft)
        rows_are_windows = found.reader.name == "csv" and is_window_per_row(draft.looks[0])
        if rows_are_windows:
            _fields_of_rows(draft)
        else:
            _fields_of_tables(draft)
    _say_files(draft)
    _windows_and_groups(draft)
    source = parse_source(draft.fields, where=f"guess for {path.name}")
    return Guess(
        source,
        draft.fields,
        base,
        tuple(draft.said),
        tuple(draft.problems),
        draft.header,
        tuple(draft.roles.values()),
        draft.rate,
    )


# Files


def _name_of(path: Path, found: Found) -> str:
    name = path.relative_to(found.root).as_posix() if found.is_folder else path.name
    for suffix in sorted((*found.reader.suffixes, *found.reader.more_suffixes), key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def _look_at_all(draft: _Draft) -> None:
    found = draft.found
    unreadable: list[tuple[Path, DataError]] = []
    for path in found.files:
        try:
            draft.looks.append(_look(path, found))
        except DataError as error:
            unreadable.append((path, error))
    if not draft.looks:
        raise unreadable[0][1]
    for path, why in unreadable:
        draft.problems.append(f"{path.name} cannot be read: {why}")
    common = Counter(look.columns for look in draft.looks).most_common(1)[0][0]
    others = [look for look in draft.looks if look.columns != common]
    strange = [look for look in others if not set(common) <= set(look.columns)]
    if strange:
        names = [look.path.name for look in strange]
        draft.problems.append(
            f"{len(strange)} of {len(draft.looks)} files ({', '.join(names[:4])}) have other columns "
            f"({', '.join(strange[0].columns[:8])}) than the rest ({', '.join(common[:8])}); leave them out with "
            "`exclude`"
        )
    draft.looks = [look for look in draft.looks if look not in strange]
    first = draft.looks[0]
    draft.header = f"{first.path.name}: {first.header}; columns {', '.join(first.columns[:12])}" + (
        f" and {len(first.columns) - 12} more" if len(first.columns) > 12 else ""
    )


def _look(path: Path, found: Found) -> Look:
    name = _name_of(path, found)
    match found.reader.name:
        case "parquet":
            return look_at_parquet(path, name)
        case "edge_impulse_json" | "edge_impulse_cbor":
            return look_at_acquisition(path, name, found.reader, _document(path, found.reader.name))
        case "npz" | "npy" | "mat" | "hdf5":
            with reading(path, found.reader.title), open_arrays(path, found.reader.name) as arrays:
                return look_at_vectors(path, name, arrays, found.reader.title)
        case _:
            return look_at_text(path, name)


def _document(path: Path, kind: str) -> Any:
    if kind == "edge_impulse_json":
        with reading(path, "JSON"):
            return json.loads(path.read_text(encoding="utf-8-sig"))
    import cbor2

    with reading(path, "CBOR"):
        return cbor2.loads(path.read_bytes())


def _say_files(draft: _Draft) -> None:
    found = draft.found
    if found.passed_over:
        names = [f"{name} ({why})" for name, why in found.passed_over[:4]]
        more = len(found.passed_over) - len(names)
        draft.said.append(f"files passed over: {', '.join(names)}" + (f" and {more} more" if more else ""))
    if found.is_folder and not found.sensors and not found.info_labels and found.patterns:
        draft.fields["files"] = found.patterns[0] if len(found.patterns) == 1 else list(found.patterns)
        draft.said.append(f"files is {draft.fields['files']!r}")
    lost = [look for look in draft.looks if look.lost]
    if lost:
        worst = max(lost, key=lambda look: look.lost_share)
        draft.said.append(
            f"torn or garbage rows in {len(lost)} files are left out, and each is a gap; {worst.path.name}: "
            f"{worst.lost}"
        )
        if worst.lost_share > 0.01:
            draft.problems.append(
                f"{worst.path.name}: {worst.lost_share:.1%} of the rows are torn or garbage ({worst.lost}); correct "
                "the "
                "file, or set max_lost_share if so many may be lost"
            )
        draft.gaps = True


# Windows


def _windows(draft: _Draft) -> WindowsGuess | None:
    found = draft.found
    with reading(found.files[0], found.reader.title), open_arrays(found.files[0], found.reader.name) as arrays:
        return windows_in(arrays, found)


def _fields_of_windows(draft: _Draft, windows: WindowsGuess) -> None:
    found = draft.found
    draft.fields.update(windows.fields)
    draft.said += windows.said
    draft.header = f"{found.files[0].name}: {found.reader.title}, {windows.title}"
    draft.roles = {one.column: one for one in windows.roles}
    channels, said, roles = choose_channels([windows.look], windows.channels)
    draft.fields["channels"] = channels
    draft.said += said
    for one in roles:
        draft.roles.setdefault(one.column, one)
    draft.fields["sample_rate_hz"] = _UNKNOWN_RATE_HZ
    draft.rate = "no times in the file"
    draft.said.append(f"there are no times; {_UNKNOWN_RATE_HZ:g} Hz is only a guess, correct sample_rate_hz")
    draft.fields["window_length"] = windows.length
    draft.fields["window_stride"] = windows.length
    if windows.look.details.get("labels") != "inside":
        _labels_of_files(draft, [_name_of(path, found) for path in found.files])
    else:
        for label, groups in windows.classes.items():
            draft.classes[label] |= groups


def _fields_of_rows(draft: _Draft) -> None:
    """A text file with a window in each row."""
    look = draft.looks[0]
    per_sample = samples_apart(look)
    width = len(look.columns)
    names = ["ax", "ay", "az", "gx", "gy", "gz", "mx", "my", "mz"][:per_sample] if per_sample > 1 else ["a"]
    stacked = {
        name: np.concatenate(
            [
                np.stack([one.numbers[c] for c in one.columns], axis=1)[:, n::per_sample].reshape(-1)
                for one in draft.looks
            ]
        )
        for n, name in enumerate(names)
    }
    whole = Look(
        path=look.path, name=look.name, header=look.header, columns=tuple(names), numbers=stacked, texts={}, distinct={},
        largest={name: float(np.nanmax(np.abs(values))) for name, values in stacked.items()}, units={},
        rows=len(stacked[names[0]]), preamble=look.preamble,
    )  # fmt: skip
    channels, said, roles = choose_channels([whole], names)
    draft.fields.update(row_is_window=per_sample, column_names=names, channels=channels)
    draft.header = f"{look.path.name}: {look.header}; {width} values in each row"
    draft.said.append(
        f"each row is a window of {width // per_sample} samples of {per_sample} columns ({' '.join(names)} in turn), "
        "since "
        f"a value resembles the one {per_sample} places on most; the names of the axes are not in the file"
    )
    draft.said += said
    for one in roles:
        draft.take(one.column, one.role, one.detail, one.reason)
    draft.fields["sample_rate_hz"] = _UNKNOWN_RATE_HZ
    draft.rate = "no times in the file"
    draft.said.append(f"there are no times; {_UNKNOWN_RATE_HZ:g} Hz is only a guess, correct sample_rate_hz")
    draft.fields["window_length"] = draft.fields["window_stride"] = width // per_sample
    _labels_of_files(draft, [one.name for one in draft.looks])


# Tables


def _fields_of_tables(draft: _Draft) -> None:
    looks = draft.looks
    _name_headerless(draft)
    columns = draft.looks[0].columns
    _named_columns(draft, columns)
    sensor_column = _long_format(draft)
    _clock(draft)
    _rate(draft)
    _intervals_or_labels(draft)
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
        channels, said, roles = choose_channels(draft.looks, numeric)
        draft.fields["channels"] = channels
        draft.said += said
        for one in roles:
            draft.take(one.column, one.role, one.detail, one.reason)
    for name in columns:
        if name not in draft.roles and not draft.found.sensors:
            draft.take(name, "unused", "", "a text of no known use")
    draft.roles = {name: draft.roles[name] for name in (*columns, *draft.roles) if name in draft.roles}
    _dialect(draft)
    draft.fields["window_length"] = max(2, round(WINDOW_S * draft.fields["sample_rate_hz"]))
    draft.fields["window_stride"] = max(1, draft.fields["window_length"] // 2)


def _name_headerless(draft: _Draft) -> None:
    first = draft.looks[0]
    if first.dialect is None or first.dialect.has_header:
        return
    names, reasons = names_of_columns(first)
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
    draft.said.append(f"there is no header; the columns are taken as {', '.join(names)} ({'; '.join(reasons)})")


def _dialect(draft: _Draft) -> None:
    """State the dialect where it is not the plain one, or not the same in all files."""
    dialects = [look.dialect for look in draft.looks if look.dialect is not None]
    if not dialects:
        return
    for name in ("delimiter", "decimal", "encoding"):
        values = {getattr(one, name) for one in dialects}
        if len(values) == 1 and (value := values.pop()) not in (",", ".", "utf-8", "utf-8-sig"):
            draft.fields[name] = value
    rules = {look.recording_break for look in draft.looks}
    if rules - {None}:
        rule = next(look.recording_break for look in draft.looks if look.recording_break)
        lengths = [n for look in draft.looks for n in look.segments]
        draft.fields["recording_break"] = rule
        what = "a blank line" if rule == "blank" else f"a line such as {rule!r}"
        draft.said.append(
            f"{what} ends a recording: {len(lengths)} recordings of {min(lengths)} to {max(lengths)} samples, each a "
            "group of its own"
        )
    if any(look.restarts for look in draft.looks):
        draft.said.append("a header that comes again is a restart of the logger, and a gap")
    if any(one.preamble for one in dialects):
        draft.said.append(f"lines before the header are passed over: {' / '.join(dialects[0].preamble[:3])[:160]}")


def _distinct(draft: _Draft, name: str) -> set[str]:
    found: set[str] = set()
    for look in draft.looks:
        if name in look.distinct:
            found |= look.distinct[name]
        elif name in look.numbers:
            found |= {f"{value:g}" for value in np.unique(look.numbers[name][np.isfinite(look.numbers[name])])[:5000]}
    return found


def _is_fraction(draft: _Draft, name: str) -> bool:
    return any(
        name in look.numbers and bool((np.nan_to_num(look.numbers[name]) % 1 != 0).any()) for look in draft.looks
    )


def _named_columns(draft: _Draft, columns: Sequence[str]) -> None:
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
            if by_name[name] not in taken and not _is_fraction(draft, by_name[name]) and known != "file"
        ),
        None,
    )
    if group is not None and not _is_fraction(draft, group):
        draft.fields["group_column"] = group
        draft.take(group, "group", f"{len(_distinct(draft, group))} groups", "its name")
    if recording is not None:
        draft.fields["recording_column"] = recording
        if recording != group:
            draft.take(recording, "recording", f"{len(_distinct(draft, recording))} recordings", "its name")
        else:
            draft.take(recording, "group", f"{len(_distinct(draft, recording))} recordings, each a group", "its name")
    if "split" in by_name and _distinct(draft, by_name["split"]) <= {*SIDES, ""}:
        draft.fields["split_column"] = by_name["split"]
        draft.take(by_name["split"], "split", "", "its name")


def _spelled(known: str, by_name: Mapping[str, str]) -> list[str]:
    return [name for name in (known, f"{known}_id", f"{known}_number", f"{known}_no", f"{known}id") if name in by_name]


def _label_column(draft: _Draft, columns: Sequence[str], axes: set[str]) -> None:
    named = [name for name in columns if set(tokens_of(name)) & LABEL_NAMES and name not in axes]
    if not named:
        named = [name for name in columns if name.lower() == "y" and name not in axes]
    named.sort(key=lambda name: name in draft.looks[0].numbers)  # words before codes
    for name in named:
        values = _distinct(draft, name)
        if _is_fraction(draft, name):
            if name.lower() != "y":
                draft.take(name, "unused", "", "named like a class, but it holds fractions")
            continue
        if len(values) > MAX_CLASSES:
            raise DataError(
                f"column {name!r} is named like a class and holds {len(values)} or more values; expected at most "
                f"{MAX_CLASSES} classes. Write a data source with the right label_column or label_from "
                "(datasets/README.md)"
            )
        draft.fields["label_column"] = name
        shown = ", ".join(sorted(values - {""})[:6])
        draft.take(name, "label", shown, "its name")
        draft.said.append(f"label_column is {name!r}, by its name: {shown}")
        return


def _long_format(draft: _Draft) -> str | None:
    """The column that names the sensor of each row, if there is one."""
    first = draft.looks[0]
    for name in first.columns:
        values = _distinct(draft, name) - {""}
        words = {value: kind_of(tokens_of(value)) for value in values}
        if (
            name in first.texts
            and "_".join(tokens_of(name)) in SENSOR_NAMES
            and 1 <= len(values) <= 20
            and any(kind != "plain" for kind in words.values())
        ):
            return name
    return None


def _channels_in_rows(draft: _Draft, column: str, numeric: Sequence[str]) -> None:
    values = sorted(_distinct(draft, column) - {""})
    draft.take(column, "sensor", ", ".join(values), "it names the sensor of each row")
    kinds = {value: kind_of(tokens_of(value)) for value in values}
    wanted = [value for value in values if kinds[value] == "acceleration"][:1] or [
        value for value in values if kinds[value] == "linear"
    ][:1]
    wanted += [value for value in values if kinds[value] == "rotation"][:1]
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
    channels, said, roles = choose_channels(merged, list(merged[0].numbers), in_sensors=True)
    draft.fields.update(sensor_column=column, channels=channels)
    draft.said.append(f"the sensors {' and '.join(wanted)} are in rows, and joined by time")
    unused = [value for value in values if value not in wanted]
    if unused:
        draft.said.append(f"rows of the sensors {', '.join(unused)} are not used")
    draft.said += said
    for one in roles:
        draft.take(one.column, one.role, one.detail, one.reason)
    for axis in axes:
        draft.take(
            axis.column, "channel", f"{axis.axis} of {' and '.join(wanted)}", "an axis of the sensor in each row"
        )
    for name in numeric:
        if name not in draft.roles:
            draft.take(name, "unused", "", "names no axis")


def _with_numbers(look: Look, numbers: dict[str, NDArray[np.float64]], units: Mapping[str, str]) -> Look:
    return Look(
        path=look.path, name=look.name, header=look.header, columns=tuple(numbers), numbers=numbers, texts={}, distinct={},
        largest={key: float(np.nanmax(np.abs(v), initial=0.0)) for key, v in numbers.items()},
        units={key: units[column] for key in numbers if (column := key.partition("/")[2]) in units},
        rows=look.rows, preamble=look.preamble,
    )  # fmt: skip


def _channels_of_sensors(draft: _Draft) -> None:
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
    channels, said, roles = choose_channels(merged, list(merged[0].numbers), in_sensors=True)
    draft.fields.update(sensor_files=dict(found.sensors), channels=channels)
    files = " and ".join(file for _, file in found.sensors)
    draft.said.append(
        f"a folder is a recording; {files} are its sensors, joined by time on the clock of the first. For one sensor "
        "alone "
        "give files instead of sensor_files"
    )
    draft.said += said
    for role in roles:
        draft.take(role.column, role.role, role.detail, role.reason)
    for column in draft.looks[0].columns:
        if column not in draft.roles and column in draft.looks[0].numbers and axis_of(column) is None:
            draft.take(column, "unused", "", "names no axis")


# Times


def _clock(draft: _Draft) -> None:
    first = draft.looks[0]
    if first.time_s is not None:
        return
    recording = draft.fields.get("recording_column")
    clocks: list[Clock] = []
    problems: list[str] = []
    for name in first.columns:
        if name in draft.roles:
            continue
        if name in first.numbers:
            if axis_of(name) is not None and not is_time_name(name):
                continue
            found = clock_of(name, _one_recording(first, first.numbers[name], recording))
        else:
            found = clock_of_texts(name, first.texts[name][:2000])
        if isinstance(found, Clock):
            clocks.append(found)
        elif isinstance(found, str):
            problems.append(found)
            if "number of samples" in found and is_index_name(name):
                problems.pop()
    if clocks:
        best = min(clocks, key=lambda one: _rank(one, first))
        draft.fields["time_column"], draft.fields["time_unit"] = best.column, best.unit
        draft.take(best.column, "time", f"in {best.unit}", best.reason)
        draft.said.append(f"{best.column!r} is the time in {best.unit}: {best.reason}")
        if best.stands_still:
            draft.fields["repeated_times"] = "spread"
            draft.said.append(
                f'several samples share a stamp of {best.column!r}; they are spread evenly (repeated_times = "spread")'
            )
        for other in clocks:
            if other is not best:
                draft.take(other.column, "unused", "", f"a second column of times; {best.column!r} is used")
        for name in first.columns:
            if name in draft.roles or name not in first.numbers:
                continue
            if is_time_name(name) or (is_index_name(name) and axis_of(name) is None and rises(first.numbers[name])):
                draft.take(
                    name, "unused", "", f"a second column of times or numbers of samples; {best.column!r} is used"
                )
        return
    index = next(
        (
            name
            for name in first.columns
            if name in first.numbers
            and name not in draft.roles
            and is_index_name(name)
            and (np.diff(_one_recording(first, first.numbers[name], recording)) == 1).mean() > 0.9
        ),
        None,
    )
    if index is not None:
        draft.fields["index_column"] = index
        draft.take(index, "index", "", "it counts samples by 1")
        draft.said.append(f"samples are counted by the column {index!r}")
    for problem in problems:
        draft.problems.append(f"{problem}. Set time_column and time_unit in the data source, or rename the column")


def _one_recording(look: Look, values: NDArray[np.float64], recording: str | None) -> NDArray[np.float64]:
    """Values of the first recording of a file: up to a change of its name, or to where they fall back."""
    if recording is not None and recording in look.texts:
        names = look.texts[recording]
        values = values[[one == names[0] for one in names]]
    elif recording is not None and recording in look.numbers:
        values = values[look.numbers[recording] == look.numbers[recording][0]]
    elif look.segments:
        values = values[: look.segments[0]]
    falls = np.flatnonzero(np.diff(values) < 0)
    return values[: int(falls[0]) + 1] if falls.size and falls[0] > 50 else values


def _rank(clock: Clock, look: Look) -> tuple[bool, bool, bool, float]:
    """The best clock changes at each sample, is in numbers, counts from the start, and has the finest steps."""
    texts = clock.unit == "datetime"
    values = look.numbers.get(clock.column)
    coarse = float("inf") if values is None else len(values) / max(1, len(np.unique(values)))
    return clock.stands_still, texts, "elapsed" not in clock.column.lower(), coarse


def _seconds(draft: _Draft, look: Look) -> NDArray[np.float64] | None:
    if look.time_s is not None:
        return look.time_s
    column, unit = draft.fields.get("time_column"), draft.fields.get("time_unit")
    if column is None:
        return None
    if unit == "datetime":
        return seconds_of_dates(look.texts[column], where=look.path.name, column=column)
    return look.numbers[column] * SECONDS_PER_UNIT[str(unit)]


def _rate(draft: _Draft) -> None:
    rates, jitters = [], []
    for look in draft.looks:
        try:
            seconds = _seconds(draft, look)
        except DataError as error:
            draft.problems.append(str(error))
            continue
        if seconds is None:
            break
        seconds = _one_recording(look, seconds, draft.fields.get("recording_column"))
        if draft.fields.get("repeated_times") == "spread":
            seconds = spread(seconds)
        step = median_step(seconds)
        if step is None:
            continue
        steps = np.diff(seconds)
        rates.append(1.0 / step)
        jitters.append(float(np.quantile(steps, 0.95) - np.quantile(steps, 0.05)) / step)
        draft.gaps |= bool((steps > 2.0 * step * 1.001).any())
    if not rates:
        stated = _stated_rate(draft)
        draft.fields["sample_rate_hz"] = stated or _UNKNOWN_RATE_HZ
        draft.rate = "no times in the files"
        draft.said.append(
            f"there are no times; {stated:g} Hz is what the first lines of the file say"
            if stated
            else f"there are no times; {_UNKNOWN_RATE_HZ:g} Hz is only a guess, correct sample_rate_hz"
        )
        return
    rate = _round_rate(float(np.median(rates)))
    draft.fields["sample_rate_hz"] = rate
    spread_of_rates = (
        f"{min(rates):.4g} Hz" if max(rates) < 1.005 * min(rates) else f"{min(rates):.4g} to {max(rates):.4g} Hz"
    )
    draft.rate = (
        f"{spread_of_rates} by the median period of {len(rates)} files, jitter up to {max(jitters):.0%} of a period"
    )
    draft.said.append(f"sample_rate_hz is {rate:g}, by the median period of all files ({spread_of_rates})")
    off = max(abs(one - rate) for one in rates) / rate
    if off > 0.05:
        method = "linear" if max(rates) <= 1.5 * rate else "lowpass"
        draft.fields["resample"] = method
        draft.said.append(f'the files differ in rate, so they are resampled to {rate:g} Hz (resample = "{method}")')


def _stated_rate(draft: _Draft) -> float | None:
    text = "\n".join(draft.looks[0].preamble)
    found = {float(one) for one in re.findall(r"(\d+(?:\.\d+)?)\s*Hz\b", text, re.IGNORECASE)}
    return found.pop() if len(found) == 1 else None


def _round_rate(rate: float) -> float:
    """Round a rate to the nominal one: exact halves stay (62.5 Hz), a rate within 3 % of a whole number becomes it."""
    halves = round(2 * rate)
    if halves and abs(2 * rate - halves) <= 1e-3 * rate:
        return halves / 2
    whole = round(rate)
    return float(whole if whole and abs(rate - whole) <= 0.03 * rate else f"{rate:.4g}")


# Labels


def _intervals_or_labels(draft: _Draft) -> None:
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
        few = [name for name in texts if 2 <= len(_distinct(draft, name) - {""}) <= 50]
        if len(few) == 1 and not _names_tell_classes(draft):
            draft.fields["label_column"] = few[0]
            shown = ", ".join(sorted(_distinct(draft, few[0]) - {""})[:6])
            draft.take(few[0], "label", shown, "the only column of words")
            draft.said.append(f"label_column is {few[0]!r}, the only column of words: {shown}")
            _classes_of_columns(draft)
            return
        names = [
            look.path.parent.relative_to(found.root).as_posix() if found.sensors else look.name for look in draft.looks
        ]
        _labels_of_files(draft, names)
    if "recording_column" not in draft.fields and "group_column" in draft.fields and len(draft.looks) == 1:
        draft.fields["recording_column"] = draft.fields["group_column"]
        draft.said.append(f"each {draft.fields['group_column']!r} is a recording")


def _names_tell_classes(draft: _Draft) -> bool:
    named = labels_of_names([look.name for look in draft.looks]) if len(draft.looks) > 1 else None
    return named is not None and 1 < len(set(named.labels)) < len(named.labels)


def _intervals(draft: _Draft, table: Path) -> None:
    intervals = read_intervals(table)
    root = draft.found.root
    draft.fields.update(label_from="intervals", intervals=table.relative_to(root).as_posix())
    labels = sorted({one.label for one in intervals})
    seconds = _seconds(draft, draft.looks[0])
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
    draft.said.append(
        f"{table.name} is a table of intervals with the classes {', '.join(labels[:6])}, start and end in "
        f"{draft.fields.get('interval_unit', draft.fields.get('time_unit', 's'))} from "
        f"{'the first sample' if draft.fields.get('interval_origin') == 'start' else 'the zero of the times'}"
    )


def _classes_of_columns(draft: _Draft) -> None:
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
        if look.segments:
            for one in set(labels):
                draft.classes[one] |= {f"{look.name}#{n}" for n in range(len(look.segments))}


def _labels_of_files(draft: _Draft, names: Sequence[str]) -> None:
    found = draft.found
    if found.info_labels:
        draft.fields["label_from"] = "info_labels"
        entries = read_info_labels(found.root / INFO_LABELS)
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
    folders = {one[below] for one in parts if len(one) > below + 1}
    if len(folders) > 1 and all(len(one) > below + 1 for one in parts):
        draft.fields["label_from"] = "folder"
        draft.said.append(f"the class is the folder a file lies in: {', '.join(sorted(folders)[:6])}")
        for name, one in zip(names, parts, strict=True):
            _add_class(draft, one[below], one[below + 1] if len(one) > below + 2 else name)
        return
    draft.fields["label_from"] = "file_name"
    if found.reader.name.startswith("edge_impulse") and all("." in name.rsplit("/", 1)[-1] for name in names):
        draft.fields["file_pattern"] = _EDGE_IMPULSE_NAME
        labels = sorted({name.rsplit("/", 1)[-1].split(".")[0] for name in names})
        draft.said.append(f"the class is a file's name up to the first dot: {', '.join(labels[:6])}")
        for name in names:
            _add_class(draft, name.rsplit("/", 1)[-1].split(".")[0], name)
        return
    if found.is_folder and below == 0:
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
    draft.fields["file_pattern"] = named.pattern
    draft.said.append(f"the class is {named.how}: {', '.join(sorted(set(named.labels))[:6])}")
    if named.has_groups:
        groups = sorted(set(named.groups))
        draft.said.append(f"groups are {', '.join(groups[:6])}, by the names of the files")
    for label, group in zip(named.labels, named.groups, strict=True):
        _add_class(draft, label, group)


def _add_class(draft: _Draft, label: str, group: str) -> None:
    look = next((one for one in draft.looks if one.name == group), None)
    if look is not None and look.segments:
        draft.classes[label] |= {f"{group}#{n}" for n in range(len(look.segments))}
    else:
        draft.classes[label].add(group)


def _sides_of_files(draft: _Draft) -> None:
    """Take one train file, one test file and optionally one validation file as the sides of the split."""
    files = [path for path in draft.found.files if path.parent == draft.found.root]
    sides = {side: [one.name for one in files if side in one.name.lower()] for side in SIDES}
    found = {side: names[0] for side, names in sides.items() if len(names) == 1}
    if len(found) == len(draft.found.files) and {"train", "test"} <= found.keys():
        draft.fields["split_files"] = found
        draft.said.append(f"the split is as the files are named: {', '.join(f'{k} {v}' for k, v in found.items())}")


# Windows and groups


def _windows_and_groups(draft: _Draft) -> None:
    fields = draft.fields
    lengths = _lengths(draft)
    rate = fields["sample_rate_hz"]
    if lengths and min(lengths) < fields["window_length"] and "row_is_window" not in fields:
        shortest = min(lengths)
        many = [one for one in lengths if one < 2 * fields["window_length"]]
        if len(many) > 0.5 * len(lengths) and shortest >= 8:
            fields["window_length"] = shortest
            fields["window_stride"] = max(1, shortest if max(lengths) == shortest else shortest // 4)
            if max(lengths) > 1.2 * shortest:
                draft.said.append(
                    f"recordings last {shortest / rate:.3g} to {max(lengths) / rate:.3g} s, as gestures do; a window "
                    "is as "
                    "long as the shortest, so it holds only a part of the others. Train with --set "
                    'training.label_every="sample" (and record an idle class), or cut all gestures to one length'
                )
        else:
            fields["on_short"] = "skip"
            draft.said.append('recordings shorter than a window are left out (on_short = "skip")')
    if draft.gaps:
        fields["on_gap"], fields["on_short"] = "split", "skip"
        draft.said.append(
            'recordings are cut at gaps (on_gap = "split"), and pieces shorter than a window are left out (on_short '
            '= "skip")'
        )
    _allow_still_axes(draft)
    has_split = (
        any(name in fields for name in ("split_files", "split_folders", "split_column")) or draft.found.info_labels
    )
    has_split = has_split or "{split}" in str(fields.get("windows_array"))
    if len(draft.classes) > 1 and not has_split and min(map(len, draft.classes.values())) < _FEW_GROUPS:
        few = min(draft.classes, key=lambda one: len(draft.classes[one]))
        fields["time_blocks"] = _BLOCKS
        if (
            lengths
            and (fits := min(lengths) // _WINDOWS_FOR_BLOCKS) < fields["window_length"]
            and fits >= _SHORTEST_WINDOW
        ):
            fields["window_length"], fields["window_stride"] = fits, max(1, fits // 2)
        draft.said.append(
            f"class {few!r} is in {len(draft.classes[few])} groups, too few for a split by group, so each stretch of "
            "a class "
            f"is cut into up to {_BLOCKS} blocks of time, a window apart, which serve as groups (time_blocks = "
            f"{_BLOCKS}). "
            "This is weaker evidence than groups recorded apart: record more sessions, persons or machines, and take "
            "it out"
        )
    draft.said.append(f"windows of {fields['window_length']} samples, every {fields['window_stride']}")


def _allow_still_axes(draft: _Draft) -> None:
    """Accept an axis that does not change in some files, if it does in others."""
    still = []
    for channel in draft.fields["channels"]:
        column = channel.get("column", channel["name"])
        constant = [bool(np.ptp(one) == 0) for look in draft.looks if (one := look.numbers.get(column)) is not None]
        if any(constant) and not all(constant):
            still.append(f"{channel['name']} in {sum(constant)} files")
    if still:
        draft.fields["on_constant_axis"] = "allow"
        draft.said.append(
            f"an axis does not change ({', '.join(still)}), but does in other files: taken as a sensor at rest with "
            "coarse "
            'steps (on_constant_axis = "allow"); a broken sensor looks the same'
        )


def _lengths(draft: _Draft) -> list[int]:
    if "recording_column" in draft.fields:
        return []
    return [n for look in draft.looks for n in (look.segments or (look.rows,))]
