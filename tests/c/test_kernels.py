"""The kernels on the parts they are for, emulated: golden vectors of awkward models, states compared at every step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_seq.ir.model import IntModel
from firmware_export.emit import export_c
from firmware_export.golden import make_golden
from tests.c.cases import cases_header
from tests.c.cortex_m import PARTS, build_firmware, missing_tools, run_firmware
from tests.zoo import CELLS, awkward_models, extreme_counts, extreme_model, quantized_model, random_counts, spec

HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(bool(missing_tools()), reason=missing_tools())


def _kernel_models(cell: str) -> list[IntModel]:
    """The awkward models of a cell, and sizes that reach every loop and remainder of the kernels."""
    large = {
        "loops": spec(cell, 75, 10, channels=13, window_length=3, label_every="sample"),
        "even": spec(cell, 80, 24, channels=12, window_length=3),
        "odd": spec(cell, 68, 6, channels=9, classes=9, window_length=3, at_window_end="carry"),
        "har": spec(cell, 32, channels=9, classes=6, window_length=12),
    }
    models = awkward_models((cell,))
    for seed, (name, shape) in enumerate(large.items()):
        models.append(quantized_model(shape, name=f"{cell}_{name}", seed=seed, amplitude=3.0))
        models.append(extreme_model(shape, name=f"{cell}_{name}_extreme", seed=seed))
    return models


def _hard_counts(model: IntModel) -> np.ndarray:
    """int16 [W, N, C]: moderate, anything, and patterns of extremes."""
    steps, channels = min(2 * model.contract.window_length, 60), model.input_size
    moderate = random_counts(2, steps, channels, seed=1, sigma=500)
    return np.concatenate([moderate, random_counts(1, steps, channels, seed=2), extreme_counts(steps, channels)])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Path]]:
    """Export folder by model name by cell."""
    root = tmp_path_factory.mktemp("kernels")
    found: dict[str, dict[str, Path]] = {}
    for cell in CELLS:
        models = _kernel_models(cell)
        for model in models:
            export_c(model, make_golden(model, _hard_counts(model)), root / model.name)
        found[cell] = {model.name: root / model.name for model in models}
    return found


def _self_tests(part: str, folders: dict[str, Path], output: Path, *flags: str) -> list[str]:
    (output.parent / "cases.h").write_text(cases_header(list(folders)))
    generated = [folder / f"{name}{end}.c" for name, folder in folders.items() for end in ("", "_golden")]
    image = build_firmware(
        PARTS[part],
        [HERE / "kernels_main.c", *generated],
        output,
        include_folders=[output.parent, *folders.values()],
        flags=flags,
    )
    return run_firmware(PARTS[part], image).splitlines()


@pytest.mark.parametrize("cell", CELLS)
# An M7 and an M33 take the kernels of an M4.
@pytest.mark.parametrize(
    "part", [pytest.param(part, marks=pytest.mark.slow) if part in ("m7", "m33") else part for part in PARTS]
)
def test_golden_vectors(part: str, cell: str, folders: dict[str, dict[str, Path]], tmp_path: Path) -> None:
    models = folders[cell]
    at_once = 4 if part == "m0" else len(models)  # a Cortex-M0 has little flash
    for first in range(0, len(models), at_once):
        chosen = {name: models[name] for name in list(models)[first : first + at_once]}
        assert _self_tests(part, chosen, tmp_path / "firmware.elf", "-O2") == [f"{name}: ok" for name in chosen]


@pytest.mark.parametrize("part", ["m3", "m4", "m55"])
@pytest.mark.parametrize("flags", [("-O0",), ("-O1",), ("-O3",), ("-Os",), ("-O2", "-DES_KERNEL=ES_KERNEL_PLAIN")])
def test_golden_vectors_however_compiled(
    part: str, flags: tuple[str, ...], folders: dict[str, dict[str, Path]], tmp_path: Path
) -> None:
    models = {
        name: folder
        for cell in CELLS
        for name, folder in folders[cell].items()
        if name.endswith(("loops", "wide_extreme", "odd", "mixed"))
    }
    assert len(models) == 12
    assert _self_tests(part, models, tmp_path / "firmware.elf", *flags) == [f"{name}: ok" for name in models]
