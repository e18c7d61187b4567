"""Known recordings, written in any of the dialects that loggers, phones and spreadsheets use."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

import numpy as np
from numpy.typing import NDArray

STANDARD_GRAVITY = 9.80665
ACCELERATION_NAMES = (
    "a{x}", "A{X}", "a{X}", "acc{X}", "Acc{X}", "ACC{X}", "acc_{x}", "Acc {X}", "accel_{x}", "accelerometer_{x}",
    "ACCELEROMETER {X}", "Acceleration {x}", "{x}_acc", "{X}acc", "imu_acc_{x}", "acc.{x}",
    "total_acc_{x}",
)  # fmt: skip
ROTATION_NAMES = (
    "g{x}", "G{X}", "g{X}", "gyr{X}", "Gyr{X}", "GYR{X}", "gyr_{x}", "gyro_{x}", "gyroscope_{x}", "GYROSCOPE {X}",
    "Gyroscope {x}", "{x}_gyro", "imu_gyro_{x}", "rotationRate.{x}", "omega_{x}", "rot_{x}", "w{x}",
)  # fmt: skip
ACCELERATION_UNITS = {
    "m/s^2": 1.0,
    "m/s2": 1.0,
    "g": 1 / STANDARD_GRAVITY,
    "mg": 1000 / STANDARD_GRAVITY,
    "mm/s^2": 1e3,
}
ROTATION_UNITS = {"deg/s": 1.0, "dps": 1.0, "rad/s": np.pi / 180, "mdps": 1e3}
TIMES = {
    "t": ("s", 0), "time": ("s", 0), "Time (s)": ("s", 0), "seconds_elapsed": ("s", 0), "Zeit (s)": ("s", 0),
    "timestamp": ("ms", 0), "ms": ("ms", 0), "time_ms": ("ms", 0), "millis": ("ms", 0), "Time [ms]": ("ms", 0),
    "time_us": ("us", 0), "micros": ("us", 0), "t_us": ("us", 0), "time_ns": ("ns", 0),
    "unix_time": ("s", 1.7e9), "epoch": ("ms", 1.7e9), "loggingTime": ("ms", 1.7e9), "timestamp_ns": ("ns", 1.7e9),
    "datetime": ("iso", 0), "date": ("blank", 0), "clock": ("clock", 0), "": ("none", 0),
}  # fmt: skip
PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
GARBAGE = ("###ERR", "\u2e2e\u2e2e12;4", "1,2", "reset", "nan nan")


@dataclass(frozen=True)
class Dialect:
    """How a table is written."""

    delimiter: str = ","
    decimal: str = "."
    names: tuple[str, str] = ("acc{X}", "gyr{X}")
    units: tuple[str, str] = ("m/s^2", "deg/s")
    units_in: str = "nothing"  # or brackets, row
    time: str = "t"
    rate_hz: float = 50.0
    preamble: tuple[str, ...] = ()
    encoding: str = "utf-8"
    line_end: str = "\n"
    row_end: str = ""
    quoted: bool = False
    order: tuple[int, ...] = ()
    garbage: tuple[tuple[int, str], ...] = ()
    label: bool = False
    packed: bool = False
    six: bool = True
    seed: int = 0
    extra: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Written:
    """Bytes of a file, and the truth: values in m/s^2 and deg/s of each column, times, and the rows that are left."""

    content: bytes
    columns: dict[str, NDArray[np.float64]]
    kinds: dict[str, str]
    time_s: NDArray[np.float64] | None
    rows: int


def write(dialect: Dialect, rows: int = 240) -> Written:
    """Write a recording of a sensor that turns slowly."""
    rng = np.random.default_rng(dialect.seed)
    seconds = np.arange(rows) / dialect.rate_hz
    tilt = 0.4 * np.sin(2 * np.pi * 0.3 * seconds)
    gravity = np.stack([np.sin(tilt), 0.2 * np.ones(rows), np.cos(tilt)], axis=1) * STANDARD_GRAVITY
    acceleration = gravity + rng.normal(0, 0.3, (rows, 3))
    rotation = 90 * np.stack([np.sin(3 * seconds), np.cos(2 * seconds), np.sin(seconds)], axis=1)
    names, columns, kinds, cells = [], {}, {}, {}
    sensors = [("acceleration", acceleration, ACCELERATION_UNITS), ("rotation", rotation, ROTATION_UNITS)]
    for kind, (title, values, units) in enumerate(sensors[: 2 if dialect.six else 1]):
        unit = dialect.units[kind]
        for n, axis in enumerate("xyz"):
            name = dialect.names[kind].format(x=axis, X=axis.upper())
            name += f" ({unit})" if dialect.units_in == "brackets" else ""
            texts = [f"{value * units[unit]:.5f}" for value in values[:, n]]
            columns[name] = np.array([float(text) / units[unit] for text in texts])
            kinds[name], cells[name] = title, [_number(text, dialect) for text in texts]
            names.append(name)
    time_s, times = _times(dialect, seconds)
    if times is not None:
        names.append(dialect.time)
        cells[dialect.time] = times
    if dialect.label:
        names.append("label")
        cells["label"] = ["walk" if second < seconds[rows // 2] else "run" for second in seconds]
    order = [n for n in dialect.order if n < len(names)] + [n for n in range(len(names)) if n not in dialect.order]
    names = [names[n] for n in order]
    quote = '"' if dialect.quoted else ""
    gap = {" ": "  "}.get(dialect.delimiter, dialect.delimiter)

    def line(texts: list[str]) -> str:
        return gap.join(f"{quote}{text}{quote}" for text in texts) + dialect.row_end

    lines = [*dialect.preamble, line(names)]
    if dialect.units_in == "row":
        own = {"acceleration": dialect.units[0], "rotation": dialect.units[1]}
        clock = TIMES[dialect.time][0]
        lines.append(line([own.get(kinds.get(name, ""), clock if clock in PER_SECOND else "-") for name in names]))
    garbage = dict(dialect.garbage)
    kept = np.ones(rows, dtype=bool)
    for row in range(rows):
        if row in garbage:
            kept[row] = False
            lines.append(garbage[row])
        else:
            lines.append(line([cells[name][row] for name in names]))
    content = (dialect.line_end.join(lines) + dialect.line_end).encode(dialect.encoding)
    return Written(
        gzip.compress(content, mtime=0) if dialect.packed else content,
        {name: values[kept] for name, values in columns.items()},
        kinds,
        None if time_s is None else time_s[kept],
        int(kept.sum()),
    )


def _number(text: str, dialect: Dialect) -> str:
    return text.replace(".", dialect.decimal)


def _times(dialect: Dialect, seconds: NDArray[np.float64]) -> tuple[NDArray[np.float64] | None, list[str] | None]:
    how, start = TIMES[dialect.time]
    if how == "none":
        return None, None
    if how in PER_SECOND:
        digits = 4 if how == "s" else 0
        ticks = (start + seconds) * PER_SECOND[how]
        texts = [f"{tick:.{digits}f}" if how == "s" else str(round(tick)) for tick in ticks]
        return seconds, [_number(text, dialect) for text in texts]
    begin = datetime(2024, 2, 3, 23, 59, 58, tzinfo=timezone.utc)
    stamps = [begin + timedelta(seconds=float(second)) for second in seconds]
    form = {"iso": "%Y-%m-%dT%H:%M:%S.%f", "blank": "%Y-%m-%d %H:%M:%S.%f", "clock": "%H:%M:%S.%f"}[how]
    return seconds, [stamp.strftime(form)[:-3] for stamp in stamps]
