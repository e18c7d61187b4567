"""Emulator processes that are missing or do not end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge_seq.support.errors import ToolError
from firmware_export.running.emulator_process import run_emulator, words_of


def run(*command: str, folder: Path, timeout_s: float = 30.0) -> str:
    done = run_emulator(command, folder, where="running m4 in it", install="get it", timeout_s=timeout_s)
    return words_of(done)


def test_what_it_said(tmp_path: Path) -> None:
    assert run(sys.executable, "-c", "print('out')", folder=tmp_path) == "out"
    assert run(sys.executable, "-c", "import sys; print('out'); sys.exit('lost')", folder=tmp_path) == "lost"
    assert len(run(sys.executable, "-c", "print('x' * 5000)", folder=tmp_path)) == 2000


def test_one_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        ToolError, match=r"^running m4 in it: no_such_program cannot be started \(No such .*\); get it$"
    ):
        run(str(tmp_path / "no_such_program"), folder=tmp_path)


def test_one_that_does_not_end(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"^running m4 in it: not done after 0\.2 s; give more time or fewer steps"):
        run(sys.executable, "-c", "import time; time.sleep(60)", folder=tmp_path, timeout_s=0.2)
