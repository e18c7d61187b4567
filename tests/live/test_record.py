"""edge-seq record: the file contains exactly the sensor's samples, however the recording ends."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_seq.cli.record import _print_summary
from edge_seq.data.readers import load_dataset
from edge_seq.device.client import connect
from edge_seq.device.line import Timing
from edge_seq.device.transport import LoopbackTransport
from edge_seq.live.record import Capture, SteadyWriter, choose_labels, record
from edge_seq.support.errors import ConfigError, ContractError, DataError, PortLostError
from firmware_export.running.board import RunningBoard
from tests.cli.conftest import edge_seq, ok
from tests.live.conftest import FAST, LABELS, Recorded, Ticks, recording, vibration_model


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def counts_at(indices: NDArray[np.int64]) -> NDArray[np.int16]:
    """Counts of the board's sensor at these indices."""
    return recording()[indices % 1000]


def counts_in(path: Path) -> NDArray[np.int16]:
    values = np.array([[float(row[axis]) for axis in ("ax", "ay", "az")] for row in rows_of(path)])
    return np.rint(values * 2048).astype(np.int16)


def test_a_recording_holds_every_sample_and_is_read_back(board: RunningBoard, tmp_path: Path) -> None:
    path = tmp_path / "run 7.csv"
    result = ok("record", "--port", board.port, "--out", path, "--label", "still", "--duration-s", "3", "--json").json
    assert (result["samples"], result["lost"], result["gaps"], result["whole"]) == (4800, 0, 0, True)
    assert result["mean_rate_hz"] == pytest.approx(1600, rel=0.05)
    index = np.array([int(row["index"]) for row in rows_of(path)])
    assert np.array_equal(np.diff(index), np.ones(4799))
    assert np.array_equal(counts_in(path), counts_at(index))
    dataset = load_dataset(path.with_suffix(".toml"))
    (one,) = dataset.recordings
    assert dataset.labels == LABELS
    assert (one.name, one.group, set(one.labels.tolist())) == ("run 7.1", "run 7", {0})
    assert np.array_equal(one.counts, counts_at(index))


def record_process(board: RunningBoard, path: Path, *options: str) -> subprocess.Popen[str]:
    command = ["record", "--port", board.port, "--out", str(path), "--label", "still", *options]
    code = f"import sys; sys.argv = ['edge-seq', *{command!r}]\nfrom edge_seq.cli import main; main()"
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_rows(path: Path, rows: int) -> None:
    until = time.monotonic() + 30
    while not path.exists() or path.read_bytes().count(b"\n") <= rows:
        assert time.monotonic() < until, "nothing is recorded"
        time.sleep(0.02)


def test_a_killed_recorder_leaves_all_but_the_last_second(board: RunningBoard, tmp_path: Path) -> None:
    path = tmp_path / "killed.csv"
    process = record_process(board, path)
    wait_for_rows(path, 2400)
    time.sleep(0.5)
    before = path.read_bytes().count(b"\n")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (one,) = load_dataset(path.with_suffix(".toml")).recordings
    assert len(one.counts) >= before - 1
    index = np.array([int(row["index"]) for row in rows_of(path)])[: len(one.counts)]
    assert np.array_equal(one.counts, counts_at(index))


