"""A run whose samples stay on disk is the run in memory: weights, figures, parity; and memory stays flat."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("torch")

from edge_seq.data.stored import is_stored
from edge_seq.data.window_file import load_windows
from edge_seq.ir.model import model_hash
from edge_seq.pipeline.config import load_config
from edge_seq.pipeline.prepare import load_data
from edge_seq.pipeline.simulate import simulate_to_file
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.support.json_tables import load_json
from edge_seq.workflow.evaluate import evaluate_run
from edge_seq.workflow.folder import RunFolder, load_run_float, open_run
from edge_seq.workflow.quantize import quantize_run
from edge_seq.workflow.train import train_run

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drives")
    simulate_to_file(folder / "drives.parquet", drives=12, duration_s=120.0, sample_rate_hz=10.0, seed=0)
    return folder / "drives.toml"


def train(source: Path, out: Path, storage: str, **more: Any) -> RunFolder:
    options = {"training.epochs": 2, "training.hidden_size": 4, "data.training_stride": 20, **more}
    overrides = [f"data.source={json.dumps(str(source))}", f"data.storage={storage}"]
    train_run(out, load_config(None, [*overrides, *(f"{key}={value}" for key, value in options.items())]))
    return open_run(out)


@pytest.mark.parametrize("label_every", ["window", "sample"])
def test_a_run_on_disk_is_the_run_in_memory(source: Path, tmp_path: Path, label_every: str) -> None:
    more = {"training.label_every": label_every}
    memory, disk = (train(source, tmp_path / storage, storage, **more) for storage in ("memory", "disk"))
    assert model_hash(load_run_float(memory)) == model_hash(load_run_float(disk))
    assert load_json(memory.data_hashes) == load_json(disk.data_hashes)
    assert is_stored(load_windows(disk.windows("test")).counts)
    if label_every == "window":
        assert quantize_run(memory).cost == quantize_run(disk).cost
        first, second = (evaluate_run(run) for run in (memory, disk))
        assert first == second
        train(source, tmp_path / "disk", "disk", **more)  # resumes


def test_windows_that_lost_their_samples_are_refused(source: Path, tmp_path: Path) -> None:
    run = train(source, tmp_path / "run", "disk", **{"training.epochs": 1})
    (counts,) = run.store.glob("*.counts.i16")
    content = counts.read_bytes()
    counts.write_bytes(content[:1000])
    with pytest.raises(DataError, match=r"outside the \d+ samples"):
        load_windows(run.windows("test"))
    counts.write_bytes(bytes(len(content)))
    with pytest.raises(DataError, match="not the windows that the run was trained with"):
        load_windows(run.windows("test"))
    counts.unlink()
    with pytest.raises(DataError, match="No such file"):
        load_windows(run.windows("test"))


def test_storage_that_has_no_effect_is_refused(source: Path) -> None:
    with pytest.raises(ConfigError, match="storage 'disk' has no effect on source 'car_states'"):
        load_config(None, ["data.storage=disk"])
    config = load_config(None, ["data.storage=disk", f"data.source={json.dumps(str(source))}"])
    with pytest.raises(ConfigError, match="keeps samples in the folder of a run, but this command makes no run"):
        load_data(config.data)


@pytest.mark.slow
def test_only_the_table_of_windows_grows_with_the_number_of_recordings(tmp_path: Path) -> None:
    script = ROOT / "datasets" / "research" / "memory.py"
    command = [sys.executable, str(script), "--times", "1", "10", "100", "--folder", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    rows = json.loads(done.stdout)
    windows = [row["samples"] / 50 for row in rows]  # the stride
    for step in ("train", "quantize", "evaluate"):
        peaks = [row["peak_mb"][step] * 2**20 for row in rows]
        # 200 to 400 bytes; a window of samples in memory takes 600 as counts, 1,200 as features, and more on the way
        assert (peaks[2] - peaks[1]) / (windows[2] - windows[1]) < 500, (step, peaks)
    seconds = [row["seconds"]["train"] for row in rows]
    assert seconds[2] < 2 * 10 * seconds[1]


@pytest.mark.slow
def test_memory_of_data_check_does_not_grow_with_the_number_of_recordings(tmp_path: Path) -> None:
    script = ROOT / "datasets" / "research" / "memory.py"
    command = [sys.executable, str(script), "--times", "1", "10", "--data-check", "--folder", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    small, large = json.loads(done.stdout)
    assert large["file_mb"] > 9 * small["file_mb"]
    assert large["peak_mb"]["many"] < 1.2 * small["peak_mb"]["many"]
