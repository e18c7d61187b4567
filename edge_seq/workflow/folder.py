"""The folder of a run: the paths in it, and reading of its configuration and models."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.recording import SIDES, Windows, join_windows
from edge_seq.data.window_file import HASHES, STORE, load_windows
from edge_seq.ir.model import FloatModel, IntModel, model_hash
from edge_seq.ir.serialize import load_float_model, load_int_model
from edge_seq.pipeline.export_folder import ExportFolder
from edge_seq.scores.evaluation import SplitNote
from edge_seq.scores.temperature import Temperature
from edge_seq.support.errors import ConfigError, ModelError
from edge_seq.support.files import check_can_write, write_atomically
from edge_seq.support.json_tables import load_json, load_result
from edge_seq.support.lock import holding
from edge_seq.support.opening import load_tensors

if TYPE_CHECKING:  # all need pydantic, which is not needed to look at a run
    from edge_seq.data.source import DataSource
    from edge_seq.pipeline.config import RunConfig
    from edge_seq.pipeline.learning.record import TrainingSummary


CONTRACT = "contract"  # instead of a data source: read by the names of the model's channels

_Rest = ParamSpec("_Rest")
_Given = TypeVar("_Given")


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run.

    Attributes:
        path: Path of the run folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """Path of the complete configuration, config.toml."""
        return self.path / "config.toml"

    @property
    def checkpoint_dir(self) -> Path:
        """Folder of the state of an interrupted training."""
        return self.path / "checkpoint"

    @property
    def torch_weights(self) -> Path:
        """Path of the weights under torch's names, for the first rung of the ladder."""
        return self.path / "weights.torch.safetensors"

    @property
    def imported(self) -> Path:
        """Path of the table of an imported model: where it came from and what it was checked against."""
        return self.path / "import.json"

    @property
    def float_model(self) -> Path:
        """Path of the float model."""
        return self.path / "model.float.safetensors"

    @property
    def validated_model(self) -> Path:
        """Path of the float model of the training beside the validation windows, if another one followed it."""
        return self.path / "model.validated.safetensors"

    @property
    def int_model(self) -> Path:
        """Path of the integer model."""
        return self.path / "model.int.safetensors"

    @property
    def training(self) -> Path:
        """Path of the table with history, versions and seed of the training."""
        return self.path / "training.json"

    @property
    def quantization(self) -> Path:
        """Path of the table with calibration, saturation and quantisation cost."""
        return self.path / "quantization.json"

    @property
    def decision(self) -> Path:
        """Path of the table with the decision stage and how it was chosen."""
        return self.path / "decision.json"

    @property
    def calibration_streams(self) -> Path:
        """Path of the raw counts of the calibration streams."""
        return self.path / "data" / "calibration.safetensors"

    @property
    def data_source(self) -> Path:
        """Path of a copy of the data source (TOML); simulated data have none."""
        return self.path / "data" / "source.toml"

    @property
    def store(self) -> Path:
        """Path of the samples of all recordings, for ``data.storage = "disk"``."""
        return self.path / "data" / STORE

    @property
    def data_hashes(self) -> Path:
        """Path of the hashes of the files in ``data`` and of the contract."""
        return self.path / "data" / HASHES

    @property
    def other_classes(self) -> Path:
        """Path of the classes of the test windows, of a model of one class."""
        return self.path / "data" / "classes.json"

    @property
    def exports(self) -> ExportFolder:
        """Folder of the exported ONNX and C."""
        return ExportFolder(self.path / "exports")

    @property
    def reports(self) -> Path:
        """Folder of the reports."""
        return self.path / "reports"

    def windows(self, side: str) -> Path:
        """Path of the windows of a side of the split.

        Raises:
            ConfigError: there is no such side.
        """
        if side not in SIDES:
            raise ConfigError(f"run {self.path.name}: side {side!r} is unknown; give one of {list(SIDES)}")
        return self.path / "data" / f"{side}.safetensors"

    def metrics(self, side: str) -> Path:
        """Path of the scores on the windows of a side of the split."""
        return self.path / f"metrics.{side}.json"

    def stream_metrics(self, side: str) -> Path:
        """Path of the scores on whole recordings of a side of the split."""
        return self.path / f"stream.{side}.json"

    def stream_timelines(self, side: str) -> Path:
        """Path of the true labels and decisions at each sample of these recordings."""
        return self.reports / f"stream.{side}.safetensors"

    def command(self, name: str) -> str:
        """Command that repeats a step of this run, quoted for a shell.

        >>> RunFolder(Path("runs/car")).command("quantize")
        'edge-seq quantize runs/car'
        """
        path = shlex.quote(str(self.path))
        if name == "train":
            return f"edge-seq train {shlex.quote(str(self.config))} --out {path}"
        return f"edge-seq {name} {path}"


