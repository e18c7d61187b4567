"""Workers of one machine, and the process that started them."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("optuna")

from edge_seq.compare import workers
from edge_seq.compare.config import CompareConfig, load_compare_config
from edge_seq.compare.points import Point
from edge_seq.compare.study import Standing
from edge_seq.compare.workers import Job, work_in_processes
from edge_seq.support.errors import ToolError
from tests.unit.compare.study_worker import HEARTBEAT, POINTS, trial_result


class AwayNowAndThen:
    """A study whose database cannot be reached at the first looks; it then lets the workers end."""

    def __init__(self, away: int, workers: Sequence[subprocess.Popen[bytes]]) -> None:
        self.away, self.workers = away, workers

    def fill_queue(self, points: Sequence[Point]) -> None:
        pass

    def standing(self, points: Sequence[Point]) -> Standing:
        self.away -= 1
        if self.away >= 0:
            raise ToolError("the database cannot be used")
        for worker in self.workers:
            assert worker.stdin is not None
            worker.stdin.close()
        return Standing({point.key: trial_result(point) for point in points}, {}, (), (), 0)


def test_a_database_that_is_away_for_a_moment_stops_no_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start(_job: Job, log: Path, _stack: Any) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE))
        return started[-1]

    monkeypatch.setattr(workers, "_start", start)
    monkeypatch.setattr(workers, "POLL_S", 0.01)
    seen: list[int] = []
    job = Job(load_compare_config("recall"), "", "", HEARTBEAT, {}, tuple(POINTS))
    study: Any = AwayNowAndThen(2, started)
    died = work_in_processes(job, study, 2, tmp_path, progress=lambda standing: seen.append(standing.done))
    assert [process.returncode for process in started] == [0, 0]
    assert died == 0
    assert seen[-1] == len(POINTS)


def test_a_worker_says_errors_and_warnings_as_commands_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edge_seq.cli import output

    assert workers.print_stderr_warning is output.print_stderr_warning

    def fail(_config: CompareConfig) -> None:
        raise ToolError("no data")

    job = Job(load_compare_config("recall"), "", "", HEARTBEAT, {}, ())
    monkeypatch.setattr("sys.stdin", io.StringIO(job.to_json()))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(workers, "open_source", fail)
    with pytest.raises(SystemExit) as ended:
        workers.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "edge-seq: error: no data\n"
