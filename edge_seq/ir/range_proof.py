"""The range proof: bounds from the actual weights show that nothing overflows, for any input and any reachable state.

A bound adds magnitudes, so it holds for every partial sum in every order of summation. Kernels may add in any order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Never, assert_never

from edge_seq.arithmetic.fixed_point import (
    COARSE_DROP,
    COARSE_LIMIT,
    FINE_FRAC_BITS,
    FINE_LIMIT,
    GRAVITY_FRAC_BITS,
    INT16_MAX,
    INT32_MAX,
    MULTIPLIER_SHIFT,
    UINT32_MAX,
    integers,
    mean_reciprocal,
)
from edge_seq.arithmetic.tables import ARGUMENT_FRAC_BITS, ARGUMENT_OFFSET, POSITION_BITS, tanh_table
from edge_seq.ir.decision import DISTANCE_LIMIT, SCORE_LIMIT, UnknownDistance
from edge_seq.ir.front import Conv, FrontLayer, TimePool
from edge_seq.ir.kind_names import KIND_NAMES
from edge_seq.ir.kinds import FastGrnn, Gru, Layer, Lstm, Rnn, kind_of, row_groups
from edge_seq.ir.model import IntModel
from edge_seq.ir.rows import IntRows, effective_weights, is_coarse, rows_of_steps
from edge_seq.support.errors import RangeProofError
from edge_seq.support.results import Result

FEATURE_LIMIT = 2**15  # |feature| <= 2^15: any 16-bit value
SIGMOID_MAX = 2**FINE_FRAC_BITS - 1
TANH_MAX = INT16_MAX
# A saved sum over the steps of a window is taken if it is within this (SPEC.md, section 13).
SUM_LIMIT = 2**30
# A head that learns (SPEC.md, section 24).
MAX_LEARNED_VALUES = 1024  # values that its head sees
MAX_EXAMPLES = 255
STEP_LIMIT = 2**15  # of an example, Q15: one logit
LEARNED_LOGIT_LIMIT = 2**30 - 1  # corrected logits, so that the difference of two fits


@dataclass(frozen=True)
class Bound(Result):
    """Largest magnitude that an accumulator or intermediate can reach.

    Attributes:
        name: name of the value, for example ``layer0.forget_gate accumulator``.
        row: row or unit with the largest magnitude; -1 if all have the same.
        magnitude: largest absolute value for any input.
        limit: largest absolute value that the type holds.
    """

    derived = ("slack",)

    name: str
    row: int
    magnitude: int
    limit: int = INT32_MAX

    @property
    def holds(self) -> bool:
        """True if the type is wide enough."""
        return self.magnitude <= self.limit

    @property
    def slack(self) -> float:
        """limit / magnitude, 1 or more if the bound holds."""
        return self.limit / max(self.magnitude, 1)


def accumulator_bounds(rows: IntRows) -> NDArray[np.int64]:
    """Bound of each accumulator, int64 [R]: |bias| plus the sum of |weight| times the operand's largest magnitude."""

    def operand_limits(size: int) -> NDArray[np.int64]:
        return np.where(is_coarse(size), COARSE_LIMIT, FINE_LIMIT).astype(np.int64)

    wide: NDArray[np.int64] = np.abs(rows.wide.astype(np.int64)).sum(axis=1, dtype=np.int64)
    bound: NDArray[np.int64] = np.abs(rows.bias.astype(np.int64)) + wide * FEATURE_LIMIT
    for narrow in (rows.narrow_input, rows.narrow_hidden):
        weights = np.abs(effective_weights(narrow).astype(np.int64))
        bound = np.add(bound, weights @ operand_limits(narrow.shape[1]), dtype=np.int64)
    return bound


def _scaled_bounds(rows: IntRows) -> NDArray[np.int64]:
    """Bound of floor(acc * multiplier / 2^16), int64 [R]."""
    return ((accumulator_bounds(rows) * rows.multiplier.astype(np.int64)) >> MULTIPLIER_SHIFT) + 1


def _largest(name: str, magnitudes: NDArray[np.int64]) -> Bound:
    row = int(np.argmax(magnitudes))
    return Bound(name, row, int(magnitudes[row]))


def _preprocessing_bounds(model: IntModel) -> list[Bound]:
    shift = max(model.number_format.input_shift, default=0)
    bounds = [Bound("features, shifted", -1, FEATURE_LIMIT << shift)]
    if model.contract.preprocessing.step == "remove_gravity":
        # Worst case: the sample and the low-pass are at opposite ends of the range.
        bounds.append(Bound("gravity, difference to the sample", -1, 2 * FEATURE_LIMIT << GRAVITY_FRAC_BITS))
    if model.contract.magnitude_axes:
        bounds.append(Bound("magnitude, square of an axis", -1, FEATURE_LIMIT**2))
        # It has no sign. What comes of it saturates, so it is a feature like the others.
        bounds.append(Bound("magnitude, sum of squares", -1, 3 * FEATURE_LIMIT**2, UINT32_MAX))
    companding = model.contract.preprocessing.companding
    if companding is not None:
        bounds.append(Bound("companding, magnitude raised", -1, FEATURE_LIMIT + (1 << companding)))
    return bounds


