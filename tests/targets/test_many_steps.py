"""100,000 random steps of each cell on each target, with awkward sizes and extreme weights: every state."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from edge_seq.backends.reference_int import run_reference
from edge_seq.ir.model import IntModel
from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from firmware_export.toolchain.target import load_target, target_names
from tests.targets.running import Case, run_cases
from tests.zoo import CELLS, awkward_models, extreme_model, quantized_model, random_counts, spec

STEPS = 100_000
# Share of the steps for each shape, per cent: most for those that an 8-bit part computes quickly. The deep one has a
# convolution, a pool over time, three recurrent layers and two dense ones.
SHARES = {"small": 28, "small_extreme": 31, "one_extreme": 32, "carry_extreme": 5, "wide_extreme": 3, "deep_extreme": 2}
EMULATED = [name for name in target_names() if load_target(name).compilers]


def random_case(model: IntModel, steps: int, root: Path) -> Case:
    """Half of the streams with full-range counts, half with typical ones; three windows and a part of one more."""
    time_steps = 3 * model.contract.window_length + 2
    streams = -(-steps // time_steps)
    seed = zlib.crc32(model.name.encode())
    counts = random_counts(streams, time_steps, model.num_channels, seed=seed)
    counts[::2] = random_counts(len(counts[::2]), time_steps, model.num_channels, seed=seed + 1, sigma=400)
    export_c(model, make_golden(model, counts[:1]), root / model.name)
    return Case(model, root / model.name, counts, run_reference(model, counts))


@pytest.fixture(scope="module")
def random_cases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Case]]:
    """Models of a cell, made when they are first asked for."""
    root = tmp_path_factory.mktemp("many")
    models = {model.name: model for model in awkward_models()}

    @cache
    def of_cell(cell: str) -> list[Case]:
        return [
            random_case(models[f"{cell}_{shape}"], STEPS * share // 100, root / cell) for shape, share in SHARES.items()
        ]

    return of_cell


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("target", EMULATED)
def test_a_hundred_thousand_steps(
    target: str, cell: str, random_cases: Callable[[str], list[Case]], tmp_path: Path
) -> None:
    steps = values = 0
    for case, comparison in run_cases(random_cases(cell), tmp_path, target):
        assert comparison.mismatches == 0, f"{case.model.name}: {comparison.first}"
        steps += comparison.steps
        values += comparison.values
    print(f"{target}, {cell}: {steps:,} steps, {values:,} values, 0 mismatches")  # noqa: T201  # shown by pytest -s
    assert steps >= STEPS


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_a_hundred_thousand_steps_of_known_layers(cell: str, tmp_path: Path) -> None:
    """Layers of 32 units on three or six axes, which have a loop of their own on Helium."""
    cases = []
    for axes in (3, 6):
        shape = spec(cell, 32, channels=axes, window_length=50)
        for model in (
            quantized_model(shape, name=f"{cell}_{axes}", seed=axes, amplitude=3.0),
            extreme_model(shape, name=f"{cell}_{axes}_extreme", seed=axes),
        ):
            cases.append(random_case(model, STEPS // 4, tmp_path / "exports"))
    steps = 0
    for case, comparison in run_cases(cases, tmp_path, "cortex_m55"):
        assert comparison.mismatches == 0, f"{case.model.name}: {comparison.first}"
        steps += comparison.steps
    assert steps >= STEPS
