"""C equals the integer reference in every step and every state, on every build."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_seq.backends.reference_int import run_reference
from edge_seq.backends.trace import Trace, trace_names
from edge_seq.ir.kinds import kind_of
from edge_seq.ir.model import IntModel
from edge_seq.support.errors import ToolError
from firmware_export.toolchain.build import Compiler, compile_c
from firmware_export.toolchain.host import HostProgram, run_chunks, run_on_host
from tests.zoo import CELLS, extreme_counts, random_counts

pytestmark = pytest.mark.usefixtures("uncached")
STEPS_FOR_EACH_CELL = 1_000_000
SANITIZED = ("-std=c99", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
BUILDS = [
    ("gcc", ("-std=c99", "-O0")),
    ("gcc", ("-std=c99", "-O3")),
    ("gcc", ("-std=c99", "-Os", "-funsigned-char")),
    ("gcc", SANITIZED),
    ("gcc", ("-std=c99", "-O2", "-m32")),
    ("clang", ("-std=c99", "-O0")),
    ("clang", ("-std=c99", "-O2")),
    ("clang", ("-std=c99", "-O3")),
    ("clang", SANITIZED),
    ("zig", ("-std=c99", "-O0")),  # zig adds undefined-behaviour traps here, and is slow to start the first time
    ("zig", ("-std=c99", "-O2")),  # zig treats -O3 in the same way
]
# Other builds are similar: sanitizers of gcc, and -O2 of clang.
SLOW = [
    *(("zig", ("-std=c99", level)) for level in ("-O0", "-O2")),
    *(("clang", ("-std=c99", level)) for level in ("-O0", "-O3")),
    ("gcc", ("-std=c99", "-O0")),
    ("clang", SANITIZED),
]


def counts_for(model: IntModel, steps: int, *, seed: int = 0) -> NDArray[np.int16]:
    """Counts int16 [B, T, C] with at least ``steps`` samples: extremes, noise, and typical sensor counts, for some
    consecutive windows and a part of one more."""
    time_steps = 2 * model.contract.window_length + 3
    channels = model.num_channels
    extremes = extreme_counts(time_steps, channels, seed=seed)
    each = max(4, -(-(steps - len(extremes) * time_steps) // (2 * time_steps)))
    anything = random_counts(each, time_steps, channels, seed=seed)
    usual = random_counts(each, time_steps, channels, seed=seed + 1, sigma=400)
    return np.concatenate([extremes, anything, usual])


def assert_equal(model: IntModel, found: Trace, expected: Trace) -> int:
    """Compare values and return their number; fails at the first difference."""
    compared = 0
    for name, values in found.values.items():
        differs = np.argwhere(values != expected.values[name])
        if len(differs):
            window, step, index = differs[0]
            pytest.fail(
                f"{model.name}: {len(differs)} values differ, first window {window}, step {step}, {name}[{index}]: "
                f"C {values[window, step, index]}, reference {expected.values[name][window, step, index]}"
            )
        compared += values.size
    return compared


@pytest.mark.parametrize(
    "cell", [cell if cell == "lstm" else pytest.param(cell, marks=pytest.mark.slow) for cell in CELLS]
)
def test_a_million_steps_of_each_cell(
    cell: str, zoo: list[IntModel], build_zoo: Callable[..., HostProgram], compilers: dict[str, Compiler]
) -> None:
    compiler = compilers.get("gcc") or next(iter(compilers.values()), None)
    if compiler is None:
        pytest.skip("no C compiler on this machine")
    program = build_zoo(compiler, ("-std=c99", "-O2"))
    models = [model for model in zoo if kind_of(model.layers[0]).name == cell]
    steps = 0
    for seed, model in enumerate(models):
        counts = counts_for(model, STEPS_FOR_EACH_CELL // len(models) + 1, seed=seed)
        for part, trace in run_chunks(program, model, counts, chunk_steps=16384):
            assert_equal(model, trace, run_reference(model, counts[part]))
        steps += counts.shape[0] * counts.shape[1]
    assert steps >= STEPS_FOR_EACH_CELL


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        pytest.param(*one, id=f"{one[0]}{''.join(one[1][1:])}", marks=pytest.mark.slow if one in SLOW else ())
        for one in BUILDS
    ],
)
def test_every_build_agrees(
    name: str,
    flags: tuple[str, ...],
    zoo: list[IntModel],
    build_zoo: Callable[..., HostProgram],
    compilers: dict[str, Compiler],
    references: dict[str, tuple[NDArray[np.int16], Trace]],
    tmp_path: Path,
) -> None:
    if name not in compilers:
        pytest.skip(f"{name} is not on this machine")
    if "-m32" in flags or "-fsanitize=address,undefined" in flags:
        _skip_if_unable(compilers[name], flags, tmp_path)
    program = build_zoo(compilers[name], flags)
    for model in zoo:
        counts, expected = references[model.name]
        assert assert_equal(model, run_on_host(program, model, counts), expected) > 1000


def _skip_if_unable(compiler: Compiler, flags: tuple[str, ...], folder: Path) -> None:
    source = folder / "nothing.c"
    source.write_text('#include <stdio.h>\nint main(void) { return puts("") < 0; }\n')
    try:
        compile_c(compiler, [source], folder / "nothing", flags=flags)
    except ToolError as error:
        pytest.skip(f"this machine cannot build with {' '.join(flags)}: {str(error).splitlines()[-1]}")


@pytest.fixture(scope="module")
def references(zoo: list[IntModel]) -> dict[str, tuple[NDArray[np.int16], Trace]]:
    """Counts of about 1,000 steps and the reference's trace of them, by model name."""
    counts = {model.name: counts_for(model, 1000) for model in zoo}
    return {model.name: (counts[model.name], run_reference(model, counts[model.name])) for model in zoo}


def test_traced_build_shows_every_gate(
    zoo: list[IntModel],
    build_zoo: Callable[..., HostProgram],
    compilers: dict[str, Compiler],
    references: dict[str, tuple[NDArray[np.int16], Trace]],
) -> None:
    if not compilers:
        pytest.skip("no C compiler on this machine")
    program = build_zoo(next(iter(compilers.values())), ("-std=c99", "-O2"), traced=True)
    for model in zoo:
        counts, expected = references[model.name]
        trace = run_on_host(program, model, counts)
        assert tuple(trace.values) == trace_names(model)
        assert_equal(model, trace, expected)
