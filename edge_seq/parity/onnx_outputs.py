"""Outputs of ONNX models as traces, and the parts of a reference trace that they are compared with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.onnx.run import OnnxModel, load_onnx, require_made_from, run_steps_onnx, run_window
from edge_seq.backends.onnx.window import NEXT
from edge_seq.backends.trace import Trace
from edge_seq.ir.model import FloatModel, IntModel


def open_export(path: Path, model: FloatModel | IntModel) -> OnnxModel:
    """Open an exported ONNX file.

    Raises:
        ModelError, ParityError: the file is missing or damaged, or was made from another model.
    """
    exported = load_onnx(path)
    require_made_from(exported, model, what=path.name)
    return exported


def due_outputs(model: FloatModel | IntModel, trace: Trace) -> Trace:
    """Take logits, labels and decisions of a trace at the steps at which a window model gives them."""
    names = ("logits", "label", *(("decision",) if model.readout.decision else ()))
    return Trace({name: np.asarray(trace.values[name][:, first_due(model) :]) for name in names})


def first_due(model: FloatModel | IntModel) -> int:
    """First time step of a window after which a label is due."""
    return 0 if model.readout.label_every == "sample" else model.contract.window_length - 1


def window_outputs(model: OnnxModel, counts: NDArray[np.int16]) -> Trace:
    """Run a window model on int16 [B, T, C]: logits, labels and decisions [B, steps, N]."""
    outputs = run_window(model, counts)
    named = {name: outputs[name] for name in ("logits", "label", "decision") if name in outputs}
    if model.readout.label_every == "window":
        named = {name: array[:, np.newaxis] for name, array in named.items()}
    return Trace({name: array if name == "logits" else array[..., np.newaxis] for name, array in named.items()})


def step_outputs(model: OnnxModel, counts: NDArray[np.int16], dtype: type[np.generic]) -> Trace:
    """Run a step model over int16 [B, T, C], carrying its states, and collect states, logits and labels of each step.

    The values are converted to ``dtype``.
    """
    steps = [
        {
            **{name.removesuffix(NEXT): array for name, array in outputs.items() if name.endswith(NEXT)},
            "logits": outputs["logits"],
            **{name: outputs[name][:, np.newaxis] for name in ("label", "decision") if name in outputs},
        }
        for outputs in run_steps_onnx(model, counts)
    ]
    return Trace({name: np.stack([values[name].astype(dtype) for values in steps], axis=1) for name in steps[0]})
