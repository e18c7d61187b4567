"""Choose the channels among the columns of numbers, and their units and scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.guess.clues.columns import (
    SENSOR_TITLES,
    Axis,
    ColumnRole,
    Kind,
    bare_name,
    kind_of,
    sensors_in,
    tokens_of,
    unit_of_name,
)
from edge_seq.data.guess.clues.scale import Measured, Scale, is_gravity, scale_of
from edge_seq.data.guess.look import Look
from edge_seq.data.layout import sensor_of
from edge_seq.data.units import unit_of
from edge_seq.ir.contract import Unit

_BLOCK_ROWS = 50
MAX_PLAIN = 12


def choose_channels(
    looks: Sequence[Look], columns: Sequence[str], *, in_sensors: bool = False
) -> tuple[list[dict[str, Any]], list[str], list[ColumnRole]]:
    """Choose channels.

    Args:
        looks: all files.
        columns: columns of numbers that have no other role.
        in_sensors: True if the names of columns are ``sensor/column``.

    Returns:
        table of each channel, sentences about them, and the role of each column.
    """
    sensors = sensors_in(columns)
    roles: list[ColumnRole] = []
    said: list[str] = []
    chosen = _chosen(sensors)
    names = {one.column for stem in chosen for one in sensors[stem]}
    if not chosen:
        plain = [name for name in columns if _varies(looks, name)][:MAX_PLAIN]
        parts = [("", [Axis(name, name, "", "plain")]) for name in plain]
        names = set(plain)
        if plain:
            said.append(f"no column names an axis; all columns of numbers are channels: {', '.join(plain)}")
    else:
        parts = [(stem, sensors[stem]) for stem in chosen]
    tables: dict[str, dict[str, Any]] = {}
    for stem, axes in parts:
        scale = _scale(looks, axes, is_alone=len(parts) == 1)
        said += scale.said
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
    return [_channel(name, tables[name], columns, in_sensors) for name in columns if name in tables], said, roles


def _channel(column: str, scale: dict[str, Any], columns: Sequence[str], in_sensors: bool) -> dict[str, Any]:
    """Table of a channel; its name is that of the column without the unit, and with the sensor if needed."""

    def short(name: str) -> str:
        return bare_name(sensor_of(name)[1] if in_sensors else name)

    own = short(column)
    if sum(short(one) == own for one in columns) > 1:
        own = f"{sensor_of(column)[0]} {own}" if in_sensors else column
    return {"name": own, **({"column": column} if own != column else {}), **scale}


def _chosen(sensors: dict[str, list[Axis]]) -> list[str]:
    """Stems of the sensors to use: an accelerometer with gravity where there is one, and a gyroscope."""
    by_kind: dict[Kind, list[str]] = {}
    for stem, axes in sensors.items():
        by_kind.setdefault(axes[0].kind, []).append(stem)
    moving = by_kind.get("acceleration") or by_kind.get("plain") or by_kind.get("linear") or []
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
    values = [np.stack([look.numbers[name] for name in names], axis=1) for look in looks]
    largest = max(look.largest[name] for look in looks for name in names)
    is_whole = all(bool((np.nan_to_num(one) % 1 == 0).all()) for one in values)
    title = ", ".join(names)
    preamble = tuple(line for look in looks[:1] for line in look.preamble)
    unit = stated.pop() if len(stated) == 1 else None
    if kind == "magnetic" and unit is None:
        unit = "uT"
    turning = kind in ("rotation", "orientation") or unit in ("deg/s", "rad/s", "mdps", "mrad/s")
    levels = _levels(values) if len(names) == 3 else np.empty(0)
    if axes[0].stem == "g" and unit is None and is_alone and is_gravity(levels):
        turning = False  # gx, gy, gz without an accelerometer: acceleration in g
    usual: Unit = "g" if "user" in axes[0].stem else "m/s^2"  # userAcceleration is Apple's, in g; others are Android's
    without_gravity = usual if kind == "linear" else None
    measured = Measured(largest, levels, is_whole)
    return scale_of(title, unit, not turning, measured, preamble, without_gravity=without_gravity)


def _stated(look: Look, name: str) -> str | None:
    found = look.units.get(name)
    return (unit_of(found) if found else None) or unit_of_name(name)


def _levels(values: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Length of the mean vector of each stretch of 50 samples, over all files."""
    lengths = [np.empty(0)]
    for one in values:
        one = one[np.isfinite(one).all(axis=1)]
        block = max(1, min(_BLOCK_ROWS, len(one)))
        if len(one):
            means = one[: len(one) // block * block].reshape(-1, block, 3).mean(axis=1)
            lengths.append(np.linalg.norm(means, axis=1))
    return np.concatenate(lengths)
