"""edge-seq record: what is in the file is what the board's sensor gave, whatever ends the recording."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_seq.data.readers import load_dataset
from firmware_export.board import RunningBoard
from tests.cli.conftest import edge_seq, ok
from tests.live.conftest import LABELS, recording


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def counts_at(indices: NDArray[np.int64]) -> NDArray[np.int16]:
    """What the board's sensor gives at these indices."""
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
        assert ("torn.csv: the last row" in caplog.text) == (rows == 799)
    path.write_bytes(whole.replace(b",still,0,", b",still", 1))
    with pytest.raises(Exception, match="columns"):
        load_dataset(path.with_suffix(".toml"))


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
    assert "recording to full.csv: No space left on device. The 0 samples before it are in the file" in result.err
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
        (["--out", "x.csv"], "standard input is no terminal; give --label"),
    ],
)
def test_wrong_use_is_said(arguments: list[str], message: str, board: RunningBoard, tmp_path: Path) -> None:
    result = edge_seq("record", "--port", board.port, *arguments, cwd=tmp_path)
    assert result.code == 2
    assert message in result.err
    assert list(tmp_path.iterdir()) == []


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
    assert "an unknown number of samples lost, the device started anew" in err
    dataset = load_dataset(path.with_suffix(".toml"))
    assert [(one.name, one.group) for one in dataset.recordings] == [
        ("restart.1", "restart"),
        ("restart.2", "restart"),
    ]
    marked = [row for row in rows_of(path) if row["lost_before"] != "0"]
    assert [row["lost_before"] for row in marked] == ["unknown"]
