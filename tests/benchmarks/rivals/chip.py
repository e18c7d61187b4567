"""Builds a classifier in C for a target, runs windows through it in unicorn, and counts its instructions.

The program is one C text with ``int32_t rival_step(const int16_t *counts)``: the label after the last sample of a
window, -1 before. It is built and counted as an exported model is: the same compiler, flags, linker script and counter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.support.errors import ToolError
from edge_seq.support.results import Result
from firmware_export.emission.emit import RUNTIME_FOLDER
from firmware_export.measuring.sizes import measure_sizes
from firmware_export.running.unicorn_machine import UnicornMachine
from firmware_export.toolchain.image import Image, build_firmware
from firmware_export.toolchain.target import BARE_FOLDER, Target, UnicornEmulator, find_emulator

_HARNESS = """#include "es_mail.h"
int32_t rival_step(const int16_t *counts);
es_mail_t es_mail;
es_mail_buffer_t es_mail_buffer;
int main(void)
{
    for (;;) {
        es_mail_wait();
        es_mail.status = (uint32_t)rival_step(es_mail_buffer.counts);
    }
}
"""
_PAINT = 0xA5


@dataclass(frozen=True)
class ChipFigures(Result):
    """What a classifier costs on a target.

    Attributes:
        least, median, most: instructions of a window, over the windows that were run.
        flash_bytes, ram_bytes: of the linked image without the harness.
        stack_bytes: deepest stack that was seen.
        windows: number of windows.
    """

    least: int
    median: int
    most: int
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int
    windows: int


def build(
    program: str, folder: Path, target: Target, *, include: Sequence[Path] = (), libraries: Sequence[str] = ()
) -> Image:
    """Compile and link a classifier for a target.

    Args:
        program: C with ``rival_step``.
        folder: folder for the sources and the image.
        target: bare machine that runs in unicorn.
        include: more folders of headers.
        libraries: linker options for libraries, before those of the target.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source, harness = folder / "rival.c", folder / "es_harness.c"
    source.write_text(program, encoding="utf-8")
    harness.write_text(_HARNESS, encoding="utf-8")
    if libraries:
        compilers = [one.model_copy(update={"libraries": (*libraries, *one.libraries)}) for one in target.compilers]
        target = target.model_copy(update={"compilers": tuple(compilers)})
    built = build_firmware(
        target,
        [
            source,
            harness,
            *(BARE_FOLDER / f"{part}.c" for part in ("es_memory", f"es_start_{target.start}", "es_wait")),
        ],
        folder / "built",
        root=folder,
        include_folders=[*include, *(RUNTIME_FOLDER / part for part in ("include", "src", "port")), BARE_FOLDER],
        flags=["-DES_MAIL_BUFFER_BYTES=64u"],
    )
    return Image(built.elf, target, built.compiler, ("rival",), False, built.objects)


def run(image: Image, counts: NDArray[np.int16]) -> tuple[NDArray[np.int64], ChipFigures]:
    """Run windows, one after the other.

    Args:
        image: image of :func:`build`.
        counts: raw counts, int16 [B, T, C], at least one window.

    Returns:
        Labels int64 [B], and what was counted.

    Raises:
        ToolError: the target does not run in unicorn, or a label comes before the end of a window, or none at the end.
    """
    emulator = find_emulator(image.target)
    if not isinstance(emulator, UnicornEmulator):
        raise ToolError(f"counting on {image.target.name}: it runs in {emulator.name}, and only unicorn is used here")
    machine = UnicornMachine(image, emulator)
    buffer = machine.elf.address_of("es_mail_buffer")
    bottom, top = (machine.elf.address_of(f"es_stack_{end}") for end in ("bottom", "top"))
    machine.write(bottom, bytes([_PAINT]) * (top - bottom))
    inside: dict[tuple[int, int], int] = {}
    executed: Counter[tuple[int, int]] = Counter()
    labels, costs = [], []
    with machine.blocks(executed):
        for window in counts:
            executed.clear()
            for index, sample in enumerate(window):
                machine.write(buffer, sample.astype("<i2").tobytes())
                label = machine.call("rival_step", buffer)
                if (label != 2**32 - 1) != (index == len(window) - 1):
                    raise ToolError(f"running {image.target.name}: label {label} after sample {index}")
            for block in executed.keys() - inside.keys():
                inside[block] = len(machine.instructions_at(*block))
            labels.append(label)
            costs.append(sum(times * inside[block] for block, times in executed.items()))
    stack = len(machine.read(bottom, top - bottom).lstrip(bytes([_PAINT])))
    sizes = measure_sizes(machine.elf, ("rival",))
    least, median, most = (int(one) for one in (min(costs), np.median(costs), max(costs)))
    return np.array(labels), ChipFigures(least, median, most, sizes.flash, sizes.ram, stack, len(costs))
