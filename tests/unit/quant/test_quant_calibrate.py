from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_seq.backends.preprocess import preprocess
from edge_seq.backends.reference_float import run_float
from edge_seq.backends.reference_int import run_reference
from edge_seq.ir.kinds import Lstm, Rnn
from edge_seq.ir.model import FloatModel, IntModel
from edge_seq.ir.rows import IntRows
from edge_seq.ir.verify import verify
from edge_seq.quant import calibrate as module
from edge_seq.quant.calibrate import (
    CELL_QUANTILE,
    CELL_RANGES,
    CELL_SATURATES,
    Calibration,
    Saturation,
    _changes_of_hidden_states,
    calibrate,
    count_saturation,
)
from edge_seq.quant.quantize import quantize
from edge_seq.support.errors import DataError
from tests.zoo import CELLS, quantized_model, random_counts, random_float_model, spec

SEEN: Calibration = replace(
    calibrate(random_float_model(spec("lstm", 2)), random_counts(2, 7, 3, sigma=300.0)), cell_range=()
)


def equal(a: Calibration, b: Calibration) -> bool:
    """Moments are sums, whose last digits depend on how windows are grouped."""
    return replace(a, moments=()) == replace(b, moments=()) and all(
        np.allclose(x, y, rtol=1e-5, atol=1e-7) for x, y in zip(a.moments, b.moments, strict=True)
    )


@given(st.floats(0, 1e6))
def test_cell_frac_bits_are_the_most_that_hold_the_cell_state(limit: float) -> None:
    (bits,) = replace(SEEN, cell_limit=(limit,)).cell_frac_bits
    assert 8 <= bits <= 15
    if bits > 8:
        assert limit * 2**bits <= 2**15, "the largest state fits"
    if bits < 15:
        assert limit * 2 ** (bits + 1) > 2**15, "with one bit more it would not"


@pytest.mark.parametrize(
    ("limit", "bits"),
    [(0.0, 15), (0.3, 15), (1.0, 15), (1.001, 14), (2.0, 14), (3.9, 13), (21.0, 10), (128, 8), (1e9, 8)],
)
def test_cell_frac_bits_by_hand(limit: float, bits: int) -> None:
    assert replace(SEEN, cell_limit=(limit, 0.0)).cell_frac_bits == (bits, 15)


def counting_lstm(forget_bias: float, steps: int) -> FloatModel:
    """An LSTM that keeps what it adds to its cell states."""
    model = random_float_model(spec("lstm", 8, window_length=steps), seed=3)
    (layer,) = model.layers
    assert isinstance(layer, Lstm)
    bias = np.full(8, forget_bias, dtype=np.float32)
    gates = {"forget_gate": replace(layer.forget_gate, bias=bias), "cell_gate": replace(layer.cell_gate, bias=bias / 3)}
    return replace(model, layers=(replace(layer, **gates),))


@pytest.mark.parametrize(("forget_bias", "steps"), [(3.0, 60), (4.0, 100), (6.0, 60)])
def test_the_range_of_large_cell_states_is_the_one_that_costs_least(forget_bias: float, steps: int) -> None:
    """All ranges are tried with whole integer models, which calibration does not do."""
    model = counting_lstm(forget_bias, steps)
    counts = random_counts(24, steps, 3, sigma=400.0)
    found = calibrate(model, counts)
    assert found.cell_limit[0] > CELL_SATURATES
    expected = run_float(model, counts).values["layer0.hidden_state"]
    errors = {}
    for bits in range(8, 13):
        tried = quantize(model, replace(found, cell_limit=(2.0 ** (15 - bits),), cell_range=()))
        assert tried.number_format.cell_frac_bits == (bits,)
        errors[bits] = np.square(run_reference(tried, counts).values["layer0.hidden_state"] / 2.0**15 - expected).mean()
    (chosen,) = found.cell_frac_bits
    (of_all,) = replace(found, cell_range=()).cell_frac_bits
    assert errors[chosen] <= 1.25 * min(errors.values()), errors
    assert errors[chosen] < 1.05 * errors[of_all], errors


