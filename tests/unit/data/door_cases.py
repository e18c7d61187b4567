"""Small recordings in the layouts that people really have, written by a script, and what is right for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

G = 9.80665
Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A layout, and what a guess must find.

    Attributes:
        build: writes the files into a folder and returns the path to check.
        rate_hz: right sample rate; None if the files do not tell it.
        channels: unit of each channel.
        labels: right classes.
        full_scale: right full scale of the first channel, in its unit.
        fields: fields of the data source that must be so.
        says: texts that the assumptions must hold.
        trains: False where one clear message is right instead.
    """

    build: Callable[[Path], Path]
    rate_hz: float | None
    channels: dict[str, str]
    labels: tuple[str, ...]
    full_scale: float | None = None
    fields: dict[str, object] = field(default_factory=dict)
    says: tuple[str, ...] = ()
    trains: bool = True


def motion(
    label: str, number: int, rows: int = 250, rate_hz: float = 50.0, strength: float = 0.25
) -> tuple[Rows, Rows, Rows]:
    """Times, acceleration in g and rotation in deg/s, different in each recording."""
    rng = np.random.default_rng(crc32(f"{label} {number}".encode()))
    seconds = np.arange(rows) / rate_hz
    hertz = {"walk": 1.6, "run": 2.8, "idle": 0.3, "wave": 2.0}.get(label, 0.5 + crc32(label.encode()) % 20 / 10)
    size = 0.01 if label in ("idle", "rest", "sitting") else strength
    phase = rng.uniform(0, 6)
    wave = np.stack([np.sin(2 * np.pi * hertz * seconds + phase + k) for k in range(3)], axis=1)
    acceleration = np.array([0.05, -0.05, 1.0]) + size * wave + rng.normal(0, 0.01, (rows, 3))
    return seconds, acceleration, 80 * wave * min(1.0, 4 * size) + rng.normal(0, 0.5, (rows, 3))


def table(header: str, columns: Sequence[Sequence[str]], *, sep: str = ",", end: str = "") -> str:
    """Text of a table."""
    rows = [sep.join(row) + end for row in zip(*columns, strict=True)]
    return "\n".join(([header] if header else []) + rows) + "\n"


def texts(values: Rows, form: str = ".4f") -> list[list[str]]:
    """Columns of numbers as texts."""
    return [[format(value, form) for value in column] for column in values.T]