def test_a_file_cut_within_a_row_is_read_up_to_it(
    board: RunningBoard, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "torn.csv"
    ok("record", "--port", board.port, "--out", path, "--label", "still", "--duration-s", "0.5")
    whole = path.read_bytes()
    for cut, rows in ((1, 800), (20, 799), (40, 799)):
        path.write_bytes(whole[:-cut])
        assert len(load_dataset(path.with_suffix(".toml")).recordings[0].counts) == rows
        assert ("rows are left out of 1 recording (torn.1: line" in caplog.text) == (rows == 799)
    path.write_bytes(whole.replace(b",still,0,", b",still", 1))
    assert len(load_dataset(path.with_suffix(".toml")).recordings[0].counts) == 799
    assert "columns" in caplog.text


def test_ctrl_c_ends_a_recording(board: RunningBoard, tmp_path: Path) -> None:
    path = tmp_path / "interrupted.csv"
    process = record_process(board, path, "--json")
    wait_for_rows(path, 800)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert json.loads(out)["samples"] == len(rows_of(path)) >= 800


def test_a_full_disk_is_said_and_what_was_written_stays(board: RunningBoard, tmp_path: Path) -> None:
    (tmp_path / "full.csv").symlink_to("/dev/full")
    result = edge_seq(
        "record", "--port", board.port, "--out", tmp_path / "full.csv", "--label", "still", "--force", "--json"
    )
    assert result.code == 2
    assert (
        "recording to full.csv: No space left on device. The first 0 samples are on the disk and can be read; make"
        in result.err
    )
    assert result.json["error"] == "DataError"


def test_a_file_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    for there in ("drive.csv", "drive.toml"):
        (tmp_path / there).write_text("precious")
        result = edge_seq("record", "--port", "/dev/none", "--out", tmp_path / "drive.csv", "--label", "still")
        assert result.code == 2
        assert f"{there} exists; give another --out, or --force" in result.err
        (tmp_path / there).unlink()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "x.parquet"], "give a file that ends in .csv"),
        (["--out", "x.csv", "--labels", "a,b", "--label", "c"], "--label 'c' is none of --labels ['a', 'b']"),
        (["--out", "x.csv", "--labels", "a,a"], "give each class once"),
        (["--out", "x.csv"], "standard input is not a terminal; give --label"),
    ],
)
def test_wrong_use_is_said(arguments: list[str], message: str, board: RunningBoard, tmp_path: Path) -> None:
    result = edge_seq("record", "--port", board.port, *arguments, cwd=tmp_path)
    assert result.code == 2
    assert message in result.err
    assert list(tmp_path.iterdir()) == []


def test_classes_of_a_board_that_are_formulas_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"the board calls classes \['=1\+1'\], formulas to a spreadsheet"):
        choose_labels(["a", "=1+1"], [], None)
    with pytest.raises(ConfigError, match=r"record: label 'a\\x1bc': holds U\+001B; .* Give another --label"):
        choose_labels(["a", "b"], [], "a\x1bc")
    assert choose_labels(["=1+1"], ["-1", "+1"], None) == ("-1", "+1")


