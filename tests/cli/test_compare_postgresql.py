"""`edge-seq compare` with its trials in PostgreSQL: shared, taken over, and errors that do not tell the password."""

from __future__ import annotations

import json
import runpy
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote_plus

import pytest

pytest.importorskip("torch")
pytest.importorskip("optuna")

from edge_seq.compare.points import Point
from edge_seq.compare.result import TrialResult
from edge_seq.support.errors import ToolError
from tests import postgresql as postgresql_of_tests
from tests.cli.comparing import HASTE, SMALL, standing, start, start_and_hang
from tests.cli.conftest import edge_seq, ok
from tests.postgresql import PASSWORD, Server, server
from tests.unit.compare import study_worker
from tests.unit.compare.study_worker import HEARTBEAT, POINTS, end, log, open_study, trial_result, wait_for

FEW = (*SMALL, "--first-weights", "default")
OF_THE_RUN = {"command", "storage", "takeovers", "seconds_of_this_command", "training_seconds", "training_cpu_seconds"}


def test_a_system_without_users_as_in_unix_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pwd", None)
    monkeypatch.setitem(sys.modules, "psycopg2", ModuleType("psycopg2"))
    anew = runpy.run_path(postgresql_of_tests.__file__)
    with pytest.raises(pytest.skip.Exception, match="users as in Unix"), anew["server"]():
        pass


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Server]:
    with server() as one:
        yield one


@pytest.fixture
def storage(postgresql: Server, tmp_path: Path) -> str:
    """An empty database."""
    return postgresql.new_database(tmp_path.name)


def tells_the_password(text: str) -> bool:
    return PASSWORD in text or quote_plus(PASSWORD) in text or "se%7Bcr" in text or "se{cr" in text


def figures(value: Any) -> Any:
    """A comparison without what no two runs have in common: times, and where it was done."""
    if isinstance(value, dict):
        return {key: figures(inner) for key, inner in value.items() if key not in OF_THE_RUN}
    return [figures(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.slow
def test_one_of_two_workers_is_killed_and_the_summary_is_that_of_one_alone(
    postgresql: Server, storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("compare", "recall", *FEW, *HASTE, "--storage", storage)
    killed = start_and_hang(*arguments, "--out", str(tmp_path / "killed"), mark=tmp_path / "stuck", after=1)
    other = start(*arguments, "--out", str(tmp_path / "other"))
    wait_for(lambda: standing(storage, first_weights=["default"]).done == 7)  # all but the one that is in work
    killed.kill()
    out, err = killed.communicate()
    assert not tells_the_password(out + err)
    out, err = other.communicate(timeout=120)
    assert other.returncode == 0, err
    assert not tells_the_password(out + err)

    shared = json.loads((tmp_path / "other" / "comparison.json").read_text(encoding="utf-8"))
    alone = ok("compare", "recall", *FEW, "--out", tmp_path / "alone", "--json").json
    assert (shared["trainings"], shared["trainings_left"], shared["takeovers"]) == (8, 0, 1)
    assert figures(shared) == figures(alone)

    monkeypatch.setenv("PGPASSWORD", PASSWORD)  # not in the URL, and so in no list of processes
    without = postgresql.url(tmp_path.name, password="")
    both = ok("compare", "recall", *FEW, *HASTE, "--storage", without, "--out", tmp_path / "both", "--workers", "2")
    assert not tells_the_password(both.out + both.err)
    page = tmp_path / "both" / "report.html"
    ok("report", tmp_path / "both", "--out", page)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"comparison.json", "comparison.md", "worker_0.log", "report.html"} <= {path.name for path in files}
    assert not [path for path in files if tells_the_password(path.read_text(encoding="utf-8", errors="replace"))]
    assert shared["storage"].startswith("postgresql+psycopg2://tester:***@/")
    assert "--storage URL" in shared["command"]


def test_workers_that_start_together_on_an_empty_database_do_nothing_twice(storage: str, tmp_path: Path) -> None:
    for process in [study_worker.start(tmp_path, name, "go", storage) for name in ("a", "b", "c")]:
        end(process)
    assert sorted(line.split()[1] for line in log(tmp_path)) == ["0", "1", "2", "3"]


def test_a_server_that_restarts_during_a_training_costs_nothing(
    postgresql: Server, storage: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    restarts: list[int] = []

    def run(point: Point) -> TrialResult:
        if len(restarts) < 2:
            postgresql.stop()
            time.sleep(2 * HEARTBEAT.interval_s * len(restarts))  # the second time signs of life fail
            postgresql.start()
            restarts.append(point.seed)
        return trial_result(point)

    open_study(tmp_path, storage).work(POINTS, run, lambda result: result.seconds, warn=pytest.fail)
    assert open_study(tmp_path, storage).standing(POINTS).done == len(POINTS)
    assert capfd.readouterr() == ("", "")


def test_a_server_that_went_away_is_named_without_a_traceback_or_the_password(
    postgresql: Server, storage: str, tmp_path: Path
) -> None:
    study = open_study(tmp_path, storage)

    def run(point: Point) -> TrialResult:
        postgresql.stop()
        return trial_result(point)

    try:
        with pytest.raises(
            ToolError, match=r"the database postgresql\+psycopg2 cannot be used: .*the same command"
        ) as seen:
            study.work(POINTS, run, lambda result: result.seconds)
        for use in (
            lambda: study.standing(POINTS),
            lambda: study.agree_on_plan({}, dict),
            lambda: study.fill_queue([]),
        ):
            with pytest.raises(ToolError, match="cannot be used"):
                use()
        refused = edge_seq("compare", "recall", *FEW, "--storage", storage, "--out", tmp_path / "out")
    finally:
        postgresql.start()
    assert not tells_the_password(str(seen.value))
    assert refused.code == 2
    assert "No such file or directory Is the server running locally and accepting connections" in refused.err
    assert "Check that it runs, and check address, user and password in --storage" in refused.err
    assert "Traceback" not in refused.err
    assert not tells_the_password(refused.out + refused.err)


def test_a_wrong_password_is_an_error_that_does_not_tell_it(postgresql: Server, tmp_path: Path) -> None:
    url = postgresql.url(password="mistyped")
    refused = edge_seq("compare", "recall", *FEW, "--storage", url, "--out", tmp_path / "out", "--workers", "2")
    assert refused.code == 2
    assert "cannot be used: " in refused.err
    assert 'password authentication failed for user "tester"' in refused.err
    assert "mistyped" not in refused.out + refused.err
    assert not [path for path in (tmp_path / "out").rglob("*") if "mistyped" in path.read_text(encoding="utf-8")]
