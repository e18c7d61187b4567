"""Training the same run twice: it resumes from anywhere, and a run is never mixed with other data."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge_seq.support.json_tables import load_json
from edge_seq.workflow.folder import RunFolder
from tests.cli.conftest import Small, edge_seq, ok

ARGUMENTS = ("train", "--data", "drives.toml", "--out", "run", "--cell", "gru", "--hidden-size", "4")


@pytest.fixture
def folder(small: Small, tmp_path: Path) -> Path:
    """A folder with recordings and their source, and no run."""
    for suffix in (".csv", ".toml"):
        shutil.copy(small.drives.with_suffix(suffix), tmp_path)
    return tmp_path


@pytest.mark.slow
def test_a_finished_run_of_a_relative_source_resumes(folder: Path) -> None:
    arguments = (*ARGUMENTS, "--epochs", "2", "--json")
    first = ok(*arguments, cwd=folder).json
    weights = (folder / "run" / "model.float.safetensors").read_bytes()
    again = ok(*arguments, cwd=folder).json
    assert again["history"] == first["history"]
    assert (folder / "run" / "model.float.safetensors").read_bytes() == weights
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    from_there = ["../drives.toml" if word == "drives.toml" else word for word in arguments]
    from_there[from_there.index("run")] = "../run"
    assert ok(*from_there, cwd=elsewhere).json["history"] == first["history"]


def test_an_interrupted_run_of_a_relative_source_resumes(folder: Path) -> None:
    arguments = (*ARGUMENTS, "--epochs", "60")
    command = [sys.executable, "-c", "from edge_seq.cli import main; main()", *arguments, "--json"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    checkpoint = folder / "run" / "checkpoint" / "checkpoint.safetensors"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "the same command resumes it" in errors
    assert not (folder / "run" / "model.float.safetensors").exists()
    summary = ok(*arguments, "--json", cwd=folder).json
    assert [record["epoch"] for record in summary["history"]] == list(range(1, 61))


def test_a_refused_resume_leaves_the_windows_as_they_are(folder: Path) -> None:
    arguments = (*ARGUMENTS, "--epochs", "1")
    ok(*arguments, cwd=folder)
    windows = {path.name: path.read_bytes() for path in (folder / "run" / "data").iterdir()}
    lines = (folder / "drives.csv").read_text().splitlines()
    changed = list(lines)
    fields = changed[1000].split(",")
    fields[2] = str(float(fields[2]) + 5)
    changed[1000] = ",".join(fields)
    (folder / "drives.csv").write_text("\n".join(changed) + "\n")
    result = edge_seq(*arguments, cwd=folder)
    assert result.code == 2
    assert "was trained on other data" in result.err
    assert {path.name: path.read_bytes() for path in (folder / "run" / "data").iterdir()} == windows


def test_a_training_that_could_not_read_its_data_leaves_nothing(folder: Path) -> None:
    (folder / "drives.csv").rename(folder / "kept.csv")
    assert edge_seq(*ARGUMENTS, "--epochs", "1", cwd=folder).code == 2
    assert not (folder / "run").exists()
    (folder / "kept.csv").rename(folder / "drives.csv")
    ok(*ARGUMENTS, "--epochs", "2", cwd=folder)


def test_a_training_that_failed_at_once_may_be_configured_anew(folder: Path) -> None:
    result = edge_seq(*ARGUMENTS, "--set", "data.validation_fraction=0", cwd=folder)
    assert result.code == 2
    assert "needs validation windows" in result.err
    ok(*ARGUMENTS, "--epochs", "1", cwd=folder)
    assert set(load_json(RunFolder(folder / "run").data_hashes)) >= {"train", "validation", "test", "calibration"}


def test_a_name_that_no_model_may_have_is_refused_before_training(folder: Path) -> None:
    result = edge_seq(*ARGUMENTS, "--name", "My Model", cwd=folder)
    assert result.code == 2
    assert "must be a C identifier" in result.err
    assert not (folder / "run").exists()