def test_the_changes_by_range_are_those_of_a_loop_over_units() -> None:
    model = counting_lstm(4.0, 40)
    values = run_float(model, random_counts(2, 40, 3, sigma=400.0)).values
    found = _changes_of_hidden_states(values, 0)
    gates = {name: values[f"layer0.{name}_gate"].astype(float) for name in ("input", "forget", "cell", "output")}
    assert CELL_RANGES == (8.0, 16.0, 32.0, 64.0, 128.0)
    for largest, change in zip(CELL_RANGES, found, strict=True):
        total = 0.0
        for window in range(2):
            for unit in range(8):
                kept = 0  # the cell state as an integer of 16 bits
                for t in range(40):
                    of = {name: float(array[window, t, unit]) for name, array in gates.items()}
                    opened = {name: 1 / (1 + math.exp(-value)) for name, value in of.items()}
                    exact = opened["forget"] * kept / (2**15 / largest) + opened["input"] * math.tanh(of["cell"])
                    kept = max(-(2**15), min(2**15, round(exact * 2**15 / largest)))
                    shown = opened["output"] * math.tanh(kept * largest / 2**15)
                    real = opened["output"] * math.tanh(values["layer0.cell_state"][window, t, unit])
                    total += (shown - real) ** 2
        assert change == pytest.approx(total, rel=1e-3), largest
    seen = calibrate(model, random_counts(2, 40, 3, sigma=400.0))
    assert seen.cell_range == (CELL_RANGES[int(np.argmin(found))],)


def test_layers_that_run_backward_and_hidden_states_keep_all_values() -> None:
    """The steps of a backward layer are in another order; a FastGRNN's hidden state is read as it is."""
    shape = spec("lstm", 6, 6, window_length=60, backward=(1,))
    model = random_float_model(shape, seed=3)
    bias = np.full(6, 5.0, dtype=np.float32)
    layers = tuple(
        replace(
            layer,
            forget_gate=replace(layer.forget_gate, bias=bias),  # type: ignore[union-attr]
            cell_gate=replace(layer.cell_gate, bias=bias),  # type: ignore[union-attr]
        )
        for layer in model.layers
    )
    found = calibrate(replace(model, layers=layers), random_counts(4, 60, 3, sigma=400.0))
    assert min(found.cell_limit) > CELL_SATURATES
    assert found.cell_range[0] < np.inf == found.cell_range[1]


def test_small_cell_states_have_the_range_that_holds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_float_model(spec("lstm", 5))
    counts = random_counts(9, 7, 3, sigma=300.0)
    found = calibrate(model, counts)
    assert found.cell_limit[0] < CELL_SATURATES
    assert found.cell_range == (np.inf,)
    for saturates, ends in ((found.cell_limit[0], True), (0.999 * found.cell_limit[0], False)):
        monkeypatch.setattr(module, "CELL_SATURATES", saturates)  # states up to it do not saturate, larger ones may
        assert (calibrate(model, counts).cell_range == (np.inf,)) is ends


