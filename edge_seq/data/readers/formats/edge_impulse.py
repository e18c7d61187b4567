"""Content of Edge Impulse's acquisition files, the same in JSON and in CBOR.

::

    {"protected": {"ver": "v1", "alg": "HS256", "iat": 1564128599},
     "signature": "b0ee...",
     "payload": {"device_name": "ac:87:a3:0a:2d:1b", "device_type": "DISCO-L475VG-IOT01A", "interval_ms": 10,
                 "sensors": [{"name": "accX", "units": "m/s2"}, ...],
                 "values": [[-9.81, 0.03, 1.21], ...]}}

The signature is kept with the recording and **not verified**, because only the Edge Impulse project that recorded the
file has the key. The file contains no label. The label is in the file's name (``walk.3fa1.json``:
``label_from = "file_name"``) or elsewhere.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.readers.table import ReadOptions, Table, check_header, constant_column
from edge_seq.support.errors import DataError

_NO_UNIT = {"n/a", "na", "none", "-", "unknown", "units"}  # what uploaders write where they know no unit
DETAILS = ("device_name", "device_type")
UNVERIFIED = "signature of the file kept, not verified"
# RFC 8746: tags of typed arrays, whose numbers are one byte string, and the dtype of each.
_TYPED_ARRAYS = {
    64: "u1", 65: ">u2", 66: ">u4", 69: "<u2", 70: "<u4", 72: "i1", 73: ">i2", 74: ">i4", 77: "<i2", 78: "<i4",
    81: ">f4", 82: ">f8", 85: "<f4", 86: "<f8",
}  # fmt: skip


def table_of_acquisition(document: Any, options: ReadOptions, *, where: str) -> Table:
    """Read the requested columns, their units and the times of an acquisition file.

    Args:
        document: decoded content of the file.
        options: columns to read; ``device_name`` and ``device_type`` are columns of text.
        where: name of the file, for messages.

    Raises:
        DataError: a field is missing or of another type, or the values are not one row of numbers for each sample.
        ContractError: a column is missing.
    """
    payload = document.get("payload") if isinstance(document, dict) else None
    if not isinstance(payload, dict):
        raise DataError(
            f"{where}: no payload; expected an acquisition file of Edge Impulse. If it is not a recording, "
            "give `format` in the data source, or move it out of path"
        )
    names, units = _sensors(payload, where)
    details = {key: str(payload[key]) for key in DETAILS if payload.get(key)}
    missing = [name for name in options.text if name not in details]
    if missing:
        raise DataError(
            f"{where}: an acquisition file holds no column {missing} of text, only {list(details)}. Its class is in "
            'the file\'s name: set label_from = "file_name" (or "folder", "manifest", "intervals")'
        )
    check_header((*names, *details), options, where=where)
    values = _values(payload.get("values"), len(names), where)
    interval_ms = payload.get("interval_ms")
    if isinstance(interval_ms, bool) or not isinstance(interval_ms, int | float) or not 0 < interval_ms < math.inf:
        raise DataError(
            f"{where}: interval_ms is {interval_ms!r}; expected the positive time between two samples in ms"
        )
    signature = str(document.get("signature") or "")
    return Table(
        where=where,
        numeric={name: values[:, names.index(name)] for name in options.numeric},
        text={name: constant_column(details[name], len(values)) for name in options.text},
        num_rows=len(values),
        time_s=np.arange(len(values), dtype=np.float64) * (interval_ms / 1000.0),
        units=dict(zip(names, units, strict=True)),
        details={**details, **({"signature": signature} if signature else {})},
        notes=(UNVERIFIED,) if signature else (),
    )


def _sensors(payload: dict[str, Any], where: str) -> tuple[list[str], list[str]]:
    sensors = payload.get("sensors")
    if not isinstance(sensors, list) or not sensors or not all(_is_sensor(one) for one in sensors):
        raise DataError(f"{where}: sensors is {repr(sensors)[:80]}; expected a list of name and units of each axis")
    units = [str(one.get("units") or "") for one in sensors]
    return [one["name"] for one in sensors], ["" if unit.strip().lower() in _NO_UNIT else unit for unit in units]


def _is_sensor(one: Any) -> bool:
    return isinstance(one, dict) and isinstance(one.get("name"), str)


def _values(found: Any, num_sensors: int, where: str) -> NDArray[np.float64]:
    """Convert the values to float64 [N, number of sensors]. The values of one sensor may be a flat list."""
    if isinstance(found, list) and any(_is_typed(row) for row in found):
        found = [_typed(row, where) if _is_typed(row) else row for row in found]
    elif _is_typed(found):
        found = _typed(found, where)
    try:
        values = np.array(found if found is not None else [], dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{where}: values are not a table of numbers ({error}); expected a row of {num_sensors} numbers per sample"
        ) from error
    if values.ndim == 1 and values.size and (num_sensors == 1 or len(values) % num_sensors == 0) and _is_flat(found):
        values = values.reshape(-1, num_sensors)
    if values.ndim != 2 or values.shape[1] != num_sensors or not len(values):
        raise DataError(
            f"{where}: values have the shape {list(values.shape)}; expected a row of {num_sensors} numbers per sample, "
            "and at least one row"
        )
    return values


def _is_flat(found: Any) -> bool:
    """True if values are flat: a typed array is, also for several sensors; a list of lists is not."""
    return isinstance(found, np.ndarray) or not isinstance(found[0], list)


def _is_typed(one: Any) -> bool:
    return hasattr(one, "tag") and isinstance(getattr(one, "value", None), bytes)


def _typed(one: Any, where: str) -> NDArray[Any]:
    kind = _TYPED_ARRAYS.get(one.tag)
    if kind is None:
        raise DataError(
            f"{where}: values have the CBOR tag {one.tag}; expected a typed array of numbers (RFC 8746). Export the "
            "file again"
        )
    try:
        return np.frombuffer(one.value, dtype=kind)
    except ValueError as error:
        raise DataError(f"{where}: values are cut off ({error}); copy or record the file again") from error
