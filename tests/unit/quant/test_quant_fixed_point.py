from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge_seq.arithmetic import fixed_point
from edge_seq.arithmetic.fixed_point import (
    INT16_MAX,
    INT16_MIN,
    INT32_MAX,
    INT32_MIN,
    check_int32,
    integers,
    mulw,
    rounding_shift,
    saturate16,
)
from edge_seq.support.errors import RangeProofError
from tests import spec_oracle

int32 = st.integers(INT32_MIN, INT32_MAX) | st.sampled_from([INT32_MIN, INT32_MAX, -1, 0, 1, -(2**16), 2**16 - 1])
int16 = st.integers(INT16_MIN, INT16_MAX) | st.sampled_from([INT16_MIN, INT16_MAX, -1, 0, 1])


def one(value: int) -> np.ndarray:
    return np.array([value], dtype=np.int64)


@given(int32, int16)
@example(INT32_MIN, INT16_MIN)
@example(INT32_MIN, INT16_MAX)
@example(INT32_MAX, INT16_MIN)
@example(INT32_MAX, INT16_MAX)
@example(-1, 1)
def test_mulw(value: int, factor: int) -> None:
    """Equal to Python's integers, and to the 32-bit form of the specification, which the oracle checks."""
    found = int(mulw(one(value), one(factor))[0])
    assert found == value * factor // 2**16
    assert found == spec_oracle.mulw(value, factor)
    assert INT32_MIN <= found <= INT32_MAX


@given(int32, st.integers(0, 31))
@example(INT32_MAX, 31)
@example(INT32_MIN, 31)
@example(-1, 1)
@example(1, 1)
@example(-3, 1)
def test_rounding_shift_rounds_to_nearest_and_halves_up(value: int, bits: int) -> None:
    found = int(rounding_shift(one(value), bits)[0])
    assert found == (2 * value + 2**bits) // 2 ** (bits + 1)
    assert abs(found * 2**bits - value) <= 2**bits // 2
    if bits and value % 2**bits == 2 ** (bits - 1):
        assert found * 2**bits > value


def test_rounding_shift_by_hand() -> None:
    values = np.array([-6, -5, -3, -2, -1, 0, 1, 2, 3, 5, 6], dtype=np.int64)
    assert rounding_shift(values, 2).tolist() == [-1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 2]
    assert np.array_equal(rounding_shift(values, 0), values)


@given(int32)
def test_saturate16(value: int) -> None:
    assert int(saturate16(one(value))[0]) == max(INT16_MIN, min(INT16_MAX, value))


@pytest.mark.parametrize("value", [INT32_MIN, INT32_MAX])
def test_check_int32_passes_what_fits(value: int) -> None:
    assert check_int32(one(value), "an accumulator").tolist() == [value]
    assert check_int32(np.zeros((0, 4), dtype=np.int64), "nothing").shape == (0, 4)


@pytest.mark.parametrize(("low", "high"), [(INT32_MIN - 1, 0), (0, INT32_MAX + 1)])
def test_check_int32_refuses_what_does_not(low: int, high: int) -> None:
    message = rf"an accumulator left 32 bits: {low} \.\. {high}; the range proof should have refused this model"
    with pytest.raises(RangeProofError, match=message):
        check_int32(np.array([low, high], dtype=np.int64), "an accumulator")


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32])
def test_integers_widens(dtype: type) -> None:
    limits = np.array([np.iinfo(dtype).min, np.iinfo(dtype).max], dtype=dtype)
    assert integers(limits).dtype == np.int64
    assert integers(limits).tolist() == limits.tolist()


def test_the_constants_are_those_of_the_specification() -> None:
    assert (INT16_MIN, INT16_MAX, INT32_MIN, INT32_MAX) == (-32_768, 32_767, -2_147_483_648, 2_147_483_647)
    assert (fixed_point.MULTIPLIER_SHIFT, fixed_point.MULTIPLIER_MAX) == (16, 32_767)
    assert (fixed_point.FINE_FRAC_BITS, fixed_point.COARSE_FRAC_BITS, fixed_point.COARSE_DROP) == (15, 7, 8)
    assert (fixed_point.FINE_LIMIT, fixed_point.COARSE_LIMIT) == (32_768, 128)
    assert (fixed_point.LOGIT_FRAC_BITS, fixed_point.GRAVITY_FRAC_BITS) == (16, 14)
    assert (fixed_point.COMPANDED_FRAC_BITS, fixed_point.UINT32_MAX) == (11, 4_294_967_295)


@pytest.mark.parametrize(
    ("count", "factor", "shift"), [(1, 16_384, 0), (2, 16_384, 1), (5, 13_107, 2), (16_383, 8192, 13)]
)
def test_mean_reciprocal(count: int, factor: int, shift: int) -> None:
    """floor(2^(14 + shift) / count), with the shift that makes it 14 or 15 bits long."""
    assert fixed_point.mean_reciprocal(count) == (factor, shift)
    assert int(rounding_shift(mulw(one(4 * 1000 * count), one(factor)), shift)[0]) in (999, 1000)
