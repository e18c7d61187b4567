"""The proof that nothing overflows: bounds from the actual weights, for any input and any reachable state.

A bound adds magnitudes, so it holds for every partial sum in every order of summation: a kernel may add as it likes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge_seq.arithmetic.fixed_point import (
    COARSE_DROP,
    COARSE_LIMIT,
    FINE_FRAC_BITS,
    FINE_LIMIT,
    GRAVITY_FRAC_BITS,
    INT16_MAX,
    INT32_MAX,
    MULTIPLIER_SHIFT,
    integers,
)
from edge_seq.arithmetic.tables import ARGUMENT_FRAC_BITS, ARGUMENT_OFFSET, POSITION_BITS, tanh_table
from edge_seq.ir.cells import Cell, Gru, Lstm, gates
from edge_seq.ir.decision import DISTANCE_LIMIT, SCORE_LIMIT, UnknownDistance
from edge_seq.ir.model import IntModel
from edge_seq.ir.rows import IntRows, effective_weights, is_coarse
from edge_seq.support.errors import RangeProofError
from edge_seq.support.results import Result

FEATURE_LIMIT = 2**15  # |feature| <= 2^15: any 16-bit value
SIGMOID_MAX = 2**FINE_FRAC_BITS - 1
TANH_MAX = INT16_MAX


@dataclass(frozen=True)
class Bound(Result):
    """What an accumulator or intermediate can reach at the most.

    Attributes:
        name: for example ``layer0.forget_gate accumulator``.
        row: the row or unit with the largest magnitude; -1 where all are alike.
        magnitude: the largest absolute value that any input can bring about.
        limit: what the type holds.
    """

    derived = ("slack",)

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


def _preprocessing_bounds(model: IntModel) -> list[Bound]:
    shift = max(model.number_format.input_shift, default=0)
    bounds = [Bound("features, shifted", -1, FEATURE_LIMIT << shift)]
    if model.contract.preprocessing.step == "remove_gravity":
        # The sample and the low-pass at opposite ends.
        bounds.append(Bound("gravity, difference to the sample", -1, 2 * FEATURE_LIMIT << GRAVITY_FRAC_BITS))
    return bounds


def _cell_bounds(cell: Cell[IntRows], cell_frac_bits: int) -> list[Bound]:
    bounds: list[Bound] = []
    for name, rows in gates(cell).items():
        bounds.append(_largest(f"{name} accumulator", accumulator_bounds(rows)))
        bounds.append(_largest(f"{name} result", _scaled_bounds(rows)))
    if isinstance(cell, Gru):
        # n_x + (n_h >> 1) + mulw(n_h, t): the two halves of n_h together are at most |n_h| + 2.
        new_gate = _scaled_bounds(cell.new_gate_input) + _scaled_bounds(cell.new_gate_hidden) + 2
        bounds.append(_largest("new_gate sum", new_gate))
        blend = SIGMOID_MAX * FINE_LIMIT + 2 ** (FINE_FRAC_BITS - 1)
        bounds.append(Bound("hidden_state update", -1, blend))
    if isinstance(cell, Lstm):
        update = SIGMOID_MAX * FINE_LIMIT + ((SIGMOID_MAX * TANH_MAX) >> (FINE_FRAC_BITS - cell_frac_bits))
        bounds.append(Bound("cell_state update", -1, update + 2 ** (FINE_FRAC_BITS - 1)))
        argument = (2**15 << (ARGUMENT_FRAC_BITS - cell_frac_bits)) + ARGUMENT_OFFSET
        bounds.append(Bound("cell_state argument", -1, argument))
        bounds.append(
            Bound("hidden_state product", -1, SIGMOID_MAX * TANH_MAX + 2 ** (FINE_FRAC_BITS + COARSE_DROP - 1))
        )
    return bounds


def _pool_bounds(model: IntModel) -> list[Bound]:
    if model.readout.pooling != "mean":
        return []
    length = model.contract.window_length
    total = 4 * length * FINE_LIMIT
    shift = length.bit_length() - 1
    mean = (total * model.number_format.pool_reciprocals[-1] >> MULTIPLIER_SHIFT) + 1 + ((1 << shift) >> 1)
    return [Bound("sum of states, times four", -1, total), Bound("mean of states, scaled", -1, mean)]


def _multipliers(model: IntModel) -> list[int]:
    """All second factors of mulw."""
    rows = [rows for cell in model.layers for rows in gates(cell).values()]
    of_rows = [int(one.multiplier.max(initial=0)) for one in (*rows, model.head)]
    of_gru = [TANH_MAX] if any(isinstance(cell, Gru) for cell in model.layers) else []
    return [*of_rows, *of_gru, *model.number_format.pool_reciprocals]


def _table_bound() -> int:
    """base 2^16 + slope (f + 1), in its packed form word + slope f."""
    base, slope = (integers(array) for array in tanh_table())
    word = (base << 16) + slope
    return int(np.abs(np.stack([word, word + slope * ((1 << POSITION_BITS) - 1)])).max())


def _distance_bounds(distance: UnknownDistance) -> NDArray[np.int64]:
    """int64 [K]: each unit is in -COARSE_LIMIT .. COARSE_LIMIT, so its gap is largest from the end that is farther."""
    centroids = np.array(distance.centroids, dtype=np.int64)
    return np.asarray((np.abs(centroids) + COARSE_LIMIT).sum(axis=1, dtype=np.int64))


def range_bounds(model: IntModel) -> tuple[Bound, ...]:
    """The bound of every accumulator and of what else needs more than 16 bits, whether it holds or not."""
    bounds = _preprocessing_bounds(model)
    for index, cell in enumerate(model.layers):
        frac_bits = model.number_format.cell_frac_bits[index]
        bounds += [replace(bound, name=f"layer{index}.{bound.name}") for bound in _cell_bounds(cell, frac_bits)]
    bounds.append(_largest("head accumulator", accumulator_bounds(model.head)))
    logits = _largest("logits", _scaled_bounds(model.head))
    bounds += [logits, replace(logits, name="difference of two logits", magnitude=2 * logits.magnitude)]
    bounds += _pool_bounds(model)
    if model.readout.decision is not None:
        bounds.append(Bound("decision score, and difference of two", -1, SCORE_LIMIT))
        if model.readout.decision.unknown_distance is not None:
            bounds.append(_largest("distance", _distance_bounds(model.readout.decision.unknown_distance)))
            bounds.append(Bound("excess of a distance, and difference of two", -1, 2 * DISTANCE_LIMIT))
    bounds.append(Bound("low product of mulw", -1, (2**MULTIPLIER_SHIFT - 1) * max(_multipliers(model))))
    bounds.append(Bound("interpolation of tanh", -1, _table_bound()))
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
