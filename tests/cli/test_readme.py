"""The README's commands and its C program, run as they stand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def readme_block(name: str) -> str:
    found = re.search(rf"<!-- tested: {re.escape(name)} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found is not None, f"README.md has no block marked `tested: {name}`"
    return found[1]


def test_the_c_program_is_the_example() -> None:
    assert readme_block("demo.c") == (ROOT / "firmware_export" / "examples" / "host_demo.c").read_text(encoding="utf-8")


def test_from_a_csv_to_running_c(tmp_path: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("the README's last command needs a C compiler called cc")
    (tmp_path / "demo.c").write_text(readme_block("demo.c"))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    # A target whose tools are missing is skipped, and said to be.
    done = subprocess.run(
        ["sh", "-eu", "-c", readme_block("shell") + readme_block("chip")],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

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
