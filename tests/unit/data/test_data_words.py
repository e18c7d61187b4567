"""Words in columns, before values and in names: classes told from persons, groups of gestures, rates without times."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_seq.data.guess import guess_source
from edge_seq.data.guess.clues.labels import labels_of_names
from edge_seq.data.guess.rate import UNKNOWN_RATE_HZ
from edge_seq.data.readers import read_dataset, read_signals
from edge_seq.pipeline.data_check import check_data
from tests.unit.data.door_cases import motion, put, table, texts

PEOPLE = ("S01", "S02", "S03")


def long_table(header: str, persons: tuple[str, ...], labels: tuple[str, ...]) -> str:
    """Rows of a person, a class, a time in ms and three axes."""
    rows = [header] if header else []
    for person in persons:
        for label in labels:
            seconds, acceleration, _ = motion(label, persons.index(person))
            cells = texts(acceleration)
            rows += [
                ",".join((person, label, f"{1000 * one:.0f}", *row))
                for one, row in zip(seconds, zip(*cells, strict=True), strict=True)
            ]
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize("header", ["", "who,what,ms,ax,ay,az"])
@pytest.mark.parametrize(
    ("persons", "labels"), [(PEOPLE, ("gear1", "gear2")), (("ann", "ben", "cleo"), ("walk", "run"))]
)
def test_classes_are_told_from_persons(
    header: str, persons: tuple[str, ...], labels: tuple[str, ...], tmp_path: Path
) -> None:
    put(tmp_path / "d" / "all.csv", long_table(header, persons, labels))
    guess = guess_source(tmp_path / "d")
    names = ("what", "who") if header else ("label", "group")
    assert (guess.source.label_column, guess.source.group_column) == names
    data = read_dataset(guess.source, base=guess.base)
    assert set(data.labels) == set(labels)
    assert {one.group for one in data.recordings} == set(persons)


@pytest.mark.parametrize("header", ["", "who,what,ms,ax,ay,az"])
def test_it_asks_where_words_do_not_tell(header: str, tmp_path: Path) -> None:
    put(tmp_path / "d" / "all.csv", long_table(header, ("ann", "ben"), ("north", "south")))
    checked = check_data(tmp_path / "d")
    assert not checked.usable
    assert any(
        "several columns hold words" in one and "ann, ben" in one and "give label_column, and group_column" in one
        for one in guess_source(tmp_path / "d").problems
    )


def pieces(label: str, number: int) -> str:
    """Six gestures in a file, a line of dashes before each."""
    parts = [table("", texts(motion(label, 10 * number + n, 60)[1])) for n in range(6)]
    return "".join("-,-,-\n" + one for one in parts)


@pytest.mark.parametrize("name", ["{label}/take{number}.csv", "{label}_{number}.csv"])
@pytest.mark.parametrize(("count", "groups"), [(3, 6), (1, 12)])
def test_gestures_of_a_file_are_a_group_where_there_are_files_enough(
    name: str, count: int, groups: int, tmp_path: Path
) -> None:
    for label in ("wave", "ring"):
        for number in range(count):
            put(tmp_path / "d" / name.format(label=label, number=number), pieces(label, number))
    guess = guess_source(tmp_path / "d")
    data = read_dataset(guess.source, base=guess.base)
    assert len(data.recordings) == 12 * count
    assert len({one.group for one in data.recordings}) == groups
    assert ("each recording within a file is a group of its own" in guess.assumptions) == (count == 1)
    assert any("a line such as '-,-,-' ends a recording" in one for one in guess.assumptions)


def plotter(sep: str, clock: str) -> Callable[[str, int], str]:
    def write(label: str, number: int) -> str:
        _, acceleration, _ = motion(label, number)
        lines = [
            clock.format(n // 50, n % 50 * 20) + sep.join(f"a{a}:{v:.4f}" for a, v in zip("xyz", row, strict=True))
            for n, row in enumerate(acceleration)
        ]
        lines[40] = lines[40][:-9]  # torn
        return "\n".join(lines) + "\n"

    return write


@pytest.mark.parametrize("sep", ["\t", ",", " ", ", "])
@pytest.mark.parametrize("clock", ["", "10:00:{:02d}.{:03d} -> "])
def test_each_value_after_its_name(sep: str, clock: str, tmp_path: Path) -> None:
    """``ax:0.1 ay:0.2``, as programs print for the serial plotter of the Arduino IDE."""
    for label in ("walk", "run"):
        for number in range(3):
            put(tmp_path / "d" / f"{label}_{number}.log", plotter(sep, clock)(label, number))
    guess = guess_source(tmp_path / "d")
    assert "a name before each value" in guess.header
    assert [one.name for one in guess.source.channels] == ["ax", "ay", "az"]
    assert guess.source.sample_rate_hz == 50
    assert (guess.source.time_column is None) == (clock == "")
    _, acceleration, _ = motion("run", 0)
    signal = next(iter(read_signals(guess.source, base=guess.base)))
    assert np.allclose(signal.values[:40], acceleration[:40], atol=1e-4)
    assert any("line 41" in one for one in guess.assumptions)


@pytest.mark.parametrize(
    ("line", "rate_hz"),
    [
        ("# rate=62.5", 62.5),
        ("sampling_rate: 26", 26.0),
        ("fs = 104", 104.0),
        ("Sample Rate (Hz),25", 25.0),
        ("baud_rate=115200", None),
        ("rate: normal", None),
        ("fs = 4 g", None),
    ],
)
def test_a_rate_without_its_unit_in_the_first_lines(line: str, rate_hz: float | None, tmp_path: Path) -> None:
    for label in ("walk", "run"):
        for number in range(3):
            rows = table("ax,ay,az", texts(motion(label, number)[1]))
            put(tmp_path / "d" / f"{label}_{number}.csv", f"{line}\n{rows}")
    guess = guess_source(tmp_path / "d")
    assert guess.source.sample_rate_hz == (rate_hz or UNKNOWN_RATE_HZ)
    said = "Hz is what the first lines of the file say" if rate_hz else "is only a guess, correct sample_rate_hz"
    assert any(said in one for one in guess.assumptions)


@pytest.mark.parametrize("are_windows", [True, False])
def test_a_rate_in_an_array_of_one_number(are_windows: bool, tmp_path: Path) -> None:
    rows = np.stack([motion(label, n, 100)[1] for n in range(6) for label in ("walk", "run")])
    labels = np.array(["walk", "run"] * 6)
    (tmp_path / "d").mkdir()
    if are_windows:
        np.savez(tmp_path / "d" / "set.npz", X=rows, y=labels, fs=np.array(62.5), epochs=np.array(7))
    else:
        for n, (one, label) in enumerate(zip(rows, labels, strict=True)):
            np.savez(tmp_path / "d" / f"{label}_{n}.npz", acc=one, fs=np.array([62.5]))
    guess = guess_source(tmp_path / "d")
    assert guess.source.sample_rate_hz == 62.5
    assert "there are no times; 62.5 Hz is what the arrays of one number of the file say" in guess.assumptions


def test_labels_of_an_export_in_a_folder_of_each_side(tmp_path: Path) -> None:
    """The files' names say nothing, so only the two tables tell the classes."""
    for side, count in (("training", 4), ("testing", 2)):
        entries = []
        for n in range(2 * count):
            label = ("up-side", "walk2")[n % 2]
            values = [[round(float(one), 4) for one in row] for row in motion(label, n)[1]]
            sensors = [{"name": name, "units": "g"} for name in ("accX", "accY", "accZ")]
            payload = {"device_type": "X", "interval_ms": 20, "sensors": sensors, "values": values}
            document = {"protected": {"ver": "v1", "alg": "none"}, "signature": "0" * 64, "payload": payload}
            put(tmp_path / "d" / side / f"take.{n}.json", json.dumps(document))
            path = f"take.{n}.json" if side == "training" else f"testing/take.{n}.json"
            entries.append({"path": path, "category": side, "label": {"type": "label", "label": label}})
        put(tmp_path / "d" / side / "info.labels", json.dumps({"version": 1, "files": entries}))
    guess = guess_source(tmp_path / "d")
    assert guess.source.label_from == "info_labels"
    data = read_dataset(guess.source, base=guess.base)
    assert set(data.labels) == {"up-side", "walk2"}
    assert sorted(one.split or "" for one in data.recordings) == ["test"] * 4 + ["train"] * 8


