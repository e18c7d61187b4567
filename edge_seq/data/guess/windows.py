"""Files that hold windows: arrays [N, T, C], and text files with a window in each row."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.guess.clues.columns import GROUP_NAMES, LABEL_NAMES, ColumnRole
from edge_seq.data.guess.clues.times import rises
from edge_seq.data.guess.files import Found
from edge_seq.data.guess.look import KEPT_ROWS, Look, single_numbers
from edge_seq.data.readers.formats.arrays import SIDE_NAMES, SPLIT, Arrays, sides_of, texts_of, vectors_of
from edge_seq.data.readers.formats.npy_file import beside
from edge_seq.support.errors import DataError

MANY_COLUMNS = 24
_FEW_CHANNELS = 12
_AXES_APART = (1, 2, 3, 6, 9)  # columns from one sample of an axis to the next
MOST_CODES = 64  # of classes in a column beside windows
_NAMES = ("ax", "ay", "az", "gx", "gy", "gz")


@dataclass(frozen=True)
class WindowsGuess:
    """Windows in a file of arrays: fields of the data source, sentences, and the samples as one table."""

    fields: dict[str, Any]
    said: list[str]
    title: str
    channels: list[str]
    length: int
    look: Look
    roles: list[ColumnRole] = field(default_factory=list)
    classes: dict[str, set[str]] = field(default_factory=dict)


def windows_in(arrays: Arrays, found: Found) -> WindowsGuess | None:
    """Find windows among the arrays of a file; None if it holds vectors, one for each column.

    Raises:
        DataError: there is no array of windows, of a recording or of columns.
    """
    solid = {name: shape for name, shape in arrays.shapes.items() if len(shape) in (3, 4)}
    if not solid:
        if vectors_of(arrays.shapes):
            return None
        raise DataError(
            f"{arrays.where}: no array of windows [windows, samples, channels]; the file has {dict(arrays.shapes)}"
        )
    name = max(solid, key=lambda one: int(np.prod(solid[one])))
    pattern, sides = _pattern(name, arrays)
    shape = _squeezed(solid[name])
    order, length, count = _order(shape)
    names = list(_NAMES[:count]) if count in (3, 6) else [f"c{n + 1}" for n in range(count)]
    said = [f"the channels are {', '.join(names)} in the order of the array; their names are not in the file"]
    fields: dict[str, Any] = {"column_names": names}
    if found.reader.name != "npy":
        fields["windows_array"] = pattern
    else:
        fields.update(_npy_files(found, said))
    if order != "NTC":
        fields["axes_order"] = order
        said.append(
            f"{name} {list(shape)} is taken as [windows, channels, samples], since {count} is the number of channels "
            "and "
            f'{length} that of samples (axes_order = "NCT"; take it out if it is the other way round)'
        )
    if sides:
        said.append(
            f"the arrays {', '.join(pattern.replace(SPLIT, side) for side in sides)} are the sides of the split"
        )
    values = arrays.get(name)
    values = values.reshape(shape).astype(np.float64)
    values = values.transpose([order.index(axis) for axis in "NTC"])
    table = values.reshape(-1, count)
    largest = [float(np.nanmax(np.abs(table[:, n]))) for n in range(count)]
    for side in sides:
        largest = [
            max(pair) for pair in zip(largest, largest_of(arrays, pattern.replace(SPLIT, side), order), strict=True)
        ]
    roles, texts = _texts(arrays, found, fields, said, name, shape[0], bool(sides))
    classes: dict[str, set[str]] = defaultdict(set)
    if "label_column" in fields:
        groups = texts.get("group", ["all"] * shape[0])
        for label, group in zip(texts["label"], groups, strict=True):
            classes[label].add(group)
    look = Look(
        path=found.files[0], name=arrays.where, header="", columns=tuple(names),
        numbers={one: table[:KEPT_ROWS, n] for n, one in enumerate(names)}, texts={}, distinct={},
        largest=dict(zip(names, largest, strict=True)), units={}, rows=len(table),
        details={"labels": "inside"} if "label_column" in fields else {}, preamble=single_numbers(arrays),
    )  # fmt: skip
    title = f"windows {name} {list(shape)}"
    return WindowsGuess(fields, said, title, names, length, look, roles, classes)


def largest_of(arrays: Arrays, name: str, order: str) -> list[float]:
    """Largest magnitude of each channel of an array of windows."""
    values = np.abs(arrays.get(name).reshape(_squeezed(arrays.shapes[name])).astype(np.float64))
    return [float(one) for one in np.nanmax(values, axis=tuple(n for n in range(3) if order[n] != "C"))]


def _npy_files(found: Found, said: list[str]) -> dict[str, Any]:
    """Which NPY files of a folder hold windows: one, or one for each side of the split."""
    if not found.is_folder:
        return {}
    stems = {path.stem: path.name for path in found.files}
    for stem in stems:
        for side in SIDE_NAMES:
            if stem.endswith(f"_{side}"):
                sides = sides_of(stems, f"{stem[: -len(side)]}{SPLIT}")
                files = {meant: stems[f"{stem[: -len(side)]}{one}"] for one, meant in sides.items()}
                if stem[: -len(side)] == f"{windows_stem(found)}_" and {"train", "test"} <= files.keys():
                    said.append(f"the split is as the files are named: {', '.join(files.values())}")
                    return {"split_files": files}
    return {"files": found.files[0].name}


def windows_stem(found: Found) -> str:
    """Name of the windows' file without the side of the split."""
    return found.files[0].stem.partition("_")[0]


