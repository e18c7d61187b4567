"""The integer primitives of SPEC.md, section 2, on numpy arrays. Everything else is built of these."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.support.errors import RangeProofError

Int64 = NDArray[np.int64]

INT16_MIN, INT16_MAX = -(2**15), 2**15 - 1
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1

MULTIPLIER_SHIFT = 16  # mulw(a, m) = floor(a m / 2^16)
MULTIPLIER_MAX = INT16_MAX
FINE_FRAC_BITS = 15  # fine operands are Q15
COARSE_FRAC_BITS = 7  # coarse operands are Q7: eight bits fewer, as their weights are worth 256 times more
COARSE_DROP = FINE_FRAC_BITS - COARSE_FRAC_BITS
FINE_LIMIT = 2**15  # |fine operand| <= 2^15
COARSE_LIMIT = 2**7  # |coarse operand| <= 2^7, 128 included
LOGIT_FRAC_BITS = 16
# Of the low-pass that estimates gravity: enough that the slowest one (shift 12) comes within a quarter of a count of a
# constant, few enough that 32 bits hold the difference of two extremes.
GRAVITY_FRAC_BITS = 14


def mulw(value: Int64, factor: Int64) -> Int64:
    """floor(value * factor / 2^16): int32 times int16. One instruction on ARMv7E-M (SMULWB), six on ARMv6-M."""
    return (value * factor) >> MULTIPLIER_SHIFT


def rounding_shift(value: Int64, bits: int) -> Int64:
    """floor(value / 2^bits + 1/2): halves go up. ``bits`` of 0 leaves the value."""
    return (value + ((1 << bits) >> 1)) >> bits


def saturate16(value: Int64) -> Int64:
    """The nearest value that 16 bits hold."""
    return np.clip(value, INT16_MIN, INT16_MAX)


def check_int32(value: Int64, what: str) -> Int64:
    """Return ``value``, having seen that 32 bits hold it; the proof says they do, the reference looks.

    Raises:
        RangeProofError: naming what left the range: a defect of the proof, never of the data.
    """
    if value.size and (value.min() < INT32_MIN or value.max() > INT32_MAX):
        raise RangeProofError(
            f"{what} left 32 bits: {int(value.min())} .. {int(value.max())}; the range proof should have refused this "
            "model. Run verify() on it and report the model"
        )
    return value


def integers(array: NDArray[np.integer[Any]]) -> Int64:
    """Widen to int64, in which nothing of the reference can overflow unseen."""
    return array.astype(np.int64)
