"""Turns a float model into an integer model. All numeric decisions are made here; exporters only print them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_never

from edge_seq.arithmetic.fixed_point import (
    FINE_FRAC_BITS,
    INT16_MAX,
    INT16_MIN,
    INT32_MAX,
    MULTIPLIER_MAX,
    MULTIPLIER_SHIFT,
)
from edge_seq.arithmetic.tables import ARGUMENT_FRAC_BITS, ARGUMENT_OFFSET
from edge_seq.ir.front import Conv, FrontLayer, TimePool
from edge_seq.ir.kind_names import WEIGHT_BITS, Activation, WeightBits
from edge_seq.ir.kinds import Constant, Dense, Layer, Use, constants_of, hidden_size, kind_of, row_groups
from edge_seq.ir.model import FloatModel, IntFormat, IntModel, SequenceModel
from edge_seq.ir.range_proof import accumulator_bounds
from edge_seq.ir.rows import FloatRows, IntRows, operand_columns, padded, rows_of_steps
from edge_seq.ir.verify import pool_reciprocals, verify
from edge_seq.quant.calibrate import Calibration
from edge_seq.quant.rounding import NARROW_MAX, NIBBLE, RealRows, round_rows
from edge_seq.support.errors import ConfigError, ModelError, RangeProofError

FEATURE_UNIT_TARGET = 2048  # one standard deviation stays below this many feature counts, so 16 deviations fit
# Largest weight of a dense layer with relu or none, as it is deployed: half of what the largest multiplier can give.
DENSE_WEIGHT_MAX = 32.0

# Scales of weights with 4 bits that are tried, as shares of that at which the largest weight fits.
SHARES = np.linspace(1.0, 0.6, 9)

Real = NDArray[np.float64]


@dataclass(frozen=True)
class _Purpose:
    """Use of a row's result.

    Attributes:
        gain: 1/2 for a sigmoid, whose argument is halved for the tanh table; otherwise 1.
        offset: added to the result: the table's argument for zero, or 0 if the result is not a table argument.
    """

    gain: float
    offset: int


_LINEAR = _Purpose(gain=1.0, offset=0)
_ACTIVATION = _Purpose(gain=0.5, offset=0)  # a value within [-1, 1] in Q15


def _pad_columns(weights: NDArray[np.float32], parts: int = 1) -> Real:
    size = weights.shape[1] // parts
    columns = np.zeros((len(weights), parts * padded(size)))
    columns[:, operand_columns(size, parts)] = weights
    return columns


def _first_layer_rows(rows: FloatRows, fold: _Fold) -> RealRows:
    """Rows of the first layer with normalisation folded in: w (q - mean) / unit."""
    bias = rows.bias.astype(np.float64)
    wide = np.zeros((len(bias), 0))
    if rows.weight_input.shape[1]:
        wide = rows.weight_input.astype(np.float64) / fold.unit
        bias = bias - wide @ fold.mean
    return RealRows(np.zeros((len(bias), 0)), _pad_columns(rows.weight_hidden), wide, bias)


def _upper_layer_rows(rows: FloatRows, parts: int = 1) -> RealRows:
    bias, nothing = rows.bias.astype(np.float64), np.zeros((len(rows.bias), 0))
    return RealRows(_pad_columns(rows.weight_input, parts), _pad_columns(rows.weight_hidden), nothing, bias)


def _seen_columns(real: RealRows, layer_input: int, moments: Real, fold: _Fold | None, parts: int = 1) -> Real:
    """Second moments of the rows' inputs, in the order and units of :func:`round_rows`.

    Args:
        real: the rows.
        layer_input: input size of the layer, I.
        moments: [I + H + 1, I + H + 1], moments of (input of the layer, its state, 1) in the float model.
        fold: normalisation of the first layer, whose input is feature counts q = x unit + mean; None for other layers.
        parts: number of parts of the input, each of which is padded.
    """
    size = len(moments)
    own = np.arange(layer_input, size - 1) if real.narrow_hidden.shape[1] else np.arange(0)
    narrow_hidden = _selection(own, real.narrow_hidden.shape[1], size)
    constant = _selection(np.array([size - 1]), 1, size)
    below = np.arange(layer_input)
    if fold is None:
        seen = below if real.narrow_input.shape[1] else below[:0]
        narrow_input = _selection(seen, real.narrow_input.shape[1], size, parts)
        rows = np.concatenate([narrow_input, narrow_hidden, constant])
    else:
        wide = _selection(below[: real.wide.shape[1]], real.wide.shape[1], size)
        if len(wide):
            wide = wide * fold.unit[:, None]
            wide[:, -1] = fold.mean
        rows = np.concatenate([narrow_hidden, wide, constant])
    return np.asarray(rows @ moments @ rows.T)


def _selection(columns: NDArray[np.int64], padded_size: int, size: int, parts: int = 1) -> Real:
    """Matrix [padded_size, size] that selects ``columns``; rows of padding, behind each of the parts, are zero."""
    matrix = np.zeros((padded_size, size))
    matrix[operand_columns(len(columns) // parts, parts), columns] = 1.0
    return matrix


def _with_multiplier(
    real: RealRows, purpose: _Purpose, multiplier: NDArray[np.int64], moments: Real, bits: WeightBits
) -> IntRows:
    """Round all weights at the scale that ``multiplier`` defines.

    As the result, floor(acc m / 2^16), is gain * y in Q16, one unit of the accumulator is worth m / (2^32 gain).
    """
    unit = multiplier / (2.0 ** (MULTIPLIER_SHIFT + ARGUMENT_FRAC_BITS) * purpose.gain)
    rounded = round_rows(real, unit, moments, bits=bits)
    result_bias = rounded.bias * purpose.gain * 2.0**ARGUMENT_FRAC_BITS + purpose.offset + 0.5
    bias = np.rint(result_bias * 2.0**MULTIPLIER_SHIFT / multiplier)
    return IntRows(
        wide=rounded.wide,
        narrow_input=rounded.narrow_input,
        narrow_hidden=rounded.narrow_hidden,
        bias=np.clip(bias, -INT32_MAX, INT32_MAX).astype(np.int32),
        multiplier=multiplier.astype(np.int16),
    )


def _summed_rows(real: RealRows, purpose: _Purpose, multiplier: NDArray[np.int64], moments: Real) -> IntRows:
    """As :func:`_with_multiplier` for R rows that see the states of all steps, given as rows that see one state each.

    Errors of rounding are moved within a step, onto its own columns and the bias. Each step adds the same bias:
    the whole bias divided by the number of steps, and one half for rounding.
    """
    steps = len(real.bias) // len(multiplier)
    unit = multiplier / (2.0 ** (MULTIPLIER_SHIFT + ARGUMENT_FRAC_BITS) * purpose.gain)
    rounded = round_rows(real, np.repeat(unit, steps), moments)
    whole = rounded.bias.reshape(-1, steps).sum(axis=1) * purpose.gain * 2.0**ARGUMENT_FRAC_BITS + purpose.offset
    bias = np.rint((whole / steps + 0.5) * 2.0**MULTIPLIER_SHIFT / multiplier)
    return IntRows(
        wide=rounded.wide.reshape(len(multiplier), 0),
        narrow_input=rounded.narrow_input.reshape(len(multiplier), -1),
        narrow_hidden=rounded.narrow_hidden.reshape(len(multiplier), 0),
        bias=np.clip(bias, -INT32_MAX, INT32_MAX).astype(np.int32),
        multiplier=multiplier.astype(np.int16),
    )


def _best_shares(real: RealRows, unit: Real, moments: Real, bits: WeightBits) -> Real:
    """Share [R] of the scale ``unit`` [R] at which a row's result has the least error: with a finer scale the largest
    weights do not fit, but all others are nearer to what they were."""
    smallest = np.maximum(unit, np.finfo(np.float64).tiny ** 0.5)  # of a row without weights
    tried = RealRows(**{name: np.concatenate([part] * len(SHARES)) for name, part in vars(real).items()})
    rounded = round_rows(tried, np.outer(SHARES, smallest).ravel(), moments, bits=bits)
    best: Real = SHARES[rounded.error.reshape(len(SHARES), -1).argmin(axis=0)]
    return best


def _largest_magnitude(weights: Real) -> Real:
    return np.asarray(np.abs(weights).max(axis=1, initial=0.0), dtype=np.float64)


def _quantize_rows(
    real: RealRows, purpose: _Purpose, moments: Real, what: str, *, steps: int = 0, bits: WeightBits = 8
) -> IntRows:
    """Quantize rows with the smallest multiplier (finest scale) at which all weights fit and nothing can overflow.

    With ``steps``, they see the states of so many steps, and ``real`` has a row for each step of each row. Narrow
    weights of 4 ``bits`` have the scale at which the row's result has the least error.
    """
    largest_narrow = NARROW_MAX if bits == 8 else NARROW_MAX // NIBBLE * NIBBLE
    per_unit = 2.0 ** (MULTIPLIER_SHIFT + ARGUMENT_FRAC_BITS) * purpose.gain
    narrow = np.maximum(_largest_magnitude(real.narrow_input), _largest_magnitude(real.narrow_hidden))
    of_narrow = narrow / largest_narrow * per_unit / 2.0**FINE_FRAC_BITS
    if bits == 4:
        of_narrow = of_narrow * _best_shares(real, of_narrow / per_unit, moments, bits)
    needed = np.maximum(of_narrow, _largest_magnitude(real.wide) / INT16_MAX * per_unit)
    bias_magnitude = np.abs(real.bias * purpose.gain * 2.0**ARGUMENT_FRAC_BITS + purpose.offset) + 1
    needed = np.maximum(needed, bias_magnitude * 2.0**MULTIPLIER_SHIFT / INT32_MAX)
    if steps:  # all steps of a row have one multiplier
        needed = needed.reshape(-1, steps).max(axis=1)
        narrow = narrow.reshape(-1, steps).max(axis=1)
    multiplier = np.maximum(np.ceil(needed), 1)
    while True:
        if multiplier.max() > MULTIPLIER_MAX:
            row = int(np.argmax(multiplier))
            wide = _largest_magnitude(real.wide).reshape(len(multiplier), -1)[row].max()
            bias = real.bias.reshape(len(multiplier), -1)[row].sum()
            raise RangeProofError(
                f"quantizing {what}: row {row} has weights up to {narrow[row]:.3g} on states, "
                f"{wide:.3g} a feature count, bias {bias:.3g}; no scale up to "
                f"{MULTIPLIER_MAX} keeps its accumulator within 32 bits. Train with weight decay or clip the weights"
            )
        if steps:
            rows = _summed_rows(real, purpose, multiplier.astype(np.int64), moments)
            bounds = accumulator_bounds(rows_of_steps(rows, steps)).reshape(-1, steps).max(axis=1)
        else:
            rows = _with_multiplier(real, purpose, multiplier.astype(np.int64), moments, bits)
            bounds = accumulator_bounds(rows)
        excess = bounds / INT32_MAX
        if (excess <= 1).all():
            return rows
        multiplier = np.where(excess > 1, np.maximum(np.ceil(multiplier * excess), multiplier + 1), multiplier)


def _input_shift(scale: float, feature_limit: int) -> int:
    """Largest shift with which one standard deviation stays within 2048 counts and no calibration feature saturates."""
    shift = 0
    while (
        scale * 2 ** (shift + 1) <= FEATURE_UNIT_TARGET and feature_limit * 2 ** (shift + 1) <= INT16_MAX and shift < 12
    ):
        shift += 1
    return shift


def _purpose(use: Use) -> _Purpose:
    match use:
        case "sigmoid":
            return _Purpose(gain=0.5, offset=ARGUMENT_OFFSET)
        case "tanh":
            return _Purpose(gain=1.0, offset=ARGUMENT_OFFSET)
        case "linear":
            return _LINEAR
        case unreachable:
            assert_never(unreachable)


def _quantize_constant(constant: Constant, values: NDArray[np.float32]) -> NDArray[np.int32]:
    integers = np.rint(values.astype(np.float64) * 2.0**constant.frac_bits) + constant.zero
    return np.asarray(np.clip(integers, constant.int_lowest, constant.int_highest), dtype=np.int32)


def _quantize_layer(
    layer: Layer[FloatRows],
    index: int,
    layer_input: tuple[int, int],
    moments: Real,
    fold: _Fold | None,
    bits: WeightBits,
) -> Layer[IntRows]:
    units, parts = layer_input
    kind, float_rows, constants = kind_of(layer), row_groups(layer), constants_of(layer)
    integers: dict[str, Any] = {}
    for group in kind.rows:
        rows = float_rows[group.name]
        real = _upper_layer_rows(rows, parts) if fold is None else _first_layer_rows(rows, fold)
        seen = _seen_columns(real, units * parts, moments, fold, parts)
        what = f"layer{index}.{group.name}"
        integers[group.name] = _quantize_rows(real, _purpose(group.use), seen, what, bits=bits)
    for constant in kind.constants:
        integers[constant.name] = _quantize_constant(constant, constants[constant.name])
    quantized: Layer[IntRows] = kind.layer(**integers)
    return quantized


def _within_one(model: FloatModel, calibration: Calibration) -> tuple[FloatModel, tuple[Real, ...]]:
    """The same function with states and dense outputs within [-1, 1], as operands must be, and the moments to it.

    A hidden state whose binary point is found by calibration is divided by 2^k, k = 15 - cell_frac_bits: the weights
    that meet it are multiplied by 2^k, and what makes it (constants in its units) is divided. Both are exact. So is an
    output of a dense layer or a convolution with relu or none, each unit by its own power: its own rows are divided.
    """
    drops = [
        15 - bits if kind_of(layer).calibrated == "hidden_state" else 0
        for layer, bits in zip(model.layers, calibration.cell_frac_bits, strict=True)
    ]
    if not any(drops) and not model.dense and not model.front:
        return model, calibration.moments
    of_moments, moments = iter(calibration.moments), []

    def divide(bits: NDArray[np.int64]) -> None:
        units = 2.0 ** -np.append(bits, 0)
        moments.append(next(of_moments) * np.outer(units, units))

    below: NDArray[np.int64] = np.zeros(model.input_size, dtype=np.int64)  # bits by which the input is divided
    front: list[FrontLayer[FloatRows]] = []
    front_drops = iter(calibration.front_drops)
    for stage in model.front:
        if isinstance(stage, Conv):  # pooling over time divides as its input is divided
            taken = np.tile(below, stage.kernel)
            divide(taken)
            below = _dense_drops(stage, next(front_drops), taken)
            stage = replace(stage, rows=_rescaled(stage.rows, taken, below))
        front.append(stage)

    layers: list[Layer[FloatRows]] = []
    behind: list[NDArray[np.int64]] = []
    for index, (layer, drop) in enumerate(zip(model.layers, drops, strict=True)):
        kind, hidden = kind_of(layer), hidden_size(layer)
        if index not in model.backward and behind:  # a backward layer sees what the one before it sees
            below, behind = np.concatenate(behind), []
        changed: dict[str, Any] = {
            name: FloatRows(_times(rows.weight_input, below), rows.weight_hidden * _power(drop), rows.bias)
            for name, rows in row_groups(layer).items()
        }
        for constant, values in zip(kind.constants, constants_of(layer).values(), strict=True):
            changed[constant.name] = values * _power(-drop) if constant.in_state_units else values
        layers.append(kind.layer(**changed))
        own = np.full(hidden, drop)
        divide(np.concatenate([below, own]))
        behind.append(own)

    of_a_state = np.concatenate(behind)
    below = np.tile(of_a_state, model.readout.parts(model.num_steps))
    dense = []
    for one, dense_drop in zip(model.dense, calibration.dense_drops, strict=True):
        divide(of_a_state if one.rows is model.summed_rows else below)
        own = _dense_drops(one, dense_drop, below)
        dense.append(replace(one, rows=_rescaled(one.rows, below, own)))
        below = own
    divide(of_a_state if model.head is model.summed_rows else below)
    head = _rescaled(model.head, below, np.zeros(model.num_classes, dtype=np.int64))
    scaled = replace(model, front=tuple(front), layers=tuple(layers), dense=tuple(dense), head=head)
    return scaled, tuple(moments)


def _times(weights: NDArray[np.float32], bits: NDArray[np.int64]) -> NDArray[np.float32]:
    """Weights [R, N] of inputs divided by 2^bits [N]; rows that see no input have none."""
    return np.ldexp(weights, bits).astype(np.float32) if weights.shape[1] else weights


def _dense_drops(
    layer: Dense[FloatRows] | Conv[FloatRows], drops: NDArray[np.int64], below: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Bits by which each output of a dense layer or a convolution is divided, [R]: ``drops``, or more where a weight
    would not fit."""
    if layer.activation == "tanh":
        return np.zeros_like(drops)
    largest = _largest_magnitude(np.ldexp(layer.rows.weight_input.astype(np.float64), below))
    needed = np.ceil(np.log2(np.maximum(largest / DENSE_WEIGHT_MAX, 2.0**-64)))
    return np.maximum(drops, needed.astype(np.int64))


