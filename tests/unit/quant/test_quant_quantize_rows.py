"""What quantize() gives to the rounding of rows, and what it makes of the rounded rows, against the float model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_seq.backends.reference_float import (
    float_features,
    inputs_seen,
    run_float,
    sequences_of,
    values_after_readout,
)
from edge_seq.backends.reference_int import run_reference
from edge_seq.ir.front import Conv, TimePool
from edge_seq.ir.kind_names import WeightBits
from edge_seq.ir.kinds import Lstm, kind_of, narrow_bits
from edge_seq.ir.model import FloatModel
from edge_seq.ir.range_proof import accumulator_bounds
from edge_seq.ir.rows import IntRows, rows_of_steps
from edge_seq.quant import quantize as module
from edge_seq.quant.calibrate import Calibration, calibrate
from edge_seq.quant.gate_error import gate_errors
from edge_seq.quant.quantize import quantize
from edge_seq.quant.rounding import RealRows, RoundedRows
from tests.zoo import Spec, convolution, random_counts, random_float_model, spec

Real = NDArray[np.float64]
LENGTH = 8
FRONT = (
    convolution(4, "none", 3, stride=2, padding="same", zeros=(1, 1)),
    TimePool("max", 2, 1),
    convolution(5, "relu", 2, padding="same", zeros=(0, 1)),
    convolution(3, "tanh", 1),
)
DENSE = ((5, "relu"), (6, "tanh"), (3, "none"))
SHAPES = {
    "stack": Spec(("fastgrnn", "lstm", "rnn"), (5, 6, 3), window_length=LENGTH),
    "pools": replace(spec("fastgrnn", 6, window_length=LENGTH, pooling="mean_max"), dense=DENSE),
    "front": replace(spec("gru", 5, window_length=LENGTH, pooling="flatten", front=FRONT), dense=DENSE),
    "both directions": spec("gru", 5, 5, 6, window_length=LENGTH, backward=(1,)),
    "flat head": spec("fastgrnn", 6, 6, window_length=LENGTH, pooling="flatten", backward=()),
}


@dataclass(frozen=True)
class Made:
    """Rows before and after, of the last scale that was tried."""

    real: RealRows
    moments: Real
    gain: float
    offset: int
    unit: Real
    rounded: RoundedRows
    rows: IntRows


def quantized_with_rows(
    model: FloatModel, calibration: Calibration, monkeypatch: pytest.MonkeyPatch, weight_bits: tuple[int, ...] = ()
) -> tuple[Any, dict[str, Made]]:
    made: dict[str, Made] = {}
    last: list[Any] = []
    round_rows, quantize_rows = module.round_rows, module._quantize_rows

    def rounding(real: RealRows, unit: Real, moments: Real, *, bits: WeightBits = 8) -> RoundedRows:
        last[:] = [unit.copy(), round_rows(real, unit, moments, bits=bits)]
        return last[1]  # type: ignore[no-any-return]

    def quantizing(
        real: RealRows, purpose: Any, moments: Real, what: str, *, steps: int = 0, bits: WeightBits = 8
    ) -> IntRows:
        rows = quantize_rows(real, purpose, moments, what, steps=steps, bits=bits)
        made[what] = Made(real, moments, purpose.gain, purpose.offset, last[0], last[1], rows)
        return rows

    monkeypatch.setattr(module, "round_rows", rounding)
    monkeypatch.setattr(module, "_quantize_rows", quantizing)
    return quantize(model, calibration, weight_bits), made


def own_bits(weights: NDArray[np.float32], power: Real, drops: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Bits by which outputs are divided: those of calibration, and more while a weight is above 32; none for tanh."""
    own = np.zeros(len(weights), dtype=np.int64) if drops is None else drops.copy()
    largest = np.abs(weights * np.resize(power, weights.shape[1])).max(axis=1)
    while drops is not None and (over := largest / 2.0**own > 32).any():
        own += over
    return own


