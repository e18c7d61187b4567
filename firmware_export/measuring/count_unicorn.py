"""Counts the instructions of steps exactly in ``unicorn``, by calling functions of the runtime without a harness.

It counts basic blocks, which is fast enough for ten thousand steps, and the instructions of each block from its bytes.
An instruction that a condition skips therefore counts: it takes a cycle, and other counters count it too.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from edge_seq.ir.model import IntModel
from edge_seq.support.errors import ToolError
from firmware_export.measuring.step_counts import StepCounts, counts_by_place
from firmware_export.running.mail import order_mark
from firmware_export.running.unicorn_machine import UnicornMachine
from firmware_export.toolchain.image import Image
from firmware_export.toolchain.target import UnicornEmulator

_PAINT = 0xA5


class _Stepper:
    """A context of a model in a machine, to run step by step."""

    def __init__(self, image: Image, emulator: UnicornEmulator, model: IntModel) -> None:
        self.machine = UnicornMachine(image, emulator)
        elf = self.machine.elf
        self._mark = order_mark(elf.byte_order)
        self.counts = elf.address_of("es_mail_buffer")
        self._contexts = elf.by_name["es_image_contexts"]
        arguments = (elf.address_of(f"{model.name}_model"), self._contexts.address, self._contexts.size, self.counts)
        if status := self.machine.call("es_init", *arguments):
            raise ToolError(f"measuring {model.name} on {image.target.name}: es_init failed with status {status}")
        self._context = int.from_bytes(self.machine.read(self.counts, 4), elf.byte_order)

    def run(self, sample: NDArray[np.int16]) -> None:
        self.machine.write(self.counts, sample.astype(f"{self._mark}i2").tobytes())
        self.machine.call("es_step", self._context, self.counts)

    def paint(self) -> None:
        bottom, top = (self.machine.elf.address_of(f"es_stack_{end}") for end in ("bottom", "top"))
        self.machine.write(bottom, bytes([_PAINT]) * (top - bottom))

    def painted_over(self) -> int:
        bottom, top = (self.machine.elf.address_of(f"es_stack_{end}") for end in ("bottom", "top"))
        return len(self.machine.read(bottom, top - bottom).lstrip(bytes([_PAINT])))


def count_in_unicorn(
    image: Image, emulator: UnicornEmulator, model: IntModel, counts: NDArray[np.int16], *, enough: int | None = None
) -> StepCounts:
    """Count the instructions of each step of a stream, from the second window on.

    Args:
        image: image without semihosting that contains the model.
        emulator: emulator of the image's target.
        model: model to run.
        counts: raw counts, int16 [N, C], at least two windows, from
            :func:`firmware_export.measuring.step_counts.stream_for_counting`.
        enough: steps, in whole windows, after which counting ends if their cost has turned out to depend on the data;
            None counts all.

    Raises:
        ToolError: the firmware faults.
    """
    length = model.contract.window_length
    stepper = _Stepper(image, emulator, model)
    machine = stepper.machine
    stepper.paint()
    for sample in counts[:length]:
        stepper.run(sample)
    inside: dict[tuple[int, int], list[int]] = {}  # addresses of the instructions of each block
    first_window: Counter[int] = Counter()
    executed: Counter[tuple[int, int]] = Counter()
    costs: list[int] = []
    with machine.blocks(executed):
        for index, sample in enumerate(counts[length:]):
            executed.clear()
            stepper.run(sample)
            for block in executed.keys() - inside.keys():
                inside[block] = machine.instructions_at(*block)
            costs.append(sum(times * len(inside[block]) for block, times in executed.items()))
            if index < length:
                for block, times in executed.items():
                    first_window.update(dict.fromkeys(inside[block], times))
            elif enough is not None and len(costs) >= enough and len(costs) % length == 0 and _varies(costs, length):
                break
    minimum, maximum, steps = counts_by_place(costs, length)
    by_function = machine.elf.count_by_function(first_window)
    return StepCounts("instructions", minimum, maximum, steps, by_function, stepper.painted_over())


def _varies(costs: list[int], length: int) -> bool:
    minimum, maximum, _ = counts_by_place(costs, length)
    return bool((minimum != maximum).any())
