"""Rounding rows by their inputs is never worse than to the nearest, and equals it if columns are independent."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_seq.ir.kind_names import WEIGHT_BITS, WeightBits
from edge_seq.ir.rows import effective_weights, fill_lower_halves, is_coarse
from edge_seq.quant import rounding
from edge_seq.quant.rounding import RealRows, RoundedRows, round_rows

ROWS, NARROW_INPUT, NARROW_HIDDEN, WIDE = 8, 8, 12, 3
SIZE = NARROW_INPUT + NARROW_HIDDEN + WIDE + 1
UNIT = np.full(ROWS, 1.0 / 2**15 / 50)  # a narrow weight of 1 is worth 1/50


def rows(seed: int) -> RealRows:
    rng = np.random.default_rng(seed)
    return RealRows(
        rng.uniform(-1, 1, (ROWS, NARROW_INPUT)),
        rng.uniform(-1, 1, (ROWS, NARROW_HIDDEN)),
        rng.uniform(-1e-3, 1e-3, (ROWS, WIDE)),
        rng.uniform(-1, 1, ROWS),
    )


def moments(seed: int, *, steps: int = 200) -> np.ndarray:
    """Moments of correlated operands in -1 to 1, features of hundreds of counts around a mean, and 1."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(0, 1, (steps, 4))
    operands = np.tanh(hidden @ rng.normal(0, 1, (4, NARROW_INPUT + NARROW_HIDDEN)) + rng.normal(0, 0.1, (steps, 20)))
    features = 500 * hidden[:, :WIDE] + 300 * rng.normal(0, 1, WIDE)
    seen = np.concatenate([operands, features, np.ones((steps, 1))], axis=1)
    return np.asarray(seen.T @ seen / steps)


def errors(real: RealRows, rounded: RoundedRows, unit: np.ndarray = UNIT) -> np.ndarray:
    """Rounding error in each column, [R, N], in the order of the moments."""
    step = (unit * 2.0**15)[:, None]
    narrow = []
    for found, wanted in ((rounded.narrow_input, real.narrow_input), (rounded.narrow_hidden, real.narrow_hidden)):
        value = effective_weights(found) / np.where(is_coarse(found.shape[1]), 256.0, 1.0)
        narrow.append(value * step - wanted)
    wide = rounded.wide * unit[:, None] - real.wide
    return np.concatenate([*narrow, wide, (rounded.bias - real.bias)[:, None]], axis=1)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.lists(st.floats(1e-6, 1e6), min_size=SIZE, max_size=SIZE))
def test_independent_columns_are_rounded_to_the_nearest(seed: int, sizes: list[float]) -> None:
    real = rows(seed)
    found = errors(real, round_rows(real, UNIT, np.diag(sizes)))
    step = UNIT[0] * 2.0**15
    assert np.abs(found[:, : NARROW_INPUT + NARROW_HIDDEN]).max() <= 0.5 * step * 1.0001
    assert np.abs(found[:, -1 - WIDE : -1]).max() <= 0.5 * UNIT[0] * 1.0001
    assert np.abs(found[:, -1]).max() < 1e-9


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_correlated_columns_make_up_for_each_other(seed: int) -> None:
    """The mean square error of the results, e S e^T, is far below that of rounding to the nearest."""
    real, seen = rows(seed), moments(seed)
    clever = errors(real, round_rows(real, UNIT, seen))
    nearest = errors(real, round_rows(real, UNIT, np.eye(SIZE)))

    def cost(error: np.ndarray) -> float:
        return float(np.einsum("ri,ij,rj->", error, seen, error))

    assert cost(clever) < 0.5 * cost(nearest)


@pytest.mark.parametrize("bits", WEIGHT_BITS)
def test_the_error_of_a_result_is_told(bits: WeightBits) -> None:
    """It is e S e^T, with what keeps the moments from being singular; 4 bits fill the lower halves as packing needs."""
    real, seen = rows(7), moments(7)
    coarser = UNIT * (1 if bits == 8 else 1.2)
    rounded = round_rows(real, coarser, seen, bits=bits)
    error = errors(real, rounded, coarser)
    least = np.einsum("ri,ij,rj->r", error, seen, error)
    operands = error[:, : NARROW_INPUT + NARROW_HIDDEN]
    assert np.allclose(rounded.error, least + rounding.OPERAND_RIDGE * (operands**2).sum(axis=1))
    follow = [(fill_lower_halves(one) == one).all() for one in (rounded.narrow_input, rounded.narrow_hidden)]
    assert follow == [bits == 4, bits == 4]
    if bits == 4:  # the first quad of three is alone, with 8 bits
        assert (rounded.narrow_hidden[:, :4] % 16 != 0).any()


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6))
def test_no_weight_moves_far(seed: int) -> None:
    """A weight changes by a few steps, not by its size, so results for inputs unlike the calibration hardly change."""
    real = rows(seed)
    found = errors(real, round_rows(real, UNIT, moments(seed)))
    step = UNIT[0] * 2.0**15
    assert np.abs(found[:, : NARROW_INPUT + NARROW_HIDDEN]).max() <= 5 * step


