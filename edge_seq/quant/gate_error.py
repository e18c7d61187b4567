"""Quantisation error by gate: how far each gate's activation is from that of the float model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_seq.arithmetic.fixed_point import COARSE_DROP, FINE_FRAC_BITS, Int64
from edge_seq.arithmetic.tables import table_tanh
from edge_seq.backends.reference_float import run_float, sigmoid
from edge_seq.backends.reference_int import run_stream, sigmoid_q15
from edge_seq.ir.kinds import LayerKind, StateName, Use, kind_of
from edge_seq.ir.model import FloatModel, IntModel
from edge_seq.ir.rows import is_coarse
from edge_seq.quant.calibrate import cut_at_resets

WINDOWS_AT_ONCE = 256  # the float reference keeps every value of every step


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

    Values without an activation of their own are left out, such as a GRU's ``new_gate_hidden``, which is part of
    ``new_gate``.

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
        length = model.contract.window_length
        for t, integers in enumerate(run_stream(quantized, part)):
            runs = not model.front or model.steps_after(t % length + 1) > model.steps_after(t % length)
            for index, kind in enumerate(map(kind_of, model.layers)):
                if not (runs if index < model.streamed else t % length == length - 1):
                    continue  # the layer does not run at this sample
                prefix, frac_bits = f"layer{index}.", quantized.number_format.cell_frac_bits[index]
                uses = {prefix + value.name: value.use for value in kind.traced if value.use != "linear"}
                pairs = {
                    name: (_activated(use, floats[name][:, t]), _real(use, integers[name]))
                    for name, use in uses.items()
                }
                for state in kind.state_names:
                    name = prefix + state
                    points = _state_frac_bits(kind, state, integers[name].shape[1], frac_bits)
                    pairs[name] = (floats[name][:, t].astype(np.float64), integers[name] / 2.0**points)
                for name, (expected, found) in pairs.items():
                    error = np.abs(found - expected)
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


def _activated(use: Use, traced: NDArray[np.float32]) -> NDArray[np.float64]:
    """Activation of a gate, float64 [B, H], from the float trace (which has pre-activations)."""
    return (sigmoid(traced) if use == "sigmoid" else np.tanh(traced)).astype(np.float64)


def _real(use: Use, traced: Int64) -> NDArray[np.float64]:
    """Activation of a gate, float64 [B, H], from the integer trace."""
    return (sigmoid_q15(traced) if use == "sigmoid" else table_tanh(traced)) / 2.0**FINE_FRAC_BITS


def _state_frac_bits(kind: LayerKind, state: StateName, size: int, cell_frac_bits: int) -> NDArray[np.int64]:
    """Fractional bits of each unit of a traced state, int64 [H]."""
    if state == kind.calibrated:
        return np.full(size, cell_frac_bits)
    coarse = is_coarse(size) & (not kind.hidden_is_saved)  # beside the operands all units are Q15
    return np.where(coarse, FINE_FRAC_BITS - COARSE_DROP, FINE_FRAC_BITS)