def _layer_bounds(layer: Layer[IntRows], cell_frac_bits: int) -> list[Bound]:
    bounds: list[Bound] = []
    for name, rows in row_groups(layer).items():
        bounds.append(_largest(f"{name} accumulator", accumulator_bounds(rows)))
        bounds.append(_largest(f"{name} result", _scaled_bounds(rows)))
    match layer:
        case Rnn():
            return bounds  # a result goes into the table, and what comes out is the state
        case Gru():
            return bounds + _gru_bounds(layer)
        case Lstm():
            return bounds + _lstm_bounds(cell_frac_bits)
        case FastGrnn():
            return bounds + _fastgrnn_bounds(layer)
        case unknown:
            _refuse(unknown)


def _refuse(layer: Never) -> NoReturn:
    """Refuse a kind whose intermediates have no bounds here. mypy names the place, and no model of it is proven.

    Raises:
        RangeProofError: always.
    """
    raise RangeProofError(
        f"range proof: the intermediates of a {type(layer).__name__} are not known, so nothing is proven; expected one "
        f"of {list(KIND_NAMES)}. Add its bounds to edge_seq/ir/range_proof.py"
    )


def _gru_bounds(layer: Gru[IntRows]) -> list[Bound]:
    # n_x + (n_h >> 1) + mulw(n_h, t): the two halves of n_h together are at most |n_h| + 2.
    new_gate = _scaled_bounds(layer.new_gate_input) + _scaled_bounds(layer.new_gate_hidden) + 2
    blend = SIGMOID_MAX * FINE_LIMIT + 2 ** (FINE_FRAC_BITS - 1)
    return [_largest("new_gate sum", new_gate), Bound("hidden_state update", -1, blend)]


def _lstm_bounds(cell_frac_bits: int) -> list[Bound]:
    update = SIGMOID_MAX * FINE_LIMIT + ((SIGMOID_MAX * TANH_MAX) >> (FINE_FRAC_BITS - cell_frac_bits))
    argument = (2**15 << (ARGUMENT_FRAC_BITS - cell_frac_bits)) + ARGUMENT_OFFSET
    product = SIGMOID_MAX * TANH_MAX + 2 ** (FINE_FRAC_BITS + COARSE_DROP - 1)
    return [
        Bound("cell_state update", -1, update + 2 ** (FINE_FRAC_BITS - 1)),
        Bound("cell_state argument", -1, argument),
        Bound("hidden_state product", -1, product),
    ]


def _fastgrnn_bounds(layer: FastGrnn[IntRows]) -> list[Bound]:
    gate = (_scaled_bounds(layer.new_gate) >> 1) + 1 + np.abs(integers(layer.update_offset))
    write = int(layer.zeta[0]) * 2**FINE_FRAC_BITS + int(layer.nu[0])
    added = (write * TANH_MAX >> MULTIPLIER_SHIFT) + 1
    update = (SIGMOID_MAX * FINE_LIMIT >> 1) + 1 + added + 2 ** (FINE_FRAC_BITS - 2)
    return [
        _largest("update_gate sum", gate),
        Bound("weight of the new gate", -1, write),
        Bound("hidden_state update", -1, update),
    ]


def _front_bounds(layer: FrontLayer[IntRows]) -> list[Bound]:
    match layer:
        case Conv():  # a result saturates, or goes into the table
            accumulators, results = accumulator_bounds(layer.rows), _scaled_bounds(layer.rows)
            return [_largest("accumulator", accumulators), _largest("result", results)]
        case TimePool():
            return _mean_bounds(layer.size) if layer.statistic == "mean" else []
        case unknown:
            assert_never(unknown)


def _mean_bounds(count: int) -> list[Bound]:
    """Bounds of the mean of ``count`` operands."""
    total = 4 * count * FINE_LIMIT
    reciprocal, shift = mean_reciprocal(count)
    mean = (total * reciprocal >> MULTIPLIER_SHIFT) + 1 + ((1 << shift) >> 1)
    return [Bound("sum of states, times four", -1, total), Bound("mean of states, scaled", -1, mean)]


def _pool_bounds(model: IntModel) -> list[Bound]:
    if "mean" not in model.readout.statistics:
        return []  # a largest value is an operand
    most = model.steps_after(model.contract.window_length)
    total, mean = _mean_bounds(most)
    if model.readout.label_every == "sample":  # a power of two rounds up the most
        mean = max(mean, _mean_bounds(1 << (most.bit_length() - 1))[1], key=lambda bound: bound.magnitude)
    return [total, mean]


