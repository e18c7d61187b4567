"""Cycles of the reference models on Cortex-M, estimated from counted instructions and published tables.

    python -m tests.benchmarks.cycles --out docs/results/cycles.md

Every executed instruction is counted in unicorn, and every branch that is taken. A table of the core's reference manual
gives the cycles of each. This is an estimate: write buffers, bus contention and the alignment of branch targets are not
in it.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from firmware_export.measuring.reference_models import CELLS, SHAPES, reference_counts, reference_model
from firmware_export.running.run_target import build_for_target
from firmware_export.running.unicorn_machine import UnicornMachine
from firmware_export.toolchain.image import Image
from firmware_export.toolchain.target import UnicornEmulator, load_target


@dataclass(frozen=True)
class Core:
    """Cycles of a core's instructions, without wait states.

    Attributes:
        name: name of the core.
        target: target whose code it runs.
        load, store: a single load or store.
        pipelined: True if a load right after another access takes one cycle.
        refill: cycles that a taken branch adds.
        call: cycles that BL adds.
        pop_pc: cycles that a load of several registers adds if the program counter is among them.
        multiply: cycles of MULS.
        accumulate: cycles of MLA.
        long_multiply: cycles of SMULL.
        source: the reference manual.
    """

    name: str
    target: str
    load: int
    store: int
    pipelined: bool
    refill: int
    call: int
    pop_pc: int
    multiply: int
    accumulate: int
    long_multiply: int
    source: str


_M0 = (
    "Arm DDI 0432C, Cortex-M0 Technical Reference Manual, section 3.3: MULS 1 or 32, LDR 2, LDM 1 + N, POP with PC "
    "4 + N, a taken branch 3, BL 4; checked in copies of this table only"
)
CORES = (
    Core("Cortex-M0", "cortex_m0", 2, 2, False, 2, 3, 3, 1, 1, 1, _M0),
    Core("Cortex-M0, multiplier of 32 cycles", "cortex_m0", 2, 2, False, 2, 3, 3, 32, 1, 1, _M0),
    Core(
        *("Cortex-M0+", "cortex_m0", 2, 2, False, 1, 2, 2, 1, 1, 1),
        "Arm DDI 0484C, Cortex-M0+ Technical Reference Manual, table 3.1: MULS 1 or 32, LDR 2; a taken branch 2, BL 3, "
        "POP with PC 3 + N, checked in copies of this table only",
    ),
    Core(
        *("Cortex-M3", "cortex_m3", 2, 1, True, 2, 2, 2, 1, 2, 4),
        "Arm DDI 0337I, Cortex-M3 Technical Reference Manual, table 3.1: MLA 2, SMULL 3 to 5 (here 4), a jump 1 to 3 "
        "(here 2), a load behind a load 1; without the cycle that a load waits for an address that was just computed",
    ),
    Core(
        *("Cortex-M4", "cortex_m4", 2, 1, True, 2, 2, 2, 1, 1, 1),
        "Arm 100166, Cortex-M4 Technical Reference Manual, table 3-1: MLA and SMULL 1, a jump 1 to 3 (here 2)",
    ),
)
_BRANCH = re.compile(r"^(b(l|x|lx)?|b(eq|ne|cs|cc|hs|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)|cbz|cbnz)$")
_SEVERAL = ("ldm", "stm", "push", "pop")


@dataclass(frozen=True)
class Instruction:
    """One instruction of a disassembly: name without its width, operands."""

    name: str
    operands: str

    @property
    def registers(self) -> int:
        """Number of registers in braces."""
        inside = re.search(r"\{(.*)\}", self.operands)
        count = 0
        for part in inside[1].split(",") if inside else []:
            first, _, last = part.strip().partition("-")
            count += int(last[1:]) - int(first[1:]) + 1 if last else 1
        return count

    @property
    def is_access(self) -> bool:
        return self.name.startswith(("ldr", "str"))

    def cycles(self, core: Core, before: Instruction | None) -> int:
        """Cycles when no branch is taken, after another instruction."""
        if self.name.startswith(_SEVERAL):
            return 1 + self.registers
        if self.name in ("ldrd", "strd"):
            return 3
        if self.name.startswith("ldr"):
            return 1 if core.pipelined and before is not None and before.is_access else core.load
        if self.name.startswith("str"):
            return core.store
        if self.name in ("mul", "muls"):
            return core.multiply
        if self.name in ("mla", "mls"):
            return core.accumulate
        return core.long_multiply if self.name in ("smull", "umull", "smlal", "umlal") else 1

    def jump(self, core: Core) -> int:
        """Cycles that a jump adds."""
        if self.name.startswith(_SEVERAL):
            return core.pop_pc
        return core.call if self.name == "bl" else core.refill


def disassembly(image: Image) -> dict[int, Instruction]:
    """Instructions of an image by address."""
    text = subprocess.run(
        ["arm-none-eabi-objdump", "-d", "--no-show-raw-insn", str(image.elf)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lines = re.findall(r"^ +([0-9a-f]+):\t(\S+)[ \t]*([^@;\n]*)", text, re.MULTILINE)
    return {int(at, 16): Instruction(name.split(".")[0], operands) for at, name, operands in lines}


@dataclass(frozen=True)
class Window:
    """What one window executes.

    Attributes:
        executed: how often each instruction is executed, by its address.
        jumps: how often execution did not go on at an address, but jumped before it.
        code: instructions by address.
        bytes: bytes of all executed instructions.
    """

    executed: Counter[int]
    jumps: Counter[int]
    code: dict[int, Instruction]
    bytes: int


@functools.cache
def run_window(target: str, name: str, cell: str) -> Window:
    """Run the second window of a reference model."""
    model, counts = reference_model(name, cell), reference_counts(SHAPES[name], windows=1)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        export_c(model, make_golden(model, counts), Path(folder) / "export")
        program = build_for_target(Path(folder) / "export", Path(folder) / "built", load_target(target))
        image, emulator = program.built, program.emulator
        assert isinstance(image, Image)
        assert isinstance(emulator, UnicornEmulator)
        machine = UnicornMachine(image, emulator)
        elf = machine.elf
        buffer, contexts = elf.address_of("es_mail_buffer"), elf.by_name["es_image_contexts"]
        machine.call("es_init", elf.address_of(f"{name}_model"), contexts.address, contexts.size, buffer)
        context = int.from_bytes(machine.read(buffer, 4), "little")
        blocks: Counter[tuple[int, int]] = Counter()
        jumps: Counter[int] = Counter()
        for part in range(2):
            for sample in counts[0]:
                machine.write(buffer, sample.astype("<i2").tobytes())
                if part == 0:
                    machine.call("es_step", context, buffer)
                else:
                    with machine.blocks(blocks), machine.jumps(jumps):
                        machine.call("es_step", context, buffer)
        executed: Counter[int] = Counter()
        for block, times in blocks.items():
            executed.update(dict.fromkeys(machine.instructions_at(*block), times))
        size = sum(block[1] * times for block, times in blocks.items())
        return Window(executed, jumps, disassembly(image), size)


def cycles(core: Core, window: Window) -> int:
    """Cycles of a window without wait states."""
    addresses = sorted(window.code)
    following = dict(itertools.pairwise(addresses))
    before = {after: at for at, after in following.items()}
    total = 0
    for at, times in window.executed.items():
        instruction = window.code[at]
        previous = window.code[before[at]] if before.get(at) in window.executed else None
        total += times * instruction.cycles(core, previous)
        total += window.jumps.get(following.get(at, 0), 0) * instruction.jump(core)
    return total


def page(wait_states: int, fetch_bytes: int, clock_hz: float) -> str:
    """The table as Markdown."""
    rows = []
    for core in CORES:
        for cell in CELLS:
            window = run_window(core.target, "car", cell)
            instructions, found = sum(window.executed.values()), cycles(core, window)
            waiting = found + wait_states * window.bytes // fetch_bytes
            rows.append(
                f"| {core.name} | {cell} | {instructions:,} | {found:,} | {found / instructions:.2f} "
                f"| {waiting:,} | {1e3 * waiting / clock_hz:.1f} |"
            )
    sources = "".join(f"* {core.name}: {core.source}\n" for core in CORES if "," not in core.name)
    sources += (
        "* Cortex-M7, M33, M55: no estimate. Arm publishes no table of the M7's cycles\n"
        "  ([measurements of others](https://www.quinapalus.com/cm7cycles.html)); none of the M33 or M55 was found.\n"
    )
    return (
        "# Cycles on Cortex-M\n\n"
        "Written by `python -m tests.benchmarks.cycles`; do not edit. An estimate for one window of the reference\n"
        "model car: each counted instruction and each taken branch has the cycles of the core's reference manual.\n"
        f"With wait states: each {fetch_bytes} bytes of executed code wait for the flash, cycles: {wait_states}, as\n"
        f"without a cache or prefetch. The last column is that at {clock_hz / 1e6:g} MHz. Reading weights from the\n"
        "flash is not delayed. No board has measured this yet.\n\n"
        "| core | cell | instructions | cycles | an instruction | with wait states | ms |\n"
        "|---|---|---|---|---|---|---|\n" + "\n".join(rows) + f"\n\nSources:\n\n{sources}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="Markdown file to write.")
    parser.add_argument("--wait-states", type=int, default=1, help="cycles that a read of the flash waits")
    parser.add_argument("--fetch-bytes", type=int, default=4, help="bytes that a read of the flash brings")
    parser.add_argument("--clock-hz", type=float, default=48e6, help="clock for the column of milliseconds")
    given = parser.parse_args()
    given.out.write_text(page(given.wait_states, given.fetch_bytes, given.clock_hz), encoding="utf-8")


if __name__ == "__main__":
    main()
