"""Known recordings, written in any of the dialects that loggers, phones and spreadsheets use."""

from __future__ import annotations

import gzip
import io
import zipfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.unit.data.dialect_names import (
    ACCELERATION_UNITS,
    PER_SECOND,
    ROTATION_UNITS,
    STANDARD_GRAVITY,
    TIMES,
    Time,
)

Values = NDArray[np.float64]

BEGIN = datetime(2024, 2, 3, 23, 59, 58, tzinfo=timezone.utc)  # two seconds before midnight


@dataclass(frozen=True)
class Dialect:
    """How a recording is written.

    Attributes:
        delimiter, decimal, encoding, line_end, quoted: of the text.
        row_end: text at the end of each row.
        names: names of the axes of accelerometer and gyroscope; ``{x}`` is the axis, ``{X}`` its capital.
        units: unit of the values of each.
        spelled: how the header writes these units.
        units_in: where units are: ``nothing``, ``(u)``, `` (u)``, ``[u]``, `` [u]``, ``_u``, ``row``.
        digits: decimals of a value; 0 for whole numbers.
        gravity: False if the accelerometer's values are without gravity.
        turning: amplitude of the rotation in deg/s.
        lsb: counts a unit, for values in counts.
        times: columns of times, none, one or two.
        batch: number of samples that share a stamp.
        header: False if there is none.
        preamble: lines before the header.
        order: order of the columns, the same in all files unless ``shuffled``.
        extras: further columns.
        faults: row and kind of damage: ``text``, ``letter``, ``torn``, ``joined``, ``bytes``, ``empty``, ``nan``,
            ``blank``, ``comment``, ``header``; ``cut``: the last file ends within its last number.
        label: column of the class; None for none.
        codes: classes as they are in that column.
        layout: ``one`` file, several ``files`` with the class in their names, ``folders`` named after the class.
        file_name: name of a file without suffix.
        packed: empty, ``.gz`` or ``.zip``.
    """

    delimiter: str = ","
    decimal: str = "."
    encoding: str = "utf-8"
    line_end: str = "\n"
    quoted: bool = False
    row_end: str = ""
    names: tuple[str, str] = ("acc{X}", "gyr{X}")
    units: tuple[str, str] = ("m/s^2", "deg/s")
    spelled: tuple[str, str] = ("m/s^2", "deg/s")
    units_in: str = "nothing"
    digits: int = 5
    gravity: bool = True
    turning: float = 90.0
    lsb: tuple[float, float] = (16384.0, 131.0)
    times: tuple[str, ...] = ("t|s|0",)
    batch: int = 1
    rate_hz: float = 50.0
    header: bool = True
    preamble: tuple[str, ...] = ()
    order: tuple[int, ...] = ()
    shuffled: bool = False
    extras: tuple[str, ...] = ()
    faults: tuple[tuple[int, str], ...] = ()
    label: str | None = None
    codes: tuple[str, str] = ("walk", "run")
    layout: str = "one"
    file_name: str = "{label}_{n}"
    suffix: str = ".csv"
    packed: str = ""
    six: bool = True
    seed: int = 0


@dataclass
class Written:
    """What was written, as a right reader gives it: all recordings one after the other, in the order of their names.

    Attributes:
        path: file or folder.
        positions: columns in the order of the (first) file.
        columns: values of each channel in m/s^2 or deg/s, by the name of its column.
        raw: the same as they are in the file.
        kinds: ``acceleration`` or ``rotation`` of each channel.
        time_s: seconds of each sample from the start of its recording; None without times.
        labels: class of each sample; None if nothing gives it.
        lengths: samples of each recording.
    """

    path: Path
    positions: list[str] = field(default_factory=list)
    columns: dict[str, Values] = field(default_factory=dict)
    raw: dict[str, Values] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    time_s: Values | None = None
    labels: list[str] | None = None
    lengths: list[int] = field(default_factory=list)


@dataclass
class _Columns:
    """Cells of one file by column, and the truth behind them."""

    cells: dict[str, list[str]]
    base: dict[str, Values]
    raw: dict[str, Values]
    kinds: dict[str, str]
    units: dict[str, str]
    seconds: Values
    labels: list[str]


