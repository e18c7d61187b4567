"""Every target that this machine can build for and run gives the reference's integers, every step, every state."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from edge_seq.backends.reference_int import run_reference
from edge_seq.backends.trace import trace_names
from edge_seq.errors import ParityError, ToolError
from edge_seq.ir.model import IntModel
from edge_seq.parity.compare import compare
from firmware_export.run_target import TargetProgram, build_for_target, run_on_target
from firmware_export.target import MissingToolError, load_target, target_names
from tests.zoo import extreme_counts, random_counts

COMBINATIONS = [
    (name, choice.name, emulator.kind)
    for name in target_names()
    for target in [load_target(name)]
    for emulator in target.emulators
    for choice in target.compilers
    if target.compilers
    # The second opinions: zig in the first emulator, the first compiler in the others.
    if emulator is target.emulators[0] or choice is target.compilers[0]
]


def build(folders: list[Path], output: Path, name: str, compiler: str, emulator: str, **options: bool) -> TargetProgram:
    try:
        return build_for_target(folders, output, load_target(name), compiler=compiler, emulator=emulator, **options)
    except MissingToolError as error:
        pytest.skip(str(error))


def counts_for(model: IntModel) -> np.ndarray[tuple[int, int, int], np.dtype[np.int16]]:
    time_steps = 2 * model.contract.window_length + 3
    extremes = extreme_counts(time_steps, model.input_size)
    usual = random_counts(4, time_steps, model.input_size, seed=1, sigma=400)
    return np.concatenate([extremes, usual])


@pytest.mark.parametrize(("name", "compiler", "emulator"), COMBINATIONS, ids=["-".join(c) for c in COMBINATIONS])
def test_every_step_and_state(
    name: str, compiler: str, emulator: str, models: list[IntModel], folders: dict[str, Path], tmp_path: Path
) -> None:
    program = build(list(folders.values()), tmp_path, name, compiler, emulator)
    compared = 0
    for model in models:
        counts = counts_for(model)
        comparison = compare(run_reference(model, counts), run_on_target(program, model, counts))
        assert comparison.mismatches == 0, f"{model.name}: {comparison.first}"
        compared += comparison.values
    assert compared > 50_000


@pytest.mark.parametrize("name", ["cortex_m0", "cortex_m4"])
def test_traced_builds_show_every_gate(
    name: str, models: list[IntModel], folders: dict[str, Path], tmp_path: Path
) -> None:
    target = load_target(name)
    program = build(
        list(folders.values()), tmp_path, name, target.compilers[0].name, target.emulators[0].kind, traced=True
    )
    for model in models:
        counts = counts_for(model)
        found = run_on_target(program, model, counts)
        assert tuple(found.values) == trace_names(model)
        assert compare(run_reference(model, counts), found).mismatches == 0


@pytest.fixture
def copies(folders: dict[str, Path], tmp_path: Path) -> Path:
    """An export to be damaged."""
    return Path(shutil.copytree(folders["lstm_car"], tmp_path / "lstm_car"))


@pytest.mark.parametrize(
    ("path", "pattern", "replacement"),
    [
        ("runtime/src/es_fixed.h", r"\(\(int32_t\)1 << n\) >> 1", "0"),
        ("lstm_car.c", r"(lstm_car_layer0_blocks\[\d+\] = \{\s*\{\.bias = \{-?)(\d+)", r"\g<1>9\g<2>"),
    ],
)
def test_planted_faults_are_seen(
    path: str, pattern: str, replacement: str, copies: Path, models: list[IntModel], tmp_path: Path
) -> None:
    text, changes = re.subn(pattern, replacement, (copies / path).read_text())
    assert changes == 1
    (copies / path).write_text(text)
    model = next(model for model in models if model.name == "lstm_car")
    target = load_target("cortex_m4")
    program = build([copies], tmp_path / "build", target.name, target.compilers[0].name, target.emulators[0].kind)
    counts = counts_for(model)
    comparison = compare(run_reference(model, counts), run_on_target(program, model, counts))
    assert comparison.first is not None
    # A fast kernel has its own rounding; then the fault shows where the plain C pools.
    assert comparison.first.name.startswith(("layer0.", "pooled"))


def test_too_small_a_stack_is_a_fault_with_a_place(
    models: list[IntModel], folders: dict[str, Path], tmp_path: Path
) -> None:
    target = load_target("cortex_m4")
    assert target.memory is not None
    small = target.model_copy(update={"memory": target.memory.model_copy(update={"stack_bytes": 64})})
    try:
        program = build_for_target(folders["lstm_car"], tmp_path, small, emulator="unicorn")
    except MissingToolError as error:
        pytest.skip(str(error))
    model = next(model for model in models if model.name == "lstm_car")
    with pytest.raises(
        ToolError, match=r"in unicorn: Invalid memory write .* at es_\w+\+0x.*lowest address of the stack"
    ):
        run_on_target(program, model, counts_for(model))


def test_stale_images_and_wrong_counts_are_refused(
    models: list[IntModel], folders: dict[str, Path], tmp_path: Path
) -> None:
    from dataclasses import replace

    target = load_target("cortex_m4")
    program = build([folders["lstm_car"]], tmp_path, target.name, target.compilers[0].name, target.emulators[0].kind)
    model = next(model for model in models if model.name == "lstm_car")
    counts = counts_for(model)
    with pytest.raises(ParityError, match=r"on cortex_m4: the program holds model .* the C export is stale"):
        run_on_target(program, replace(model, labels=("a", "b", "c", "d")), counts)
    with pytest.raises(ParityError, match=r"on cortex_m4: counts are int64 .* expected int16"):
        run_on_target(program, model, counts.astype(np.int64))
    with pytest.raises(ParityError, match=r"on cortex_m4: the program holds \['lstm_car'\]; build it again"):
        run_on_target(program, models[0], counts_for(models[0]))


def test_a_buffer_without_room_for_a_step_is_refused(
    models: list[IntModel], folders: dict[str, Path], tmp_path: Path
) -> None:
    target = load_target("cortex_m4")
    assert target.memory is not None
    small = target.model_copy(update={"memory": target.memory.model_copy(update={"buffer_bytes": 64})})
    try:
        program = build_for_target(folders["lstm_car"], tmp_path, small, emulator="unicorn")
    except MissingToolError as error:
        pytest.skip(str(error))
    model = next(model for model in models if model.name == "lstm_car")
    with pytest.raises(ToolError, match=r"bytes of the harness's buffer, which has 64; raise memory\.buffer_bytes"):
        run_on_target(program, model, counts_for(model))
