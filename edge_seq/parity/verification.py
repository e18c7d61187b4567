"""The parity ladder of one model: its rungs, their order, and the conditions under which one is skipped."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.onnx.other_runtimes import installed_runtimes
from edge_seq.data.window_file import counts_hash
from edge_seq.device.client import Device
from edge_seq.frontends.imports import Imported
from edge_seq.ir.model import FloatModel, IntModel, model_hash
from edge_seq.parity import c_rungs, device_rungs
from edge_seq.parity.cost import MAX_MACRO_F1_LOSS, MIN_AGREEMENT_RATE, cost_rung
from edge_seq.parity.export_rungs import changed_files, describe_changes, exports_rung
from edge_seq.parity.float_rungs import float_step_rung, float_window_rung, torch_rung
from edge_seq.parity.inputs import Inputs, streams_of
from edge_seq.parity.int_rungs import int_step_rung, int_window_rung, other_runtime_rung, trace_rung
from edge_seq.parity.ladder import Kind, Ladder, Rung
from edge_seq.parity.original_rung import ORIGINAL_RUNG, original_rung
from edge_seq.pipeline.export_folder import PORTABLE_WINDOW, ExportFolder
from edge_seq.pipeline.exports import write_exports
from edge_seq.support.errors import ExportError, ModelError, ParityError, ToolError
from firmware_export.toolchain.build import find_compiler
from firmware_export.toolchain.target import Target

if TYPE_CHECKING:
    from edge_seq.training.config import TrainingConfig

Progress = Callable[[int, int, str], None]

EXPORTS_RUNG = "exported files are up to date"


@dataclass(frozen=True)
class TorchWeights:
    """The trained network, for the first rung.

    Attributes:
        read: Gives the weights under torch's names, or None if there are none.
        config: Training configuration, which describes the network.
    """

    read: Callable[[], Mapping[str, NDArray[np.float32]] | None]
    config: TrainingConfig


@dataclass(frozen=True)
class FloatSide:
    """Inputs of the rungs of the float model.

    Attributes:
        model: Float model that the integer model was made from.
        torch: Trained network; None if the model was not trained here.
        imported: Network that the model was imported from; None if it was trained here.
        min_agreement_rate: Least share of windows with the same label from both models.
        max_macro_f1_loss: Largest loss of macro-F1, as a share of 1.
    """

    model: FloatModel
    torch: TorchWeights | None = None
    imported: Imported | None = None
    min_agreement_rate: float = MIN_AGREEMENT_RATE
    max_macro_f1_loss: float = MAX_MACRO_F1_LOSS


@dataclass(frozen=True)
class _Attempt:
    """A rung to run.

    Attributes:
        name: Name of the rung.
        run: Function from the name to the rung. An error in it means that the rung failed.
        kind: Kind of the rung if it fails with an error.
        uses: Exported files that the rung depends on: a path, or the beginning of several paths.
    """

    name: str
    run: Callable[[str], Rung]
    kind: Kind = "exact"
    uses: str | None = None


def verify_models(
    model: IntModel,
    inputs: Inputs,
    rendered: Mapping[str, bytes],
    *,
    exports: ExportFolder | None = None,
    float_side: FloatSide | None = None,
    targets: Sequence[Target] = (),
    device: Device | None = None,
    device_steps: int = device_rungs.DEFAULT_STEPS,
    progress: Progress = lambda *_: None,
) -> Ladder:
    """Compare the neighbours on the parity ladder.

    C is compiled from the rendered sources only, never from a folder. The first rung names each exported file that
    somebody changed. A changed file is not run, and every rung that depends on it is skipped.

    Args:
        model: Integer model.
        inputs: Windows to compare, from :func:`edge_seq.parity.inputs.choose_inputs`.
        rendered: Exported files of the models as they are now: content by path in a folder of exports.
        exports: Folder of exports to check; None verifies the rendered files alone.
        float_side: Float model and its limits; None leaves out the float rungs.
        targets: Emulated targets, from :func:`firmware_export.toolchain.target.choose_targets`.
        device: A board; None for no board. With a board of another model or contract, the ladder has one failed rung.
        device_steps: Least number of time steps on the board, if the windows have that many.
        progress: Called with rungs done, rungs in all, and the next rung's name.

    Raises:
        ToolError: there is no C compiler.
        DeviceError: the board stopped answering.
    """
    if device is not None:  # checked first, so that a wrong board is reported at once and nothing is sent to it
        try:
            same_model = device_rungs.model_rung(device, model)
        except ParityError as error:
            wrong = Rung(device_rungs.MODEL_RUNG, "exact", "failed", str(error))
            return Ladder(model_hash(model), "", (wrong,))
    compiler = find_compiler()  # looked for early, so that a missing compiler is reported at once
    streams = streams_of(inputs.exact)
    changed = () if exports is None else changed_files(exports.path, rendered)
    with tempfile.TemporaryDirectory() as folder:
        own = ExportFolder(Path(folder))
        write_exports(rendered, own.path)
        onnx, sources = exports or own, own.c_dir
        attempts: list[_Attempt] = []
        if exports is not None:
            attempts.append(_Attempt(EXPORTS_RUNG, lambda name: exports_rung(name, changed, rendered)))
        if float_side is not None:
            attempts += _float_attempts(model, inputs, float_side, onnx)
        attempts += [
            _Attempt("integer reference = integer ONNX, traced", lambda name: trace_rung(name, model, inputs)),
            _Attempt(
                "integer reference = integer ONNX, window",
                lambda name: int_window_rung(name, onnx.onnx("int", "window"), model, inputs),
                uses="onnx/int_window.onnx",
            ),
            _Attempt(
                "integer reference = integer ONNX, step",
                lambda name: int_step_rung(name, onnx.onnx("int", "step"), model, inputs),
                uses="onnx/int_step.onnx",
            ),
            *(
                _Attempt(
                    f"integer reference = integer ONNX in {runtime}",
                    partial(
                        other_runtime_rung,
                        path=onnx.onnx("int", "step"),
                        model=model,
                        inputs=inputs,
                        runtime=runtime,
                    ),
                    uses="onnx/int_step.onnx",
                )
                for runtime in installed_runtimes()
            ),
            *_window_attempts(model, inputs, rendered, onnx),
            _Attempt(
                "integer reference = C on the host",
                lambda name: c_rungs.host_rung(name, sources, model, streams, compiler),
                uses="c/",
            ),
            _Attempt(
                "integer reference = C at full speed",
                lambda name: c_rungs.host_library_rung(name, sources, model, streams, compiler),
                uses="c/",
            ),
            _Attempt(
                "C self-test on the golden vectors",
                lambda name: c_rungs.self_test_rung(name, sources, compiler),
                uses="c/",
            ),
            *_target_attempts(model, streams, targets, sources),
        ]
        if device is not None:
            attempts += [
                _Attempt(device_rungs.MODEL_RUNG, lambda _: same_model),
                _Attempt(device_rungs.SELF_TEST_RUNG, lambda _: device_rungs.self_test_rung(device)),
                _Attempt(
                    device_rungs.STEPS_RUNG,
                    lambda _: device_rungs.steps_rung(device, model, streams, min_steps=device_steps),
                ),
            ]
        rungs = _try_all(attempts, changed, progress)
    return Ladder(model_hash(model), counts_hash(inputs.exact), rungs)


def _float_attempts(model: IntModel, inputs: Inputs, side: FloatSide, onnx: ExportFolder) -> list[_Attempt]:
    attempts = []
    if (imported := side.imported) is not None:
        attempts.append(_Attempt(ORIGINAL_RUNG, lambda name: original_rung(name, imported, inputs.held_out), "budget"))
    if (torch := side.torch) is not None:
        attempts.append(
            _Attempt(
                "torch = float reference",
                lambda name: torch_rung(name, torch.read(), torch.config, side.model, inputs),
                "budget",
            )
        )
    return [
        *attempts,
        _Attempt(
            "float reference = float ONNX, window",
            lambda name: float_window_rung(name, onnx.onnx("float", "window"), side.model, inputs),
            "budget",
            uses="onnx/float_window.onnx",
        ),
        _Attempt(
            "float reference = float ONNX, step",
            lambda name: float_step_rung(name, onnx.onnx("float", "step"), side.model, inputs),
            "budget",
            uses="onnx/float_step.onnx",
        ),
        _Attempt(
            "cost of integers",
            lambda name: cost_rung(
                name,
                side.model,
                model,
                inputs.side,
                min_agreement_rate=side.min_agreement_rate,
                max_macro_f1_loss=side.max_macro_f1_loss,
            ),
            "cost",
        ),
    ]


def _window_attempts(
    model: IntModel, inputs: Inputs, rendered: Mapping[str, bytes], onnx: ExportFolder
) -> list[_Attempt]:
    """The rung of the portable window graph, if there is one."""
    if PORTABLE_WINDOW not in rendered:
        return []
    path = onnx.path / PORTABLE_WINDOW
    return [
        _Attempt(
            "integer reference = integer ONNX, portable window",
            lambda name: int_window_rung(name, path, model, inputs),
            uses=PORTABLE_WINDOW,
        )
    ]


def _target_attempts(
    model: IntModel, streams: NDArray[np.int16], targets: Sequence[Target], sources: Path
) -> list[_Attempt]:
    return [
        _Attempt(
            f"{c_rungs.TARGET_RUNG}{target.name}",
            partial(c_rungs.target_rung, sources=sources, model=model, counts=streams, target=target),
            uses="c/",
        )
        for target in targets
        if target.name != "host" or target.file  # the host always has a rung
    ]


def _try_all(attempts: Sequence[_Attempt], changed: Sequence[str], progress: Progress) -> tuple[Rung, ...]:
    """Run each attempt. It is skipped if it depends on changed files, and failed if it ends with an error."""
    rungs: list[Rung] = []
    for index, attempt in enumerate(attempts):
        progress(index, len(attempts), attempt.name)
        rests_on = [path for path in changed if attempt.uses is not None and path.startswith(attempt.uses)]
        if rests_on:
            detail = f"not run: {describe_changes(rests_on)}"
            rungs.append(Rung(attempt.name, attempt.kind, "skipped", detail))
            continue
        try:
            rungs.append(attempt.run(attempt.name))
        except (ExportError, ModelError, ParityError, ToolError) as error:
            rungs.append(Rung(attempt.name, attempt.kind, "failed", str(error)))
    progress(len(attempts), len(attempts), "done")
    return tuple(rungs)
