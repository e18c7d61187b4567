"""Names of units as files and people write them, and conversion factors."""

from __future__ import annotations

from typing import get_args

from edge_seq.ir.contract import Unit
from edge_seq.support.errors import ContractError

STANDARD_GRAVITY = 9.80665  # m/s^2 in 1 g, by definition
DEGREES_IN_RADIAN = 57.29577951308232

# Spellings in lower case, without blanks. The text in brackets of a header (`Acceleration x (m/s^2)`) is looked up too.
_SPELLINGS: dict[Unit, tuple[str, ...]] = {
    "m/s^2": ("m/s^2", "m/s2", "m/s²", "m/s**2", "m/s/s", "mps2", "mps^2", "ms-2", "ms^-2", "m*s^-2"),
    "g": ("g", "gs", "gn", "g0", "gravity"),
    "mg": ("mg", "milli-g", "millig"),
    "rad/s": ("rad/s", "rad/sec", "radians/s", "rads-1", "rads^-1"),
    "deg/s": ("deg/s", "deg/sec", "dps", "°/s", "degrees/s"),
    "counts": ("counts", "count", "lsb", "raw", "digits"),
}
_BY_SPELLING = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings}
# Value of each unit in the first unit of its kind.
_KINDS: tuple[dict[Unit, float], ...] = (
    {"m/s^2": 1.0, "g": STANDARD_GRAVITY, "mg": STANDARD_GRAVITY / 1000},
    {"rad/s": 1.0, "deg/s": 1 / DEGREES_IN_RADIAN},
)
GRAVITY_IN: dict[Unit, float] = {"m/s^2": STANDARD_GRAVITY, "g": 1.0, "mg": 1000.0}


def unit_of(text: str) -> Unit | None:
    """Find the unit that a name means; None if the name is unknown.

    >>> unit_of("m/s2"), unit_of("DPS"), unit_of("mV")
    ('m/s^2', 'deg/s', None)
    """
    return _BY_SPELLING.get("".join(text.lower().split()))


def unit_named(text: str, *, what: str) -> Unit:
    """Find the unit that a name means.

    Args:
        text: name of the unit.
        what: channel or column that has the unit, for the message.

    Raises:
        ContractError: the name is unknown.
    """
    unit = unit_of(text)
    if unit is None:
        raise ContractError(f"{what}: unit {text!r} is unknown; give one of {list(get_args(Unit))}")
    return unit


def conversion_factor(found: Unit, wanted: Unit, *, what: str) -> float:
    """Compute the factor that converts a value in ``found`` to ``wanted``.

    Args:
        found: unit of the value.
        wanted: unit to convert to.
        what: channel or column that has the value, for the message.

    Raises:
        ContractError: the units measure different quantities, or one of them is ``counts``.

    >>> conversion_factor("mg", "g", what="ax"), round(conversion_factor("deg/s", "rad/s", what="gx"), 5)
    (0.001, 0.01745)
    """
    if found == wanted:
        return 1.0
    for kind in _KINDS:
        if found in kind and wanted in kind:
            return round(kind[found] / kind[wanted], 15)
    hint = (
        "Give column_full_scale, the value of the largest count"
        if found == "counts"
        else "Give the channel a physical unit with counts_per_unit"
        if wanted == "counts"
        else "Correct the unit of the channel or of the column"
    )
    raise ContractError(f"{what}: the data are in {found}, the channel in {wanted}, with no factor between. {hint}")
