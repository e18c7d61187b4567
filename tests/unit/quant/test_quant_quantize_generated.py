"""quantize() refuses a model or proves it; a proven model is as near to the float model as its scales allow."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_seq.backends.reference_int import run_reference
from edge_seq.ir.kind_names import CELL_NAMES
from edge_seq.ir.kinds import FastGrnn, row_groups
from edge_seq.ir.model import FloatModel, IntModel
from edge_seq.ir.rows import FloatRows, IntRows, is_coarse
from edge_seq.ir.verify import verify
from edge_seq.quant.calibrate import calibrate
from edge_seq.quant.quantize import quantize
from edge_seq.support.errors import RangeProofError
from tests.spec_oracle import narrow_value
from tests.unit.quant.test_quant_quantize import scaled
from tests.zoo import extreme_counts, random_counts, random_float_model, spec

SIGMOIDS = ("reset_gate", "update_gate", "input_gate", "forget_gate", "output_gate")


def gain(name: str) -> float:
    """A sigmoid's row carries half of its argument (SPEC.md, section 5)."""
    return 0.5 if name in SIGMOIDS else 1.0


def offset(name: str) -> int:
    return 0 if name in ("new_gate_hidden", "head") else 2**19


@dataclass(frozen=True)
class Pair:
    """A row block before and after quantisation; ``unit`` is the value of one unit of its accumulator."""

    name: str
    first: bool
    real: FloatRows
    rows: IntRows

    @property
    def unit(self) -> np.ndarray:
        return self.rows.multiplier.astype(np.float64) / 2.0**32 / gain(self.name)


def in_state_units(model: FloatModel, quantized: IntModel) -> FloatModel:
    """SPEC.md, section 6: weights that meet a FastGRNN's state count it divided by 2^k, k = 15 - cell_frac_bits."""
    frac_bits = quantized.number_format.cell_frac_bits
    units = [
        2.0 ** (15 - bits) if isinstance(layer, FastGrnn) else 1.0
        for layer, bits in zip(model.layers, frac_bits, strict=True)
    ]

    def times(rows: FloatRows, below: float, own: float) -> FloatRows:
        return FloatRows(rows.weight_input * np.float32(below), rows.weight_hidden * np.float32(own), rows.bias)

    layers = tuple(
        replace(layer, **{name: times(rows, below, own) for name, rows in row_groups(layer).items()})
        for layer, below, own in zip(model.layers, [1.0, *units], units, strict=False)
    )
    return replace(model, layers=layers, head=times(model.head, units[-1], 1.0))


def pairs(original: FloatModel, quantized: IntModel) -> list[Pair]:
    model = in_state_units(original, quantized)
    found = [
        Pair(name, index == 0, real, row_groups(quantized.layers[index])[name])  # type: ignore[type-var]
        for index, cell in enumerate(model.layers)
        for name, real in row_groups(cell).items()
    ]
    return [*found, Pair("head", False, model.head, quantized.head)]


@st.composite
def float_models(draw: st.DrawFn, means: tuple[float, ...]) -> FloatModel:
    """All cells and sizes; magnitudes of each row block from 2^-12 to 2^17, of single rows up to 2^8 more."""
    cell = draw(st.sampled_from(CELL_NAMES))
    hidden = draw(st.lists(st.integers(1, 9), min_size=1, max_size=2))
    model = random_float_model(
        spec(cell, *hidden, channels=draw(st.integers(1, 4)), pooling=draw(st.sampled_from(["last", "mean"]))),
        seed=draw(st.integers(0, 10**6)),
    )
    exponents = st.integers(-12, 17) | st.integers(-4, 4)

    def stretch(rows: FloatRows) -> FloatRows:
        rows = scaled(rows, 2.0 ** draw(exponents), 2.0 ** draw(exponents))
        rows.weight_hidden[:1] *= np.float32(2.0 ** draw(st.integers(0, 8)))
        return rows

    layers = tuple(
        replace(layer, **{name: stretch(rows) for name, rows in row_groups(layer).items()}) for layer in model.layers
    )
    normalisation = replace(
        model.number_format.normalisation,
        scale=tuple(2.0 ** draw(st.integers(-16, 16)) for _ in range(model.input_size)),
        mean=tuple(draw(st.sampled_from(means)) for _ in range(model.input_size)),
    )
    return replace(
        model,
        layers=layers,
        head=stretch(model.head),
        number_format=replace(model.number_format, normalisation=normalisation),
    )


@st.composite
def quantized_pairs(draw: st.DrawFn) -> tuple[FloatModel, IntModel] | None:
    """A float model and its integer model; None if quantize() refused."""
    means = (-32768.0, -7.25, 0.0, 9000.0)  # means differ from the calibration counts
    return quantized_or_none(draw(float_models(means)), draw(st.sampled_from([3.0, 300.0, 20000.0])))


@st.composite
def plainly_rounded_pairs(draw: st.DrawFn) -> tuple[FloatModel, IntModel] | None:
    """Like :func:`quantized_pairs`, calibrated as if all inputs were independent, so rounding is to the nearest."""
    sigma = draw(st.sampled_from([3.0, 300.0, 20000.0]))
    return quantized_or_none(draw(float_models((-sigma, 0.0, sigma / 2))), sigma, plain=True)


