"""Builds and runs models on targets, for tests."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_seq.backends.trace import Trace
from edge_seq.ir.model import IntModel
from edge_seq.parity.compare import Comparison, compare
from firmware_export.running.mail import Order, order_mark
from firmware_export.running.qemu_machine import run_in_qemu
from firmware_export.running.run_target import TargetProgram, build_for_target, run_on_target
from firmware_export.running.simavr_machine import run_in_simavr
from firmware_export.running.unicorn_machine import UnicornMachine
from firmware_export.toolchain.image import Image, build_firmware
from firmware_export.toolchain.target import (
    BARE_FOLDER,
    MissingToolError,
    QemuSystemEmulator,
    SimavrEmulator,
    Target,
    UnicornEmulator,
    find_emulator,
    load_target,
)
from tests.zoo import extreme_counts, random_counts

ONE_BY_ONE = 0x1000  # bytes of RAM: parts with less hold one model of the tests at a time


@dataclass(frozen=True)
class Case:
    """A model, its export, counts int16 [B, T, C] and the reference's trace of them."""

    model: IntModel
    folder: Path
    counts: NDArray[np.int16]
    expected: Trace


def counts_for(model: IntModel) -> NDArray[np.int16]:
    """Counts int16 [12, T, C]: extremes and typical sensor counts, for two windows and a part of one more."""
    time_steps = 2 * model.contract.window_length + 3
    extremes = extreme_counts(time_steps, model.num_channels)
    usual = random_counts(4, time_steps, model.num_channels, seed=1, sigma=400)
    return np.concatenate([extremes, usual])


# Left to slow tests: near relatives of riscv32imc, of the Cortex-M4 and of aarch64, and WebAssembly, which the test of
# its package runs by default.
FURTHER_TARGETS = ("riscv32imac", "riscv32imac_zb", "wasm32", "cortex_m7", "cortex_m33", "armhf")


def build(
    folders: list[Path], output: Path, target: str | Target, *, compiler: str = "", emulator: str = "", **options: bool
) -> TargetProgram:
    """Build for a target; skips the test if a tool is missing."""
    loaded = load_target(target) if isinstance(target, str) else target
    try:
        return build_for_target(
            folders, output, loaded, compiler=compiler or None, emulator=emulator or None, **options
        )
    except MissingToolError as error:
        pytest.skip(str(error))


def run_case(program: TargetProgram, case: Case) -> Comparison:
    """Run on a target, and compare with the reference."""
    return compare(case.expected, run_on_target(program, case.model, case.counts))


def run_cases(
    cases: Iterable[Case],
    output: Path,
    target: str | Target,
    *,
    compiler: str = "",
    emulator: str = "",
    **options: bool,
) -> Iterator[tuple[Case, Comparison]]:
    """Each case with its comparison of a target with the reference; all in one image if they fit."""
    together = list(cases)
    loaded = load_target(target) if isinstance(target, str) else target
    memory = loaded.memory
    small = memory is not None and memory.ram_bytes < ONE_BY_ONE
    for index, group in enumerate([[case] for case in together] if small else [together]):
        folders = [case.folder for case in group]
        program = build(folders, output / str(index), loaded, compiler=compiler, emulator=emulator, **options)
        for case in group:
            yield case, run_case(program, case)


def build_bare(
    target_name: str,
    sources: Sequence[Path],
    folder: Path,
    *,
    models: tuple[str, ...],
    includes: Sequence[Path],
    flags: Sequence[str] = (),
) -> Image:
    """An image with a program of the test in place of the harness; skips the test if a tool is missing.

    Args:
        target_name: a bare target.
        sources: the runtime, and a program with ``es_mail`` that answers orders (see :func:`ask_bare`).
        folder: the image is built here.
        models: names of the models in it.
        includes: folders of headers.
        flags: flags of the compiler.
    """
    target = load_target(target_name)
    try:
        semihosted = isinstance(find_emulator(target), QemuSystemEmulator)
        parts = ["es_memory", f"es_start_{target.start}", "es_wait_semihosted" if semihosted else "es_wait"]
        built = build_firmware(
            target,
            [*sources, *(BARE_FOLDER / f"{part}.c" for part in parts)],
            folder / "built",
            root=folder,
            include_folders=[*includes, BARE_FOLDER.parent, BARE_FOLDER],
            flags=["-DES_MAIL_BUFFER_BYTES=64u", *flags],
        )
    except MissingToolError as error:
        pytest.skip(str(error))
    return Image(built.elf, target, built.compiler, models, False, built.objects, semihosted)


def ask_bare(image: Image, number: int = 0) -> tuple[int, ...]:
    """Send one order with a number to an image of :func:`build_bare`: the 7 words of its answer."""
    image = replace(image)  # the file may have been changed since its content was read
    mark = order_mark(image.content.byte_order)
    order = Order(struct.pack(f"{mark}5I", 0, 1, number, 1, 0), b"", 0, 0, 0)
    emulator = find_emulator(image.target)
    match emulator:
        case UnicornEmulator():
            machine = UnicornMachine(image, emulator)
            mail = machine.elf.address_of("es_mail")
            machine.write(mail, order.head)
            machine.resume(timeout_s=600)
            answer = machine.read(mail, 28)
        case SimavrEmulator():
            answer = run_in_simavr(image, emulator, [order], timeout_s=600)[0].head
        case QemuSystemEmulator():
            ((answer, _),) = run_in_qemu(image, emulator, [order], mark=mark, timeout_s=600)
        case _:
            pytest.fail(f"{image.target.name} is not bare: {emulator}")
    return struct.unpack(f"{mark}7I", answer[:28])
