"""Quantisation error by gate: how far each gate's activation is from that of the float model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_seq.arithmetic.fixed_point import COARSE_DROP, FINE_FRAC_BITS, Int64
from edge_seq.arithmetic.tables import table_tanh
from edge_seq.backends.reference_float import run_float, sigmoid
from edge_seq.backends.reference_int import run_stream, sigmoid_q15
from edge_seq.backends.trace import gate_names, state_names
from edge_seq.ir.cells import Gru
from edge_seq.ir.model import FloatModel, IntModel
from edge_seq.ir.rows import is_coarse
from edge_seq.quant.calibrate import cut_at_resets

WINDOWS_AT_ONCE = 256  # the float reference keeps every value of every step
SIGMOID_GATES = ("input_gate", "forget_gate", "output_gate", "reset_gate", "update_gate")


@dataclass(frozen=True)
class GateError:
    """Difference between integer and float model in one gate's activation or one state.

    Attributes:
        name: name in the trace, for example ``layer0.forget_gate``.
        rms_error: root mean square of the differences.
        max_abs_error: largest absolute difference.
        rms: root mean square of the float model's values. Gates lie within [-1, 1]; cell states have no bound.
    """

    name: str
    rms_error: float
    max_abs_error: float
    rms: float


def gate_errors(model: FloatModel, quantized: IntModel, counts: NDArray[np.int16]) -> tuple[GateError, ...]:
    """Compare gate activations and states of two models at every step of the same streams.

    A GRU's ``new_gate_hidden`` is left out, as it has no activation of its own; it is part of ``new_gate``.

    Args:
        model: float model.
        quantized: integer model made from it.
        counts: raw counts, int16 [B, T, C]; cut into windows for a model that resets at a window's end.

    Returns:
        One error per gate and state, in the order of computation.
    """
    if model.readout.at_window_end == "reset":
        counts = cut_at_resets(counts, model.contract.window_length)
    totals: dict[str, tuple[float, float, float, int]] = {}
    for start in range(0, len(counts), WINDOWS_AT_ONCE):
        part = counts[start : start + WINDOWS_AT_ONCE]
        floats = run_float(model, part).values
        for t, integers in enumerate(run_stream(quantized, part)):
            for index, cell in enumerate(model.layers):
                for value in (*gate_names(cell), *state_names(cell)):
                    if value == "new_gate_hidden":
                        continue
                    name = f"layer{index}.{value}"
                    expected = _activated(value, floats[name][:, t])
                    error = np.abs(_real(quantized, index, value, integers[name]) - expected)
                    squares, largest, power, seen = totals.get(name, (0.0, 0.0, 0.0, 0))
                    totals[name] = (
                        squares + float((error**2).sum()),
                        max(largest, float(error.max())),
                        power + float((expected**2).sum()),
                        seen + error.size,
                    )
    return tuple(
        GateError(name, float(np.sqrt(squares / seen)), largest, float(np.sqrt(power / seen)))
        for name, (squares, largest, power, seen) in totals.items()
    )


def _activated(value: str, traced: NDArray[np.float32]) -> NDArray[np.float64]:
    """Activation of a gate or value of a state, float64 [B, H], from the float trace (which has pre-activations)."""
    if value.endswith("_state"):
        return traced.astype(np.float64)
    return (sigmoid(traced) if value in SIGMOID_GATES else np.tanh(traced)).astype(np.float64)


def _real(model: IntModel, layer: int, value: str, traced: Int64) -> NDArray[np.float64]:
    """Activation of a gate or value of a state, float64 [B, H], from the integer trace."""
    if value == "cell_state":
        return traced / 2.0 ** model.number_format.cell_frac_bits[layer]
    if value == "hidden_state":
        coarse = is_coarse(traced.shape[1]) & (not isinstance(model.layers[layer], Gru))  # in a GRU all are Q15
        return traced / 2.0 ** np.where(coarse, FINE_FRAC_BITS - COARSE_DROP, FINE_FRAC_BITS)
    return (sigmoid_q15(traced) if value in SIGMOID_GATES else table_tanh(traced)) / 2.0**FINE_FRAC_BITS