def _dense_bounds(model: IntModel) -> list[Bound]:
    """Bounds of dense layers and head. A dense result saturates, or goes into the table."""
    rows = {f"dense{index}": layer.rows for index, layer in enumerate(model.dense)} | {"head": model.head}
    bounds: list[Bound] = []
    for name, one in rows.items():
        if one is model.summed_rows:
            each = rows_of_steps(one, model.num_steps)
            bounds.append(_largest_at_step(f"{name} accumulator", accumulator_bounds(each), model.num_steps))
            result: NDArray[np.int64] = _scaled_bounds(each).reshape(len(one.bias), -1).sum(axis=1, dtype=np.int64)
            bounds.append(_largest(f"{name} sum over the steps, behind a restored one", result + SUM_LIMIT))
        else:
            bounds.append(_largest(f"{name} accumulator", accumulator_bounds(one)))
            result = _scaled_bounds(one)
        bounds.append(_largest("logits" if name == "head" else f"{name} result", result))
    return [*bounds, replace(bounds[-1], name="difference of two logits", magnitude=2 * bounds[-1].magnitude)]


def _largest_at_step(name: str, magnitudes: NDArray[np.int64], steps: int) -> Bound:
    """The largest bound of rows that :func:`rows_of_steps` took apart."""
    bound = _largest(name, magnitudes)
    return replace(bound, name=f"{name} at step {bound.row % steps + 1}", row=bound.row // steps)


def _multipliers(model: IntModel) -> list[int]:
    """All values that mulw takes as its second factor."""
    rows = [rows for cell in model.layers for rows in row_groups(cell).values()]
    convolutions = [layer.rows for layer in model.front if isinstance(layer, Conv)]
    dense = [layer.rows for layer in model.dense]
    of_rows = [int(one.multiplier.max(initial=0)) for one in (*rows, *convolutions, *dense, model.head)]
    of_means = [mean_reciprocal(one.size)[0] for one in model.front if isinstance(one, TimePool)]
    of_tanh = [TANH_MAX] if any(kind_of(cell).tanh_is_a_factor for cell in model.layers) else []
    return [*of_rows, *of_means, *of_tanh, *model.number_format.pool_reciprocals]


def _table_bound() -> int:
    """Bound of base 2^16 + slope (f + 1), computed as word + slope f."""
    base, slope = (integers(array) for array in tanh_table())
    word = (base << 16) + slope
    return int(np.abs(np.stack([word, word + slope * ((1 << POSITION_BITS) - 1)])).max())


def _distance_bounds(distance: UnknownDistance) -> NDArray[np.int64]:
    """Largest distance for each label, int64 [K]. A unit is in -COARSE_LIMIT .. COARSE_LIMIT, so the far end counts."""
    centroids = np.array(distance.centroids, dtype=np.int64)
    return np.asarray((np.abs(centroids) + COARSE_LIMIT).sum(axis=1, dtype=np.int64))


def range_bounds(model: IntModel) -> tuple[Bound, ...]:
    """Bounds of every accumulator and of all other values that need more than 16 bits, whether they hold or not."""
    bounds = _preprocessing_bounds(model)
    for index, layer in enumerate(model.front):
        bounds += [replace(bound, name=f"front{index} {bound.name}") for bound in _front_bounds(layer)]
    for index, cell in enumerate(model.layers):
        frac_bits = model.number_format.cell_frac_bits[index]
        bounds += [replace(bound, name=f"layer{index}.{bound.name}") for bound in _layer_bounds(cell, frac_bits)]
    bounds += _dense_bounds(model)
    bounds += _pool_bounds(model)
    if model.readout.decision is not None:
        bounds.append(Bound("decision score, and difference of two", -1, SCORE_LIMIT))
        if model.readout.decision.unknown_distance is not None:
            bounds.append(_largest("distance", _distance_bounds(model.readout.decision.unknown_distance)))
            bounds.append(Bound("excess of a distance, and difference of two", -1, 2 * DISTANCE_LIMIT))
    bounds.append(Bound("low product of mulw", -1, (2**MULTIPLIER_SHIFT - 1) * max(_multipliers(model))))
    bounds.append(Bound("interpolation of tanh", -1, _table_bound()))
    return tuple(bounds)


def learning_bounds(model: IntModel, examples: int = MAX_EXAMPLES) -> tuple[Bound, ...]:
    """Bounds of what a head that learns computes, for any examples that it may come to hold (SPEC.md, section 24).

    They hold for every model: the bound of a logit is below 2^30, because a multiplier is below 2^15.

    Args:
        model: integer model.
        examples: number of examples that the head can hold, 1 to 255.
    """
    radius = 1 << (16 * model.head_size - 1).bit_length()
    logits = int(_scaled_bounds(model.head).max())
    correction = 2 * STEP_LIMIT * examples
    return (
        Bound("distance from an example", -1, 255 * model.head_size),
        Bound("step of an example times its closeness", -1, STEP_LIMIT * radius),
        Bound("logit before it is limited", -1, logits + correction),
        Bound("difference of two corrected logits", -1, 2 * LEARNED_LOGIT_LIMIT),
    )


def prove_ranges(model: IntModel) -> tuple[Bound, ...]:
    """Check that all bounds hold, and return them.

    Raises:
        RangeProofError: a bound does not hold; the message names accumulator, row, bound, limit and what to change.
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
