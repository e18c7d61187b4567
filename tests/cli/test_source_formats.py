"""The same recordings in every format: run, monitor and evaluate of one model give the same labels."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_seq.data.readers import READERS
from tests.cli.conftest import ok
from tests.unit.data.door_cases import motion, put, table, texts

LENGTH, WINDOWS = 50, 8  # samples of a window, windows of a recording
LABELS = ("idle", "wave")
AXES = ("ax", "ay", "az")
Values = NDArray[np.float64]


def recording(label: str, number: int) -> tuple[Values, Values]:
    """Times [T] in s and acceleration [T, 3] in g, as text keeps them."""
    seconds, acceleration, _ = motion(label, number, LENGTH * WINDOWS)
    return seconds, acceleration.round(4)


NEW = {label: recording(label, 77) for label in LABELS}


def source_text(*, axes: tuple[str, ...] = AXES, **fields: Any) -> str:
    """A data source beside its recordings."""
    channels = ", ".join(
        f'{{name = "{name}", column = "{column}", unit = "g", counts_per_unit = 16384, full_scale = 2}}'
        for name, column in zip(AXES, axes, strict=True)
    )
    lines = {
        "name": "new",
        "path": ".",
        "sample_rate_hz": 50,
        "window_length": LENGTH,
        "window_stride": LENGTH,
        **fields,
    }
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in lines.items()) + f"channels = [{channels}]\n"


def csv_text(label: str, number: int = 77) -> str:
    seconds, acceleration = recording(label, number)
    return table("t,ax,ay,az", [[f"{one:.2f}" for one in seconds], *texts(acceleration)])


def each(folder: Path, suffix: str, content: Callable[[str], bytes]) -> None:
    """A file for each class, with the class in its name."""
    for label in LABELS:
        put(folder / f"{label}_77{suffix}", content(label))


def zipped(label: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{label}_77.csv", csv_text(label))
    return out.getvalue()


def parquet(label: str) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pa_parquet

    seconds, acceleration = NEW[label]
    out = io.BytesIO()
    pa_parquet.write_table(pa.table({"t": seconds, **dict(zip(AXES, acceleration.T, strict=True))}), out)
    return out.getvalue()


def acquisition(label: str) -> dict[str, Any]:
    sensors = [{"name": name, "units": "g"} for name in AXES]
    payload = {"device_type": "B", "interval_ms": 20, "sensors": sensors, "values": NEW[label][1].tolist()}
    return {"protected": {"ver": "v1"}, "signature": "00", "payload": payload}


def cbor(label: str) -> bytes:
    import cbor2

    return cbor2.dumps(acquisition(label))


def edge_impulse_csv(label: str) -> bytes:
    seconds, acceleration = NEW[label]
    return table("timestamp,ax,ay,az", [[f"{1000 * one:.0f}" for one in seconds], *texts(acceleration)]).encode()


def mat(label: str) -> bytes:
    import scipy.io

    seconds, acceleration = NEW[label]
    out = io.BytesIO()
    scipy.io.savemat(out, {"t": seconds, **dict(zip(AXES, acceleration.T, strict=True))})
    return out.getvalue()


def hdf5(label: str) -> bytes:
    import h5py

    seconds, acceleration = NEW[label]
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        for name, values in (("t", seconds), *zip(AXES, acceleration.T, strict=True)):
            file[name] = values
    return out.getvalue()


def windows() -> tuple[Values, NDArray[np.str_]]:
    """Windows [N, T, 3] of both recordings, and the class of each."""
    values = np.concatenate([NEW[label][1].reshape(WINDOWS, LENGTH, 3) for label in LABELS])
    return values, np.repeat(LABELS, WINDOWS)


def npz(folder: Path) -> None:
    values, labels = windows()
    folder.mkdir(parents=True)
    np.savez(folder / "data.npz", X=values, y=labels)


def npy(folder: Path) -> None:
    values, labels = windows()
    folder.mkdir(parents=True)
    np.save(folder / "X.npy", values)
    np.save(folder / "y.npy", labels)


def uci_text(folder: Path) -> None:
    values, labels = windows()
    for axis, name in enumerate(AXES):
        rows = "\n".join(" ".join(f"{one:.4f}" for one in row) for row in values[:, :, axis]) + "\n"
        put(folder / "Inertial Signals" / f"{name}_test.txt", rows)
    put(folder / "y_test.txt", "".join(f"{LABELS.index(label) + 1}\n" for label in labels.tolist()))
    put(folder / "activity_labels.txt", "".join(f"{n} {label}\n" for n, label in enumerate(LABELS, start=1)))


def sensor_logger(folder: Path) -> None:
    for label in LABELS:
        seconds, acceleration = NEW[label]
        columns = [
            [f"{1.7e18 + 1e9 * one:.0f}" for one in seconds],
            [f"{one:.2f}" for one in seconds],
            *texts(acceleration),
        ]
        put(folder / f"{label}_77" / "Accelerometer.csv", table("time,seconds_elapsed,x,y,z", columns))


OF_NAMES = {"label_from": "file_name"}
OF_LABELS = {"label_from": "column", "label_column": "y"}


@dataclass(frozen=True)
class Format:
    """How the recordings are written, and the fields of a data source that reads them; None takes the run's own."""

    write: Callable[[Path], None]
    fields: dict[str, Any] | None = None


