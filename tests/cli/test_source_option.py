"""Recordings that are not of the run: run, monitor and evaluate read them as the run's data source says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Small, edge_seq, ok


def test_run_monitor_and_evaluate_read_the_same(small: Small, tmp_path: Path) -> None:
    """Two drives in a text of another dialect, which the run's data source reads too."""
    lines = small.drives.read_text().replace('"', "").splitlines()
    kept = [lines[0], *(line for line in lines if line.startswith(("drive_000", "drive_001")))]
    path = tmp_path / "new.csv"
    path.write_text("\n".join(["# another logger", *(line.replace(",", ";") for line in kept)]) + "\n")

    result = ok("run", small.run, "--source", path, "--json")
    decisions = [json.loads(line) for line in result.out.splitlines()]
    assert [one["recording"] for one in decisions] == ["drive_000"] * 24 + ["drive_001"] * 24
    assert [one["sample"] for one in decisions] == [*range(49, 1200, 50)] * 2
    said = f"{path} is read as {small.run}/data/source.toml says: ax in m/s^2, ay in m/s^2, az in m/s^2; times in t"
    assert said in result.err
    assert "2,400 samples in 2 recordings, 48 labels" in result.err

    seen = ok("monitor", "--source", path, "--model", small.run, "--speed", "100000", "--json").json
    assert (seen["samples"], seen["next_decision"], seen["ended"]) == (2400, 48, "the end of the recording")
    names = [one["label"] for one in decisions]
    assert [seen["labels"][one["label"]] for one in seen["decisions"]] == names
    assert [text.split(": ", 1)[1] for text in seen["messages"]] == [
        "recording drive_000: 1,200 samples",
        "recording drive_001: 1,200 samples",
    ]

    scores = ok("evaluate", small.run, "--source", path, "--no-baselines", "--json").json
    assert (scores["side"], scores["split"], scores["int"]["num_groups"]) == ("new.csv", "other recordings", 2)
    before = sorted(one.name for one in small.run.iterdir())
    streams = ok("evaluate", small.run, "--source", path, "--stream")
    assert "run, new.csv: 2 recordings of 2 groups" in streams.out
    assert said in streams.err
    assert sorted(one.name for one in small.run.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--side", "test", "--source", "x.csv"), "--side test is of the run's own recordings, --source of others"),
        (("--data", "x.toml"), "--data says how other recordings are written; give them with --source"),
        (("--source", "x.csv", "--data", "contract"), "x.csv needs a data source, which says where its labels are"),
        (("--source", "x.csv"), "source x.csv does not exist; give a file or a folder of recordings"),
    ],
)
def test_evaluate_says_what_it_needs(small: Small, arguments: tuple[str, ...], message: str) -> None:
    result = edge_seq("evaluate", small.run, *arguments)
    assert result.code == 2
    assert message in result.err


def test_monitor_reads_no_file_of_a_board() -> None:
    result = edge_seq("monitor", "--port", "/dev/none", "--data", "x.toml")
    assert result.code == 2
    assert "monitor: --data says how a file is written, but --port is a board" in result.err
