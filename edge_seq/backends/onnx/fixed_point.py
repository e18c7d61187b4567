"""The integer primitives of SPEC.md, sections 2, 5 and 6, as nodes on int32 tensors.

ONNX divides integers towards zero, and shifts only unsigned integers. A right shift therefore first subtracts the low
bits, which leaves a multiple of the divisor, and then divides. This is exact for every int32 of either sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.arithmetic.fixed_point import FINE_FRAC_BITS, INT16_MAX, INT16_MIN, MULTIPLIER_SHIFT
from edge_seq.arithmetic.tables import ARGUMENT_MAX, POSITION_BITS, tanh_table
from edge_seq.backends.onnx.graph import Graph

FLOAT32_BITS = 24  # significant bits of a float32
_HALF, _BYTE = 1 << 16, 1 << 8


def floor_shift(graph: Graph, value: str, bits: int) -> str:
    """floor(value / 2^bits)."""
    if bits == 0:
        return value
    if graph.portable and bits < 32 - FLOAT32_BITS:  # the quotient may need more than 24 bits: shift the halves
        low = graph.add("BitwiseAnd", value, graph.scalar(_HALF - 1))
        high = graph.add("Div", graph.add("Sub", value, low), graph.scalar(_HALF))
        shifted = graph.add("Div", low, graph.scalar(1 << bits))
        return graph.add("Add", graph.add("Mul", high, graph.scalar(_HALF >> bits)), shifted)
    low = graph.add("BitwiseAnd", value, graph.scalar((1 << bits) - 1))
    return graph.add("Div", graph.add("Sub", value, low), graph.scalar(1 << bits))


def rounding_shift(graph: Graph, value: str, bits: int) -> str:
    """floor(value / 2^bits + 1/2)."""
    if bits == 0:
        return value
    return floor_shift(graph, graph.add("Add", value, graph.scalar(1 << (bits - 1))), bits)


@dataclass(frozen=True)
class Shifts:
    """Constants of a shift with an individual number of bits for each of n elements, all int32 [n].

    Attributes:
        half: value added first: half of the divisor if the shift rounds, otherwise 0.
        low_bits: mask of the bits that are subtracted: divisor - 1.
        divisor: 2^bits.
    """

    half: NDArray[np.int32]
    low_bits: NDArray[np.int32]
    divisor: NDArray[np.int32]

    @staticmethod
    def of(bits: NDArray[np.integer[Any]], rounds: NDArray[np.bool_]) -> Shifts:
        """Constants for shifts by ``bits``, 0 to 30, which round where ``rounds`` is True."""
        divisor = np.left_shift(1, bits.astype(np.int64)).astype(np.int32)
        return Shifts(np.where(rounds, divisor >> 1, 0).astype(np.int32), divisor - np.int32(1), divisor)


def shift_by(graph: Graph, value: str, half: str, low_bits: str, divisor: str) -> str:
    """floor((value + half) / divisor) with individual divisors; see :class:`Shifts` for the arguments."""
    raised = graph.add("Add", value, half)
    low = graph.add("BitwiseAnd", raised, low_bits)
    return graph.add("Div", graph.add("Sub", raised, low), divisor)


def mulw(graph: Graph, value: str, factor: str, *, factor_is_signed: bool = False, name: str = "") -> str:
    """floor(value * factor / 2^16), all in 32 bits.

    With value = 2^16 high + low and low >= 0, this is high factor + floor(low factor / 2^16).

    Args:
        graph: graph to append to.
        value: any int32 tensor.
        factor: int32 tensor of 16-bit numbers.
        factor_is_signed: True if the factor may be negative. If not, the low product is not negative either, and a
            plain division is enough.
        name: name of the result.
    """
    low = graph.add("BitwiseAnd", value, graph.scalar((1 << MULTIPLIER_SHIFT) - 1))
    unit = graph.scalar(1 << MULTIPLIER_SHIFT)
    high = graph.add("Div", graph.add("Sub", value, low), unit)
    low_product = graph.add("Mul", low, factor)  # at most 65535 * 32768, which fits 32 bits
    if factor_is_signed or graph.portable:
        carry = floor_shift(graph, low_product, MULTIPLIER_SHIFT)
    else:
        carry = graph.add("Div", low_product, unit)
    return graph.add("Add", graph.add("Mul", high, factor), carry, name=name)


def saturate16(graph: Graph, value: str, name: str = "") -> str:
    """The nearest value that fits 16 bits."""
    return graph.add("Clip", value, graph.scalar(INT16_MIN), graph.scalar(INT16_MAX), name=name)


def table_argument(graph: Graph, value: str, name: str = "") -> str:
    """clamp(value, 0, 2^20 - 1)."""
    return graph.add("Clip", value, graph.scalar(0), graph.scalar(ARGUMENT_MAX), name=name)


def product(graph: Graph, seen: str, matrix: NDArray[np.int32], name: str) -> str:
    """seen @ matrix, for int32 [batch, n] of 16-bit numbers and a constant int32 [n, R].

    A portable graph multiplies bytes: every sum stays below 2^24, so a product of matrices in float32 is exact.
    """
    if not graph.portable:
        return graph.add("MatMul", seen, graph.constant(matrix, name))
    low_matrix = (matrix + _BYTE // 2) % _BYTE - _BYTE // 2  # -128 .. 127
    digits = [(low_matrix, 1), ((matrix - low_matrix) // _BYTE, _BYTE)]
    low, high = low_and_high_byte(graph, seen)
    terms = []
    for part, weight in ((low, 1), (high, _BYTE)):
        for index, (digit, digit_weight) in enumerate(digits):
            if not digit.any():
                continue
            for start in range(0, len(matrix), _MOST_TERMS):
                end = min(start + _MOST_TERMS, len(matrix))
                columns = part
                if end - start < len(matrix):
                    columns = graph.add("Slice", part, graph.axes(start), graph.axes(end), graph.axes(1))
                constant = graph.constant(digit[start:end], f"{name}.byte{index}" + (f".{start}" if start else ""))
                term = graph.add("MatMul", columns, constant)
                factor = weight * digit_weight
                terms.append(term if factor == 1 else graph.add("Mul", term, graph.scalar(factor)))
    total = terms[0] if terms else graph.add("MatMul", low, graph.constant(matrix, name))
    for term in terms[1:]:
        total = graph.add("Add", total, term)
    return total


def product_at_step(graph: Graph, seen: str, matrices: NDArray[np.int32], step: str, name: str, *, alike: bool) -> str:
    """seen @ matrices[step - 1], int32 [batch, R], for int32 [batch, n] of 16-bit numbers and constant int32 [T, n, R].

    Args:
        graph: graph to append to. A portable one multiplies bytes, as :func:`product` does.
        seen: factors.
        matrices: a matrix for each step.
        step: number of the step, from 1, int32 [batch, 1]. Numbers outside the window give any product.
        name: name of the constants.
        alike: True if the step is the same in all rows; then its matrix is looked up once.
    """
    before = graph.add("Sub", step, graph.scalar(1))
    index = graph.add("Clip", before, graph.scalar(0), graph.scalar(len(matrices) - 1))
    if alike:
        index = graph.add("Gather", index, graph.scalar(0, np.int64), axis=0)  # [1]
    index = graph.add("Squeeze", index, graph.axes(0 if alike else 1))

    def times(factors: str, constant: NDArray[np.int32], suffix: str) -> str:
        matrix = graph.add("Gather", graph.constant(constant, name + suffix), index, axis=0)
        if alike:
            return graph.add("MatMul", factors, matrix)
        row = graph.add("Unsqueeze", factors, graph.axes(1))
        return graph.add("Squeeze", graph.add("MatMul", row, matrix), graph.axes(1))

    if not graph.portable:
        return times(seen, matrices, "")
    low_matrix = (matrices + _BYTE // 2) % _BYTE - _BYTE // 2  # -128 .. 127
    digits = ((low_matrix, 1), ((matrices - low_matrix) // _BYTE, _BYTE))
    total = ""
    for part, weight in zip(low_and_high_byte(graph, seen), (1, _BYTE), strict=True):
        for place, (digit, digit_weight) in enumerate(digits):
            for start in range(0, matrices.shape[1], _MOST_TERMS):
                end = min(start + _MOST_TERMS, matrices.shape[1])
                columns = graph.add("Slice", part, graph.axes(start), graph.axes(end), graph.axes(1))
                term = times(columns, digit[:, start:end], f".byte{place}" + (f".{start}" if start else ""))
                if weight * digit_weight > 1:
                    term = graph.add("Mul", term, graph.scalar(weight * digit_weight))
                total = graph.add("Add", total, term) if total else term
    return total


def low_and_high_byte(graph: Graph, value: str) -> tuple[str, str]:
    """Bytes of 16-bit numbers, 0 to 255 and -128 to 127: value = 256 high + low."""
    low = graph.add("BitwiseAnd", value, graph.scalar(_BYTE - 1))
    return low, graph.add("Div", graph.add("Sub", value, low), graph.scalar(_BYTE))


_MOST_TERMS = (1 << FLOAT32_BITS) // (_BYTE * _BYTE // 2)  # products of a byte and a signed byte below 2^24


def arg_max(graph: Graph, values: str, *, keepdims: int) -> str:
    """Index of the largest value of int32 [batch, K], the lowest of equal ones, int64; [batch, 1] with ``keepdims``."""
    if graph.portable:
        values = _low_of_largest(graph, values)[1]
    return graph.add("ArgMax", values, axis=1, keepdims=keepdims)  # select_last_index=0: the first of equal values


def largest(graph: Graph, values: str) -> str:
    """The largest value of int32 [batch, K], [batch, 1]."""
    if not graph.portable:
        return graph.add("ReduceMax", values, graph.axes(1), keepdims=1)
    high, low = _low_of_largest(graph, values)
    upper = graph.add("Mul", high, graph.scalar(_HALF))
    return graph.add("Add", upper, graph.add("ReduceMax", low, graph.axes(1), keepdims=1))


def _low_of_largest(graph: Graph, values: str) -> tuple[str, str]:
    """The largest upper half of 32 bits, [batch, 1]; and the lower halves beside it, -1 beside others, [batch, K]."""
    low = graph.add("BitwiseAnd", values, graph.scalar(_HALF - 1))
    high = graph.add("Div", graph.add("Sub", values, low), graph.scalar(_HALF))
    top = graph.add("ReduceMax", high, graph.axes(1), keepdims=1)
    return top, graph.add("Where", graph.add("Equal", high, top), low, graph.scalar(-1))


def _look_up(graph: Graph, table: NDArray[np.int16], name: str, index: str, flat: tuple[str, str] | None) -> str:
    """table[index]. ``GatherElements`` on one axis is ten times as fast in ONNX Runtime as ``Gather``.

    Args:
        graph: graph to append to.
        table: the table.
        name: its name.
        index: int32 tensor.
        flat: the index on one axis, and its shape; None to use ``Gather``, which all runtimes have.
    """
    if name not in graph.constants:
        graph.constant(table.astype(np.int32), name)
    if flat is None:
        return graph.add("Gather", name, index, axis=0)
    return graph.add("Reshape", graph.add("GatherElements", name, flat[0], axis=0), flat[1])


def table_tanh(graph: Graph, argument: str) -> str:
    """tanh((argument - 2^19) / 2^16) in Q15: base[k] + floor(slope[k] (f + 1) / 2^16), with argument = 2^12 k + f."""
    base, slope = tanh_table()
    cell = graph.add("Div", argument, graph.scalar(1 << POSITION_BITS))
    flat = None if graph.portable else (graph.add("Reshape", cell, graph.axes(-1)), graph.add("Shape", cell))
    position = graph.add("BitwiseAnd", argument, graph.scalar((1 << POSITION_BITS) - 1))
    slopes = _look_up(graph, slope, "tanh.slope", cell, flat)
    rise = graph.add("Mul", slopes, graph.add("Add", position, graph.scalar(1)))
    bases = _look_up(graph, base, "tanh.base", cell, flat)
    if graph.portable:
        return graph.add("Add", bases, floor_shift(graph, rise, 16))
    return graph.add("Add", bases, graph.add("Div", rise, graph.scalar(1 << 16)))


def sigmoid_of_tanh(graph: Graph, tanh: str) -> str:
    """floor(tanh / 2) + 2^14, computed as (tanh + 2^15) / 2, whose dividend is not negative."""
    return graph.add("Div", graph.add("Add", tanh, graph.scalar(1 << FINE_FRAC_BITS)), graph.scalar(2))