def write(dialect: Dialect, folder: Path) -> Written:
    """Write the recording, or several, into a folder."""
    suffix = dialect.suffix + dialect.packed
    if dialect.layout == "one":
        files = [(folder / f"{dialect.file_name.format(label='walk', n=1)}{suffix}", "walk", 0, 120)]
    else:
        inside = "{label}/{n}" if dialect.layout == "folders" else dialect.file_name
        files = [
            (folder / "data" / f"{inside.format(label=label, n=n)}{suffix}", label, 10 * k + n, 70)
            for k, label in enumerate(dialect.codes)
            for n in range(1, 3)
        ]
    out = Written(files[0][0] if dialect.layout == "one" else folder / "data")
    parts: list[tuple[_Columns, NDArray[np.bool_]]] = []
    for place, (path, label, number, rows) in enumerate(sorted(files)):
        columns = _columns(dialect, rows, number, label)
        order = _order(dialect, len(columns.cells), place)
        text, kept = _text(dialect, columns, order)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_packed(dialect, text.encode(dialect.encoding, "replace"), path.name))
        out.positions = out.positions or [list(columns.cells)[n] for n in order]
        parts.append((columns, kept))
    first = parts[0][0]
    out.kinds = first.kinds
    out.lengths = [int(kept.sum()) for _, kept in parts]
    out.columns = {name: np.concatenate([one.base[name][kept] for one, kept in parts]) for name in first.base}
    out.raw = {name: np.concatenate([one.raw[name][kept] for one, kept in parts]) for name in first.base}
    if dialect.times:
        out.time_s = np.concatenate([one.seconds[kept] for one, kept in parts])
    if dialect.label is not None or dialect.layout != "one":
        out.labels = [label for one, kept in parts for label, is_kept in zip(one.labels, kept, strict=True) if is_kept]
    return out


