"""`data check` on the means of windows: a mounting that differs between few sessions, and what is no reason to warn."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_seq.data.audit import sample as samples
from edge_seq.data.audit.finding import Finding
from edge_seq.data.audit.folds import folds_by_group, folds_by_time, mean_recall, out_of_fold
from edge_seq.data.audit.mounting import check_mounting, group_distances
from edge_seq.data.audit.sample import WindowSample, WindowSampler
from edge_seq.data.readers.signals import Signal
from edge_seq.data.simulator import CarStatesOptions, simulate_car_states
from edge_seq.data.source import DataSource, parse_source
from edge_seq.data.units import rotation_about
from edge_seq.ir.contract import SensorContract

pytest.importorskip("sklearn")

RATE = 50.0
TONES = {"idle": (0.003, 0.0), "slow": (0.05, 3.0), "fast": (0.08, 9.0), "rough": (0.12, 0.0)}  # g and Hz
POSTURES = {"flat": 0.0, "tilted": 40.0, "upright": 80.0}  # degrees
CHANNELS = [{"name": axis, "unit": "g", "counts_per_unit": 8192, "full_scale": 4} for axis in ("ax", "ay", "az")]


def source(**changes: Any) -> DataSource:
    fields = {
        "name": "takes",
        "path": "takes.csv",
        "sample_rate_hz": RATE,
        "window_length": 50,
        "window_stride": 50,
        "channels": CHANNELS,
    }
    return parse_source({**fields, **changes}, where="test")


def turned(rng: np.random.Generator, degrees: float) -> np.ndarray:
    axis = rng.normal(size=3)
    return rotation_about(axis / np.linalg.norm(axis), degrees * rng.normal())


def signal(name: str, group: str, label: str, values: np.ndarray) -> Signal:
    times, codes = np.arange(len(values)) / RATE, np.zeros(len(values), dtype=np.int64)
    return Signal(name, group, None, values, times, (label,), codes)


def shaken(sessions: int, *, session: float = 0.0, recording: float = 0.0, seed: int = 0) -> list[Signal]:
    """Each class once in each session, told apart by shaking. The mounting turns by so many degrees."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(sessions):
        of_session = turned(rng, session)
        for label, (amplitude, frequency) in TONES.items():
            time = np.arange(1000) / RATE
            tone = amplitude * np.sin(2 * np.pi * frequency * time)[:, np.newaxis] * [0.3, 0.4, 0.86]
            values = tone + rng.normal(size=(1000, 3)) * (0.005 if frequency else amplitude) + [0.0, 0.0, 1.0]
            mounting = turned(rng, recording) @ of_session
            found.append(signal(f"{label}_{number}", f"s{number}", label, values @ mounting.T))
    return found