def _rescaled(rows: FloatRows, below: NDArray[np.int64], own: NDArray[np.int64]) -> FloatRows:
    """Rows whose inputs are divided by 2^below [N], and whose results become divided by 2^own [R]."""
    weights = np.ldexp(rows.weight_input, below - own[:, None]).astype(np.float32)
    return FloatRows(weights, rows.weight_hidden, np.ldexp(rows.bias, -own).astype(np.float32))


def _power(bits: int) -> np.float32:
    power: np.float32 = np.float32(2.0**bits)
    return power


def _quantize_front(model: FloatModel, moments: tuple[Real, ...], fold: _Fold) -> tuple[FrontLayer[IntRows], ...]:
    """Quantize the front layers of a model whose outputs are within [-1, 1]. The first sees features."""
    front: list[FrontLayer[IntRows]] = []
    of_moments = iter(moments)
    for index, (layer, units) in enumerate(zip(model.front, model.front_inputs, strict=True)):
        if isinstance(layer, TimePool):
            front.append(layer)
            continue
        purpose, what = _dense_purpose(layer.activation), f"front{index}"
        pad: tuple[int, ...] = ()
        if index == 0:
            each = _Fold(np.tile(fold.mean, layer.kernel), np.tile(fold.unit, layer.kernel))
            real = _first_layer_rows(layer.rows, each)
            rows = _quantize_rows(
                real, purpose, _seen_columns(real, units * layer.kernel, next(of_moments), each), what
            )
            if layer.sees_outside:
                pad = tuple(int(value) for value in np.clip(np.rint(fold.mean), INT16_MIN, INT16_MAX))
        else:
            rows = _quantize_dense(layer.rows, (units, layer.kernel), next(of_moments), purpose, what)
        steps = layer.kernel, layer.stride, layer.dilation
        front.append(Conv(rows, layer.activation, *steps, layer.padding, pad, layer.zeros))
    return tuple(front)


