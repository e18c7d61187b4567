"""Counts the cycles and the stack of steps on a simulated AVR."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_seq.ir.model import IntModel
from firmware_export.measuring.step_counts import StepCounts, counts_by_place
from firmware_export.running.mail import make_orders, open_answer, order_mark
from firmware_export.running.simavr_machine import run_in_simavr
from firmware_export.toolchain.image import Image
from firmware_export.toolchain.target import SimavrEmulator


def count_in_simavr(
    image: Image, emulator: SimavrEmulator, model: IntModel, counts: NDArray[np.int16], *, timeout_s: float = 600.0
) -> StepCounts:
    """Like :func:`firmware_export.measuring.count_unicorn.count_in_unicorn`, but in cycles and not by function.

    Raises:
        ToolError: the firmware faults.
    """
    mark = order_mark("little")
    orders = list(make_orders(image, model, counts[np.newaxis], mark=mark, keep=False, at_once=1))
    answers = run_in_simavr(image, emulator, orders, timeout_s=timeout_s)
    for answer in answers:
        open_answer(answer.head, model, traced=image.traced, mark=mark, where=image.target.name)
    length = model.contract.window_length
    minimum, maximum, steps = counts_by_place([answer.cycles for answer in answers[length:]], length)
    return StepCounts("cycles", minimum, maximum, steps, stack_bytes=max(answer.stack_bytes for answer in answers))
