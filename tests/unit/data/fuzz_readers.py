"""A valid file of each reader, for the fuzzers of :mod:`tests.fuzz`, and the ways to read it."""

from __future__ import annotations

import gzip
import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge_seq.data.guess import guess_source
from edge_seq.data.readers import read_signals
from edge_seq.data.source import DataSource
from tests.unit.data.data_builders import source_fields

ROWS = np.array([[k / 10, np.sin(k), np.cos(k)] for k in range(60)])
WAYS = 4  # to read a file
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # faster than a disk


@dataclass(frozen=True)
class Sample:
    """A valid file of a reader.

    Attributes:
        name: name of the file.
        content: what is changed.
        pack: makes the file of the content.
        beside: other files that belong to it, by their path from its folder.
        fields: fields of a data source that reads it, besides ``path`` and ``format``.
    """

    name: str
    content: bytes
    pack: Callable[[bytes], bytes] = bytes
    beside: Mapping[str, bytes] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=lambda: {"label_from": "file_name"})


def _text(header: str = "t,ax,ay,label") -> bytes:
    return (f"{header}\n" + "".join(f"{t:.1f},{x:.4f},{y:.4f},walk\n" for t, x, y in ROWS)).encode()


def _saved(save: Callable[[io.BytesIO], object]) -> bytes:
    out = io.BytesIO()
    save(out)
    return out.getvalue()


def _zip(**members: bytes) -> bytes:
    def save(out: io.BytesIO) -> None:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name.replace("__", "."), content)

    return _saved(save)


def _npy(array: np.ndarray[Any, Any]) -> bytes:
    return _saved(lambda out: np.save(out, array))


def _parquet() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pa_parquet

    table = pa.table({**dict(zip(("t", "ax", "ay"), ROWS.T, strict=True)), "label": ["walk"] * len(ROWS)})
    return _saved(lambda out: pa_parquet.write_table(table, out))


def _acquisition(dump: Callable[[object], bytes]) -> bytes:
    sensors = [{"name": name, "units": "m/s2"} for name in ("ax", "ay")]
    payload = {"interval_ms": 100, "sensors": sensors, "values": ROWS[:, 1:].round(4).tolist()}
    return dump({"signature": "00", "payload": {**payload, "device_name": "d"}})


def _cbor() -> bytes:
    import cbor2

    return _acquisition(cbor2.dumps)


def _mat(*, compressed: bool) -> bytes:
    import scipy.io

    arrays = {"t": ROWS[:, 0], "acc": ROWS[:, 1:]}
    return _saved(lambda out: scipy.io.savemat(out, arrays, do_compression=compressed))


def _hdf5(windows: np.ndarray[Any, Any], classes: np.ndarray[Any, Any]) -> bytes:
    import h5py

    def save(out: io.BytesIO) -> None:
        with h5py.File(out, "w") as file:
            file["X"], file["y"] = windows, classes

    return _saved(save)