def _columns(dialect: Dialect, rows: int, number: int, label: str) -> _Columns:
    """A sensor that turns slowly and shakes."""
    rng = np.random.default_rng((dialect.seed, number))
    seconds = np.arange(rows) / dialect.rate_hz
    tilt = 0.4 * np.sin(2 * np.pi * 0.3 * seconds + number)
    gravity = np.stack([np.sin(tilt), 0.2 * np.ones(rows), np.cos(tilt)], axis=1) * STANDARD_GRAVITY
    acceleration = gravity * dialect.gravity + rng.normal(0, 0.3, (rows, 3))
    phases = np.stack([np.sin(3 * seconds + number), np.cos(2 * seconds), np.sin(seconds + 1)], axis=1)
    rotation = dialect.turning * phases + rng.normal(0, 0.02 * dialect.turning, (rows, 3))
    out = _Columns({}, {}, {}, {}, {}, seconds, [label] * rows)
    sensors = [("acceleration", acceleration, ACCELERATION_UNITS), ("rotation", rotation, ROTATION_UNITS)]
    for place, (kind, values, units) in enumerate(sensors[: 2 if dialect.six else 1]):
        unit, spelled = dialect.units[place], dialect.spelled[place]
        per_base = units.get(unit) or dialect.lsb[place] / (STANDARD_GRAVITY if place == 0 else 1.0)
        for n, axis in enumerate("xyz"):
            name = dialect.names[place].format(x=axis, X=axis.upper())
            if dialect.units_in not in ("nothing", "row"):
                name += dialect.units_in.replace("u", spelled)
            digits = 0 if unit == "counts" else dialect.digits
            texts = [f"{value * per_base:.{digits}f}" for value in values[:, n]]
            out.raw[name] = np.array([float(text) for text in texts])
            out.base[name] = out.raw[name] / per_base
            out.kinds[name], out.units[name] = kind, spelled
            out.cells[name] = [text.replace(".", dialect.decimal) for text in texts]
    for name in dialect.times:
        out.cells[name] = _stamps(TIMES[name], seconds, dialect)
        out.units[name] = TIMES[name].unit
    if dialect.label is not None:
        if dialect.layout == "one":
            out.labels = [dialect.codes[0] if n < rows // 2 else dialect.codes[1] for n in range(rows)]
        out.cells[dialect.label] = out.labels
    for extra in dialect.extras:
        out.cells.update(_extra(extra, seconds, rng, dialect))
    return out


def _order(dialect: Dialect, count: int, place: int) -> list[int]:
    order = [n for n in dialect.order if n < count]
    order += [n for n in range(count) if n not in order]
    if dialect.shuffled and dialect.header and place:
        order = order[place % count :] + order[: place % count]
    return order


def _text(dialect: Dialect, columns: _Columns, order: list[int]) -> tuple[str, NDArray[np.bool_]]:
    """Text of a file, and which rows a right reader keeps."""
    names = [list(columns.cells)[n] for n in order]
    header = "" if not dialect.header else _line(dialect, [TIMES[n].name if n in TIMES else n for n in names])
    lines = list(dialect.preamble)
    if dialect.header:
        lines.append(header)
        if dialect.units_in == "row":
            lines.append(_line(dialect, [columns.units.get(name, "-") or "-" for name in names]))
    faults = dict(dialect.faults)
    kept = np.ones(len(columns.seconds), dtype=bool)
    joined = ""
    for row in range(len(columns.seconds)):
        cells = [columns.cells[name][row] for name in names]
        fault = faults.get(row, "")
        if fault in ("empty", "nan"):
            place = next(n for n, name in enumerate(names) if name in columns.base)
            cells[place] = "" if fault == "empty" else "nan"
        line = _line(dialect, cells)
        if joined:
            line, joined, kept[row] = joined + line, "", False
        match fault:
            case "blank" | "comment" | "header":
                lines.append({"blank": "", "comment": "# still here", "header": header}[fault])
                lines.append(line)
                continue
            case "text":
                line = "###ERR reset 3"
            case "letter":
                place = next(n for n, name in enumerate(names) if name in columns.base)
                line = _line(dialect, [*cells[:place], f"{cells[place]}x", *cells[place + 1 :]])
            case "torn":
                line = _line(dialect, cells[: len(cells) // 2])[: -1 - len(dialect.row_end)]
            case "joined":
                joined = line
            case "bytes":
                line = f"\ufffd\ufffd{line[4:]}"
        kept[row] &= fault in ("", "cut")
        if not joined:
            lines.append(line)
    text = dialect.line_end.join(lines) + dialect.line_end
    if "cut" in faults.values() and "." in columns.cells[names[-1]][-1].replace(dialect.decimal, "."):
        kept[-1] = False
        text = text.rstrip()[: -2 - dialect.quoted - len(dialect.row_end)]
    return text, kept


def _line(dialect: Dialect, cells: list[str]) -> str:
    quote = '"' if dialect.quoted else ""
    gap = "  " if dialect.delimiter == " " else dialect.delimiter
    return gap.join(f"{quote}{text}{quote}" for text in cells) + dialect.row_end


def _stamps(time: Time, seconds: Values, dialect: Dialect) -> list[str]:
    """Texts of the times. In a batch all samples have the stamp of the first."""
    stamped = seconds[np.arange(len(seconds)) // dialect.batch * dialect.batch]
    if time.unit in PER_SECOND:
        ticks = (time.start + stamped) * PER_SECOND[time.unit]
        return [f"{tick:.{time.digits}f}".replace(".", dialect.decimal) for tick in ticks]
    stamps = [BEGIN + timedelta(seconds=round(float(second), 6)) for second in stamped]
    return [one.strftime(time.unit).replace("|", f"{one.microsecond // 1000:03d}") for one in stamps]


def _extra(extra: str, seconds: Values, rng: np.random.Generator, dialect: Dialect) -> dict[str, list[str]]:
    """Columns that are no channel."""
    rows = len(seconds)

    def number(values: Values, digits: int = 3) -> list[str]:
        return [f"{value:.{digits}f}".replace(".", dialect.decimal) for value in values]

    match extra:
        case "temperature":
            return {"temperature": number(21.5 + 0.01 * seconds + rng.normal(0, 0.01, rows), 2)}
        case "magnetometer":
            return {f"mag{axis}": number(20 + rng.normal(0, 1, rows)) for axis in "XYZ"}
        case "gravity":
            return {f"gravity_{axis}": number(rng.normal(3, 0.1, rows)) for axis in "xyz"}
        case "orientation":
            return {axis: number(30 * np.sin(seconds) + rng.normal(0, 0.1, rows)) for axis in ("roll", "pitch", "yaw")}
        case "quaternion":
            return {f"q{axis}": number(rng.normal(0.5, 0.01, rows), 5) for axis in "wxyz"}
        case "norm":
            return {"acc_norm": number(9.8 + rng.normal(0, 0.1, rows))}
        case "battery":
            return {"battery": ["87"] * rows}
        case "position":
            return {"lat": number(np.full(rows, 50.1), 6), "lon": number(np.full(rows, 8.68), 6)}
        case "subject":
            return {"subject": ["3"] * rows}
        case "status":
            return {"status": ["ok"] * rows}
        case "empty":
            return {"notes": ["-" if dialect.delimiter == " " else ""] * rows}
        case "index":
            return {"index": [str(n) for n in range(rows)]}
        case "sample":
            return {"sample": [str(n + 1) for n in range(rows)]}
    raise AssertionError(extra)


def _packed(dialect: Dialect, content: bytes, name: str) -> bytes:
    if dialect.packed == ".gz":
        return gzip.compress(content, mtime=0)
    if dialect.packed == ".zip":
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name.removesuffix(".zip"), content)
        return out.getvalue()
    return content
