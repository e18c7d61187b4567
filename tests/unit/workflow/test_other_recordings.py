"""Recordings that are not of a run, in every format: live labels are those of evaluate, whatever the file."""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from numpy.typing import NDArray

from edge_seq.backends.onnx.run import load_onnx
from edge_seq.data.readers.for_model import OtherRecordings, other_recordings
from edge_seq.data.recording import Recording, Windows
from edge_seq.live.engine import OnnxEngine
from edge_seq.live.run import Decision, RunStats, decide
from edge_seq.live.samples import Start, samples_of_recordings
from edge_seq.pipeline.config import load_config
from edge_seq.pipeline.exports import render_onnx
from edge_seq.pipeline.streams import int_streams
from edge_seq.report.words import _rows_of_metrics
from edge_seq.support.errors import ConfigError, ContractError, DataError, ToolError
from edge_seq.workflow.evaluate import evaluate_recordings, evaluate_run
from edge_seq.workflow.folder import CONTRACT, RunFolder, data_file_for, load_run_float, load_run_int
from edge_seq.workflow.streams import evaluate_other_streams
from tests.unit.data.door_cases import motion, put, table

RATE_HZ, WINDOW = 50.0, 50
CHANNELS = [
    {"name": "ax", "unit": "g", "counts_per_unit": 4096, "full_scale": 8},
    {"name": "ay", "unit": "g", "counts_per_unit": 4096, "full_scale": 8},
    {"name": "gz", "unit": "deg/s", "counts_per_unit": 16, "full_scale": 2000},
]
NEW = [("walk", 10), ("run", 11), ("walk", 12)]


