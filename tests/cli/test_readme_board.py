"""The README's part "On your board", run as it stands with the emulated board."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Small

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_on_your_board(small: Small, tmp_path: Path) -> None:
    if not (shutil.which("qemu-system-arm") and shutil.which("arm-none-eabi-gcc")):
        pytest.skip("no emulated board on this machine; sudo apt-get install qemu-system-arm gcc-arm-none-eabi")
    shutil.copytree(small.run, tmp_path / "run")
    block = README.split("<!-- tested: board -->\n```sh\n")[1].split("```")[0]
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "edge-seq"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m edge_seq "$@"\n')
    command.chmod(0o755)
    done = subprocess.run(
        ["sh", "-eu", "-c", block],
        cwd=tmp_path,
        env={
            **os.environ,
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "140",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    for words in ("5 of 5 answers", "free stack", "golden vectors are met", "integer reference = C on the board"):
        assert words in done.stdout
    assert "it holds" in done.stdout
    last = json.loads((tmp_path / "run" / "reports" / "verify.json").read_text())["rungs"][-1]
    assert (last["name"], last["verdict"]) == ("integer reference = C on the board", "holds")
    assert last["comparison"]["steps"] >= 10_000
    assert last["comparison"]["mismatches"] == 0
    assert last["figures"]["ticks_a_step"] > 0
    assert last["figures"]["free_stack_bytes"] > 0
