"""Measures what an exported model costs on a target: flash, RAM, stack, instructions, and an estimated latency."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_never

from edge_seq.ir.model import IntModel
from edge_seq.support.errors import ToolError
from firmware_export.measuring.count_qemu import count_in_qemu, count_in_qemu_user
from firmware_export.measuring.count_simavr import count_in_simavr
from firmware_export.measuring.count_unicorn import count_in_unicorn
from firmware_export.measuring.sizes import Sizes, measure_sizes
from firmware_export.measuring.stack import DeepestStack, deepest_stack
from firmware_export.measuring.step_counts import ENOUGH, STEPS, StepCounts, stream_for_counting
from firmware_export.running.run_target import TargetProgram, build_for_target, require_answer
from firmware_export.toolchain.budgets import Budgets
from firmware_export.toolchain.host import HostProgram
from firmware_export.toolchain.image import Image
from firmware_export.toolchain.target import (
    Clock,
    Emulator,
    HostEmulator,
    QemuSystemEmulator,
    QemuUserEmulator,
    SimavrEmulator,
    Target,
    UnicornEmulator,
    WasmtimeEmulator,
)
from firmware_export.toolchain.wasm_module import WasmModule


@dataclass(frozen=True)
class Latency:
    """Estimated time to process a window.

    Attributes:
        lowest_us, highest_us: range of the time, microseconds.
        assumption: clock and cycles per instruction that the estimate assumes.
    """

    lowest_us: float
    highest_us: float
    assumption: str


@dataclass(frozen=True)
class Measurement:
    """Cost of a model on a target. A value is None if it was not measured; a note gives the reason.

    Attributes:
        model, target: names of the model and the target.
        detail: compiler and emulator.
        sizes: sizes of the linked image, without the harness.
        stack: worst-case stack along the call graph.
        steps: counted instructions or cycles, and the largest stack observed.
        latency: estimated time per window.
        notes: what was not measured, with the reason.
    """

    model: str
    target: str
    detail: str
    sizes: Sizes | None
    stack: DeepestStack | None
    steps: StepCounts | None
    latency: Latency | None
    notes: tuple[str, ...] = ()

    @property
    def stack_bytes(self) -> int | None:
        """Worst-case stack in bytes, or the largest stack observed if the worst case is not known."""
        if self.stack is not None:
            return self.stack.bytes
        return None if self.steps is None else self.steps.stack_bytes

    @property
    def instructions(self) -> int | None:
        """Instructions per window, if instructions were counted."""
        return self.steps.window if self.steps is not None and self.steps.unit == "instructions" else None

    @property
    def cycles(self) -> int | None:
        """Cycles per window, if cycles were counted."""
        return self.steps.window if self.steps is not None and self.steps.unit == "cycles" else None


@dataclass(frozen=True)
class Overrun:
    """A budget that is exceeded.

    Attributes:
        target: name of the target.
        budget: name of the budget, for example ``max_ram``.
        found: measured value.
        limit: largest allowed value.
        costliest: symbol that costs most, with its cost.
    """

    target: str
    budget: str
    found: int
    limit: int
    costliest: str

    def __str__(self) -> str:
        return (
            f"{self.target}: {self.budget} is {self.limit:,}, found {self.found:,}: {self.found - self.limit:,} over. "
            f"{self.costliest} costs most; reduce hidden_size or the number of layers, or raise {self.budget}"
        )


def measure(
    folder: Path, model: IntModel, target: Target, *, steps: int | None = None, deepest: bool = True
) -> Measurement:
    """Build a model for a target and measure its cost there.

    Args:
        folder: export folder, written by :func:`firmware_export.emission.emit.export_c`.
        model: the exported model.
        target: target from :func:`firmware_export.toolchain.target.load_target`.
        steps: least number of steps to count, on random and extreme counts; two windows are always run. None counts
            10,000; unicorn stops after 400 where the cost of a step depends on the data, which a note says.
        deepest: False leaves out the worst-case stack. A compiler cache then compiles the runtime only once.

    Raises:
        MissingToolError: a compiler or an emulator is missing; the message says what to install.
        ToolError, ExportError: the export does not compile, or the firmware faults.
    """
    with tempfile.TemporaryDirectory() as name:
        program = build_for_target(folder, Path(name), target, stack_figures=deepest)
        require_answer(program, model)
        counts = stream_for_counting(model, STEPS if steps is None else steps)
        if isinstance(program.built, HostProgram):
            return _measure_program(program.built, program, model, counts)
        if isinstance(program.built, WasmModule):
            note = "not measured: WebAssembly is compiled for the processor that it runs on"
            return Measurement(model.name, target.name, program.detail, None, None, None, None, (note,))
        image = program.built
        elf = image.content
        notes = []
        try:
            stack = deepest_stack(image) if deepest else None
            if stack is not None and stack.unknown:
                notes.append(
                    f"worst-case stack without {', '.join(stack.unknown)}, which have no figure from the compiler"
                )
        except ToolError as error:
            stack = None
            notes.append(f"worst-case stack not measured: {error}")
        counted = _count(image, program.emulator, model, counts, enough=ENOUGH if steps is None else None)
        if steps is None and counted.steps < STEPS:
            notes.append(
                f"stopped after {counted.steps:,} of {STEPS:,} steps: their cost depends on the data, so no number of "
                f"steps gives its bound; --steps {STEPS} counts them all"
            )
        if counted.stack_bytes is None:
            notes.append(f"observed stack: not measured, {program.emulator.name} does not show it")
        elif stack is not None and counted.stack_bytes > stack.bytes:
            notes.append(
                f"worst-case stack not measured: {counted.stack_bytes} bytes were observed, more than the "
                f"{stack.bytes} along {' > '.join(function for function, _ in stack.path)}; the call graph lacks a "
                "call, please report this"
            )
            stack = None
        sizes = measure_sizes(elf, image.names)
        latency = None if target.clock is None else estimate_latency(counted, target.clock)
        return Measurement(model.name, target.name, program.detail, sizes, stack, counted, latency, tuple(notes))


def _measure_program(
    built: HostProgram, program: TargetProgram, model: IntModel, counts: NDArray[np.int16]
) -> Measurement:
    """Measure what can be measured of a program of an operating system: the instructions, if it runs in QEMU."""
    if isinstance(program.emulator, QemuUserEmulator):
        steps = count_in_qemu_user(built, program.emulator, model, counts)
        note = (
            "flash, RAM, stack and latency not measured: a program of an operating system has no image whose sections "
            "could be told apart, and its processor has caches; only instructions are counted"
        )
        return Measurement(model.name, program.target.name, program.detail, None, None, steps, None, (note,))
    note = (
        f"not measured: a program of an operating system, run in {program.emulator.name}, has no image whose "
        "sections could be told apart, and its instructions are not counted"
    )
    return Measurement(model.name, program.target.name, program.detail, None, None, None, None, (note,))


def _count(
    image: Image, emulator: Emulator, model: IntModel, counts: NDArray[np.int16], *, enough: int | None
) -> StepCounts:
    match emulator:
        case UnicornEmulator():
            return count_in_unicorn(image, emulator, model, counts, enough=enough)
        case QemuSystemEmulator():
            return count_in_qemu(image, emulator, model, counts)
        case SimavrEmulator():
            return count_in_simavr(image, emulator, model, counts)
        case QemuUserEmulator() | WasmtimeEmulator() | HostEmulator():
            raise ToolError(f"measuring {model.name} on {image.target.name}: an image does not run in {emulator.name}")
        case unreachable:
            assert_never(unreachable)


def estimate_latency(steps: StepCounts, clock: Clock) -> Latency:
    """Estimate the latency of a window, from counted cycles or from instructions times cycles per instruction."""
    us = 1e6 * steps.window / clock.hz
    at = f"at {clock.hz / 1e6:g} MHz"
    if steps.unit == "cycles":
        return Latency(us, us, f"{at}, cycles as counted")
    low, high = clock.cycles_per_instruction
    return Latency(us * low, us * high, f"{at}, {low:g} to {high:g} cycles an instruction: {clock.reason}")


def check_budgets(measurement: Measurement, budgets: Budgets) -> tuple[list[Overrun], list[str]]:
    """Return the budgets that are exceeded, and the names of those that were not measured and cannot be checked."""
    sizes, stack, steps = measurement.sizes, measurement.stack, measurement.steps
    functions = [] if steps is None else steps.by_function.most_common(1)
    found: dict[str, tuple[int | None, list[tuple[str, int]]]] = {
        "max_flash": (sizes.flash if sizes else None, list(sizes.flash_symbols if sizes else ())),
        "max_ram": (sizes.ram if sizes else None, list(sizes.ram_symbols if sizes else ())),
        "max_stack": (measurement.stack_bytes, sorted(stack.path if stack else (), key=lambda one: -one[1])),
        "max_instructions": (measurement.instructions, functions),
    }
    overruns, unchecked = [], []
    for name, limit in budgets.model_dump(exclude_none=True).items():
        value, symbols = found[name]
        if value is None:
            unchecked.append(name)
        elif value > limit:
            costliest = f"{symbols[0][0]} ({symbols[0][1]:,})" if symbols else "the model"
            overruns.append(Overrun(measurement.target, name, value, limit, costliest))
    return overruns, unchecked
