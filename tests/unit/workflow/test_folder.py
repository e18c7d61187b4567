"""A run folder: what is in it, and clear words where it is not."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from numpy.typing import NDArray

from edge_seq.data.recording import Windows
from edge_seq.data.window_file import counts_hash, load_windows, save_windows, windows_hash
from edge_seq.pipeline.config import RunConfig
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.support.json_tables import load_json, save_json
from edge_seq.workflow.folder import RunFolder, load_run_float, load_run_int, open_run, save_run_config, writing
from edge_seq.workflow.quantize import load_streams
from edge_seq.workflow.train import start_run


def windows() -> Windows:
    rng = np.random.default_rng(0)
    return Windows(
        rng.integers(-100, 100, (6, 5, 3)).astype(np.int16),
        np.array([0, 1, 2, 0, 1, 2], dtype=np.int16),
        np.array(["b", "b", "a", "a", "ü 1", "ü 1"]),
    )


def test_windows_survive_a_round_trip(tmp_path: Path) -> None:
    save_windows(tmp_path / "w.safetensors", windows())
    read = load_windows(tmp_path / "w.safetensors")
    assert (read.counts == windows().counts).all()
    assert read.counts.dtype == np.int16
    assert (read.labels == windows().labels).all()
    assert read.groups.tolist() == windows().groups.tolist()


def test_damaged_windows_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(DataError, match="holds no such windows"):
        load_windows(path)
    save_windows(path, windows())
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(DataError, match="damaged"):
        load_windows(path)
    path.write_bytes(safetensors.numpy.save({"counts": windows().counts}))
    with pytest.raises(DataError, match="damaged"):
        load_windows(path)


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("counts", np.zeros((6, 5, 3), np.int32), r"counts is int32 \[6, 5, 3\]; expected int16"),
        ("counts", np.zeros((6, 5), np.int16), "expected int16 with 3 dimensions"),
        ("labels", np.zeros(5, np.int16), r"labels is int16 \[5\]; expected int16 with 1 dimensions, 6 windows"),
        ("labels", np.full(6, 3, np.int16), "labels run from 3 to 3; expected 0 to 2"),
        ("labels", np.full(6, -1, np.int16), "labels run from -1 to -1; expected 0"),
        ("group", np.full(6, -1, np.int32), "group run from -1 to -1; expected 0 to 2"),
        ("group", np.full(6, 3, np.int32), "group run from 3 to 3; expected 0 to 2"),
    ],
)
def test_windows_out_of_range_are_refused(name: str, tensor: NDArray[Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_windows(path, windows())
    tensors = {**safetensors.numpy.load(path.read_bytes()), name: tensor}
    path.write_bytes(safetensors.numpy.save(tensors, metadata={"groups": '["a", "b", "c"]'}))
    with pytest.raises(DataError, match=message):
        load_windows(path, num_classes=3)


def test_windows_of_another_training_are_refused(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    save_windows(run.windows("test"), windows())
    save_json(run.data_hashes, {"test": windows_hash(windows())})
    load_windows(run.windows("test"))
    save_windows(run.windows("test"), replace(windows(), labels=windows().labels[::-1].copy()))
    with pytest.raises(DataError, match="not the windows that the run was trained with"):
        load_windows(run.windows("test"))
    for damaged in ({}, {"test": None}, {"test": 3}):
        save_json(run.data_hashes, damaged)
        with pytest.raises(DataError, match=r"reading hashes.json: (None|3) as the SHA-256 of the test data, expected"):
            load_windows(run.windows("test"))


def test_an_unknown_side_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"side 'dev' is unknown; give one of \['train', 'validation', 'test'\]"):
        RunFolder(tmp_path).windows("dev")


def test_damaged_tables_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    save_json(path, {"a": 1})
    assert load_json(path) == {"a": 1}
    path.write_text("[1, 2]")
    with pytest.raises(DataError, match="a list, expected a table"):
        load_json(path)
    path.write_text('{"a": ')
    with pytest.raises(DataError, match="not a table in JSON"):
        load_json(path)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no config\.toml"):
        open_run(tmp_path)


def test_a_run_without_models_says_what_to_do(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "walks")
    save_run_config(run, RunConfig())
    with pytest.raises(ConfigError, match="holds no trained model"):
        load_run_float(run)
    with pytest.raises(ConfigError, match=r"run edge-seq quantize \S+walks"):
        load_run_int(run)
    with pytest.raises(DataError, match="no calibration streams"):
        load_streams(run)


def test_a_run_is_never_mixed_with_something_else(tmp_path: Path) -> None:
    run = start_run(tmp_path / "run", RunConfig())
    assert not run.path.exists()
    save_run_config(run, RunConfig())
    start_run(tmp_path / "run", RunConfig(name="other"))  # nothing was trained yet
    run.checkpoint_dir.mkdir()
    (run.checkpoint_dir / "checkpoint.safetensors").write_bytes(b"")
    start_run(tmp_path / "run", RunConfig())  # the same configuration: resumes
    with pytest.raises(ConfigError, match="a run of another configuration"):
        start_run(tmp_path / "run", RunConfig(name="other"))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"")
    with pytest.raises(ConfigError, match="is not the folder of a run"):
        start_run(tmp_path / "photos", RunConfig())
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["cat.jpg"]


def test_the_hash_of_counts_sees_shape_and_values() -> None:
    counts = np.arange(12, dtype=np.int16).reshape(1, 4, 3)
    assert counts_hash(counts) == counts_hash(counts.copy())
    assert counts_hash(counts) != counts_hash(counts.reshape(1, 3, 4))
    assert counts_hash(counts) != counts_hash(counts + np.int16(1))


def test_a_run_that_another_process_writes_to_is_refused(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    holder = (
        "import sys\nfrom pathlib import Path\nfrom edge_seq.workflow.folder import RunFolder, writing\n"
        f"with writing(RunFolder(Path({str(run.path)!r}))):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with (
            pytest.raises(ConfigError, match="run run: another process writes to it; wait until that ends"),
            writing(run),
        ):
            pass
        other.kill()  # a process that is killed leaves no lock behind
    with writing(run):
        assert run.path.is_dir()
