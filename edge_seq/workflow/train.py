"""edge-seq train: trains a float model and writes it to a run folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.numpy
import tomli_w

from edge_seq.data.recording import SIDES
from edge_seq.data.source import load_source
from edge_seq.data.window_file import counts_hash, save_windows, windows_hash
from edge_seq.ir.contract import contract_to_dict
from edge_seq.ir.model import canonical_json
from edge_seq.ir.serialize import save_model
from edge_seq.pipeline.advice import steps_of, training_accuracy
from edge_seq.pipeline.config import SIMULATOR, RunConfig
from edge_seq.pipeline.models import train_model
from edge_seq.pipeline.prepare import PreparedData, prepare, split_note, with_split_of_source
from edge_seq.scores.evaluation import SplitNote
from edge_seq.scores.temperature import Temperature
from edge_seq.support.errors import ConfigError
from edge_seq.support.files import check_can_write, write_atomically
from edge_seq.support.json_tables import load_json, save_json
from edge_seq.support.results import Result, written
from edge_seq.workflow.folder import LOCK, RunFolder, load_run_config, save_run_config, writing

if TYPE_CHECKING:
    from edge_seq.pipeline.leak import Leak
    from edge_seq.training.fit import EpochRecord


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
        write_atomically(run.data_source, _copy_of_source(Path(config.data.source)))
    for side in SIDES:
        if side in sides:
            save_windows(run.windows(side), sides[side])
        else:
            run.windows(side).unlink(missing_ok=True)
    write_atomically(run.calibration_streams, safetensors.numpy.save({"counts": prepared.calibration}))


def _copy_of_source(path: Path) -> str:
    """Copy of a data source, whose ``path`` means the same from any folder."""
    table = load_source(path).model_dump(mode="json", exclude_unset=True, exclude_none=True)
    table["path"] = str((path.parent / table["path"]).absolute())
    return f"# Copy of {path.name}, made by edge-seq train.\n{tomli_w.dumps(table)}"


@dataclass(frozen=True, kw_only=True)
class MeasuredLeak(Result):
    """Size of the leak of a split that has windows of one group on both sides.

    Attributes:
        leak: Scores with and without the leak; None where the data do not allow to measure it.
        leak_text: The size of the leak, or why it was not measured, in one sentence.
    """

    leak: Leak | None
    leak_text: str


@dataclass(frozen=True, kw_only=True)
class TrainingSummary(Result):
    """Record of a training, as in training.json.

    Attributes:
        dataset: Name of the data.
        reading: What was done to the recordings when they were read.
        note: Kind of split, with a warning where it makes scores less certain.
        leak: Size of the leak of a split that leaks; None for another split.
        windows: Number of windows by side of the split.
        groups: Number of groups by side of the split.
        best_epoch: Epoch whose weights were kept, counted from 1.
        optimiser_steps: Number of steps of the optimiser, had the training not stopped early.
        temperature: Temperature that was fitted on validation windows.
        training_accuracy: Accuracy of the float model on at most 1,000 training windows.
        history: Record of each epoch.
        seed: Seed of every random choice.
        seconds: Wall time of this call. After a resume, earlier epochs are not included.
        versions: Versions of Python and of the packages that the numbers depend on.
    """

    dataset: str
    reading: tuple[str, ...]
    note: SplitNote = field(metadata=written(inline=True))
    leak: MeasuredLeak | None = field(metadata=written(inline=True))
    windows: dict[str, int]
    groups: dict[str, int]
    best_epoch: int
    optimiser_steps: int
    temperature: Temperature
    training_accuracy: float
    history: tuple[EpochRecord, ...]
    seed: int
    seconds: float
    versions: dict[str, str]

    @property
    def best(self) -> EpochRecord:
        """Record of the epoch whose weights were kept."""
        return self.history[self.best_epoch - 1]


def _leak(config: RunConfig, prepared: PreparedData) -> MeasuredLeak | None:
    """Measure how much too good the scores are because windows of one group are on both sides; None by group."""
    if config.data.split != "window_leaking_groups":
        return None
    from edge_seq.pipeline.leak import leak_text

    leak, text = leak_text(prepared.dataset, seed=config.data.split_seed, minimum_share=prepared.minimum_share)
    return MeasuredLeak(leak=leak, leak_text=text)


def _holds_results(run: RunFolder) -> bool:
    """True if at least one epoch was trained in the run."""
    return run.float_model.is_file() or (run.checkpoint_dir.is_dir() and any(run.checkpoint_dir.iterdir()))


def train_run(
    path: Path,
    config: RunConfig,
    *,
    prepared: PreparedData | None = None,
    data_progress: Callable[[int, int], None] | None = None,
    epoch_progress: Callable[[EpochRecord], None] | None = None,
) -> TrainingSummary:
    """Train a model and write all that later steps need to the run folder. An interrupted training is resumed.

    Args:
        path: Folder of the run.
        config: Configuration of the run.
        prepared: Data that were prepared with the same configuration; None prepares them.
        data_progress: Called with drives done and drives in all while data are simulated.
        epoch_progress: Called with the record of each epoch.

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


def _train(
    run: RunFolder,
    config: RunConfig,
    prepared: PreparedData | None,
    data_progress: Callable[[int, int], None] | None,
    epoch_progress: Callable[[EpochRecord], None] | None,
) -> TrainingSummary:
    """Train in a folder that is held."""
    if prepared is None:
        prepared = prepare(config, progress=data_progress, store=run.store)
    save_data(run, config, prepared)

    dataset = prepared.dataset
    leak = _leak(config, prepared)
    trained = train_model(
        prepared,
        config.training,
        name=config.name,
        at_window_end=config.at_window_end,
        checkpoint_dir=run.checkpoint_dir,
        progress=epoch_progress,
    )
    result = trained.result
    write_atomically(run.torch_weights, safetensors.numpy.save(dict(trained.weights)))
    save_model(trained.model, run.float_model)
    sides = {side: getattr(prepared, side) for side in SIDES}
    summary = TrainingSummary(
        dataset=dataset.name,
        reading=tuple(dataset.notes),
        note=split_note(config, {} if leak is None else leak.to_dict()),
        leak=leak,
        windows={side: 0 if windows is None else len(windows.labels) for side, windows in sides.items()},
        groups={side: 0 if windows is None else len(set(windows.groups.tolist())) for side, windows in sides.items()},
        best_epoch=result.best_epoch,
        optimiser_steps=steps_of(len(prepared.train.labels), config),
        temperature=trained.temperature,
        training_accuracy=training_accuracy(trained.model, prepared.train),
        history=result.history,
        seed=result.seed,
        seconds=result.seconds,
        versions=dict(result.versions),
    )
    save_json(run.training, summary)
    return summary
