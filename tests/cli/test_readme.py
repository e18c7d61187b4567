"""The README's commands and its C program, run as they stand, and the page on targets, which continues with its run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.cli.documents import HOW_TO, README, TUTORIAL, block, run_shell


def test_both_documents_have_the_same_c_program() -> None:
    assert block(README, "demo.c") == block(TUTORIAL, "demo.c")


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.parametrize("chip", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["host", "chip"])
def test_from_a_csv_to_running_c(chip: bool, tmp_path: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("the README's last command needs a C compiler called cc")
    commands = block(README, "shell")
    if chip:  # a target whose tools are missing is skipped, and said to be
        commands += block(HOW_TO / "verify-on-a-target.md", "chip")
    else:  # nothing below depends on how good the network is
        assert (commands.count("--epochs 15"), commands.count("--out drives.csv ")) == (1, 1)
        commands = commands.replace("--epochs 15", "--epochs 1")
        commands = commands.replace("--out drives.csv ", "--out drives.csv --drives 12 --duration-s 120 ")
    run_shell(commands, tmp_path)

    from edge_seq.backends.reference_int import run_reference
    from edge_seq.data.readers import load_dataset
    from edge_seq.ir.serialize import load_int_model

    counts = load_dataset(tmp_path / "drives.toml").recordings[0].counts[:200]
    lines = "\n".join(" ".join(map(str, sample)) for sample in counts.tolist())
    printed = subprocess.run(
        [str(tmp_path / "demo")], input=lines, capture_output=True, text=True, check=True, timeout=60
    ).stdout.splitlines()
    model = load_int_model(tmp_path / "run" / "model.int.safetensors")
    labels = run_reference(model, counts[np.newaxis]).values["label"][0, :, 0]
    assert printed == [model.labels[label] for label in labels if label >= 0]
    assert len(printed) == 4
    torn = subprocess.run([str(tmp_path / "demo")], input=f"{lines}\n1 2", capture_output=True, text=True, check=False)
    assert (torn.returncode, torn.stdout.splitlines()) == (1, printed)
