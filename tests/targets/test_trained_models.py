"""The trained car-state and HAPT models on every target: every step, every state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_seq.backends.reference_int import run_reference
from edge_seq.data.readers import load_dataset
from edge_seq.data.simulator import CarStatesOptions, simulate_car_states
from edge_seq.data.source import load_source
from edge_seq.data.windows import make_windows
from edge_seq.ir.model import IntModel
from edge_seq.ir.serialize import load_int_model
from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from firmware_export.toolchain.target import target_names
from tests.targets.running import FURTHER_TARGETS, Case, run_cases
from tests.zoo import extreme_counts, random_counts

TRAINED = Path(__file__).parents[1] / "golden" / "trained"
HAPT = Path(__file__).parents[2] / "datasets" / "hapt.toml"


def make_case(model: IntModel, counts: NDArray[np.int16], folder: Path) -> Case:
    export_c(model, make_golden(model, counts[:1]), folder)
    return Case(model, folder, counts, run_reference(model, counts))


def with_extremes(model: IntModel, counts: NDArray[np.int16]) -> NDArray[np.int16]:
    length = model.contract.window_length
    extremes = extreme_counts(length, model.num_channels)
    return np.concatenate([counts, extremes, random_counts(4, length, model.num_channels, seed=3, sigma=400)])


@pytest.fixture(scope="module")
def car(tmp_path_factory: pytest.TempPathFactory) -> Case:
    model = load_int_model(TRAINED / "car.int.safetensors")
    drives = simulate_car_states(CarStatesOptions(drives=4, drive_duration_s=120.0, seed=5)).recordings
    windows = make_windows(drives, length=model.contract.window_length, stride=50, minimum_share=0.5)
    return make_case(model, with_extremes(model, windows.counts[::4]), tmp_path_factory.mktemp("car"))


@pytest.fixture(scope="module")
def hapt(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """On real windows, if the recordings are on this machine."""
    model = load_int_model(TRAINED / "hapt.int.safetensors")
    counts = random_counts(8, model.contract.window_length, model.num_channels, seed=2, sigma=2000)
    if (HAPT.parent / load_source(HAPT).path).is_dir():
        recordings = load_dataset(HAPT).recordings
        source = load_source(HAPT)
        windows = make_windows(
            recordings[:6], length=source.window_length, stride=source.window_stride, minimum_share=source.minimum_share
        )
        counts = np.concatenate([counts, windows.counts[::20]])
    return make_case(model, with_extremes(model, counts), tmp_path_factory.mktemp("hapt"))


ALIKE = ("atmega2560", "xtensa_lx106", *FURTHER_TARGETS)


def some_of(case: Case, every: int) -> Case:
    counts = case.counts[::every]
    return Case(case.model, case.folder, counts, run_reference(case.model, counts))


@pytest.mark.parametrize(
    "name",
    # These targets run the same code as others: the two ATmega alike, M7 and M33 that of an M4, Xtensa plain C.
    [pytest.param(name, marks=pytest.mark.slow if name in ALIKE else ()) for name in target_names()],
)
def test_every_step_and_state(name: str, car: Case, hapt: Case, tmp_path: Path) -> None:
    every = 8 if name.startswith("atmega") else 1  # simavr takes two seconds for a window
    for case, comparison in run_cases([some_of(car, every), some_of(hapt, every)], tmp_path, name):
        assert comparison.mismatches == 0, f"{case.model.name}: {comparison.first}"
        assert comparison.steps == case.counts.shape[0] * case.counts.shape[1]