def test_calibration_sees_features_and_cell_states() -> None:
    model = random_float_model(spec("lstm", 5, 3, step="difference", window_length=7))
    counts = random_counts(9, 7, 3, sigma=300.0)
    seen = calibrate(model, counts)
    features = preprocess(counts, model.contract).astype(int)
    assert seen.feature_limit == tuple(np.abs(features).max(axis=(0, 1)).tolist())
    values = run_float(model, counts).values
    for index, limit in enumerate(seen.cell_limit):
        magnitudes = np.abs(values[f"layer{index}.cell_state"])
        assert (magnitudes <= limit).mean() >= CELL_QUANTILE - 1 / magnitudes.size
        assert (magnitudes < limit * 0.9999).mean() < 1
    assert (seen.num_windows, seen.num_steps) == (9, 63)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_moments_are_of_what_rows_see(cell: str, pooling: str) -> None:
    """Mean of v v^T with v = (input, state before the step, 1), summed step by step."""
    model = random_float_model(spec(cell, 5, 2, window_length=7, pooling=pooling))  # type: ignore[arg-type]
    counts = random_counts(3, 7, 3, sigma=300.0)
    moments = calibrate(model, counts).moments
    values = run_float(model, counts).values
    first, second = values["layer0.hidden_state"], values["layer1.hidden_state"]
    head = values["pooled"] if pooling == "mean" else second
    expected = [np.zeros((9, 9)), np.zeros((8, 8)), np.zeros((3, 3))]
    for b in range(3):
        for t in range(7):
            before = [layer[b, t - 1] if t else np.zeros(layer.shape[2]) for layer in (first, second)]
            for total, seen in zip(
                expected,
                ([*values["features"][b, t], *before[0], 1], [*first[b, t], *before[1], 1], [*head[b, t], 1]),
                strict=True,
            ):
                total += np.outer(seen, seen) / 21
    for found, wanted in zip(moments, expected, strict=True):
        assert found.shape == wanted.shape
        assert np.allclose(found, wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_cells_without_a_cell_state_have_no_limit(cell: str) -> None:
    assert calibrate(random_float_model(spec(cell, 5)), random_counts(2, 7, 3)).cell_limit == (0.0,)


def test_a_hidden_state_that_leaves_the_unit_interval_has_a_limit() -> None:
    model = random_float_model(spec("fastgrnn", 5))
    counts = random_counts(20, 7, 3, sigma=300.0)
    hidden = np.abs(run_float(model, counts).values["layer0.hidden_state"])
    assert calibrate(model, counts).cell_limit == (pytest.approx(np.quantile(hidden, 0.999)),)


def test_batches_change_nothing() -> None:
    model = random_float_model(spec("lstm", 5))
    counts = random_counts(10, 7, 3, sigma=300.0)
    found, expected = calibrate(model, counts, batch_size=3), calibrate(model, counts)
    assert np.allclose(found.cell_limit, expected.cell_limit, rtol=1e-6)
    assert equal(replace(found, cell_limit=()), replace(expected, cell_limit=()))


def test_a_model_that_resets_is_observed_on_windows() -> None:
    model = random_float_model(spec("lstm", 5, window_length=7, step="difference"))
    stream = random_counts(2, 24, 3, sigma=300.0)
    seen = calibrate(model, stream)
    windows = stream[:, :21].reshape(6, 7, 3)
    assert equal(seen, calibrate(model, windows))
    assert (seen.num_windows, seen.num_steps) == (6, 42)
    assert equal(calibrate(model, stream[:, :10]), calibrate(model, stream[:, :7]))
    assert calibrate(model, stream[:, :4]).num_steps == 8


def test_a_model_that_carries_is_observed_on_streams() -> None:
    model = random_float_model(spec("lstm", 5, window_length=7, at_window_end="carry"))
    stream = np.full((1, 70, 3), 300, dtype=np.int16)
    seen = calibrate(model, stream)
    assert seen.num_steps == 70
    assert seen.cell_limit[0] > calibrate(model, stream[:, :7]).cell_limit[0]


def test_the_ends_of_16_bits_have_a_magnitude() -> None:
    model = random_float_model(spec("rnn", 2, channels=1))
    assert calibrate(model, np.full((1, 7, 1), -32768, dtype=np.int16)).feature_limit == (32768,)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (
            np.zeros((0, 7, 3), dtype=np.int16),
            r"calibrating zoo: counts have shape \[0, 7, 3\]; expected int16 raw counts",
        ),
        (np.zeros((2, 0, 3), dtype=np.int16), r"\[2, 0, 3\]; expected .* with at least one step"),
        (np.zeros((7, 3), dtype=np.int16), r"counts have shape \[7, 3\]; expected .*\[windows, time steps, 3\]"),
        (np.zeros((2, 7, 1), dtype=np.int16), r"counts have shape \[2, 7, 1\]"),
        (np.zeros((2, 7, 3)), r"calibrating zoo: counts are float64; .* Convert physical values with to_counts\(\)"),
        (np.zeros((2, 7, 3), dtype=np.int64), r"counts are int64"),
    ],
)
def test_what_is_no_window_of_counts_is_refused(counts: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        calibrate(random_float_model(spec("lstm", 5)), counts)


def found(model: IntModel, counts: np.ndarray) -> dict[str, tuple[int, int]]:
    return {item.name: (item.saturated, item.values) for item in count_saturation(model, counts)}


@pytest.mark.parametrize("planted", [0, 1, 17])
def test_planted_saturated_features_are_counted(planted: int) -> None:
    model = quantized_model(spec("rnn", 3, window_length=7))
    model = replace(model, number_format=replace(model.number_format, input_shift=(3, 3, 3)))
    rng = np.random.default_rng(planted)
    counts = rng.integers(-4000, 4000, (4, 21, 3)).astype(np.int16)
    places = rng.choice(counts.size, planted, replace=False)
    counts.flat[places] = rng.choice([4096, -4096, 32767, -32768], planted)  # 4096 * 2^3 = 2^15
    assert found(model, counts)["features"] == (planted, counts.size)


def constant_rows(size: int, columns: int, argument: int) -> IntRows:
    """Rows without weights whose result is ``argument``."""
    multiplier = 1000
    bias = -(-argument * 2**16 // multiplier)
    return IntRows(
        np.zeros((size, columns), dtype=np.int16),
        np.zeros((size, 0), dtype=np.int8),
        np.zeros((size, 8), dtype=np.int8),
        np.full(size, bias, dtype=np.int32),
        np.full(size, multiplier, dtype=np.int16),
    )


@pytest.mark.parametrize(("direction", "end"), [(1, 2**20 + 5000), (-1, -5000)])
def test_planted_saturated_cell_states_and_gates_are_counted(direction: int, end: int) -> None:
    """With all gates open, the state is nearly 1 (Q15) after one step and saturates at the second, in each window."""
    model = quantized_model(spec("lstm", 5, window_length=7))
    wide_open, candidate = constant_rows(5, 3, 2**20 + 5000), constant_rows(5, 3, end)
    half = constant_rows(5, 3, 2**19)
    model = replace(
        model,
        layers=(Lstm(input_gate=wide_open, forget_gate=wide_open, cell_gate=candidate, output_gate=half),),
        number_format=replace(model.number_format, cell_frac_bits=(15,)),
    )
    verify(model)
    counts = random_counts(4, 21, 3, sigma=10.0)
    values = 4 * 21 * 5
    saturated = found(model, counts)
    assert saturated["layer0.cell_state"] == (4 * 3 * 6 * 5, values)
    for gate in ("input_gate", "forget_gate", "cell_gate"):
        assert saturated[f"layer0.{gate}"] == (values, values)
    assert saturated["layer0.output_gate"] == (0, values)


def test_planted_saturated_units_are_counted() -> None:
    model = quantized_model(spec("rnn", 5, window_length=7))
    rows = constant_rows(5, 3, 2**19)
    bias = rows.bias.copy()
    bias[[1, 4]] = [-1, 2**31 - 1]
    model = replace(model, layers=(Rnn(replace(rows, bias=bias)),))
    assert found(model, random_counts(4, 21, 3))["layer0.hidden"] == (4 * 21 * 2, 4 * 21 * 5)


@pytest.mark.parametrize("cell", CELLS)
def test_names_that_are_counted(cell: str) -> None:
    names = set(found(quantized_model(spec(cell, 5)), random_counts(1, 7, 3)))
    assert (
        names
        == {
            "rnn": {"features", "layer0.hidden"},
            "gru": {"features", "layer0.reset_gate", "layer0.update_gate", "layer0.new_gate"},
            "fastgrnn": {"features", "layer0.hidden_state", "layer0.update_gate", "layer0.new_gate"},
            "lstm": {"features", "layer0.cell_state"}
            | {f"layer0.{gate}" for gate in ("input_gate", "forget_gate", "cell_gate", "output_gate")},
        }[cell]
    )


def test_share() -> None:
    assert Saturation("features", 3, 12).share == 0.25
    assert Saturation("features", 1, 1).share == 1.0
    assert math.isclose(Saturation("features", 0, 0).share, 0.0)