def samples(label: str, number: int, rows: int = 130) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times in s, and ax, ay in g and gz in deg/s, each a whole number of counts."""
    seconds, acceleration, rotation = motion(label, number, rows, RATE_HZ)
    return seconds, np.stack(
        [np.rint(acceleration[:, 0] * 4096) / 4096, np.rint(acceleration[:, 1] * 4096) / 4096,
         np.rint(rotation[:, 2] * 16) / 16], axis=1,
    )  # fmt: skip


def columns(label: str, number: int) -> list[list[str]]:
    seconds, values = samples(label, number)
    return [[repr(one) for one in column] for column in [seconds.tolist(), *values.T.tolist()]]


def fields(**changes: Any) -> dict[str, Any]:
    """Fields of a data source."""
    common = {"name": "moves", "sample_rate_hz": RATE_HZ, "window_length": WINDOW, "window_stride": WINDOW}
    return {**common, "channels": CHANNELS, "label_from": "file_name", **changes}


@dataclass(frozen=True)
class Trained:
    """A small run, and the model of its export."""

    run: RunFolder
    onnx: Path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    pytest.importorskip("torch")
    from edge_seq.workflow.quantize import quantize_run
    from edge_seq.workflow.train import train_run

    folder = tmp_path_factory.mktemp("trained")
    for label in ("walk", "run"):
        for number in range(4):
            put(folder / "data" / f"{label}_{number}.csv", table("t,ax,ay,gz", columns(label, number)))
    put(folder / "moves.toml", tomli_w.dumps(fields(path="data", time_column="t")))
    settings = ["training.epochs=12", "training.hidden_size=3", "quantization.min_agreement_rate=0.5"]
    train_run(folder / "run", load_config(None, [f'data.source="{folder / "moves.toml"}"', *settings]))
    run = RunFolder(folder / "run")
    quantize_run(run)
    put(folder / "step.onnx", render_onnx(load_run_int(run), load_run_float(run))["onnx/int_step.onnx"])
    return Trained(run, folder / "step.onnx")


def test_minirocket_is_scored_where_aeon_is_installed(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(Path(shutil.copytree(trained.run.path, tmp_path / "run")))
    asked: list[int] = []

    def perfect(_train: Windows, test: Windows, *_: object, seed: int) -> NDArray[np.float64]:
        asked.append(seed)
        return np.eye(2)[test.labels]

    monkeypatch.setattr("edge_seq.workflow.evaluate.minirocket_is_here", lambda _contract: False)
    before = evaluate_run(run)
    assert "MiniRocket and ridge" not in before.classifiers()
    assert "minirocket" not in before.to_dict()
    monkeypatch.setattr("edge_seq.workflow.evaluate.minirocket_is_here", lambda _contract: True)
    monkeypatch.setattr("edge_seq.workflow.evaluate.minirocket_baseline", perfect)
    found = evaluate_run(run)
    assert found.classifiers()["MiniRocket and ridge"].accuracy.value == 1.0
    assert found.random_forest == before.random_forest
    assert any(row[0] == "MiniRocket and ridge, test" for row in _rows_of_metrics(found))
    assert evaluate_run(run) == found
    assert asked == [0], "scores of the same data are kept"


def semicolons(folder: Path) -> dict[str, Any]:
    for label, number in NEW:
        cells = [[cell.replace(".", ",") for cell in column] for column in columns(label, number)]
        put(folder / f"{label}_{number}.csv", "# new logger\n" + table("Zeit;accX;accY;gyrZ", cells, sep=";"))
    return fields(time_column="Zeit", delimiter=";", decimal=",", channels=renamed("accX", "accY", "gyrZ"))


def renamed(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [{**channel, "column": name, **more} for channel, name in zip(CHANNELS, names, strict=True)]


def packed(folder: Path) -> dict[str, Any]:
    for label, number in NEW:
        text = table("t\tax\tay\tgz", columns(label, number), sep="\t")
        put(folder / f"{label}_{number}.tsv.gz", gzip.compress(text.encode()))
    return fields(time_column="t")


def acquisition(label: str, number: int) -> dict[str, Any]:
    units = ("g", "g", "deg/s")
    sensors = [{"name": name, "units": unit} for name, unit in zip(("accX", "accY", "gyrZ"), units, strict=True)]
    payload = {"device_type": "X", "interval_ms": 20, "sensors": sensors, "values": samples(label, number)[1].tolist()}
    return {"protected": {}, "signature": "0" * 64, "payload": payload}


def edge_impulse_json(folder: Path) -> dict[str, Any]:
    for label, number in NEW:
        put(folder / f"{label}.{number}.json", json.dumps(acquisition(label, number)))
    return fields(channels=renamed("accX", "accY", "gyrZ"))


def edge_impulse_cbor(folder: Path) -> dict[str, Any]:
    import cbor2

    for label, number in NEW:
        put(folder / f"{label}.{number}.cbor", cbor2.dumps(acquisition(label, number)))
    return fields(channels=renamed("accX", "accY", "gyrZ"))


def npz_of_columns(folder: Path) -> dict[str, Any]:
    for label, number in NEW:
        seconds, values = samples(label, number)
        np.savez(folder / f"{label}_{number}.npz", t=seconds, ax=values[:, 0], ay=values[:, 1], gz=values[:, 2])
    return fields(time_column="t")


def matlab(folder: Path) -> dict[str, Any]:
    from scipy.io import savemat

    for label, number in NEW:
        seconds, values = samples(label, number)
        savemat(folder / f"{label}_{number}.mat", {"t": seconds, "ax": values[:, 0], "ay": values[:, 1],
                                                   "gz": values[:, 2]})  # fmt: skip
    return fields(time_column="t")


def parquet(folder: Path) -> dict[str, Any]:
    """One table with all recordings, in mg and in a label column of codes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = [(label, number, *samples(label, number)) for label, number in NEW]
    content = {
        "take": [f"{label}_{number}" for label, number, seconds, _ in parts for _ in seconds],
        "ms": np.concatenate([1000 * seconds for _, _, seconds, _ in parts]),
        "ax": np.concatenate([1000 * values[:, 0] for *_, values in parts]),
        "ay": np.concatenate([1000 * values[:, 1] for *_, values in parts]),
        "gz": np.concatenate([values[:, 2] for *_, values in parts]),
        "class": [{"walk": 1, "run": 2}[label] for label, _, seconds, _ in parts for _ in seconds],
    }
    pq.write_table(pa.table(content), folder / "all.parquet")
    in_mg = [{**one, **({"column_unit": "mg"} if one["unit"] == "g" else {})} for one in CHANNELS]
    return fields(recording_column="take", time_column="ms", time_unit="ms", label_from="column",
                  label_column="class", label_names={"1": "walk", "2": "run"}, channels=in_mg)  # fmt: skip


def folders_of_sensors(folder: Path) -> dict[str, Any]:
    for label, number in NEW:
        t, ax, ay, gz = columns(label, number)
        put(folder / f"{label}_{number}" / "acc.csv", table("t,x,y", [t, ax, ay]))
        put(folder / f"{label}_{number}" / "gyr.csv", table("t,z", [t, gz]))
    return fields(time_column="t", sensor_files={"acc": "acc.csv", "gyr": "gyr.csv"},
                  channels=renamed("acc/x", "acc/y", "gyr/z"))  # fmt: skip


