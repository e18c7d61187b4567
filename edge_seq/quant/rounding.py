"""Rounding the weights of a row so that their errors cancel on what the row really sees.

Plain rounding makes each weight's error small. What matters is the error of the row's result, e . v for the inputs and
states v that occur; its mean square is e S e^T with the second moments S = E[v v^T]. Rounding one column after the
other and moving each one's error onto those not yet rounded, by least squares, keeps that small: the optimal brain
surgeon's update (Hassibi and Stork 1993) in the column order of GPTQ (Frantar et al. 2022, arXiv 2210.17323). Bias and
16-bit weights come last and take up nearly all that is left. With S the identity it is plain rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_seq.arithmetic.fixed_point import FINE_FRAC_BITS, INT16_MAX
from edge_seq.ir.rows import QUAD, is_coarse

NARROW_MIN, NARROW_MAX = -128, 127
# Share of each second moment that counts as noise: keeps the inverse tame where columns all but coincide.
DAMPING = 0.01
# Added to the second moment of each operand, which is at most 1. Without it a unit that was quiet in calibration takes
# any error of a lively one it resembles, by weights far from its own, and is badly wrong once it wakes up.
OPERAND_RIDGE = 0.03

Real = NDArray[np.float64]


@dataclass(frozen=True)
class RealRows:
    """Rows in float64 on what the integer rows see: a padded operand of real value, a feature in counts.

    Attributes:
        narrow_input: [R, P], on operands of the layer below.
        narrow_hidden: [R, Q], on operands of the layer's own state.
        wide: [R, I], on feature counts.
        bias: [R].
    """

    narrow_input: Real
    narrow_hidden: Real
    wide: Real
    bias: Real


@dataclass(frozen=True)
class RoundedRows:
    """Rows whose weights are integers; the bias is still real, with what rounding left over added."""

    narrow_input: NDArray[np.int8]
    narrow_hidden: NDArray[np.int8]
    wide: NDArray[np.int16]
    bias: Real


def round_rows(real: RealRows, unit: Real, moments: Real) -> RoundedRows:
    """Round all weights of R rows.

    Args:
        real: rows to round.
        unit: [R], what one unit of each row's accumulator is worth.
        moments: [N, N], second moments of (operands below, own operands, feature counts, 1).
    """
    step = unit * 2.0**FINE_FRAC_BITS  # what a narrow weight of 1 is worth, on an operand of real value
    weights = np.concatenate([real.narrow_input, real.narrow_hidden, real.wide, real.bias[:, None]], axis=1)
    num_input, num_hidden, num_wide = (part.shape[1] for part in (real.narrow_input, real.narrow_hidden, real.wide))
    coarse = np.concatenate([is_coarse(num_input), is_coarse(num_hidden)])
    narrow = np.zeros((len(weights), num_input + num_hidden), dtype=np.int8)
    wide = np.zeros((len(weights), num_wide), dtype=np.int16)
    # Fine columns before coarse ones, whose weights contain the byte of a fine neighbour; the bias at the very end.
    order = [*np.flatnonzero(~coarse), *np.flatnonzero(coarse), *range(len(coarse), weights.shape[1] - 1)]
    ridge = np.where(np.arange(weights.shape[1]) < len(coarse), OPERAND_RIDGE, 0.0)
    spread = _spread(moments + np.diag(ridge), [*order, weights.shape[1] - 1])

    for position, column in enumerate(order):
        target = weights[:, column]
        if column >= len(coarse):
            integers = np.clip(np.rint(target / unit), -INT16_MAX, INT16_MAX)
            wide[:, column - len(coarse)] = integers
            rounded = integers * unit
        else:
            low = narrow[:, column - QUAD // 2].view(np.uint8) / 256.0 if coarse[column] else 0.0
            integers = np.clip(np.rint(target / step - low), NARROW_MIN, NARROW_MAX)
            narrow[:, column] = integers
            rounded = (integers + low) * step
        rest = [*order[position + 1 :], weights.shape[1] - 1]
        weights[:, rest] -= np.outer(target - rounded, spread[position, position + 1 :])
    return RoundedRows(narrow[:, :num_input], narrow[:, num_input:], wide, weights[:, -1])


def _spread(moments: Real, order: list[int]) -> Real:
    """[N, N] upper triangular: row j says how column j's error is spread over the columns after it.

    The rows of the Cholesky factor U of S^-1 = U^T U, divided by their diagonal (GPTQ, section 3.3). A column without
    any moment (a feature that is always zero) has no say in it.
    """
    ordered = moments[np.ix_(order, order)]
    scale = np.sqrt(np.maximum(np.diag(ordered), 0.0))
    alive = scale > 0
    scale = np.where(alive, scale, 1.0)
    correlation = ordered / np.outer(scale, scale)
    correlation[~alive, :] = 0.0
    correlation[:, ~alive] = 0.0
    np.fill_diagonal(correlation, 1.0)
    # Moments of a feature that all but never moves are what rounding left of larger numbers; no eigenvalue below the
    # damping, and the factor exists whatever they are.
    values, vectors = np.linalg.eigh(np.clip(correlation, -1.0, 1.0))
    inverse = (vectors / (np.maximum(values, 0.0) + DAMPING)) @ vectors.T
    upper = np.linalg.cholesky(inverse).T
    spread: Real = upper / np.diag(upper)[:, None]
    # Errors move as e_j * scale_j over scale_k: back from correlations to moments.
    return spread * scale[:, None] / scale[None, :]
