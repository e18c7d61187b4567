"""The README's commands that record, run and watch, as they stand, on the emulated board or on a process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Small
from tests.cli.test_readme import README, readme_block


def test_record_run_and_watch(small: Small, tmp_path: Path) -> None:
    if os.name != "posix":
        pytest.skip("emulated boards need pseudo-terminals")
    shutil.copytree(small.run, tmp_path / "run")
    block = readme_block("live")
    monitor = "edge-seq monitor --port board --duration-s"
    assert f"{monitor} 5" in block
    block = block.replace(f"{monitor} 5", f"{monitor} 2")  # it shows what comes, for as long as one likes
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    options = {"cwd": tmp_path, "env": {**os.environ, "PATH": path}, "text": True}
    emulate = "edge-seq device emulate run --link board"
    assert f"`{emulate}`" in README
    if shutil.which("qemu-system-arm") is None or shutil.which("arm-none-eabi-gcc") is None:
        emulate += " --board posix"
    board = subprocess.Popen(["sh", "-c", f"exec {emulate}"], stdout=subprocess.DEVNULL, **options)  # type: ignore[call-overload]
    try:
        until = time.monotonic() + 60
        while not (tmp_path / "board").is_symlink():
            assert board.poll() is None
            assert time.monotonic() < until
            time.sleep(0.1)
        done = subprocess.run(
            ["sh", "-eu", "-c", block],
            capture_output=True,
            check=False,
            timeout=200,
            **options,  # type: ignore[call-overload]
        )
    finally:
        board.send_signal(signal.SIGINT)
        board.wait(20)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "drive_07.csv: 50 samples, 5.00 s" in done.stdout
    assert "it is whole" in done.stdout
    assert done.stderr.count("edge-seq: 50 samples, 1 labels; the model takes ") == 2
    assert (tmp_path / "drive_07.toml").is_file()