def _quantize_dense(
    rows: FloatRows, units_and_parts: tuple[int, int], moments: Real, purpose: _Purpose, what: str
) -> IntRows:
    """Quantize rows that see an input of so many units and parts, with the moments of (input, 1)."""
    units, parts = units_and_parts
    real = _upper_layer_rows(rows, parts)
    return _quantize_rows(real, purpose, _seen_columns(real, units * parts, moments, None, parts), what)


def _quantize_summed(rows: FloatRows, steps: int, moments: Real, purpose: _Purpose, what: str) -> IntRows:
    """Quantize rows that see the states of all steps, with the moments of (a state, 1)."""
    each = FloatRows(
        weight_input=rows.weight_input.reshape(len(rows.bias) * steps, -1),
        weight_hidden=np.zeros((len(rows.bias) * steps, 0), dtype=np.float32),
        bias=np.repeat(rows.bias / np.float32(steps), steps),
    )
    real = _upper_layer_rows(each)
    return _quantize_rows(
        real, purpose, _seen_columns(real, each.weight_input.shape[1], moments, None), what, steps=steps
    )


def _dense_purpose(activation: Activation) -> _Purpose:
    match activation:
        case "relu" | "none":
            return _ACTIVATION
        case "tanh":
            return _purpose("tanh")
        case unreachable:
            assert_never(unreachable)


