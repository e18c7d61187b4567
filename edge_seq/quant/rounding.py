"""Rounds the weights of a row so that their errors cancel on the inputs that actually occur.

Plain rounding makes the error of each weight small. What matters is the error of the row's result, e . v for the inputs
and states v that occur. Its mean square is e S e^T, with the second moments S = E[v v^T]. To keep it small, columns are
rounded one after the other, and the error of each is moved onto the columns not yet rounded, by least squares. This is
the update of the optimal brain surgeon (Hassibi and Stork 1993) in the column order of GPTQ (Frantar et al. 2022,
arXiv 2210.17323). 16-bit weights and the bias come last and absorb nearly all of the remaining error. If S is the
identity, this is plain rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_seq.arithmetic.fixed_point import FINE_FRAC_BITS, INT16_MAX
from edge_seq.ir.kind_names import WeightBits
from edge_seq.ir.rows import LOWER_HALF_FROM, NIBBLE_ORDER, QUAD, is_coarse

NARROW_MIN, NARROW_MAX = -128, 127
NIBBLE = 16  # worth of the lowest bit of a weight of 4 bits
# Share of each second moment that counts as noise. It keeps the inverse stable if columns are nearly equal.
DAMPING = 0.01
# Added to the second moment of each operand, which is at most 1. Without it, a unit that was quiet in calibration could
# absorb the error of a similar active unit by weights far from its own, and would be badly wrong once it is active.
OPERAND_RIDGE = 0.03
# Least second moment of a feature, counts squared. A feature that is 0 in calibration but for rounding errors of its
# mean would absorb any error by a weight at the end of its range.
FEATURE_FLOOR = 1.0

Real = NDArray[np.float64]


@dataclass(frozen=True)
class RealRows:
    """Rows in float64, for the inputs of the integer rows: padded operands as real values, features in counts.

    Attributes:
        narrow_input: [R, P], weights of the operands of the layer below.
        narrow_hidden: [R, Q], weights of the operands of the layer's own state.
        wide: [R, I], weights of feature counts.
        bias: [R], biases.
    """

    narrow_input: Real
    narrow_hidden: Real
    wide: Real
    bias: Real


@dataclass(frozen=True)
class RoundedRows:
    """Rows with integer weights.

    Attributes:
        narrow_input, narrow_hidden, wide: weights, as in :class:`RealRows`.
        bias: [R], still real; includes the remaining rounding error.
        error: [R], mean square of the error of each row's result.
    """

    narrow_input: NDArray[np.int8]
    narrow_hidden: NDArray[np.int8]
    wide: NDArray[np.int16]
    bias: Real
    error: Real


def round_rows(real: RealRows, unit: Real, moments: Real, *, bits: WeightBits = 8) -> RoundedRows:
    """Round all weights of R rows.

    Args:
        real: rows to round.
        unit: [R], real value of one unit of each row's accumulator.
        moments: [N, N], second moments of (operands below, own operands, feature counts, 1).
        bits: bits of the narrow weights. With 4, those of two quads side by side have 4 bits that are chosen, and the
            other half of each byte follows (:func:`edge_seq.ir.rows.fill_lower_halves`).
    """
    step = unit * 2.0**FINE_FRAC_BITS  # real value of a narrow weight of 1
    wanted = np.concatenate([real.narrow_input, real.narrow_hidden, real.wide, real.bias[:, None]], axis=1)
    weights = wanted.copy()
    num_input, num_hidden, num_wide = (part.shape[1] for part in (real.narrow_input, real.narrow_hidden, real.wide))
    coarse = np.concatenate([is_coarse(num_input), is_coarse(num_hidden)])
    narrow = np.zeros((len(weights), num_input + num_hidden), dtype=np.int8)
    wide = np.zeros((len(weights), num_wide), dtype=np.int16)
    nibbles = {} if bits == 8 else _nibbles((0, num_input), (num_input, num_hidden))
    # Fine columns come before coarse ones, whose weights contain the byte of a fine neighbour. The bias comes last.
    whole = [column for column in [*np.flatnonzero(~coarse), *np.flatnonzero(coarse)] if column not in nibbles]
    order = [*nibbles, *whole, *range(len(coarse), weights.shape[1] - 1)]
    ridge = np.zeros(weights.shape[1])
    ridge[: len(coarse)] = OPERAND_RIDGE
    ridge[len(coarse) :] = np.maximum(FEATURE_FLOOR - np.diag(moments)[len(coarse) :], 0.0)  # that of the bias is 1
    ridged = moments + np.diag(ridge)
    spread = _spread(ridged, [*order, weights.shape[1] - 1])

    for position, column in enumerate(order):
        target = weights[:, column]
        if column >= len(coarse):
            integers = np.clip(np.rint(target / unit), -INT16_MAX, INT16_MAX)
            wide[:, column - len(coarse)] = integers
            rounded = integers * unit
        else:
            low = narrow[:, column - QUAD // 2].view(np.uint8) / 256.0 if coarse[column] else 0.0
            if column in nibbles:
                source = nibbles[column]
                half = 0 if source is None else narrow[:, source].view(np.uint8) >> 4
                upper = np.rint((target / step - low - half) / NIBBLE)
                integers = NIBBLE * np.clip(upper, NARROW_MIN // NIBBLE, NARROW_MAX // NIBBLE) + half
            else:
                integers = np.clip(np.rint(target / step - low), NARROW_MIN, NARROW_MAX)
            narrow[:, column] = integers
            rounded = (integers + low) * step
        rest = [*order[position + 1 :], weights.shape[1] - 1]
        weights[:, rest] -= np.outer(target - rounded, spread[position, position + 1 :])
        weights[:, column] = rounded
    errors = weights - wanted
    error = np.einsum("rn,nm,rm->r", errors, ridged, errors)
    return RoundedRows(narrow[:, :num_input], narrow[:, num_input:], wide, weights[:, -1], error)


def _nibbles(*parts: tuple[int, int]) -> dict[int, int | None]:
    """Columns with weights of 4 bits in the order of rounding, each with the column that gives the lower half of its
    byte; of parts with a first column and a number of columns."""
    pairs = [start + at for start, size in parts for at in range(size % (2 * QUAD), size, 2 * QUAD)]
    return {
        pair + column: None if column not in LOWER_HALF_FROM else pair + LOWER_HALF_FROM[column]
        for column in NIBBLE_ORDER
        for pair in pairs
    }


def _spread(moments: Real, order: list[int]) -> Real:
    """Upper triangular matrix [N, N]: row j says how the error of column j is spread over the columns after it.

    It holds the rows of the Cholesky factor U of S^-1 = U^T U, divided by their diagonal (GPTQ, section 3.3). No
    moment on the diagonal is zero.
    """
    ordered = moments[np.ix_(order, order)]
    scale = np.sqrt(np.diag(ordered))
    correlation = ordered / np.outer(scale, scale)
    # Moments of a nearly constant feature are mostly rounding errors. No eigenvalue is below the damping, so the factor
    # exists in any case.
    values, vectors = np.linalg.eigh(np.clip(correlation, -1.0, 1.0))
    inverse = (vectors / (np.maximum(values, 0.0) + DAMPING)) @ vectors.T
    upper = np.linalg.cholesky(inverse).T
    spread: Real = upper / np.diag(upper)[:, None]
    # An error moves as e_j * scale_j / scale_k; this converts back from correlations to moments.
    return spread * scale[:, None] / scale[None, :]