def held(sessions: int, *, session: float, seed: int = 0) -> list[Signal]:
    """Classes that are postures, told apart by the direction of gravity alone."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(sessions):
        mounting = turned(rng, session)
        for label, degrees in POSTURES.items():
            gravity = rotation_about(np.array([0.0, 1.0, 0.0]), degrees) @ [0.0, 0.0, 1.0]
            values = gravity + 0.01 * rng.normal(size=(1000, 3))
            found.append(signal(f"{label}_{number}", f"s{number}", label, values @ mounting.T))
    return found


def drawn(signals: list[Signal], of: DataSource | None = None) -> WindowSample | None:
    sampler = WindowSampler(of or source())
    for one in signals:
        sampler.add(one)
    return sampler.sample()


def found(signals: list[Signal], **changes: Any) -> list[Finding]:
    return check_mounting(drawn(signals), source(**changes))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
@pytest.mark.parametrize("sessions", [2, 4])
@pytest.mark.parametrize("turn", [{"recording": 15.0}, {"session": 60.0}, {"recording": 15.0, "session": 60.0}])
def test_another_mounting_in_each_of_few_sessions_is_found(turn: dict[str, float], sessions: int, seed: int) -> None:
    (one,) = found(shaken(sessions, seed=seed, **turn))
    assert (one.check, one.severity) == ("mounting", "warning")
    assert f"between {sessions} groups" in one.message
    assert 'preprocessing = { step = "remove_gravity" }' in one.message
    assert "--set training.augmentation.rotation=any" in one.message


def test_the_preprocessing_that_is_advised_is_the_remedy() -> None:
    signals = shaken(2, recording=15.0)
    assert found(signals)
    assert found(signals, preprocessing={"step": "remove_gravity"}) == []
    assert found(signals, preprocessing={"step": "difference"}) == []


def test_rotations_are_advised_only_for_axes_that_can_turn() -> None:
    names = [{**channel, "name": name} for channel, name in zip(CHANNELS, ("front", "back", "door"), strict=True)]
    (one,) = found(shaken(2, session=60.0), channels=names)
    assert "remove_gravity" in one.message
    assert "rotation" not in one.message


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
@pytest.mark.parametrize(
    "signals",
    [
        pytest.param(lambda seed: shaken(2, seed=seed), id="the same mounting"),
        pytest.param(lambda seed: shaken(3, recording=2.0, seed=seed), id="a small tilt beside strong shaking"),
        pytest.param(lambda seed: shaken(6, session=60.0, seed=seed), id="many mountings"),
        pytest.param(lambda seed: shaken(1, recording=15.0, seed=seed), id="one session"),
        pytest.param(lambda seed: held(3, session=5.0, seed=seed), id="postures"),
        pytest.param(lambda seed: shaken(3, session=60.0, seed=seed)[:1], id="one class"),
    ],
)
def test_what_is_no_reason_to_warn(signals: Any, seed: int) -> None:
    assert found(signals(seed)) == []


def test_classes_that_differ_in_posture_alone_cannot_do_without_the_means() -> None:
    sessions = held(2, session=0.0)
    turned_over = rotation_about(np.array([1.0, 0.0, 0.0]), 90.0)
    other = [
        dataclasses.replace(one, values=one.values @ turned_over.T) if one.group == "s1" else one for one in sessions
    ]
    (one,) = found(other)
    assert "Mount the sensor alike in every session" in one.message
    assert "remove_gravity" not in one.message


@pytest.mark.parametrize(("drives", "step"), [(3, "difference"), (7, "none")])
def test_no_false_alarm_on_car_states(drives: int, step: str) -> None:
    """Drives differ in mounting: the contract's first differences cancel it, and seven mountings are enough."""
    data = simulate_car_states(CarStatesOptions(drives=drives, drive_duration_s=60, seed=4))
    scale = np.array([channel.counts_per_unit for channel in data.contract.channels])
    names = ("", *data.labels)
    signals = [
        Signal(one.name, one.group, None, one.counts / scale, None, names, np.asarray(one.labels, dtype=np.int64) + 1)
        for one in data.recordings
    ]
    channels = [channel_table(data.contract, index) for index in range(3)]
    of = source(channels=channels, sample_rate_hz=10.0, preprocessing={"step": step})
    assert check_mounting(drawn(signals, of), of) == []


def channel_table(contract: SensorContract, index: int) -> dict[str, Any]:
    one = contract.channels[index]
    table = {"name": one.name, "unit": one.unit, "counts_per_unit": one.counts_per_unit}
    return {**table, "full_scale": one.full_scale}