def windows() -> tuple[NDArray[np.float64], list[str]]:
    cut = [samples(label, number, 2 * WINDOW)[1].reshape(2, WINDOW, 3) for label, number in NEW]
    return np.concatenate(cut), [label for label, _ in NEW for _ in range(2)]


def npz_of_windows(folder: Path) -> dict[str, Any]:
    values, labels = windows()
    np.savez(folder / "new.npz", X=values, y=np.array(labels))
    return fields(column_names=["ax", "ay", "gz"], label_from="column", label_column="y")


def npy_of_windows(folder: Path) -> dict[str, Any]:
    values, labels = windows()
    np.save(folder / "X_new.npy", values.transpose(0, 2, 1))
    np.save(folder / "y_new.npy", np.array([{"walk": 7, "run": 8}[label] for label in labels]))
    return fields(column_names=["ax", "ay", "gz"], label_from="column", label_column="y", axes_order="NCT",
                  files="X_*.npy", label_names={"7": "walk", "8": "run"})  # fmt: skip


WHOLE = (semicolons, packed, edge_impulse_json, edge_impulse_cbor, npz_of_columns, matlab, parquet, folders_of_sensors)
CUT = (npz_of_windows, npy_of_windows)


def other(trained: Trained, folder: Path, source: dict[str, Any], *, labels: bool) -> OtherRecordings:
    """The recordings in ``folder/new``, read as a data source with another path, window and full scale says."""
    elsewhere = {**source, "path": "another_place", "window_length": 64, "window_stride": 16}
    elsewhere["channels"] = [{**one, "full_scale": 4, "counts_per_unit": 100} for one in source["channels"]]
    put(folder / "other.toml", tomli_w.dumps(elsewhere))
    found = data_file_for(trained.run.path, str(folder / "other.toml"))
    assert found is not None
    model = load_run_float(trained.run)
    return other_recordings(
        folder / "new", found.source, found.file, model.contract, labels=model.labels if labels else None
    )


def live(trained: Trained, recordings: OtherRecordings) -> dict[str, list[tuple[int, str]]]:
    """Sample and label of each decision of a live run, by recording."""
    model = load_onnx(trained.onnx)
    found: dict[str, list[tuple[int, str]]] = {}
    stats = RunStats()
    stream = samples_of_recordings(recordings, model.contract, name="new", warn=lambda text: pytest.fail(text))
    for item in decide(OnnxEngine(model), stream, stats):
        if isinstance(item, Start):
            latest = found.setdefault(item.recording, [])
        else:
            assert isinstance(item, Decision)
            latest.append((item.sample, item.label))
    assert stats.recordings == len(found)
    return found


@pytest.mark.parametrize("write", [*WHOLE, *CUT])
def test_live_labels_are_those_of_evaluate(
    write: Callable[[Path], dict[str, Any]], trained: Trained, tmp_path: Path
) -> None:
    (tmp_path / "new").mkdir()
    source = write(tmp_path / "new")
    model = load_run_int(trained.run)
    read: tuple[Recording, ...] = tuple(other(trained, tmp_path, source, labels=True))
    streams = int_streams(model, read)
    expected = {
        one.recording.name: [
            (int(due), model.labels[label]) for due, label in zip(one.due, one.labels.tolist(), strict=True)
        ]
        for one in streams
    }
    assert live(trained, other(trained, tmp_path, source, labels=False)) == expected
    if write in WHOLE:
        counts = {tuple(map(tuple, one.counts.tolist())) for one in read}
        truth = [np.rint(samples(label, number)[1] * [4096, 4096, 16]).astype(int) for label, number in NEW]
        assert counts == {tuple(map(tuple, one.tolist())) for one in truth}
        assert sorted(model.labels[one.labels[0]] for one in read) == ["run", "walk", "walk"]
    scores = evaluate_recordings(trained.run, other(trained, tmp_path, source, labels=True), baselines=False)
    assert scores.int_model is not None
    stream_scores = evaluate_other_streams(trained.run, other(trained, tmp_path, source, labels=True))
    assert (scores.note.split, stream_scores.note.warning) == ("other recordings", None)
    # windows lie end to end, so each label of the stream is that of a window
    truth_of = {one.name: model.labels[one.labels[0]] for one in read}
    right = [label == truth_of[name] for name, found in expected.items() for _, label in found]
    assert scores.int_model.accuracy.value == pytest.approx(np.mean(right))
    assert scores.int_model.num_windows == len(right) == 6
    assert not list(trained.run.path.glob("metrics*"))
    assert not list(trained.run.path.glob("stream*"))


