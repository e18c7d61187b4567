"""Every kernel on a target that uses it, with sizes that reach each loop and remainder: every step, every state."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_seq.backends.reference_int import run_reference
from edge_seq.ir.model import IntModel
from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from firmware_export.toolchain.target import load_target
from tests.targets.running import Case, run_cases
from tests.zoo import (
    CELLS,
    awkward_models,
    convolution,
    extreme_counts,
    extreme_model,
    quantized_model,
    random_counts,
    spec,
)

# Cortex-M7 and M33 use the kernels of an M4. tests/c and test_host_library.py test the kernels of hosts; here QEMU (7.2
# or newer) runs those for AVX2, on any host.
THUMB1, THUMB2, HELIUM = "cortex_m0", ("cortex_m3", "cortex_m4"), "cortex_m55"
RISCV = "riscv32imc"
NEON = ("aarch64", "armhf")
AVX2 = str(Path(__file__).parents[1] / "benchmarks" / "x86_64_avx2.toml")
# The cells whose kernels have the most code, and one for each further kernel.
QUICK = {("cortex_m0", "gru"), ("cortex_m0", "lstm"), ("cortex_m3", "rnn"), ("cortex_m4", "lstm"), ("cortex_m4", "gru"),
         ("cortex_m55", "lstm"), ("riscv32imc", "gru")}  # fmt: skip
BUILDS = {
    **{level: {"optimization": level} for level in ("-O0", "-O1", "-O3", "-Os")},
    "plain": {"defines": ("ES_KERNEL=ES_KERNEL_PLAIN",)},
}


def _kernel_models(cell: str) -> list[IntModel]:
    """Awkward models of a cell, with sizes that reach every loop and remainder of the kernels."""
    large = {
        "loops": spec(cell, 75, 10, channels=13, window_length=3, label_every="sample"),
        "even": spec(cell, 80, 24, channels=12, window_length=3),
        "odd": spec(cell, 68, 6, channels=9, classes=9, window_length=3, at_window_end="carry"),
        "har": spec(cell, 32, channels=9, classes=6, window_length=12),
        "nibbles": spec(cell, 75, 24, channels=13, window_length=3, weight_bits=(4, 4)),
        "few_nibbles": spec(cell, 32, 12, channels=3, window_length=3, weight_bits=(4, 4)),
        "three_axes": spec(cell, 32, channels=3, window_length=3),
        "six_axes": spec(cell, 32, 6, channels=6, window_length=3),
    }
    models = awkward_models((cell,))
    for seed, (name, shape) in enumerate(large.items()):
        models.append(quantized_model(shape, name=f"{cell}_{name}", seed=seed, amplitude=3.0))
        models.append(extreme_model(shape, name=f"{cell}_{name}_extreme", seed=seed))
    return models


def _hard_counts(model: IntModel) -> NDArray[np.int16]:
    """Counts int16 [W, N, C]: moderate noise, full-range noise, and patterns of extremes."""
    steps, channels = min(2 * model.contract.window_length, 60), model.num_channels
    moderate = random_counts(2, steps, channels, seed=1, sigma=500)
    return np.concatenate([moderate, random_counts(1, steps, channels, seed=2), extreme_counts(steps, channels)])


@pytest.fixture(scope="module")
def kernel_cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Case]]:
    """Models by cell."""
    root = tmp_path_factory.mktemp("kernels")
    found: dict[str, list[Case]] = {}
    for cell in CELLS:
        for model in _kernel_models(cell):
            counts = _hard_counts(model)
            export_c(model, make_golden(model, counts[:1]), root / model.name)
            found.setdefault(cell, []).append(Case(model, root / model.name, counts, run_reference(model, counts)))
    return found


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        pytest.param(name, cell, marks=() if (name, cell) in QUICK else pytest.mark.slow)
        for name in (THUMB1, *THUMB2, HELIUM, RISCV, AVX2)
        for cell in CELLS
    ],
)
def test_every_loop_and_remainder(name: str, cell: str, kernel_cases: dict[str, list[Case]], tmp_path: Path) -> None:
    target = load_target(name)
    if target.memory is not None:
        roomy = target.memory.model_copy(update={"flash_bytes": 0x80000})
        target = target.model_copy(update={"memory": roomy})
    for case, comparison in run_cases(kernel_cases[cell], tmp_path, target):
        assert comparison.mismatches == 0, f"{case.model.name}: {comparison.first}"


# Convolutions and dense layers whose rows see 1 to 27 groups in one and in two pieces, in 1 to 9 blocks.
AROUND = {
    "long": spec(
        *("rnn", 5),
        channels=9,
        window_length=8,
        front=(convolution(16, "relu", 5), convolution(36, "tanh", 5), convolution(7, "none", 3)),
        dense=((20, "relu"), (33, "tanh"), (5, "none")),
    ),
    "short": spec(
        *("rnn", 4),
        channels=1,
        window_length=14,
        front=(convolution(9, "none", 7), convolution(12, "relu", 3, dilation=2), convolution(24, "tanh", 4, stride=2)),
        dense=((4, "none"),),
    ),
}


@pytest.fixture(scope="module")
def around_cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """Models of :data:`AROUND`."""
    root = tmp_path_factory.mktemp("around")
    models = [quantized_model(shape, name=f"{name}_quantized", seed=1, amplitude=3.0) for name, shape in AROUND.items()]
    models += [extreme_model(shape, name=f"{name}_extreme", seed=1) for name, shape in AROUND.items()]
    cases = []
    for model in models:
        counts = _hard_counts(model)
        export_c(model, make_golden(model, counts[:1]), root / model.name)
        cases.append(Case(model, root / model.name, counts, run_reference(model, counts)))
    return cases


@pytest.mark.parametrize("level", ["-O2", pytest.param("-Os", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "name", [HELIUM, *[pytest.param(name, marks=pytest.mark.slow) for name in (THUMB1, *THUMB2, RISCV, *NEON, AVX2)]]
)
def test_convolutions_and_dense_layers(name: str, level: str, around_cases: list[Case], tmp_path: Path) -> None:
    target = load_target(name).model_copy(update={"optimization": level})
    for case, comparison in run_cases(around_cases, tmp_path, target):
        assert comparison.mismatches == 0, f"{case.model.name}: {comparison.first}"


@pytest.mark.parametrize(
    "build", [one if one == "-O3" else pytest.param(one, marks=pytest.mark.slow) for one in BUILDS]
)
@pytest.mark.parametrize(
    "name",
    [*[pytest.param(name, marks=pytest.mark.slow) for name in (THUMB1, THUMB2[0], RISCV, HELIUM)], *THUMB2[1:]],
)
def test_however_it_is_compiled(name: str, build: str, kernel_cases: dict[str, list[Case]], tmp_path: Path) -> None:
    ends = ("loops", "wide_extreme", "odd", "mixed", "three_axes")
    cases = [case for of_cell in kernel_cases.values() for case in of_cell if case.model.name.endswith(ends)]
    assert len(cases) == len(CELLS) * len(ends)
    for case, comparison in run_cases(cases, tmp_path, load_target(name).model_copy(update=BUILDS[build])):
        assert comparison.mismatches == 0, f"{case.model.name}: {comparison.first}"


def _by_default(name: str, compiler: str, level: str, cell: str) -> bool:
    """The one combination for default tests is that which gcc 12.2 compiled wrongly before."""
    return (name, compiler, level, cell) == ("aarch64", "aarch64-linux-gnu-gcc", "-O3", "lstm")


@pytest.mark.parametrize(
    ("name", "compiler", "level", "cell"),
    [
        pytest.param(*one, marks=() if _by_default(*one) else pytest.mark.slow)
        for name in NEON
        for compiler in [choice.name for choice in load_target(name).compilers if choice.program]
        for one in itertools.product([name], [compiler], ["-O2", "-O3"], CELLS)
    ],
)
def test_neon_and_plain_c_beside_it(
    name: str, compiler: str, level: str, cell: str, kernel_cases: dict[str, list[Case]], tmp_path: Path
) -> None:
    """With NEON and without: gcc 12.2 for AArch64 drops every second quad of plain C that lets it make vectors."""
    for kernel in ("ES_KERNEL_NEON", "ES_KERNEL_PLAIN"):
        target = load_target(name).model_copy(update={"optimization": level, "defines": (f"ES_KERNEL={kernel}",)})
        for case, comparison in run_cases(kernel_cases[cell], tmp_path / kernel, target, compiler=compiler):
            assert comparison.mismatches == 0, f"{kernel}, {case.model.name}: {comparison.first}"
