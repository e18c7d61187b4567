"""Guess a data source for recordings without one. All assumptions are listed, so that a user can correct them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.readers import READERS
from edge_seq.data.readers.formats.csv_file import header_of
from edge_seq.data.readers.formats.phone_csv_file import unit_in_name
from edge_seq.data.readers.table import ReadOptions, import_pyarrow
from edge_seq.data.recording import SIDES
from edge_seq.data.source import DEFAULT_FILE_PATTERN, DataSource, parse_source
from edge_seq.data.units import GRAVITY_IN, unit_of
from edge_seq.ir.contract import Unit
from edge_seq.support.errors import DataError, EdgeSeqError

WINDOW_S = 2.0
_TIME = ("seconds_elapsed", "time", "timestamp", "t", "elapsed")
_LABEL = ("label", "class", "activity", "state", "target", "y")
_RECORDING = ("recording", "recording_id", "rec", "experiment", "session", "drive", "trial", "file")
_GROUP = ("group", "subject", "user", "person", "participant", "driver", "block", "drive", "session", "device")
_SPLIT_FOLDERS = {"train", "training", "test", "testing", "validation"}
_FULL_SCALES_G, _FULL_SCALES_DPS = (2, 4, 8, 16, 32, 64, 200), (125, 250, 500, 1000, 2000, 4000)
_ENCODINGS = {"s": 1.0, "ms": 1e-3, "ns": 1e-9, "us": 1e-6}
_READER_OF = {suffix: reader for reader in reversed(READERS) for suffix in reader.suffixes}


@dataclass(frozen=True)
class Guess:
    """A guessed data source, and the assumptions behind it.

    Attributes:
        source: the data source.
        fields: its table, ready for TOML; ``path`` is relative to ``base``.
        base: folder to which ``path`` is relative.
        assumptions: assumptions, one sentence each.
    """

    source: DataSource
    fields: dict[str, Any]
    base: Path
    assumptions: tuple[str, ...]


def guess_source(path: Path) -> Guess:
    """Guess the data source of a file or a folder of recordings.

    Raises:
        DataError: there is no file of a known format, files have several formats, or there is no column of numbers.
        ConfigError, ContractError: the guess is not a valid data source.
        ToolError: a package that reads the format is not installed.
    """
    files = _files(path)
    first = files[0]
    suffix = next(end for end in sorted(_READER_OF, key=len, reverse=True) if first.name.lower().endswith(end))
    columns, values, units = _columns(first, suffix)
    said: list[str] = []
    fields: dict[str, Any] = {"name": re.sub(r"\W+", "_", path.name.split(".")[0]) or "data", "path": path.name}
    taken = _named_columns(columns, suffix, fields, said)
    _labels(path, files, fields, said)
    time_s = _clock(columns, values, suffix, first, fields, said)
    taken |= {fields.get("time_column"), fields.get("index_column")}
    _rate(time_s, fields, said)
    numeric = [name for name in columns if name in values and name not in taken]
    if not numeric:
        raise DataError(f"{path.name}: no column of numbers besides {sorted(str(one) for one in taken if one)}")
    fields["channels"] = _channels(_axes_of(numeric), values, units, said)
    fields["window_length"] = max(2, round(WINDOW_S * fields["sample_rate_hz"]))
    fields["window_stride"] = max(1, fields["window_length"] // 2)
    if suffix == ".npz":
        fields["window_length"] = fields.pop("_window")
        fields["window_stride"] = fields["window_length"]
        fields["column_names"] = columns
    if path.is_dir() and "split_column" not in fields and (sides := _split_files(files)):
        fields["split_files"] = sides
        said.append(f"the split is as the files are named: {', '.join(f'{k} {v}' for k, v in sides.items())}")
    said.append(f"windows of {fields['window_length']} samples, every {fields['window_stride']}")
    fields.pop("_window", None)
    return Guess(parse_source(fields, where=f"guess for {path.name}"), fields, path.parent, tuple(said))


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise DataError(f"{path} does not exist; give a folder, a file of recordings or a data source (TOML)")
    inside = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    known = [
        one
        for one in inside
        if one.name.lower().endswith(tuple(_READER_OF)) and not any(p.startswith(".") for p in one.parts[-3:])
    ]
    if not known:
        raise DataError(f"{path}: no file that ends in {sorted(_READER_OF)}; give recordings, or a data source (TOML)")
    ends = {one.name.lower()[one.name.index(".") :] for one in known} & set(_READER_OF)
    if len(ends) > 1 and not ends <= {".json", ".cbor"}:
        raise DataError(f"{path}: files of several formats ({sorted(ends)}); give one of them, or a data source (TOML)")
    return known


def _split_files(files: Sequence[Path]) -> dict[str, str]:
    """Find the file of each side by its name, for one train file, one test file and optionally one validation file."""
    sides = {side: [one.name for one in files if side in one.name.lower()] for side in SIDES}
    found = {side: names[0] for side, names in sides.items() if len(names) == 1}
    return found if len(found) == len(files) and {"train", "test"} <= found.keys() else {}


def _columns(path: Path, suffix: str) -> tuple[list[str], dict[str, NDArray[np.float64]], dict[str, str]]:
    """Names of all columns, values of the numeric ones, and the units that the file gives."""
    reader = _READER_OF[suffix]
    if suffix in (".csv", ".csv.gz"):
        names = header_of(path, ReadOptions((), ()))
    elif suffix == ".parquet":
        with import_pyarrow().parquet.ParquetFile(str(path)) as file:
            names = list(file.schema_arrow.names)
    elif suffix == ".npz":
        return _columns_of_windows(path)
    else:
        document = _document(path, suffix)
        sensors = document.get("payload", {}).get("sensors", []) if isinstance(document, dict) else []
        names = [str(one.get("name")) for one in sensors if isinstance(one, dict)]
    values: dict[str, NDArray[np.float64]] = {}
    units = {name: unit for name in names if (unit := unit_in_name(name))}
    for name in names:
        try:
            table = reader.read(path, ReadOptions((name,), ()))
        except EdgeSeqError:
            continue  # a column of text
        values[name] = table.numeric[name]
        units.update({key: str(unit) for key, unit in table.units.items()})
    return names, values, units


def _document(path: Path, suffix: str) -> Any:
    try:
        if suffix == ".json":
            return json.loads(path.read_text(encoding="utf-8-sig"))
        import cbor2

        return cbor2.loads(path.read_bytes())
    except (ValueError, EOFError, OSError, ImportError):
        return None


def _columns_of_windows(path: Path) -> tuple[list[str], dict[str, NDArray[np.float64]], dict[str, str]]:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            windows = next((file[name] for name in file.files if file[name].ndim == 3), None)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path.name}: cannot be read as NPZ: {error}") from error
    if windows is None:
        raise DataError(f"{path.name}: no array of windows [windows, samples, channels]")
    names = (["ax", "ay", "az", "gx", "gy", "gz"] + [f"c{i}" for i in range(windows.shape[2])])[: windows.shape[2]]
    return names, {name: windows[..., i].reshape(-1).astype(float) for i, name in enumerate(names)}, {}


def _named_columns(columns: Sequence[str], suffix: str, fields: dict[str, Any], said: list[str]) -> set[str | None]:
    """Find the columns of recordings, groups, labels and split by their names."""
    by_name = {name.strip().lower(): name for name in columns}
    if suffix == ".npz":
        return set()
    for field, known in (("label_column", _LABEL), ("recording_column", _RECORDING), ("group_column", _GROUP)):
        found = next((by_name[name] for name in known if name in by_name), None)
        if found is not None:
            fields[field] = found
            said.append(f"{field} is {found!r}, by its name")
    if "split" in by_name:
        fields["split_column"] = by_name["split"]
        said.append("split_column is 'split', by its name")
    return {fields.get(field) for field in ("label_column", "recording_column", "group_column", "split_column")}


def _labels(path: Path, files: Sequence[Path], fields: dict[str, Any], said: list[str]) -> None:
    if "label_column" in fields:
        return
    if files[0].suffix == ".npz":
        with files[0].open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            windows = next(name for name in file.files if file[name].ndim == 3)
            names = {name.lower(): name for name in file.files}
            fields["_window"] = int(file[windows].shape[1])
        fields["windows_array"] = windows
        for field, known in (("label_column", _LABEL), ("group_column", _GROUP)):
            found = next((names[name] for name in known if name in names), None)
            if found:
                fields[field] = found
                said.append(f"{field} is the array {found!r}, by its name")
        return
    below = [one.relative_to(path).parts for one in files] if path.is_dir() else [(path.name,)]
    tops = {parts[0] for parts in below if len(parts) > 1}
    if len(tops) > 1 and all(len(parts) > 1 for parts in below) and not tops & _SPLIT_FOLDERS:
        fields["label_from"] = "folder"
        said.append(f"the class is the folder a file lies in: {', '.join(sorted(tops)[:6])}")
        return
    stems = {match.group("label") for parts in below if (match := re.search(DEFAULT_FILE_PATTERN, "/".join(parts)))}
    fields["label_from"] = "file_name"
    said.append(f"the class is the first word of a file's name: {', '.join(sorted(stems)[:6])}")


def _clock(
    columns: Sequence[str],
    values: dict[str, NDArray[np.float64]],
    suffix: str,
    first: Path,
    fields: dict[str, Any],
    said: list[str],
) -> NDArray[np.float64] | None:
    """Find the times of the first file, in seconds; None if it has none."""
    if suffix in (".json", ".cbor"):
        return _READER_OF[suffix].read(first, ReadOptions((columns[0],), ())).time_s
    by_name = {re.split(r"[\s(\[]", name.strip().lower(), maxsplit=1)[0]: name for name in reversed(columns)}
    column = next((by_name[name] for name in _TIME if name in by_name and by_name[name] in values), None)
    if column is None:
        if "i" in by_name and by_name["i"] in values:
            fields["index_column"] = by_name["i"]
            said.append("samples are counted by the column 'i'")
        return None
    ticks = values[column]
    steps = np.diff(ticks)
    step = float(np.median(steps[steps > 0])) if (steps > 0).any() else 1.0
    named = (unit_in_name(column) or "").lower()
    unit = named if named in _ENCODINGS else _likely_unit(step)
    fields["time_column"], fields["time_unit"] = column, unit
    said.append(f"{column!r} is the time in {unit}: it goes up by {step:g} a sample")
    return ticks * _ENCODINGS[unit]


def _likely_unit(step: float) -> str:
    """Guess the unit in which a step gives a usual rate, 1 to 2500 Hz."""
    return next((unit for unit, seconds in _ENCODINGS.items() if 1.0 <= 1.0 / (step * seconds) <= 2500.0), "s")


def _rate(time_s: NDArray[np.float64] | None, fields: dict[str, Any], said: list[str]) -> None:
    if time_s is None:
        fields["sample_rate_hz"] = 50.0
        said.append("there are no times; 50 Hz is only a guess, correct sample_rate_hz")
        return
    steps = np.diff(time_s)
    rate = 1.0 / float(np.median(steps[steps > 0])) if (steps > 0).any() else 50.0
    fields["sample_rate_hz"] = _round_rate(rate)
    said.append(
        f"sample_rate_hz is {fields['sample_rate_hz']:g}, by the median period of the first file ({rate:.4g} Hz)"
    )


def _round_rate(rate: float) -> float:
    """Round a rate to the nominal one: exact halves stay (62.5 Hz), a rate within 3 % of a whole number becomes it."""
    halves = round(2 * rate)
    if abs(2 * rate - halves) <= 1e-3 * rate:
        return halves / 2
    whole = round(rate)
    return float(whole if whole and abs(rate - whole) <= 0.03 * rate else f"{rate:.4g}")


def _axes_of(numeric: Sequence[str]) -> list[str]:
    """Columns whose names are those of the axes of a sensor; all columns if there are none."""
    by_name = {name.lower(): name for name in numeric}
    axes = []
    for name in numeric:
        stems = [name.lower().replace(axis, "{}", 1) for axis in "xyz" if axis in name.lower()]
        if any(all(stem.format(axis) in by_name for axis in "xyz") for stem in stems):
            axes.append(name)
    return axes or list(numeric)


def _channels(
    names: Sequence[str], values: dict[str, NDArray[np.float64]], units: dict[str, str], said: list[str]
) -> list[dict[str, Any]]:
    channels = []
    turning = [name for name in names if re.search(r"gyr|rot|omega|^g[xyz]$", name.lower())]
    others = [name for name in names if name not in turning]
    for part, of_gravity in ((others, True), (turning, False)):
        known = {found for name in part if (found := unit_of(units.get(name, ""))) is not None}
        unit = known.pop() if len(known) == 1 else _likely(part, values, of_gravity)
        if part:
            how = "as the file says" if part[0] in units and unit_of(units[part[0]]) else "by the size of its values"
            said.append(f"{', '.join(part)} in {unit}, {how}")
        for name in part:
            largest = float(np.nanmax(np.abs(values[name]), initial=0.0))
            channels.append({"name": name, "unit": unit, **_range(unit, largest)})
    order = {name: index for index, name in enumerate(names)}
    return sorted(channels, key=lambda one: order[one["name"]])


def _likely(names: Sequence[str], values: dict[str, NDArray[np.float64]], of_gravity: bool) -> Unit:
    if not names:
        return "counts"
    stacked = np.stack([values[name] for name in names], axis=1)
    if not of_gravity:
        return "deg/s" if float(np.nanmax(np.abs(stacked))) > 40.0 else "rad/s"
    second = max(1, min(50, len(stacked)))
    means = stacked[: len(stacked) // second * second].reshape(-1, second, len(names)).mean(axis=1)
    level = float(np.nanmedian(np.linalg.norm(means[:, :3], axis=1)))
    for unit, gravity in GRAVITY_IN.items():
        if abs(level / gravity - 1.0) < 0.25:
            return unit
    return "counts" if (stacked == np.rint(stacked)).all() and np.abs(stacked).max() > 100 else "m/s^2"


def _range(unit: Unit, largest: float) -> dict[str, float]:
    """Full scale and counts per unit of a usual sensor whose range holds the largest value."""
    if unit == "counts":
        return {"counts_per_unit": 1, "full_scale": 32767}
    if unit in GRAVITY_IN:
        scale = GRAVITY_IN[unit]
        full = next((one for one in _FULL_SCALES_G if one * scale >= largest * 0.9999), _FULL_SCALES_G[-1]) * scale
    else:
        scale = 1.0 if unit == "deg/s" else 1 / 57.29577951308232
        full = next((one for one in _FULL_SCALES_DPS if one * scale >= largest), _FULL_SCALES_DPS[-1]) * scale
    return {"counts_per_unit": float(f"{32767 / full:.6g}"), "full_scale": float(f"{full:.6g}")}