def test_a_run_reads_with_its_own_data_source(trained: Trained, tmp_path: Path) -> None:
    found = data_file_for(trained.run.path, None)
    assert found is not None
    assert found.file == trained.run.path / "data" / "source.toml"
    assert Path(found.source.path) == trained.run.path.parent / "data"
    assert found.source.contract == load_run_float(trained.run).contract
    put(tmp_path / "one.csv", table("t,ax,ay,gz", columns("walk", 20)))
    contract = load_run_float(trained.run).contract
    recordings = other_recordings(tmp_path / "one.csv", found.source, found.file, contract, labels=None)
    assert recordings.described() == (f"read as {found.file} says: ax in g, ay in g, gz in deg/s; times in t; 50 Hz")
    (one,) = recordings
    assert (one.name, len(one.counts), set(one.labels.tolist())) == ("one", 130, {-1})
    assert data_file_for(trained.run.path, CONTRACT) is None
    assert data_file_for(trained.onnx, None) is None


def test_scores_on_training_windows_are_said_to_be_too_good(trained: Trained) -> None:
    found = data_file_for(trained.run.path, None)
    assert found is not None
    folder, model = trained.run.path.parent / "data", load_run_float(trained.run)
    again = other_recordings(folder, found.source, found.file, model.contract, labels=model.labels)
    scores = evaluate_recordings(trained.run, again, baselines=False)
    assert scores.note.warning is not None
    assert "of 16 windows are training windows of this run, so the scores are too good" in scores.note.warning
    assert "training_accuracy" in json.loads(trained.run.training.read_text())


def read_new(trained: Trained, path: Path, source: dict[str, Any], *, labels: bool = False) -> OtherRecordings:
    put(path.parent / "other.toml", tomli_w.dumps({"path": "x", **source}))
    found = data_file_for(trained.onnx, str(path.parent / "other.toml"))
    assert found is not None
    model = load_run_float(trained.run)
    return other_recordings(path, found.source, found.file, model.contract, labels=model.labels if labels else None)


def test_a_column_of_recordings_that_no_file_has_is_not_needed(trained: Trained, tmp_path: Path) -> None:
    put(tmp_path / "new" / "one.csv", table("t,ax,ay,gz", columns("walk", 20)))
    source = fields(time_column="t", recording_column="take", group_column="person")
    assert [one.name for one in read_new(trained, tmp_path / "new", source)] == ["one"]
    with_takes = table("t,ax,ay,gz,take", [*columns("walk", 21), ["a"] * 65 + ["b"] * 65])
    put(tmp_path / "new" / "two.csv", with_takes)
    with pytest.raises(ContractError, match="take"):
        list(read_new(trained, tmp_path / "new", source))


def test_another_rate_is_refused_or_resampled(trained: Trained, tmp_path: Path) -> None:
    seconds, values = samples("walk", 20, 260)
    put(tmp_path / "one.csv", table("t,ax,ay,gz", [[repr(one / 2) for one in seconds.tolist()],
                                                  *[[repr(v) for v in c] for c in values.T.tolist()]]))  # fmt: skip
    source = fields(time_column="t", sample_rate_hz=100.0)
    with pytest.raises(ContractError, match=r"sampled at 100 Hz .* says 50 Hz .* It was read as .*other.toml says; to"):
        list(read_new(trained, tmp_path / "one.csv", source))
    recordings = read_new(trained, tmp_path / "one.csv", {**source, "resample": "lowpass"})
    (one,) = recordings
    assert len(one.counts) == 130
    assert "resampled from 100 Hz to 50 Hz, method lowpass" in recordings.reading()[0]
    untimed = fields(sample_rate_hz=100.0)
    with pytest.raises(ContractError, match=r"sampled at 100 Hz .* says 50 Hz"):
        list(read_new(trained, tmp_path / "one.csv", untimed))


