"""The rungs of the float model: torch, the float reference and float ONNX, equal within a tolerance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.reference_float import run_float, run_float_stream
from edge_seq.backends.trace import Trace
from edge_seq.ir.model import FloatModel
from edge_seq.parity.compare import Comparison, compare_runs
from edge_seq.parity.inputs import Inputs, streams_of
from edge_seq.parity.ladder import Rung, comparison_rung
from edge_seq.parity.onnx_outputs import due_outputs, first_due, open_export, step_outputs, window_outputs
from edge_seq.training.runtime import has_torch

if TYPE_CHECKING:
    from edge_seq.training.config import TrainingConfig  # needs pydantic, which a verification from Python does not

# Largest difference of logits and states. Summing in another order gives smaller differences; a swapped gate gives
# differences that are a thousand times larger.
FLOAT_TOLERANCE = 2e-4


def torch_rung(
    name: str,
    weights: Mapping[str, NDArray[np.float32]] | None,
    config: TrainingConfig,
    model: FloatModel,
    inputs: Inputs,
) -> Rung:
    """Compare torch with the float reference: logits at the end of each held-out window.

    Args:
        name: Name of the rung.
        weights: Weights under torch's names; None skips the rung.
        config: Training configuration, which describes the network.
        model: Float model made from the weights.
        inputs: Windows to compare.
    """
    if not has_torch():
        return Rung(name, "budget", "skipped", "torch is not installed; pip install 'edge-seq[train]'")
    if weights is None:
        return Rung(name, "budget", "skipped", "the run has no torch weights; train it again")
    from edge_seq.training.loop import logits_of_weights

    def with_torch(counts: NDArray[np.int16]) -> Trace:
        normalisation = model.number_format.normalisation
        logits = logits_of_weights(weights, config, model.contract, model.num_classes, normalisation, counts)
        return Trace({"logits": logits[:, np.newaxis]})

    comparison = compare_runs(
        inputs.held_out,
        with_torch,
        lambda counts: Trace({"logits": run_float(model, counts).values["logits"][:, -1:]}),
        tolerance=FLOAT_TOLERANCE,
        first_step=model.contract.window_length - 1,
    )
    return _float_rung(name, comparison)


def float_window_rung(name: str, path: Path, model: FloatModel, inputs: Inputs) -> Rung:
    """Compare the float reference with the float ONNX window model: logits of each held-out window."""
    exported = open_export(path, model)
    comparison = compare_runs(
        inputs.held_out,
        lambda counts: _logits_only(due_outputs(model, run_float(model, counts))),
        lambda counts: _logits_only(window_outputs(exported, counts)),
        tolerance=FLOAT_TOLERANCE,
        first_step=first_due(model),
    )
    return _float_rung(name, comparison)


def float_step_rung(name: str, path: Path, model: FloatModel, inputs: Inputs) -> Rung:
    """Compare the float reference with the float ONNX step model: logits and states at every step of the streams."""
    exported = open_export(path, model)

    def with_onnx(counts: NDArray[np.int16]) -> Trace:
        return step_outputs(exported, counts, np.float64)

    comparison = compare_runs(
        streams_of(inputs.held_out),
        lambda counts: run_float_stream(model, counts),
        with_onnx,
        tolerance=FLOAT_TOLERANCE,
    )
    return _float_rung(name, comparison)


def _float_rung(name: str, comparison: Comparison) -> Rung:
    detail = f"largest difference {comparison.max_abs_error:.1e}, allowed {FLOAT_TOLERANCE:.0e}"
    if any(one.endswith("_state") for one in comparison.names):
        detail += " (for a state, times its largest value if that is above 1)"
    return comparison_rung(name, comparison, tolerance=FLOAT_TOLERANCE, detail=detail)


def _logits_only(trace: Trace) -> Trace:
    """Leave the labels out, because two nearly equal float logits may swap their order."""
    return Trace({"logits": trace.values["logits"]})
