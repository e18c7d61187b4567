"""The estimate of cycles: the tables of the cores, and the jumps that are counted."""

from __future__ import annotations

from collections import Counter

import pytest

from firmware_export.toolchain.target import MissingToolError
from tests.benchmarks.cycles import CORES, Core, Instruction, Window, cycles, run_window

M0, M0_SLOW, M0_PLUS, M3, M4 = CORES


@pytest.mark.parametrize(
    ("instruction", "before", "core", "expected"),
    [
        (Instruction("ldm", "r7!, {r4, r5, r8-r11}"), None, M0, 7),
        (Instruction("push", "{r4, lr}"), None, M4, 3),
        (Instruction("muls", "r4, r0"), None, M0, 1),
        (Instruction("muls", "r4, r0"), None, M0_SLOW, 32),
        (Instruction("mla", "r0, r4, r8, r0"), None, M3, 2),
        (Instruction("smlad", "r0, r4, r8, r0"), None, M4, 1),
        (Instruction("ldr", "r0, [sp, #4]"), Instruction("adds", "r0, r1"), M4, 2),
        (Instruction("ldrsh", "r0, [r1]"), Instruction("ldr", "r2, [r3]"), M4, 1),
        (Instruction("ldrsh", "r0, [r1]"), Instruction("ldr", "r2, [r3]"), M0, 2),
        (Instruction("strd", "r0, r1, [r2]"), None, M4, 3),
        (Instruction("str", "r0, [r2]"), None, M4, 1),
    ],
)
def test_cycles_of_an_instruction(
    instruction: Instruction, before: Instruction | None, core: Core, expected: int
) -> None:
    assert instruction.cycles(core, before) == expected


def test_a_jump_adds_the_refill_and_an_instruction_that_is_passed_does_not() -> None:
    code = {0: Instruction("subs", "r0, #1"), 2: Instruction("bne", "0"), 4: Instruction("pop", "{r4, pc}")}
    code[6] = Instruction("nop", "")
    window = Window(Counter({0: 10, 2: 10, 4: 1}), Counter({4: 9, 6: 1}), code, bytes=42)
    assert cycles(M0, window) == 10 + 10 + 9 * 2 + 3 + 3
    assert cycles(M0_PLUS, window) == 10 + 10 + 9 * 1 + 3 + 2


@pytest.mark.slow
def test_cycles_of_a_window() -> None:
    try:
        window = run_window("cortex_m0", "car", "rnn")
    except MissingToolError as error:
        pytest.skip(str(error))
    instructions = sum(window.executed.values())
    assert 2 * instructions <= window.bytes <= 2.1 * instructions  # 16-bit Thumb but for BL
    assert 50 * 8 * 2 <= sum(window.jumps.values()) < instructions / 10  # two jumps a block at least
    assert 1.1 < cycles(M0, window) / instructions < 1.5