def sums_of(model: FloatModel, counts: NDArray[np.int16], calibration: Calibration) -> dict[str, Real]:
    """The sums of every block of rows at all of its steps, [N, R], from the float model; outputs that are divided by
    powers of two are divided here. Of rows that see all steps: what each step's weights give on every state."""
    features = float_features(model, counts)
    values = sequences_of(model, features) | {"features": features}
    found: dict[str, Any] = {}
    below, drops, power = features, iter(calibration.front_drops), np.ones(1)  # by which the inputs are divided
    for index, layer in enumerate(model.front):
        if isinstance(layer, Conv):
            seen = inputs_seen(layer, below, ends=True).reshape(len(counts), -1, layer.rows.weight_input.shape[1])
            of_layer = next(drops)
            own = own_bits(layer.rows.weight_input, power, None if layer.activation == "tanh" else of_layer)
            power = 2.0**own
            found[f"front{index}"] = (seen @ layer.rows.weight_input.T + layer.rows.bias) / 2.0**own
        below = values[f"front{index}"]
    for index, kind in enumerate(map(kind_of, model.layers)):
        traced = {value.name: values[f"layer{index}.{value.name}"] for value in kind.traced}
        if "new_gate_hidden" in traced:  # of a GRU, which traces the sum of both parts
            reset = 1 / (1 + np.exp(-traced["reset_gate"]))
            traced["new_gate_input"] = traced["new_gate"] - reset * traced["new_gate_hidden"]
        found |= {f"layer{index}.{row.name}": traced[row.name] for row in kind.rows}
    values |= values_after_readout(model, values)
    states = np.concatenate([values[f"layer{index}.hidden_state"] for index in model.stages[-1]], axis=2)
    pools = [values[name] for name in ("pooled", "pooled_max") if name in values]
    below = np.concatenate(pools or [states], axis=2)
    blocks = [(f"dense{index}", layer.rows, layer.activation) for index, layer in enumerate(model.dense)]
    top = kind_of(model.layers[-1])
    of_states = 15 - calibration.cell_frac_bits[-1] if top.calibrated == "hidden_state" else 0
    power = np.array([2.0**of_states])
    for place, (name, rows, activation) in enumerate([*blocks, ("head", model.head, "tanh")]):
        drops = None if activation == "tanh" else calibration.dense_drops[place]
        own = own_bits(rows.weight_input, power, drops)
        power = 2.0**own
        weights, bias = rows.weight_input.astype(np.float64), rows.bias.astype(np.float64)
        if rows is model.summed_rows:
            steps, seen = model.num_steps, states
            weights, bias = weights.reshape(len(bias) * steps, -1), np.repeat(bias / steps, steps)
            own = np.repeat(own, steps)
        else:
            seen = below
            if model.readout.flattens:  # at the end of a window alone
                seen = below[:, -1:]
        found[name] = (seen @ weights.T + bias) / 2.0**own
        below = values.get(f"dense{place}", below)
    return {name: np.asarray(array, dtype=np.float64).reshape(-1, array.shape[-1]) for name, array in found.items()}


@pytest.fixture(params=list(SHAPES))
def case(request: pytest.FixtureRequest) -> tuple[FloatModel, NDArray[np.int16], Calibration]:
    model = random_float_model(SHAPES[request.param], seed=5)
    counts = random_counts(12, LENGTH, 3, sigma=300.0, seed=1)
    return model, counts, calibrate(model, counts)


