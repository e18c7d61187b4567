"""The proof that nothing overflows: bounds from the actual weights, for any input and any reachable state.

A bound adds magnitudes, so it holds for every partial sum in every order of summation: a kernel may add as it likes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_seq.errors import RangeProofError
from edge_seq.ir.cells import Gru, Lstm, gates
from edge_seq.ir.model import IntModel
from edge_seq.ir.rows import IntRows, effective_weights, is_coarse
from edge_seq.quant.fixed_point import COARSE_LIMIT, FINE_FRAC_BITS, FINE_LIMIT, INT16_MAX, INT32_MAX, MULTIPLIER_SHIFT

FEATURE_LIMIT = 2**15  # |feature| <= 2^15: any 16-bit value
SIGMOID_MAX = 2**FINE_FRAC_BITS - 1
TANH_MAX = INT16_MAX


@dataclass(frozen=True)
class Bound:
    """What an accumulator or intermediate can reach at the most.

    Attributes:
        name: for example ``layer0.forget_gate accumulator``.
        row: the row or unit with the largest magnitude; -1 where all are alike.
        magnitude: the largest absolute value that any input can bring about.
        limit: what the type holds.
    """

    name: str
    row: int
    magnitude: int
    limit: int = INT32_MAX

    @property
    def holds(self) -> bool:
        """Whether the type is wide enough."""
        return self.magnitude <= self.limit

    @property
    def slack(self) -> float:
        """limit / magnitude; 1 or more where the bound holds."""
        return self.limit / max(self.magnitude, 1)


def accumulator_bounds(rows: IntRows) -> NDArray[np.int64]:
    """int64 [R]: |bias| plus the L1 norm of the row, each weight times the largest magnitude of what it meets."""

    def operand_limits(size: int) -> NDArray[np.int64]:
        return np.where(is_coarse(size), COARSE_LIMIT, FINE_LIMIT).astype(np.int64)

    wide: NDArray[np.int64] = np.abs(rows.wide.astype(np.int64)).sum(axis=1, dtype=np.int64)
    bound: NDArray[np.int64] = np.abs(rows.bias.astype(np.int64)) + wide * FEATURE_LIMIT
    for narrow in (rows.narrow_input, rows.narrow_hidden):
        weights = np.abs(effective_weights(narrow).astype(np.int64))
        bound = np.add(bound, weights @ operand_limits(narrow.shape[1]), dtype=np.int64)
    return bound


def _scaled_bounds(rows: IntRows) -> NDArray[np.int64]:
    """int64 [R]: bound of floor(acc * multiplier / 2^16)."""
    return ((accumulator_bounds(rows) * rows.multiplier.astype(np.int64)) >> MULTIPLIER_SHIFT) + 1


def _largest(name: str, magnitudes: NDArray[np.int64]) -> Bound:
    row = int(np.argmax(magnitudes))
    return Bound(name, row, int(magnitudes[row]))


def range_bounds(model: IntModel) -> tuple[Bound, ...]:
    """The bound of every accumulator and every intermediate of a model, whether it holds or not."""
    bounds: list[Bound] = []
    for index, cell in enumerate(model.layers):
        prefix = f"layer{index}"
        bounds += [
            _largest(f"{prefix}.{name} accumulator", accumulator_bounds(rows)) for name, rows in gates(cell).items()
        ]
        if isinstance(cell, Gru):
            # n_x + (n_h >> 1) + mulw(n_h, t): the two halves of n_h together are at most |n_h| + 2.
            new_gate = _scaled_bounds(cell.new_gate_input) + _scaled_bounds(cell.new_gate_hidden) + 2
            bounds.append(_largest(f"{prefix}.new_gate sum", new_gate))
            blend = SIGMOID_MAX * FINE_LIMIT + 2 ** (FINE_FRAC_BITS - 1)
            bounds.append(Bound(f"{prefix}.hidden_state update", -1, blend))
        if isinstance(cell, Lstm):
            cell_frac_bits = model.number_format.cell_frac_bits[index]
            update = SIGMOID_MAX * FINE_LIMIT + ((SIGMOID_MAX * TANH_MAX) >> (FINE_FRAC_BITS - cell_frac_bits))
            bounds.append(Bound(f"{prefix}.cell_state update", -1, update + 2 ** (FINE_FRAC_BITS - 1)))
    bounds.append(_largest("head accumulator", accumulator_bounds(model.head)))
    if model.readout.pooling == "mean":
        bounds.append(Bound("sum of states, times four", -1, 4 * model.contract.window_length * FINE_LIMIT))
    return tuple(bounds)


def prove_ranges(model: IntModel) -> tuple[Bound, ...]:
    """The bounds, all of which hold.

    Raises:
        RangeProofError: naming the accumulator, its row, the bound, the limit and what to change.
    """
    bounds = range_bounds(model)
    for bound in bounds:
        if not bound.holds:
            row = "" if bound.row < 0 else f", row {bound.row}"
            raise RangeProofError(
                f"model {model.name}: {bound.name}{row} can reach {bound.magnitude:,}; 32 bits hold {bound.limit:,}. "
                "Quantize the float model again (quantize() coarsens a row until it is proven), or train with weight "
                "decay"
            )
    return bounds
