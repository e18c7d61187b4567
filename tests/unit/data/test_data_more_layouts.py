"""Layouts of other tools and data sets: long format, arrays, serial monitors, PAMAP2, UCI HAR, several files beside."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_seq.data.audit.audit import audit
from edge_seq.data.guess import guess_source
from edge_seq.data.layout import Layout
from edge_seq.data.readers import read_dataset, read_signals
from edge_seq.data.readers.clock import seconds_of_dates, spread
from edge_seq.data.readers.text.sniff import sniff
from edge_seq.data.source import parse_source
from edge_seq.data.windows import make_windows
from edge_seq.ir.contract import axis_triples
from edge_seq.pipeline.data_check import check_data
from edge_seq.support.errors import ContractError, DataError
from tests.unit.data.data_builders import source_fields
from tests.unit.data.door_cases import G, motion, put, table, texts

LABELS = ("walk", "run")


def each(folder: Path, write: Callable[[str, int], str], name: str = "{label}_{number}.csv", count: int = 3) -> Path:
    for label in LABELS:
        for number in range(count):
            put(folder / name.format(label=label, number=number), write(label, number))
    return folder


def names_and_units(guess: Any) -> dict[str, str]:
    return {one.name: one.unit for one in guess.source.channels}


def test_sensors_in_rows(tmp_path: Path) -> None:
    def write(label: str, number: int) -> str:
        seconds, acceleration, rotation = motion(label, number)
        rows = ["time,sensor,x,y,z"]
        for k, second in enumerate(seconds):
            rows.append(f"{second:.3f},acc," + ",".join(f"{one:.4f}" for one in acceleration[k] * G))
            rows.append(f"{second + 0.004:.3f},gyro," + ",".join(f"{one:.3f}" for one in rotation[k]))
            rows.append(f"{second:.3f},mag,20,3,-40")
        return "\n".join(rows) + "\n"

    guess = guess_source(each(tmp_path / "d", write))
    assert (guess.source.sensor_column, guess.source.sample_rate_hz) == ("sensor", 50)
    assert names_and_units(guess) == {f"{s} {a}": u for s, u in (("acc", "m/s^2"), ("gyro", "deg/s")) for a in "xyz"}
    assert "rows of the sensors mag are not used" in guess.assumptions
    signal = next(iter(read_signals(guess.source, base=guess.base)))
    seconds, acceleration, rotation = motion("run", 0)
    assert np.allclose(signal.values[:, :3], acceleration[1:] * G, atol=1e-3)
    assert np.allclose(signal.values[:, 3], np.interp(seconds[1:], seconds + 0.004, rotation[:, 0]), atol=1e-2)


def test_lines_of_a_serial_monitor(tmp_path: Path) -> None:
    def write(label: str, number: int) -> str:
        _, acceleration, _ = motion(label, number)
        times = [f"10:11:{12 + k // 50:02d}.{k % 50 * 20:03d}" for k in range(250)]
        return "".join(
            f"{at} -> {','.join(f'{one:.3f}' for one in row)}\n"
            for at, row in zip(times, acceleration * G, strict=True)
        )

    guess = guess_source(each(tmp_path / "d", write, "{label}_{number}.log"))
    assert (guess.source.time_column, guess.source.time_unit, guess.source.sample_rate_hz) == ("clock", "datetime", 50)
    assert names_and_units(guess) == dict.fromkeys(("ax", "ay", "az"), "m/s^2")
    assert len(list(read_signals(guess.source, base=guess.base))) == 6


def test_markers_between_gestures_and_numbers_of_rows(tmp_path: Path) -> None:
    gestures = [table("", texts(motion("wing", number, 128)[1], ".3f")) for number in range(6)]
    for name in ("wing", "ring"):
        put(
            tmp_path / "d" / f"{name}.txt",
            "-,-,-\n" + "-,-,-\n".join(gestures if name == "wing" else reversed(gestures)),
        )
    guess = guess_source(tmp_path / "d")
    signals = list(read_signals(guess.source, base=guess.base))
    assert (guess.source.window_length, [len(one.values) for one in signals]) == (100, [128] * 12)
    put(tmp_path / "rows.csv", "ax,ay\n" + "1,2\n" * 300)
    source = parse_source(source_fields(path="rows.csv", label_from="file_name", rows_per_recording=100), where="test")
    assert [one.name for one in read_signals(source, base=tmp_path)] == ["rows#1", "rows#2", "rows#3"]


def windows(count: int = 40, first: int = 0) -> np.ndarray[Any, Any]:
    return np.stack([motion(LABELS[n % 2], first + n, 64)[1] for n in range(count)])


def test_arrays_of_train_and_test_take_the_full_scale_of_both(tmp_path: Path) -> None:
    other = windows(20, first=100)
    other[0, 0, 0] = 3.5
    arrays = {"X_train": windows(), "y_train": np.arange(40) % 2, "X_test": other, "y_test": np.arange(20) % 2}
    np.savez(tmp_path / "set.npz", **arrays)
    for name, array in arrays.items():
        (tmp_path / "npy").mkdir(exist_ok=True)
        np.save(tmp_path / "npy" / f"{name}.npy", array)
    for path in (tmp_path / "set.npz", tmp_path / "npy"):
        checked = check_data(path)
        assert checked.usable, checked.found.findings
        assert checked.found.recordings == 60
        assert checked.found.channels["ax"].full_scale == 4.0


def test_matlab_and_hdf5_give_columns_and_windows(tmp_path: Path) -> None:
    scipy_io, h5py = pytest.importorskip("scipy.io"), pytest.importorskip("h5py")
    (tmp_path / "m").mkdir()
    for label in LABELS:
        for number in range(3):
            seconds, acceleration, _ = motion(label, number)
            scipy_io.savemat(tmp_path / "m" / f"{label}_{number}.mat", {"acc": acceleration, "t": seconds})
    guess = guess_source(tmp_path / "m")
    assert names_and_units(guess) == {f"acc.{axis}": "g" for axis in "xyz"}
    assert guess.source.sample_rate_hz == 50
    signal = next(iter(read_signals(guess.source, base=guess.base)))
    assert np.array_equal(signal.values, motion("run", 0)[1])
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["data/windows"], file["data/labels"] = windows(), np.arange(40) % 2
    with h5py.File(tmp_path / "v73.mat", "w", userblock_size=512) as file:  # MATLAB stores axes in reverse order
        file["X"], file["y"] = windows().T, np.arange(40)[np.newaxis] % 2
    for name in ("w.h5", "v73.mat"):
        guess = guess_source(tmp_path / name)
        signals = list(read_signals(guess.source, base=guess.base))
        assert np.array_equal(signals[3].values, windows()[3])
        assert {one.label_values for one in signals} == {("0",), ("1",)}


def test_pamap2_and_missing_values_as_gaps(tmp_path: Path) -> None:
    rows = []
    for label, code in (("walk", 4), ("run", 5)):
        _, acceleration, rotation = motion(label, 0, 900, 100.0)
        for k in range(900):
            sensor = [
                34.1,
                *acceleration[k] * G,
                *acceleration[k] * G,
                *rotation[k] / 57.3,
                14.6,
                -69,
                -5.5,
                1,
                0,
                0,
                0,
            ]
            cells = [f"{one:.4f}" for one in sensor * 3]
            cells[1] = "NaN" if k == 300 else cells[1]
            rows.append(f"{8.38 + len(rows) / 100:.2f} {code} {'NaN' if k % 11 else 104} {' '.join(cells)}")
    put(tmp_path / "subject101.dat", "\n".join(rows) + "\n")
    guess = guess_source(tmp_path / "subject101.dat")
    assert (guess.source.time_column, guess.source.label_column, guess.source.sample_rate_hz) == (
        "timestamp",
        "activity",
        100,
    )
    assert (guess.source.unlabelled_values, guess.source.on_missing) == (("0",), "split")
    assert "hand_acc16_x" in names_and_units(guess)
    (signal,) = read_signals(guess.source, base=guess.base)
    assert (len(signal.values), signal.breaks.tolist()) == (1798, [300, 1199])


def test_uci_har(tmp_path: Path) -> None:
    for side, count, persons in (("train", 24, (1, 3, 5)), ("test", 12, (2, 4))):
        labels = [1 + k % 2 for k in range(count)]
        found = [motion(LABELS[label - 1], k + 100 * (side == "test"), 64) for k, label in enumerate(labels)]
        for name, index, scale in (("total_acc", 1, 1.0), ("body_gyro", 2, 1 / 57.3)):
            for n, axis in enumerate("xyz"):
                text = "\n".join(" ".join(f"{one: .7e}" for one in parts[index][:, n] * scale) for parts in found)
                put(tmp_path / "d" / side / "Inertial Signals" / f"{name}_{axis}_{side}.txt", text + "\n")
        put(tmp_path / "d" / side / f"y_{side}.txt", "\n".join(map(str, labels)) + "\n")
        subjects = [str(persons[k * len(persons) // count]) for k in range(count)]
        put(tmp_path / "d" / side / f"subject_{side}.txt", "\n".join(subjects) + "\n")
    put(tmp_path / "d" / "activity_labels.txt", "1 WALKING\n2 RUNNING\n")
    put(tmp_path / "d" / "README.txt", "about\n")
    checked = check_data(tmp_path / "d", write=tmp_path / "uci.toml")
    assert checked.usable, checked.found.findings
    assert (checked.found.recordings, checked.found.groups) == (36, 5)
    assert set(checked.found.labels) == {"walking", "running"}
    assert checked.found.channels["total_acc_x"].unit == "g"
    assert check_data(tmp_path / "uci.toml").found.labels == checked.found.labels
    source = guess_source(tmp_path / "d").source.model_copy(update={"split_files": {}})
    names = [one.name.partition("#")[0] for one in read_signals(source, base=tmp_path)]
    assert set(names) == {f"{side}/Inertial Signals/body_gyro_x_{side}" for side in ("train", "test")}
    assert len(names) == 36  # each window once, although there are six files of each side


def test_notes_beside_recordings_are_passed_over_and_excluded(tmp_path: Path) -> None:
    def write(label: str, number: int) -> str:
        seconds, acceleration, _ = motion(label, number)
        return table("t,ax,ay,az", [[f"{one:.2f}" for one in seconds], *texts(acceleration)])

    each(tmp_path / "d", write)
    put(tmp_path / "d" / "meta" / "device.csv", "property,value\nversion,1\n")
    put(tmp_path / "d" / "meta" / "times.csv", "event,experiment time\nSTART,0\nPAUSE,9\n")
    put(tmp_path / "d" / "config.json", "{}")
    checked = check_data(tmp_path / "d", write=tmp_path / "d.toml")
    assert checked.found.recordings == 6
    assert "exclude is config.json, device.csv, times.csv" in checked.assumptions
    assert check_data(tmp_path / "d.toml").found.recordings == 6


def test_stamps_that_stand_still_are_spread(tmp_path: Path) -> None:
    def write(label: str, number: int) -> str:
        seconds, acceleration, _ = motion(label, number)
        stamps = [str(int(one * 1000) // 100 * 100) for one in seconds]
        return table("timestamp,x,y,z", [stamps, *texts(acceleration)])

    guess = guess_source(each(tmp_path / "d", write))
    assert (guess.source.repeated_times, guess.source.sample_rate_hz) == ("spread", 50)
    signal = next(iter(read_signals(guess.source, base=guess.base)))
    assert signal.time_s is not None
    assert np.allclose(np.diff(signal.time_s), 0.02)
    gap = spread(np.array([0.0, 0.0, 0.1, 0.1, 0.2, 0.2, 0.9, 0.9, 1.0, 1.0]))
    assert np.allclose(gap, [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.9, 0.95, 1.0, 1.05])


@pytest.mark.parametrize(
    ("first", "second", "step"),
    [
        ("2023-05-04T10:11:12.000", "2023-05-04T10:11:12.010", 0.01),
        ("2023-05-04 23:59:59.990Z", "2023-05-05 00:00:00.000Z", 0.01),
        ("04.05.2023 10:11:12,100", "04.05.2023 10:11:12,120", 0.02),
        ("2016-01-05 10:11:12:980", "2016-01-05 10:11:13:000", 0.02),
        ("05/04/2023 11:59:59 PM", "05/05/2023 12:00:00 AM", 1.0),
        ("31/12/2023 23:59:59", "01/01/2024 00:00:00", 1.0),
        ("23:59:59.995", "00:00:00.005", 0.01),
        ("2023-05-04T10:00:00+02:00", "2023-05-04T08:00:01Z", 1.0),
    ],
)
def test_dates_and_times_of_day(first: str, second: str, step: float) -> None:
    found = seconds_of_dates([first, second], where="a.csv", column="t")
    assert found[1] - found[0] == pytest.approx(step, abs=1e-6)


def test_a_text_that_is_no_date_is_named() -> None:
    with pytest.raises(DataError, match=r"a.csv: column 't' must hold dates or times of day, but row 2 holds 'soon'"):
        seconds_of_dates(["10:11:12", "soon"], where="a.csv", column="t")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sensor_files": {"a": "a.csv"}}, "sensors are joined by time, so time_column must name"),
        (
            {"sensor_files": {"a": "a.csv"}, "time_column": "t"},
            "channel column 'ax' names no sensor; write it as sensor/",
        ),
        ({"split_folders": {"train": "a"}, "split_column": "s"}, "split_folders and another source of the split"),
    ],
)
def test_fields_that_do_not_fit(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception, match=message):
        parse_source(source_fields(**fields), where="test")


def test_other_columns_unit_and_dialect_messages(tmp_path: Path) -> None:
    put(tmp_path / "a.csv", "t,ax,ay\n" + "0,1,2,3\n1,2,3,4\n" * 9)
    with pytest.raises(DataError, match=r"the header \['t', 'ax', 'ay'\] names 3 columns, the rows have 4"):
        guess_source(tmp_path / "a.csv")
    put(tmp_path / "b.csv", "ax,ay\n" + "1,2\n" * 20)
    fields = source_fields(path="b.csv", label_from="file_name", encoding="klingon")
    with pytest.raises(DataError, match="encoding 'klingon' is unknown"):
        list(read_signals(parse_source(fields, where="test"), base=tmp_path))
    fields = source_fields(path="b.csv", label_from="file_name", recording_break="(")
    with pytest.raises(DataError, match=r"recording_break '\(' is not a regular expression"):
        list(read_signals(parse_source(fields, where="test"), base=tmp_path))
    fields = source_fields(path="b.csv", label_from="file_name", row_is_window=3)
    with pytest.raises(DataError, match="a row holds 2 values and row_is_window is 3"):
        list(read_signals(parse_source(fields, where="test"), base=tmp_path))
    (tmp_path / "d").mkdir()
    fields = source_fields(path="d", label_from="file_name", files="*.xyz")
    with pytest.raises(DataError, match=r"holds no file '\*.xyz'; correct `files`"):
        list(read_signals(parse_source(fields, where="test"), base=tmp_path))


def test_a_second_on_each_stamp_is_a_time(tmp_path: Path) -> None:
    def write(label: str, number: int) -> str:
        seconds, acceleration, _ = motion(label, number, rows=1000, rate_hz=100)
        return table("timestamp,x,y,z", [[str(1_600_000_000 + int(one)) for one in seconds], *texts(acceleration)])

    source = guess_source(each(tmp_path / "d", write)).source
    assert (source.time_column, source.time_unit, source.repeated_times) == ("timestamp", "s", "spread")
    assert source.sample_rate_hz == 100


@pytest.mark.parametrize("end", ["", "\t"])
def test_shimmer_with_a_tab_after_each_row_and_letters_in_the_name_of_the_device(end: str, tmp_path: Path) -> None:
    names = "\t".join(f"Shimmer_B5F0_{one}_CAL" for one in ("Timestamp_Unix", *(f"Accel_LN_{a}" for a in "XYZ")))
    header = f'"sep=\t"\n{names}{end}\nms\tm/(s^2)\tm/(s^2)\tm/(s^2){end}'

    def write(label: str, number: int) -> str:
        seconds, acceleration, _ = motion(label, number)
        return table(header, [*texts(seconds[:, None] * 1e3, ".1f"), *texts(acceleration * G)], sep="\t", end=end)

    guess = guess_source(each(tmp_path / "d", write))
    assert {one.role: one.detail for one in guess.columns}["channel"] == "z of accelerometer, m/s^2"
    assert axis_triples(guess.source.contract) == ((0, 1, 2),)
    signal = next(iter(read_signals(guess.source, base=guess.base)))
    assert np.allclose(signal.values, motion("run", 0)[1] * G, atol=1e-3)


@pytest.mark.parametrize("folder", ["{label}-2024-03-1{number}_10-20-30", "{label}_{number}"])
def test_a_folder_of_one_file_is_a_recording_and_no_class(folder: str, tmp_path: Path) -> None:
    def write(label: str, number: int) -> str:
        seconds, acceleration, _ = motion(label, number)
        return table("seconds_elapsed,z,y,x", [*texts(seconds[:, None]), *texts(acceleration[:, ::-1] * G)])

    guess = guess_source(each(tmp_path / "d", write, folder + "/Accelerometer.csv"))
    assert "the class is the words at the start of a folder's name, as each folder holds one recording: run, walk" in (
        guess.assumptions
    )
    signals = list(read_signals(guess.source, base=guess.base))
    assert sorted(one.label_values[0] for one in signals) == ["run"] * 3 + ["walk"] * 3
    assert len({one.group for one in signals}) == 6


@pytest.mark.parametrize("folder", ["p{number}", "subject_{number}", "Person{number}"])
def test_folders_of_persons_hold_a_file_for_each_class(folder: str, tmp_path: Path) -> None:
    def write(label: str, number: int) -> str:
        seconds, acceleration, _ = motion(label, number)
        return table("t_s,ax,ay,az", [*texts(seconds[:, None]), *texts(acceleration)])

    guess = guess_source(each(tmp_path / "d", write, folder + "/{label}.csv"))
    signals = list(read_signals(guess.source, base=guess.base))
    persons = [folder.format(number=number) for number in range(3)]
    assert "set label_from" not in "".join(guess.assumptions)
    assert sorted((one.label_values[0], one.group) for one in signals) == [
        (label, person) for label in ("run", "walk") for person in persons
    ]


def test_folders_and_files_that_may_both_be_the_classes_are_told(tmp_path: Path) -> None:
    for person in ("anna", "bob"):
        for label in ("alpha", "beta"):
            seconds, acceleration, _ = motion("walk" if label == "alpha" else "run", len(person))
            put(
                tmp_path / "d" / person / f"{label}.csv",
                table("t_s,ax,ay,az", [*texts(seconds[:, None]), *texts(acceleration)]),
            )
    guess = guess_source(tmp_path / "d")
    assert guess.source.label_from == "folder"
    told = "the class is the folder a file lies in: anna, bob. Each holds alpha, beta; if those are the classes, set "
    assert (
        f"{told}label_from = 'file_name' and file_pattern = '(?P<group>[^/]+)/(?P<label>[^/]+)$'" in guess.assumptions
    )
    pattern = "(?P<group>[^/]+)/(?P<label>[^/]+)$"
    source = guess.source.model_copy(update={"label_from": "file_name", "file_pattern": pattern})
    signals = read_signals(source, base=guess.base)
    assert [(one.group, one.label_values[0]) for one in signals] == [
        (p, c) for p in ("anna", "bob") for c in ("alpha", "beta")
    ]


def test_a_column_of_one_class_does_not_hide_the_names_of_the_files(tmp_path: Path) -> None:
    """SensorLog writes ``label(N)`` of zeros where no label was set."""

    def write(label: str, number: int) -> str:
        seconds, acceleration, _ = motion(label, number)
        return table("t_s,ax,ay,az,label(N)", [*texts(seconds[:, None]), *texts(acceleration), ["0"] * len(seconds)])

    guess = guess_source(each(tmp_path / "d", write))
    assert {one.label_values for one in read_signals(guess.source, base=guess.base)} == {("walk",), ("run",)}
    reasons = {one.column: one.reason for one in guess.columns}
    assert reasons["label(N)"] == "named like a class, but all files hold '0' alone"


def test_the_counts_that_are_told_are_those_that_are_written(tmp_path: Path) -> None:
    guess = guess_source(
        each(tmp_path / "d", lambda label, n: table("ax,ay,az", texts(motion(label, n)[1] * 8192, ".0f")))
    )
    assert {one.counts_per_unit for one in guess.source.channels} == {8192}
    said = next(one for one in guess.assumptions if one.startswith("full scale 4 g and 8192 counts a g for ax, ay, az"))
    assert "that of a part of 16 bits; only a guess: the smallest usual range" in said


def test_persons_and_classes_in_other_languages(tmp_path: Path) -> None:
    rows = [(str(n), *row) for n in range(4) for label in LABELS for row in zip(
        *texts(motion(label, n)[1]), [str(1 + LABELS.index(label))] * 250, strict=True)]  # fmt: skip
    put(tmp_path / "tout.csv", "personne;ax (g);ay (g);az (g);étiquette\n" + "\n".join(map(";".join, rows)) + "\n")
    source = guess_source(tmp_path / "tout.csv").source
    assert (source.group_column, source.label_column, source.labels) == ("personne", "étiquette", ())


@pytest.mark.parametrize("gap", [False, True])
def test_windows_are_counted_as_a_training_cuts_them(gap: bool, tmp_path: Path) -> None:
    """At the rate of the contract, and not across gaps."""

    def write(label: str, number: int) -> str:
        rate = 100 if label == "run" and not gap else 50
        seconds, acceleration, _ = motion(label, number, rows=10 * rate, rate_hz=rate)
        seconds = seconds + 5.0 * (np.arange(len(seconds)) // 120) if gap else seconds
        return table("t,ax,ay,az", [*texts(seconds[:, None]), *texts(acceleration)])

    guess = guess_source(each(tmp_path / "d", write))
    found: Counter[str] = Counter()
    for facts in audit(guess.source, base=guess.base).facts:
        found.update(facts.windows)
    dataset = read_dataset(guess.source, base=guess.base)
    cut = make_windows(
        dataset.recordings,
        length=guess.source.window_length,
        stride=guess.source.window_stride,
        minimum_share=guess.source.minimum_share,
    )
    counted = np.bincount(cut.labels, minlength=2).tolist()
    assert found == dict(zip(dataset.labels, counted, strict=True))
    assert guess.source.resample == ("none" if gap else "linear")


def test_a_degree_that_is_written_with_the_ordinal_sign_is_western_text(tmp_path: Path) -> None:
    """0xBA is the ordinal sign of Latin keyboards, which stands for degrees in headers of loggers."""
    path = tmp_path / "walk.csv"
    rows = "".join(f"{n * 0.02:.2f};0,1;0,2;{n % 7}\n" for n in range(60))
    path.write_bytes(f"t;gx (º/s);gy (º/s);gz (º/s)\n{rows}".encode("cp1252"))
    assert sniff(path, Layout()).encoding == "cp1252"


@pytest.fixture
def named_after_themselves(tmp_path: Path) -> Path:
    """Files whose arrays bear the number of their file, as in the bearing data of CWRU, in folders of classes."""
    scipy_io = pytest.importorskip("scipy.io")
    for label in LABELS:
        for size in ("007", "014", "021"):
            number = 100 * LABELS.index(label) + int(size)
            acceleration = motion(label, number)[1]
            path = tmp_path / "bearings" / label / size / f"{number}_0.mat"
            path.parent.mkdir(parents=True)
            names = (f"X{number:03d}_DE_time", f"X{number:03d}_FE_time")
            scipy_io.savemat(path, {names[0]: acceleration[:, :1], names[1]: acceleration[:, 1:2], "RPM": 1796.0})
    return tmp_path / "bearings"


def test_arrays_that_are_named_after_their_file_are_the_same_columns(named_after_themselves: Path) -> None:
    guess = guess_source(named_after_themselves)
    assert guess.problems == ()
    assert [(one["name"], one["column"]) for one in guess.fields["channels"]] == [
        ("X_DE_time", "X*_DE_time"),
        ("X_FE_time", "X*_FE_time"),
    ]
    signals = list(read_signals(guess.source, base=guess.base))
    assert {one.group for one in signals} == {"007", "014", "021"}
    walk = next(one for one in signals if one.name == "walk/007/7_0")
    assert np.array_equal(walk.values, motion("walk", 7)[1][:, :2])


def test_a_file_that_lacks_such_an_array_or_has_two_is_named(named_after_themselves: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    path = next(named_after_themselves.rglob("*.mat"))
    arrays = {name: value for name, value in scipy_io.loadmat(path).items() if not name.startswith("__")}
    de, fe = sorted(name for name in arrays if name.startswith("X"))
    guess = guess_source(named_after_themselves)
    scipy_io.savemat(path, {**arrays, "X999_DE_time": arrays[de]})
    with pytest.raises(ContractError, match=rf"column 'X\*_DE_time' fits \['{de}', 'X999_DE_time'\]; expected one"):
        list(read_signals(guess.source, base=guess.base))
    del arrays[fe]
    scipy_io.savemat(path, arrays)
    with pytest.raises(ContractError, match=r"column 'X\*_FE_time' fits no array; expected one.*or leave the file out"):
        list(read_signals(guess.source, base=guess.base))
    (problem,) = guess_source(named_after_themselves).problems
    assert re.search(r"`exclude`, or keep only the channels that all files have \(X\*_DE_time\)", problem)


MANUAL = """This is a recording of March 24, 2011, starting from 10:24.39 a.m.

4.2 Acceleration data coding
----------------------------

Acceleration data recorded in the dataset are coded according to the following mapping:
    [0; +63] = [-1.5g; +1.5g]
The conversion rule is the following:
    real_val = -1.5g + (coded_val/63)*3g

5.1 Volunteers
--------------

"""


def test_a_text_beside_the_folders_of_recordings_is_passed_over(tmp_path: Path) -> None:
    for label in LABELS:
        for number in range(3):
            rows = np.rint(20 * motion(label, number)[1]).astype(int) + 32
            put(tmp_path / "data" / label / f"{number}.txt", "".join(f"{x} {y} {z}\n" for x, y, z in rows))
    put(tmp_path / "data" / "MANUAL.txt", MANUAL)
    guess = guess_source(tmp_path / "data")
    assert guess.problems == ()
    assert guess.fields["exclude"] == ["MANUAL.txt"]
    assert any("MANUAL.txt (no table, and not where the recordings are)" in one for one in guess.assumptions)
    assert len(list(read_signals(guess.source, base=guess.base))) == 3 * len(LABELS)
    put(tmp_path / "data" / LABELS[0] / "torn.txt", MANUAL)
    assert any("torn.txt cannot be read" in one for one in guess_source(tmp_path / "data").problems)