def open_run(path: Path) -> RunFolder:
    """Open a folder that ``edge-seq train`` made.

    Raises:
        ConfigError: the folder is not one, or its configuration was emptied.
    """
    run = RunFolder(path)
    if not run.config.is_file():
        raise ConfigError(
            f"{path} is not the folder of a run: it has no config.toml. Make a run with: "
            "edge-seq train, or edge-seq import"
        )
    if run.config.stat().st_size == 0:
        raise ConfigError(f"run {path.name}: config.toml is empty; it was emptied or cut. Copy it back, or train again")
    return run


def check_can_hold_runs(path: Path, *, doing: str) -> None:
    """See that a folder of several runs can be written to, and that it is not itself a run.

    Raises:
        ConfigError: the folder is a run, or cannot be written to.
    """
    if RunFolder(path).config.is_file():
        raise ConfigError(f"{doing}: {path} is the folder of a run; give --out a folder of its own")
    check_can_write(path)


@contextmanager
def writing(run: RunFolder) -> Iterator[None]:
    """Hold the run folder while its files are written, so that no two processes write to it.

    Raises:
        ConfigError: another process writes to the folder.
    """
    with holding(run.path, what=f"run {run.path.name}"):
        yield


def writes_to_run(
    function: Callable[Concatenate[RunFolder, _Rest], _Given],
) -> Callable[Concatenate[RunFolder, _Rest], _Given]:
    """Let a function that writes to a run folder hold it meanwhile; see :func:`writing`."""

    def alone(run: RunFolder, /, *rest: _Rest.args, **named: _Rest.kwargs) -> _Given:
        with writing(run):
            return function(run, *rest, **named)

    update_wrapper(alone, function)
    return alone


def load_run_config(run: RunFolder) -> RunConfig:
    """Load the complete configuration of a run.

    Raises:
        ConfigError: the configuration cannot be read.
    """
    from edge_seq.pipeline.config import read_config

    return read_config(run.config)


def require_recordings(run: RunFolder, *, doing: str) -> None:
    """Check that a run has windows.

    Raises:
        ConfigError: it was imported with a contract alone.
    """
    if run.imported.is_file() and not run.calibration_streams.is_file():
        raise ConfigError(
            f"{doing} {run.path.name}: it was imported with a contract alone, so it has no recordings; import the "
            "network again with --data SOURCE.toml"
        )


def save_run_config(run: RunFolder, config: RunConfig) -> None:
    """Write the complete configuration of a run."""
    from edge_seq.pipeline.config import dump_config

    write_atomically(run.config, dump_config(config))


def load_run_float(run: RunFolder) -> FloatModel:
    """Load the float model of a run.

    Raises:
        ConfigError: the training did not finish.
        ModelError: the file is damaged.
    """
    if not run.float_model.is_file():
        raise ConfigError(f"run {run.path.name} holds no trained model; run {run.command('train')}")
    return load_float_model(run.float_model)


def load_validated(run: RunFolder) -> FloatModel | None:
    """Load the float model of a run that has not learnt the validation windows, if its float model has; else None.

    Raises:
        ModelError: the file is damaged.
    """
    return load_float_model(run.validated_model) if run.validated_model.is_file() else None


