"""edge-seq train: trains a float model and writes it to a run folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import safetensors.numpy

from edge_seq.data.recording import SIDES
from edge_seq.data.source import copy_of_source
from edge_seq.data.window_file import counts_hash, save_windows, windows_hash
from edge_seq.ir.contract import contract_to_dict
from edge_seq.ir.model import canonical_json
from edge_seq.ir.serialize import save_model
from edge_seq.pipeline.config import SIMULATOR, RunConfig
from edge_seq.pipeline.learning.record import TrainingSummary, summarise_training
from edge_seq.pipeline.learning.train import Progress, train_model
from edge_seq.pipeline.prepare import PreparedData, prepare, with_split_of_source
from edge_seq.support.errors import ConfigError
from edge_seq.support.files import check_can_write, write_atomically
from edge_seq.support.json_tables import load_json, save_json
from edge_seq.support.lock import LOCK
from edge_seq.training.record import EpochRecord
from edge_seq.workflow.folder import (
    RunFolder,
    check_can_hold_runs,
    load_run_config,
    load_run_float,
    open_run,
    save_run_config,
    writing,
)


def start_run(path: Path, config: RunConfig) -> RunFolder:
    """Check that a folder is new or holds a run of the same configuration. Nothing is written.

    A training that failed before its first epoch has no results, so its configuration may change.

    Raises:
        ConfigError: the folder holds something else or a run of another configuration, or cannot be written to.
    """
    run = RunFolder(path)
    if not path.is_file():
        check_can_write(path)
    if run.config.is_file():
        if _holds_results(run) and load_run_config(run) != config:
            raise ConfigError(
                f"{path} holds a run of another configuration; give another --out, or delete the folder to start again"
            )
    elif path.exists() and (not path.is_dir() or any(part.name != LOCK for part in path.iterdir())):
        raise ConfigError(f"{path} exists and is not the folder of a run; give another --out")
    return run


def save_data(run: RunFolder, config: RunConfig, prepared: PreparedData) -> None:
    """Write configuration, data source, windows and calibration streams, unless the run holds results from other data.

    Raises:
        ConfigError: the run holds results from other data; nothing is written then.
    """
    sides = {side: windows for side in SIDES if (windows := getattr(prepared, side)) is not None}
    contract = canonical_json([contract_to_dict(prepared.dataset.contract), prepared.dataset.labels])
    hashes = {side: windows_hash(windows) for side, windows in sides.items()}
    hashes["calibration"] = counts_hash(prepared.calibration)
    hashes["contract_and_labels"] = hashlib.sha256(contract.encode()).hexdigest()
    if _holds_results(run) and run.data_hashes.is_file():
        stored = load_json(run.data_hashes)
        changed = [name for name in sorted(stored.keys() | hashes.keys()) if stored.get(name) != hashes.get(name)]
        if changed:
            raise ConfigError(
                f"{run.path} was trained on other data: {', '.join(changed)} changed, but not the configuration. "
                "Restore the recordings to resume, give another --out, or delete the folder to start again"
            )
    save_run_config(run, config)
    save_json(run.data_hashes, hashes)
    if config.data.source != SIMULATOR:
        write_atomically(run.data_source, copy_of_source(Path(config.data.source), made_by="edge-seq train"))
    for side in SIDES:
        if side in sides:
            save_windows(run.windows(side), sides[side])
        else:
            run.windows(side).unlink(missing_ok=True)
    if prepared.one_class is not None:
        save_json(run.other_classes, prepared.one_class.classes)
    write_atomically(run.calibration_streams, safetensors.numpy.save({"counts": prepared.calibration}))


def _holds_results(run: RunFolder) -> bool:
    """True if at least one epoch was trained in the run."""
    return run.float_model.is_file() or (run.checkpoint_dir.is_dir() and any(run.checkpoint_dir.iterdir()))


FINE_TUNING_RATE = 0.001  # peak of the learning rate, a tenth of that of a training with random weights


def fine_tuning_options(start: RunFolder) -> tuple[Path, list[str]]:
    """Configuration and overrides of a training that begins with the model of a run.

    Args:
        start: Folder of a run, imported or trained.

    Raises:
        ConfigError: it holds no model.
        ModelError: a training cannot make a network like it.
    """
    from edge_seq.frontends.to_torch import training_options
    from edge_seq.pipeline.config import quote

    options = training_options(load_run_float(start))

    def as_toml(value: object) -> str:
        match value:
            case str():
                return quote(value)
            case tuple():
                return f"[{', '.join(map(as_toml, value))}]"
            case dict():
                return f"{{{', '.join(f'{key} = {as_toml(one)}' for key, one in value.items())}}}"
        return str(value)

    lines = [f"training.{key}={as_toml(value)}" for key, value in options.items()]
    rate = f"training.learning_rate={FINE_TUNING_RATE}"
    return start.config, [f"start_from={quote(str(start.path.absolute()))}", rate, *lines]


def train_run(
    path: Path,
    config: RunConfig,
    *,
    prepared: PreparedData | None = None,
    data_progress: Callable[[int, int], None] | None = None,
    epoch_progress: Progress = lambda *_: None,
) -> TrainingSummary:
    """Train a model and write all that later steps need to the run folder. An interrupted training is resumed.

    Args:
        path: Folder of the run.
        config: Configuration of the run.
        prepared: Data that were prepared with the same configuration; None prepares them.
        data_progress: Called with drives done and drives in all while data are simulated.
        epoch_progress: Called with epochs done, epochs in all and the record of each epoch.

    Returns:
        The record of the training, which is also written to training.json.

    Raises:
        ConfigError, DataError, ContractError, ModelError, ToolError: as the steps say.
    """
    from edge_seq.training.runtime import require_torch

    require_torch("train")  # checked before the data are read, which may take long
    config = with_split_of_source(config)
    run = start_run(path, config)
    with writing(run):
        return _train(run, config, prepared, data_progress, epoch_progress)


def train_seeds(
    path: Path,
    config: RunConfig,
    seeds: int,
    *,
    data_progress: Callable[[int, int], None] | None = None,
    epoch_progress: Callable[[int, int, int, EpochRecord], None] = lambda *_: None,
) -> dict[Path, TrainingSummary]:
    """Train a model with several seeds, each in a run of its own.

    Args:
        path: Folder of the runs ``seed_0``, ``seed_1`` and so on; with one seed it is the folder of the run.
        config: Configuration of the runs. Its seed is the first one.
        seeds: Number of seeds, at least 1.
        data_progress: Called with drives done and drives in all while data are simulated.
        epoch_progress: Called with runs done, and with epochs done, epochs in all and the record of each epoch.

    Returns:
        The record of each training by the folder of its run.

    Raises:
        ConfigError, DataError, ContractError, ModelError, ToolError: as :func:`train_run` says.
    """
    if seeds < 1:
        raise ConfigError(f"training: {seeds} seeds; give at least 1")
    if seeds > 1:
        check_can_hold_runs(path, doing="training with several seeds")
    made: dict[Path, TrainingSummary] = {}
    for done in range(seeds):
        seed = config.training.seed + done
        folder = path / f"seed_{seed}" if seeds > 1 else path
        training = config.training.model_copy(update={"seed": seed})
        made[folder] = train_run(
            folder,
            config.model_copy(update={"training": training}),
            data_progress=data_progress,
            epoch_progress=partial(epoch_progress, done),
        )
    return made


def _train(
    run: RunFolder,
    config: RunConfig,
    prepared: PreparedData | None,
    data_progress: Callable[[int, int], None] | None,
    epoch_progress: Progress,
) -> TrainingSummary:
    """Train in a folder that is held."""
    if prepared is None:
        prepared = prepare(config, progress=data_progress, store=run.store)
    save_data(run, config, prepared)

    trained = train_model(
        prepared,
        config.training,
        name=config.name,
        at_window_end=config.at_window_end,
        start=None if config.start_from is None else load_run_float(open_run(Path(config.start_from))),
        teacher=None if config.teacher is None else load_run_float(open_run(Path(config.teacher))),
        checkpoint_dir=run.checkpoint_dir,
        progress=epoch_progress,
    )
    write_atomically(run.torch_weights, safetensors.numpy.save(dict(trained.weights)))
    if trained.validated is None:
        run.validated_model.unlink(missing_ok=True)
    else:
        save_model(trained.validated, run.validated_model)
    save_model(trained.model, run.float_model)
    summary = summarise_training(trained, prepared, config)
    save_json(run.training, summary)
    return summary