@pytest.mark.parametrize(
    ("names", "labels", "groups"),
    [
        ("anna_walk ben_walk anna_run ben_run", "walk walk run run", "anna ben anna ben"),
        ("walk_anna walk_ben run_anna run_ben", "walk walk run run", "anna ben anna ben"),
        ("north_blue south_blue north_red south_red", "north south north south", "blue blue red red"),
    ],
)
def test_persons_before_or_behind_classes_in_names(names: str, labels: str, groups: str) -> None:
    found = labels_of_names([f"{one}_{n}" for one in names.split() for n in (1, 2)])
    assert found is not None
    assert found.labels[::2] == tuple(labels.split())
    assert found.groups[::2] == tuple(groups.split())
    assert ("only a guess" in found.how) == ("north" in names)


@pytest.mark.parametrize("header", ["", "t,ax,ay,az,fall"])
def test_codes_are_classes_only_when_somebody_says_so(header: str, tmp_path: Path) -> None:
    """Nothing else tells a class: the guess writes it down, and is no exit 0."""
    for number in range(3):
        seconds, acceleration, _ = motion("walk", number, 400)
        columns = [[f"{one:.2f}" for one in seconds], *texts(acceleration), ["0"] * 200 + ["1"] * 200]
        put(tmp_path / "d" / f"s{number}.csv", table(header, columns))
    guess = guess_source(tmp_path / "d")
    assert guess.source.label_column == ("fall" if header else "label")
    assert any("If they are classes, go on with the written data source" in one for one in guess.problems)
    assert not check_data(tmp_path / "d").usable
    assert set(read_dataset(guess.source, base=guess.base).labels) == {"0", "1"}


