"""Fuzz the readers of data files: ``python -m tests.unit.data.fuzz_readers EXAMPLES SEED [READER ...]``.

Each example is a valid file of the reader, changed at random, or random bytes. It is guessed and read, and read with a
data source that names the format. Only errors of this project may leave, within 10 s; the process may never take more
than 1 GB. The last line on stdout is a JSON table of each reader; the exit code is 0 if nothing was found.
"""

from __future__ import annotations

import gzip
import io
import json
import logging
import resource
import signal
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from edge_seq.data.guess import guess_source
from edge_seq.data.readers import READERS, read_signals
from edge_seq.data.source import DataSource
from edge_seq.support.errors import EdgeSeqError
from tests.peak_memory import peak_bytes
from tests.unit.data.data_builders import source_fields

LIMIT_S, LIMIT_BYTES = 10, 1 << 30
ADDRESSES = 8 << 30  # larger requests fail at once, and count as too much memory
ROWS = np.array([[k / 10, np.sin(k), np.cos(k)] for k in range(60)])
HUGE = (
    b"9" * 400, b"1e999", b"-1e308", b"99999999999999999999", b"\xff" * 8, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f",
    b"\x00" * 8, b"4294967296", b"[" * 50, b'"', b"\n", b"\r", b",,,,", b"\xef\xbb\xbf", b"\x1f\x8b", b"PK\x03\x04",
    b"nan", b"-inf", b"\x1b[2J", "\u0661\u0662".encode(), b"1970-01-01T00:00:00Z",
)  # fmt: skip


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
        Sample("walk.mat", _mat(compressed=False)),
        Sample("walk.mat", _mat(compressed=True)),
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


@st.composite
def changed(draw: st.DrawFn, content: bytes) -> bytes:
    """A file with some bytes flipped, cut off, spliced, doubled, or replaced by what is huge or strange."""
    out = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at, to = draw(st.integers(0, len(out))), draw(st.integers(0, len(out)))
        size = draw(st.integers(1, 64))
        match draw(st.sampled_from(("flip", "bytes", "truncate", "splice", "double", "remove", "huge"))):
            case "flip" if at < len(out):
                out[at] ^= 1 << draw(st.integers(0, 7))
            case "bytes":
                out[at : at + size] = draw(st.binary(max_size=size))
            case "truncate":
                del out[at:]
            case "splice":
                out[at : at + size] = out[to : to + size]
            case "double":
                out[at:at] = out[to : to + size * draw(st.integers(1, 40))]
            case "remove":
                del out[at : at + size]
            case "huge":
                value = draw(st.sampled_from(HUGE))
                out[at : at + draw(st.sampled_from((0, 1, len(value))))] = value
    return bytes(out)


def read_or_refuse(sample: Sample, content: bytes, reader: str) -> bool:
    """Guess and read, and read with a data source; only errors of this project may leave. True if it was read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data" / sample.name
        path.parent.mkdir(parents=True)
        path.write_bytes(sample.pack(content))
        for name, other in sample.beside.items():
            (path.parent / name).resolve().write_bytes(other)
        folders = reader == "channel_windows"
        done = [
            _tried(lambda: _guessed(Path(folder) / "data" if folders else path)),
            *(_tried(lambda in_parts=in_parts: _stated(sample, path, reader, in_parts)) for in_parts in (False, True)),
        ]
    return any(done)


def _tried(read: Callable[[], None]) -> bool:
    try:
        read()
    except EdgeSeqError as error:
        cause: BaseException | None = error
        while cause is not None:  # a size was not checked before memory was taken
            if isinstance(cause, MemoryError):
                raise AssertionError(f"memory was asked for before the size was checked: {error}") from error
            cause = cause.__cause__
        return False
    return True


def _guessed(path: Path) -> None:
    guess = guess_source(path)
    list(read_signals(guess.source, base=guess.base))


def _stated(sample: Sample, path: Path, reader: str, in_parts: bool) -> None:
    parts = {"recording_column": "label"} if in_parts and "label" in sample.fields.values() else {}
    fields = source_fields(**{"path": path.name, "format": reader, **sample.fields, **parts})
    list(read_signals(DataSource.model_validate(fields), base=path.parent, in_parts=in_parts))


def fuzz(reader: str, examples: int, number: int) -> dict[str, float]:
    """Fuzz one reader.

    Returns:
        number of files, how many were read at least in one way, seconds of the slowest, and the peak of memory in MB.
    """
    samples = SAMPLES[reader]()
    found = {"files": 0, "read": 0, "slowest_s": 0.0}
    for sample in samples:
        assert read_or_refuse(sample, sample.content, reader), sample.name

    @seed(number)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def each(data: st.DataObject) -> None:
        sample = data.draw(st.sampled_from(samples))
        content = data.draw(st.one_of(*[changed(sample.content)] * 7, st.binary(max_size=400)))
        signal.alarm(LIMIT_S)
        start = time.monotonic()
        is_read = read_or_refuse(sample, content, reader)
        found["slowest_s"] = max(found["slowest_s"], time.monotonic() - start)
        signal.alarm(0)
        found["files"] += 1
        found["read"] += is_read
        assert peak_bytes() < LIMIT_BYTES, "more than 1 GB"

    each()
    return {**found, "slowest_s": round(found["slowest_s"], 2), "peak_mb": peak_bytes() >> 20}


def main(arguments: Sequence[str]) -> None:
    """Fuzz the readers that are named, or all; see the module."""
    examples, number, *wanted = arguments
    logging.disable()
    warnings.simplefilter("ignore")  # a damaged file may warn as well; the command line shows no such warnings
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    names = wanted or [reader.name for reader in READERS]
    sys.stdout.write(f"{json.dumps({name: fuzz(name, int(examples), int(number)) for name in names})}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