@pytest.mark.parametrize("case", ["zero", "one step", "constant feature", "equal columns", "negative noise"])
def test_moments_that_have_no_inverse(case: str) -> None:
    seen = moments(1)
    if case == "zero":
        seen = np.zeros((SIZE, SIZE))
    elif case == "one step":
        seen = moments(1, steps=1)
    elif case == "constant feature":  # what is left of (x unit + mean)^2 = 0 after cancellation
        seen[-2, :] = seen[:, -2] = 1e-12
        seen[-2, -2] = 1e-20
    elif case == "equal columns":
        seen[:, 1], seen[1, :] = seen[:, 0], seen[0, :]
        seen[1, 1] = seen[0, 0]
    elif case == "negative noise":
        seen[-2, :] = seen[:, -2] = 1e-12
        seen[-2, -2] = -1e-12
    real = rows(3)
    rounded = round_rows(real, UNIT, seen)
    assert np.isfinite(rounded.bias).all()
    assert np.isfinite(errors(real, rounded)).all()


def test_rows_do_not_depend_on_each_other() -> None:
    real, seen = rows(5), moments(5)
    together = round_rows(real, UNIT, seen)
    for r in range(ROWS):
        alone = round_rows(RealRows(*(part[r : r + 1] for part in vars(real).values())), UNIT[r : r + 1], seen)
        assert np.array_equal(alone.narrow_hidden[0], together.narrow_hidden[r])
        assert np.array_equal(alone.wide[0], together.wide[r])


def test_weights_at_the_end_of_their_bytes_stay_there() -> None:
    real = RealRows(np.full((ROWS, 8), 2.54), np.full((ROWS, 12), -2.56), np.zeros((ROWS, 3)), np.zeros(ROWS))
    rounded = round_rows(real, UNIT, np.eye(SIZE))
    assert (rounded.narrow_input == 127)[:, ~is_coarse(8)].all()
    assert (rounded.narrow_hidden == -128)[:, ~is_coarse(12)].all()


@pytest.mark.parametrize("quiet", [1.0, 0.1, 0.01, 0.001, 0.0])
def test_a_unit_that_was_quiet_in_calibration_keeps_weights_near_its_own(quiet: float) -> None:
    """A quiet unit resembles an active one, and could absorb its errors at many times their size."""
    rng = np.random.default_rng(0)
    lively = rng.uniform(-0.9, 0.9, (5000, 4))
    seen = np.concatenate([lively, quiet * lively, np.ones((5000, 1))], axis=1)  # units 4 to 7 are quiet
    weights = rng.uniform(-1, 1, (40, 8))
    real = RealRows(np.zeros((40, 0)), weights, np.zeros((40, 0)), np.zeros(40))
    unit = np.full(40, 1 / 127 / 2**15)
    rounded = round_rows(real, unit, seen.T @ seen / len(seen))
    worth = effective_weights(np.ascontiguousarray(rounded.narrow_hidden)) * np.where(is_coarse(8), 2.0**-8, 1.0) / 127
    moved = np.abs(worth - weights) * 127
    assert moved[:, 4:].max() < 2.5, "steps of a byte"


@pytest.mark.parametrize("quiet", [1.0, 1e-3, 1e-6, 1e-12, 0.0])
def test_a_feature_that_was_zero_in_calibration_absorbs_no_error(quiet: float) -> None:
    """But for rounding errors of its mean. Its weights went to the end of their range at any scale."""
    seen = moments(3)
    feature = SIZE - 1 - WIDE
    seen[feature] *= quiet
    seen[:, feature] *= quiet
    real = rows(4)
    rounded = round_rows(real, UNIT, seen)
    assert (np.abs(rounded.wide) < 32767).all()
    if quiet < 1e-4:  # no error is moved onto it
        assert (np.abs(rounded.wide[:, 0] * UNIT - real.wide[:, 0]) <= 10 * UNIT).all()


def test_the_range_of_narrow_weights_is_that_of_a_byte() -> None:
    assert (rounding.NARROW_MIN, rounding.NARROW_MAX) == (-128, 127)
    assert (rounding.DAMPING, rounding.OPERAND_RIDGE, rounding.FEATURE_FLOOR) == (
        0.01,
        0.03,
        1.0,
    )  # the published figures were measured with them


def test_independent_weights_of_4_bits_are_the_nearest_that_their_lower_halves_allow() -> None:
    """Also beyond both ends, of two pairs of quads; a quad without a neighbour has 8 bits."""
    rng = np.random.default_rng(2)
    real = RealRows(rng.uniform(-3.5, 3.5, (ROWS, 16)), rng.uniform(-3.5, 3.5, (ROWS, 4)), np.zeros((ROWS, 0)), UNIT)
    rounded = round_rows(real, UNIT, np.eye(21), bits=4)
    assert (fill_lower_halves(rounded.narrow_input) == rounded.narrow_input).all()
    every = np.arange(-128, 128)
    for found, wanted, bits in (
        (rounded.narrow_input, real.narrow_input, 4),
        (rounded.narrow_hidden, real.narrow_hidden, 8),
    ):
        low = np.zeros(found.shape)
        low[:, 2::4], low[:, 3::4] = (found[:, one::4].view(np.uint8) / 256 for one in (0, 1))  # below a coarse byte
        distance = np.abs(every + (low - wanted * 50)[..., None])  # in narrow weights of 1
        distance[(every - found[..., None]) % (16 if bits == 4 else 1) != 0] = np.inf  # its lower half is another's
        assert np.array_equal(every[distance.argmin(axis=2)], found)
        assert (found > 111).any()
        assert (found < -112).any()
