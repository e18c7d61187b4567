"""Counts the instructions of steps exactly with a QEMU plugin: on machines that ``unicorn`` does not know, and of
programs for Linux on other processors."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.ir.model import IntModel
from edge_seq.support.errors import ToolError
from firmware_export.emission.emit import RUNTIME_FOLDER
from firmware_export.measuring.step_counts import StepCounts, counts_by_place
from firmware_export.running.mail import make_orders, order_mark
from firmware_export.running.qemu_machine import run_in_qemu
from firmware_export.toolchain.build import compile_c, find_compiler
from firmware_export.toolchain.elf import ElfImage, read_elf
from firmware_export.toolchain.host import HostProgram, run_on_host
from firmware_export.toolchain.image import Image
from firmware_export.toolchain.target import QemuSystemEmulator, QemuUserEmulator

_SOURCE = RUNTIME_FOLDER / "port" / "qemu" / "es_count_steps.c"


def count_in_qemu(
    image: Image, emulator: QemuSystemEmulator, model: IntModel, counts: NDArray[np.int16], *, timeout_s: float = 600.0
) -> StepCounts:
    """Like :func:`firmware_export.measuring.count_unicorn.count_in_unicorn`, but without the stack.

    Args:
        image: semihosted image that contains the model.
        emulator: emulator of the image's target.
        model: model to run.
        counts: raw counts, int16 [N, C].
        timeout_s: time limit for all steps, seconds.

    Raises:
        ToolError: the plugin cannot be built, QEMU does not support plugins, or the firmware faults.
    """
    mark = order_mark(image.content.byte_order)
    orders = list(make_orders(image, model, counts[np.newaxis], mark=mark, keep=False))

    def run(*options: str) -> None:
        counting = emulator.model_copy(update={"arguments": (*emulator.arguments, *options)})
        run_in_qemu(image, counting, orders, mark=mark, timeout_s=timeout_s)

    where = f"{model.name} on {image.target.name}"
    return _count(image.content, run, model, len(counts), where=where, program=emulator.program)


def count_in_qemu_user(
    program: HostProgram,
    emulator: QemuUserEmulator,
    model: IntModel,
    counts: NDArray[np.int16],
    *,
    timeout_s: float = 600.0,
) -> StepCounts:
    """Like :func:`count_in_qemu`, for a program that runs in QEMU's user mode.

    Args:
        program: statically linked program that contains the model.
        emulator: emulator that the program was built for.
        model: model to run.
        counts: raw counts, int16 [N, C].
        timeout_s: time limit for all steps, seconds.

    Raises:
        ToolError: the plugin cannot be built, QEMU does not support plugins, or the program fails.
    """

    def run(*options: str) -> None:
        counting = replace(program, emulator=(*program.emulator, *options))
        run_on_host(counting, model, counts[np.newaxis], timeout_s=timeout_s)

    where = f"{model.name} in {emulator.program}"
    return _count(read_elf(program.path), run, model, len(counts), where=where, program=emulator.program)


def _count(
    elf: ElfImage, run: Callable[..., None], model: IntModel, steps: int, *, where: str, program: str
) -> StepCounts:
    """Count while ``run`` runs ``steps`` steps with the options that it is given."""
    length = model.contract.window_length
    code = [(one.address, one.address + one.size) for one in elf.symbols if one.is_function and one.size]
    with tempfile.TemporaryDirectory() as name:
        plugin, found = Path(name) / "es_count_steps.so", Path(name) / "counts.txt"
        compile_c(find_compiler(), [_SOURCE], plugin, flags=["-std=c99", "-O2", "-shared", "-fPIC"])
        places = {
            "step": elf.address_of("es_step"),
            "begin": min(begin for begin, _ in code),
            "end": max(end for _, end in code),
            "window": length,
        }
        said = ",".join(f"{name}={value}" for name, value in places.items())
        run("-plugin", f"{plugin},{said},out={found}")
        lines = [[int(number) for number in line.split()] for line in found.read_text(encoding="ascii").splitlines()]
    each = [numbers[0] for numbers in lines if len(numbers) == 1]
    executed = Counter({numbers[0]: numbers[1] for numbers in lines if len(numbers) == 2})
    if len(each) != steps:
        raise ToolError(
            f"measuring {where}: {len(each)} steps were counted, expected {steps}; is this {program} built with "
            f"plugins? Try: {program} -help"
        )
    minimum, maximum, counted = counts_by_place(each[length:], length)
    return StepCounts("instructions", minimum, maximum, counted, elf.count_by_function(executed))