FORMATS = {
    "csv": Format(lambda folder: each(folder, ".csv", lambda label: csv_text(label).encode())),
    "gzip": Format(lambda folder: each(folder, ".csv.gz", lambda label: gzip.compress(csv_text(label).encode()))),
    "zip": Format(lambda folder: each(folder, ".csv.zip", zipped)),
    "parquet": Format(lambda folder: each(folder, ".parquet", parquet)),
    "mat": Format(lambda folder: each(folder, ".mat", mat)),
    "hdf5": Format(lambda folder: each(folder, ".h5", hdf5)),
    "npz": Format(npz, {**OF_LABELS, "windows_array": "X"}),
    "npy": Format(npy, {**OF_LABELS, "files": "X.npy"}),
    "edge_impulse_json": Format(
        lambda folder: each(folder, ".json", lambda label: json.dumps(acquisition(label)).encode()), OF_NAMES
    ),
    "edge_impulse_cbor": Format(lambda folder: each(folder, ".cbor", cbor), OF_NAMES),
    "edge_impulse_csv": Format(
        lambda folder: each(folder, ".csv", edge_impulse_csv), {**OF_NAMES, "format": "edge_impulse_csv"}
    ),
    "phone_csv": Format(
        lambda folder: each(folder, ".csv", lambda label: csv_text(label).replace("t,", "time,", 1).encode()),
        {**OF_NAMES, "format": "phone_csv"},
    ),
    "sensor_logger": Format(
        sensor_logger,
        {
            "label_from": "file_name", "file_pattern": "(?P<label>[a-z]+)_77", "time_column": "seconds_elapsed",
            "sensor_files": {"acc": "Accelerometer.csv"}, "axes": tuple(f"acc/{axis}" for axis in "xyz"),
        },
    ),
    "channel_windows": Format(
        uci_text, {**OF_LABELS, "format": "channel_windows", "label_names": dict(zip("12", LABELS, strict=True))}
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("formats")
    for label in LABELS:
        for number in range(4):
            put(folder / "train" / f"{label}_{number}.csv", csv_text(label, number))
    put(folder / "train.toml", source_text(path="train", time_column="t", **OF_NAMES))
    ok(
        *("train", "--data", folder / "train.toml", "--out", folder / "run", "--name", "formats"),
        *("--cell", "gru", "--hidden-size", "4", "--epochs", "8"),
        *("--set", "quantization.min_agreement_rate=0.5", "--set", "quantization.max_macro_f1_loss=1"),
    )
    ok("quantize", folder / "run")
    ok("export", folder / "run")
    return folder / "run"


def results(run: Path, recordings: Path, fields: dict[str, Any] | None) -> tuple[list[str], list[str], dict[str, Any]]:
    """Labels of run and of monitor, in the order of the recordings, and the scores of evaluate."""
    options: tuple[str | Path, ...] = ()
    if fields is not None:
        told = dict(fields)
        text = source_text(
            **{"axes": told.pop("axes", AXES), **{key: told[key] for key in told if key != "sensor_files"}}
        )
        if "sensor_files" in told:
            files = ", ".join(f'{name} = "{file}"' for name, file in told["sensor_files"].items())
            text = f"sensor_files = {{{files}}}\n{text}"
        if "label_names" in told:
            names = ", ".join(f'{code} = "{name}"' for code, name in told["label_names"].items())
            text = text.replace(f"label_names = {json.dumps(told['label_names'])}", f"label_names = {{{names}}}")
        put(recordings.parent / "other.toml", text)
        options = ("--data", recordings.parent / "other.toml")
    lines = ok("run", run, "--source", recordings, *options, "--json").out.splitlines()
    seen = ok("monitor", "--source", recordings, "--model", run, "--speed", "100000", *options, "--json").json
    scores = ok("evaluate", run, "--source", recordings, "--no-baselines", *options, "--json").json["int"]
    return (
        [json.loads(line)["label"] for line in lines],
        [seen["labels"][one["label"]] for one in seen["decisions"]],
        {key: scores[key] for key in ("num_windows", "confusion")},
    )


@pytest.fixture(scope="module")
def expected(run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[str], dict[str, Any]]:
    """What the files that are written like those of the training give."""
    folder = tmp_path_factory.mktemp("expected") / "new"
    FORMATS["csv"].write(folder)
    labels, watched, scores = results(run, folder, None)
    assert labels == watched
    assert len(labels) == scores["num_windows"] == 2 * WINDOWS
    assert set(labels) == set(LABELS)  # a model that tells the classes apart, so that a wrong order is seen
    return labels, watched, scores


def test_each_reader_has_a_format() -> None:
    assert {reader.name for reader in READERS} <= FORMATS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FORMATS if name != "csv"])
def test_a_format_gives_the_labels_of_its_twin_in_csv(
    name: str, run: Path, expected: tuple[list[str], list[str], dict[str, Any]], tmp_path: Path
) -> None:
    FORMATS[name].write(tmp_path / "new")
    assert results(run, tmp_path / "new", FORMATS[name].fields) == expected