def put(path: Path, content: str | bytes) -> None:
    """Write a file, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def per_class(write: Callable[[str, int], str], name: str = "{label}_{number}.csv", labels: Sequence[str] = ("walk", "run"),
              count: int = 4) -> Callable[[Path], Path]:  # fmt: skip
    """A folder with some files of each class."""

    def build(folder: Path) -> Path:
        for label in labels:
            for number in range(count):
                put(folder / "data" / name.format(label=label, number=number), write(label, number))
        return folder / "data"

    return build


def plain(
    header: str = "t,ax,ay,az",
    *,
    unit: float = G,
    sep: str = ",",
    decimal: str = ".",
    strength: float = 0.25,
    before: str = "",
) -> Callable[[str, int], str]:
    """A writer of time and acceleration."""

    def write(label: str, number: int) -> str:
        seconds, acceleration, _ = motion(label, number, strength=strength)
        columns = [[f"{one:.4f}" for one in seconds], *texts(acceleration * unit)]
        return before + table(header, [[one.replace(".", decimal) for one in column] for column in columns], sep=sep)

    return write


def six(label: str, number: int) -> str:
    seconds, acceleration, rotation = motion(label, number)
    columns = [[f"{one:.4f}" for one in seconds], *texts(acceleration * G), *texts(rotation, ".3f")]
    return table("time,accX,accY,accZ,gyrX,gyrY,gyrZ", columns)


def six_axis_104hz(folder: Path) -> Path:
    columns: list[list[str]] = [[] for _ in range(9)]
    start = 0
    for session in range(4):
        for label in ("rest", "lift", "drill"):
            seconds, acceleration, rotation = motion(label, session, 420, 104.0)
            parts = [
                [str(start + int(one * 1e6)) for one in seconds],
                [f"{session}_{label}"] * 420,
                *texts(acceleration * 1000, ".2f"),
                *texts(rotation * 1000, ".0f"),
                [label] * 420,
            ]
            start += int(420 / 104 * 1e6)
            for column, part in zip(columns, parts, strict=True):
                column += part
    names = "time_us,session,acc_x[mg],acc_y[mg],acc_z[mg],gyr_x[mdps],gyr_y[mdps],gyr_z[mdps],class"
    put(folder / "data" / "imu.csv", table(names, columns))
    return folder / "data"


def phone(label: str, number: int) -> str:
    seconds, acceleration, _ = motion(label, number)
    stamps = [str(1763205797002440400 + int(one * 1e9)) for one in seconds]
    columns = [stamps, [f"{one:.6f}" for one in seconds], *reversed(texts(acceleration * G, ".5f"))]
    return table("time,seconds_elapsed,z,y,x", columns)


def phone_folders(folder: Path) -> Path:
    for number, (label, person) in enumerate(
        [("walking", "p1"), ("walking", "p2"), ("sitting", "p1"), ("sitting", "p2")]
    ):
        seconds, acceleration, rotation = motion(label, number, 900, 100.0)
        inside = folder / "data" / f"{label}_{person}-2024-03-1{number}_10-22-03"
        for name, values, late in (("Accelerometer", acceleration * G, 0.0), ("Gyroscope", rotation / 57.3, 0.002)):
            own = seconds + 0.04 + late
            stamps = [str(1700028746421563601 + int(one * 1e9)) for one in own]
            columns = [stamps, [f"{one:.9f}" for one in own], *reversed(texts(values, ".6f"))]
            put(inside / f"{name}.csv", table("time,seconds_elapsed,z,y,x", columns))
        put(inside / "Metadata.csv", "version,device name,recording epoch time\n3,phone,1700000000000\n")
        put(inside / "Annotation.csv", "time,seconds_elapsed,text,millisecond_press_duration\n")
    return folder / "data"


def sensor_files(folder: Path) -> Path:
    for label in ("walk", "run"):
        for number in range(4):
            seconds, acceleration, rotation = motion(label, number)
            inside = folder / "data" / label / f"{label}_{number}"
            for name, title, values, unit, late in (
                ("Accelerometer", "Acceleration", acceleration * G, "m/s^2", 0.0),
                ("Gyroscope", "Gyroscope", rotation / 57.29578, "rad/s", 0.004),
            ):
                header = ",".join(['"Time (s)"', *(f'"{title} {axis} ({unit})"' for axis in "xyz")])
                put(inside / f"{name}.csv", table(header, [[f"{one + late:.4f}" for one in seconds], *texts(values)]))
    return folder / "data"


def acquisitions(labels: Sequence[str], unit: str) -> Callable[[Path], Path]:
    """An export of Edge Impulse."""

    def build(folder: Path) -> Path:
        entries = []
        for k, label in enumerate(labels):
            for number in range(5):
                side = "training" if number < 4 else "testing"
                name = f"{side}/{label}.{k}{number}abcde.ingestion-0-{number}.json"
                values = (motion(label, number, 200)[1] * G).round(3).tolist()
                sensors = [{"name": f"acc{axis}", "units": unit} for axis in "XYZ"]
                payload = {
                    "device_name": "d",
                    "device_type": "X",
                    "interval_ms": 20,
                    "sensors": sensors,
                    "values": values,
                }
                put(folder / "data" / name, json.dumps({"protected": {}, "signature": "0" * 64, "payload": payload}))
                entries.append({"path": name, "category": side, "label": {"type": "label", "label": label}})
        put(folder / "data" / "info.labels", json.dumps({"version": 1, "files": entries}))
        return folder / "data"

    return build


def logger(label: str, number: int) -> str:
    _, acceleration, _ = motion(label, number, 900, 100.0, 0.15)
    ticks = [str(1544 + 10 * row + (row * 7) % 2) for row in range(900)]
    rows = [",".join(row) for row in zip(ticks, *texts(acceleration * 16384, ".0f"), strict=True)]
    rows[295] = "\u2e2e\u2e2e\u2e2e12,4"
    rows[497] = ""
    rows[703] = rows[703][:9]
    lines = [
        "# MPU6050 logger v0.3", "# accel range +-2g, 16384 LSB/g", "Initializing I2C devices...",
        "MPU6050 connection successful", "ms,ax,ay,az", *rows, "10534,23",
    ]  # fmt: skip
    return "\r\n".join(lines) + "\r\n"


def iso(label: str, number: int) -> str:
    _, acceleration, _ = motion(label, number, 300, 100.0)
    stamps = [f"2023-05-04T10:11:{12 + row // 100:02d}.{row % 100:02d}0" for row in range(300)]
    return table("timestamp,ax,ay,az", [stamps, *texts(acceleration * G)])


def gestures(folder: Path) -> Path:
    for label in ("walk", "run"):
        parts = []
        for number in range(10):
            _, acceleration, rotation = motion(label, number, 119)
            parts.append(table("", [*texts(acceleration, ".3f"), *texts(rotation, ".3f")]))
        put(folder / "data" / f"{label}.csv", "aX,aY,aZ,gX,gY,gZ\n" + "\n".join(parts))
    return folder / "data"


def gestures_of_any_length(label: str, number: int) -> str:
    seconds, acceleration, _ = motion(label, number, 35 + 25 * number)
    return table("t,ax,ay,az", [[f"{one:.4f}" for one in seconds], *texts(acceleration)])


def window_rows(folder: Path) -> Path:
    for label in ("walk", "run"):
        rows = [" ".join(f"{one:.3f}" for one in motion(label, number, 64)[1].reshape(-1)) for number in range(30)]
        put(folder / "data" / f"{label}.csv", "\n".join(rows) + "\n")
    return folder / "data"


def coarse(label: str, number: int) -> str:
    seconds, acceleration, _ = motion(label, number, 300)
    values = np.round(acceleration * G, 1)
    if label == "idle":
        values[:, 0] = -0.1
    return table("time,ax,ay,az", [[f"{one:.2f}" for one in seconds], *texts(values, ".2f")])


def intervals(folder: Path) -> Path:
    lines, samples, start = ["start,end,label"], [], 0.0
    for number, (label, length) in enumerate([("idle", 30), ("spin", 25), ("rinse", 24), ("idle", 22), ("spin", 24)]):
        samples.append(motion(label, number, length * 50)[1])
        lines.append(f"{start + 0.4:.2f},{start + length - 0.4:.2f},{label}")
        start += length
    acceleration = np.concatenate(samples)
    seconds = [f"{row / 50:.3f}" for row in range(len(acceleration))]
    put(folder / "data" / "labels.csv", "\n".join(lines) + "\n")
    put(
        folder / "data" / "long_recording.csv",
        table("timestamp;accX;accY;accZ", [seconds, *texts(acceleration, ".5f")], sep=";"),
    )
    return folder / "data"


def channels_first(folder: Path) -> Path:
    windows = np.stack([motion("abc"[n % 3], n, 128)[1].T for n in range(60)])
    np.savez(folder / "data.npz", X=windows.astype(np.float32), y=np.arange(60) % 3, subject=np.arange(60) // 6)
    return folder / "data.npz"


def whole_numbers(label: str, number: int) -> str:
    _, acceleration, _ = motion(label, number)
    return table("", texts(32 + acceleration * 21, ".0f"), sep=" ")


def wisdm(folder: Path) -> Path:
    lines, tick = [], 49305962326000
    for user in range(1, 5):
        for label in ("Walking", "Jogging"):
            _, acceleration, _ = motion(label, user, 160, 20.0)
            for row in acceleration * G:
                lines.append(f"{user},{label},{tick},{row[0]:g},{row[1]:g},{row[2]:g};")
                tick += 50_000_000
            tick += 10**10
    put(folder / "data" / "raw.csv", "\n".join(lines) + "\n")
    return folder / "data"


MPS2 = dict.fromkeys(("ax", "ay", "az"), "m/s^2")
IN_G = dict.fromkeys(("ax", "ay", "az"), "g")
WALK = ("run", "walk")
# ruff: noqa: E501
CASES: dict[str, Case] = {
    "a_file_for_each_sensor": Case(
        sensor_files, 50, {f"{s} {a}": u for s, u in (("Acceleration", "m/s^2"), ("Gyroscope", "rad/s")) for a in "xyz"}, WALK,
        fields={"sensor_files": {"Accelerometer": "Accelerometer.csv", "Gyroscope": "Gyroscope.csv"}},
        says=("a folder is a recording", "joined by time"),
    ),
    "a_window_in_each_row": Case(
        window_rows, None, IN_G, WALK, fields={"row_is_window": 3, "window_length": 64},
        says=("each row is a window of 64 samples of 3 columns", "weaker evidence"),
    ),
    "comment_lines_first": Case(
        per_class(plain(before="# logger 1.2\n# rate: 50 Hz, range 4 g\n")), 50, MPS2, WALK, full_scale=4 * G,
        says=("lines before the header are passed over: # logger 1.2",),
    ),
    "decimal_comma": Case(
        per_class(plain("Zeit (s);ax;ay;az", sep=";", decimal=",")), 50, MPS2, WALK, fields={"delimiter": ";", "decimal": ","}
    ),
    "edge_impulse_export": Case(
        acquisitions(("left-right", "left-hook", "walk2"), "m/s2"), 50, {f"acc{a}": "m/s^2" for a in "XYZ"},
        ("left-hook", "left-right", "walk2"), fields={"label_from": "info_labels"}, says=("classes and split are those of",),
    ),
    "edge_impulse_unit_na": Case(
        acquisitions(("idle", "wave"), "N/A"), 50, {f"acc{a}": "m/s^2" for a in "XYZ"}, ("idle", "wave"),
        says=("by gravity at rest",),
    ),
    "full_scale_of_all_files": Case(
        per_class(plain("time,ax,ay,az", unit=1.0, strength=2.5), labels=("idle", "run")), 50, IN_G, ("idle", "run"),
        full_scale=4.0, says=("full scale 4 g", "the firmware sets in the accelerometer", "data sheet"),
    ),
    "gestures_blank_line_apart": Case(
        gestures, None, {f"{s}{a}": u for s, u in (("a", "g"), ("g", "deg/s")) for a in "XYZ"}, WALK,
        fields={"recording_break": "blank"}, says=("a blank line ends a recording: 20 recordings of 119 to 119 samples",),
    ),
    "gestures_of_any_length": Case(
        per_class(gestures_of_any_length, labels=("tap", "wave"), count=5), 50, IN_G, ("tap", "wave"),
        says=('training.label_every="sample"',),
    ),
    "gyr_y_dropped": Case(
        per_class(six), 50, {f"{s}{a}": u for s, u in (("acc", "m/s^2"), ("gyr", "deg/s")) for a in "XYZ"}, WALK
    ),
    "idle_phone_of_coarse_steps": Case(
        per_class(coarse, labels=("idle", "wave")), 50, MPS2, ("idle", "wave"), fields={"on_constant_axis": "allow"}
    ),
    "interval_table": Case(
        intervals, 50, {f"acc{a}": "g" for a in "XYZ"}, ("idle", "rinse", "spin"),
        fields={"label_from": "intervals", "intervals": "labels.csv", "split": "time_blocks"}, says=("weaker evidence",),
    ),
    "iso_times": Case(per_class(iso), 100, MPS2, WALK, fields={"time_unit": "datetime", "time_column": "timestamp"}),
    "logger_with_noise": Case(
        per_class(logger, "{label}_session{number}.csv", ("idle", "rinse", "spin", "washing"), 2), 100, IN_G,
        ("idle", "rinse", "spin", "washing"), full_scale=2.0, fields={"time_column": "ms", "time_unit": "ms"},
        says=("16384 a unit as the file's first lines say", "groups are session0, session1", "line 301", "line 709"),
    ),
    "npz_channels_first": Case(
        channels_first, None, IN_G, ("0", "1", "2"), fields={"axes_order": "NCT", "window_length": 128},
        says=("taken as [windows, channels, samples]", "their names are not in the file"),
    ),
    "one_class_trains_first": Case(
        per_class(plain(unit=1.0), labels=("normal",), count=6), 50, IN_G, ("normal",), trains=False
    ),
    "phone_folders": Case(
        phone_folders, 100,
        {f"{s} {a}": u for s, u in (("Accelerometer", "m/s^2"), ("Gyroscope", "rad/s")) for a in "zyx"}, ("sitting", "walking"),
        fields={"time_column": "seconds_elapsed"}, says=("groups are p1, p2", "Annotation.csv"),
    ),
    "semicolon": Case(per_class(plain("time (s);ax;ay;az", sep=";")), 50, MPS2, WALK, fields={"delimiter": ";"}),
    "six_axis_104hz": Case(
        six_axis_104hz, 104, {f"{s}_{a}": u for s, u in (("acc", "mg"), ("gyr", "deg/s")) for a in "xyz"},
        ("drill", "lift", "rest"), fields={"recording_column": "session", "time_unit": "us"},
    ),
    "txt_in_folders": Case(
        per_class(whole_numbers, "{label}/rec-{label}-f{number}.txt"), None, dict.fromkeys(("ax", "ay", "az"), "counts"), WALK,
        fields={"files": "*.txt", "label_from": "folder"},
    ),
    "wisdm_raw": Case(
        wisdm, 20, MPS2, ("Jogging", "Walking"),
        fields={"column_names": ["group", "label", "time", "ax", "ay", "az"], "time_unit": "ns"},
    ),
    "y_is_taken_for_the_label": Case(
        per_class(phone), 50, dict.fromkeys("zyx", "m/s^2"), WALK, fields={"time_column": "seconds_elapsed"}
    ),
}  # fmt: skip
