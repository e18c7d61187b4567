"""Everything that reads bytes of others, by name: the one list of what is fuzzed.

A target takes any bytes. It returns whether they were read; what it raises is a finding. A reader of recordings comes
from the list of samples that its tests need anyway, a file of a run folder from the corpus that
``python -m tests.fuzz.corpus`` writes, and `test_targets.py` compares both with what the code can read.
"""

from __future__ import annotations

import io
import json
import tempfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from edge_seq.backends.adapt import Learned, restore_learned, save_learned
from edge_seq.data.readers import READERS
from edge_seq.support.errors import EdgeSeqError
from tests import zoo
from tests.fuzz.corpus import RUN
from tests.fuzz.python_decoder import one_input
from tests.golden.tiny_model import tiny_model
from tests.unit.data.fuzz_readers import SAMPLES, WAYS, read_sample


@dataclass(frozen=True)
class Target:
    """Something that reads bytes of others.

    Attributes:
        name: name of the target.
        seeds: valid inputs.
        read: reads an input; an error of this project refuses it.
    """

    name: str
    seeds: Callable[[], tuple[bytes, ...]]
    read: Callable[[bytes], object]

    def take(self, content: bytes) -> bool:
        """Read an input. True if it was read, False if it was refused.

        Raises:
            AssertionError: memory was asked for before a size was checked.
            Exception: any other error is a finding, too.
        """
        try:
            self.read(content)
        except EdgeSeqError as error:
            cause: BaseException | None = error
            while cause is not None:
                if isinstance(cause, MemoryError):
                    raise AssertionError(f"memory was asked for before the size was checked: {error}") from error
                cause = cause.__cause__
            return False
        return True


def _of_reader(name: str) -> Target:
    """The first byte of an input chooses the sample, and the way to read it; the rest is the file. The seeds have each
    way of :func:`read_sample`: one guesses, one reads in parts, the others at once."""
    samples = cache(SAMPLES[name])

    def seeds() -> tuple[bytes, ...]:
        ways = [(way, index) for way in range(WAYS) for index in range(len(samples()))]
        return tuple(bytes([len(samples()) * way + index]) + samples()[index].content for way, index in ways)

    def read(content: bytes) -> None:
        way, index = divmod(content[0] if content else 0, len(samples()))
        read_sample(samples()[index], content[1:], name, way)

    return Target(f"reader {name}", seeds, read)


def _of_file(name: str, read: Callable[[Path], object], *, beside: tuple[str, ...] = ()) -> Target:
    """A file of a run folder. Files ``beside`` it are whole."""

    def read_in_run(content: bytes) -> None:
        with tempfile.TemporaryDirectory(dir=_MEMORY) as folder:
            for one in (name, *beside):
                path = Path(folder, "run", one)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content if one == name else (RUN / one).read_bytes())
            read(Path(folder, "run"))

    def seeds() -> tuple[bytes, ...]:
        whole = (RUN / name).read_bytes()
        short = shortened(whole) if name.endswith(".json") else whole
        return (whole,) if short == whole or not target.take(short) else (short, whole)

    target = Target(f"run {name}", seeds, read_in_run)
    return target


def shortened(content: bytes, items: int = 2) -> bytes:
    """A table in JSON, with so many items of each list at most: the same places can go wrong, and it is quicker."""

    def cut(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: cut(one) for key, one in value.items()}
        return [cut(one) for one in value[:items]] if isinstance(value, list) else value

    return json.dumps(cut(json.loads(content)), separators=(",", ":")).encode()


_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # files of others, without a disk


def _of_run() -> list[Target]:
    from edge_seq.compare.text import COMPARISON
    from edge_seq.data.source import load_source
    from edge_seq.data.window_file import load_windows
    from edge_seq.ir.serialize import load_float_model, load_int_model
    from edge_seq.report.timelines import read_timelines
    from edge_seq.support.json_tables import load_json
    from edge_seq.workflow import folder, report
    from edge_seq.workflow.evaluate import load_other_classes
    from edge_seq.workflow.folder import RunFolder
    from edge_seq.workflow.quantize import load_streams

    def tables(path: Path) -> object:
        return report._tables(RunFolder(path))

    def timelines(path: Path) -> object:
        contract = load_int_model(RUN / "model.int.safetensors").contract
        return read_timelines(RunFolder(path).stream_timelines("test"), contract, command="x")

    json_tables = [path.relative_to(RUN).as_posix() for path in sorted(RUN.rglob("*.json"))]
    special = {"data/hashes.json", "data/classes.json", COMPARISON}
    files: Mapping[str, Callable[[Path], object]] = {
        "config.toml": lambda path: folder.load_run_config(RunFolder(path)),
        "data/source.toml": lambda path: load_source(path / "data" / "source.toml"),
        "data/hashes.json": lambda path: load_json(path / "data" / "hashes.json"),
        "data/classes.json": lambda path: load_other_classes(RunFolder(path), "normal_road"),
        "data/calibration.safetensors": lambda path: load_streams(RunFolder(path)),
        "data/test.safetensors": lambda path: load_windows(path / "data" / "test.safetensors", num_classes=6),
        "model.float.safetensors": lambda path: load_float_model(path / "model.float.safetensors"),
        "model.validated.safetensors": lambda path: folder.load_validated(RunFolder(path)),
        "model.int.safetensors": lambda path: load_int_model(path / "model.int.safetensors"),
        "weights.torch.safetensors": lambda path: folder.load_torch_weights(RunFolder(path)),
        "checkpoint/checkpoint.safetensors": _checkpoint,
        "reports/stream.test.safetensors": timelines,
        COMPARISON: lambda path: report.gather_comparison(path / COMPARISON),
        **{name: tables for name in json_tables if name not in special},
    }
    return [_of_file(name, read) for name, read in files.items()]