def test_a_class_in_several_columns_is_asked_for(tmp_path: Path) -> None:
    for number in range(3):
        _, acceleration, _ = motion("walk", number, 400)
        codes = [["1"] * 200 + ["0"] * 200, ["0"] * 200 + ["1"] * 200]
        put(tmp_path / "d" / f"s{number}.csv", table("ax,ay,az,walk,sit", [*texts(acceleration), *codes]))
    assert any("columns 'walk', 'sit' hold few whole numbers" in one for one in guess_source(tmp_path / "d").problems)


def test_a_unit_behind_each_number_is_a_problem(tmp_path: Path) -> None:
    for label in ("walk", "run"):
        for number in range(3):
            cells = [[f"{one} g" for one in column] for column in texts(motion(label, number)[1])]
            put(tmp_path / "d" / f"{label}_{number}.csv", table("x,y,z", cells))
    assert any("should hold numbers, but it holds texts" in one for one in guess_source(tmp_path / "d").problems)


@pytest.mark.parametrize(("scale", "unit"), [(1.0, "g"), (9.80665, "m/s^2"), (0.01, "m/s^2")])
def test_three_signals_without_axes_are_a_vector_if_they_measure_gravity(
    scale: float, unit: str, tmp_path: Path
) -> None:
    for label in ("walk", "run"):
        for number in range(3):
            rows = table("longitudinal,lateral,vertical", texts(scale * motion(label, number)[1], ".5f"))
            put(tmp_path / "d" / f"{label}_{number}.csv", rows)
    guess = guess_source(tmp_path / "d")
    assert {one.unit for one in guess.source.channels} == {unit}
    assert any("by gravity at rest" in one for one in guess.assumptions) == (scale >= 1)


def test_folders_whose_names_the_files_repeat_are_persons(tmp_path: Path) -> None:
    for person in ("SA01", "SA02", "SE06"):
        for name in ("D01", "D02", "F01", "F02"):
            for trial in (1, 2):
                rows = texts(motion(name, trial)[1], ".4f")
                put(tmp_path / "data" / person / f"{name}_{person}_R0{trial}.csv", table("ax,ay,az", rows))
    guess = guess_source(tmp_path / "data")
    assert any("the class is the words at the start of a file's name, in folders of groups: D, F" in one
               for one in guess.assumptions)  # fmt: skip
    signals = list(read_signals(guess.source, base=guess.base))
    assert Counter(one.group for one in signals) == {"SA01": 8, "SA02": 8, "SE06": 8}


