"""Counts the instructions of steps exactly with a QEMU plugin, for machines that ``unicorn`` does not know."""

from __future__ import annotations

import tempfile
from collections import Counter
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
from firmware_export.toolchain.image import Image
from firmware_export.toolchain.target import QemuSystemEmulator

_SOURCE = RUNTIME_FOLDER / "port" / "qemu" / "es_count_steps.c"
_HARNESS = ".harness_text"


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
    elf = image.content
    harness = next(section for section in elf.sections if section.name == _HARNESS)
    orders = list(make_orders(image, model, counts[np.newaxis], mark=order_mark(elf.byte_order), keep=False))
    with tempfile.TemporaryDirectory() as name:
        plugin, found = Path(name) / "es_count_steps.so", Path(name) / "counts.txt"
        compile_c(find_compiler(), [_SOURCE], plugin, flags=["-std=c99", "-O2", "-shared", "-fPIC"])
        length = model.contract.window_length
        code = [(one.address, one.address + one.size) for one in elf.symbols if one.is_function]
        places = {
            "step": elf.address_of("es_step"),
            "from": harness.address,
            "to": harness.address + harness.size,
            "begin": min(begin for begin, _ in code),
            "end": max(end for _, end in code),
            "window": length,
        }
        said = ",".join(f"{name}={value}" for name, value in places.items())
        arguments = (*emulator.arguments, "-plugin", f"{plugin},{said},out={found}")
        counting = emulator.model_copy(update={"arguments": arguments})
        run_in_qemu(image, counting, orders, mark=order_mark(elf.byte_order), timeout_s=timeout_s)
        lines = [[int(number) for number in line.split()] for line in found.read_text(encoding="ascii").splitlines()]
    each = [numbers[0] for numbers in lines if len(numbers) == 1]
    executed = Counter({numbers[0]: numbers[1] for numbers in lines if len(numbers) == 2})
    if len(each) != len(counts):
        raise ToolError(
            f"measuring {model.name} on {image.target.name}: {len(each)} steps were counted, expected {len(counts)}; "
            f"is this {emulator.program} built with plugins? Try: {emulator.program} -plugin help"
        )
    minimum, maximum, steps = counts_by_place(each[length:], length)
    return StepCounts("instructions", minimum, maximum, steps, elf.count_by_function(executed))
