"""The C sources of the wire and its ports: no warnings, MISRA rules, no global state, small."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from firmware_export.emission.emit import RUNTIME_FOLDER
from firmware_export.running.board import PORT_FOLDER, WIRE_FOLDER
from firmware_export.toolchain.build import STRICT_FLAGS, Compiler, compile_c

HEADERS = Path(__file__).parent / "headers"
FOLDERS = ("include", "src", "wire", "load", "port/board")
INCLUDES = [RUNTIME_FOLDER / name for name in FOLDERS]
AVR = ("-Wno-avr-rtlib-linking-quirks",)
WIRE = WIRE_FOLDER / "es_wire.c"


def compiler(*command: str) -> Compiler:
    path = shutil.which(command[0])
    if path is None:
        pytest.skip(f"{command[0]} is not on this machine; .ci/run installs it")
    return Compiler(command[0], (path, *command[1:]))


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        (("gcc",), ("-O2",)),
        (("gcc",), ("-O0", "-fanalyzer")),
        (("clang",), ("-O2",)),
        (("arm-none-eabi-gcc", "-mthumb", "-mcpu=cortex-m0"), ("-Os",)),
        (("clang", "--target=msp430"), ("-ffreestanding", "-fsyntax-only")),
        (("clang", "--target=avr", "-mmcu=atmega328p"), ("-ffreestanding", "-fsyntax-only", *AVR)),
        (("clang", "--target=powerpc"), ("-ffreestanding", "-fsyntax-only")),
    ],
)  # fmt: skip
def test_the_wire_without_warnings(command: tuple[str, ...], flags: tuple[str, ...], tmp_path: Path) -> None:
    compile_c(
        compiler(*command), [WIRE], tmp_path / "x.o", flags=[*STRICT_FLAGS, *flags, "-c"], include_folders=INCLUDES
    )


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_the_board_of_this_machine_without_warnings(name: str, tmp_path: Path) -> None:
    source = PORT_FOLDER / "board_posix" / "es_board_posix.c"
    compile_c(compiler(name), [source], tmp_path / "x.o", flags=[*STRICT_FLAGS, "-O2", "-c"], include_folders=INCLUDES)


def test_the_board_of_qemu_without_warnings(tmp_path: Path) -> None:
    source = PORT_FOLDER / "board_qemu" / "es_board_qemu.c"
    tool = compiler("arm-none-eabi-gcc", "-mthumb", "-mcpu=cortex-m4")
    flags = [*STRICT_FLAGS, "-ffreestanding", "-O2", "-c"]
    compile_c(tool, [source], tmp_path / "x.o", flags=flags, include_folders=[*INCLUDES, PORT_FOLDER / "bare"])


def test_the_port_of_arduino_compiles(tmp_path: Path) -> None:
    flags = ["-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror", "-O2", "-c"]
    flags.append("-DARDUINO=10819")
    port = PORT_FOLDER / "arduino"
    compile_c(
        compiler("g++"),
        [port / "es_arduino.cpp"],
        tmp_path / "x.o",
        flags=flags,
        include_folders=[*INCLUDES, port, HEADERS / "arduino"],
    )


@pytest.mark.parametrize(
    "command", [("gcc",), ("clang",), ("arm-none-eabi-gcc", "-mthumb", "-mcpu=cortex-m4")], ids=lambda c: c[0]
)
def test_the_template_of_stm32_compiles(command: tuple[str, ...], tmp_path: Path) -> None:
    port = PORT_FOLDER / "stm32_hal"
    flags = [*STRICT_FLAGS, "-O2", "-c", '-DES_STM32_HAL_HEADER="stm32_hal.h"']
    includes = [*INCLUDES, port, HEADERS / "stm32"]
    compile_c(compiler(*command), [port / "es_stm32_hal.c"], tmp_path / "x.o", flags=flags, include_folders=includes)


def test_the_header_compiles_from_c_plus_plus_and_twice(tmp_path: Path) -> None:
    source = tmp_path / "one.cpp"
    source.write_text('#include "es_wire.h"\n#include "es_wire.h"\nint main() { return 0; }\n')
    flags = ["-std=c++11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    compile_c(compiler("g++"), [source], tmp_path / "x", flags=flags, include_folders=INCLUDES)


def test_no_globals_no_heap_no_library(tmp_path: Path) -> None:
    tool = compiler("gcc")
    compile_c(tool, [WIRE], tmp_path / "x.o", flags=["-std=c99", "-O2", "-fno-pic", "-c"], include_folders=INCLUDES)
    listing = subprocess.run(["nm", str(tmp_path / "x.o")], capture_output=True, text=True, check=True).stdout
    for line in listing.splitlines():
        kind, name = line.split()[-2:]
        assert kind in "TtRrU", f"{name} of kind {kind}: neither code nor constant"
        assert kind != "U" or name.startswith("es_") or name in ("memcpy", "memset")
    code = re.sub(r'/\*.*?\*/|"[^"\n]*"', "", WIRE.read_text(), flags=re.DOTALL)
    assert not re.search(r"\b(float|double|malloc|free|goto)\b", code)


def test_misra_but_for_the_deviations() -> None:
    if not shutil.which("cppcheck"):
        pytest.skip("cppcheck is not on this machine; sudo apt-get install cppcheck")
    deviations = RUNTIME_FOLDER.parent / "misra_suppressions.txt"
    done = subprocess.run(
        [
            "cppcheck", "--std=c99", "--addon=misra", "--quiet", "--template={id} {file}:{line}",
            f"--suppressions-list={deviations}", "-I../include", "-I../src", "-I.", "es_wire.c",
        ],
        cwd=WIRE_FOLDER,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    said = sorted(set((done.stdout + done.stderr).splitlines()))
    if any("misra" in line and "not found" in line.lower() for line in said):
        pytest.skip("this cppcheck comes without its MISRA add-on")
    assert said == []
