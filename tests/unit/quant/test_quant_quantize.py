"""quantize() refuses a model or proves it; a proven model is as near to the float model as its scales allow."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_seq.backends.reference_float import run_float
from edge_seq.backends.reference_int import run_reference
from edge_seq.ir.kind_names import ACTIVATIONS, CELL_NAMES, Activation
from edge_seq.ir.kinds import Dense, FastGrnn, row_groups
from edge_seq.ir.model import FloatModel, IntModel, Pooling
from edge_seq.ir.range_proof import accumulator_bounds
from edge_seq.ir.rows import FloatRows, IntRows, is_coarse
from edge_seq.ir.verify import verify
from edge_seq.quant.calibrate import Calibration, calibrate
from edge_seq.quant.quantize import quantize
from edge_seq.scores.metrics import softmax
from edge_seq.support.errors import ModelError, RangeProofError
from tests.spec_oracle import narrow_value
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


def scaled(rows: FloatRows, weights: float, bias: float) -> FloatRows:
    return FloatRows(
        rows.weight_input * np.float32(weights), rows.weight_hidden * np.float32(weights), rows.bias * np.float32(bias)
    )


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
    calibration = calibrate(model, random_counts(4, 7, model.input_size, sigma=sigma))
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
    for counts in (extreme_counts(15, quantized.input_size), random_counts(4, 15, quantized.input_size)):
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


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_a_hidden_state_may_leave_the_unit_interval(pooling: Pooling) -> None:
    """A FastGRNN that keeps nearly all and adds a little each step reaches 5; the layer above and the head see it."""
    model = random_float_model(spec("fastgrnn", 6, 3, window_length=200, pooling=pooling), seed=4, amplitude=1.0)
    slow = replace(
        model.layers[0],
        update_offset=np.full(6, 5.0, np.float32),
        zeta=np.array([0.7], np.float32),
        nu=np.array([0.2], np.float32),
    )
    model = replace(model, layers=(slow, model.layers[1]))
    counts = random_counts(16, 200, 3, sigma=300.0) // 4 + 300
    quantized = quantize(model, calibrate(model, counts))
    assert quantized.number_format.cell_frac_bits[0] <= 13
    expected, found = run_float(model, counts).values, run_reference(quantized, counts).values
    for index, bits in enumerate(quantized.number_format.cell_frac_bits):
        states = expected[f"layer{index}.hidden_state"]
        error = found[f"layer{index}.hidden_state"] / 2.0**bits - states
        assert np.sqrt((error**2).mean()) < 0.05 * np.sqrt((states**2).mean())
    assert np.abs(expected["layer0.hidden_state"]).max() > 3
    due = found["label"][:, -1, 0]
    assert np.abs(found["logits"][:, -1] / 2.0**16 - expected["logits"][:, -1]).max() < 0.05
    assert (due == expected["label"][:, -1, 0]).mean() > 0.9


def test_constants_are_rounded_to_their_binary_points() -> None:
    model = random_float_model(spec("fastgrnn", 2))
    layer = replace(
        model.layers[0],
        update_offset=np.array([0.0, -1.5], np.float32),
        zeta=np.array([1.0], np.float32),
        nu=np.array([0.25], np.float32),
    )
    model = replace(model, layers=(layer,))
    found = quantize(model, calibration_of(model, cell_limit=(0.9,))).layers[0]
    assert isinstance(found, FastGrnn)
    assert found.update_offset.tolist() == [2**18, 2**18 - 3 * 2**14]
    assert (found.zeta.tolist(), found.nu.tolist()) == ([2**15 - 1], [2**28])  # 1 is one unit beyond the range
    halved = quantize(model, calibration_of(model, cell_limit=(1.9,))).layers[0]
    assert isinstance(halved, FastGrnn)
    assert (halved.zeta.tolist(), halved.nu.tolist()) == ([2**14], [2**27])
    assert halved.update_offset.tolist() == found.update_offset.tolist()


def test_both_outcomes_happen() -> None:
    """The tests above would show nothing if all models were refused."""
    outcomes = set()
    for exponent in (-10, 0, 3, 20):
        model = random_float_model(spec("lstm", 5))
        model = replace(model, head=scaled(model.head, 2.0**exponent, 1.0))
        try:
            quantize(model, calibrate(model, random_counts(2, 7, 3)))
            outcomes.add("proven")
        except RangeProofError:
            outcomes.add("refused")
    assert outcomes == {"proven", "refused"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda rows: scaled(rows, 1e6, 1.0),
            r"quantizing head: row \d has weights up to \d.*e\+0\d on states, 0 a feature",
        ),
        (
            lambda rows: scaled(rows, 1.0, 1e9),
            r"bias -?\d.*e\+07; no scale up to 32767 keeps its accumulator within 32 bits",
        ),
        (lambda rows: scaled(rows, 1e37, 1e37), r"Train with weight decay or clip the weights"),
    ],
)
def test_a_row_that_no_scale_fits_is_refused(change: object, message: str) -> None:
    model = random_float_model(spec("gru", 5))
    model = replace(model, head=change(model.head))  # type: ignore[operator]
    with pytest.raises(RangeProofError, match=message):
        quantize(model, calibration_of(random_float_model(spec("gru", 5))))


def calibration_of(model: FloatModel, **change: object) -> Calibration:
    """Calibration on random counts, with some fields replaced."""
    return replace(calibrate(model, random_counts(4, 7, model.input_size, sigma=300.0)), **change)  # type: ignore[arg-type]


def test_a_layer_that_no_scale_fits_is_named() -> None:
    model = random_float_model(spec("gru", 5, 3))
    cell = replace(model.layers[1], new_gate_hidden=scaled(row_groups(model.layers[1])["new_gate_hidden"], 1e6, 1.0))  # type: ignore[type-var]
    with pytest.raises(RangeProofError, match=r"quantizing layer1\.new_gate_hidden: row"):
        quantize(replace(model, layers=(model.layers[0], cell)), calibration_of(model))


def test_a_calibration_of_another_model_is_refused() -> None:
    model = random_float_model(spec("lstm", 5))
    for change in ({"feature_limit": (300,)}, {"cell_limit": (1.0, 1.0)}, {"dense_limit": ((1.0,),)}):
        found = r"the calibration saw \d channels, \d layers and \d dense layers; the model has 3, 1 and 0"
        with pytest.raises(ModelError, match=found):
            quantize(model, calibration_of(model, **change))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_outputs_of_dense_layers_are_those_of_the_float_model_divided_by_powers_of_two(activation: Activation) -> None:
    """Also where units differ much in size, of which each has a power of its own."""
    model = random_float_model(spec("gru", 6, pooling="mean_max", dense=((8, activation), (5, "relu"))), seed=4)
    sizes = np.array([0.1, 1, 3, 20, 0.5, 7, 40, 2], dtype=np.float32)
    rows = model.dense[0].rows
    rows = replace(rows, weight_input=rows.weight_input * sizes[:, None], bias=rows.bias * sizes)
    above = replace(model.dense[1].rows, weight_input=model.dense[1].rows.weight_input / sizes)
    model = replace(model, dense=(Dense(rows, activation), Dense(above, "relu")))
    counts = random_counts(20, 7, 3, sigma=300.0, seed=3)
    calibration = calibrate(model, counts)
    integers = quantize(model, calibration)
    floats, found = run_float(model, counts).values, run_reference(integers, counts).values
    one = np.where(is_coarse(8), 2.0**7, 2.0**15)
    power = 2.0 ** calibration.dense_drops[0] if activation != "tanh" else 1.0
    error = np.abs(found["dense0"][:, -1] / one - floats["dense0"][:, -1] / power)
    assert error.max() < 0.05, error.max(axis=0)
    assert np.abs(found["logits"][:, -1] / 2.0**16 - floats["logits"][:, -1]).max() < 0.2


def test_a_float_model_that_breaks_an_invariant_is_refused() -> None:
    model = random_float_model(spec("lstm", 5))
    with pytest.raises(ModelError, match="must be a C identifier"):
        quantize(replace(model, name="Not an identifier"), calibration_of(model))


@pytest.mark.parametrize(
    ("scale", "limit", "shift"),
    [
        (1.0, 1, 11),  # 2^11 = 2048 counts for a deviation
        (0.1, 1, 12),  # never more than 12
        (2048.0, 1, 0),
        (1024.0, 1, 1),
        (1.0, 32767, 0),  # a calibration feature must not saturate
        (1.0, 16383, 1),
        (1.0, 16384, 0),
        (1.0, 0, 11),
    ],
)
def test_input_shift(scale: float, limit: int, shift: int) -> None:
    model = random_float_model(spec("rnn", 2, channels=1), amplitude=0.01)
    normalisation = replace(model.number_format.normalisation, mean=(0.0,), scale=(scale,))
    model = replace(model, number_format=replace(model.number_format, normalisation=normalisation))
    calibration = calibration_of(model, feature_limit=(limit,))
    assert quantize(model, calibration).number_format.input_shift == (shift,)


def test_rows_without_weights() -> None:
    """Zero weights are valid, as in a pruned unit or an untrained head."""
    model = random_float_model(spec("lstm", 3))
    model = replace(
        model,
        layers=(replace(model.layers[0], **{n: scaled(r, 0, 0) for n, r in row_groups(model.layers[0]).items()}),),
        head=scaled(model.head, 0.0, 0.0),
    )
    quantized = quantize(model, calibrate(model, np.zeros((1, 7, 3), dtype=np.int16)))
    trace = run_reference(quantized, extreme_counts(7, 3))
    assert not trace.logits.any()
    assert not trace.labels.any()
    assert (quantized.head.multiplier == 1).all()


@pytest.mark.parametrize("cell", CELL_NAMES)
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_an_integer_model_decides_as_its_float_model(cell: str, pooling: str) -> None:
    shape = spec(cell, 16, window_length=20, step="difference", pooling=pooling)  # type: ignore[arg-type]
    model = random_float_model(shape, seed=1)
    counts = random_counts(300, 20, 3, seed=2, sigma=250.0)
    quantized = quantize(model, calibrate(model, counts))
    found, expected = run_reference(quantized, counts), run_float(model, counts)
    difference = softmax(found.logits / 65536.0) - softmax(expected.logits.astype(np.float64))
    assert np.abs(difference).max() < 0.05
    assert (found.labels == expected.labels).mean() >= 0.98


def test_accumulators_use_the_range_they_have() -> None:
    """The bound of a row is near 2^31 or its weights fill their types; otherwise the scale is too coarse."""
    model = random_float_model(spec("gru", 33), amplitude=4.0)
    quantized = quantize(model, calibrate(model, random_counts(4, 7, 3, sigma=300.0)))
    for rows in row_groups(quantized.layers[0]).values():
        full = np.abs(rows.narrow_hidden.astype(int)).max(axis=1, initial=0) >= 110
        full |= np.abs(rows.wide.astype(int)).max(axis=1, initial=0) >= 30000
        assert (full | (accumulator_bounds(rows) > 0.85 * 2**31)).all()
