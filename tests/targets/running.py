"""Builds and runs models on targets, for tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_seq.backends.trace import Trace
from edge_seq.ir.model import IntModel
from edge_seq.parity.compare import Comparison, compare
from firmware_export.running.run_target import TargetProgram, build_for_target, run_on_target
from firmware_export.toolchain.target import MissingToolError, Target, load_target
from tests.zoo import extreme_counts, random_counts

ONE_BY_ONE = 0x1000  # bytes of RAM: parts with less hold one model of the tests at a time


@dataclass(frozen=True)
class Case:
    """A model, its export, counts int16 [B, T, C] and the reference's trace of them."""

    model: IntModel
    folder: Path
    counts: NDArray[np.int16]
    expected: Trace


def counts_for(model: IntModel) -> NDArray[np.int16]:
    """Counts int16 [12, T, C]: extremes and typical sensor counts, for two windows and a part of one more."""
    time_steps = 2 * model.contract.window_length + 3
    extremes = extreme_counts(time_steps, model.input_size)
    usual = random_counts(4, time_steps, model.input_size, seed=1, sigma=400)
    return np.concatenate([extremes, usual])


# Left to slow tests: near relatives of riscv32imc, and WebAssembly, which the test of its package runs by default.
FURTHER_TARGETS = ("riscv32imac", "riscv32imac_zb", "wasm32")


def build(
    folders: list[Path], output: Path, target: str | Target, *, compiler: str = "", emulator: str = "", **options: bool
) -> TargetProgram:
    """Build for a target; skips the test if a tool is missing."""
    loaded = load_target(target) if isinstance(target, str) else target
    try:
        return build_for_target(
            folders, output, loaded, compiler=compiler or None, emulator=emulator or None, **options
        )
    except MissingToolError as error:
        pytest.skip(str(error))


def run_case(program: TargetProgram, case: Case) -> Comparison:
    """Run on a target, and compare with the reference."""
    return compare(case.expected, run_on_target(program, case.model, case.counts))


def run_cases(
    cases: Iterable[Case],
    output: Path,
    target: str | Target,
    *,
    compiler: str = "",
    emulator: str = "",
    **options: bool,
) -> Iterator[tuple[Case, Comparison]]:
    """Each case with its comparison of a target with the reference; all in one image if they fit."""
    together = list(cases)
    loaded = load_target(target) if isinstance(target, str) else target
    memory = loaded.memory
    small = memory is not None and memory.ram_bytes < ONE_BY_ONE
    for index, group in enumerate([[case] for case in together] if small else [together]):
        folders = [case.folder for case in group]
        program = build(folders, output / str(index), loaded, compiler=compiler, emulator=emulator, **options)
        for case in group:
            yield case, run_case(program, case)
