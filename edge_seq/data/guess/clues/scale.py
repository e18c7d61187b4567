"""Unit, full scale and counts per unit of a sensor, from all files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.units import CHANNEL_UNIT, DEGREES_IN_RADIAN, GRAVITY_IN, STANDARD_GRAVITY
from edge_seq.ir.contract import Unit

FULL_SCALES: dict[str, tuple[int, ...]] = {
    "g": (2, 4, 8, 16, 32, 64, 100, 200, 400),
    "deg/s": (125, 250, 500, 1000, 2000, 4000),
    "uT": (400, 800, 1600, 4900),
}
_IN_BASE: dict[str, tuple[str, float]] = {
    "g": ("g", 1.0), "mg": ("g", 1e-3), "m/s^2": ("g", 1 / STANDARD_GRAVITY),
    "deg/s": ("deg/s", 1.0), "rad/s": ("deg/s", DEGREES_IN_RADIAN), "uT": ("uT", 1.0),
}  # fmt: skip
_GRAVITY: dict[str, float] = {**dict(GRAVITY_IN.items()), "mm/s^2": 9806.65, "cm/s^2": 980.665}
_NEAR, _NEAR_COUNTS = 0.25, 0.12
_SHARE, _SURE_SHARE = 1 / 3, 0.8  # of all stretches, whose mean is as long as gravity
_ALIKE = 0.06  # gravity does not tell apart units closer than this: 1 mg from 1/1024 g, 1 cm/s^2 from 1 mg
_BLOCK_ROWS = 50
_LEAST_MEAN = 0.3  # of the length of values; the mean of 50 values about zero is shorter
_LARGEST_DPS, _LARGEST_WHOLE_DPS, _LARGEST_RAD = 4500.0, 2100.0, 40.0
_COUNTS = {f"{2.0**power:g}": 2.0**power for power in range(6, 20)}
_LSB = re.compile(
    r"(\d{1,9}(?:\.\d{1,9})?)\s*(?:LSB|counts?|digits?)\s*(?:/|per)\s*(g|dps|\(?deg/s\)?|°/s)", re.IGNORECASE
)
_RANGE = re.compile(r"(?:\+-|\+/-|±|range:?)\s*(\d{1,9}(?:\.\d{1,9})?)\s*(g|dps|deg/s|°/s)\b", re.IGNORECASE)
_WHAT_TO_COMPARE = {
    "g": "the range that the firmware sets in the accelerometer (usually 2, 4, 8 or 16 g)",
    "deg/s": "the range that the firmware sets in the gyroscope (usually 250, 500, 1000 or 2000 deg/s)",
    "uT": "the range of the magnetometer",
}


@dataclass(frozen=True)
class Measured:
    """Facts of the values of one sensor, over all files.

    Attributes:
        largest: largest magnitude.
        levels: float64 [M], length of the mean vector of each stretch of 50 samples; empty without three axes.
        is_whole: True if all values are whole numbers.
    """

    largest: float
    levels: NDArray[np.float64]
    is_whole: bool


@dataclass(frozen=True)
class Scale:
    """Fields of a sensor's channels, and the sentences about them."""

    fields: dict[str, Any]
    said: tuple[str, ...]


def said_in(preamble: Sequence[str], base: str) -> tuple[float | None, float | None]:
    """Counts per unit and range that lines before the header state for a sensor in ``g`` or ``deg/s``.

    >>> said_in(["# accel range +-2g, 16384 LSB/g"], "g")
    (16384.0, 2.0)
    """
    text = "\n".join(preamble)

    def first(pattern: re.Pattern[str]) -> float | None:
        found = {float(value) for value, unit in pattern.findall(text) if (unit.lower() == "g") == (base == "g")}
        return found.pop() if len(found) == 1 else None

    return first(_LSB), first(_RANGE)