def test_rows_and_moments_are_those_of_the_float_model(
    case: tuple[FloatModel, NDArray[np.int16], Calibration], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With weights w and moments S of a block, w S w is the mean square of its sums, and w S 1 their mean."""
    model, counts, calibration = case
    _, made = quantized_with_rows(model, calibration, monkeypatch)
    sums = sums_of(model, counts, calibration)
    assert set(made) == set(sums)
    for name, one in made.items():
        real = one.real
        weights = np.concatenate([real.narrow_input, real.narrow_hidden, real.wide, real.bias[:, None]], axis=1)
        of_weights = np.einsum("rn,nm,rm->r", weights, one.moments, weights)
        assert of_weights == pytest.approx((sums[name] ** 2).mean(axis=0), rel=1e-3), name
        mean, largest = sums[name].mean(axis=0), np.abs(sums[name]).max()
        assert weights @ one.moments[:, -1] == pytest.approx(mean, rel=1e-3, abs=1e-4 * largest), name
        assert one.moments[-1, -1] == pytest.approx(1), name


def test_integer_rows_are_the_rounded_ones_at_the_scale_of_their_multiplier(
    case: tuple[FloatModel, NDArray[np.int16], Calibration], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in units of the accumulator, each worth m / (2^32 gain), the bias is the real one and what makes
    floor(sum m / 2^16) the table's argument, rounded."""
    model, _, calibration = case
    quantized, made = quantized_with_rows(model, calibration, monkeypatch)
    sigmoids = ("reset_gate", "update_gate", "input_gate", "forget_gate", "output_gate")
    linear = ["head", "layer0.new_gate_hidden", "layer1.new_gate_hidden", "layer2.new_gate_hidden"]
    for place, layers in (("front", quantized.front), ("dense", quantized.dense)):
        linear += [f"{place}{i}" for i, one in enumerate(layers) if getattr(one, "activation", "tanh") != "tanh"]
    for name, one in made.items():
        halved = name.endswith(sigmoids) or (name in linear and name.startswith(("front", "dense")))
        assert one.gain == (0.5 if halved else 1.0), name
        assert one.offset == (0 if name in linear else 2**19), name
        multiplier = one.rows.multiplier.astype(np.float64)
        steps = len(one.unit) // len(multiplier)
        of_steps = np.repeat(multiplier, steps)
        assert np.array_equal(one.unit, of_steps / (2.0**32 * one.gain)), name
        # Rows of many steps add the bias, and one half, once for each step; the sum is rounded down once for each.
        bias = (one.rounded.bias / one.unit).reshape(-1, steps).mean(axis=1)
        bias += one.offset / steps * 2.0**16 / multiplier + 0.5 * 2.0**16 / multiplier
        assert (np.abs(one.rows.bias - bias) <= 0.5 + 1e-9 * np.abs(bias)).all(), name
        narrow = one.rounded.narrow_input.reshape(one.rows.narrow_input.shape)
        assert np.array_equal(one.rows.narrow_input, narrow), name
        assert np.array_equal(one.rows.wide, one.rounded.wide.reshape(one.rows.wide.shape)), name
        assert (one.rows.bias.dtype, one.rows.multiplier.dtype) == (np.int32, np.int16)
        bounds = accumulator_bounds(rows_of_steps(one.rows, steps) if steps > 1 else one.rows)
        assert bounds.max() <= 2**31 - 1


@pytest.mark.parametrize("least", [1, 7])
def test_a_scale_is_the_finest_that_holds_weights_and_sums(least: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: the largest weight is 127 or 32767, or the bound of the accumulator is near its limit."""
    for name in ("stack", "front", "flat head"):
        model = random_float_model(SHAPES[name], seed=5, amplitude=float(least))
        _, made = quantized_with_rows(model, calibrate(model, random_counts(12, LENGTH, 3, sigma=300.0)), monkeypatch)
        for what, one in made.items():
            steps = len(one.unit) // len(one.rows.multiplier)
            bounds = accumulator_bounds(rows_of_steps(one.rows, steps) if steps > 1 else one.rows)
            of_rows = bounds.reshape(-1, steps).max(axis=1)
            unit = np.repeat(one.rows.multiplier.astype(np.float64) - 1, steps) / 2.0**32 / one.gain  # one finer
            with np.errstate(divide="ignore", invalid="ignore"):
                narrow = np.concatenate([one.real.narrow_input, one.real.narrow_hidden], axis=1)
                full = np.abs(narrow).max(axis=1, initial=0) / (unit * 2**15) > 127
                full |= np.abs(one.real.wide).max(axis=1, initial=0) / unit > 32767
            whole = full.reshape(-1, steps).any(axis=1) | (one.rows.multiplier == 1)
            assert (whole | (of_rows > 0.9 * 2**31)).all(), (name, what)


def test_a_scale_of_4_bits_is_the_share_with_the_least_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """By trying all shares of the scale at which the largest weight is 112, 7 of 16 units of an 8-bit weight."""
    model = random_float_model(spec("lstm", 6, 5, window_length=LENGTH), seed=5)
    upper, shares = model.layers[1], np.linspace(1.0, 0.6, 9)
    assert isinstance(upper, Lstm)
    first = replace(upper.input_gate, bias=upper.input_gate.bias.copy())
    for array in (first.weight_input, first.weight_hidden, first.bias):
        array[2] = 0.0  # a unit without weights
    model = replace(model, layers=(model.layers[0], replace(upper, input_gate=first)))
    calibration = calibrate(model, random_counts(12, LENGTH, 3, sigma=300.0, seed=1))
    round_rows = module.round_rows
    quantized, made = quantized_with_rows(model, calibration, monkeypatch, (8, 4))
    assert [narrow_bits(layer) for layer in quantized.layers] == [8, 4]
    chosen = []
    for name in ("input_gate", "forget_gate", "cell_gate", "output_gate"):
        one = made[f"layer1.{name}"]
        weights = np.concatenate([one.real.narrow_input, one.real.narrow_hidden], axis=1)
        units = np.maximum(np.abs(weights).max(axis=1) / 112 / 2.0**15, 1e-100)
        errors = [round_rows(one.real, share * units, one.moments, bits=4).error for share in shares]
        best = shares[np.argmin(errors, axis=0)]
        for_bias = (np.abs(one.real.bias * one.gain * 2.0**16 + one.offset) + 1) * 2.0**16 / (2**31 - 1)
        needed = np.maximum(np.ceil(np.maximum(best * units * 2.0**32 * one.gain, for_bias)), 1)
        assert one.rows.multiplier.tolist() == needed.tolist(), name
        chosen += best[needed > for_bias + 1].tolist()
    assert len(set(chosen)) > 2, "different rows need different shares"


def test_every_gate_state_and_logit_is_near_that_of_the_float_model(
    case: tuple[FloatModel, NDArray[np.int16], Calibration],
) -> None:
    model, counts, calibration = case
    quantized = quantize(model, calibration)
    for one in gate_errors(model, quantized, counts):
        assert one.rms_error <= 0.02 * max(one.rms, 1.0), one
    found = run_reference(quantized, counts).logits / 2.0**16
    expected = run_float(model, counts).logits
    assert np.abs(found - expected).max() < 0.08 * max(1.0, float(np.abs(expected).max()))
    assert quantized.readout == model.readout
    assert quantized.readout is not model.readout
    assert (quantized.backward, quantized.labels, quantized.contract) == (model.backward, model.labels, model.contract)


def test_what_a_convolution_sees_outside_is_the_mean_of_the_features() -> None:
    """Zero after normalisation is the mean before it, in shifted counts within 16 bits."""
    model = random_float_model(SHAPES["front"], seed=5)
    normalisation = replace(model.number_format.normalisation, mean=(-32768.0, 20.3, 32768.0), scale=(3000.0,) * 3)
    model = replace(model, number_format=replace(model.number_format, normalisation=normalisation))
    quantized = quantize(model, calibrate(model, random_counts(12, LENGTH, 3, sigma=300.0)))
    assert quantized.number_format.input_shift == (0, 0, 0)
    first, _, second, third = quantized.front
    assert isinstance(first, Conv)
    assert isinstance(second, Conv)
    assert isinstance(third, Conv)
    assert first.pad == (-32768, 20, 32767)
    assert (second.pad, third.pad) == ((), ())
    steps = [(one.kernel, one.stride, one.dilation, one.padding, one.zeros) for one in (first, second, third)]
    assert steps == [(3, 2, 1, "same", (1, 1)), (2, 1, 1, "same", (0, 1)), (1, 1, 1, "causal", (0, 0))]


def test_a_dense_weight_beyond_the_largest_divides_its_unit_further() -> None:
    """A weight of 40 stays within 32 if the output is divided by 2, whatever its outputs are; 32 itself fits."""
    model = random_float_model(replace(SHAPES["pools"], dense=((4, "none"),)), seed=5)
    calibration = replace(calibrate(model, random_counts(12, LENGTH, 3, sigma=300.0)), dense_limit=((0.7,) * 4,))
    assert calibration.dense_drops[0].tolist() == [0] * 4
    (dense,) = model.dense
    weights = dense.rows.weight_input * np.float32(0.01)
    bits = [15 - one for one in calibration.cell_frac_bits]  # the states are divided, so their weights are multiplied
    for row, largest in enumerate((1.0, 32.0, 40.0, 130.0)):
        weights[row, 0] = largest / 2.0 ** bits[0]
    rows = replace(dense.rows, weight_input=weights)
    with pytest.MonkeyPatch.context() as patch:
        model = replace(model, dense=(replace(dense, rows=rows),))
        _, made = quantized_with_rows(model, calibration, patch)
    largest = np.abs(made["dense0"].real.narrow_input).max(axis=1)
    assert largest.tolist() == [1.0, 32.0, 20.0, 130 / 8]
