"""Gestures without a mark, acceleration without gravity, tables of intervals, and windows with their class."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_seq.data.guess.gestures import rows_apart
from edge_seq.pipeline.data_check import DataCheck, check_data
from edge_seq.support.errors import DataError
from tests.unit.data.door_cases import G, motion, put, table, texts


def gesture(label: str, number: int, rows: int = 119) -> NDArray[np.float64]:
    """A motion of an arm that begins when a threshold is passed: ax to az in g and gx to gz in deg/s."""
    rng = np.random.default_rng(100 * number + len(label))
    seconds = np.arange(rows) / 119
    envelope = np.exp(-(((seconds - rng.uniform(0.1, 0.3)) / rng.uniform(0.2, 0.4)) ** 2))[:, np.newaxis]
    hertz = {"punch": 2.0, "flex": 1.2}[label] * rng.uniform(0.8, 1.2)
    wave = np.stack([np.sin(2 * np.pi * hertz * seconds + rng.uniform(0, 1) + k) for k in range(3)], axis=1)
    acceleration = [0, 0, 1] + wave * envelope * rng.uniform(1.5, 3) + rng.normal(0, 0.01, (rows, 3))
    return np.concatenate([acceleration, 80 * wave * envelope + rng.normal(0, 1, (rows, 3))], axis=1)


def written(folder: Path, *, count: int = 10, rows: int = 119, end: int | None = None, clock: bool = False) -> Path:
    for label in ("punch", "flex"):
        values = np.concatenate([gesture(label, number, rows) for number in range(count)])
        times = np.tile(np.arange(rows) / 119, count)
        columns = [*([texts(times[:, np.newaxis], ".4f")[0]] if clock else []), *texts(values, ".3f")]
        header = "t,aX,aY,aZ,gX,gY,gZ" if clock else "aX,aY,aZ,gX,gY,gZ"
        put(folder / "data" / f"{label}.csv", table(header, [column[:end] for column in columns]))
    return folder / "data"


@pytest.mark.parametrize(
    ("options", "rows", "why"),
    [
        ({}, 119, "the values jump, as between gestures, after each 119 rows: 20 recordings of 119 samples"),
        ({"count": 9, "rows": 40}, 40, "after each 40 rows: 18 recordings of 40 samples (rows_per_recording = 40"),
        ({"end": -30}, 119, "after each 119 rows: 20 recordings"),
        ({"clock": True}, 119, "'t' starts again after each 119 rows: 20 recordings of 119 samples"),
    ],
)
def test_gestures_of_equal_length_are_cut(options: dict[str, int], rows: int, why: str, tmp_path: Path) -> None:
    folder = written(tmp_path, **options)
    found = check_data(folder, write=tmp_path / "out.toml")
    assert why in "\n".join(found.assumptions)
    assert f"rows_per_recording = {rows}" in (tmp_path / "out.toml").read_text()
    assert found.found.labels["punch"].recordings == options.get("count", 10)
    assert found.usable, found.found.findings


def test_where_it_is_not_clear_the_option_is_named(tmp_path: Path) -> None:
    found = check_data(written(tmp_path, count=2))
    said = "\n".join(found.assumptions)
    assert "say how many rows each has (rows_per_recording = 119) or what is between them (recording_break)" in said
    assert found.found.recordings == 2


def test_one_long_motion_is_no_row_of_gestures() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        rows = 100 * int(rng.integers(10, 50))
        assert rows_apart([motion(f"{seed} {k}", seed, rows)[1] for k in range(2)]) is None
        assert rows_apart([rng.normal(0, 1, (rows, 3)), np.zeros((rows, 3))]) is None
    assert rows_apart([np.zeros((10, 3))]) is None


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([260, 252, 264, 258], "recordings last 5.0[48] s and hold one label each: .*window_length = 25[24]"),
        ([260, 400, 264, 258], None),  # of different lengths
        ([800, 802, 804, 801], None),  # too long for gestures
    ],
)
def test_recordings_that_are_all_as_long_as_a_gesture_are_pointed_out(
    rows: list[int], said: str | None, tmp_path: Path
) -> None:
    for label in ("circle", "wave"):
        for number in range(12):
            seconds, values, _ = motion(label, number, rows[number % 4])
            put(tmp_path / "data" / f"{label}_{number}.csv",
                table("t,ax,ay,az", [[f"{one:.4f}" for one in seconds], *texts(values, ".5f")]))  # fmt: skip
    assumptions = "\n".join(check_data(tmp_path / "data").assumptions)
    assert "windows of 100 samples, every 50" in assumptions
    assert (re.search(said, assumptions) is not None) if said else ("one gesture" not in assumptions)


def phone(folder: Path, header: str, *, factor: float = 1.0, rest: float = 0.0) -> DataCheck:
    """Linear acceleration of a phone, sitting and walking."""
    for label in ("sit", "walk"):
        for number in range(4):
            seconds, acceleration, _ = motion("idle" if label == "sit" else label, number, 400)
            values = (acceleration - [0.05, -0.05, 1.0 - rest]) * factor
            put(folder / "data" / f"{label}_{number}.csv",
                table(header, [[f"{one:.4f}" for one in seconds], *texts(values, ".6f")]))  # fmt: skip
    return check_data(folder / "data")


@pytest.mark.parametrize(
    ("header", "factor", "unit"),
    [
        ("t,userAcceleration.x,userAcceleration.y,userAcceleration.z", 1.0, "g"),
        ("t,linear_acc_x,linear_acc_y,linear_acc_z", G, "m/s^2"),
        ("t,x,y,z", G, "m/s^2"),
    ],
)
def test_without_gravity_the_unit_is_said_to_be_a_guess(header: str, factor: float, unit: str, tmp_path: Path) -> None:
    found = phone(tmp_path, header, factor=factor)
    assert {one.unit for one in found.found.channels.values()} == {unit}
    said = "\n".join(found.assumptions)
    assert f"in {unit}, only a guess" in said
    assert "correct it with column_unit" in said
    assert found.usable
    (finding,) = [one for one in found.found.findings if one.check == "unit"]
    assert (finding.severity, "no gravity in the data" in finding.message) == ("warning", True)
    assert "compare column_unit with the app that recorded" in finding.message


def test_linear_acceleration_near_10_is_not_taken_for_gravity(tmp_path: Path) -> None:
    """Mean vectors between 0 and 1 m/s^2 are 1 long now and then."""
    for label in ("walk", "run"):
        for number in range(4):
            rng = np.random.default_rng(number)
            slow = np.repeat(rng.normal(0, 0.55, (8, 3)), 50, axis=0)
            put(tmp_path / "data" / f"{label}_{number}.csv",
                table("x,y,z", texts(slow + rng.normal(0, 1, (400, 3)), ".5f")))  # fmt: skip
    assert "x, y, z in m/s^2, only a guess" in "\n".join(check_data(tmp_path / "data").assumptions)


def test_a_unit_that_is_wrong_at_rest_is_still_an_error(tmp_path: Path) -> None:
    found = phone(tmp_path, "t,ax (m/s^2),ay (m/s^2),az (m/s^2)", rest=1.0)
    assert "the vector at rest has the length of gravity in g, not in m/s^2" in found.found.findings[0].message


@pytest.mark.parametrize("header", ["t,gFx,gFy,gFz", "t,G-Force X,G-Force Y,G-Force Z"])
def test_the_force_in_g_is_an_acceleration(header: str, tmp_path: Path) -> None:
    found = phone(tmp_path, header, rest=1.0)
    assert {one.unit for one in found.found.channels.values()} == {"g"}


def test_first_lines_of_numbers_of_another_kind_are_not_read_as_samples(tmp_path: Path) -> None:
    """Empatica: the start in seconds since 1970 and the rate stand above the samples, in each column."""
    for label in ("sit", "walk"):
        for number in range(4):
            values = table("", texts(64 * motion(label, number)[1], ".0f"))
            put(
                tmp_path / "data" / f"{label}_{number}.csv",
                f"1544027337.0,1544027337.0,1544027337.0\n50,50,50\n{values}",
            )
    found = check_data(tmp_path / "data")
    assert not found.usable
    text = "sit_0.csv: column 'ax' holds 1.54403e+09 (row 1), more than the largest range of such sensors"
    assert found.found.findings[0].message.startswith(text)
    assert "skip_rows" in found.found.findings[0].message


def test_a_rate_in_the_first_lines_that_is_not_that_of_the_times(tmp_path: Path) -> None:
    for label in ("sit", "walk"):
        for number in range(4):
            seconds, acceleration, _ = motion(label, number)
            ticks = [f"{1000 * one:.0f}" for one in seconds]
            text = table("SampleTimeFine,Acc_X,Acc_Y,Acc_Z", [ticks, *texts(acceleration * G)])
            put(tmp_path / "data" / f"{label}_{number}.csv", f"// Update Rate: 100.0Hz\n{text}")
    found = check_data(tmp_path / "data")
    assert not found.usable
    text = "the first lines of the file say 100 Hz, but 'SampleTimeFine' in ms gives 50 Hz; correct time_unit, or give"
    assert text in found.found.findings[0].message


AUDACITY = "0.5\t3.5\tidle\n4.5\t7.5\tspin\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.csv", "start,end,label\n0.5,3.5,idle\n4.5,7.5,spin\n"),
        ("annotations.csv", "begin;stop;activity\n0.5;3.5;idle\n4.5;7.5;spin\n"),
        ("events.csv", "Onset (s),Offset (s),Event\n0.5,3.5,idle\n4.5,7.5,spin\n"),
        ("rec_ms.csv", "start_ms,end_ms,label\n500,3500,idle\n4500,7500,spin\n"),
        ("rec_labels.txt", AUDACITY),
    ],
)
def test_tables_of_intervals_are_recognised_by_usual_names(name: str, content: str, tmp_path: Path) -> None:
    parts = [motion("idle", 0, 200)[1], motion("spin", 1, 200)[1]]
    factor = 1000 if "_ms" in content else 1
    clock = [f"{factor * n / 50:.2f}" for n in range(400)]
    header = "time_ms,ax,ay,az" if factor == 1000 else "t,ax,ay,az"
    put(tmp_path / "data" / "long.csv", table(header, [clock, *texts(np.concatenate(parts))]))
    put(tmp_path / "data" / name, content)
    found = check_data(tmp_path / "data")
    assert f"{name} is a table of intervals with the classes idle, spin" in "\n".join(found.assumptions)
    assert {label: one.samples for label, one in found.found.labels.items()} == {"idle": 150, "spin": 150}


def test_a_class_beside_a_window_in_each_row_is_refused_with_what_to_do(tmp_path: Path) -> None:
    for name, code in (("words", ("walk", "run")), ("codes", ("1", "2"))):
        rows = []
        for number in range(12):
            values = motion(("walk", "run")[number % 2], number, 40)[1].reshape(-1)
            rows.append(",".join([*(f"{value:.3f}" for value in values), code[number % 2]]))
        put(tmp_path / f"{name}.csv", "\n".join(rows) + "\n")
        text = "each row seems to be a window of 120 values with its class in column 121; expected windows alone"
        with pytest.raises(DataError, match=text):
            check_data(tmp_path / f"{name}.csv")


def test_one_person_in_all_names_is_split_by_time(tmp_path: Path) -> None:
    for label in ("wing", "ring"):
        gestures = [" -,-,-\n" + table("", texts(1000 * motion(label, n, 120)[1], ".1f")) for n in range(12)]
        put(tmp_path / "data" / f"output_{label}_p1.txt", "".join(gestures))
    found = check_data(tmp_path / "data", write=tmp_path / "out.toml")
    assert 'split = "time_blocks"' in (tmp_path / "out.toml").read_text()
    assert found.usable, found.found.findings


def test_a_class_named_like_a_group_is_a_class_where_others_are(tmp_path: Path) -> None:
    for label in ("N", "P"):
        for number in range(3):
            seconds, acceleration, _ = motion(label, number, 120)
            columns = [[f"{one:.3f}" for one in seconds], *texts(acceleration)]
            put(tmp_path / "data" / f"rec-{label}-{number}.csv", table("t,ax,ay,az", columns))
    assert set(check_data(tmp_path / "data").found.labels) == {"N", "P"}
