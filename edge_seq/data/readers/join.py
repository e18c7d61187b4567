"""Join the sensors of one recording on the clock of the first one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.layout import SENSOR_MARK, sensor_of
from edge_seq.data.readers.clock import seconds_of_ticks, spread
from edge_seq.data.readers.table import Table, TextColumn
from edge_seq.data.source import DataSource
from edge_seq.support.errors import DataError

_LARGEST_STEP = 2.5  # in periods of the sensor; between samples further apart nothing is interpolated


@dataclass(frozen=True)
class Sensor:
    """Samples of one sensor of a recording.

    Attributes:
        time_s: float64 [T], increasing.
        columns: float64 [T] of each column, by the name that channels use.
        breaks: bool [T], true for a sample that follows a break.
    """

    time_s: NDArray[np.float64]
    columns: Mapping[str, NDArray[np.float64]]
    breaks: NDArray[np.bool_]


def join(sensors: Sequence[Sensor], *, name: str) -> Sensor:
    """Interpolate all sensors linearly at the times of the first one, where all of them have samples nearby.

    Args:
        sensors: at least one sensor.
        name: name of the recording, for messages.

    Raises:
        DataError: times do not increase, or the sensors have no time in common.
    """
    for one in sensors:
        if not np.isfinite(one.time_s).all() or (np.diff(one.time_s)[~one.breaks[1:]] <= 0).any():
            raise DataError(
                f"recording {name}: the times of {sorted(one.columns)} do not increase, so its sensors cannot be "
                "joined; "
                "sort the rows and drop duplicates, or use one sensor"
            )
    first = sensors[0]
    if any(one.breaks[1:].any() and (np.diff(one.time_s) <= 0).any() for one in sensors) and len(sensors) > 1:
        raise DataError(
            f"recording {name}: the times begin anew within the recording, so its sensors cannot be joined; cut the "
            "files there, or use one sensor"
        )
    keep = np.ones(len(first.time_s), dtype=np.bool_)
    columns = dict(first.columns)
    for other in sensors[1:]:
        keep &= _covered(first.time_s, other)
        columns.update({key: np.interp(first.time_s, other.time_s, values) for key, values in other.columns.items()})
    if not keep.any():
        raise DataError(
            f"recording {name}: its sensors have no time in common ({_span(sensors)}); expected one clock. Use one "
            "sensor, or correct the times"
        )
    breaks = first.breaks.copy()
    breaks[1:] |= ~keep[:-1]
    return Sensor(first.time_s[keep], {key: values[keep] for key, values in columns.items()}, breaks[keep])


def _covered(time_s: NDArray[np.float64], other: Sensor) -> NDArray[np.bool_]:
    """True where the sensor has a sample at that time, or samples close before and after it."""
    if len(other.time_s) < 2:
        return np.zeros(len(time_s), dtype=np.bool_)
    steps = np.diff(other.time_s)
    longest = _LARGEST_STEP * float(np.median(steps))
    after = np.clip(np.searchsorted(other.time_s, time_s, side="left"), 1, len(other.time_s) - 1)
    inside = (time_s >= other.time_s[0]) & (time_s <= other.time_s[-1])
    exact = (time_s == other.time_s[after]) | (time_s == other.time_s[after - 1])
    near = (steps[after - 1] <= longest) & ~other.breaks[after]
    covered: NDArray[np.bool_] = inside & (near | exact)
    return covered


def _span(sensors: Sequence[Sensor]) -> str:
    return "; ".join(f"{sorted(one.columns)[0]}: {one.time_s[0]:.6g} to {one.time_s[-1]:.6g} s" for one in sensors)


def join_tables(tables: Mapping[str, Table], source: DataSource, *, name: str) -> Table:
    """Join the tables of the sensors of one recording.

    Args:
        tables: table of each sensor, the one that gives the clock first.
        source: the data source.
        name: name of the recording, for messages.

    Raises:
        DataError: the sensors cannot be joined, see :func:`join`.
    """
    joined = join([_sensor(one, sensor, source) for sensor, one in tables.items()], name=name)
    return Table(
        where=name,
        numeric=dict(joined.columns),
        text={},
        num_rows=len(joined.time_s),
        time_s=joined.time_s,
        units={
            f"{sensor}{SENSOR_MARK}{key}": unit for sensor, one in tables.items() for key, unit in one.units.items()
        },
        notes=(f"{' and '.join(tables)} joined by time",) if len(tables) > 1 else (),
        breaks=joined.breaks if joined.breaks.any() else None,
        lost="; ".join(f"{one.where}: {one.lost}" for one in tables.values() if one.lost),
    )


def join_rows(table: Table, source: DataSource) -> Table:
    """Join the sensors of a table that holds them in rows, for each recording of the table.

    Raises:
        DataError: a sensor of a channel has no row in a recording, or the sensors cannot be joined.
    """
    wanted = list(dict.fromkeys(sensor_of(column)[0] for column in source.channel_columns))
    of_row = table.text[str(source.sensor_column)]
    recordings = table.text[source.recording_column] if source.recording_column else None
    pieces = []
    for code in range(len(recordings.values)) if recordings is not None else (0,):
        rows = np.flatnonzero(recordings.codes == code) if recordings is not None else np.arange(table.num_rows)
        name = recordings.values[code] if recordings is not None else table.where
        parts = {}
        for sensor in wanted:
            own = rows[[of_row.values[one] == sensor for one in of_row.codes[rows].tolist()]]
            if not own.size:
                raise DataError(
                    f"recording {name}: no row of sensor {sensor!r} in column {source.sensor_column!r}, which holds "
                    f"{list(of_row.values)[:8]}; correct the columns of the channels"
                )
            parts[sensor] = own
        joined = join([_sensor(_rows(table, own), sensor, source) for sensor, own in parts.items()], name=name)
        # Labels and names of the row that is last at or before each sample of the first sensor.
        first = parts[wanted[0]]
        kept = first[np.isin(_seconds(_rows(table, first), source), joined.time_s)]
        pieces.append((joined, kept))
    numeric = {key: np.concatenate([one.columns[key] for one, _ in pieces]) for key in pieces[0][0].columns}
    kept = np.concatenate([rows for _, rows in pieces])
    breaks = np.concatenate([one.breaks for one, _ in pieces])
    return Table(
        where=table.where,
        numeric=numeric,
        text={key: TextColumn(one.values, one.codes[kept]) for key, one in table.text.items()},
        num_rows=len(kept),
        time_s=np.concatenate([one.time_s for one, _ in pieces]),
        units={column: table.units[key] for column in numeric if (key := sensor_of(column)[1]) in table.units},
        notes=(f"{' and '.join(wanted)} joined by time",) if len(wanted) > 1 else (),
        breaks=breaks if breaks.any() else None,
        lost=table.lost,
    )


def _rows(table: Table, rows: NDArray[np.int64]) -> Table:
    return replace(
        table,
        numeric={key: values[rows] for key, values in table.numeric.items()},
        time_s=None if table.time_s is None else table.time_s[rows],
        num_rows=len(rows),
        breaks=None if table.breaks is None else table.breaks[rows],
    )


def _seconds(table: Table, source: DataSource) -> NDArray[np.float64]:
    if table.time_s is not None:
        return table.time_s
    times = seconds_of_ticks(table.numeric[str(source.time_column)], source.time_unit)
    return spread(times) if source.repeated_times == "spread" else times


def _sensor(table: Table, sensor: str, source: DataSource) -> Sensor:
    columns = [name for one, name in map(sensor_of, source.channel_columns) if one == sensor]
    breaks = np.zeros(table.num_rows, dtype=np.bool_) if table.breaks is None else table.breaks
    return Sensor(
        _seconds(table, source), {f"{sensor}{SENSOR_MARK}{name}": table.numeric[name] for name in columns}, breaks
    )
