"""Names of units as files and people write them, and conversion factors."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from edge_seq.ir.contract import Unit
from edge_seq.support.errors import ContractError

STANDARD_GRAVITY = 9.80665  # m/s^2 in 1 g, by definition
DEGREES_IN_RADIAN = 57.29577951308232

# Spellings as `_plain` leaves them. The text in brackets of a header (`Acceleration x (m/s^2)`) is looked up too.
_SPELLINGS: dict[str, tuple[str, ...]] = {
    "m/s^2": ("m/s2", "m/s/s", "mps2", "ms-2", "ms2"),
    "g": ("g", "gs", "g's", "gn", "g0", "gravity"),
    "mg": ("mg", "milli-g", "millig"),
    "rad/s": ("rad/s", "radians/s", "rads-1"),
    "deg/s": ("deg/s", "dps", "°/s", "degrees/s", "degs-1", "°s-1"),
    "uT": ("ut", "µt", "microtesla"),
    "counts": ("counts", "count", "lsb", "raw", "digits", "digit", "adc"),
    # Units of columns only: a channel of the contract is in one of the units above.
    "mm/s^2": ("mm/s2", "mms-2"),
    "cm/s^2": ("cm/s2", "cms-2", "gal"),
    "mdps": ("mdps", "mdeg/s", "millidps", "m°/s"),
    "mrad/s": ("mrad/s", "mrads-1"),
}
_BY_SPELLING = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings}
_PLAIN = str.maketrans(dict.fromkeys("^*·⋅.()[]") | {"²": "2", "¹": "1", "⁻": "-", "\u2212": "-", "º": "°", "μ": "µ"})
# Value of each unit in the first unit of its kind. Ratios of fractions are rounded once, so 1 g is exactly 1000 mg.
_GRAVITY, _DEGREE, _MILLI = Fraction(str(STANDARD_GRAVITY)), 1 / Fraction(DEGREES_IN_RADIAN), Fraction(1, 1000)
_KINDS: tuple[dict[str, Fraction], ...] = (
    {"m/s^2": Fraction(1), "g": _GRAVITY, "mg": _MILLI * _GRAVITY, "mm/s^2": _MILLI, "cm/s^2": 10 * _MILLI},
    {"rad/s": Fraction(1), "deg/s": _DEGREE, "mdps": _MILLI * _DEGREE, "mrad/s": _MILLI},
    {"uT": Fraction(1)},
)
# Channel unit for a column unit that no channel has.
CHANNEL_UNIT: dict[str, Unit] = {"mm/s^2": "m/s^2", "cm/s^2": "m/s^2", "mdps": "deg/s", "mrad/s": "rad/s"}
_UNIT_IN_NAME = re.compile(r"[(\[]((?:[^()\[\]]|\([^()\[\]]*\))+)[)\]]\s*$")
GRAVITY_IN: dict[Unit, float] = {"m/s^2": STANDARD_GRAVITY, "g": 1.0, "mg": 1000.0}


def unit_of(text: str) -> str | None:
    """Find the unit of a column that a name means: a unit of channels, or a part of one; None if the name is unknown.

    >>> unit_of("m/s2"), unit_of("m·s⁻²"), unit_of("°.s-1"), unit_of("DPS"), unit_of("deg/sec"), unit_of("mV")
    ('m/s^2', 'm/s^2', 'deg/s', 'deg/s', 'deg/s', None)
    """
    return _BY_SPELLING.get(_plain(text))


def _plain(text: str) -> str:
    """Lower case, without blanks, brackets and signs of powers and products; ``sec`` is ``s``."""
    return re.sub(r"sec(ond)?(?![a-z])", "s", "".join(text.lower().translate(_PLAIN).split()))


def unit_in_name(name: str) -> str | None:
    """Find the text in brackets at the end of a column's name; None if there is none.

    >>> unit_in_name("Acceleration x (m/s^2)"), unit_in_name("gyr_x[mdps]"), unit_in_name("ax")
    ('m/s^2', 'mdps', None)
    """
    match = _UNIT_IN_NAME.search(name)
    return match.group(1).strip() if match else None


def without_unit(name: str) -> str:
    """A name without the text in brackets at its end.

    >>> without_unit("Time (s)"), without_unit("Acc X (m/(s^2))")
    ('Time', 'Acc X')
    """
    return _UNIT_IN_NAME.sub("", name).strip()


def unit_named(text: str, *, what: str) -> str:
    """Find the unit that a name means.

    Args:
        text: name of the unit.
        what: channel or column that has the unit, for the message.

    Raises:
        ContractError: the name is unknown.
    """
    unit = unit_of(text)
    if unit is None:
        raise ContractError(
            f"{what}: unit {text!r} is unknown; give one of {[*get_args(Unit), *CHANNEL_UNIT]} with column_unit"
        )
    return unit


def conversion_factor(found: str, wanted: Unit, *, what: str) -> float:
    """Compute the factor that converts a value in ``found`` to ``wanted``.

    Args:
        found: unit of the value.
        wanted: unit to convert to.
        what: channel or column that has the value, for the message.

    Raises:
        ContractError: the units measure different quantities, or one of them is ``counts``.

    >>> conversion_factor("mg", "g", what="ax"), conversion_factor("deg/s", "rad/s", what="gx")
    (0.001, 0.017453292519943295)
    """
    if found == wanted:
        return 1.0
    for kind in _KINDS:
        if found in kind and wanted in kind:
            return float(kind[found] / kind[wanted])
    hint = (
        "Give column_full_scale, the value of the largest count"
        if found == "counts"
        else "Give the channel a physical unit with counts_per_unit"
        if wanted == "counts"
        else "Correct the unit of the channel or of the column"
    )
    raise ContractError(f"{what}: the data are in {found}, the channel in {wanted}, with no factor between. {hint}")


def rotation_about(axis: NDArray[np.float64], degrees: float) -> NDArray[np.float64]:
    """Compute the rotation matrix float64 [3, 3] about a unit vector (Rodrigues 1840): I + sin(a) K + (1 - cos(a)) K K.

    >>> (rotation_about(np.array([0.0, 0.0, 1.0]), 90.0) @ [1, 0, 0]).round(12).tolist()
    [0.0, 1.0, 0.0]
    """
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    angle = np.radians(degrees)
    rotation: NDArray[np.float64] = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return rotation
