"""Meaning of the names of columns: the sensor, its axis, the unit, or another role."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from edge_seq.data.units import unit_in_name, unit_of

Kind = Literal["acceleration", "linear", "gravity", "rotation", "magnetic", "orientation", "plain"]
Role = Literal["channel", "time", "index", "label", "group", "recording", "split", "sensor", "unused"]

_KINDS: dict[Kind, frozenset[str]] = {
    "orientation": frozenset({
        "orientation", "euler", "attitude", "quat", "quaternion", "q", "ori", "roll", "pitch", "yaw", "angle",
        "heading",
    }),
    "magnetic": frozenset({
        "mag", "magn", "magnet", "magnetic", "magnetometer", "magneto", "magnetfeld", "compass", "m", "b",
    }),
    "rotation": frozenset({
        "gy", "gyr", "gyro", "gyros", "gyroscope", "gyroskop", "rot", "rotation", "rotationrate", "omega", "angular",
        "angvel", "w", "g",
    }),
    "gravity": frozenset({"gravity", "grav"}),
    "linear": frozenset({"linear", "lin", "user", "useracceleration", "linacc", "linearacceleration", "body"}),
    "acceleration": frozenset({
        "ac", "acc", "accel", "accelero", "accelerometer", "acceleration", "accelerometre", "beschleunigung", "a",
        "total",
        "totalacceleration", "adxl", "vib", "vibration",
    }),
}  # fmt: skip
_WORDS = sorted({word for words in _KINDS.values() for word in words}, key=len, reverse=True)
_GLUED = re.compile(rf"(?P<word>{'|'.join(_WORDS)})(?P<axis>[xyz])(?P<number>\d*)")
_LEADING = re.compile(rf"(?P<axis>[xyz])(?P<word>{'|'.join(_WORDS)})(?P<number>\d*)")
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")

LABEL_NAMES = frozenset(
    {"label", "labels", "class", "classes", "activity", "state", "target", "gesture", "condition", "klasse"}
)
GROUP_NAMES = (
    "group", "subject", "user", "person", "participant", "driver", "volunteer", "rider", "block", "drive", "session",
    "device", "machine", "day",
)  # fmt: skip
RECORDING_NAMES = (
    "recording", "rec", "experiment", "exp", "session", "drive", "trial", "take", "file", "filename", "sequence", "run",
    "sample_id", "series",
)  # fmt: skip
SENSOR_NAMES = frozenset({"sensor", "sensortype", "sensor_type", "sensorname", "sensor_name", "type", "source"})
TIME_WORDS = frozenset({
    "time", "timestamp", "timestamps", "times", "t", "ts", "elapsed", "loggingtime", "zeit", "zeitstempel", "temps",
    "tiempo", "tempo", "tijd", "clock", "date", "datetime", "epoch", "utc", "ms", "us", "ns", "millis", "micros",
    "milliseconds", "microseconds", "nanoseconds", "seconds", "second", "sec", "secs", "millisecond", "microsecond",
})  # fmt: skip
INDEX_NAMES = frozenset({
    "i", "index", "idx", "n", "no", "nr", "seq", "sequence", "counter", "count", "sample", "samplenumber", "row",
    "packet",
    "frame", "id", "unnamed", "column_1",
})  # fmt: skip
SENSOR_TITLES: dict[Kind, str] = {
    "acceleration": "accelerometer",
    "linear": "acceleration without gravity",
    "gravity": "gravity alone",
    "rotation": "gyroscope",
    "magnetic": "magnetometer",
    "orientation": "orientation",
    "plain": "sensor",
}


@dataclass(frozen=True)
class Axis:
    """Meaning of the name of a column.

    Attributes:
        column: name of the column.
        stem: name of the sensor: all tokens but the axis.
        axis: ``x``, ``y`` or ``z``.
        kind: kind of sensor.
    """

    column: str
    stem: str
    axis: str
    kind: Kind


@dataclass(frozen=True)
class ColumnRole:
    """Role that a column was taken for.

    Attributes:
        column: name of the column.
        role: what it was taken for.
        detail: sensor and axis, class, or nothing.
        reason: why.
    """

    column: str
    role: Role
    detail: str
    reason: str


def tokens_of(name: str) -> list[str]:
    """Split a name into words and numbers, in lower case, without the unit in brackets.

    >>> tokens_of("gyrY"), tokens_of("Gyroscope y (rad/s)"), tokens_of("body_acc_y"), tokens_of("GRAVITY Y [m/s2]")
    (['gyr', 'y'], ['gyroscope', 'y'], ['body', 'acc', 'y'], ['gravity', 'y'])
    """
    return [token.lower() for token in _CAMEL.findall(bare_name(name))]


def bare_name(name: str) -> str:
    """A name without the text in brackets at its end.

    >>> bare_name("Time (s)")
    'Time'
    """
    return re.sub(r"\s*[\(\[][^\(\[\)\]]*[\)\]]\s*$", "", name).strip()


def axis_of(name: str) -> Axis | None:
    """Find sensor and axis in the name of a column; None if it names no axis.

    >>> axis_of("gyrY").axis, axis_of("gyrY").kind, axis_of("ax").kind, axis_of("x_acc").stem, axis_of("temperature")
    ('y', 'rotation', 'acceleration', 'acc', None)
    """
    tokens = tokens_of(name)
    single = [n for n, token in enumerate(tokens) if token in ("x", "y", "z")]
    numbers = [token for token in tokens if token.isdigit()]
    if len(single) == 1:
        rest = [token for n, token in enumerate(tokens) if n != single[0]]
        return Axis(name, " ".join(rest), tokens[single[0]], kind_of(rest))
    if single:
        return None
    for n, token in enumerate(tokens):
        match = _GLUED.fullmatch(token) or _LEADING.fullmatch(token)
        if match:
            rest = [*tokens[:n], match["word"], *tokens[n + 1 :]]
            return Axis(name, " ".join(rest), match["axis"], kind_of(rest))
    word = "".join(tokens)
    match = _GLUED.fullmatch(word) or _LEADING.fullmatch(word)
    if match and not (numbers and not match["number"]):
        return Axis(name, match["word"] + match["number"], match["axis"], kind_of([match["word"]]))
    return None


def kind_of(tokens: Iterable[str]) -> Kind:
    """Kind of sensor that words mean.

    >>> kind_of(["body", "acc"]), kind_of(["gyroscope"]), kind_of(["uncalibrated"])
    ('linear', 'rotation', 'plain')
    """
    words = {token.rstrip("0123456789") for token in tokens}
    if words & {"body", "user", "linear", "lin"} and words & _KINDS["rotation"]:
        return "rotation"
    return next((kind for kind, known in _KINDS.items() if words & known), "plain")


def sensors_in(columns: Sequence[str]) -> dict[str, list[Axis]]:
    """Axes of each sensor, by its stem; a sensor has at least two different axes."""
    by_stem: dict[str, list[Axis]] = {}
    for column in columns:
        axis = axis_of(column)
        if axis is not None and axis.axis not in {one.axis for one in by_stem.get(axis.stem, [])}:
            by_stem.setdefault(axis.stem, []).append(axis)
    return {stem: axes for stem, axes in by_stem.items() if len(axes) >= 2}


def unit_of_name(name: str) -> str | None:
    """Unit that the name of a column gives, in brackets or as its last words; None if it gives none that is known.

    >>> unit_of_name("acc_x[mg]"), unit_of_name("gyr_y_dps"), unit_of_name("ax_g"), unit_of_name("ax")
    ('mg', 'deg/s', 'g', None)
    """
    in_brackets = unit_in_name(name)
    if in_brackets is not None:
        return unit_of(in_brackets)
    words = re.split(r"[_\s]+", bare_name(name).lower())
    for count in (2, 1):
        tail = words[-count:]
        if len(words) > count and (unit := unit_of("/".join(tail)) or unit_of("".join(tail))) is not None:
            return unit
    return None
