"""Every target that this machine can build for and run gives the reference's integers, every step, every state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_seq.backends.trace import trace_names
from edge_seq.support.errors import ParityError, ToolError
from firmware_export.running.run_target import run_on_target
from firmware_export.toolchain.target import Target, load_target, target_names
from tests.targets.running import FURTHER_TARGETS, Case, build, run_case, run_cases

COMBINATIONS = [
    (name, choice.name, emulator.kind)
    for name in target_names()
    for target in [load_target(name)]
    for emulator in target.emulators
    for choice in target.compilers
    if target.compilers
    # Second opinions: zig with the first emulator, the first compiler with the others.
    if emulator is target.emulators[0] or choice is target.compilers[0]
]


def _is_second_opinion(name: str, compiler: str, emulator: str) -> bool:
    """Combinations that default tests run on one target only: another compiler, slow to start, and another emulator."""
    target = load_target(name)
    another = compiler != target.compilers[0].name
    return (
        another
        or name in (*FURTHER_TARGETS, "atmega2560")
        or (emulator != target.emulators[0].kind and name not in ("cortex_m0", "cortex_m4"))
    )


@pytest.mark.parametrize(
    ("name", "compiler", "emulator"),
    [
        pytest.param(*one, id="-".join(one), marks=pytest.mark.slow if _is_second_opinion(*one) else ())
        for one in COMBINATIONS
    ],
)
def test_every_step_and_state(name: str, compiler: str, emulator: str, cases: dict[str, Case], tmp_path: Path) -> None:
    compared = 0
    for case, comparison in run_cases(cases.values(), tmp_path, name, compiler=compiler, emulator=emulator):
        assert comparison.mismatches == 0, f"{case.model.name}: {comparison.first}"
        compared += comparison.values
    assert compared > 50_000


@pytest.mark.parametrize(
    "name",
    ["cortex_m0", "cortex_m4", "riscv32imc", "aarch64", pytest.param("atmega2560", marks=pytest.mark.slow), "powerpc"],
)
def test_traced_builds_show_every_gate(name: str, cases: dict[str, Case], tmp_path: Path) -> None:
    for case, comparison in run_cases(cases.values(), tmp_path, name, traced=True):
        assert comparison.names == trace_names(case.model)
        assert comparison.mismatches == 0


def with_memory(name: str, **changes: int) -> Target:
    """A target with another memory size."""
    target = load_target(name)
    assert target.memory is not None
    return target.model_copy(update={"memory": target.memory.model_copy(update=changes)})


@pytest.mark.parametrize(
    ("name", "emulator", "message"),
    [
        ("cortex_m4", "unicorn", r"in unicorn: Invalid memory write .* at es_\w+\+0x.*lowest address of the stack"),
        ("atmega2560", "simavr", r"in simavr: the stack left its memory at (es_\w+|main)\+0x"),
    ],
)
def test_too_small_a_stack_is_a_fault_with_a_place(
    name: str, emulator: str, message: str, cases: dict[str, Case], tmp_path: Path
) -> None:
    case = cases["lstm_car"]
    program = build([case.folder], tmp_path, with_memory(name, stack_bytes=64), emulator=emulator)
    with pytest.raises(ToolError, match=message):
        run_case(program, case)


def test_stale_images_and_wrong_counts_are_refused(cases: dict[str, Case], tmp_path: Path) -> None:
    case = cases["lstm_car"]
    program = build([case.folder], tmp_path, "cortex_m4")
    with pytest.raises(ParityError, match=r"on cortex_m4: the program holds model .* the C export is stale"):
        run_on_target(program, replace(case.model, labels=("a", "b", "c", "d")), case.counts)
    with pytest.raises(ParityError, match=r"on cortex_m4: counts are int64 .* expected int16"):
        run_on_target(program, case.model, case.counts.astype(np.int64))
    with pytest.raises(ParityError, match=r"on cortex_m4: the program holds \['lstm_car'\]; build it again"):
        run_on_target(program, cases["gru_deep"].model, cases["gru_deep"].counts)


def test_a_buffer_without_room_for_a_step_is_refused(cases: dict[str, Case], tmp_path: Path) -> None:
    case = cases["lstm_car"]
    program = build([case.folder], tmp_path, with_memory("cortex_m4", buffer_bytes=64))
    with pytest.raises(ToolError, match=r"bytes of the harness's buffer, which has 64; raise memory\.buffer_bytes"):
        run_case(program, case)
