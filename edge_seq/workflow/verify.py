"""edge-seq verify: the parity ladder of a run, with the files that `edge-seq export` wrote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from edge_seq.data.window_file import load_windows
from edge_seq.device.client import Device
from edge_seq.parity.device_rungs import DEFAULT_STEPS
from edge_seq.parity.inputs import EXTREME_WINDOWS, MAX_WINDOWS, choose_inputs
from edge_seq.parity.ladder import Ladder, write_junit
from edge_seq.parity.verification import FloatSide, TorchWeights, verify_models
from edge_seq.pipeline.exports import c_sha256
from edge_seq.support.errors import ConfigError
from edge_seq.support.json_tables import save_json
from edge_seq.workflow.export import render_run
from edge_seq.workflow.folder import (
    RunFolder,
    load_run_config,
    load_run_float,
    load_run_int,
    load_torch_weights,
    writes_to_run,
)
from edge_seq.workflow.importing.record import load_imported
from edge_seq.workflow.release.sign import signature_rung
from firmware_export.toolchain.target import Target, options_of_files

Progress = Callable[[int, int, str], None]


@writes_to_run
def verify_run(
    run: RunFolder,
    *,
    side: str = "test",
    max_windows: int = MAX_WINDOWS,
    extreme_windows: int = EXTREME_WINDOWS,
    targets: Sequence[Target] = (),
    device: Device | None = None,
    device_steps: int = DEFAULT_STEPS,
    public_key: Path | None = None,
    progress: Progress = lambda *_: None,
) -> Ladder:
    """Compare the neighbours on the parity ladder; write reports/verify.json and reports/verify.xml.

    Args:
        run: Folder of an exported run.
        side: Side of the split whose windows are compared.
        max_windows: Largest number of these windows, spread evenly.
        extreme_windows: Number of additional windows of random and extreme counts for the exact rungs.
        targets: Emulated targets, from :func:`firmware_export.toolchain.target.choose_targets`.
        device: A board; None for no board. With a board of another model or contract, the ladder has one failed rung.
        device_steps: Least number of time steps on the board, if the windows have that many.
        public_key: Key of the signature of the exports; None checks no signature.
        progress: Called with rungs done, rungs in all, and the next rung's name.

    Raises:
        ConfigError: the run is not exported.
        DataError, ModelError, ToolError: a rung cannot be run at all.
        DeviceError: the board stopped answering.
    """
    for report in (run.reports / "verify.json", run.reports / "verify.xml"):
        report.unlink(missing_ok=True)  # an interrupted verification must not leave the verdict of an earlier one
    float_model, int_model = load_run_float(run), load_run_int(run)
    if not run.exports.path.is_dir():
        raise ConfigError(f"run {run.path.name} holds no exports; run {run.command('export')}")
    config = load_run_config(run)
    limits = config.quantization
    imported = load_imported(run, float_model)
    rendered = render_run(run, int_model)
    ladder = verify_models(
        int_model,
        choose_inputs(
            load_windows(run.windows(side)), int_model, max_windows=max_windows, extreme_windows=extreme_windows
        ),
        rendered,
        exports=run.exports,
        float_side=FloatSide(
            float_model,
            None if imported is not None else TorchWeights(lambda: load_torch_weights(run), config.network),
            imported,
            min_agreement_rate=limits.min_agreement_rate,
            max_macro_f1_loss=limits.max_macro_f1_loss,
        ),
        targets=targets,
        device=device,
        device_steps=device_steps,
        progress=progress,
    )
    chosen = {
        "--windows": (max_windows, MAX_WINDOWS),
        "--extreme": (extreme_windows, EXTREME_WINDOWS),
        "--side": (side, "test"),
        "--key": (public_key, None),
        "--port": (None if device is None else device.name, None),
        "--port-steps": (device_steps, DEFAULT_STEPS),
    }
    others = (word for name, (given, usual) in chosen.items() if given != usual for word in (name, str(given)))
    options = (*options_of_files(targets), *others)
    ladder = replace(ladder, c_sha256=c_sha256(rendered), options=options or None)
    if public_key is not None:
        ladder = replace(ladder, rungs=(signature_rung(run, public_key), *ladder.rungs))
    save_json(run.reports / "verify.json", ladder)
    write_junit(ladder, run.reports / "verify.xml")
    return ladder
