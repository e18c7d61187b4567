"""Random chains of layers: the reference, ONNX Runtime and C give the same values at every step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_seq.backends.onnx.run import run_trace_onnx
from edge_seq.backends.reference_int import run_reference
from edge_seq.ir.model import IntModel
from edge_seq.ir.range_proof import prove_ranges
from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from firmware_export.toolchain.build import Compiler
from firmware_export.toolchain.host import HostProgram, build_host, run_chunks
from tests.c.test_parity import SANITIZED, assert_equal, counts_for
from tests.zoo import (
    extreme_model,
    quantized_model,
    random_chain,
    random_counts,
    random_front_chain,
    random_two_way_chain,
)

pytestmark = pytest.mark.usefixtures("uncached")
CHAINS = 20


def chain_models(seed: int) -> list[IntModel]:
    """Random chains, with front layers, bidirectional ones and neither, quantized from random float models and built of
    extremes."""
    models = []
    shapes = {"chain": random_chain(seed), "front": random_front_chain(seed), "both": random_two_way_chain(seed)}
    for name, shape in shapes.items():
        models.append(quantized_model(shape, name=f"{name}{seed}", seed=seed))
        models.append(extreme_model(shape, name=f"{name}{seed}_extreme", seed=seed))
    return models


def built(models: list[IntModel], root: Path, compiler: Compiler, *flags: str) -> HostProgram:
    """One program of all models."""
    for model in models:
        counts = random_counts(2, 2 * model.contract.window_length, model.num_channels, sigma=500)
        export_c(model, make_golden(model, counts), root / model.name)
    folders = [root / model.name for model in models]
    return build_host(folders, root / "program", compiler=compiler, flags=("-std=c99", *flags))


def compared(models: list[IntModel], program: HostProgram, steps: int) -> int:
    """Compare C, and ONNX Runtime on a part, with the reference on ``steps`` steps of each model; number of steps."""
    total = 0
    for seed, model in enumerate(models):
        counts = counts_for(model, steps, seed=seed)
        reference = run_reference(model, counts)
        for part, trace in run_chunks(program, model, counts, chunk_steps=16384):
            expected = {name: values[part] for name, values in reference.values.items()}
            assert_equal(model, trace, type(reference)(expected))
        with_onnx = run_trace_onnx(model, counts[:20]).values
        for name, values in reference.values.items():
            assert np.array_equal(values[:20], with_onnx[name]), (model.name, name)
        require_within_bounds(model, reference.values)
        total += counts.shape[0] * counts.shape[1]
    return total


def require_within_bounds(model: IntModel, values: dict[str, NDArray[np.int64]]) -> None:
    """No logit exceeds its bound."""
    bounds = {bound.name: bound.magnitude for bound in prove_ranges(model)}
    assert np.abs(values["logits"]).max() <= bounds["logits"]


def first(compilers: dict[str, Compiler], name: str = "gcc") -> Compiler:
    if name not in compilers:
        pytest.skip(f"{name} is not on this machine")
    return compilers[name]


def test_random_chains(compilers: dict[str, Compiler], tmp_path: Path) -> None:
    models = [model for seed in range(4) for model in chain_models(seed)]
    program = built(models, tmp_path, first(compilers), "-O2")
    assert compared(models, program, 200) > 3_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "flags"), [("gcc", ("-O2",)), ("clang", ("-O3",)), ("gcc", SANITIZED[1:]), ("clang", SANITIZED[1:])]
)
def test_a_million_steps_of_random_chains(
    name: str, flags: tuple[str, ...], compilers: dict[str, Compiler], tmp_path: Path
) -> None:
    models = [model for seed in range(100, 100 + CHAINS) for model in chain_models(seed)]
    program = built(models, tmp_path, first(compilers, name), *flags)
    steps = compared(models, program, 1_000_000 // len(models))
    print(f"{name} {' '.join(flags)}: {steps:,} steps of {len(models)} chains, 0 mismatches")  # noqa: T201
    assert steps >= 1_000_000
