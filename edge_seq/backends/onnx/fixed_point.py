"""The primitives of SPEC.md, sections 2, 5 and 6, as nodes on int32 tensors. Everything integer is built of these.

ONNX divides integers towards zero and shifts unsigned ones only. So a shift to the right is: take the low bits away,
which leaves a multiple, and divide that, which is exact for every int32 of either sign.
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
    """Constants of shifts by as many bits as there are units or counts, all int32 [n].

    Attributes:
        half: what is added first: half of the divisor where the shift rounds, otherwise 0.
        low_bits: what is taken away: divisor - 1.
        divisor: 2^bits.
    """

    half: NDArray[np.int32]
    low_bits: NDArray[np.int32]
    divisor: NDArray[np.int32]

    @staticmethod
    def of(bits: NDArray[np.integer[Any]], rounds: NDArray[np.bool_]) -> Shifts:
        """Shifts by ``bits``, 0 to 30, with rounding where ``rounds`` says so."""
        divisor = np.left_shift(1, bits.astype(np.int64)).astype(np.int32)
        return Shifts(np.where(rounds, divisor >> 1, 0).astype(np.int32), divisor - np.int32(1), divisor)


def shift_by(graph: Graph, value: str, half: str, low_bits: str, divisor: str) -> str:
    """floor((value + half) / divisor), with a divisor of its own for each unit; arguments as in :class:`Shifts`."""
    raised = graph.add("Add", value, half)
    low = graph.add("BitwiseAnd", raised, low_bits)
    return graph.add("Div", graph.add("Sub", raised, low), divisor)


def mulw(graph: Graph, value: str, factor: str, *, factor_is_signed: bool = False, name: str = "") -> str:
    """floor(value * factor / 2^16), all in 32 bits.

    With value = 2^16 high + low and low >= 0 that is high factor + floor(low factor / 2^16).

    Args:
        graph: to append to.
        value: any int32.
        factor: int32 tensor of 16-bit numbers.
        factor_is_signed: whether it may be negative; where it is not, nor is the low product, which is just divided.
        name: of the result.
    """
    low = graph.add("BitwiseAnd", value, graph.scalar((1 << MULTIPLIER_SHIFT) - 1))
    unit = graph.scalar(1 << MULTIPLIER_SHIFT)
    high = graph.add("Div", graph.add("Sub", value, low), unit)
    low_product = graph.add("Mul", low, factor)  # at most 65535 * 32768, which 32 bits hold
    carry = (
        floor_shift(graph, low_product, MULTIPLIER_SHIFT) if factor_is_signed else graph.add("Div", low_product, unit)
    )
    return graph.add("Add", graph.add("Mul", high, factor), carry, name=name)


def saturate16(graph: Graph, value: str, name: str = "") -> str:
    """The nearest value that 16 bits hold."""
    return graph.add("Clip", value, graph.scalar(INT16_MIN), graph.scalar(INT16_MAX), name=name)


def table_argument(graph: Graph, value: str, name: str = "") -> str:
    """clamp(value, 0, 2^20 - 1)."""
    return graph.add("Clip", value, graph.scalar(0), graph.scalar(ARGUMENT_MAX), name=name)


def _look_up(graph: Graph, table: NDArray[np.int16], name: str, flat_index: str, shape: str) -> str:
    """table[index]. ``GatherElements`` on one axis, as ONNX Runtime's is ten times as fast as its ``Gather``."""
    if name not in graph.constants:
        graph.constant(table.astype(np.int32), name)
    return graph.add("Reshape", graph.add("GatherElements", name, flat_index, axis=0), shape)


def table_tanh(graph: Graph, argument: str) -> str:
    """tanh((argument - 2^19) / 2^16) in Q15: base[k] + floor(slope[k] (f + 1) / 2^16), k and f the argument's parts."""
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
    """floor(tanh / 2) + 2^14, as (tanh + 2^15) / 2, which is not negative."""
    return graph.add("Div", graph.add("Add", tanh, graph.scalar(1 << FINE_FRAC_BITS)), graph.scalar(2))
