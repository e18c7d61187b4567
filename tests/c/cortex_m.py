"""Firmware images for the Cortex-M parts that QEMU emulates, for the tests of the kernels."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from firmware_export.build import STRICT_FLAGS, Compiler, compile_c
from firmware_export.emit import RUNTIME_FOLDER

PORT = RUNTIME_FOLDER / "port" / "cortex_m"
GCC = Compiler("arm-none-eabi-gcc", ("arm-none-eabi-gcc", "-mthumb"))
INSTALL = "sudo apt-get install gcc-arm-none-eabi qemu-system-arm"


@dataclass(frozen=True)
class Part:
    """An emulated part: QEMU's machine, compiler flags, and where it differs from memory.ld, its memory."""

    machine: str
    flags: tuple[str, ...]
    memory: dict[str, int]


_LARGE = {"ES_FLASH_BYTES": 0x400000, "ES_RAM_BYTES": 0x400000}
PARTS = {
    "m0": Part("microbit", ("-mcpu=cortex-m0",), {"ES_FLASH_BYTES": 0x40000, "ES_RAM_BYTES": 0x4000}),
    "m3": Part("mps2-an385", ("-mcpu=cortex-m3",), _LARGE),
    "m4": Part("mps2-an386", ("-mcpu=cortex-m4", "-mfloat-abi=hard"), _LARGE),
    "m7": Part("mps2-an500", ("-mcpu=cortex-m7", "-mfloat-abi=hard"), _LARGE),
    "m33": Part(
        "mps2-an505",
        ("-mcpu=cortex-m33", "-mfloat-abi=hard"),
        {**_LARGE, "ES_FLASH_ORIGIN": 0x10000000, "ES_RAM_ORIGIN": 0x38000000},
    ),
    "m55": Part("mps3-an547", ("-mcpu=cortex-m55", "-mfloat-abi=hard"), {"ES_RAM_BYTES": 0x80000}),
}


def missing_tools() -> str:
    """Why nothing can be emulated here, with the command that helps; empty where all is there."""
    missing = [tool for tool in ("arm-none-eabi-gcc", "qemu-system-arm") if not shutil.which(tool)]
    return f"{' and '.join(missing)} not on this machine; {INSTALL}" if missing else ""


def build_firmware(
    part: Part, sources: Sequence[Path], output: Path, *, include_folders: Sequence[Path], flags: Sequence[str]
) -> Path:
    """An image of the sources, the runtime and the port."""
    memory = [f"-Wl,--defsym={name}={value:#x}" for name, value in part.memory.items()]
    return compile_c(
        GCC,
        [*sorted((RUNTIME_FOLDER / "src").glob("*.c")), PORT / "es_cortex_m.c", *sources],
        output,
        flags=[
            *STRICT_FLAGS, *part.flags, *flags, "-ffreestanding", "-nostartfiles", "-ffunction-sections",
            "-fdata-sections", "-Wl,--gc-sections", "-Wl,--no-warn-rwx-segments", f"-T{PORT / 'memory.ld'}", *memory,
        ],
        include_folders=[RUNTIME_FOLDER / "include", PORT, *include_folders],
    )  # fmt: skip


def run_firmware(part: Part, image: Path, *options: str, timeout_s: float = 300.0) -> str:
    """What an image says; raises CalledProcessError where it exits with another code than 0."""
    command = ["qemu-system-arm", "-M", part.machine, "-nographic", "-monitor", "none", "-serial", "null"]
    command += ["-semihosting-config", "enable=on,target=native", "-kernel", str(image), *options]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, check=True, stdin=subprocess.DEVNULL
    )
    return done.stdout + done.stderr
