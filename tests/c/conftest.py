"""Exports of all models of the zoo, once per run of pytest, and programs built from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from edge_seq.ir.model import IntModel
from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from firmware_export.toolchain.build import Compiler, find_compilers
from firmware_export.toolchain.host import HostProgram, build_host
from tests.zoo import awkward_models, random_counts

BuildZoo = Callable[..., HostProgram]


@pytest.fixture(scope="session")
def zoo() -> list[IntModel]:
    return awkward_models()


@pytest.fixture(scope="session")
def zoo_folders(zoo: list[IntModel], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Export folder by model name."""
    root = tmp_path_factory.mktemp("zoo")
    for seed, model in enumerate(zoo):
        counts = random_counts(2, 2 * model.contract.window_length, model.num_channels, seed=seed, sigma=500)
        export_c(model, make_golden(model, counts), root / model.name)
    return {model.name: root / model.name for model in zoo}


@pytest.fixture(scope="session")
def build_zoo(zoo_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> BuildZoo:
    """A function that builds one program from all models of the zoo."""

    def build(compiler: Compiler, flags: Sequence[str], *, traced: bool = False) -> HostProgram:
        output = tmp_path_factory.mktemp("programs") / "zoo"
        return build_host(list(zoo_folders.values()), output, compiler=compiler, flags=flags, traced=traced)

    return build


@pytest.fixture(scope="session")
def compilers() -> dict[str, Compiler]:
    """Host compilers by name."""
    return {compiler.name: compiler for compiler in find_compilers()}
