"""A run is a folder. What lies where in it, and how its tables are read and written."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from edge_seq.data.recording import SIDES, Windows
from edge_seq.data.stored import RowFile, StoredWindows, as_array, blocks
from edge_seq.ir.model import FloatModel, IntModel, model_hash
from edge_seq.ir.serialize import load_float_model, load_int_model
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.support.files import json_text, write_atomically

if TYPE_CHECKING:
    from edge_seq.pipeline.config import RunConfig  # needs pydantic, which those that only look at a run do without

HASHES = "hashes.json"
STORE = "recordings"  # folder of samples, where windows are read as they are needed


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """Resolved configuration."""
        return self.path / "config.toml"

    @property
    def checkpoint_dir(self) -> Path:
        """State of an interrupted training."""
        return self.path / "checkpoint"

    @property
    def torch_weights(self) -> Path:
        """Weights under torch's names, for the first rung of the ladder."""
        return self.path / "weights.torch.safetensors"

    @property
    def float_model(self) -> Path:
        """The float model."""
        return self.path / "model.float.safetensors"

    @property
    def int_model(self) -> Path:
        """The integer model."""
        return self.path / "model.int.safetensors"

    @property
    def training(self) -> Path:
        """History, versions and seed of the training."""
        return self.path / "training.json"

    @property
    def quantization(self) -> Path:
        """Calibration, saturation, quantisation cost."""
        return self.path / "quantization.json"

    @property
    def decision(self) -> Path:
        """The decision stage and how it was chosen."""
        return self.path / "decision.json"

    @property
    def calibration_streams(self) -> Path:
        """Raw counts of the calibration streams."""
        return self.path / "data" / "calibration.safetensors"

    @property
    def store(self) -> Path:
        """Samples of all recordings, where windows are read as they are needed."""
        return self.path / "data" / STORE

    @property
    def data_hashes(self) -> Path:
        """Hashes of all that is in ``data``, and of the contract."""
        return self.path / "data" / HASHES

    @property
    def onnx_dir(self) -> Path:
        """Exported ONNX files."""
        return self.path / "exports" / "onnx"

    @property
    def c_dir(self) -> Path:
        """Exported C."""
        return self.path / "exports" / "c"

    @property
    def reports(self) -> Path:
        """Reports of verify and others."""
        return self.path / "reports"

    def windows(self, side: str) -> Path:
        """Windows of a side of the split.

        Raises:
            ConfigError: where there is no such side.
        """
        if side not in SIDES:
            raise ConfigError(f"run {self.path.name}: side {side!r} is unknown; give one of {list(SIDES)}")
        return self.path / "data" / f"{side}.safetensors"

    def metrics(self, side: str) -> Path:
        """Metrics on a side of the split."""
        return self.path / f"metrics.{side}.json"

    def stream_metrics(self, side: str) -> Path:
        """Scores on whole recordings of a side of the split."""
        return self.path / f"stream.{side}.json"

    def stream_timelines(self, side: str) -> Path:
        """Truth and decisions at each sample of these recordings."""
        return self.reports / f"stream.{side}.safetensors"

    def command(self, name: str) -> str:
        """The command that does a step of this run again, to be pasted into a shell."""
        path = shlex.quote(str(self.path))
        if name == "train":
            return f"edge-seq train {shlex.quote(str(self.config))} --out {path}"
        return f"edge-seq {name} {path}"

    def onnx(self, kind: str, form: str) -> Path:
        """One exported ONNX file: kind ``float`` or ``int``, form ``window`` or ``step``."""
        return self.onnx_dir / f"{kind}_{form}.onnx"


def check_can_write(path: Path) -> None:
    """See that a folder exists or can be made, before long work whose result goes there.

    Raises:
        ConfigError: naming what is in the way.
    """
    existing = next(part for part in (path, *path.absolute().parents) if part.exists())
    if not existing.is_dir():
        raise ConfigError(f"cannot write to {path}: {existing} is a file; give another path")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(f"cannot write to {path}: no right to write in {existing}; give another path, or its rights")


