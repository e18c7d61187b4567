"""The page on recording and watching: its commands, as they stand, on the emulated board or on a process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Small
from tests.cli.documents import HOW_TO, block, environment, run_shell

PAGE = HOW_TO / "record-and-watch.md"


@pytest.mark.slow
def test_record_run_and_watch(small: Small, tmp_path: Path) -> None:
    if os.name != "posix":
        pytest.skip("emulated boards need pseudo-terminals")
    shutil.copytree(small.run, tmp_path / "run")
    text = block(PAGE, "live")
    monitor = "edge-seq monitor --port board --duration-s"
    assert f"{monitor} 5" in text
    text = text.replace(f"{monitor} 5", f"{monitor} 2")  # it shows what comes, for as long as one likes
    emulate = "edge-seq device emulate run --link board"
    assert f"`{emulate}`" in PAGE.read_text(encoding="utf-8")
    if shutil.which("qemu-system-arm") is None or shutil.which("arm-none-eabi-gcc") is None:
        emulate += " --board posix"
    board = subprocess.Popen(
        ["sh", "-c", f"exec {emulate}"],
        stdout=subprocess.DEVNULL,
        cwd=tmp_path,
        env=environment(tmp_path / "bin"),
        text=True,
    )
    try:
        until = time.monotonic() + 60
        while not (tmp_path / "board").is_symlink():
            assert board.poll() is None
            assert time.monotonic() < until
            time.sleep(0.1)
        done = run_shell(text, tmp_path, timeout_s=200)
    finally:
        board.send_signal(signal.SIGINT)
        board.wait(20)
    assert "drive_07.csv: 50 samples, 5.00 s" in done.stdout
    assert "the recording is complete" in done.stdout
    assert done.stderr.count("edge-seq: 50 samples, 1 labels; the model takes ") == 2
    assert (tmp_path / "drive_07.toml").is_file()