@pytest.mark.parametrize(
    ("names", "labels", "groups"),
    [
        (["rec-03-24-climb_stairs-f1", "rec-03-25-walk-f1", "rec-03-24-climb_stairs-m1", "rec-03-25-walk-m1"],
         {"climb_stairs", "walk"}, {"f1", "m1"}),
        (["acc_1_walk_1", "acc_1_walk_2", "acc_2_run_1", "acc_2_run_2"], {"walk", "run"}, None),
        (["acc_walk_left_1", "acc_walk_right_2", "acc_run_left_1", "acc_run_right_2"], None, None),  # two such parts
    ],
)  # fmt: skip
def test_the_one_part_of_names_that_is_a_word_and_differs_is_the_class(
    names: list[str], labels: set[str] | None, groups: set[str] | None
) -> None:
    named = labels_of_names(names)
    assert named is not None
    assert (set(named.labels) == labels) == (labels is not None)
    assert named.has_groups == (groups is not None) or labels is None
    for name, label, group in zip(names, named.labels, named.groups, strict=True):
        match = re.search(named.pattern, name)
        assert match is not None
        assert match["label"] == label
        assert not groups or match["group"] == group


def test_a_column_that_rises_for_a_moment_is_no_time(tmp_path: Path) -> None:
    for label in ("walk", "run"):
        for number in range(3):
            values = motion(label, number)[1].copy()
            values[:40, 2] = np.linspace(-1, 1, 40) + (number + 1)
            put(
                tmp_path / "data" / f"{label}_{number}.csv",
                "".join(",".join(row) + "\n" for row in zip(*texts(values, ".4f"), strict=True)),
            )
    guess = guess_source(tmp_path / "data")
    assert guess.fields["column_names"] == ["ax", "ay", "az"]
    assert "time_column" not in guess.fields


def test_a_column_without_a_name_that_counts_by_one_is_a_number_of_samples(tmp_path: Path) -> None:
    for person in (1, 2, 3):
        rows: list[str] = []
        for code, label in ((1, "walk"), (2, "run")):
            columns = texts(np.rint(1000 * motion(label, person, 120)[1]) + 2000, ".0f")
            rows += [f"{len(rows) + n},{x},{y},{z},{code}\n" for n, (x, y, z) in enumerate(zip(*columns, strict=True))]
        put(tmp_path / "data" / f"{person}.csv", "".join(rows))
    guess = guess_source(tmp_path / "data")
    assert guess.fields["column_names"] == ["index", "ax", "ay", "az", "label"]
    assert guess.fields["index_column"] == "index"
    (problem,) = guess.problems
    assert "go on with the written data source" in problem  # the codes of the classes alone are asked for


def test_rows_of_many_sensors_are_samples_and_no_windows(tmp_path: Path) -> None:
    """A row of MHEALTH has 23 values of several sensors and a code of a class."""
    for person in (1, 2, 3):
        values = np.concatenate([motion("walk", 10 * person + n, 400)[1] * (n + 1) + 5 * n for n in range(8)], axis=1)
        values[:, 9:12] = np.random.default_rng(person).normal(0, 50, (400, 3))  # noise, larger than all others
        codes = np.repeat([0, 1, 2, 1], 100)
        lines = [
            "\t".join(f"{one:.4f}" for one in row[:23]) + f"\t{code}\n" for row, code in zip(values, codes, strict=True)
        ]
        put(tmp_path / "data" / f"health_subject{person}.log", "".join(lines))
    guess = guess_source(tmp_path / "data")
    assert "row_is_window" not in guess.fields
    assert guess.fields["label_column"] == "label"
    wide = ["\t".join((*line.split("\t")[:-1], *line.split("\t")[:3], line.split("\t")[-1])) for line in lines]
    put(tmp_path / "wide" / "a.log", "".join(wide))  # 27 columns: no window with its class beside it either
    assert "row_is_window" not in guess_source(tmp_path / "wide").fields
