"""The layouts of :mod:`tests.unit.data.door_cases`: checked, written as a data source, trained on without an edit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_seq.data.guess import guess_source
from edge_seq.data.readers import load_dataset, read_signals
from edge_seq.data.readers.for_model import other_recordings
from edge_seq.data.source import load_source
from edge_seq.pipeline.config import load_config
from edge_seq.pipeline.data_check import DataCheck, check_data
from edge_seq.support.errors import DataError
from edge_seq.workflow.folder import data_file_for
from tests.unit.data.door_cases import CASES, Case, motion, put, six, table, texts


def check(name: str, folder: Path) -> tuple[Case, DataCheck, Path]:
    case = CASES[name]
    source = folder / "out" / "guessed.toml"
    source.parent.mkdir()
    return case, check_data(case.build(folder), write=source), source


@pytest.mark.parametrize("name", CASES)
def test_each_layout_is_read_right(name: str, tmp_path: Path) -> None:
    case, summary, written = check(name, tmp_path)
    source = load_source(written)
    said = "\n".join(summary.assumptions)
    assert {one.name: one.unit for one in source.channels} == case.channels
    assert tuple(sorted(summary.found.labels)) == case.labels
    if case.rate_hz is not None:
        assert source.sample_rate_hz == case.rate_hz
        assert summary.found.rate_hz is not None
        assert summary.found.rate_hz.median == pytest.approx(case.rate_hz, rel=0.02)
    else:
        assert "50 Hz is only a guess" in said
    if case.full_scale is not None:
        assert source.channels[0].full_scale == pytest.approx(case.full_scale, rel=1e-4)
    fields = source.model_dump(exclude_unset=True)
    assert {key: _plain(fields[key]) for key in case.fields} == case.fields
    for text in case.says:
        assert text in said
    assert "full scale" in said or "counts of the sensor" in said
    assert summary.usable == case.trains, summary.found.findings
    assert not Path(source.path).is_absolute()
    again = check_data(written)
    assert again.found.labels == summary.found.labels


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize(
    "name", [name if index % 2 else pytest.param(name, marks=pytest.mark.slow) for index, name in enumerate(CASES)]
)
def test_a_guess_is_trained_on_without_an_edit(name: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from edge_seq.workflow.train import train_run

    case, _, written = check(name, tmp_path)
    settings = ["training.epochs=1", "training.hidden_size=2", 'training.cell="rnn"']
    config = load_config(None, [f'data.source="{written}"', *settings])
    if case.trains:
        train_run(tmp_path / "run", config)
        assert (tmp_path / "run" / "training.json").is_file()
        same_as_read_by_a_model(tmp_path / "run", written)
    else:
        with pytest.raises(
            DataError, match=r"all recordings are of one class, \['normal'\]; a classifier needs at least two"
        ):
            train_run(tmp_path / "run", config)


def same_as_read_by_a_model(run: Path, written: Path) -> None:
    """With the data source that a run keeps, other recordings are read as those of its training."""
    found = data_file_for(run, None)
    assert found is not None
    dataset = load_dataset(written)
    path = written.parent / load_source(written).path
    for labels in (None, dataset.labels):
        others = other_recordings(path, found.source, found.file, dataset.contract, labels=labels)
        read = {one.name: one for one in others}
        assert set(read) == {one.name for one in dataset.recordings}
        for one in dataset.recordings:
            assert (read[one.name].counts == one.counts).all()
            assert (read[one.name].labels == (one.labels if labels else -1)).all()


def test_torn_rows_are_a_gap_and_the_others_are_as_written(tmp_path: Path) -> None:
    folder = CASES["logger_with_noise"].build(tmp_path)
    guess = guess_source(folder)
    signal = next(iter(read_signals(guess.source, base=guess.base)))
    truth = np.round(motion("idle", 0, 900, 100.0, 0.15)[1] * 16384) / 16384
    kept = np.delete(truth, [295, 497, 703], axis=0)
    assert np.allclose(signal.values, kept)
    assert signal.breaks.tolist() == [295, 701]
    assert "line 301: 2 of 4 columns; line 709" in signal.lost


def test_sensors_are_joined_at_the_times_of_the_first(tmp_path: Path) -> None:
    guess = guess_source(CASES["a_file_for_each_sensor"].build(tmp_path))
    signal = next(iter(read_signals(guess.source, base=guess.base)))
    assert signal.name == "run/run_0"
    seconds, acceleration, rotation = motion("run", 0)
    assert signal.time_s is not None
    assert np.allclose(signal.time_s, seconds[1:])  # the gyroscope starts 4 ms later
    assert np.allclose(signal.values[:, :3], acceleration[1:] * 9.80665, atol=1e-3)
    expected = np.stack([np.interp(seconds[1:], seconds + 0.004, column) for column in rotation.T / 57.29578], axis=1)
    assert np.allclose(signal.values[:, 3:], expected, atol=1e-3)


@pytest.mark.parametrize(
    ("header", "column", "message"),
    [
        ("time", ["T+0"], "'time' is named like a time, but 'T+0' is neither a number nor a known way to write a date"),
        ("timestamp", ["0", "1"], "rises by 1 a sample, which does not tell its unit"),
        ("time", ["5", "4"], "'time' is named like a time, but its values do not rise"),
    ],
)
def test_a_time_that_cannot_be_read_is_no_exit_0(tmp_path: Path, header: str, column: list[str], message: str) -> None:
    for label in ("walk", "run"):
        for number in range(3):
            _, acceleration, _ = motion(label, number)
            first, step = column[0], int(column[1]) - int(column[0]) if len(column) > 1 else 0
            ticks = [first] * 250 if not step else [str(int(first) + step * n) for n in range(250)]
            put(tmp_path / "d" / f"{label}_{number}.csv", table(f"{header},ax,ay,az", [ticks, *texts(acceleration)]))
    summary = check_data(tmp_path / "d")
    assert not summary.usable
    assert message in summary.found.findings[0].message


def test_thousands_of_classes_are_refused_before_anything_is_computed(tmp_path: Path) -> None:
    _, acceleration, _ = motion("walk", 0, 1000)
    rows = [[f"{n / 50:.2f}" for n in range(1000)], *texts(acceleration), [str(n) for n in range(1000)]]
    put(tmp_path / "a.csv", table("t,ax,ay,az,label", rows))
    with pytest.raises(
        DataError, match="'label' is named like a class and holds 1000 or more values; expected at most 256"
    ):
        check_data(tmp_path / "a.csv")
    source = tmp_path / "a.toml"
    put(source, 'name="a"\npath="a.csv"\ntime_column="t"\nsample_rate_hz=50\nwindow_length=50\nwindow_stride=50\n'
                'channels=[{name="ax",unit="g",counts_per_unit=100,full_scale=4}]\n')  # fmt: skip
    with pytest.raises(DataError, match="more than 256 classes after 1 recording"):
        check_data(source)


def test_columns_that_are_not_used_are_named_with_a_reason(tmp_path: Path) -> None:
    _, acceleration, rotation = motion("walk", 0)
    columns = [
        [f"{n / 50:.2f}" for n in range(250)],
        *texts(acceleration),
        *texts(acceleration),
        *texts(rotation),
        ["21"] * 250,
    ]
    names = "t,acc_x,acc_y,acc_z,gravity_x,gravity_y,gravity_z,mag_x,mag_y,mag_z,temperature"
    put(tmp_path / "d" / "walk_1.csv", table(names, columns))
    summary = check_data(tmp_path / "d")
    unused = {one.column: one.reason for one in summary.columns if one.role == "unused"}
    assert set(unused) == set(names.split(",")[4:])
    assert "a phone computes it" in unused["gravity_x"]
    assert "magnetometer" in unused["mag_y"]
    assert any(text.startswith("columns of numbers that are not used: gravity_x") for text in summary.assumptions)


def one_file(folder: Path, header: str, columns: list[list[str]], before: str = "") -> Path:
    put(folder / "walk_1.csv", before + table(header, columns))
    return folder / "walk_1.csv"


SECONDS, ACCELERATION, ROTATION = motion("walk", 1)
CLOCK = [f"{one:.2f}" for one in SECONDS]


@pytest.mark.parametrize(
    ("header", "columns", "problem"),
    [
        ("t,ax (ft/s^2),ay (ft/s^2),az (ft/s^2)", texts(ACCELERATION * 32.17),
         r"the unit 'ft/s\^2' of ax \(ft/s\^2\), .* is unknown; expected one of .* or give their unit with column_u"),
        ("t,ax (g),ay (g),az (mg)", texts(ACCELERATION), r"are in several units \(g, mg\); give files and axes of a"),
        ("time,ax,ay,az", texts(ACCELERATION), "'time' is named like a time and rises by 200 a sample, which does not"),
    ],
)  # fmt: skip
def test_what_a_header_does_not_tell_is_asked(
    tmp_path: Path, header: str, columns: list[list[str]], problem: str
) -> None:
    ticks = [str(200 * n) for n in range(250)] if header.startswith("time") else CLOCK
    guess = guess_source(one_file(tmp_path, header, [ticks, *columns]))
    assert any(re.search(problem, one) for one in guess.problems), guess.problems


def test_gravity_is_looked_for_where_there_is_some(tmp_path: Path) -> None:
    counts = guess_source(one_file(tmp_path / "counts", "t,ax,ay,az", [CLOCK, *texts(ACCELERATION * 8192, ".0f")]))
    assert counts.fields["channels"][0]["counts_per_unit"] == 8192  # not 8,192 mm/s^2
    linear = [CLOCK, *texts((ACCELERATION - ACCELERATION.mean(axis=0)) * 30)]
    guess = guess_source(
        one_file(tmp_path / "linear", "t,userAcceleration.x,userAcceleration.y,userAcceleration.z", linear)
    )
    assert any("only a guess: neither the header nor gravity at rest" in one for one in guess.assumptions)
    mg = guess_source(one_file(tmp_path / "mg", "t,ax,ay,az", [CLOCK, *texts(ACCELERATION * 1000, ".0f")]))
    assert any(
        "by gravity at rest (999.55); only a guess, since cm/s^2 or counts, 1024 for" in one for one in mg.assumptions
    )
    first = guess_source(one_file(tmp_path / "first", "", [*texts(ROTATION), *texts(ACCELERATION)]))
    assert first.fields["column_names"] == ["gx", "gy", "gz", "ax", "ay", "az"]


def test_a_filter_is_no_rate(tmp_path: Path) -> None:
    columns = texts(ACCELERATION)
    filtered = guess_source(one_file(tmp_path / "a", "ax,ay,az", columns, "# low-pass filter 20 Hz\n"))
    assert any("50 Hz is only a guess" in one for one in filtered.assumptions)
    sampled = guess_source(one_file(tmp_path / "b", "ax,ay,az", columns, "# filter 20 Hz\n# sample rate 25 Hz\n"))
    assert sampled.source.sample_rate_hz == 25


def test_files_without_a_header_need_the_same_columns(tmp_path: Path) -> None:
    for name, count in (("walk_1", 3), ("walk_2", 3), ("run_1", 2)):
        put(tmp_path / "d" / f"{name}.csv", table("", texts(ACCELERATION)[:count]))
    assert any("1 of 3 files (run_1.csv) have other columns" in one for one in guess_source(tmp_path / "d").problems)


def test_a_file_without_motion_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"walk_1.csv: no column of numbers \(a, b\) changes; record a motion"):
        guess_source(one_file(tmp_path, "a,b", [["1"] * 9, ["2"] * 9]))


def test_files_of_one_sensor_are_recordings(tmp_path: Path) -> None:
    for label in ("walk", "run"):
        for number in range(3):
            put(tmp_path / "d" / f"acc_{label}_{number}.csv", six(label, number))
    guess = guess_source(tmp_path / "d")
    assert len(list(read_signals(guess.source, base=guess.base))) == 6
