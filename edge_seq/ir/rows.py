"""Affine rows, the building block of every gate and of the head: y = W_x x + W_h h + b.

There are two forms: :class:`FloatRows` as trained, :class:`IntRows` as deployed. A row computes one output value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

QUAD = 4  # size of a group of operands and narrow weights: two fine, then two coarse
BLOCK_ROWS = 4  # rows that are packed and computed together
BYTES_OF_A_ROW = 6  # bias and multiplier


@dataclass(frozen=True)
class FloatRows:
    """Rows as trained.

    Attributes:
        weight_input: float32 [R, I]; I is 0 if the rows do not see the layer's input.
        weight_hidden: float32 [R, H]; H is 0 if the rows do not see the layer's own state.
        bias: float32 [R]; the sum of both biases if the framework has two.
    """

    weight_input: NDArray[np.float32]
    weight_hidden: NDArray[np.float32]
    bias: NDArray[np.float32]


@dataclass(frozen=True)
class IntRows:
    """Rows as deployed (SPEC.md, section 4).

    acc = bias + wide . x + narrow_input . z_input + narrow_hidden . z_hidden;  y = floor(acc * multiplier / 2^16)

    Attributes:
        wide: int16 [R, I], weights of 16-bit features; I is 0 except in the first layer.
        narrow_input: int8 [R, P], weights of the operands of the layer below (P padded to a multiple of four; each of
            several parts is).
        narrow_hidden: int8 [R, Q], weights of the operands of the layer's own state (Q padded to a multiple of four).
        bias: int32 [R], with every constant folded in: bias, mean of the features, table offset, half for rounding.
            Rows that see the states of all steps have it at each step, so it is a part of the whole.
        multiplier: int16 [R], 1 to 32767; defines the row's scale exactly.
    """

    wide: NDArray[np.int16]
    narrow_input: NDArray[np.int8]
    narrow_hidden: NDArray[np.int8]
    bias: NDArray[np.int32]
    multiplier: NDArray[np.int16]


Rows = TypeVar("Rows", FloatRows, IntRows)


def padded(size: int) -> int:
    """Number of operands of a state with ``size`` units: the next multiple of four.

    >>> [padded(n) for n in (1, 4, 5, 33)]
    [4, 4, 8, 36]
    """
    return -(-size // QUAD) * QUAD


def operand_columns(size: int, parts: int = 1) -> NDArray[np.int64]:
    """Columns of ``size`` units among operands, int64 [parts * size], in each of several parts that are padded alike.

    >>> operand_columns(3, parts=2).tolist()
    [0, 1, 2, 4, 5, 6]
    """
    return np.asarray((np.arange(parts)[:, None] * padded(size) + np.arange(size)).ravel(), dtype=np.int64)


def rows_of_steps(rows: IntRows, steps: int) -> IntRows:
    """Rows that see the states of all steps, taken apart: rows that see one state each, int8 [R * steps, P].

    Row ``r * steps + t`` is row r at step t. Bias and multiplier are the same at each step.
    """
    return IntRows(
        wide=np.zeros((len(rows.bias) * steps, 0), dtype=np.int16),
        narrow_input=rows.narrow_input.reshape(len(rows.bias) * steps, -1),
        narrow_hidden=np.zeros((len(rows.bias) * steps, 0), dtype=np.int8),
        bias=np.repeat(rows.bias, steps),
        multiplier=np.repeat(rows.multiplier, steps),
    )


def is_coarse(size: int, parts: int = 1) -> NDArray[np.bool_]:
    """Mask bool [parts * size] of the coarse (Q7) operands: the third and fourth of each quad. Others are fine (Q15).

    >>> is_coarse(6).tolist()
    [False, False, True, True, False, False]
    """
    return np.tile(np.arange(size) % QUAD >= QUAD // 2, parts)


# Columns of two quads in the order in which weights of 4 bits are chosen, and the column whose four bits are the lower
# half of each byte: those follow from what was chosen before. The first column has zeros there.
NIBBLE_ORDER = (4, 0, 6, 2, 5, 1, 7, 3)
LOWER_HALF_FROM = {0: 4, 6: 0, 2: 6, 5: 2, 1: 5, 7: 1, 3: 7}


def fill_lower_halves(narrow: NDArray[np.int8]) -> NDArray[np.int8]:
    """Narrow weights of 4 bits from their upper halves: the other half of each byte follows (SPEC.md, section 12).

    With the words of two quads as 32-bit numbers, the second becomes the first shifted left by four. Of an odd number
    of quads, the first is alone and keeps its bytes.

    Args:
        narrow: int8 [R, N], N a multiple of four.

    >>> fill_lower_halves(np.array([[0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x00]], np.int8))[0].tolist()
    [21, 38, 55, 64, 80, 99, 113, 2]
    """
    filled: NDArray[np.int8] = narrow.copy()
    alone = narrow.shape[1] % (2 * QUAD)
    upper = narrow.view(np.uint8) >> 4
    for column in range(2 * QUAD):
        here = filled.view(np.uint8)[:, alone + column :: 2 * QUAD]
        here &= 0xF0
        if column in LOWER_HALF_FROM:
            here |= upper[:, alone + LOWER_HALF_FROM[column] :: 2 * QUAD]
    return filled


def effective_weights(narrow: NDArray[np.int8]) -> NDArray[np.int32]:
    """The integers that narrow weights represent.

    A fine column's weight is its byte b. A coarse column's weight is the 16-bit word whose high byte is its own and
    whose low byte is that of the fine column two before: 256 b + unsigned(b_fine). A kernel can therefore multiply the
    packed halfwords unchanged, and unpacks only the fine bytes.

    Args:
        narrow: int8 [R, N], N a multiple of four.

    Returns:
        int32 [R, N].

    >>> effective_weights(np.array([[1, -1, 2, 3]], dtype=np.int8)).tolist()
    [[1, -1, 513, 1023]]
    """
    weights = narrow.astype(np.int32)
    coarse = np.flatnonzero(is_coarse(narrow.shape[1]))
    low_byte = narrow.view(np.uint8)[:, coarse - QUAD // 2].astype(np.int32)
    weights[:, coarse] = 256 * weights[:, coarse] + low_byte
    return weights