def test_a_sample_is_even_repeatable_and_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "MAX_WINDOWS", 60)
    rng = np.random.default_rng(0)
    lengths = {("a", "s0"): 40, ("a", "s1"): 400, ("b", "s0"): 4, ("b", "s1"): 300}  # windows
    signals = [signal(f"{k}{g}", g, k, rng.normal(size=(50 * n, 3))) for (k, g), n in lengths.items()]
    one, again = drawn(signals), drawn(signals)
    assert one is not None
    assert again is not None
    assert one.total == sum(lengths.values())
    cells = list(zip(one.labels.tolist(), one.groups.tolist(), strict=True))
    assert len(cells) <= 60
    assert cells.count(("b", "s0")) == 4
    assert all(15 <= cells.count(cell) <= 25 for cell in lengths if cell != ("b", "s0"))
    for field in ("values", "first", "at_s", "recordings"):
        np.testing.assert_array_equal(getattr(one, field), getattr(again, field))
    place = int(np.flatnonzero(one.recordings == "as1")[3])
    first = int(one.first[place])
    np.testing.assert_array_equal(one.values[place], signals[1].values[first : first + 50].astype(np.float32))
    assert one.at_s[place] == pytest.approx(first / RATE)
    late = one.first[one.recordings == "as1"] > 50 * 200
    assert 3 < late.sum() < 15  # from its whole length


def test_more_groups_than_windows_may_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "MAX_WINDOWS", 8)
    one = drawn([signal(f"r{k}", f"g{k}", "a", np.full((100, 3), float(k))) for k in range(50)])
    assert one is not None
    assert len(one.labels) == 8
    assert one.total == 100


def test_windows_with_missing_values_are_not_drawn() -> None:
    values = np.ones((100, 3))
    values[60, 1] = np.nan
    one = drawn([signal("r", "g", "a", values)])
    assert one is not None
    assert one.first.tolist() == [0]
    assert drawn([signal("r", "g", "a", values[:40])]) is None


def test_folds_keep_groups_together_and_halve_recordings() -> None:
    one = drawn(shaken(3))
    assert one is not None
    by_group, by_time = folds_by_group(one.labels, one.groups), folds_by_time(one)
    assert all(len(set(by_group[one.groups == group])) == 1 for group in set(one.groups))
    for name in set(one.recordings):
        here = one.recordings == name
        assert one.first[here & (by_time == 0)].max() < one.first[here & (by_time == 1)].min()
    single = dataclasses.replace(one, recordings=np.array([f"r{i}" for i in range(len(one.labels))]))
    assert abs(folds_by_time(single).mean() - 0.5) < 0.01


def test_a_class_that_no_other_fold_has_is_not_scored() -> None:
    y, folds = np.array([0, 1, 0, 1, 2, 2] * 5), np.array([0, 0, 1, 1, 0, 0] * 5)
    predicted = out_of_fold(y[:, np.newaxis] * 1.0, y, folds, trees=5)
    assert np.isnan(predicted[y == 2]).all()
    assert mean_recall(predicted, y) == 1.0
    assert mean_recall(np.full((4, 2), np.nan), np.array([0, 1, 0, 1])) is None


def test_group_distances_by_hand() -> None:
    block = np.array([[0.0, 0.0], [0.0, 0.0], [3.0, 4.0], [9.0, 9.0]])
    labels, groups = np.array([0, 0, 0, 1]), np.array([0, 1, 2, 3])
    distances = group_distances(block, labels, groups)
    np.testing.assert_allclose(distances[:3], [np.sqrt(6.25 / 2), np.sqrt(6.25 / 2), np.sqrt(12.5)])
    assert np.isnan(distances[3])  # its class is in no other group


def test_a_file_is_checked_too(tmp_path: Path) -> None:
    from edge_seq.data.audit.audit import audit

    rows = ["take,session,t,ax,ay,az,label"]
    for one in shaken(2, recording=15.0):
        assert one.time_s is not None
        rows += [
            f"{one.name},{one.group},{t:.3f},{x:.5f},{y:.5f},{z:.5f},{one.label_values[0]}"
            for t, (x, y, z) in zip(one.time_s, one.values, strict=True)
        ]
    (tmp_path / "takes.csv").write_text("\n".join(rows) + "\n")
    fields = {"recording_column": "take", "group_column": "session", "time_column": "t"}
    result = audit(source(**fields), base=tmp_path)
    assert "mounting" in {one.check for one in result.findings}
