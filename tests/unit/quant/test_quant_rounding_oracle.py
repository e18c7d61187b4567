"""Rounding rows, against least squares: once some columns are rounded, the others are what makes e H e^T smallest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_seq.ir.rows import is_coarse
from edge_seq.quant.rounding import RealRows, round_rows

INPUT, HIDDEN, WIDE, ROWS = 4, 8, 3, 6
NARROW = INPUT + HIDDEN
SIZE = NARROW + WIDE + 1
UNIT = np.geomspace(1, 3, ROWS) / 2**15 / 40
Real = NDArray[np.float64]


def seen_moments(seed: int, *, quiet: bool, size: float = 1.0) -> Real:
    """Correlated operands, features that are as small as the operands (where a wrong ridge shows) or larger, and 1."""
    rng = np.random.default_rng(seed)
    few = rng.normal(0, 1, (300, 4)) @ rng.normal(0, 1, (4, NARROW + WIDE))
    values = np.concatenate([np.tanh(few), np.ones((300, 1))], axis=1)
    values[:, NARROW : NARROW + WIDE] *= size * np.array([0.05, 0.4, 0.0 if quiet else 2.0])
    return np.asarray(values.T @ values / 300)


def real_rows(seed: int, *, wide: float) -> RealRows:
    rng = np.random.default_rng(seed)
    return RealRows(
        rng.uniform(-2, 2, (ROWS, INPUT)),
        rng.uniform(-2, 2, (ROWS, HIDDEN)),
        rng.uniform(-wide, wide, (ROWS, WIDE)),
        rng.uniform(-1, 1, ROWS),
    )


def by_least_squares(real: RealRows, moments: Real) -> tuple[Real, Real, Real]:
    """Narrow and wide integers and the bias: each column in turn, from the best values of those that are left."""
    coarse = np.concatenate([is_coarse(INPUT), is_coarse(HIDDEN)])
    # Operands have 0.03 added to their moments, features at least 1; correlations 0.01 to their diagonal.
    raised = moments + np.diag(np.repeat([0.03, 0.0], [NARROW, WIDE + 1]))
    for feature in range(NARROW, NARROW + WIDE):
        raised[feature, feature] = max(raised[feature, feature], 1.0)
    scale = np.sqrt(np.diag(raised))
    damped = raised / np.outer(scale, scale) + 0.01 * np.eye(SIZE)
    weights = np.concatenate([real.narrow_input, real.narrow_hidden, real.wide, real.bias[:, None]], axis=1)
    order = [column for column in range(NARROW) if not coarse[column]]
    order += [column for column in range(NARROW) if coarse[column]]
    order += range(NARROW, SIZE)
    integers, error = np.zeros((ROWS, SIZE)), np.zeros((ROWS, SIZE))
    for place, column in enumerate(order):
        done, left = order[:place], order[place:]
        pull = error[:, done] @ damped[np.ix_(done, left)] @ np.linalg.inv(damped[np.ix_(left, left)])
        target = weights[:, column] - pull[:, 0] / scale[column]
        if column == SIZE - 1:
            return integers[:, :NARROW], integers[:, NARROW:-1], target
        narrow = column < NARROW
        step = UNIT * 2.0**15 if narrow else UNIT
        # A coarse weight holds the byte of the fine weight two columns before as its lower part.
        low = (integers[:, column - 2] % 256) / 256 if narrow and coarse[column] else 0.0
        lowest, highest = (-128, 127) if narrow else (-32767, 32767)
        integers[:, column] = np.clip(np.rint(target / step - low), lowest, highest)
        error[:, column] = ((integers[:, column] + low) * step - weights[:, column]) * scale[column]
    raise AssertionError("the bias is last")


def check(real: RealRows, moments: Real) -> tuple[Real, Real]:
    found = round_rows(real, UNIT, moments)
    narrow, wide, bias = by_least_squares(real, moments)
    assert np.array_equal(np.concatenate([found.narrow_input, found.narrow_hidden], axis=1), narrow)
    assert np.array_equal(found.wide, wide)
    assert np.allclose(found.bias, bias, rtol=1e-9, atol=1e-12)
    assert (found.narrow_input.shape, found.narrow_hidden.shape) == ((ROWS, INPUT), (ROWS, HIDDEN))
    return narrow, wide


def test_each_column_makes_up_for_those_before_it_as_well_as_it_can() -> None:
    for seed in range(4):
        for size in (1.0, 40.0):
            check(real_rows(seed, wide=1e-3), seen_moments(seed, quiet=seed % 2 == 0, size=size))


def test_weights_beyond_their_types_end_at_the_ends_and_the_others_make_up_for_it() -> None:
    real = real_rows(9, wide=0.5)
    narrow, wide = check(
        RealRows(2 * real.narrow_input, 2 * real.narrow_hidden, 6 * real.wide, real.bias), seen_moments(9, quiet=False)
    )
    assert {narrow.min(), narrow.max(), wide.min(), wide.max()} == {-128, 127, -32767, 32767}


def test_moments_beyond_correlations_are_no_stronger_than_the_strongest() -> None:
    """Nearly constant features have moments that are mostly rounding errors: correlations beyond 1 count as 1."""
    right, wrong = (seen_moments(3, quiet=False, size=40.0) for _ in range(2))
    first, second = NARROW, NARROW + 1
    for moments, share in ((right, 1.0), (wrong, 1.8)):
        moments[first, second] = moments[second, first] = -share * np.sqrt(
            moments[first, first] * moments[second, second]
        )
    real = real_rows(3, wide=1e-3)
    ours, theirs = (round_rows(real, UNIT, moments) for moments in (right, wrong))
    assert np.array_equal(ours.wide, theirs.wide)
    assert np.array_equal(ours.narrow_hidden, theirs.narrow_hidden)
    assert np.array_equal(ours.bias, theirs.bias)
