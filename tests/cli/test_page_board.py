"""The page on connecting a board: its commands with the emulated board, as they stand, and its firmware compiled."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Small, ok
from tests.cli.documents import HOW_TO, block, run_shell

PAGE = HOW_TO / "connect-your-board.md"


@pytest.mark.slow
def test_on_an_emulated_board(small: Small, tmp_path: Path) -> None:
    if not (shutil.which("qemu-system-arm") and shutil.which("arm-none-eabi-gcc")):
        pytest.skip("no emulated board on this machine; sudo apt-get install qemu-system-arm gcc-arm-none-eabi")
    shutil.copytree(small.run, tmp_path / "run")
    done = run_shell(block(PAGE, "board"), tmp_path, timeout_s=300)
    for words in ("5 of 5 answers", "free stack", "golden vectors are met", "integer reference = C on the board"):
        assert words in done.stdout
    assert "it holds" in done.stdout
    last = json.loads((tmp_path / "run" / "reports" / "verify.json").read_text())["rungs"][-1]
    assert (last["name"], last["verdict"]) == ("integer reference = C on the board", "holds")
    assert last["comparison"]["steps"] >= 10_000
    assert last["comparison"]["mismatches"] == 0
    assert last["figures"]["ticks_a_step"] > 0
    assert last["figures"]["free_stack_bytes"] > 0


def test_the_firmware_compiles_without_a_warning(small: Small, tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler called cc on this machine")
    run = Path(shutil.copytree(small.run, tmp_path / "run"))
    text = block(PAGE, "firmware.c").replace('"car', '"small').replace("car_", "small_").replace("CAR_", "SMALL_")
    (tmp_path / "firmware.c").write_text(text)
    ok("export", run)
    c = run / "exports" / "c"
    folders = [f"-I{folder}" for folder in (c, c / "runtime" / "include", c / "runtime" / "wire")]
    warnings = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
    command = [compiler, *warnings, *folders, "-c", str(tmp_path / "firmware.c"), "-o", str(tmp_path / "firmware.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "firmware.o").stat().st_size > 0