def _pattern(name: str, arrays: Arrays) -> tuple[str, dict[str, str]]:
    for side in SIDE_NAMES:
        for text in (f"_{side}", f"{side}_", f".{side}"):
            if text in name:
                pattern = name.replace(text, text.replace(side, SPLIT))
                sides = sides_of(arrays.shapes, pattern)
                if {"train", "test"} <= set(sides.values()):
                    return pattern, sides
    return name, {}


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) == 4 and 1 in shape[1:]:
        at = 1 + shape[1:].index(1)
        return (*shape[:at], *shape[at + 1 :])
    return shape


def _order(shape: tuple[int, ...]) -> tuple[str, int, int]:
    if len(shape) != 3:
        raise DataError(f"windows have the shape {list(shape)}; expected [windows, samples, channels]")
    if shape[1] <= _FEW_CHANNELS and shape[2] > 2 * shape[1]:
        return "NCT", shape[2], shape[1]
    return "NTC", shape[1], shape[2]


def _texts(
    arrays: Arrays, found: Found, fields: dict[str, Any], said: list[str], windows: str, count: int, has_sides: bool
) -> tuple[list[ColumnRole], dict[str, list[str]]]:
    names = {name.rsplit("/", 1)[-1].lower(): name for name in arrays.shapes}
    side = next((one for one in SIDE_NAMES if one in windows.lower().split("_")), "") if has_sides else ""
    roles, texts = [], {}
    label_names = (*sorted(LABEL_NAMES), "y", "targets")
    for role, key, known in (("label", "label_column", label_names), ("group", "group_column", GROUP_NAMES)):
        for one in known:
            stem = f"{one}_{side}" if side else one
            alternatives = [stem, f"{side}_{one}"] if side else [stem]
            name = next((names[n] for n in alternatives if n in names), None)
            other = beside(found.files[0], one) if found.reader.name == "npy" else None
            if name is None and not (other is not None and other.is_file()):
                continue
            fields[key] = name.replace(side, SPLIT) if side and name is not None else (name or one)
            roles.append(ColumnRole(str(fields[key]), role, "", "the name of the array"))  # type: ignore[arg-type]
            said.append(f"{key} is the array {fields[key]!r}, by its name")
            values = arrays.get(name) if name is not None else np.load(str(other), allow_pickle=False)
            column = texts_of(values, count, 1, one, arrays.where)
            texts[role] = [column.values[code] for code in column.codes.tolist()]
            break
    for name in arrays.shapes:
        if name not in (windows, *(str(fields.get(key)) for key in ("label_column", "group_column"))) and not has_sides:
            roles.append(ColumnRole(name, "unused", str(list(arrays.shapes[name])), "an array of no known use"))
    return roles, texts


def is_window_per_row(look: Look) -> bool:
    """True if a text file without a header has very many columns, all of numbers, and its rows are no samples."""
    return (
        look.dialect is not None
        and not look.dialect.has_header
        and len(look.columns) >= MANY_COLUMNS
        and len(look.numbers) == len(look.columns)
        and not any(rises(look.numbers[name]) for name in look.columns[:2])
        and not _rows_are_samples(look)
    )


def _rows_are_samples(look: Look) -> bool:
    """True if in most columns a value resembles the one above it more than those beside it, as of many sensors."""
    rows = _first_rows(look)
    rows = rows[:, np.isfinite(rows).all(axis=0)]
    if len(rows) < 3 or rows.shape[1] <= max(_AXES_APART):
        return False
    above = np.median(np.mean(np.abs(np.diff(rows, axis=0)), axis=0))
    beside = [np.median(np.mean(np.abs(rows[:, step:] - rows[:, :-step]), axis=0)) for step in _AXES_APART]
    return bool(2 * above < min(beside))


def refuse_class_beside_windows(look: Look) -> None:
    """Refuse a window in each row with its class beside it, which no reader reads.

    Raises:
        DataError: a file without a header has very many columns, of which the first or last one holds few classes.
    """
    if look.dialect is None or look.dialect.has_header or len(look.columns) <= MANY_COLUMNS:
        return
    for name in (look.columns[0], look.columns[-1]):
        if name in look.numbers:
            values = look.numbers[name]
            is_class = bool((np.nan_to_num(values) % 1 == 0).all()) and len(np.unique(values)) <= MOST_CODES
            others = [one for key, one in look.numbers.items() if key != name]
            is_class &= not any((np.nan_to_num(one) % 1 == 0).all() for one in others)
            is_class &= len(look.numbers) < len(look.columns) or not _rows_are_samples(look)
        else:
            is_class = len(look.distinct[name]) <= MOST_CODES and len(look.numbers) == len(look.columns) - 1
        if is_class and look.rows > 2:
            raise DataError(
                f"{look.path.name}: each row seems to be a window of {len(look.columns) - 1} values with its class in "
                f"column {look.columns.index(name) + 1}; expected windows alone. Write the rows of each class to a "
                "file of its own, named after the class, without that column; or convert them to NPZ with arrays X and "
                "y"
            )


def samples_apart(look: Look) -> int:
    """Number of columns in turn in a row of windows: the distance at which values resemble each other most."""
    rows = _first_rows(look)
    width = rows.shape[1]
    usable = [step for step in _AXES_APART if width % step == 0 and width // step >= 4]
    apart = {step: float(np.nanmean(np.abs(rows[:, step:] - rows[:, :-step]))) for step in usable}
    best = min(apart.values())
    return next(step for step in apart if apart[step] <= 1.2 * best)


def _first_rows(look: Look) -> NDArray[np.float64]:
    return np.stack([look.numbers[name] for name in look.columns], axis=1)[:200]
