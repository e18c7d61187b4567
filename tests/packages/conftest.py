"""All packages of two models, copied over each other, as a project with both would have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_seq.ir.decision import DecisionStage
from edge_seq.ir.model import IntModel
from edge_seq.pipeline.exports import render_c, render_packages, write_exports
from firmware_export.emission.golden import UNKNOWN, GoldenVectors, make_golden
from firmware_export.packages.common.registry import package_names
from tests.zoo import quantized_model, random_counts, spec


@dataclass(frozen=True)
class Packaged:
    """A model, and what its packages hold."""

    model: IntModel
    golden: GoldenVectors
    files: dict[str, bytes]

    @property
    def replay(self) -> list[str]:
        """The lines that each example prints."""
        answers = self.golden.labels if self.golden.decisions is None else self.golden.decisions
        labels = ["unknown" if answer == UNKNOWN else self.model.labels[answer] for answer in answers.ravel()]
        name = self.model.name
        return [f"{name}: self-test passed", *labels, f"{name}: done"]


RENDERED = tuple(name for name in package_names() if name != "wasm")  # which compiles; it has tests of its own


def package_model(model: IntModel, names: Sequence[str] = RENDERED) -> Packaged:
    counts = random_counts(3, model.contract.window_length, model.num_channels, sigma=600)
    c_files = render_c(model, counts)
    return Packaged(model, make_golden(model, counts), render_packages(names, c_files))


@pytest.fixture(scope="session")
def car() -> Packaged:
    return package_model(quantized_model(spec("lstm", 6, window_length=10, step="remove_gravity"), name="car", seed=3))


@pytest.fixture(scope="session")
def gait() -> Packaged:
    stage = DecisionStage(smoothing_shift=1, hysteresis=1 << 12, unknown_margin=1 << 15, min_labels=1)
    shape = spec("gru", 5, 4, channels=2, window_length=4, label_every="sample", pooling="mean", decision=stage)
    return package_model(quantized_model(shape, name="gait", seed=4))


@pytest.fixture(scope="session")
def folder(car: Packaged, gait: Packaged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a folder for each package. Tests must not write to it."""
    root = tmp_path_factory.mktemp("packages")
    for packaged in (car, gait):
        write_exports(packaged.files, root)
    return root / "packages"
