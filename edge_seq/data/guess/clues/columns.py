"""Meaning of the names of columns: the sensor, its axis, the unit, or another role."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from edge_seq.data.units import unit_in_name, unit_of, without_unit

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
        "gy", "gyr", "gyro", "gyros", "gyroscope", "gyroskop", "gyroscopique", "giro", "giroscopio", "giroscopo",
        "kreisel", "drehrate", "winkelgeschwindigkeit", "angulaire", "angolare", "rot", "rotation", "rotationrate",
        "rotrate", "turn", "omega", "angular", "angvel", "as", "w", "g",
    }),
    "gravity": frozenset({"gravity", "grav"}),
    "linear": frozenset({
        "linear", "lineare", "lineaire", "lineal", "lin", "user", "useracceleration", "linacc", "lacc",
        "linearacceleration", "body", "free", "freeacc",
    }),
    "acceleration": frozenset({
        "ac", "acc", "accel", "accelero", "accelerometer", "acceleration", "accelerometre", "beschleunigung", "beschl",
        "beschleunigungssensor", "aceleracion", "acelerometro", "accelerazione", "accelerometro", "aceleracao",
        "versnelling", "a", "gf", "gforce", "total", "totalacceleration", "adxl", "vib", "vibration",
    }),
}  # fmt: skip
_WORDS = sorted({word for words in _KINDS.values() for word in words}, key=len, reverse=True)
_GLUED = re.compile(rf"(?P<word>{'|'.join(_WORDS)})(?P<axis>[xyz])(?P<number>\d*)")
_LEADING = re.compile(rf"(?P<axis>[xyz])(?P<word>{'|'.join(_WORDS)})(?P<number>\d*)")
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")

LABEL_NAMES = frozenset(
    {
        "label", "labels", "class", "classes", "activity", "state", "target", "gesture", "condition", "klasse",
        "aktivitat", "zustand", "etiquette", "classe", "activite", "etiqueta", "clase", "actividad", "etichetta",
    }
)  # fmt: skip
GROUP_NAMES = (
    "group", "subject", "user", "person", "participant", "driver", "volunteer", "rider", "proband",
    "benutzer", "personne", "sujet", "persona", "sujeto", "soggetto", "block", "drive", "session",
    "device", "machine", "day",
)  # fmt: skip
RECORDING_NAMES = (
    "recording", "rec", "experiment", "exp", "session", "drive", "trial", "take", "file", "filename", "sequence", "run",
    "sample_id", "series",
)  # fmt: skip
SENSOR_NAMES = frozenset({"sensor", "sensortype", "sensor_type", "sensorname", "sensor_name", "type", "source"})
TIME_WORDS = frozenset({
    "time", "timestamp", "timestamps", "times", "t", "ts", "elapsed", "loggingtime", "zeit", "zeitstempel", "temps",
    "tiempo", "tempo", "tijd", "clock", "date", "datetime", "epoch", "utc", "uptime", "tick", "ticks", "uhrzeit",
    "datum", "heure", "hora", "ms", "us", "ns", "millis", "micros",
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

    >>> tokens_of("gyrY"), tokens_of("Gyroscope y (rad/s)"), tokens_of("body_acc_y"), tokens_of("Accélération Y [m/s2]")
    (['gyr', 'y'], ['gyroscope', 'y'], ['body', 'acc', 'y'], ['acceleration', 'y'])
    """
    plain = "".join(one for one in unicodedata.normalize("NFKD", without_unit(name)) if not unicodedata.combining(one))
    return [token.lower() for token in _CAMEL.findall(plain)]


def axis_of(name: str) -> Axis | None:
    """Find sensor and axis in the name of a column; None if it names no axis.

    >>> axis_of("gyrY").axis, axis_of("gyrY").kind, axis_of("ax").kind, axis_of("x_acc").stem, axis_of("temperature")
    ('y', 'rotation', 'acceleration', 'acc', None)
    >>> axis_of("acc_x_mG").stem, axis_of("x_g").kind
    ('acc', 'rotation')
    """
    tokens = tokens_of(_split_unit(name)[0])
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

    >>> kind_of(["body", "acc"]), kind_of(["gyroscope"]), kind_of(["b", "accel"]), kind_of(["uncalibrated"])
    ('linear', 'rotation', 'acceleration', 'plain')
    """
    words = {token.rstrip("0123456789") for token in tokens}
    if words & {"body", "user", "linear", "lineare", "lineaire", "lineal", "lin"} and words & _KINDS["rotation"]:
        return "rotation"
    if {"g", "force"} <= words:
        return "acceleration"
    longer = {word for word in words if len(word) > 1}  # letters of a device, `B5F0_Accel_X`, tell less than words
    return next((kind for some in (longer, words) for kind, known in _KINDS.items() if some & known), "plain")


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

    >>> [unit_of_name(name) for name in ("acc_x[mg]", "gyr_y_dps", "ax_g", "x_m/s^2", "x_g", "ax")]
    ['mg', 'deg/s', 'g', 'm/s^2', None, None]
    """
    in_brackets = unit_in_name(name)
    return _split_unit(name)[1] if in_brackets is None else unit_of(in_brackets)


def _split_unit(name: str) -> tuple[str, str | None]:
    """Split off the unit that the last words of a name are. In ``x_g`` the last word names the sensor."""
    words = re.split(r"[_\s]+", without_unit(name))
    for count in (2, 1):
        tail = words[-count:]
        is_sensor = "".join(words[:-count]).lower() in ("x", "y", "z") and "".join(tail).lower() in _WORDS
        if len(words) > count and not is_sensor:
            unit = unit_of("/".join(tail)) or unit_of("".join(tail))
            if unit is not None:
                return "_".join(words[:-count]), unit
    return name, None
