"""Golden vectors on an emulated big-endian machine: no word of the runtime or of the data depends on byte order."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from firmware_export.emission.emit import RUNTIME_FOLDER
from firmware_export.toolchain.build import Compiler, compile_c
from tests.c.cases import cases_header

HERE = Path(__file__).parent / "big_endian"


def test_self_tests_on_a_big_endian_machine(zoo_folders: dict[str, Path], tmp_path: Path) -> None:
    for program in ("arm-none-eabi-gcc", "qemu-system-arm"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not on this machine")
    (tmp_path / "cases.h").write_text(cases_header(list(zoo_folders)))
    generated = [folder / f"{name}{part}.c" for name, folder in zoo_folders.items() for part in ("", "_golden")]
    flags = "-std=c99 -O2 -mcpu=cortex-a15 -marm -mbig-endian -nostdlib -ffreestanding -Wl,--be8 -Wl,-Ttext=0x40010000"
    firmware = compile_c(
        Compiler("arm-none-eabi-gcc", ("arm-none-eabi-gcc",)),
        [HERE / "start.S", HERE / "main.c", *sorted((RUNTIME_FOLDER / "src").glob("*.c")), *generated],
        tmp_path / "firmware.elf",
        flags=flags.split(),
        include_folders=[RUNTIME_FOLDER / "include", RUNTIME_FOLDER / "src", tmp_path, *zoo_folders.values()],
    )
    command = ["qemu-system-arm", "-M", "virt", "-cpu", "cortex-a15", "-nographic", "-kernel", str(firmware)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, stdin=subprocess.DEVNULL)
    assert zoo_folders
    assert done.stdout.splitlines() == ["big-endian", *(f"{name}: ok" for name in zoo_folders)]
