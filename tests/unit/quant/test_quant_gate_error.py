"""Quantisation error of each gate and state, against traces of both references."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_seq.backends.reference_float import run_float
from edge_seq.backends.reference_int import run_reference
from edge_seq.ir.kinds import kind_of
from edge_seq.ir.model import AtWindowEnd, FloatModel, IntModel
from edge_seq.quant.calibrate import calibrate
from edge_seq.quant.gate_error import gate_errors
from edge_seq.quant.quantize import quantize
from tests.zoo import CELLS, random_counts, random_float_model, spec


def models(cell: str, at_window_end: AtWindowEnd = "reset") -> tuple[FloatModel, IntModel]:
    model = random_float_model(spec(cell, 5, at_window_end=at_window_end), amplitude=1.0)
    return model, quantize(model, calibrate(model, random_counts(8, 20, model.num_channels)))


@pytest.mark.parametrize("cell", CELLS)
def test_each_gate_and_state_is_near_the_float_model(cell: str) -> None:
    model, quantized = models(cell)
    errors = gate_errors(model, quantized, random_counts(8, 20, model.num_channels))
    names = [*kind_of(model.layers[0]).gate_names, *kind_of(model.layers[0]).state_names]
    assert [one.name for one in errors] == [f"layer0.{name}" for name in names if name != "new_gate_hidden"]
    for one in errors:
        assert 0 < one.rms_error <= one.max_abs_error
        assert one.rms_error < 0.03 * one.rms, one


@pytest.mark.parametrize(("at_window_end", "time_steps"), [("reset", 7), ("carry", 20)])
@pytest.mark.parametrize("cell", CELLS)
def test_the_error_of_the_hidden_state_is_that_of_the_traces(
    cell: str, at_window_end: AtWindowEnd, time_steps: int
) -> None:
    model, quantized = models(cell, at_window_end)
    counts = random_counts(3, time_steps, model.num_channels)
    name = "layer0.hidden_state"
    scale = np.full(5, 2.0**15)
    if cell == "fastgrnn":
        scale = np.full(5, 2.0 ** quantized.number_format.cell_frac_bits[0])
    elif cell != "gru":
        scale[[2, 3]] = 2.0**7  # the third and the fourth of each quad are coarse (SPEC.md, section 4)
    gap = run_reference(quantized, counts).values[name] / scale - run_float(model, counts).values[name]
    found = {one.name: one for one in gate_errors(model, quantized, counts)}[name]
    assert found.rms_error == pytest.approx(np.sqrt((gap**2).mean()), rel=1e-6)
    assert found.max_abs_error == pytest.approx(np.abs(gap).max(), rel=1e-6)


def test_a_gate_that_was_changed_stands_out() -> None:
    model, quantized = models("lstm")
    (cell,) = model.layers
    output_gate = replace(cell.output_gate, bias=cell.output_gate.bias + 1)
    other = replace(model, layers=(replace(cell, output_gate=output_gate),))
    counts = random_counts(8, 1, model.num_channels)  # at the first step nothing else depends on it yet
    before = {one.name: one.rms_error for one in gate_errors(model, quantized, counts)}
    after = {one.name: one.rms_error for one in gate_errors(other, quantized, counts)}
    assert after["layer0.output_gate"] > 10 * before["layer0.output_gate"]
    for name in ("input_gate", "forget_gate", "cell_gate", "cell_state"):
        assert after[f"layer0.{name}"] == before[f"layer0.{name}"]