@dataclass(frozen=True)
class _Fold:
    """Normalisation in shifted feature counts: y = (q - mean) / unit."""

    mean: Real
    unit: Real


def bits_of_layers(weight_bits: Sequence[int], layers: int) -> tuple[WeightBits, ...]:
    """Bits of the narrow weights of each recurrent layer, from one number for all of them, one each, or none for 8.

    Raises:
        ConfigError: there are numbers of other bits, or for another number of layers.

    >>> bits_of_layers((4,), 2), bits_of_layers((8, 4), 2), bits_of_layers((), 1)
    ((4, 4), (8, 4), (8,))
    """
    wanted = tuple(weight_bits) or (8,)
    given = tuple(bits for one in wanted for bits in WEIGHT_BITS if one == bits)
    if len(given) != len(wanted) or len(given) not in (1, layers):
        raise ConfigError(
            f"quantizing: weight_bits is {list(wanted)} for {layers} recurrent layers; expected 8 or 4, once for all "
            "layers or once for each"
        )
    return given if len(given) == layers else given * layers


def quantize(model: FloatModel, calibration: Calibration, weight_bits: Sequence[int] = ()) -> IntModel:
    """Turn a float model into the integer model of SPEC.md, proven free of overflow for any input.

    Args:
        model: verified float model.
        calibration: ranges on streams that represent the field, from :func:`edge_seq.quant.calibrate.calibrate`.
        weight_bits: bits of the narrow weights of each recurrent layer, 8 or 4; one number for all of them; by default
            8.

    Returns:
        The verified integer model.

    Raises:
        ModelError: the float model breaks an invariant, or the calibration is for another model.
        ConfigError: ``weight_bits`` are not for as many layers.
        RangeProofError: no scale makes a row safe; the message says which row and what to change.
    """
    verify(model)
    bits = bits_of_layers(weight_bits, len(model.layers))
    convolutions = sum(isinstance(layer, Conv) for layer in model.front)
    seen = len(calibration.feature_limit), len(calibration.cell_limit), len(calibration.dense_limit)
    expected = model.input_size, len(model.layers), len(model.dense)
    if (*seen, len(calibration.front_limit)) != (*expected, convolutions):
        raise ModelError(
            f"quantizing {model.name}: the calibration saw {seen[0]} features, {seen[1]} layers and {seen[2]} dense "
            f"layers; the model has {model.input_size}, {len(model.layers)} and {len(model.dense)}. Calibrate this "
            "model"
        )
    normalisation = model.number_format.normalisation
    is_companded = model.contract.preprocessing.companding is not None  # then features have the range they need
    shifts = tuple(
        0 if is_companded else _input_shift(scale, limit)
        for scale, limit in zip(normalisation.scale, calibration.feature_limit, strict=True)
    )
    factor = 2.0 ** np.array(shifts)
    fold = _Fold(mean=np.array(normalisation.mean) * factor, unit=np.array(normalisation.scale) * factor)
    scaled, all_moments = _within_one(model, calibration)
    front = _quantize_front(scaled, all_moments, fold)
    moments = all_moments[convolutions:]
    layers = tuple(
        _quantize_layer(
            layer, index, seen, moments[index], fold if index in model.stages[0] and not front else None, bits[index]
        )
        for index, (layer, seen) in enumerate(zip(scaled.layers, model.layer_inputs, strict=True))
    )
    int_format = IntFormat(shifts, calibration.cell_frac_bits, pool_reciprocals(model))
    inputs = list(zip(model.dense_inputs, moments[len(layers) :], strict=True))

    def behind(rows: FloatRows, place: int, purpose: _Purpose, what: str) -> IntRows:
        """Quantize the rows of a dense layer or of the head."""
        if rows is scaled.summed_rows:
            return _quantize_summed(rows, model.num_steps, inputs[place][1], purpose, what)
        return _quantize_dense(rows, *inputs[place], purpose, what)

    dense = tuple(
        Dense(behind(layer.rows, index, _dense_purpose(layer.activation), f"dense{index}"), layer.activation)
        for index, layer in enumerate(scaled.dense)
    )
    head = behind(scaled.head, -1, _LINEAR, "head")
    quantized: IntModel = SequenceModel(
        name=model.name,
        labels=model.labels,
        contract=model.contract,
        layers=layers,
        head=head,
        readout=replace(model.readout),
        number_format=int_format,
        dense=dense,
        front=front,
        backward=model.backward,
    )
    verify(quantized)
    return quantized
