"""Errors of all gates and states, recomputed from whole traces of both references, also behind front layers."""

from __future__ import annotations

import numpy as np
import pytest

from edge_seq.arithmetic.tables import table_tanh
from edge_seq.backends.reference_float import run_float
from edge_seq.backends.reference_int import run_reference
from edge_seq.ir.front import Conv, TimePool
from edge_seq.ir.kinds import kind_of
from edge_seq.quant import gate_error
from edge_seq.quant.calibrate import calibrate
from edge_seq.quant.gate_error import gate_errors
from edge_seq.quant.quantize import quantize
from tests.zoo import Spec, random_counts, random_float_model, spec

FRONT = (Conv(4, "relu", 3, 2), TimePool("max", 2, 2))
SHAPES = {
    "front": spec("gru", 6, 5, window_length=8, front=FRONT, pooling="mean"),
    "stack": Spec(("lstm", "fastgrnn"), (5, 6), window_length=8),
    "both directions": spec("gru", 4, 5, 5, window_length=8, backward=(2,)),
}


@pytest.mark.parametrize("shape", list(SHAPES))
def test_every_figure_is_that_of_the_traces(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_float_model(SHAPES[shape], seed=3)
    counts = random_counts(6, 8, 3, sigma=300.0)
    quantized = quantize(model, calibrate(model, counts))
    floats, integers = run_float(model, counts).values, run_reference(quantized, counts).values
    every_sample = list(range(8))
    steps = {
        "front": [[2, 6]] * 2,  # every fourth sample, from the third
        "stack": [every_sample] * 2,
        "both directions": [every_sample, every_sample, [7]],  # backward, a layer begins when the window is whole
    }[shape]
    expected = {}
    for index, (layer, runs) in enumerate(zip(model.layers, steps, strict=True)):
        kind = kind_of(layer)
        bits = quantized.number_format.cell_frac_bits[index]
        for value in kind.traced:
            name = f"layer{index}.{value.name}"
            wanted, found = floats[name][:, runs].astype(np.float64), integers[name][:, runs]
            if value.use == "sigmoid":
                # sigmoid(x) = (1 + tanh(x / 2)) / 2; the integer argument is halved already.
                expected[name] = (1 / (1 + np.exp(-wanted)), 0.5 + table_tanh(found) / 2.0**16)
            elif value.use == "tanh":
                expected[name] = (np.tanh(wanted), table_tanh(found) / 2.0**15)
        for state in kind.state_names:
            name = f"layer{index}.{state}"
            size = integers[name].shape[2]
            points = np.full(size, 15)
            if state == kind.calibrated:
                points[:] = bits
            elif not kind.hidden_is_saved:
                points[[unit for unit in range(size) if unit % 4 >= 2]] = 7
            expected[name] = (floats[name][:, runs].astype(np.float64), integers[name][:, runs] / 2.0**points)
    for at_once in (gate_error.WINDOWS_AT_ONCE, 4):
        monkeypatch.setattr(gate_error, "WINDOWS_AT_ONCE", at_once)
        found_errors = {one.name: one for one in gate_errors(model, quantized, counts)}
        assert set(found_errors) == set(expected)
        for name, (wanted, found) in expected.items():
            one, gap = found_errors[name], np.abs(found - wanted)
            figures = (one.rms_error, one.max_abs_error, one.rms)
            by_hand = (np.sqrt((gap**2).mean()), gap.max(), np.sqrt((wanted**2).mean()))
            assert figures == pytest.approx(by_hand, rel=2e-3, abs=4e-5), name


def test_so_many_windows_are_in_memory_together() -> None:
    assert gate_error.WINDOWS_AT_ONCE == 256
