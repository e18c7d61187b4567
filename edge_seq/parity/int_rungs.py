"""The rungs of the integer model in ONNX Runtime: exact comparison of every time step and every state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.onnx.int_export import export_onnx_int
from edge_seq.backends.onnx.other_runtimes import EVALUATOR, OPENVINO, TVM, in_runtime, is_installed
from edge_seq.backends.onnx.run import OnnxModel, open_onnx, trace_of
from edge_seq.backends.reference_int import State, reset_state, run_reference, saved_states, step
from edge_seq.backends.trace import Trace
from edge_seq.data.windows import spread
from edge_seq.ir.front import outputs_of
from edge_seq.ir.kinds import kind_of
from edge_seq.ir.model import IntModel
from edge_seq.ir.rows import operand_columns
from edge_seq.parity.compare import compare_runs
from edge_seq.parity.inputs import Inputs, streams_of
from edge_seq.parity.ladder import Rung, comparison_rung
from edge_seq.parity.onnx_outputs import due_outputs, first_due, open_export, step_outputs, window_outputs
from edge_seq.support.errors import ToolError


def trace_rung(name: str, model: IntModel, inputs: Inputs) -> Rung:
    """Compare the integer reference with integer ONNX: every value of every time step.

    The traced graph has all nodes of the exported one, in the same order.
    """
    traced = open_onnx(export_onnx_int(model, form="window", trace=True), what="the traced graph")
    comparison = compare_runs(
        inputs.exact, lambda counts: run_reference(model, counts), lambda counts: trace_of(model, traced, counts)
    )
    return comparison_rung(name, comparison)


def int_window_rung(name: str, path: Path, model: IntModel, inputs: Inputs) -> Rung:
    """Compare the integer reference with the exported window model: logits, labels and decisions."""
    exported = open_export(path, model)
    comparison = compare_runs(
        inputs.exact,
        lambda counts: due_outputs(model, run_reference(model, counts)),
        lambda counts: window_outputs(exported, counts),
        first_step=first_due(model),
    )
    return comparison_rung(name, comparison)


def int_step_rung(name: str, path: Path, model: IntModel, inputs: Inputs) -> Rung:
    """Compare the integer reference with the exported step model: outputs and states at every step of the streams."""
    return _step_rung(name, open_export(path, model), model, streams_of(inputs.exact))


def other_runtime_rung(name: str, path: Path, model: IntModel, inputs: Inputs, runtime: str) -> Rung:
    """Compare the integer reference with the exported step model in another runtime, on a short part of the streams.

    A runtime that lacks an operator of the graph shows nothing about it: its rung is skipped, with its words.
    """
    try:
        exported = in_runtime(open_export(path, model), runtime)
    except ToolError as refused:
        return Rung(name, "exact", "skipped", str(refused))
    streams = streams_of(inputs.exact)
    chosen = spread(len(streams), SHORT_STREAMS)
    counts = streams[chosen, : max(SHORT_STEPS, min(model.contract.window_length + 2, LONGEST_STEPS))]
    shown = f"the first {counts.shape[1]} steps of {len(counts)} streams"
    missing = [other for other in (OPENVINO, TVM) if not is_installed(other)]
    if runtime == EVALUATOR and missing:
        shown += f"; {' and '.join(missing)} would be compared too if installed"
    return _step_rung(name, exported, model, counts, detail=shown)


SHORT_STREAMS, SHORT_STEPS, LONGEST_STEPS = 8, 20, 130  # an evaluator in Python takes some milliseconds for a step


def _step_rung(name: str, exported: OnnxModel, model: IntModel, streams: NDArray[np.int16], detail: str = "") -> Rung:
    def reference(counts: NDArray[np.int16]) -> Trace:
        state, steps = reset_state(model, len(counts)), []
        for t in range(counts.shape[1]):
            state, values = step(model, counts[:, t], state)
            given: dict[str, NDArray[np.int64]] = {n: values[n] for n in ("logits", "label", "decision") if n in values}
            steps.append({**states_after_step(model, state), **given})
        return Trace({key: np.stack([values[key] for values in steps], axis=1) for key in steps[0]})

    comparison = compare_runs(streams, reference, lambda counts: step_outputs(exported, counts, np.int64))
    return comparison_rung(name, comparison, detail=detail)


def states_after_step(model: IntModel, state: State) -> dict[str, NDArray[np.int64]]:
    """Convert a state of the reference to the names and shapes of the step model's states: int64 [B, N] each."""
    batch = len(state.pool_sum)
    values: dict[str, NDArray[Any]] = {}
    if model.contract.preprocessing.step != "none":
        values["preprocess.memory"] = state.preprocess.memory
        values["preprocess.primed"] = np.full((batch, 1), state.preprocess.primed)
    number = state.step_in_window
    for index, (layer, front) in enumerate(zip(model.front, state.front, strict=True)):
        slots = front.ring.shape[1]
        in_order = front.ring[:, (number + np.arange(slots)) % slots, : model.front_inputs[index]]
        values[f"front{index}.ring"] = in_order.reshape(batch, -1)
        values[f"front{index}.output"] = front.output[:, : model.front_sizes[index]]
        number = outputs_of(layer, number)
    for inputs, (index, (units, parts)) in zip(state.kept, model.kept_inputs.items(), strict=True):
        columns = operand_columns(units, parts)  # one part is not padded within
        values[f"layer{index}.inputs"] = np.concatenate([one[:, columns] for one in inputs], axis=1)
    for index, (cell, size) in enumerate(zip(model.layers, model.hidden_sizes, strict=True)):
        saved = saved_states(kind_of(cell), state.layers[index])
        values |= {f"layer{index}.{name}": array[:, :size] for name, array in saved.items()}
    pools = {"pool_sum": state.pool_sum, "pool_max": state.pool_max}
    for name, size in model.pool_sizes.items():
        values[name] = pools[name][:, operand_columns(size, model.top_parts)]
    values["step_in_window"] = np.full((batch, 1), state.step_in_window)
    if state.decision is not None:
        decision = vars(state.decision).items()
        values |= {f"decision.{name}": array.reshape(batch, -1) for name, array in decision if array is not None}
    return {name: array.astype(np.int64) for name, array in values.items()}