def test_keys_choose_the_label(board: RunningBoard, tmp_path: Path) -> None:
    path = tmp_path / "keys.csv"
    code = "import sys; from edge_seq.cli import main; main()"
    ours, terminal = os.openpty()
    command = [sys.executable, "-c", code, "record", "--port", board.port, "--out", str(path)]
    process = subprocess.Popen(command, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_rows(path, 400)
    for key in ("2", "?", "0", "3", "q"):
        os.write(ours, key.encode())
        time.sleep(0.3)
    out, err = process.communicate(timeout=20)
    os.close(ours)
    os.close(terminal)
    assert process.returncode == 0, err
    assert "keys: 1 still  2 turning  3 worn <b>bearing</b>  4 broken  0 none  q end" in err
    labels = [row["label"] for row in rows_of(path)]
    changes = [label for before, label in zip([None, *labels], labels, strict=False) if label != before]
    assert changes == ["", LABELS[1], "", LABELS[2]]
    assert "label   (none): " in out


@pytest.mark.slow
def test_a_restart_begins_a_new_recording_of_the_same_session(board: RunningBoard, tmp_path: Path) -> None:
    path = tmp_path / "restart.csv"
    process = record_process(board, path, "--duration-s", "4", "--json")
    wait_for_rows(path, 1600)
    board.process.send_signal(signal.SIGUSR1)
    out, err = process.communicate(timeout=40)
    result = json.loads(out)
    assert process.returncode == 1, err
    assert (result["restarts"], result["gaps"], result["whole"]) == (1, 1, False)
    assert result["first_gaps"][0]["lost"] is None
    assert "an unknown number of samples lost, the device restarted" in err
    dataset = load_dataset(path.with_suffix(".toml"))
    assert [(one.name, one.group) for one in dataset.recordings] == [
        ("restart.1", "restart"),
        ("restart.2", "restart"),
    ]
    marked = [row for row in rows_of(path) if row["lost_before"] != "0"]
    assert [row["lost_before"] for row in marked] == ["unknown"]


class FullFile(io.FileIO):
    """A file on a disk with room for ``room`` bytes."""

    room = 20_000

    def write(self, data: Any) -> int:  # type: ignore[override]
        taken = super().write(memoryview(data)[: max(0, self.room)])
        self.room -= taken
        if not taken and len(data):
            raise OSError(errno.ENOSPC, "No space left on device")
        return taken


def test_a_disk_that_fills_up_keeps_whole_rows(tmp_path: Path) -> None:
    path, capture = tmp_path / "full.csv", Capture(1.0)
    with (
        connect(Recorded(vibration_model()).opener, timing=FAST) as device,
        pytest.raises(
            DataError, match=r"No space left on device. The first [\d,]{3,} samples are on the disk and can be read; "
        ),
    ):
        record(
            device,
            path,
            label_now=lambda: "still",
            labels=LABELS,
            capture=capture,
            open_file=lambda path: FullFile(path, "w"),  # type: ignore[arg-type, return-value]
        )
    (one,) = load_dataset(path.with_suffix(".toml")).recordings
    assert len(one.counts) == capture.samples == len(rows_of(path)) > 100
    index = np.array([int(row["index"]) for row in rows_of(path)])
    assert np.array_equal(one.counts, counts_at(index))


def test_a_disk_that_fails_to_take_what_was_written_is_said_with_what_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_seq.live.record.SYNC_EVERY_S", 0.0)
    path, synced = tmp_path / "failing.csv", 0
    real = os.fsync

    def fsync(file: int) -> None:
        nonlocal synced
        if synced == 3:
            raise OSError(errno.EIO, "Input/output error")
        synced += 1
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    writer = SteadyWriter(path.open("wb", buffering=0), path.name)  # type: ignore[arg-type]

    def fill() -> None:
        for _ in range(4):
            writer.put(b"row\n" * 10, 10)
            until = time.monotonic() + 10
            while writer.rows_on_disk < writer.rows_written and writer.rows_written < 40:
                assert time.monotonic() < until
                time.sleep(0.001)
        writer.close()

    with pytest.raises(
        DataError, match=r"Input/output error. The first 30 samples are on the disk and can be read, 10 mo"
    ):
        fill()
    assert (writer.rows_on_disk, synced) == (30, 3)


@pytest.mark.parametrize("gone", [False, True], ids=["no samples come", "the port is gone"])
def test_the_end_is_heard_in_silence_too(gone: bool, tmp_path: Path) -> None:
    board, transports = Recorded(vibration_model(), last=1600), list[LoopbackTransport]()
    heard_s: list[float] = []

    def opener() -> LoopbackTransport:
        transports.append(board.opener())
        return transports[-1]

    def label_now() -> str | None:
        if board.given < 1600:
            return "still"
        if not heard_s:
            board.gone = gone
            if gone:
                transports[-1].close()
        heard_s.append(time.monotonic())
        return "still" if time.monotonic() - heard_s[0] < 0.5 else None

    with connect(opener, timing=Timing()) as device:
        began_s = time.monotonic()
        capture = record(device, tmp_path / "silent.csv", label_now=label_now, labels=LABELS, clock=Ticks())
    assert time.monotonic() - began_s < 4
    assert 1500 < capture.samples <= 1600


def test_a_rate_is_watched_through_gaps(tmp_path: Path) -> None:
    """Lost samples keep their indices, so they neither disturb the rate nor hide an error. Of 80, a device keeps 64."""
    for step_s, holds in ((0.0501, True), (0.1, False)):
        board = Recorded(vibration_model(), at_once=80)
        told = list[str]()
        with connect(board.opener, timing=FAST) as device:
            capture = record(
                device,
                tmp_path / f"{holds}.csv",
                label_now=lambda: "still",
                labels=LABELS,
                duration_s=20.0,
                warn=told.append,
                clock=lambda board=board, step_s=step_s: board.given / 80 * step_s,  # type: ignore[misc]
            )
        assert capture.num_gaps > 100
        assert capture.rate_held == holds
        assert any("samples a second by this computer's clock" in text for text in told) == (not holds)


def test_samples_that_the_board_dropped_are_told_apart(tmp_path: Path) -> None:
    with connect(Recorded(vibration_model(), jump_at=1600, jump=200).opener, timing=FAST) as device:
        capture = record(
            device, tmp_path / "x.csv", label_now=lambda: "still", labels=LABELS, duration_s=2.0, clock=Ticks()
        )
    assert capture.to_dict()["dropped_by_board"] == capture.lost > 100


def test_a_gap_is_marked_with_place_and_length_and_cuts_the_recording(tmp_path: Path) -> None:
    path, told = tmp_path / "gap.csv", list[str]()
    with connect(Recorded(vibration_model(), jump_at=1600, jump=200).opener, timing=FAST) as device:
        capture = record(
            device, path, label_now=lambda: "still", labels=LABELS, duration_s=2.0, warn=told.append, clock=Ticks()
        )
    (gap,) = capture.gaps
    assert gap.lost is not None
    assert 100 < gap.lost <= 200
    assert capture.samples + capture.lost == 3200
    assert f"gap before sample {gap.sample}: {gap.lost} lost" in told
    marked = [(number, row) for number, row in enumerate(rows_of(path)) if row["lost_before"] != "0"]
    assert [(number + gap.lost, row["lost_before"]) for number, row in marked] == [(gap.sample, str(gap.lost))]
    index = np.array([int(row["index"]) for row in rows_of(path)])
    assert np.diff(index).max() == gap.lost + 1
    recordings = load_dataset(path.with_suffix(".toml")).recordings
    assert [(one.name, one.group) for one in recordings] == [("gap.1#1", "gap"), ("gap.1#2", "gap")]
    assert np.array_equal(np.concatenate([one.counts for one in recordings]), counts_at(index))


def test_recordings_in_one_folder_are_one_data_set(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with connect(Recorded(vibration_model()).opener, timing=FAST) as device:
            record(
                device,
                tmp_path / f"{name}.csv",
                label_now=lambda: "still",
                labels=LABELS,
                duration_s=0.1,
                clock=Ticks(),
            )
    every = tmp_path / "all.toml"
    every.write_text((tmp_path / "one.toml").read_text().replace('"one.csv"', '"."'))
    assert [(one.name, one.group) for one in load_dataset(every).recordings] == [("one.1", "one"), ("two.1", "two")]


def test_a_rate_that_is_not_the_contracts_is_told_and_fails_the_check(tmp_path: Path) -> None:
    told = list[str]()
    with connect(Recorded(vibration_model()).opener, timing=FAST) as device:
        capture = record(
            device,
            tmp_path / "slow.csv",
            label_now=lambda: "still",
            labels=LABELS,
            duration_s=10.0,
            warn=told.append,
            clock=Ticks(step_s=0.01),
        )
    assert not capture.rate_held
    assert not capture.whole
    assert [text for text in told if "the sensor contract says 1600 Hz with a tolerance of 5%" in text]


def recorded_for(path: Path, *, duration_s: float, expected_hz: float, step_s: float) -> Capture:
    """A recording whose samples come two at a time, with a clock that goes on by ``step_s`` whenever it is asked."""
    with connect(Recorded(vibration_model(rate_hz=expected_hz), at_once=2).opener, timing=FAST) as device:
        return record(
            device, path, label_now=lambda: "still", labels=LABELS, duration_s=duration_s, clock=Ticks(step_s=step_s)
        )


def test_a_rate_far_off_is_seen_in_a_short_recording_too(tmp_path: Path) -> None:
    """A board that gives 200 Hz, against a contract of 10 Hz: its 20 samples for two seconds come in a tenth of one."""
    capture = recorded_for(tmp_path / "fast.csv", duration_s=2.0, expected_hz=10.0, step_s=0.001)
    assert (capture.samples, capture.rate_measured, capture.rate_held, capture.whole) == (20, True, False, False)
    assert capture.mean_rate_hz is not None
    assert capture.mean_rate_hz > 100
    assert capture.to_dict()["rate_holds"] is False


def test_a_short_recording_says_that_its_rate_was_not_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capture = recorded_for(tmp_path / "short.csv", duration_s=0.02, expected_hz=1600.0, step_s=0.0004)
    assert (capture.samples, capture.rate_measured, capture.whole) == (32, False, None)
    assert (capture.to_dict()["rate_holds"], capture.to_dict()["whole"]) == (None, None)
    _print_summary(capture, tmp_path / "short.csv")
    said = capsys.readouterr().out
    assert "rate    not measured" in said
    assert "the recording is too short to measure its rate: record two seconds or more" in said


def test_a_port_that_is_gone_leaves_what_was_recorded(tmp_path: Path) -> None:
    path, board = tmp_path / "gone.csv", Recorded(vibration_model())
    transports: list[LoopbackTransport] = []

    def opener() -> LoopbackTransport:
        transports.append(board.opener())
        return transports[-1]

    def pull_the_plug(capture: Capture) -> None:
        if capture.samples > 1000:
            board.gone = True
            transports[-1].close()

    with (
        connect(opener, timing=FAST) as device,
        pytest.raises(PortLostError, match=r"it is gone\. [\d,]+ samples were recorded, and stay in gone.csv"),
    ):
        record(device, path, label_now=lambda: "still", labels=LABELS, progress=pull_the_plug)
    assert len(load_dataset(path.with_suffix(".toml")).recordings[0].counts) > 1000


def test_a_port_that_comes_back_goes_on_behind_a_marked_gap(tmp_path: Path) -> None:
    path, board = tmp_path / "back.csv", Recorded(vibration_model())
    transports: list[LoopbackTransport] = []

    def opener() -> LoopbackTransport:
        transports.append(board.opener())
        return transports[-1]

    def unplug_once(capture: Capture) -> None:
        if capture.samples > 1000 and len(transports) == 1:
            board.given += 500
            transports[-1].close()

    with connect(opener, timing=FAST) as device:
        capture = record(
            device, path, label_now=lambda: "still", labels=LABELS, duration_s=2.0, progress=unplug_once, clock=Ticks()
        )
    assert (capture.reconnects, capture.num_gaps, capture.restarts) == (1, 1, 0)
    assert capture.lost > 0
    assert capture.samples + capture.lost == 3200


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "label", "@x", "t"])
def test_a_channel_that_cannot_be_a_column_is_refused(name: str, tmp_path: Path) -> None:
    model = vibration_model()
    channels = (replace(model.contract.channels[0], name=name), *model.contract.channels[1:])
    twin = Recorded(replace(model, contract=replace(model.contract, channels=channels)))
    with connect(twin.opener, timing=FAST) as device, pytest.raises(ContractError, match="cannot be a column"):
        record(device, tmp_path / "x.csv", label_now=lambda: "still", labels=LABELS)
    assert list(tmp_path.iterdir()) == []