WINDOWS, CLASSES = ROWS[:, 1:].reshape(6, 10, 2), np.arange(6) % 2
_OF_WINDOWS = {"label_column": "y", "column_names": ["ax", "ay"]}
_OF_TABLE = {"label_column": "label", "time_column": "t"}
_OF_TIMES = {"label_column": "label"}
_CHANNELS = [{**one, "name": f"total_acc_{one['name'][1]}"} for one in source_fields()["channels"]]
_OF_VECTORS = {
    **{"label_from": "file_name", "time_column": "t"},
    "channels": [{**one, "name": f"acc.{number}"} for number, one in enumerate(source_fields()["channels"], start=1)],
}
_SIGNALS = "\n".join(" ".join(f"{value:.4e}" for value in row) for row in WINDOWS[:, :, 0]).encode() + b"\n"
# A reader without a sample here fails the tests, so a new reader is fuzzed as the others are.
SAMPLES: dict[str, Callable[[], tuple[Sample, ...]]] = {
    "csv": lambda: (
        Sample("walk.csv", _text(), fields=_OF_TABLE),
        Sample("walk.txt", _text("t;ax;ay;label").replace(b",", b";"), fields=_OF_TABLE),
        Sample("walk.csv.gz", _text(), gzip.compress, fields=_OF_TABLE),
        Sample("walk.csv.zip", _text(), lambda content: _zip(walk__csv=content), fields=_OF_TABLE),
        Sample("walk.dat", _text().replace(b",", b"\t").decode().encode("utf-16"), fields=_OF_TABLE),
    ),
    "parquet": lambda: (Sample("walk.parquet", _parquet(), fields=_OF_TABLE),),
    "edge_impulse_json": lambda: (Sample("walk.json", _acquisition(lambda one: json.dumps(one).encode())),),
    "edge_impulse_cbor": lambda: (Sample("walk.cbor", _cbor()),),
    "edge_impulse_csv": lambda: (Sample("walk.csv", _text("timestamp,ax,ay,label"), fields=_OF_TIMES),),
    "phone_csv": lambda: (Sample("walk.csv", _text("seconds_elapsed,ax,ay,label"), fields=_OF_TIMES),),
    "npz": lambda: (
        Sample("walk.npz", _zip(X__npy=_npy(WINDOWS), y__npy=_npy(CLASSES)), fields=_OF_WINDOWS),
        Sample("walk.npz", _npy(WINDOWS), lambda content: _zip(X__npy=content, y__npy=_npy(CLASSES)),
               fields=_OF_WINDOWS),
        Sample("walk.npz", _npy(CLASSES), lambda content: _zip(X__npy=_npy(WINDOWS), y__npy=content),
               fields=_OF_WINDOWS),
    ),
    "npy": lambda: (
        Sample("walk.npy", _npy(ROWS[:, 1:]), fields={"label_from": "file_name", "column_names": ["ax", "ay"]}),
        Sample("X.npy", _npy(WINDOWS), beside={"y.npy": _npy(CLASSES)}, fields=_OF_WINDOWS),
    ),
    "mat": lambda: (
        Sample("walk.mat", _mat(compressed=False), fields=_OF_VECTORS),
        Sample("walk.mat", _mat(compressed=True), fields=_OF_VECTORS),
        Sample("walk.mat", _hdf5(WINDOWS.T, CLASSES[np.newaxis]), fields=_OF_WINDOWS),
    ),
    "hdf5": lambda: (Sample("walk.h5", _hdf5(WINDOWS, CLASSES), fields=_OF_WINDOWS),),
    "channel_windows": lambda: (
        Sample(
            "Inertial Signals/total_acc_x_train.txt", _SIGNALS,
            beside={"total_acc_y_train.txt": _SIGNALS, "../y_train.txt": b"1\n2\n" * 3,
            "../subject_train.txt": b"1\n" * 6,
                    "../activity_labels.txt": b"1 WALK\n2 RUN\n"},
            fields={"label_column": "y", "channels": _CHANNELS},
        ),
    ),
}  # fmt: skip


def read_sample(sample: Sample, content: bytes, reader: str, way: int) -> None:
    """Read a sample with another content: guess what it is, or say it in a data source.

    Args:
        sample: a valid file.
        content: its content before it is packed.
        reader: name of the reader.
        way: every fourth guesses, every fourth reads in parts; the others read at once, which is faster.
    """
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / "data" / sample.name
        path.parent.mkdir(parents=True)
        path.write_bytes(sample.pack(content))
        for name, other in sample.beside.items():
            (path.parent / name).resolve().write_bytes(other)
        if way % WAYS == 0:
            guess = guess_source(Path(folder) / "data" if reader == "channel_windows" else path)
            list(read_signals(guess.source, base=guess.base))
            return
        in_parts = way % WAYS == 1
        parts = {"recording_column": "label"} if in_parts and "label" in sample.fields.values() else {}
        fields = source_fields(**{"path": path.name, "format": reader, **sample.fields, **parts})
        list(read_signals(DataSource.model_validate(fields), base=path.parent, in_parts=in_parts))
