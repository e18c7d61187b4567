"""edge-seq train: data in, a float model in a run folder out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.numpy

from edge_seq.errors import ConfigError
from edge_seq.files import write_atomically
from edge_seq.ir.model import Readout
from edge_seq.ir.serialize import save_model
from edge_seq.workflow.config import RunConfig
from edge_seq.workflow.folder import RunFolder, load_run_config, save_json, save_run_config, save_windows
from edge_seq.workflow.prepare import Prepared, prepare

if TYPE_CHECKING:
    from edge_seq.training.fit import EpochRecord


def start_run(path: Path, config: RunConfig) -> RunFolder:
    """Make the folder of a run, or open the one of an interrupted training with the same configuration.

    Raises:
        ConfigError: where the folder holds something else, or a run of another configuration.
    """
    run = RunFolder(path)
    if run.config.is_file():
        if load_run_config(run) != config:
            raise ConfigError(
                f"{path} holds a run of another configuration; give another --out, or delete the folder to start anew"
            )
    elif path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ConfigError(f"{path} exists and is not the folder of a run; give another --out")
    save_run_config(run, config)
    return run


def train_run(
    path: Path,
    config: RunConfig,
    *,
    prepared: Prepared | None = None,
    data_progress: Callable[[int, int], None] | None = None,
    epoch_progress: Callable[[EpochRecord], None] | None = None,
) -> dict[str, Any]:
    """Train and leave everything that later steps need in the run folder; resumes an interrupted training.

    Args:
        path: folder of the run.
        config: of the run.
        prepared: data that were prepared before with the same configuration of data.
        data_progress: called while data are simulated.
        epoch_progress: called after each epoch.

    Returns:
        What was written to training.json.

    Raises:
        ConfigError, DataError, ContractError, ModelError, ToolError: as the steps say.
    """
    from edge_seq.training.runtime import require_torch

    require_torch("train")
    from edge_seq.frontends.from_torch import from_training
    from edge_seq.training.loop import train

    run = start_run(path, config)
    if prepared is None:
        prepared = prepare(config, progress=data_progress)
    for side in ("train", "validation", "test"):
        windows = getattr(prepared, side)
        if windows is not None:
            save_windows(run.windows(side), windows)
    write_atomically(run.calibration_streams, safetensors.numpy.save({"counts": prepared.calibration}))

    dataset = prepared.dataset
    result = train(
        prepared.train,
        prepared.validation,
        dataset.contract,
        len(dataset.labels),
        config.training,
        checkpoint_dir=run.checkpoint_dir,
        progress=epoch_progress,
    )
    write_atomically(run.torch_weights, safetensors.numpy.save(dict(result.state_dict)))
    readout = Readout(config.training.pooling, config.training.label_every, config.at_window_end)
    model = from_training(result, name=config.name, labels=dataset.labels, readout=readout)
    save_model(model, run.float_model)
    summary: dict[str, Any] = {
        "dataset": dataset.name,
        "windows": {
            side: 0 if (windows := getattr(prepared, side)) is None else len(windows.labels)
            for side in ("train", "validation", "test")
        },
        "groups": {
            side: 0 if (windows := getattr(prepared, side)) is None else len(set(windows.groups.tolist()))
            for side in ("train", "validation", "test")
        },
        "best_epoch": result.best_epoch,
        "history": [dataclasses.asdict(record) for record in result.history],
        "seed": result.seed,
        "seconds": result.seconds,
        "versions": dict(result.versions),
    }
    save_json(run.training, summary)
    return summary