def _checkpoint(path: Path) -> object:
    from edge_seq.support.opening import load_tensors
    from edge_seq.training.checkpoint import load_checkpoint
    from edge_seq.workflow.folder import RunFolder, load_run_config

    name = "checkpoint/checkpoint.safetensors"
    config, whole = load_run_config(RunFolder(RUN)).training, load_tensors(RUN / name)[1]
    return load_checkpoint(path / name, config=config, fingerprint=whole["fingerprint"])


def _in_file(suffix: str, read: Callable[[Path], object]) -> Callable[[bytes], None]:
    def read_bytes(content: bytes) -> None:
        with tempfile.TemporaryDirectory(dir=_MEMORY) as folder:
            path = Path(folder, f"x{suffix}")
            path.write_bytes(content)
            read(path)

    return read_bytes


def _network(path: Path) -> object:
    from edge_seq.frontends.files import WEIGHTS_SUFFIXES, chain_of_file

    layers = ("gru", "last", "head") if path.suffix in WEIGHTS_SUFFIXES else ()
    return chain_of_file(path, time_steps=50, layers=layers)


def networks(suffix: str) -> tuple[bytes, ...]:
    """Networks of a suffix, as their frameworks write them."""
    from tests.unit.frontends import keras_case, onnx_case

    if suffix == ".onnx":
        return tuple(onnx_case.plain(kind).SerializeToString() for kind in ("RNN", "GRU", "LSTM"))
    layers = [keras_case.recurrent("GRU", 2, 3), keras_case.dense(2, 2)]
    if suffix in (".keras", ".h5", ".hdf5"):
        write: Any = keras_case.write_keras if suffix == ".keras" else keras_case.write_h5
        with tempfile.TemporaryDirectory(dir=_MEMORY) as folder:
            return (Path(write(Path(folder, f"x{suffix}"), layers)).read_bytes(),)
    rng = np.random.default_rng(1)
    shapes = {
        **{"gru.weight_ih_l0": (6, 3), "gru.weight_hh_l0": (6, 2), "gru.bias_ih_l0": (6,), "gru.bias_hh_l0": (6,)},
        **{"head.weight": (4, 2), "head.bias": (4,)},
    }
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    if suffix == ".safetensors":
        import safetensors.numpy

        return (safetensors.numpy.save(arrays),)
    import torch

    out = io.BytesIO()
    torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, out)
    return (out.getvalue(),)


def _of_networks() -> list[Target]:
    from edge_seq.frontends.files import KERAS_SUFFIXES, ONNX_SUFFIXES, WEIGHTS_SUFFIXES

    return [
        Target(f"network {suffix}", lambda suffix=suffix: networks(suffix), _in_file(suffix, _network))  # type: ignore[misc]
        for suffix in (*KERAS_SUFFIXES, *ONNX_SUFFIXES, *WEIGHTS_SUFFIXES)
    ]


def _exported() -> Any:
    from edge_seq.backends.onnx.int_export import export_onnx_int

    return export_onnx_int(zoo.quantized_model(zoo.spec("rnn", 2)), form="step")


def _onnx_seeds() -> tuple[bytes, ...]:
    metadata = {one.key: one.value for one in _exported().metadata_props}
    return _exported().SerializeToString(), b"\xff" + json.dumps(metadata).encode()


def _read_onnx(content: bytes) -> None:
    """An exported file; or, after a byte 255, a table of metadata for a file with a right seal."""
    import onnx

    from edge_seq.backends.onnx import metadata, run

    if content[:1] != b"\xff":
        _in_file(".onnx", run.load_onnx)(content)
        return
    try:
        table = json.loads(content[1:])
    except (ValueError, RecursionError):
        return
    if not isinstance(table, dict):
        return
    proto = onnx.ModelProto()
    proto.CopyFrom(_exported_once())
    del proto.metadata_props[:]
    for key, value in table.items():
        if key != metadata.SEAL and isinstance(value, str) and "\0" not in value:
            proto.metadata_props.add(key=key, value=value.encode("utf-8", "replace").decode())
    run.open_onnx(metadata.seal(proto), what="x.onnx")


_exported_once = cache(_exported)


def _wire_seeds() -> tuple[bytes, ...]:
    from edge_seq.device.framing import Frame, encode_body, encode_frame
    from edge_seq.device.messages import Type

    frames = [encode_frame(encode_body(Frame(kind, 7, bytes(range(20))))) for kind in Type]
    return (b"\x05" + b"".join(frames), b"\xff" + frames[0])


def _learned_seeds() -> tuple[bytes, ...]:
    places = np.arange(3 * 5).reshape(3, 5) - 7
    numbers = np.array([0, 1, 2])
    return (save_learned(tiny_model(), Learned(places, numbers, numbers[::-1], 1000 * numbers, 2, 9)),)


def _read_learned(content: bytes) -> None:
    whole = content[:-4] + zlib.crc32(content[:-4]).to_bytes(4, "little")  # else only the checksum would be tried
    restore_learned(tiny_model(), whole, 3)


@cache
def targets() -> tuple[Target, ...]:
    """All targets."""
    return (
        *(_of_reader(reader.name) for reader in READERS),
        *_of_run(),
        *_of_networks(),
        Target("exported ONNX", _onnx_seeds, _read_onnx),
        Target("wire, the host's side", _wire_seeds, one_input),
        Target("what a head has learned", _learned_seeds, _read_learned),
    )
