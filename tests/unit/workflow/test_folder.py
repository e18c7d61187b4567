"""A run folder: what is in it, and clear words where it is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from edge_seq.data.recording import Windows
from edge_seq.errors import ConfigError, DataError
from edge_seq.workflow.config import RunConfig
from edge_seq.workflow.folder import (
    RunFolder,
    counts_hash,
    load_json,
    load_run_float,
    load_run_int,
    load_windows,
    open_run,
    save_json,
    save_run_config,
    save_windows,
)
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
    with pytest.raises(ConfigError, match=r"holds no config\.toml"):
        open_run(tmp_path)


def test_a_run_without_models_says_what_to_do(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "walks")
    save_run_config(run, RunConfig())
    with pytest.raises(ConfigError, match="holds no trained model"):
        load_run_float(run)
    with pytest.raises(ConfigError, match="run edge-seq quantize walks"):
        load_run_int(run)
    with pytest.raises(DataError, match="no calibration streams"):
        load_streams(run)


def test_a_run_is_never_mixed_with_something_else(tmp_path: Path) -> None:
    start_run(tmp_path / "run", RunConfig())
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