def test_units_are_converted_to_those_of_the_model(trained: Trained, tmp_path: Path) -> None:
    t, *axes = columns("walk", 20)
    put(tmp_path / "one.csv", table("t,ax,ay,gz", [t, *axes]))
    in_mps2 = [{"name": "ax", "unit": "m/s^2", "counts_per_unit": 1, "full_scale": 40}, *CHANNELS[1:]]
    (plain,) = read_new(trained, tmp_path / "one.csv", fields(time_column="t"))
    recordings = read_new(trained, tmp_path / "one.csv", fields(time_column="t", channels=in_mps2))
    (one,) = recordings
    assert "ax in g (from m/s^2)" in recordings.described()
    assert np.abs(one.counts[:, 0] - plain.counts[:, 0] / 9.80665).max() <= 0.51
    raw = [{"name": "ax", "unit": "counts", "counts_per_unit": 1, "full_scale": 32767}, *CHANNELS[1:]]
    with pytest.raises(ContractError, match="channel ax: the data are in counts, the channel in g, with no factor"):
        read_new(trained, tmp_path / "one.csv", fields(time_column="t", channels=raw))


def test_what_does_not_fit_the_model_is_refused(trained: Trained, tmp_path: Path) -> None:
    put(tmp_path / "one.csv", table("t,ax,ay,gz", columns("walk", 20)))
    other_names = [{**CHANNELS[0], "name": "x"}, *CHANNELS[1:]]
    with pytest.raises(ContractError, match=r"the model needs the channels .*'moves' has no \['ax'\]; name its"):
        read_new(trained, tmp_path / "one.csv", fields(channels=other_names))
    with pytest.raises(DataError, match=r"source .*two.csv does not exist; give a file or a folder"):
        read_new(trained, tmp_path / "two.csv", fields())
    put(tmp_path / "swim_1.csv", table("t,ax,ay,gz", columns("walk", 20)))
    with pytest.raises(DataError, match=r"unknown labels \['swim'\]; known are .* give a changed copy of that file"):
        list(read_new(trained, tmp_path / "swim_1.csv", fields(time_column="t"), labels=True))
    with pytest.raises(ConfigError, match="does not exist; give the path of a TOML file"):
        data_file_for(trained.onnx, str(tmp_path / "no.toml"))


def test_a_constant_axis_is_a_warning(trained: Trained, tmp_path: Path) -> None:
    t, _, ay, gz = columns("walk", 20)
    put(tmp_path / "walk_1.csv", table("t,ax,ay,gz", [t, ["0.5"] * 130, ay, gz]))
    recordings = read_new(trained, tmp_path / "walk_1.csv", fields(time_column="t"))
    said: list[str] = []
    model = load_onnx(trained.onnx)
    labels = list(
        decide(OnnxEngine(model), samples_of_recordings(recordings, model.contract, name="new", warn=said.append))
    )
    assert len(labels) == 3
    (text,) = said
    assert text.startswith("stream new, up to sample 50: channel ax is 0.5 in all of the last 50 samples. Is the axis")
    assert recordings.constant() == "constant: ax in walk_1. Is the axis dead, or a wire off?"


def test_a_missing_package_is_named_with_a_way_without_it(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "one.csv", table("t,ax,ay,gz", columns("walk", 20)))
    recordings = read_new(trained, tmp_path / "one.csv", fields(time_column="t"))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ToolError, match=r"pyarrow.*is read without it: --data contract"):
        list(recordings)


def test_the_folder_of_a_run_is_no_data_to_check(trained: Trained) -> None:
    from edge_seq.pipeline.data_check import check_data

    text = f"is the folder of a run, whose data source is .*moves.toml. Give that, or .* --run {trained.run.path}"
    with pytest.raises(ConfigError, match=text):
        check_data(trained.run.path)
    assert check_data(trained.run.data_source).found.recordings == 8


def test_a_network_without_training_windows_is_scored_too(trained: Trained, tmp_path: Path) -> None:
    """An imported network may come without them; then there are no baselines and no advice."""
    run = RunFolder(Path(shutil.copytree(trained.run.path, tmp_path / "run")))
    run.windows("train").unlink()
    put(tmp_path / "new" / "walk_1.csv", table("t,ax,ay,gz", columns("walk", 20)))
    scores = evaluate_recordings(
        run, read_new(trained, tmp_path / "new" / "walk_1.csv", fields(time_column="t"), labels=True)
    )
    assert scores.float_model.num_windows == 2
    assert (scores.random_forest, scores.majority, scores.training_accuracy, scores.advice) == (None, None, None, None)