def open_run(path: Path) -> RunFolder:
    """A folder that ``edge-seq train`` made.

    Raises:
        ConfigError: where it is not one.
    """
    run = RunFolder(path)
    if not run.config.is_file():
        raise ConfigError(f"{path} is not the folder of a run: it holds no config.toml. Make one with: edge-seq train")
    return run


def load_run_config(run: RunFolder) -> RunConfig:
    """The resolved configuration of a run."""
    from edge_seq.pipeline.config import read_config

    return read_config(run.config)


def save_run_config(run: RunFolder, config: RunConfig) -> None:
    """Write the resolved configuration."""
    from edge_seq.pipeline.config import dump_config

    write_atomically(run.config, dump_config(config))


def load_run_float(run: RunFolder) -> FloatModel:
    """The float model of a run.

    Raises:
        ConfigError: where training did not finish.
    """
    if not run.float_model.is_file():
        raise ConfigError(f"run {run.path.name} holds no trained model; run {run.command('train')}")
    return load_float_model(run.float_model)


def load_run_int(run: RunFolder) -> IntModel:
    """The integer model of a run.

    Raises:
        ConfigError: where it was not quantized yet, or the float model is another since.
    """
    if not run.int_model.is_file():
        raise ConfigError(f"run {run.path.name} holds no integer model; run {run.command('quantize')}")
    made_from = load_json(run.quantization).get("float_model_hash") if run.quantization.is_file() else None
    found = model_hash(load_run_float(run))
    if made_from != found:
        raise ConfigError(
            f"run {run.path.name}: the integer model was made from float model {str(made_from)[:16]}, the run now "
            f"holds {found[:16]}; run {run.command('quantize')} again"
        )
    return load_int_model(run.int_model)


def save_json(path: Path, data: dict[str, Any]) -> None:
    """Write a table as JSON, whole or not at all."""
    write_atomically(path, json_text(data) + "\n")


def load_json(path: Path) -> dict[str, Any]:
    """Read a table.

    Raises:
        DataError: where the file is damaged.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"reading {path.name}: not a table in JSON ({error}); make it again") from error
    if not isinstance(table, dict):
        raise DataError(f"reading {path.name}: a {type(table).__name__}, expected a table in JSON; make it again")
    return table


@contextmanager
def reading(name: str) -> Iterator[None]:
    """What a table lacks, or holds in another form than its command writes, becomes one message.

    Raises:
        DataError: naming the table.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise DataError(
            f"reading {name}: not as its command writes it ({type(error).__name__}: {error}); make it again"
        ) from error


def save_windows(path: Path, windows: Windows) -> None:
    """Write windows as safetensors; groups as indices into a list of names, windows on disk as where they begin."""
    names, index = np.unique(windows.groups, return_inverse=True)
    tensors: dict[str, NDArray[Any]] = {"labels": windows.labels, "group": index.astype(np.int32)}
    metadata = {"groups": json.dumps(names.tolist())}
    if isinstance(windows.counts, StoredWindows):
        stored = windows.counts
        tensors["starts"] = stored.starts
        metadata["stored"] = json.dumps([stored.file.path.name, *stored.shape[1:]])
    else:
        tensors["counts"] = np.ascontiguousarray(windows.counts)
    write_atomically(path, safetensors.numpy.save(tensors, metadata=metadata))


