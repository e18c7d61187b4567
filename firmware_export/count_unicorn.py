"""Steps counted in ``unicorn``, exactly and without a harness: the functions of the runtime are called one by one.

Every instruction of a window is seen by a hook, which is slow. That later steps take exactly as many is then proven by
the emulator's limit: after one instruction less a step has not returned, after one more it has. A step for which this
is not so is run again, and seen by the hook.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from edge_seq.errors import ToolError
from edge_seq.ir.model import IntModel
from firmware_export.image import Image
from firmware_export.mail import order_mark
from firmware_export.step_counts import StepCounts
from firmware_export.target import UnicornEmulator
from firmware_export.unicorn_machine import UnicornMachine

_PAINT = 0xA5
_ENOUGH_DIFFERENT = 300  # steps that are not as the first ones; what differs need not be counted to the end


class _Stepper:
    """A context of a model in a machine, and its steps."""

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

    def begin(self, sample: NDArray[np.int16]) -> None:
        """Everything but the first instruction of a step."""
        self.machine.write(self.counts, sample.astype(f"{self._mark}i2").tobytes())
        self.machine.begin_call("es_step", self._context, self.counts)

    def run(self, sample: NDArray[np.int16]) -> None:
        self.begin(sample)
        self.machine.call("es_step", self._context, self.counts)

    def profile(self, sample: NDArray[np.int16], instructions: Counter[int]) -> int:
        """How many instructions a step takes, seen one by one."""
        before = instructions.total()
        with self.machine.profile(instructions):
            self.run(sample)
        return instructions.total() - before

    def takes(self, sample: NDArray[np.int16], expected: int) -> bool:
        """Whether a step takes exactly so many; if not, it is as if it had not begun."""
        state = self.machine.read(self._contexts.address, self._contexts.size)
        self.begin(sample)
        if not self.machine.run_instructions(expected - 1) and self.machine.run_instructions(1):
            return True
        self.machine.write(self._contexts.address, state)
        return False

    def paint(self) -> None:
        bottom, top = (self.machine.elf.address_of(f"es_stack_{end}") for end in ("bottom", "top"))
        self.machine.write(bottom, bytes([_PAINT]) * (top - bottom))

    def painted_over(self) -> int:
        bottom, top = (self.machine.elf.address_of(f"es_stack_{end}") for end in ("bottom", "top"))
        return len(self.machine.read(bottom, top - bottom).lstrip(bytes([_PAINT])))


def count_in_unicorn(image: Image, emulator: UnicornEmulator, model: IntModel, counts: NDArray[np.int16]) -> StepCounts:
    """Count the instructions of each step of a stream, from the second window on.

    Args:
        image: that holds the model; not semihosted.
        emulator: of the image's target.
        model: to step.
        counts: int16 [N, C], two windows or more, from :func:`firmware_export.step_counts.stream_for_counting`.

    Raises:
        ToolError: where the firmware faults.
    """
    length = model.contract.window_length
    stepper = _Stepper(image, emulator, model)
    stepper.paint()
    for sample in counts[:length]:
        stepper.run(sample)
    instructions: Counter[int] = Counter()
    first = [stepper.profile(sample, instructions) for sample in counts[length : 2 * length]]
    minimum, maximum = np.array(first), np.array(first)
    steps, different = length, 0
    for index, sample in enumerate(counts[2 * length :]):
        place = index % length
        if different == _ENOUGH_DIFFERENT and place == 0:
            break
        if not stepper.takes(sample, first[place]):
            different = min(different + 1, _ENOUGH_DIFFERENT)
            found = stepper.profile(sample, Counter())
            minimum[place], maximum[place] = min(minimum[place], found), max(maximum[place], found)
        steps += 1
    by_function: Counter[str] = Counter()
    for address, times in instructions.items():
        function = stepper.machine.elf.function_at(address)
        by_function[function.name if function else f"{address:#x}"] += times
    return StepCounts("instructions", minimum, maximum, steps, by_function, stepper.painted_over())
