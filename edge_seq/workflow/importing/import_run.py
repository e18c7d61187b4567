"""edge-seq import: makes a run folder from a network of another framework."""

from __future__ import annotations

import hashlib
import importlib.metadata
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from edge_seq.data.recording import SIDES
from edge_seq.data.source import load_contract
from edge_seq.frontends.files import chain_of_file
from edge_seq.frontends.imports import check_labels, import_chain
from edge_seq.frontends.lower import Lowered
from edge_seq.frontends.opening import model_bytes
from edge_seq.frontends.originals import Original
from edge_seq.ir.serialize import save_model
from edge_seq.parity.imported import ImportSummary
from edge_seq.parity.original_rung import check_import
from edge_seq.pipeline.config import RunConfig, load_config, overrides_between, quote
from edge_seq.pipeline.prepare import PreparedData, prepare, split_note, with_split_of_source
from edge_seq.support.errors import ConfigError
from edge_seq.support.files import check_can_write, write_atomically
from edge_seq.support.json_tables import save_json
from edge_seq.workflow.folder import RunFolder, save_run_config, writing
from edge_seq.workflow.train import save_data

ORIGINAL = "original"  # name of the copy of the network's file in the run, with its suffix


def import_run(
    path: Path,
    model: Path,
    config: RunConfig,
    *,
    contract: Path | None = None,
    labels: Sequence[str] = (),
    layers: Sequence[str] = (),
    mean: Sequence[float] | None = None,
    scale: Sequence[float] | None = None,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> ImportSummary:
    """Convert a network, check it, and write a run folder on which the other commands work as after a training.

    Args:
        path: Folder of the run; new, empty, or of an import that did not finish.
        model: File of the network; see :func:`edge_seq.frontends.files.chain_of_file`.
        config: Configuration of the run, with the data source.
        contract: Contract (TOML) instead of the recordings of the configuration; the run then holds the float model
            alone.
        labels: [K] class names in the order of the network's outputs. Default: the order of the data source.
        layers: What weights of PyTorch belong to.
        mean, scale: Scaler before the network, in the contract's units; None for none.
        progress: Called with steps done, steps in all, and the current step.

    Returns:
        The record, which is also written to import.json.

    Raises:
        ConfigError: The folder is not empty, or an option does not fit.
        ModelError, ContractError, DataError, ToolError: As the steps say.
    """
    if path.exists() and not (path.is_dir() and _may_import_to(RunFolder(path))):
        raise ConfigError(f"{path} exists and is not empty; give another --out, or delete it")
    check_can_write(path)
    content = model_bytes(model)
    config = config if contract is not None else with_split_of_source(config)
    run = RunFolder(path)
    with writing(run):
        progress(0, 3, "reading recordings")
        prepared = None if contract is not None else prepare(config, store=run.store)
        if prepared is not None:
            terms, names = prepared.dataset.contract, prepared.dataset.labels
        else:
            assert contract is not None
            terms, names = load_contract(contract), check_labels(labels, model.name)
        progress(1, 3, "converting the network")
        chain = chain_of_file(model, time_steps=terms.window_length, layers=layers)
        stored = f"{ORIGINAL}{model.suffix.lower()}"
        source = Original(chain.format, model, chain.input_axes, layers=tuple(layers))
        imported = import_chain(
            chain,
            lambda lowered: _with_states(source, lowered),
            name=config.name,
            labels=names,
            contract=terms,
            class_order=labels or None,
            mean=mean,
            scale=scale,
            at_window_end=config.at_window_end,
            train=None if prepared is None else prepared.train,
            calibration=None if prepared is None else prepared.calibration,
        )
        progress(2, 3, "comparing it with the network")
        check = None if prepared is None else check_import(imported, prepared.train.counts)
        lowered = imported.lowered
        summary = ImportSummary(
            file=model.name,
            stored=stored,
            sha256=hashlib.sha256(content).hexdigest(),
            format=chain.format,
            command=_command(path, model, config, contract, labels, layers, mean, scale),
            layers=tuple(layers),
            mean=imported.scaler.mean,
            scale=imported.scaler.scale,
            output=lowered.output,
            class_order=lowered.class_order,
            input_axes=chain.input_axes,
            layer_outputs=lowered.layer_outputs,
            notes=lowered.notes,
            warnings=imported.warnings,
            windows={} if prepared is None else _windows(prepared),
            training_accuracy=imported.accuracy,
            check=check,
            note=split_note(config),
            versions={"edge_seq": importlib.metadata.version("edge-seq"), "python": sys.version.split()[0]},
        )
        save_json(run.imported, summary)  # first, and the model last: so an import that did not finish is known
        if prepared is None:
            save_run_config(run, config)
        else:
            save_data(run, config, prepared)
        write_atomically(run.path / stored, content)
        save_model(lowered.model, run.float_model)
        progress(3, 3, "done")
    return summary


def _may_import_to(run: RunFolder) -> bool:
    """True for an empty folder, and for that of an import that was interrupted. Hidden files do not count."""
    visible = {part for part in run.path.iterdir() if not part.name.startswith(".")}
    if run.imported in visible:
        return run.float_model not in visible
    return visible <= {run.store.parent} and all(set(part.iterdir()) <= {run.store} for part in visible)


def _with_states(source: Original, lowered: Lowered) -> Original:
    return replace(source, layer_outputs=lowered.layer_outputs)


def _windows(prepared: PreparedData) -> dict[str, int]:
    sides = {side: getattr(prepared, side) for side in SIDES}
    return {side: 0 if windows is None else len(windows.labels) for side, windows in sides.items()}


def _command(
    path: Path,
    model: Path,
    config: RunConfig,
    contract: Path | None,
    labels: Sequence[str],
    layers: Sequence[str],
    mean: Sequence[float] | None,
    scale: Sequence[float] | None,
) -> str:
    """The command that imports the network again."""
    words = ["edge-seq", "import", str(model), "--out", str(path), "--name", config.name]
    words += ["--data", config.data.source] if contract is None else ["--contract", str(contract)]
    for option, values in (("--labels", labels), ("--layers", layers), ("--mean", mean), ("--scale", scale)):
        if values:
            words += [option, ",".join(one if isinstance(one, str) else repr(float(one)) for one in values)]
    usual = load_config(None, [f"data.source={quote(config.data.source)}", f"name={quote(config.name)}"])
    usual = usual if contract is not None else with_split_of_source(usual)
    return shlex.join([*words, *(word for one in overrides_between(config, usual) for word in ("--set", one))])
