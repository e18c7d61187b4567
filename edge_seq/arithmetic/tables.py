"""The activation table: tanh, piecewise linear in 256 cells of width 1/16 over [-8, 8) (SPEC.md, section 5).

sigmoid uses the same table: sigmoid(x) = (1 + tanh(x / 2)) / 2. Halving the argument is folded into the row's
multiplier, the rest costs one shift and one addition. One kilobyte therefore serves all gates of all cells.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from edge_seq.arithmetic.fixed_point import INT16_MAX, Int64, integers

CELL_BITS = 8  # 256 cells
POSITION_BITS = 12  # 4,096 positions in a cell
ARGUMENT_BITS = CELL_BITS + POSITION_BITS  # the argument is unsigned with 20 bits
ARGUMENT_FRAC_BITS = 16  # Q16: 2^20 steps over [-8, 8)
ARGUMENT_OFFSET = 1 << (ARGUMENT_BITS - 1)  # the argument for x = 0; folded into the rows' biases
ARGUMENT_MAX = (1 << ARGUMENT_BITS) - 1


@cache
def tanh_table() -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Base and slope of each cell.

    The base is tanh at the knot x_k = -8 + k/16, moved by -f''(x_k) h^2 / 16 and increased by 1/2 for the floor that
    follows, rounded. The move spreads a chord's error to both sides of the curve, as the gap of a chord over a cell of
    width h is f'' h^2 / 8. The slope connects base to base: the function is continuous and never decreases.

    Returns:
        Base int16 [256], Q15; slope int16 [256], the rise over the cell times 16, at least 0.
    """
    width = 1 / 16
    x = -8 + width * np.arange((1 << CELL_BITS) + 1)
    y = np.tanh(x)
    second_derivative = -2 * y * (1 - y * y)
    knots = 32768 * (y - second_derivative * width * width / 16)
    base = np.clip(np.floor(knots + 1), -INT16_MAX, INT16_MAX).astype(np.int64)
    slope = np.diff(base) << (16 - POSITION_BITS)
    return base[:-1].astype(np.int16), slope.astype(np.int16)


def table_argument(value: Int64) -> Int64:
    """Saturate to the table's 20-bit argument."""
    return np.asarray(np.clip(value, 0, ARGUMENT_MAX), dtype=np.int64)


def table_tanh(argument: Int64) -> Int64:
    """tanh((argument - 2^19) / 2^16) in Q15, between -32767 and 32767.

    t = base[k] + floor(slope[k] (f + 1) / 2^16) with k = argument >> 12, f = argument & 4095. With f + 1, one
    multiply-accumulate of the packed word base * 2^16 + slope and f computes it.

    Args:
        argument: integers of any shape, 0 to 2^20 - 1.

    >>> table_tanh(np.array([0, 2**19, 2**20 - 1])).tolist()
    [-32767, 1, 32767]
    """
    base, slope = tanh_table()
    cell = argument >> POSITION_BITS
    position = argument & ((1 << POSITION_BITS) - 1)
    tanh: Int64 = integers(base)[cell] + ((integers(slope)[cell] * (position + 1)) >> 16)
    return tanh


def packed_table() -> NDArray[np.uint32]:
    """The table as C and the kernels store it: base * 2^16 + slope, uint32 [256]."""
    base, slope = tanh_table()
    words = (base.view(np.uint16).astype(np.uint32) << 16) | slope.view(np.uint16).astype(np.uint32)
    return words.astype(np.uint32)
