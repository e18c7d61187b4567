"""The activation table on all of its 2^20 arguments."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from edge_seq.arithmetic import tables
from edge_seq.arithmetic.tables import (
    ARGUMENT_FRAC_BITS,
    ARGUMENT_MAX,
    ARGUMENT_OFFSET,
    packed_table,
    table_argument,
    table_tanh,
    tanh_table,
)
from edge_seq.backends.reference_int import sigmoid_q15
from tests import spec_oracle

ARGUMENTS = np.arange(ARGUMENT_MAX + 1, dtype=np.int64)
X = (ARGUMENTS - ARGUMENT_OFFSET) / 2.0**ARGUMENT_FRAC_BITS
TANH = table_tanh(ARGUMENTS)


def test_error_against_tanh() -> None:
    error = TANH / 32768 - np.tanh(X)
    assert np.abs(error).max() * 32768 < 7.4
    assert abs(error.mean()) * 32768 < 0.15


def test_error_against_sigmoid() -> None:
    """A sigmoid's argument is halved by its row, so the table spans -16 to 16 of it."""
    sigmoid = 1 / (1 + np.exp(-2 * X))
    error = sigmoid_q15(ARGUMENTS) / 32768 - sigmoid
    assert np.abs(error).max() * 32768 < 3.8
    assert abs(error.mean()) * 32768 < 0.3


def test_never_falls_and_keeps_its_range() -> None:
    assert (np.diff(TANH) >= 0).all()
    assert (int(TANH[0]), int(TANH[-1])) == (-32767, 32767)
    sigmoid = sigmoid_q15(ARGUMENTS)
    assert (np.diff(sigmoid) >= 0).all()
    assert (int(sigmoid[0]), int(sigmoid[-1])) == (0, 32767)


def test_has_no_jump() -> None:
    """The steepest part rises half a unit per argument, and the table is continuous, so no step exceeds one unit."""
    assert np.diff(TANH).max() == 1


def test_is_nearly_odd() -> None:
    mirrored = -TANH[1:][::-1]
    assert np.abs(TANH[1:] - mirrored).max() <= 2
    assert abs(int(TANH[ARGUMENT_OFFSET])) <= 1


def test_equals_the_oracle_at_every_knot_and_beside_it() -> None:
    base, slope = tanh_table()
    assert list(zip(base.tolist(), slope.tolist(), strict=True)) == spec_oracle.TABLE
    chosen = np.unique(np.clip((np.arange(257)[:, None] * 4096 + np.array([-2, -1, 0, 1, 2, 2047])), 0, ARGUMENT_MAX))
    assert TANH[chosen].tolist() == [spec_oracle.tanh(a) for a in chosen.tolist()]


def test_one_multiply_accumulate_of_the_packed_word_gives_it() -> None:
    """word * 2^0 with the position: (word + slope * f) >> 16, as kernels do, in 32 bits without overflow."""
    word = packed_table().view(np.int32).astype(np.int64)
    slope = word & 0xFFFF
    cell, position = ARGUMENTS >> 12, ARGUMENTS & 4095
    total = word[cell] + slope[cell] * position
    assert total.min() >= -(2**31)
    assert total.max() < 2**31
    assert np.array_equal(total >> 16, TANH)


def test_packed_table_is_the_one_of_the_specification() -> None:
    words = packed_table()
    assert words.dtype == np.uint32
    assert hashlib.sha256(words.astype("<u4").tobytes()).hexdigest() == spec_oracle.TABLE_SHA256


def test_a_tanh_that_is_wrong_in_the_last_digits_gives_the_same_table() -> None:
    """numpy's tanh may differ between processors in the last place, but no knot is near enough to a rounding limit."""
    x = -8 + np.arange(257) / 16
    for error in (-1e-12, 0.0, 1e-12):
        y = np.tanh(x) * (1 + error)
        base = np.clip(np.floor(32768 * (y + 2 * y * (1 - y * y) / 256 / 16) + 1), -32767, 32767)
        assert np.array_equal(base[:-1], tanh_table()[0])


@pytest.mark.parametrize(
    ("value", "expected"),
    [(-(2**31), 0), (-1, 0), (0, 0), (2**20 - 1, 2**20 - 1), (2**20, 2**20 - 1), (2**31, 2**20 - 1)],
)
def test_arguments_saturate(value: int, expected: int) -> None:
    assert table_argument(np.array([value], dtype=np.int64)).tolist() == [expected]


def test_the_numbers_of_the_argument_are_those_of_the_specification() -> None:
    assert (tables.CELL_BITS, tables.POSITION_BITS, tables.ARGUMENT_BITS) == (8, 12, 20)
    assert (tables.ARGUMENT_FRAC_BITS, tables.ARGUMENT_OFFSET, tables.ARGUMENT_MAX) == (16, 524_288, 1_048_575)


def test_the_position_reaches_the_end_of_each_cell() -> None:
    """base[k] + floor(slope[k] (f + 1) / 2^16), with all 4,096 positions of the steepest cell, written out."""
    base, slope = (int(one[128]) for one in tables.tanh_table())
    assert [int(one) for one in tables.table_tanh(np.arange(128 << 12, 129 << 12))] == [
        base + slope * (position + 1) // 2**16 for position in range(4096)
    ]