def scale_of(
    title: str,
    stated: str | None,
    of_gravity: bool,
    measured: Measured,
    preamble: Sequence[str],
    *,
    usual: Unit = "m/s^2",
) -> Scale:
    """Choose unit, full scale and counts per unit.

    Args:
        title: channels of the sensor, for the sentences.
        stated: unit that the file gives for them.
        of_gravity: True for an accelerometer, False for a gyroscope.
        measured: what the values are like.
        preamble: lines before the header of the files.
        usual: unit of an accelerometer where nothing tells it.
    """
    base = "g" if of_gravity else "deg/s"
    lsb, full = said_in(preamble, base)
    if stated == "uT":
        return _physical(title, "uT", "uT", "as the header says", measured.largest, None)
    if stated is not None and stated != "counts":
        return _physical(title, stated, CHANNEL_UNIT.get(stated, stated), "as the file says", measured.largest, full)
    whole = measured.is_whole and (measured.largest > 100 or stated == "counts")
    known = {} if stated == "counts" else _GRAVITY
    counts = {} if not whole else _COUNTS if lsb is None else {f"{lsb:g}": lsb}
    found = _nearest(measured.levels, known, counts) if of_gravity else None
    as_said = f"counts, {lsb:g} a unit as the file's first lines say" if lsb is not None else ""
    if found is not None:
        how = f"by gravity at rest ({found.level:.5g}){found.doubt}"
        if found.unit in counts:
            how = as_said or f"counts, {found.unit} for 1 g {how}"
            return _counts_of(title, base, counts[found.unit], full, measured.largest, how)
        return _physical(title, found.unit, CHANNEL_UNIT.get(found.unit, found.unit), how, measured.largest, full)
    if whole and lsb is not None:
        return _counts_of(title, base, lsb, full, measured.largest, as_said)
    if not of_gravity and stated is None and not (measured.is_whole and measured.largest > _LARGEST_WHOLE_DPS):
        unit, how = _by_size(measured.largest)
        return _physical(title, unit, CHANNEL_UNIT.get(unit, unit), how, measured.largest, full)
    if measured.is_whole and (stated == "counts" or measured.largest > 40 or not of_gravity):
        return Scale(
            {"unit": "counts", "counts_per_unit": 1, "full_scale": 32767},
            (
                f"{title} in counts of the sensor, since its values are whole numbers of no known unit; the model "
                "takes "
                "the same counts on the device. Give unit, column_unit and column_full_scale if a part with another "
                "range will be used",
            ),
        )
    unit = usual if of_gravity else "deg/s"
    how = "only a guess: neither the header nor gravity at rest tells the unit; "
    how += "compare it with the app or the firmware that recorded, and correct it with column_unit"
    return _physical(title, unit, unit, how, measured.largest, full)


def _by_size(largest: float) -> tuple[str, str]:
    """Unit of a gyroscope by its largest value. A slow motion in one unit is as large as a fast one in another."""
    unit = "mdps" if largest > _LARGEST_DPS else "deg/s" if largest > _LARGEST_RAD else "rad/s"
    return unit, f"only a guess by the size of its values (up to {largest:.4g}); correct it with column_unit"


def kind_of_unit(unit: str) -> Literal["acceleration", "rotation", "magnetic", "plain"]:
    """Kind of sensor that measures in a unit.

    >>> kind_of_unit("mg"), kind_of_unit("mdps"), kind_of_unit("counts")
    ('acceleration', 'rotation', 'plain')
    """
    base = _IN_BASE.get(CHANNEL_UNIT.get(unit, unit), ("", 1.0))[0]
    return {"g": "acceleration", "deg/s": "rotation", "uT": "magnetic"}.get(base, "plain")  # type: ignore[return-value]


