"""quantize(): what it refuses, and how near the integers are to the float model, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_seq.backends.reference_float import run_float
from edge_seq.backends.reference_int import run_reference
from edge_seq.ir.kind_names import ACTIVATIONS, CELL_NAMES, Activation
from edge_seq.ir.kinds import Dense, FastGrnn, narrow_bits, row_groups
from edge_seq.ir.model import FloatModel, Pooling
from edge_seq.ir.range_proof import accumulator_bounds
from edge_seq.ir.rows import FloatRows, is_coarse
from edge_seq.quant.calibrate import Calibration, calibrate
from edge_seq.quant.gate_error import gate_errors
from edge_seq.quant.quantize import quantize
from edge_seq.scores.metrics import softmax
from edge_seq.support.errors import ConfigError, ModelError, RangeProofError
from tests.zoo import extreme_counts, random_counts, random_float_model, spec


def scaled(rows: FloatRows, weights: float, bias: float) -> FloatRows:
    return FloatRows(
        rows.weight_input * np.float32(weights), rows.weight_hidden * np.float32(weights), rows.bias * np.float32(bias)
    )


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
    return replace(calibrate(model, random_counts(4, 7, model.num_channels, sigma=300.0)), **change)  # type: ignore[arg-type]


def test_a_layer_that_no_scale_fits_is_named() -> None:
    model = random_float_model(spec("gru", 5, 3))
    cell = replace(model.layers[1], new_gate_hidden=scaled(row_groups(model.layers[1])["new_gate_hidden"], 1e6, 1.0))  # type: ignore[type-var]
    with pytest.raises(RangeProofError, match=r"quantizing layer1\.new_gate_hidden: row"):
        quantize(replace(model, layers=(model.layers[0], cell)), calibration_of(model))


def test_a_calibration_of_another_model_is_refused() -> None:
    model = random_float_model(spec("lstm", 5))
    for change in ({"feature_limit": (300,)}, {"cell_limit": (1.0, 1.0)}, {"dense_limit": ((1.0,),)}):
        found = r"the calibration saw \d features, \d layers and \d dense layers; the model has 3, 1 and 0"
        with pytest.raises(ModelError, match=found):
            quantize(model, calibration_of(model, **change))


def test_weights_of_4_bits_are_nearly_as_good() -> None:
    """Of a layer with 4 bits, each gate is 2 to 16 times as far from the float model as with 8 bits."""
    model = random_float_model(spec("lstm", 24), seed=3)
    calibration = calibrate(model, random_counts(16, 20, 3, sigma=300.0))
    counts, whole = random_counts(8, 20, 3, seed=1, sigma=300.0), quantize(model, calibration)
    halves = quantize(model, calibration, (4,))
    assert [narrow_bits(one.layers[0]) for one in (whole, halves)] == [8, 4]
    for one, other in zip(gate_errors(model, whole, counts), gate_errors(model, halves, counts), strict=True):
        if one.name.endswith("gate"):
            assert 2 * one.rms_error < other.rms_error < 16 * one.rms_error, one.name


@pytest.mark.parametrize("bits", [(4, 4), (5,), (8, 4, 8)])
def test_bits_that_there_are_not_or_for_other_layers_are_refused(bits: tuple[int, ...]) -> None:
    model = random_float_model(spec("lstm", 5))
    found = (
        rf"weight_bits is \[{', '.join(map(str, bits))}\] for 1 recurrent layers; expected 8 or 4, once for all layers"
    )
    with pytest.raises(ConfigError, match=found):
        quantize(model, calibration_of(model), bits)


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


def test_companded_features_are_not_shifted() -> None:
    """They have the range that they need, even if the calibration saw small ones only."""
    for companding, shift in ((None, 9), (3, 0)):
        model = random_float_model(spec("rnn", 2, channels=1, companding=companding), amplitude=0.01)
        normalisation = replace(model.number_format.normalisation, mean=(0.0,), scale=(1.0,))
        model = replace(model, number_format=replace(model.number_format, normalisation=normalisation))
        assert quantize(model, calibration_of(model, feature_limit=(40,))).number_format.input_shift == (shift,)


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
