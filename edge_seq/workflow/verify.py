"""edge-seq verify: climb the ladder with what `edge-seq export` wrote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from edge_seq.backends.extremes import extreme_makers, windows_in_turn
from edge_seq.backends.onnx.graph import Form
from edge_seq.backends.onnx.int_export import export_onnx_int
from edge_seq.backends.onnx.metadata import content_hash, content_hash_of_bytes
from edge_seq.backends.onnx.run import (
    OnnxModel,
    load_onnx,
    open_onnx,
    require_made_from,
    run_steps_onnx,
    run_window,
    trace_of,
)
from edge_seq.backends.onnx.window import NEXT
from edge_seq.backends.reference_float import run_float, run_float_stream
from edge_seq.backends.reference_int import State, reset_state, run_reference, saved_states, step
from edge_seq.backends.trace import Trace
from edge_seq.data.recording import Windows
from edge_seq.device.client import Device
from edge_seq.ir.kinds import kind_of
from edge_seq.ir.model import FloatModel, IntModel, model_hash
from edge_seq.parity.c_rungs import TARGET_RUNG, host_library_rung, host_rung, self_test_rung, target_rung
from edge_seq.parity.compare import Comparison, compare_runs
from edge_seq.parity.device_rungs import DEFAULT_STEPS, MODEL_RUNG, STEPS_RUNG, model_rung, steps_rung
from edge_seq.parity.device_rungs import SELF_TEST_RUNG as BOARD_SELF_TEST_RUNG
from edge_seq.parity.device_rungs import self_test_rung as board_self_test_rung
from edge_seq.parity.ladder import Kind, Ladder, Rung, comparison_rung, quantisation_cost, write_json, write_junit
from edge_seq.pipeline.config import QuantizationConfig
from edge_seq.scores.metrics import confusion_matrix, macro_f1
from edge_seq.support.errors import ExportError, ModelError, ParityError, ToolError
from edge_seq.training.runtime import has_torch
from edge_seq.workflow.export import render_c, render_onnx
from edge_seq.workflow.folder import (
    RunFolder,
    counts_hash,
    load_run_config,
    load_run_float,
    load_run_int,
    load_windows,
)
from edge_seq.workflow.quantize import float_probabilities, int_probabilities
from firmware_export.toolchain.build import find_compiler
from firmware_export.toolchain.target import Target

FLOAT_TOLERANCE = 2e-4  # of logits and states: sums in another order; a swapped gate is a thousand times more
STREAM_WINDOWS = 2  # the step rungs run windows two by two, so that what a window's end resets is seen

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class _Inputs:
    """What is compared.

    Attributes:
        side: all windows of the side asked for, with their classes.
        held_out: int16 [B, T, C], some of them.
        exact: int16 [B + E, T, C], with random and extreme windows behind them, for the exact rungs.
    """

    side: Windows
    held_out: NDArray[np.int16]
    exact: NDArray[np.int16]


@dataclass(frozen=True)
class _Climb:
    """A rung to be climbed.

    Attributes:
        name: of the rung.
        run: takes the name, gives the rung; its errors mean that the rung failed.
        kind: of a rung that could not be climbed.
    """

    name: str
    run: Callable[[str], Rung]
    kind: Kind = "exact"


def verify_run(
    run: RunFolder,
    *,
    side: str = "test",
    max_windows: int = 500,
    extreme_windows: int = 100,
    targets: Sequence[Target] = (),
    device: Device | None = None,
    device_steps: int = DEFAULT_STEPS,
    progress: Progress = lambda *_: None,
) -> Ladder:
    """Compare each neighbour on the ladder; write reports/verify.json and reports/verify.xml.

    Args:
        run: folder of an exported run.
        side: whose windows are compared.
        max_windows: how many of them at most, spread evenly.
        extreme_windows: how many windows of random and extreme counts the exact rungs see besides.
        targets: to run the C export on besides the host, from :func:`firmware_export.toolchain.target.choose_targets`.
        device: a board to run it on too; one with another model or contract is the only rung then, and failed.
        device_steps: how many steps at least, where there are.
        progress: called with rungs done, rungs in all, and the next rung's name.

    Raises:
        ConfigError, DataError, ModelError, ToolError: where a rung cannot be climbed at all.
        DeviceError: where the board does not answer any more.
    """
    for report in (run.reports / "verify.json", run.reports / "verify.xml"):
        report.unlink(missing_ok=True)  # an interrupted verification must not leave the verdict of an earlier one
    float_model, int_model = load_run_float(run), load_run_int(run)
    if device is not None:  # first: a wrong board is told of at once, and nothing is sent to it
        try:
            same_model = model_rung(device, int_model)
        except ParityError as error:
            return _write(run, Ladder(model_hash(int_model), "", (Rung(MODEL_RUNG, "exact", "failed", str(error)),)))
    inputs = _choose_inputs(run, side, int_model, max_windows, extreme_windows)
    limits = load_run_config(run).quantization
    streams = _streams(inputs.exact)
    compiler = find_compiler()  # a machine without one is told so at once, rather than told that C failed
    climbs = [
        _Climb("exports = what the models give", lambda name: _exports_rung(name, run, int_model)),
        _Climb("torch = float reference", lambda name: _torch_rung(name, run, float_model, inputs), "budget"),
        _Climb(
            "float reference = float ONNX, window",
            lambda name: _float_window_rung(name, run, float_model, inputs),
            "budget",
        ),
        _Climb(
            "float reference = float ONNX, step",
            lambda name: _float_step_rung(name, run, float_model, inputs),
            "budget",
        ),
        _Climb("cost of integers", lambda name: _cost_rung(name, float_model, int_model, inputs, limits), "cost"),
        _Climb("integer reference = integer ONNX, traced", lambda name: _trace_rung(name, int_model, inputs)),
        _Climb("integer reference = integer ONNX, window", lambda name: _int_window_rung(name, run, int_model, inputs)),
        _Climb("integer reference = integer ONNX, step", lambda name: _int_step_rung(name, run, int_model, inputs)),
        _Climb("integer reference = C on the host", lambda name: host_rung(name, run, int_model, streams, compiler)),
        _Climb(
            "integer reference = C at full speed",
            lambda name: host_library_rung(name, run, int_model, streams, compiler),
        ),
        _Climb("C self-test on the golden vectors", lambda name: self_test_rung(name, run, compiler)),
    ]
    for target in targets:
        if target.name != "host":  # which has its rung in any case
            on_target = partial(target_rung, run=run, model=int_model, counts=streams, target=target)
            climbs.append(_Climb(f"{TARGET_RUNG}{target.name}", on_target))
    if device is not None:
        climbs += [
            _Climb(MODEL_RUNG, lambda _: same_model),
            _Climb(BOARD_SELF_TEST_RUNG, lambda _: board_self_test_rung(device)),
            _Climb(STEPS_RUNG, lambda _: steps_rung(device, int_model, streams, min_steps=device_steps)),
        ]
    rungs: list[Rung] = []
    for index, climb in enumerate(climbs):
        progress(index, len(climbs), climb.name)
        try:
            rungs.append(climb.run(climb.name))
        except (ExportError, ModelError, ParityError, ToolError) as error:
            # A stale, damaged or missing export has failed its rung, and says why; the others are still climbed.
            rungs.append(Rung(climb.name, climb.kind, "failed", str(error)))
    progress(len(climbs), len(climbs), "done")
    return _write(run, Ladder(model_hash(int_model), counts_hash(inputs.exact), tuple(rungs)))


def _write(run: RunFolder, ladder: Ladder) -> Ladder:
    write_json(ladder, run.reports / "verify.json")
    write_junit(ladder, run.reports / "verify.xml")
    return ladder


def _choose_inputs(run: RunFolder, side: str, model: IntModel, max_windows: int, extreme: int) -> _Inputs:
    windows = load_windows(run.windows(side))
    chosen = np.unique(np.linspace(0, len(windows.labels) - 1, min(max_windows, len(windows.labels))).astype(int))
    held_out = np.ascontiguousarray(windows.counts[chosen])
    added = extreme_counts(extreme, model.contract.window_length, model.input_size)
    return _Inputs(windows, held_out, np.concatenate([held_out, added]))


def extreme_counts(windows: int, time_steps: int, channels: int) -> NDArray[np.int16]:
    """int16 [windows, time_steps, channels]: in turn noise over all 16 bits, both ends at random, one end constant, and
    a walk that ends anywhere; what a sensor never gives and no implementation may get wrong."""
    makers = extreme_makers(np.random.default_rng(0), (time_steps, channels))
    return np.array(windows_in_turn(makers, windows), dtype=np.int16).reshape(windows, time_steps, channels)


def _streams(counts: NDArray[np.int16]) -> NDArray[np.int16]:
    """Windows [B, T, C] as streams of several windows [B, n T, C], each followed by others."""
    return np.concatenate([np.roll(counts, shift, axis=0) for shift in range(STREAM_WINDOWS)], axis=1)


def _due(model: FloatModel | IntModel, trace: Trace) -> Trace:
    """Logits and labels at the steps at which a window model gives them."""
    first = _first_due(model)
    names = ("logits", "label", *(("decision",) if model.readout.decision else ()))
    return Trace({name: np.asarray(trace.values[name][:, first:]) for name in names})


def _first_due(model: FloatModel | IntModel) -> int:
    return 0 if model.readout.label_every == "sample" else model.contract.window_length - 1


def _window_outputs(model: OnnxModel, counts: NDArray[np.int16]) -> Trace:
    outputs = run_window(model, counts)
    named = {name: outputs[name] for name in ("logits", "label", "decision") if name in outputs}
    if model.readout.label_every == "window":
        named = {name: array[:, np.newaxis] for name, array in named.items()}
    return Trace({name: array if name == "logits" else array[..., np.newaxis] for name, array in named.items()})


# ------------------------------------------------------------------------------------------------------ what is there


def _exports_rung(name: str, run: RunFolder, model: IntModel) -> Rung:
    """Each exported file is what the exporter makes of the run's models now: nothing stale, nothing edited, labels and
    contract included."""
    wrong = []
    onnx_files, c_files = render_onnx(run), render_c(run, model)
    for path, content in onnx_files.items():
        # By its seal: another release of protobuf may write the same graph in other bytes.
        if content_hash(load_onnx(run.path / path).proto) != content_hash_of_bytes(content):
            wrong.append(path)
    for path, content in c_files.items():
        file = run.path / path
        if not file.is_file() or file.read_bytes() != content:
            wrong.append(path)
    if wrong:
        detail = f"{', '.join(wrong[:4])}{' and more' if len(wrong) > 4 else ''} are not what this release of edge_seq "
        detail += "makes of the run's models: stale, edited or missing. Run edge-seq export again"
        return Rung(name, "exact", "failed", detail)
    return Rung(name, "exact", "holds", f"{len(onnx_files) + len(c_files)} files")


# ------------------------------------------------------------------------------------------------------- float rungs


def _torch_rung(name: str, run: RunFolder, model: FloatModel, inputs: _Inputs) -> Rung:
    if not has_torch():
        return Rung(name, "budget", "skipped", "torch is not installed; pip install 'edge-seq[train]'")
    if not run.torch_weights.is_file():
        return Rung(name, "budget", "skipped", "the run holds no torch weights; train it again")
    from edge_seq.training.loop import logits_of_weights

    try:
        weights = safetensors.numpy.load(run.torch_weights.read_bytes())
    except safetensors.SafetensorError as error:
        raise ModelError(
            f"reading {run.torch_weights.name}: no safetensors file, or a damaged one ({error}). Train the run again"
        ) from error
    config = load_run_config(run).training

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


def _float_rung(name: str, comparison: Comparison) -> Rung:
    detail = f"largest difference {comparison.max_abs_error:.1e}, allowed {FLOAT_TOLERANCE:.0e}"
    if any(one.endswith(".cell_state") for one in comparison.names):
        detail += ", of cell states times their largest"
    return comparison_rung(name, comparison, tolerance=FLOAT_TOLERANCE, detail=detail)


def _logits_only(trace: Trace) -> Trace:
    """Without labels: two float logits that are all but equal may change places."""
    return Trace({"logits": trace.values["logits"]})


def _float_window_rung(name: str, run: RunFolder, model: FloatModel, inputs: _Inputs) -> Rung:
    exported = _open_export(run, "float", "window", model)
    comparison = compare_runs(
        inputs.held_out,
        lambda counts: _logits_only(_due(model, run_float(model, counts))),
        lambda counts: _logits_only(_window_outputs(exported, counts)),
        tolerance=FLOAT_TOLERANCE,
        first_step=_first_due(model),
    )
    return _float_rung(name, comparison)


def _float_step_rung(name: str, run: RunFolder, model: FloatModel, inputs: _Inputs) -> Rung:
    exported = _open_export(run, "float", "step", model)

    def with_onnx(counts: NDArray[np.int16]) -> Trace:
        return _step_outputs(exported, counts, np.float64)

    comparison = compare_runs(
        _streams(inputs.held_out),
        lambda counts: run_float_stream(model, counts),
        with_onnx,
        tolerance=FLOAT_TOLERANCE,
    )
    return _float_rung(name, comparison)


def _step_outputs(model: OnnxModel, counts: NDArray[np.int16], dtype: type[np.generic]) -> Trace:
    """States after each step, logits and label of a step model, the states carried along."""
    steps = [
        {
            **{name.removesuffix(NEXT): array for name, array in outputs.items() if name.endswith(NEXT)},
            "logits": outputs["logits"],
            **{name: outputs[name][:, np.newaxis] for name in ("label", "decision") if name in outputs},
        }
        for outputs in run_steps_onnx(model, counts)
    ]
    return Trace({name: np.stack([values[name].astype(dtype) for values in steps], axis=1) for name in steps[0]})


def _cost_rung(
    name: str, float_model: FloatModel, int_model: IntModel, inputs: _Inputs, limits: QuantizationConfig
) -> Rung:
    """All windows of the side. Where they are so few that one changed label is beyond a limit, there is no verdict."""
    counts, labels = inputs.side.counts, inputs.side.labels
    float_shares, int_shares = float_probabilities(float_model, counts), int_probabilities(int_model, counts)
    cost = quantisation_cost(float_shares, int_shares)

    def f1(shares: NDArray[np.float64]) -> float:
        return float(macro_f1(confusion_matrix(labels, shares.argmax(axis=1), float_model.num_classes)))

    figures = {**asdict(cost), "macro_f1_float": f1(float_shares), "macro_f1_int": f1(int_shares)}
    loss = figures["macro_f1_float"] - figures["macro_f1_int"]
    changed = round((1 - cost.agreement_rate) * cost.windows)
    within = cost.agreement_rate >= limits.min_agreement_rate and loss <= limits.max_macro_f1_loss
    detail = (
        f"labels equal {100 * cost.agreement_rate:.2f} % (at least {100 * limits.min_agreement_rate:g} %), macro-F1 "
        f"lost {100 * loss:.2f} points (at most {100 * limits.max_macro_f1_loss:g}); {changed} of {cost.windows} "
        f"labels changed, |dp| mean {cost.mean_abs_probability_error:.4f}"
    )
    if not within and changed <= 1:
        return Rung(name, "cost", "skipped", f"{detail}: too few windows to judge by", figures=figures)
    return Rung(name, "cost", "holds" if within else "failed", detail, figures=figures)


# ------------------------------------------------------------------------------------------------------- exact rungs


def _open_export(run: RunFolder, kind: str, form: Form, model: FloatModel | IntModel) -> OnnxModel:
    path = run.onnx(kind, form)
    exported = load_onnx(path)
    require_made_from(exported, model, what=path.name)
    return exported


def _trace_rung(name: str, model: IntModel, inputs: _Inputs) -> Rung:
    traced = open_onnx(export_onnx_int(model, form="window", trace=True), what="the traced graph")
    comparison = compare_runs(
        inputs.exact, lambda counts: run_reference(model, counts), lambda counts: trace_of(model, traced, counts)
    )
    return comparison_rung(name, comparison)


def _int_window_rung(name: str, run: RunFolder, model: IntModel, inputs: _Inputs) -> Rung:
    exported = _open_export(run, "int", "window", model)
    comparison = compare_runs(
        inputs.exact,
        lambda counts: _due(model, run_reference(model, counts)),
        lambda counts: _window_outputs(exported, counts),
        first_step=_first_due(model),
    )
    return comparison_rung(name, comparison)


def states_after_step(model: IntModel, state: State) -> dict[str, NDArray[np.int64]]:
    """The reference's state under the names and shapes of the step model's states."""
    batch = len(state.pool_sum)
    values: dict[str, NDArray[Any]] = {}
    if model.contract.preprocessing.step != "none":
        values["preprocess.memory"] = state.preprocess.memory
        values["preprocess.primed"] = np.full((batch, 1), state.preprocess.primed)
    for index, (cell, size) in enumerate(zip(model.layers, model.hidden_sizes, strict=True)):
        saved = saved_states(kind_of(cell), state.layers[index])
        values |= {f"layer{index}.{name}": array[:, :size] for name, array in saved.items()}
    if model.readout.pooling == "mean":
        values["pool_sum"] = state.pool_sum[:, : model.hidden_sizes[-1]]
    values["step_in_window"] = np.full((batch, 1), state.step_in_window)
    if state.decision is not None:
        decision = vars(state.decision).items()
        values |= {f"decision.{name}": array.reshape(batch, -1) for name, array in decision if array is not None}
    return {name: array.astype(np.int64) for name, array in values.items()}


def _int_step_rung(name: str, run: RunFolder, model: IntModel, inputs: _Inputs) -> Rung:
    exported = _open_export(run, "int", "step", model)

    def reference(counts: NDArray[np.int16]) -> Trace:
        state, steps = reset_state(model, len(counts)), []
        for t in range(counts.shape[1]):
            state, values = step(model, counts[:, t], state)
            given: dict[str, NDArray[np.int64]] = {n: values[n] for n in ("logits", "label", "decision") if n in values}
            steps.append({**states_after_step(model, state), **given})
        return Trace({key: np.stack([values[key] for values in steps], axis=1) for key in steps[0]})

    return comparison_rung(
        name,
        compare_runs(_streams(inputs.exact), reference, lambda counts: _step_outputs(exported, counts, np.int64)),
    )