def mean_lengths(values: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Length of the mean vector of each stretch of 50 samples, float64 [M]; 0 where values are about zero.

    Args:
        values: float64 [N, 3] of each file.
    """
    lengths = [np.empty(0)]
    for one in values:
        one = one[np.isfinite(one).all(axis=1)]
        block = max(1, min(_BLOCK_ROWS, len(one)))
        if len(one):
            blocks = one[: len(one) // block * block].reshape(-1, block, 3)
            means = np.linalg.norm(blocks.mean(axis=1), axis=1)
            sizes = np.sqrt((blocks**2).sum(axis=2).mean(axis=1))
            lengths.append(np.where(means > _LEAST_MEAN * sizes, means, 0.0))
    return np.concatenate(lengths)


def is_gravity(levels: NDArray[np.float64], *, surely: bool = False) -> bool:
    """True if mean vectors are as long as gravity in some unit in a third of the stretches; surely: in most of them."""
    if surely:  # as near as for counts
        return _nearest(levels, {}, _GRAVITY, _SURE_SHARE) is not None
    return _nearest(levels, _GRAVITY, {}) is not None


@dataclass(frozen=True)
class _Found:
    """Unit that gravity at rest tells, with the median length of what fits, and what else it may be."""

    unit: str
    level: float
    doubt: str


def _nearest(
    levels: NDArray[np.float64], units: Mapping[str, float], counts: Mapping[str, float], share: float = _SHARE
) -> _Found | None:
    """Find the unit, or the counts for 1 g, in which most stretches are as long as gravity; None below a share."""
    fitting: dict[str, tuple[int, float, float]] = {}
    for known, near in ((units, _NEAR), (counts, _NEAR_COUNTS)):
        for unit, gravity in known.items():
            inside = levels[np.abs(levels / gravity - 1.0) < near]
            if inside.size > share * levels.size:
                level = float(np.median(inside))
                fitting[unit] = (inside.size, level, abs(float(np.log(level / gravity))))
    most = max((size for size, _, _ in fitting.values()), default=0)
    ranked = sorted((away, unit) for unit, (size, _, away) in fitting.items() if size >= 0.8 * most)
    if not ranked:
        return None
    (away, unit), *others = ranked
    near_by = [f"counts, {one} for 1 g," if one in counts else one for other, one in others if other < away + _ALIKE]
    doubt = f"; only a guess, since {' or '.join(near_by)} would fit as well" if near_by else ""
    return _Found(unit, fitting[unit][1], doubt)


def _physical(title: str, column_unit: str, unit: str, how: str, largest: float, stated_range: float | None) -> Scale:
    base, factor = _IN_BASE[unit]
    in_unit = largest * _FACTORS.get(column_unit, 1.0)
    in_base = in_unit * factor
    full, why = _full_scale(base, in_base, stated_range)
    per_unit = 32768 / full * factor
    fields = {
        "unit": unit,
        "counts_per_unit": float(f"{per_unit:.6g}"),
        "full_scale": float(f"{full / factor:.6g}"),
    }
    if column_unit != unit:
        fields["column_unit"] = column_unit
    said = [f"{title} in {column_unit}, {how}", _range_words(title, base, full, 32768 / full, why)]
    return Scale(fields, tuple(said))


_FACTORS = {"mm/s^2": 1e-3, "cm/s^2": 1e-2, "mdps": 1e-3, "mrad/s": 1e-3}


def _counts_of(title: str, base: str, lsb: float, stated_range: float | None, largest: float, how: str) -> Scale:
    """Fields of a sensor in counts. Values do not tell how many bits a part has: 16 are likely if they make a range."""
    full, why = _full_scale(base, largest / lsb, stated_range)
    in_16_bits = next((one for one in FULL_SCALES[base] if 0.99 <= 32768 / lsb / one < 1.01), None)
    if full != stated_range and in_16_bits is not None and in_16_bits > full:
        why = f"that of a part of 16 bits; only a guess: {why} is {full:g} {base}"
        full = float(in_16_bits)
    bits = max(2, min(32, int(np.ceil(np.log2(0.99 * full * lsb))) + 1))
    fields: dict[str, Any] = {
        "unit": base,
        "column_unit": "counts",
        "column_full_scale": float(f"{2.0 ** (bits - 1) / lsb:.6g}"),
        "column_bits": bits,
        "counts_per_unit": float(f"{lsb:.6g}"),
        "full_scale": float(f"{full:.6g}"),
    }
    return Scale(fields, (f"{title} in {how}", _range_words(title, base, full, lsb, why)))


def _full_scale(base: str, largest: float, stated_range: float | None) -> tuple[float, str]:
    if stated_range is not None and stated_range >= 0.999 * largest:
        return stated_range, "as the first lines of the file say"
    known = FULL_SCALES[base]
    full = float(next((one for one in known if one >= largest * 0.9999), known[-1]))
    return full, f"the smallest usual range that holds the largest value of all files ({largest:.4g} {base})"


def _range_words(title: str, base: str, full: float, per_unit: float, why: str) -> str:
    return (
        f"full scale {full:g} {base} and {per_unit:g} counts a {base} for {title}: {why}. It must be "
        f"{_WHAT_TO_COMPARE[base]}, and the counts the sensitivity in the part's data sheet; a model with the wrong "
        "range "
        "sees motions of the wrong size"
    )


def channel_unit(column_unit: str) -> Unit:
    """Unit of a channel for a column in ``column_unit``."""
    found: Unit = CHANNEL_UNIT.get(column_unit, column_unit)  # type: ignore[arg-type]
    return found