def load_learnt_windows(run: RunFolder, *, num_classes: int | None = None) -> Windows:
    """Load the windows that the model of a run has learnt: those of the training part, and of the validation part if
    the network was trained again on both.

    Args:
        run: Folder of the run.
        num_classes: K, see :func:`edge_seq.data.window_file.load_windows`.

    Raises:
        DataError: a file is damaged, or missing.
    """
    sides = ("train", "validation") if run.validated_model.is_file() else ("train",)
    return join_windows([load_windows(run.windows(side), num_classes=num_classes) for side in sides])


def load_torch_weights(run: RunFolder) -> dict[str, NDArray[np.float32]] | None:
    """Load the weights of a run under torch's names; None if there are none.

    Raises:
        ModelError: the file is damaged.
    """
    if not run.torch_weights.is_file():
        return None
    try:
        return load_tensors(run.torch_weights)[0]
    except (OSError, ValueError) as error:
        raise ModelError(f"reading {run.torch_weights.name}: {error}. Train the run again") from error


def load_run_int(run: RunFolder) -> IntModel:
    """Load the integer model of a run.

    Raises:
        ConfigError: the run was not quantized yet, or its float model changed since.
        ModelError: the file is damaged.
    """
    if not run.int_model.is_file():
        raise ConfigError(f"run {run.path.name} holds no integer model; run {run.command('quantize')}")
    made_from = load_json(run.quantization).get("float_model_hash") if run.quantization.is_file() else None
    found = model_hash(load_run_float(run))
    if made_from != found:
        raise ConfigError(
            f"run {run.path.name}: the integer model was made from float model {str(made_from)[:16]}, but the run now "
            f"holds {found[:16]}; run {run.command('quantize')} again"
        )
    return load_int_model(run.int_model)


def load_run_training(run: RunFolder) -> TrainingSummary | None:
    """Load the record of a run's training; None if the run holds none.

    Raises:
        DataError: training.json is damaged.
    """
    from edge_seq.pipeline.learning.record import TrainingSummary

    return load_result(run.training, TrainingSummary) if run.training.is_file() else None


@dataclass(frozen=True)
class DataFile:
    """A data source that says how other recordings are written.

    Attributes:
        source: the data source.
        file: its TOML file.
    """

    source: DataSource
    file: Path


def data_file_for(model: Path, data: str | None) -> DataFile | None:
    """Choose the data source with which a model reads other recordings.

    Args:
        model: run folder or file of a model.
        data: path of a data source, or ``contract`` for none; None takes the run's own.

    Returns:
        The data source; None to read recordings by the names of the model's channels, in the units of its contract.

    Raises:
        ConfigError, ContractError: the file is not a data source.
    """
    if data == CONTRACT:
        return None
    own = RunFolder(model).data_source
    if data is None and not own.is_file():
        return None
    from edge_seq.data.source import load_source

    file = own if data is None else Path(data)
    return DataFile(load_source(file), file)


IMPORTED = "the model was imported as it is; no temperature was fitted"
NO_RECORD = "the run holds no record of its training, so its temperature is not known; train it again"


def temperature_of_run(run: RunFolder) -> Temperature:
    """Load the temperature that the training folded into the float model.

    Raises:
        DataError: training.json is damaged.
    """
    training = load_run_training(run)
    if training is None:
        return Temperature(note=IMPORTED if run.imported.is_file() else NO_RECORD)
    return training.temperature


def note_of_run(run: RunFolder, side: str = "test") -> SplitNote:
    """Make the note for the scores of a run on a side of the split: the kind of split, with a warning where it makes
    scores less certain, or where the model has learnt the validation windows.

    Raises:
        ConfigError: the configuration cannot be read.
        DataError: training.json is damaged.
    """
    from edge_seq.pipeline.prepare import learnt_too, split_note

    training = load_run_training(run)
    note = split_note(load_run_config(run)) if training is None else training.note
    return learnt_too(note, side) if run.validated_model.is_file() else note