def load_windows(path: Path, *, num_classes: int | None = None) -> Windows:
    """Read windows.

    Args:
        path: as :meth:`RunFolder.windows` gives it.
        num_classes: K, where labels are to be checked against it.

    Raises:
        DataError: where there are none, the file is damaged, or they are not those that the run was trained with.
    """
    if not path.is_file():
        raise DataError(f"reading {path.name}: the run holds no such windows; run edge-seq train again")
    content = path.read_bytes()
    try:
        tensors = safetensors.numpy.load(content)
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + length])["__metadata__"]
        names = np.array(json.loads(metadata["groups"]), dtype=np.str_)
        if "stored" in metadata:
            tensors["counts"] = as_array(_stored_counts(path, tensors["starts"], json.loads(metadata["stored"])))
        _check_tensors(tensors, len(names), num_classes)
        windows = Windows(tensors["counts"], tensors["labels"], names[tensors["group"]])
    except (safetensors.SafetensorError, ValueError, KeyError, IndexError, TypeError) as error:
        raise DataError(
            f"reading {path.name}: damaged ({type(error).__name__}: {error}); run edge-seq train again"
        ) from error
    expected = load_json(path.parent / HASHES).get(path.stem) if (path.parent / HASHES).is_file() else None
    if expected is not None and windows_hash(windows) != expected:
        raise DataError(
            f"reading {path.name}: these are not the windows that the run was trained with (SHA-256 "
            f"{windows_hash(windows)[:16]}..., {HASHES} says {str(expected)[:16]}...); run edge-seq train again"
        )
    return windows


def _stored_counts(path: Path, starts: NDArray[np.int64], stored: list[Any]) -> StoredWindows:
    """Windows on disk, beside the file ``path`` that says where they begin.

    Raises:
        ValueError: the file of samples leaves the run, or a window lies outside it.
    """
    name, length, channels = stored
    if not isinstance(name, str) or Path(name).name != name:
        raise ValueError(f"samples in {name!r}; expected a file of the run")
    file = RowFile(path.parent / STORE / name, (int(channels),))
    if starts.dtype != np.int64 or starts.ndim != 1 or starts.min() < 0 or starts.max() + length > file.num_rows:
        raise ValueError(f"windows begin at {starts.dtype} {list(starts.shape)}, outside the {file.num_rows} samples")
    return StoredWindows(file, starts, int(length))


def _check_tensors(tensors: dict[str, NDArray[Any]], num_groups: int, num_classes: int | None) -> None:
    """See that tensors are windows: counts int16 [B, T, C], labels int16 [B], group int32 [B]; B, T and C at least 1.

    Raises:
        ValueError: naming what was found and what was expected.
    """
    counts, labels, group = tensors["counts"], tensors["labels"], tensors["group"]
    for name, array, dtype, dimensions in (
        ("counts", counts, np.int16, 3),
        ("labels", labels, np.int16, 1),
        ("group", group, np.int32, 1),
    ):
        if array.dtype != dtype or array.ndim != dimensions or 0 in array.shape or len(array) != len(counts):
            raise ValueError(
                f"{name} is {array.dtype} {list(array.shape)}; expected {np.dtype(dtype).name} with {dimensions} "
                f"dimensions, {len(counts)} windows, none empty"
            )
    for name, array, limit in (("labels", labels, num_classes), ("group", group, num_groups)):
        if array.min() < 0 or (limit is not None and array.max() >= limit):
            most = "" if limit is None else f" to {limit - 1}"
            raise ValueError(f"{name} run from {array.min()} to {array.max()}; expected 0{most}")


def counts_hash(counts: np.ndarray[Any, np.dtype[np.int16]]) -> str:
    """SHA-256 of counts, little-endian, with their shape."""
    digest = hashlib.sha256(repr(counts.shape).encode())
    for block in blocks(counts):
        digest.update(block.astype("<i2", copy=False).tobytes())
    return digest.hexdigest()


def windows_hash(windows: Windows) -> str:
    """SHA-256 of counts, labels and groups."""
    digest = hashlib.sha256(counts_hash(windows.counts).encode())
    digest.update(np.ascontiguousarray(windows.labels, dtype="<i2").tobytes())
    digest.update(json.dumps(windows.groups.tolist()).encode())
    return digest.hexdigest()
