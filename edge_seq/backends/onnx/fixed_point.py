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


def floor_shift(graph: Graph, value: str, bits: int) -> str:
    """floor(value / 2^bits)."""
    if bits == 0:
        return value
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
    carry = (
        floor_shift(graph, low_product, MULTIPLIER_SHIFT) if factor_is_signed else graph.add("Div", low_product, unit)
    )
    return graph.add("Add", graph.add("Mul", high, factor), carry, name=name)


def saturate16(graph: Graph, value: str, name: str = "") -> str:
    """The nearest value that fits 16 bits."""
    return graph.add("Clip", value, graph.scalar(INT16_MIN), graph.scalar(INT16_MAX), name=name)


def table_argument(graph: Graph, value: str, name: str = "") -> str:
    """clamp(value, 0, 2^20 - 1)."""
    return graph.add("Clip", value, graph.scalar(0), graph.scalar(ARGUMENT_MAX), name=name)


def _look_up(graph: Graph, table: NDArray[np.int16], name: str, flat_index: str, shape: str) -> str:
    """table[index], by ``GatherElements`` on one axis, which is ten times as fast in ONNX Runtime as ``Gather``."""
    if name not in graph.constants:
        graph.constant(table.astype(np.int32), name)
    return graph.add("Reshape", graph.add("GatherElements", name, flat_index, axis=0), shape)


def table_tanh(graph: Graph, argument: str) -> str:
    """tanh((argument - 2^19) / 2^16) in Q15: base[k] + floor(slope[k] (f + 1) / 2^16), with argument = 2^12 k + f."""
    base, slope = tanh_table()
    cell = graph.add("Div", argument, graph.scalar(1 << POSITION_BITS))
    flat, shape = graph.add("Reshape", cell, graph.axes(-1)), graph.add("Shape", cell)
    position = graph.add("BitwiseAnd", argument, graph.scalar((1 << POSITION_BITS) - 1))
    rise = graph.add(
        "Mul", _look_up(graph, slope, "tanh.slope", flat, shape), graph.add("Add", position, graph.scalar(1))
    )
    return graph.add(
        "Add", _look_up(graph, base, "tanh.base", flat, shape), graph.add("Div", rise, graph.scalar(1 << 16))
    )


def sigmoid_of_tanh(graph: Graph, tanh: str) -> str:
    """floor(tanh / 2) + 2^14, computed as (tanh + 2^15) / 2, whose dividend is not negative."""
    return graph.add("Div", graph.add("Add", tanh, graph.scalar(1 << FINE_FRAC_BITS)), graph.scalar(2))
