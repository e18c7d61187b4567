"""The car-state simulator is reproducible, labels its recordings and respects its contract; bad options are refused."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_seq.data.simulator.kept as kept
import edge_seq.support.cache as cache
from edge_seq.data.recording import Dataset
from edge_seq.data.simulator import CarStatesOptions, simulate_car_states
from edge_seq.data.simulator.course import SLIPPERY, lay_out
from edge_seq.data.simulator.drive import PARKED, SKID, plan_drive
from edge_seq.data.simulator.kept import kept_car_states
from edge_seq.data.simulator.vehicle import draw_vehicle
from edge_seq.ir.contract import verify_contract
from edge_seq.pipeline import simulate
from edge_seq.support.errors import ConfigError, ContractError


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return simulate_car_states(CarStatesOptions(drives=4, drive_duration_s=240.0))


def test_a_data_set_holds_to_its_contract(dataset: Dataset) -> None:
    verify_contract(dataset.contract)
    assert dataset.labels == ("parked", "normal_road", "bumpy_road", "skid")
    assert dataset.contract.preprocessing.step == "difference"
    assert [recording.group for recording in dataset.recordings] == [f"drive_{k:03d}" for k in range(4)]
    for recording in dataset.recordings:
        assert recording.counts.shape == (2400, 3)
        assert recording.counts.dtype == np.int16
        assert recording.labels.shape == (2400,)
        assert recording.labels.dtype == np.int16
        assert np.abs(recording.counts.astype(int)).max() <= dataset.contract.channels[0].count_limit


def test_each_class_is_in_the_data(dataset: Dataset) -> None:
    labels = np.concatenate([recording.labels for recording in dataset.recordings])
    assert set(labels.tolist()) == {0, 1, 2, 3}
    assert np.bincount(labels).min() > 0.03 * labels.size


def test_gravity_is_on_the_vertical_axis(dataset: Dataset) -> None:
    for recording in dataset.recordings:
        mean = recording.counts.mean(axis=0) / 8192.0
        assert mean[2] == pytest.approx(1.0, abs=0.2)
        assert np.abs(mean[:2]).max() < 0.4


def test_the_same_options_give_the_same_counts(dataset: Dataset) -> None:
    again = simulate_car_states(CarStatesOptions(drives=4, drive_duration_s=240.0))
    for one, other in zip(dataset.recordings, again.recordings, strict=True):
        np.testing.assert_array_equal(one.counts, other.counts)
        np.testing.assert_array_equal(one.labels, other.labels)


def test_a_drive_does_not_depend_on_how_many_there_are(dataset: Dataset) -> None:
    two = simulate_car_states(CarStatesOptions(drives=2, drive_duration_s=240.0))
    for one, other in zip(dataset.recordings[:2], two.recordings, strict=True):
        np.testing.assert_array_equal(one.counts, other.counts)
        np.testing.assert_array_equal(one.labels, other.labels)


def test_another_seed_and_another_drive_give_other_counts(dataset: Dataset) -> None:
    other = simulate_car_states(CarStatesOptions(drives=1, drive_duration_s=240.0, seed=1))
    assert not np.array_equal(dataset.recordings[0].counts, other.recordings[0].counts)
    assert not np.array_equal(dataset.recordings[0].counts, dataset.recordings[1].counts)


def test_the_rate_is_a_parameter() -> None:
    fast = simulate_car_states(CarStatesOptions(drives=1, drive_duration_s=20.0, sample_rate_hz=100.0))
    assert fast.recordings[0].counts.shape == (2000, 3)
    assert fast.contract.sample_rate_hz == 100.0


def test_progress_is_told_after_each_drive() -> None:
    told: list[tuple[int, int]] = []
    simulate_car_states(
        CarStatesOptions(drives=3, drive_duration_s=10.0), progress=lambda done, total: told.append((done, total))
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("seed", range(4))
def test_labels_mean_what_the_documents_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vehicle = draw_vehicle(rng)
    legs = plan_drive(rng, 300.0)
    course = lay_out(rng, vehicle, legs, 300.0)
    assert course.speed[course.labels == PARKED].max() == 0.0
    assert all(leg.duration_s <= 8.0 for leg in legs if leg.kind == "stand")
    starts = np.concatenate([[0.0], np.cumsum([leg.duration_s for leg in legs])])
    leg_of = np.searchsorted(starts, np.arange(course.labels.size) / 50.0, side="right") - 1
    grip = np.array([leg.surface.friction for leg in legs])[leg_of]
    late = np.roll(grip, 150)  # a skid that began on ice may end up to 3 s after it
    assert np.minimum(grip, late)[course.labels == SKID].max() < SLIPPERY


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drives": 0}, "drives is 0; give at least 1"),
        ({"seed": -1}, "seed is -1; give 0 or more"),
        ({"sample_rate_hz": 2.0}, "sample_rate_hz is 2.0; give 5 to 100 Hz"),
        ({"sample_rate_hz": float("nan")}, "sample_rate_hz: Input should be a finite number"),
        ({"drive_duration_s": 4.9}, r"drive_duration_s is 4.9; give at least one window \(5 s\)"),
        ({"drive_duration_s": 1e6}, r"drive_duration_s is 1000000.0"),
        ({"drive_duration_s": float("inf")}, "drive_duration_s: Input should be a finite number"),
    ],
)
def test_unusable_options_are_refused_before_any_work(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        simulate_car_states(CarStatesOptions(**options))  # type: ignore[arg-type]


def test_an_unusable_window_is_refused() -> None:
    with pytest.raises(ContractError, match="window_length is 0"):
        simulate_car_states(CarStatesOptions(window_length=0))


def test_drives_are_simulated_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_folder", lambda kind: tmp_path / kind)
    options = CarStatesOptions(drives=2, drive_duration_s=20.0)
    expected, asked = simulate_car_states(options), list[CarStatesOptions]()

    def counted(options: CarStatesOptions, **named: Any) -> Dataset:
        asked.append(options)
        return simulate_car_states(options, **named)

    monkeypatch.setattr(kept, "simulate_car_states", counted)

    def check(options: CarStatesOptions, simulated: int) -> Path:
        found = kept_car_states(options)
        assert len(asked) == simulated
        assert (found.name, found.labels) == (expected.name, expected.labels)
        assert found.contract.window_length == options.window_length
        for a, b in zip(found.recordings, expected.recordings, strict=True):
            assert (a.name, a.group, a.counts.dtype, a.labels.dtype) == (
                b.name,
                b.group,
                b.counts.dtype,
                b.labels.dtype,
            )
            assert np.array_equal(a.counts, b.counts)
            assert np.array_equal(a.labels, b.labels)
        return next((tmp_path / "drives").iterdir())

    check(options, 1)
    check(options.model_copy(update={"window_length": 30}), 1)
    path = check(options, 1)
    path.write_bytes(path.read_bytes()[:-9])
    check(options, 2)
    kept_car_states(options.model_copy(update={"seed": 1}))
    assert len(asked) == 3
    monkeypatch.setattr(kept, "LARGEST", 100)
    kept_car_states(options.model_copy(update={"seed": 2}))
    assert len(list((tmp_path / "drives").iterdir())) == 2


def test_a_simulation_that_failed_leaves_nothing_that_refuses_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, _: str) -> None:
        raise OSError(errno.EIO, "Input/output error", str(path))

    def simulate_one() -> None:
        simulate.simulate_to_file(tmp_path / "x.csv", drives=1, duration_s=20, sample_rate_hz=10, seed=1)

    with monkeypatch.context() as patched:
        patched.setattr(simulate, "write_atomically", fail)
        with pytest.raises(OSError, match="Input/output error"):
            simulate_one()
        assert list(tmp_path.iterdir()) == []
    simulate_one()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.csv", "x.toml"]
