"""Small misreadings: counters that run over, usual rates, letters for sensors, folders of persons, torn rows."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from edge_seq.data.audit.sample import at_the_rate, windows_of
from edge_seq.data.guess import Guess, guess_source
from edge_seq.data.readers import read_dataset, read_signals
from edge_seq.data.readers.formats.csv_file import read_matrix
from edge_seq.data.readers.signals import Signal
from edge_seq.data.readers.table import ReadOptions
from edge_seq.data.windows import make_windows
from edge_seq.ir.contract import to_counts
from edge_seq.pipeline.data_check import check_data
from edge_seq.support.errors import DataError, EdgeSeqError
from tests.unit.data.door_cases import G, motion, put, table, texts

LABELS = ("walk", "run")
NAMES = "{label}_{number}.csv"


def each(folder: Path, write: Callable[[str, int], str], name: str = NAMES, numbers: Sequence[int] = range(3)) -> Path:
    for label in LABELS:
        for number in numbers:
            put(folder / name.format(label=label, number=number), write(label, number))
    return folder


def plain(label: str, number: int, *, rows: int = 250) -> str:
    seconds, acceleration, _ = motion(label, number, rows)
    return table("t,ax,ay,az", [[f"{one:.2f}" for one in seconds], *texts(acceleration)])


def signals_of(guess: Guess) -> list[Signal]:
    return list(read_signals(guess.source, base=guess.base))


@pytest.mark.parametrize(
    ("name", "size", "per_second", "digits"),
    [
        ("micros", 2.0**32, 1e6, 0),
        ("time_ms", 2.0**32, 1e3, 0),
        ("time_ms", 2.0**16, 1e3, 0),
        ("time_ms", 2.0**32 / 1e3, 1e3, 3),
        ("t_us", 2.0**31, 1e6, 0),
    ],
)
def test_a_counter_of_times_runs_over(name: str, size: float, per_second: float, digits: int, tmp_path: Path) -> None:
    """It goes on: no gap, no error, no new recording. 2^31 stands for a signed counter, which falls to -2^31."""

    def write(label: str, number: int) -> str:
        seconds, acceleration, _ = motion(label, number, 400)
        ticks = size - (3.0 - seconds) * per_second
        ticks = np.where(ticks >= size, ticks - (2 * size if size == 2.0**31 else size), ticks)
        return table(f"{name},ax,ay,az", [[f"{one:.{digits}f}" for one in ticks], *texts(acceleration)])

    guess = guess_source(each(tmp_path / "d", write))
    assert (guess.source.sample_rate_hz, guess.source.on_gap, guess.source.rows_per_recording) == (50, "error", None)
    for one in signals_of(guess):
        assert one.time_s is not None
        assert np.allclose(np.diff(one.time_s), 0.02, atol=1e-6)
        assert any("ran over" in note for note in one.notes)
    assert check_data(tmp_path / "d").usable


def test_a_number_of_samples_runs_over_and_a_restart_does_not(tmp_path: Path) -> None:
    def write(label: str, number: int) -> str:
        _, acceleration, _ = motion(label, number, 400)
        return table("seq,ax,ay,az", [[str((100 + n) % 256) for n in range(400)], *texts(acceleration)])

    guess = guess_source(each(tmp_path / "d", write))
    assert (guess.source.index_column, guess.source.rows_per_recording) == ("seq", None)
    for one in signals_of(guess):
        assert one.time_s is not None
        assert np.array_equal(np.round(one.time_s * 50), 100 + np.arange(400))

    def restarted(label: str, number: int) -> str:
        seconds, acceleration, _ = motion(label, number, 400)
        again = np.where(np.arange(400) < 230, seconds, seconds - seconds[230])
        return table("t,ax,ay,az", [[f"{one:.2f}" for one in again], *texts(acceleration)])

    checked = check_data(each(tmp_path / "e", restarted))
    assert not checked.usable or checked.found.recordings == 2 * 6

    def of_256(label: str, number: int) -> str:
        _, acceleration, _ = motion(label, number, 1024)
        return table("sample,ax,ay,az", [[str(n % 256) for n in range(1024)], *texts(acceleration)])

    guess = guess_source(each(tmp_path / "f", of_256))
    assert guess.source.rows_per_recording == 256
    assert any("'sample' starts again after each 256 rows: 24 recordings" in one for one in guess.assumptions)


def test_a_folder_of_one_class_is_not_passed_over(tmp_path: Path) -> None:
    for who in ("s1", "s2"):
        put(tmp_path / "d" / "walk" / who / "a.csv", plain("walk", 1))
    guess = guess_source(tmp_path / "d")
    assert guess.fields["path"] == "d"
    assert guess.source.label_from != "folder"


@pytest.mark.parametrize("rate_hz", [31.25, 51.2, 52.0, 62.5, 104.0, 119.0])
def test_usual_rates_are_kept(rate_hz: float, tmp_path: Path) -> None:
    def write(label: str, number: int) -> str:
        seconds, acceleration, _ = motion(label, number, 500, rate_hz)
        return table("time_ms,ax,ay,az", [[f"{1000 * one:.0f}" for one in seconds], *texts(acceleration)])

    assert guess_source(each(tmp_path / "d", write, numbers=[1])).source.sample_rate_hz == rate_hz


def test_a_rate_between_the_usual_ones_is_what_the_data_say(tmp_path: Path) -> None:
    def write(label: str, number: int) -> str:
        seconds, acceleration, _ = motion(label, number, 500, 47.31)
        return table("t,ax,ay,az", [[f"{one:.6f}" for one in seconds], *texts(acceleration)])

    guess = guess_source(each(tmp_path / "d", write, numbers=[1]))
    assert guess.source.sample_rate_hz == 47.31


def test_a_rate_beside_a_filter_in_the_first_lines(tmp_path: Path) -> None:
    columns = texts(motion("walk", 1, 300)[1])
    first = "--- Data File Created By ActiGraph GT3X+ date format M/d/yyyy at 30 Hz  Filter Normal ---\n"
    put(tmp_path / "walk.csv", first + table("Accelerometer X,Accelerometer Y,Accelerometer Z", columns))
    guess = guess_source(tmp_path / "walk.csv")
    assert guess.source.sample_rate_hz == 30
    assert "there are no times; 30 Hz is what the first lines of the file say" in guess.assumptions


@pytest.mark.parametrize(
    ("header", "factor", "unit", "said"),
    [
        ("t,Bx,By,Bz", G, "m/s^2", "by gravity at rest"),
        ("t,Bx,By,Bz", 35.0, "uT", "only a guess: neither the header nor gravity"),
        ("t,magX,magY,magZ", 35.0, "uT", "only a guess: neither the header nor gravity"),
        ("t,x_m/s²,y_m/s²,z_m/s²", G, "m/s^2", "as the file says"),
        ("t,Acc X (m.s-2),Acc Y (m.s-2),Acc Z (m.s-2)", G, "m/s^2", "as the file says"),
        ("t,Gyro X (°.s-1),Gyro Y (°.s-1),Gyro Z (°.s-1)", 100.0, "deg/s", "as the file says"),
    ],
)  # fmt: skip
def test_letters_and_units_in_headers(header: str, factor: float, unit: str, said: str, tmp_path: Path) -> None:
    def write(label: str, number: int) -> str:
        seconds, acceleration, _ = motion(label, number)
        return table(header, [[f"{one:.2f}" for one in seconds], *texts(acceleration * factor)])

    guess = guess_source(each(tmp_path / "d", write, numbers=[1]))
    assert {one.unit for one in guess.source.channels} == {unit}
    assert any(f" in {unit}, {said}" in one for one in guess.assumptions), guess.assumptions


def test_linear_acceleration_in_other_languages(tmp_path: Path) -> None:
    def write(label: str, number: int) -> str:
        seconds, acceleration, _ = motion(label, number)
        free = (acceleration - acceleration.mean(axis=0)) * G
        axes = ",".join(f"Aceleración {word}{axis} (m/s^2)" for word in ("lineal ", "") for axis in "xyz")
        return table(f"Tiempo (s),{axes}", [[f"{one:.2f}" for one in seconds], *texts(free), *texts(acceleration * G)])

    guess = guess_source(each(tmp_path / "d", write, numbers=[1]))
    assert [one.name for one in guess.source.channels] == [f"Aceleración {axis}" for axis in "xyz"]


def test_numbered_axes_of_a_gyroscope_are_a_rotation(tmp_path: Path) -> None:
    def write(label: str, number: int) -> str:
        seconds, acceleration, rotation = motion(label, number)
        columns = [[f"{one:.2f}" for one in seconds], *texts(acceleration * G), *texts(rotation)]
        return table("t,acc1,acc2,acc3,gyr1,gyr2,gyr3", columns)

    guess = guess_source(each(tmp_path / "d", write, numbers=[1]))
    assert [one.unit for one in guess.source.channels] == ["m/s^2"] * 3 + ["deg/s"] * 3
    assert sum("only a guess" in one for one in guess.assumptions) == 6


def test_the_range_of_a_part_of_16_bits_is_proposed(tmp_path: Path) -> None:
    guess = guess_source(each(tmp_path / "d", lambda label, number: table(
        "ax,ay,az", texts(motion(label, number)[1] * 2048, ".0f"))))  # fmt: skip
    channel = guess.source.channels[0]
    assert (channel.full_scale, channel.counts_per_unit, channel.column_bits) == (16, 2048, 16)
    said = next(one for one in guess.assumptions if one.startswith("full scale 16 g and 2048 counts a g"))
    assert "only a guess: the smallest usual range that holds the largest value" in said
    assert "is 2 g. It must be the range that the firmware sets in the accelerometer" in said


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("S0{number}/{label}/imu.csv", {"S01", "S02", "S03"}),
        ("{number}/{label}/rec.csv", {"anna", "ben", "chloé"}),
        ("{number}/{label}.csv", {"anna", "ben", "chloé"}),
        ("{number}/{label}_20240102.csv", {"anna", "ben", "chloé"}),
        ("2024-01-02-{label}-{number}.csv", {"anna", "ben", "chloé"}),
        ("data/{label}/{number}.csv", None),
        ("{label}_2024-01-0{number}.csv", None),
        ("20240102T101112Z_{label}_{number}.csv", None),
        ("{label}_20240102_10111{number}.csv", None),
    ],
)
def test_names_with_persons_and_dates(name: str, groups: set[str] | None, tmp_path: Path) -> None:
    persons = ("anna", "ben", "chloé") if groups and "anna" in groups else (1, 2, 3)
    for label in LABELS:
        for number, who in enumerate(persons):
            put(tmp_path / "d" / name.format(label=label, number=who), plain(label, number))
    guess = guess_source(tmp_path / "d")
    found = signals_of(guess)
    assert {one.label_values for one in found} == {("walk",), ("run",)}
    assert {one.group for one in found} == groups if groups else len({one.group for one in found}) == 6


@pytest.mark.parametrize("name", ["{side}/{label}/{k}.csv", "{label}/{side}/{k}.csv", "set/{side}/{label}/{k}.csv"])
def test_folders_of_a_split_above_or_below_the_classes(name: str, tmp_path: Path) -> None:
    for side, numbers in (("train", (0, 1, 2)), ("test", (3, 4))):
        for label in LABELS:
            for k in numbers:
                put(tmp_path / "d" / name.format(side=side, label=label, k=k), plain(label, k))
    put(tmp_path / "d" / "README.md", "about\n")
    checked = check_data(tmp_path / "d", write=tmp_path / "d.toml")
    assert checked.usable, checked.found.findings
    again = check_data(tmp_path / "d.toml")
    assert again.found.labels.keys() == {"walk", "run"}
    guess = guess_source(tmp_path / "d")
    assert {(one.split, one.label_values) for one in signals_of(guess)} == {
        (side, (label,)) for side in ("train", "test") for label in LABELS
    }


@pytest.mark.parametrize("row", [
    "  ".join(["0,12345"] * 12) + "  20240203T235958.042Z  walk",
    "9" * 60_000 + "x",
    "a" + " " * 60_000 + "b",
    "1" + " 1" * 18_000 + "x",
    "(" * 60_000 + ")",
    "z" * 60_000 + "X ",
    "# " + "8" * 60_000 + " LSB",
])  # fmt: skip
def test_rows_take_no_time_without_bound(row: str, tmp_path: Path) -> None:
    """Regular expressions try no more than a few ways: with twelve numbers and a word it once took hours."""
    put(
        tmp_path / "walk.txt",
        f"{row}\n" * 20 + "t ax ay az\n" + "".join(f"{n} {n % 7} {n % 5} {n % 3}\n" for n in range(50)),
    )
    with contextlib.suppress(EdgeSeqError):
        assert guess_source(tmp_path / "walk.txt").source.channels


def test_a_row_of_too_many_columns_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "walk.csv", (",".join(["1"] * 20_001) + "\n") * 3)
    with pytest.raises(DataError, match="rows have 20,001 columns, expected at most 20,000; correct the delimiter"):
        guess_source(tmp_path / "walk.csv")


def test_a_checksum_is_no_class(tmp_path: Path) -> None:
    def write(label: str, number: int) -> str:
        rows = zip(*texts(motion(label, number)[1] * G), strict=True)
        lines = [(",".join(row)) for row in rows]
        return "\n".join(f"{line},*{sum(map(ord, line)) % 16:02X}" for line in lines) + "\n"

    guess = guess_source(each(tmp_path / "d", write))
    assert {one.label_values for one in signals_of(guess)} == {("walk",), ("run",)}


def test_an_output_that_is_always_0_is_no_group(tmp_path: Path) -> None:
    def write(label: str, number: int) -> str:
        return table("", [*texts(motion(label, number)[1]), ["0"] * 250])

    guess = guess_source(each(tmp_path / "d", write))
    assert guess.source.group_column is None
    assert len({one.group for one in signals_of(guess)}) == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("t;ax;ay;az\n" + "".join(f"{n // 50}.{n % 50 * 20:03d};0,{n % 9};0,{n % 7};0,9\n" for n in range(200)),
         "'t' is named like a time, but"),
        ("Time,X,Y,Z,X,Y,Z\n" + "".join(f"{n / 50},0.{n % 9},0.{n % 7},1,2,3,{n % 5}\n" for n in range(200)),
         "walk.csv: column names ['X', 'Y', 'Z'] occur more than once"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_refused(text: str, message: str, tmp_path: Path) -> None:
    put(tmp_path / "walk.csv", text)
    try:
        said = " ".join(guess_source(tmp_path / "walk.csv").problems)
    except DataError as error:
        said = str(error)
    assert message in said


def test_rows_that_lack_a_column_of_the_header_are_refused(tmp_path: Path) -> None:
    """A tab after the last value is an empty column, which the rows do not show."""
    rows = "".join(f"0.{n % 9}\t0.{n % 7}\t0.9\t{n / 50}\t\n" for n in range(100))
    for units in ("", "g\tg\tg\ts\t-\n"):
        put(tmp_path / "walk.log", f"ax\tay\taz\tt\tnotes\n{units}{rows}")
        with pytest.raises(DataError, match="names 5 columns, the rows have 4, so it is not clear which is which"):
            guess_source(tmp_path / "walk.log")


def test_a_file_without_a_header_among_others_is_not_passed_over(tmp_path: Path) -> None:
    each(tmp_path / "d", plain)
    put(tmp_path / "d" / "run_0.csv", plain("run", 0).partition("\n")[2])
    assert any("1 of 6 files (run_0.csv) have other columns" in one for one in guess_source(tmp_path / "d").problems)


def test_a_pipe_is_not_a_missing_file(tmp_path: Path) -> None:
    put(tmp_path / "d" / "a.csv", plain("walk", 0))
    os.mkfifo(tmp_path / "d" / "list.csv")
    put(tmp_path / "d.toml", 'name="d"\npath="d"\nmanifest="list.csv"\nlabel_from="manifest"\nsample_rate_hz=50\n'
        'window_length=50\nwindow_stride=50\n'
        'channels=[{name="ax",unit="g",counts_per_unit=100,full_scale=4}]\n')  # fmt: skip
    with pytest.raises(DataError, match=r"manifest: file .*list.csv is not a regular file; correct the name"):
        check_data(tmp_path / "d.toml")


def test_a_torn_row_of_windows_is_refused(tmp_path: Path) -> None:
    """Rows of a file for each channel belong together, so none may be left out."""
    path = tmp_path / "total_acc_y_train.txt"
    rows = "".join(" ".join(f"{np.sin(n + k):.3f}" for k in range(32)) + "\n" for n in range(150))
    put(path, rows)
    assert read_matrix(path, ReadOptions((), ())).shape == (150, 32)
    for torn in (rows.replace(" ", "#", 1), rows.replace("\n", "#\n", 7).replace("#\n", "\n", 6)):
        put(path, torn)
        with pytest.raises(DataError, match=r"total_acc_y_train.txt: 1 row is torn or garbage .* correct the file"):
            read_matrix(path, ReadOptions((), ()))


def test_torn_rows_of_many_files_are_one_line_of_a_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    each(tmp_path / "d", lambda label, number: plain(label, number).replace("\n1.00,", "\n#torn\n1.0000;", 1))
    guess = guess_source(tmp_path / "d")
    with caplog.at_level(logging.WARNING):
        read_dataset(guess.source, base=guess.base)
    lost = [one for one in caplog.messages if "torn" in one]
    assert len(lost) == 1
    assert lost[0].startswith("torn or garbage rows are left out of 6 recordings (run_0: line ")
    assert lost[0].endswith("edge-seq data check --json names all of them")
    (finding,) = [one for one in check_data(tmp_path / "d").found.findings if one.check == "lost rows"]
    assert len(finding.recordings) == 6


@pytest.mark.parametrize("method", ["linear", "lowpass"])
def test_the_windows_of_the_page_are_those_of_a_training(method: str, tmp_path: Path) -> None:
    def write(label: str, number: int) -> str:
        rate = 70 if label == "run" else 50
        seconds, acceleration, _ = motion(label, number, 8 * rate, rate)
        return table("t,ax,ay,az", [[f"{one:.5f}" for one in seconds], *texts(acceleration)])

    guess = guess_source(each(tmp_path / "d", write))
    source = guess.source.model_copy(update={"sample_rate_hz": 50.0, "resample": method})
    dataset = read_dataset(source, base=guess.base)
    wanted = make_windows(dataset.recordings, length=source.window_length, stride=source.window_stride,
                          minimum_share=source.minimum_share).counts  # fmt: skip
    found = []
    for signal in read_signals(source, base=guess.base):
        cut = at_the_rate(signal, source)
        found += [to_counts(cut.values[at : at + source.window_length], source.contract)
                  for at in windows_of(cut, source)[0]]  # fmt: skip
    assert np.array_equal(np.stack(found), wanted)


def test_files_of_one_row_are_guessed_without_a_warning(tmp_path: Path) -> None:
    for first in ("t", "index"):
        for name in "ab":
            (tmp_path / f"{name}.csv").write_text(f"{first},ax,ay,label\n0.00,0.1,0.2,walk\n")
        guess_source(tmp_path)


def test_huge_numbers_are_guessed_without_a_warning(tmp_path: Path) -> None:
    rows = "".join(f"{i / 50},{1e308 if i == 40 else 0.01 * (i % 7)},{i % 3},walk\n" for i in range(200))
    (tmp_path / "a.csv").write_text("t,ax,ay,label\n" + rows)
    guess_source(tmp_path / "a.csv")