def test_a_device_without_a_usable_contract_is_said(tmp_path: Path) -> None:
    model = vibration_model()
    channels = (replace(model.contract.channels[0], unit="furlong"), *model.contract.channels[1:])  # type: ignore[arg-type]
    twin = Recorded(replace(model, contract=replace(model.contract, channels=channels)))
    with (
        connect(twin.opener, timing=FAST) as device,
        pytest.raises(ContractError, match=r"asking device for its sensor contract: .*unit 'furlong' is unknown"),
    ):
        record(device, tmp_path / "x.csv", label_now=lambda: "still", labels=LABELS)


def test_a_disk_that_is_far_behind_is_said(tmp_path: Path) -> None:
    held = threading.Event()

    class SlowFile(io.FileIO):
        def write(self, data: Any) -> int:  # type: ignore[override]
            held.wait(20)
            return super().write(data)

    writer = SteadyWriter(SlowFile(tmp_path / "slow.csv", "w"), "slow.csv")  # type: ignore[arg-type]

    def fill() -> None:
        for _ in range(5000):
            writer.put(b"row\n", 1)

    with pytest.raises(DataError, match="the disk is 4096 blocks of samples behind the port"):
        fill()
    held.set()
    writer.close()
    assert writer.rows_written == (tmp_path / "slow.csv").read_bytes().count(b"\n") >= 4096


def test_values_beyond_full_scale_are_counted_and_kept(tmp_path: Path) -> None:
    model, path = vibration_model(), tmp_path / "x.csv"
    twin = Recorded(model)
    twin.twin.recording = np.full((10, 3), -32768, dtype=np.int16)
    with connect(twin.opener, timing=FAST) as device:
        capture = record(device, path, label_now=lambda: "still", labels=LABELS, duration_s=0.1, clock=Ticks())
    assert capture.beyond_full_scale == capture.samples == 160
    assert {row["ax"] for row in rows_of(path)} == {"-16"}
