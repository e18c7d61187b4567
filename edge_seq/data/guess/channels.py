"""Choose the channels among the columns of numbers, and their units and scales."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.guess.clues.columns import (
    SENSOR_TITLES,
    Axis,
    ColumnRole,
    Kind,
    kind_of,
    sensors_in,
    tokens_of,
    unit_of_name,
)
from edge_seq.data.guess.clues.scale import (
    Measured,
    Scale,
    is_gravity,
    kind_of_unit,
    mean_lengths,
    scale_of,
)
from edge_seq.data.guess.look import Look
from edge_seq.data.layout import sensor_of
from edge_seq.data.units import CHANNEL_UNIT, unit_of, without_unit
from edge_seq.ir.contract import Unit
from edge_seq.support.errors import DataError

MAX_PLAIN = 12
_UNIT_SIGNS = re.compile(r"[/^²³⁻·°]|s-?[12]\b|\brpm\b|\bhz\b", re.IGNORECASE)  # what no note in brackets holds


@dataclass(frozen=True)
class Chosen:
    """Channels, and why.

    Attributes:
        channels: table of each channel, in the order of the columns.
        said: sentences about them.
        roles: role of each column.
        problems: what would make the channels wrong.
    """

    channels: list[dict[str, Any]]
    said: list[str]
    roles: list[ColumnRole]
    problems: list[str]


def choose_channels(looks: Sequence[Look], columns: Sequence[str], *, in_sensors: bool = False) -> Chosen:
    """Choose channels.

    Args:
        looks: all files.
        columns: columns of numbers that have no other role.
        in_sensors: True if the names of columns are ``sensor/column``.

    Raises:
        DataError: no column changes.
    """
    sensors = _known_by_unit(looks, sensors_in(columns))
    roles: list[ColumnRole] = []
    said: list[str] = []
    problems: list[str] = []
    chosen = _chosen(looks, sensors)
    names = {one.column for stem in chosen for one in sensors[stem]}
    if not chosen:
        plain = [name for name in columns if _varies(looks, name)][:MAX_PLAIN]
        if not plain:
            raise DataError(
                f"{looks[0].path.name}: no column of numbers ({', '.join(columns)}) changes; record a motion"
            )
        alone = [Axis(name, name, "", "rotation" if kind_of(tokens_of(name)) == "rotation" else "plain")
                 for name in plain]  # fmt: skip
        is_vector = all(one.kind == "plain" for one in alone) and is_gravity(_levels_of(looks, alone), surely=True)
        parts = [("", alone)] if is_vector else [("", [one]) for one in alone]  # `longitudinal, lateral, vertical`
        names = set(plain)
        said.append(f"no column names an axis; all columns of numbers are channels: {', '.join(plain)}")
    else:
        parts = [(stem, sensors[stem]) for stem in chosen]
    tables: dict[str, dict[str, Any]] = {}
    for stem, axes in parts:
        scale = _scale(looks, axes, is_alone=len(parts) == 1)
        said += scale.said
        problems += _strange_units(looks, axes)
        for axis in axes:
            tables[axis.column] = scale.fields
            what = f"{axis.axis} of {SENSOR_TITLES[axis.kind]}" if axis.axis else "a signal"
            reason = f"its name: {stem or 'plain'} {axis.axis}".strip() if axis.axis else "a column of numbers"
            roles.append(ColumnRole(axis.column, "channel", f"{what}, {scale.fields['unit']}", reason))
    unused = [name for name in columns if name not in names]
    for name in unused:
        roles.append(ColumnRole(name, "unused", "", _why_not(name, sensors, chosen)))
    if unused:
        shown = ", ".join(unused[:8]) + (f" and {len(unused) - 8} more" if len(unused) > 8 else "")
        said.append(f"columns of numbers that are not used: {shown}")
    channels = [_channel(name, tables[name], columns, in_sensors) for name in columns if name in tables]
    return Chosen(channels, said, roles, problems)


def _channel(column: str, scale: dict[str, Any], columns: Sequence[str], in_sensors: bool) -> dict[str, Any]:
    """Table of a channel; its name is that of the column without the unit, and with the sensor if needed."""

    def short(name: str) -> str:
        return without_unit(sensor_of(name)[1] if in_sensors else name).replace("*", "")

    own = short(column)
    if sum(short(one) == own for one in columns) > 1:
        own = f"{sensor_of(column)[0]} {own}" if in_sensors else column
    return {"name": own, **({"column": column} if own != column else {}), **scale}


def _known_by_unit(looks: Sequence[Look], sensors: dict[str, list[Axis]]) -> dict[str, list[Axis]]:
    """Sensors of no known name become what the unit of their columns says.

    A single letter for a magnetometer, ``Bx``, is no name if the values are gravity and not a magnetic field.
    """
    known: dict[str, list[Axis]] = {}
    for stem, axes in sensors.items():
        units = {_stated(look, one.column) for look in looks for one in axes} - {None}
        kinds = {kind_of_unit(str(unit)) for unit in units}
        kind = axes[0].kind
        if kind == "magnetic" and len(stem) == 1 and not units and is_gravity(_levels_of(looks, axes), surely=True):
            kind = "plain"
        if kind == "plain" and len(kinds) == 1:
            kind = next(iter(kinds))
        known[stem] = [replace(one, kind=kind) for one in axes]
    return known


def _chosen(looks: Sequence[Look], sensors: dict[str, list[Axis]]) -> list[str]:
    """Stems of the sensors to use: an accelerometer with gravity where there is one, and a gyroscope."""
    by_kind: dict[Kind, list[str]] = {}
    for stem, axes in sensors.items():
        by_kind.setdefault(axes[0].kind, []).append(stem)
    plain = by_kind.get("plain", [])
    if len(plain) > 1:  # names that tell nothing: the accelerometer is the one that measures gravity
        plain = [stem for stem in plain if is_gravity(_levels_of(looks, sensors[stem]), surely=True)] or plain
    moving = by_kind.get("acceleration") or plain or by_kind.get("linear") or []
    chosen = [*moving, *by_kind.get("rotation", [])]
    if not chosen:
        chosen = by_kind.get("gravity") or by_kind.get("magnetic") or []
    order = list(sensors)
    return sorted(chosen, key=order.index)


def _why_not(name: str, sensors: dict[str, list[Axis]], chosen: Sequence[str]) -> str:
    for stem, axes in sensors.items():
        if any(one.column == name for one in axes) and stem not in chosen:
            match axes[0].kind:
                case "linear" | "gravity" | "orientation":
                    return (
                        f"{SENSOR_TITLES[axes[0].kind]}: a phone computes it, the sensor on a device does not give it"
                    )
                case "magnetic":
                    return "magnetometer: its values depend on the place; name it as a channel to use it"
                case _:
                    return f"{SENSOR_TITLES[axes[0].kind]}: another sensor is used"
    kind = kind_of(tokens_of(name))
    if kind == "orientation":
        return "an angle: a phone computes it, the sensor on a device does not give it"
    return "its name gives no axis x, y or z of a sensor"


def _varies(looks: Sequence[Look], name: str) -> bool:
    return any(len(np.unique(look.numbers[name][:1000])) > 1 for look in looks)


def _scale(looks: Sequence[Look], axes: Sequence[Axis], *, is_alone: bool) -> Scale:
    names = [one.column for one in axes]
    kind = axes[0].kind
    stated = {unit for look in looks for name in names if (unit := _stated(look, name)) is not None}
    largest = max(look.largest[name] for look in looks for name in names)
    is_whole = all(bool((np.nan_to_num(look.numbers[name]) % 1 == 0).all()) for look in looks for name in names)
    title = ", ".join(names)
    preamble = tuple(line for look in looks[:1] for line in look.preamble)
    unit = stated.pop() if len(stated) == 1 else None
    if kind == "magnetic" and unit is None:
        return scale_of(title, None, True, Measured(largest, np.empty(0), is_whole), (), usual="uT")
    turning = kind in ("rotation", "orientation") or (unit is not None and kind_of_unit(unit) == "rotation")
    levels = _levels_of(looks, axes)
    if kind == "linear" and not is_gravity(levels, surely=True):
        levels = np.empty(0)  # no gravity in it, so its size does not tell the unit
    if axes[0].stem == "g" and unit is None and is_alone and is_gravity(levels):
        turning = False  # gx, gy, gz without an accelerometer: acceleration in g
    usual: Unit = "g" if "user" in axes[0].stem else "m/s^2"  # userAcceleration is Apple's, in g
    return scale_of(title, unit, not turning, Measured(largest, levels, is_whole), preamble, usual=usual)


def _levels_of(looks: Sequence[Look], axes: Sequence[Axis]) -> NDArray[np.float64]:
    if len(axes) != 3:
        return np.empty(0)
    return mean_lengths([np.stack([look.numbers[one.column] for one in axes], axis=1) for look in looks])


def _strange_units(looks: Sequence[Look], axes: Sequence[Axis]) -> list[str]:
    """A unit in the files that is unknown, or differs between files or axes."""
    found = {text for look in looks for one in axes if (text := look.units.get(one.column))}
    unknown = sorted(
        text for text in found if unit_of(text) is None and _UNIT_SIGNS.search(text) and text.lower() != "n/a"
    )
    title = ", ".join(one.column for one in axes)
    known = {_stated(look, one.column) for look in looks for one in axes} - {None}
    if unknown:
        return [
            f"the unit {unknown[0]!r} of {title} is unknown; expected one of {[*get_args(Unit), *CHANNEL_UNIT]}. "
            "Convert the values, or give their unit with column_unit in the data source"
        ]
    if len(known) > 1:
        return [
            f"{title} are in several units ({', '.join(sorted(map(str, known)))}); give files and axes of a sensor one "
            "unit, or give each channel its column_unit in the data source"
        ]
    return []


def _stated(look: Look, name: str) -> str | None:
    found = look.units.get(name)
    return (unit_of(found) if found else None) or unit_of_name(name)
