"""edge-seq verify: climb the ladder with what `edge-seq export` wrote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from edge_seq.backends.onnx_graph import Form
from edge_seq.backends.onnx_int import export_onnx_int
from edge_seq.backends.onnx_run import (
    OnnxModel,
    load_onnx,
    open_onnx,
    require_made_from,
    run_steps_onnx,
    run_window,
    trace_of,
)
from edge_seq.backends.onnx_window import NEXT
from edge_seq.backends.reference_float import run_float
from edge_seq.backends.reference_int import State, reset_state, run_reference, step
from edge_seq.backends.trace import Trace
from edge_seq.ir.cells import Gru, Lstm
from edge_seq.ir.model import FloatModel, IntModel, model_hash
from edge_seq.metrics import confusion_matrix, macro_f1
from edge_seq.parity.compare import Comparison
from edge_seq.parity.ladder import Ladder, Rung, comparison_rung, quantisation_cost, write_json, write_junit
from edge_seq.training.runtime import has_torch
from edge_seq.workflow.config import QuantizationConfig
from edge_seq.workflow.folder import (
    RunFolder,
    counts_hash,
    load_run_config,
    load_run_float,
    load_run_int,
    load_windows,
)
from edge_seq.workflow.quantize import float_probabilities, int_probabilities
from edge_seq.workflow.verify_c import compared, host_rung, target_rung, with_export
from firmware_export.target import Target

FLOAT_TOLERANCE = 2e-4  # of logits and states: sums in another order; a swapped gate is a thousand times more
VERIFY_RUNGS = 8

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class _Inputs:
    """What is compared.

    Attributes:
        held_out: int16 [B, T, C], windows of the side asked for.
        labels: int16 [B], their classes.
        exact: int16 [B + E, T, C], with random and extreme windows behind them, for the exact rungs.
    """

    held_out: NDArray[np.int16]
    labels: NDArray[np.int16]
    exact: NDArray[np.int16]


def verify_run(
    run: RunFolder,
    *,
    side: str = "test",
    max_windows: int = 500,
    extreme_windows: int = 100,
    targets: Sequence[Target] = (),
    progress: Progress = lambda *_: None,
) -> Ladder:
    """Compare each neighbour on the ladder; write reports/verify.json and reports/verify.xml.

    Args:
        run: folder of an exported run.
        side: whose windows are compared; validation or train where the run has no such side.
        max_windows: how many of them at most, spread evenly.
        extreme_windows: how many windows of random and extreme counts the exact rungs see besides.
        targets: to run the C export on besides the host, from :func:`firmware_export.target.choose_targets`.
        progress: called with rungs done, rungs in all, and the next rung's name.

    Raises:
        ConfigError, DataError, ModelError, ToolError: where a rung cannot be climbed at all.
    """
    float_model, int_model = load_run_float(run), load_run_int(run)
    inputs = _choose_inputs(run, side, int_model, max_windows, extreme_windows)
    limits = load_run_config(run).quantization
    # Twice the window, so that what a window's end resets is seen too.
    twice = np.concatenate([inputs.exact, inputs.exact[::-1]], axis=1)

    def on_target(target: Target) -> Callable[[str], Rung]:
        return lambda name: target_rung(name, run, int_model, twice, target)

    # The host has its rung in any case.
    emulated = [target for target in targets if target.name != "host"]
    rungs: list[Rung] = []
    steps: list[tuple[str, Callable[[str], Rung]]] = [
        ("torch = float reference", lambda name: _torch_rung(name, run, float_model, inputs)),
        ("float reference = float ONNX, window", lambda name: _float_window_rung(name, run, float_model, inputs)),
        ("float reference = float ONNX, step", lambda name: _float_step_rung(name, run, float_model, inputs)),
        ("cost of integers", lambda name: _cost_rung(name, float_model, int_model, inputs, limits)),
        ("integer reference = integer ONNX, every value", lambda name: _trace_rung(name, int_model, inputs)),
        ("integer reference = integer ONNX, window", lambda name: _int_window_rung(name, run, int_model, inputs)),
        ("integer reference = integer ONNX, step", lambda name: _int_step_rung(name, run, int_model, inputs)),
        ("integer reference = C on the host", lambda name: host_rung(name, run, int_model, twice)),
        *((f"integer reference = C on {target.name}", on_target(target)) for target in emulated),
    ]
    for index, (name, climb) in enumerate(steps):
        progress(index, len(steps), name)
        rungs.append(climb(name))
    progress(len(steps), len(steps), "done")
    ladder = Ladder(model_hash(int_model), counts_hash(inputs.exact), tuple(rungs))
    write_json(ladder, run.reports / "verify.json")
    write_junit(ladder, run.reports / "verify.xml")
    return ladder


def _choose_inputs(run: RunFolder, side: str, model: IntModel, max_windows: int, extreme: int) -> _Inputs:
    windows = load_windows(run.windows(side))
    chosen = np.unique(np.linspace(0, len(windows.labels) - 1, min(max_windows, len(windows.labels))).astype(int))
    held_out = np.ascontiguousarray(windows.counts[chosen])
    added = extreme_counts(extreme, model.contract.window_length, model.input_size)
    return _Inputs(held_out, windows.labels[chosen], np.concatenate([held_out, added]))


def extreme_counts(windows: int, time_steps: int, channels: int) -> NDArray[np.int16]:
    """int16 [windows, time_steps, channels]: in turn noise over all 16 bits, both ends at random, one end constant, and
    a walk that ends anywhere; what a sensor never gives and no implementation may get wrong."""
    rng = np.random.default_rng(0)
    low, high = -(2**15), 2**15 - 1
    shape = (time_steps, channels)
    makers: list[Callable[[], NDArray[Any]]] = [
        lambda: rng.integers(low, high + 1, shape),
        lambda: rng.choice(np.array([low, high]), shape),
        lambda: np.broadcast_to(rng.choice(np.array([low, high]), (1, channels)), shape),
        lambda: np.clip(np.cumsum(rng.integers(-3000, 3001, shape), axis=0), low, high),
    ]
    made = [makers[index % len(makers)]() for index in range(windows)]
    return np.array(made, dtype=np.int16).reshape(windows, time_steps, channels)


def _at_window_end(trace: Trace) -> Trace:
    """Logits and label of the last step only, as a window model gives them."""
    return Trace({name: np.asarray(trace.values[name][:, -1:]) for name in ("logits", "label")})


def _window_outputs(model: OnnxModel, counts: NDArray[np.int16]) -> Trace:
    outputs = run_window(model, counts)
    logits, label = outputs["logits"], outputs["label"]
    if model.readout.label_every == "window":
        logits, label = logits[:, np.newaxis], label[:, np.newaxis]
    return Trace({"logits": logits, "label": label[..., np.newaxis]})


# ------------------------------------------------------------------------------------------------------- float rungs


def _torch_rung(name: str, run: RunFolder, model: FloatModel, inputs: _Inputs) -> Rung:
    if not has_torch():
        return Rung(name, "budget", "skipped", "torch is not installed; pip install 'edge-seq[train]'")
    if not run.torch_weights.is_file():
        return Rung(name, "budget", "skipped", "the run holds no torch weights; train it again")
    from edge_seq.training.loop import logits_of_weights

    weights = safetensors.numpy.load(run.torch_weights.read_bytes())
    config = load_run_config(run).training

    def with_torch(counts: NDArray[np.int16]) -> Trace:
        normalisation = model.number_format.normalisation
        logits = logits_of_weights(weights, config, model.contract, model.num_classes, normalisation, counts)
        return Trace({"logits": logits[:, np.newaxis]})

    comparison = compared(
        inputs.held_out, with_torch, lambda counts: _at_window_end(run_float(model, counts)), FLOAT_TOLERANCE
    )
    return _float_rung(name, comparison)


def _float_rung(name: str, comparison: Comparison) -> Rung:
    detail = f"largest difference {comparison.max_abs_error:.1e}, allowed {FLOAT_TOLERANCE:.0e}"
    return comparison_rung(name, comparison, tolerance=FLOAT_TOLERANCE, detail=detail)


def _logits_only(trace: Trace) -> Trace:
    """Without labels: two float logits that are all but equal may change places."""
    return Trace({"logits": trace.values["logits"]})


def _float_window_rung(name: str, run: RunFolder, model: FloatModel, inputs: _Inputs) -> Rung:
    return with_export(
        name,
        "budget",
        lambda: _float_rung(
            name,
            compared(
                inputs.held_out,
                lambda counts: _logits_only(_due(model, run_float(model, counts))),
                _logits_of_window(_open_export(run, "float", "window", model)),
                FLOAT_TOLERANCE,
            ),
        ),
    )


def _logits_of_window(exported: OnnxModel) -> Callable[[NDArray[np.int16]], Trace]:
    return lambda counts: _logits_only(_window_outputs(exported, counts))


def _due(model: FloatModel | IntModel, trace: Trace) -> Trace:
    """The steps at which a window model gives logits."""
    return trace if model.readout.label_every == "sample" else _at_window_end(trace)


def _float_step_rung(name: str, run: RunFolder, model: FloatModel, inputs: _Inputs) -> Rung:
    def climb() -> Rung:
        exported = _open_export(run, "float", "step", model)

        def states_by_step(counts: NDArray[np.int16]) -> Trace:
            outputs = [
                {
                    f"layer{i}.hidden_state": step_outputs[f"layer{i}.hidden_state{NEXT}"]
                    for i in range(len(model.layers))
                }
                for step_outputs in run_steps_onnx(exported, counts[:, :-1])  # the last step may reset the states
            ]
            return Trace({key: np.stack([o[key] for o in outputs], axis=1) for key in outputs[0]})

        def reference(counts: NDArray[np.int16]) -> Trace:
            values = run_float(model, counts[:, :-1]).values
            return Trace({key: values[key] for key in values if key.endswith(".hidden_state")})

        return _float_rung(name, compared(inputs.held_out, reference, states_by_step, FLOAT_TOLERANCE))

    if model.contract.window_length < 2:
        return Rung(name, "budget", "skipped", "a window of one sample leaves no state to compare")
    return with_export(name, "budget", climb)


def _cost_rung(
    name: str, float_model: FloatModel, int_model: IntModel, inputs: _Inputs, limits: QuantizationConfig
) -> Rung:
    float_shares = float_probabilities(float_model, inputs.held_out)
    int_shares = int_probabilities(int_model, inputs.held_out)
    cost = quantisation_cost(float_shares, int_shares)

    def f1(shares: NDArray[np.float64]) -> float:
        confusion = confusion_matrix(inputs.labels, shares.argmax(axis=1), float_model.num_classes)
        return float(macro_f1(confusion))

    figures = {**asdict(cost), "macro_f1_float": f1(float_shares), "macro_f1_int": f1(int_shares)}
    loss = figures["macro_f1_float"] - figures["macro_f1_int"]
    changed = round((1 - cost.agreement_rate) * cost.windows)
    within = cost.agreement_rate >= limits.min_agreement_rate and loss <= limits.max_macro_f1_loss
    holds = within or changed <= 1  # of few windows, one may be a larger share than any limit
    detail = (
        f"labels equal {100 * cost.agreement_rate:.2f} % (at least {100 * limits.min_agreement_rate:g} %), macro-F1 "
        f"lost {100 * loss:.2f} points (at most {100 * limits.max_macro_f1_loss:g}); {changed} of {cost.windows} "
        f"labels changed, |dp| mean {cost.mean_abs_probability_error:.4f}"
    )
    return Rung(name, "cost", "holds" if holds else "failed", detail, figures=figures)


# ------------------------------------------------------------------------------------------------------- exact rungs


def _open_export(run: RunFolder, kind: str, form: Form, model: FloatModel | IntModel) -> OnnxModel:
    path = run.onnx(kind, form)
    exported = load_onnx(path)
    require_made_from(exported, model, what=path.name)
    return exported


def _trace_rung(name: str, model: IntModel, inputs: _Inputs) -> Rung:
    traced = open_onnx(export_onnx_int(model, form="window", trace=True), what="the traced graph")
    comparison = compared(
        inputs.exact, lambda counts: run_reference(model, counts), lambda counts: trace_of(model, traced, counts)
    )
    return comparison_rung(name, comparison)


def _int_window_rung(name: str, run: RunFolder, model: IntModel, inputs: _Inputs) -> Rung:
    def climb() -> Rung:
        exported = _open_export(run, "int", "window", model)
        comparison = compared(
            inputs.exact,
            lambda counts: _due(model, run_reference(model, counts)),
            lambda counts: _window_outputs(exported, counts),
        )
        return comparison_rung(name, comparison)

    return with_export(name, "exact", climb)


def states_after_step(model: IntModel, state: State) -> dict[str, NDArray[np.int64]]:
    """The reference's state under the names and shapes of the step model's states."""
    batch = len(state.pool_sum)
    values: dict[str, NDArray[Any]] = {}
    if model.contract.preprocessing.step != "none":
        values["preprocess.memory"] = state.preprocess.memory
        values["preprocess.primed"] = np.full((batch, 1), state.preprocess.primed)
    for index, (cell, size) in enumerate(zip(model.layers, model.hidden_sizes, strict=True)):
        layer = state.layers[index]
        values[f"layer{index}.operands"] = layer.operands[:, :size]
        if isinstance(cell, Gru):
            values[f"layer{index}.hidden_state"] = layer.hidden[:, :size]
        if isinstance(cell, Lstm):
            values[f"layer{index}.cell_state"] = layer.cell[:, :size]
    if model.readout.pooling == "mean":
        values["pool_sum"] = state.pool_sum[:, : model.hidden_sizes[-1]]
    values["step_in_window"] = np.full((batch, 1), state.step_in_window)
    return {name: array.astype(np.int64) for name, array in values.items()}


def _int_step_rung(name: str, run: RunFolder, model: IntModel, inputs: _Inputs) -> Rung:
    def reference(counts: NDArray[np.int16]) -> Trace:
        state, steps = reset_state(model, len(counts)), []
        for t in range(counts.shape[1]):
            state, values = step(model, counts[:, t], state)
            steps.append({**states_after_step(model, state), "logits": values["logits"], "label": values["label"]})
        return Trace({key: np.stack([values[key] for values in steps], axis=1) for key in steps[0]})

    def climb() -> Rung:
        exported = _open_export(run, "int", "step", model)

        def with_onnx(counts: NDArray[np.int16]) -> Trace:
            steps = [
                {
                    **{key.removesuffix(NEXT): array for key, array in outputs.items() if key.endswith(NEXT)},
                    "logits": outputs["logits"],
                    "label": outputs["label"][:, np.newaxis],
                }
                for outputs in run_steps_onnx(exported, counts)
            ]
            return Trace({key: np.stack([o[key].astype(np.int64) for o in steps], axis=1) for key in steps[0]})

        # Twice the window, so that what a window's end resets is seen too.
        counts = np.concatenate([inputs.exact, inputs.exact[::-1]], axis=1)
        return comparison_rung(name, compared(counts, reference, with_onnx))

    return with_export(name, "exact", climb)