def quantized_or_none(model: FloatModel, sigma: float, *, plain: bool = False) -> tuple[FloatModel, IntModel] | None:
    calibration = calibrate(model, random_counts(4, 7, model.num_channels, sigma=sigma))
    if plain:
        calibration = replace(calibration, moments=tuple(np.eye(len(moment)) for moment in calibration.moments))
    try:
        return model, quantize(model, calibration)
    except RangeProofError as error:
        if "no scale up to 32767 keeps its accumulator within 32 bits" not in str(error):
            raise
        return None


@settings(deadline=None, max_examples=150)
@given(quantized_pairs())
def test_refused_or_proven_and_then_no_input_trips_a_check(pair: tuple[FloatModel, IntModel] | None) -> None:
    if pair is None:
        return
    _, quantized = pair
    verify(quantized)
    for counts in (extreme_counts(15, quantized.num_channels), random_counts(4, 15, quantized.num_channels)):
        run_reference(quantized, counts)


@settings(deadline=None, max_examples=150)
@given(plainly_rounded_pairs())
def test_rounding_errors_are_at_most_half_a_unit(pair: tuple[FloatModel, IntModel] | None) -> None:
    if pair is None:
        return
    model, quantized = pair
    normalisation = model.number_format.normalisation
    factor = 2.0 ** np.array(quantized.number_format.input_shift)
    for block in pairs(model, quantized):
        unit = block.unit[:, None]
        narrow_unit = unit * 2.0**15  # a fine operand of 2^15 is 1
        blocks = [(block.real.weight_hidden, block.rows.narrow_hidden)]
        bias = block.real.bias.astype(np.float64)
        if block.first and block.real.weight_input.shape[1]:
            wide = block.real.weight_input / (np.array(normalisation.scale) * factor)
            if not any(normalisation.mean):  # with means, features depend on each other and on the constant 1
                assert (np.abs(block.rows.wide * unit - wide) <= 0.5001 * unit).all()
            bias = bias - wide @ (np.array(normalisation.mean) * factor)
        else:
            blocks.append((block.real.weight_input, block.rows.narrow_input))
        for real, narrow in blocks:
            size = real.shape[1]
            if not size:
                continue
            values = np.array(
                [[narrow_value(row, j) for j in range(size)] for row in narrow.tolist()], dtype=np.float64
            )
            values[:, is_coarse(size)] /= 256  # a coarse operand of 2^7 is 1
            step = np.where(is_coarse(size), 0.5 + 1 / 512, 0.5) * 1.0001
            assert (np.abs(values * narrow_unit - real) <= step * narrow_unit).all()
            assert not narrow[:, size:][:, ~is_coarse(narrow.shape[1])[size:]].any(), "fine padding is zero"
        multiplier = block.rows.multiplier.astype(np.float64)
        result = block.rows.bias * multiplier / 2**16  # of mulw
        wanted = bias * gain(block.name) * 2**16 + offset(block.name) + 0.5
        allowed = 0.5001 * multiplier / 2**16 + np.abs(wanted) * 1e-9
        if block.first and block.rows.wide.shape[1]:
            # The bias makes up for what rounding the features' weights does to their mean.
            error = np.abs(block.rows.wide * unit - wide) @ np.abs(np.array(normalisation.mean) * factor)
            allowed = allowed + error * gain(block.name) * 2**16
        assert (np.abs(result - wanted) <= allowed).all()


def fits(block: Pair, row: int, multiplier: int, model: FloatModel, quantized: IntModel) -> bool:
    """True if one row could use ``multiplier``: its weights fit their types, and its real bound fits 32 bits."""
    unit = multiplier / 2.0**32 / gain(block.name)
    columns = [(block.real.weight_hidden[row], 2.0**15)]
    bias = float(block.real.bias[row])
    wide = np.zeros(0)
    if block.first:
        normalisation = model.number_format.normalisation
        factor = 2.0 ** np.array(quantized.number_format.input_shift)
        if block.real.weight_input.shape[1]:
            wide = block.real.weight_input[row] / (np.array(normalisation.scale) * factor)
            bias -= float(wide @ (np.array(normalisation.mean) * factor))
    else:
        columns.append((block.real.weight_input[row], 2.0**15))
    if np.abs(wide).max(initial=0.0) / unit > 32767:
        return False
    if any(weights.size and np.abs(weights).max() / (unit * step) > 127 for weights, step in columns):
        return False
    total = abs(bias * gain(block.name) * 2**16 + offset(block.name) + 0.5) * 2**16 / multiplier
    total += np.abs(wide).sum() / unit * 2**15
    total += sum(np.abs(weights).sum() / unit for weights, _ in columns)
    return bool(total <= 2**31 - 1)


@settings(deadline=None, max_examples=100)
@given(plainly_rounded_pairs())
def test_the_multiplier_is_near_the_smallest(pair: tuple[FloatModel, IntModel] | None) -> None:
    """A multiplier smaller by 3 % and two would not work: the scale is as fine as 32 bits allow."""
    if pair is None:
        return
    model, quantized = pair
    for block in pairs(model, quantized):
        for row, multiplier in enumerate(block.rows.multiplier.tolist()):
            smaller = int(multiplier * 0.97) - 2
            assert smaller < 1 or not fits(block, row, smaller, model, quantized), (block.name, row, multiplier)
