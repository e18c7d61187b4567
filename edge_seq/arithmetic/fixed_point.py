"""The integer primitives of SPEC.md, section 2, on numpy arrays. All integer arithmetic is built from these."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.support.errors import RangeProofError

Int64 = NDArray[np.int64]

INT16_MIN, INT16_MAX = -(2**15), 2**15 - 1
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
UINT32_MAX = 2**32 - 1

MULTIPLIER_SHIFT = 16  # mulw(a, m) = floor(a m / 2^16)
MULTIPLIER_MAX = INT16_MAX
FINE_FRAC_BITS = 15  # fine operands are Q15
COARSE_FRAC_BITS = 7  # coarse operands are Q7: eight bits fewer, as their weights count 256 times as much
COARSE_DROP = FINE_FRAC_BITS - COARSE_FRAC_BITS
FINE_LIMIT = 2**15  # |fine operand| <= 2^15
COARSE_LIMIT = 2**7  # |coarse operand| <= 2^7, 128 included
LOGIT_FRAC_BITS = 16
# Fractional bits of the low-pass that estimates gravity. They are enough for the slowest filter (shift 12) to come
# within a quarter of a count of a constant input, and few enough for the difference of two extremes to fit 32 bits.
GRAVITY_FRAC_BITS = 14
COMPANDED_FRAC_BITS = 11  # of a doubling: the 14 doublings above 2 counts fit 16 bits


def mulw(value: Int64, factor: Int64) -> Int64:
    """floor(value * factor / 2^16), int32 times int16. One instruction on ARMv7E-M (SMULWB), six on ARMv6-M.

    >>> mulw(np.array([100000, -3]), np.array([32767, 1])).tolist()
    [49998, -1]
    """
    return (value * factor) >> MULTIPLIER_SHIFT


def rounding_shift(value: Int64, bits: int) -> Int64:
    """floor(value / 2^bits + 1/2): halves round up. With 0 bits the value is unchanged.

    >>> rounding_shift(np.array([3, -3]), 1).tolist()
    [2, -1]
    """
    return (value + ((1 << bits) >> 1)) >> bits


def saturate16(value: Int64) -> Int64:
    """The nearest value that fits 16 bits.

    >>> saturate16(np.array([40000, -40000, 5])).tolist()
    [32767, -32768, 5]
    """
    return np.clip(value, INT16_MIN, INT16_MAX)


def check_int32(value: Int64, what: str) -> Int64:
    """Return ``value`` after checking that it fits 32 bits. The range proof guarantees this; the reference checks it.

    Raises:
        RangeProofError: a value does not fit. This is a defect of the proof, never of the data.
    """
    if value.size and (value.min() < INT32_MIN or value.max() > INT32_MAX):
        raise RangeProofError(
            f"{what} left 32 bits: {int(value.min())} .. {int(value.max())}; the range proof should have refused this "
            "model. Run verify() on it and report the model"
        )
    return value


def mean_reciprocal(count: int) -> tuple[int, int]:
    """Factor and shift with which rshift(mulw(4 S, factor), shift) is the mean of ``count`` values of sum S.

    >>> mean_reciprocal(5)
    (13107, 2)
    """
    shift = count.bit_length() - 1
    return (1 << (14 + shift)) // count, shift


def integers(array: NDArray[np.integer[Any]]) -> Int64:
    """Widen to int64, in which no value of the reference can overflow unnoticed."""
    return array.astype(np.int64)
