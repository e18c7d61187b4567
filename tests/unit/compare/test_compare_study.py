"""Several workers, one study: nothing twice, nothing lost, whoever is killed."""

from __future__ import annotations

import importlib.metadata
import json
import re
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

pytest.importorskip("optuna")

from edge_seq.compare import database
from edge_seq.compare import study as study_module
from edge_seq.compare.database import STUDY_FILE, Heartbeat, shown_storage
from edge_seq.compare.points import Point
from edge_seq.compare.result import TrialResult
from edge_seq.compare.study import MOST_LOST, Standing, Study
from edge_seq.support.errors import ConfigError, DataError, ToolError
from tests.unit.compare.study_worker import POINTS, end, log, open_study, start, trial_result, wait_for

SQLALCHEMY_2_0 = Version(importlib.metadata.version("sqlalchemy")) < Version("2.1")


def run(point: Point) -> TrialResult:
    return trial_result(point)


def work(study: Study, how: Callable[[Point], TrialResult] = run) -> None:
    study.work(POINTS, how, lambda result: result.seconds)


def test_the_trial_of_a_killed_worker_is_taken_over(tmp_path: Path) -> None:
    killed = start(tmp_path, "killed", "wait")
    wait_for(lambda: log(tmp_path))
    other = start(tmp_path, "other", "go")
    wait_for(lambda: len(log(tmp_path)) == 4)  # it did all others, and waits for the one in work
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    end(other)
    lost = log(tmp_path)[0].split()[1]
    assert log(tmp_path)[-1] == f"other {lost}"
    assert sorted(line.split()[1] for line in log(tmp_path)) == sorted(["0", "1", "2", "3", lost])
    standing = open_study(tmp_path).standing(POINTS)
    assert {result.versions["by"] for result in standing.results.values()} == {"other"}
    assert (standing.done, standing.takeovers) == (4, 1)


def test_a_worker_that_was_only_stopped_gives_way_when_it_comes_back(tmp_path: Path) -> None:
    stopped = start(tmp_path, "stopped", "wait")
    wait_for(lambda: log(tmp_path))
    stopped.send_signal(signal.SIGSTOP)
    end(start(tmp_path, "other", "go"))
    (tmp_path / "go").touch()
    stopped.send_signal(signal.SIGCONT)
    assert "another worker took over " in end(stopped)
    standing = open_study(tmp_path).standing(POINTS)
    assert {result.versions["by"] for result in standing.results.values()} == {"other"}
    assert standing.takeovers == 1


def test_workers_that_start_together_do_nothing_twice(tmp_path: Path) -> None:
    for process in [start(tmp_path, "a", "go"), start(tmp_path, "b", "go")]:
        end(process)
    assert sorted(line.split()[1] for line in log(tmp_path)) == ["0", "1", "2", "3"]


def test_a_trial_is_taken_by_one_of_two_workers_that_reach_for_it_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have read that it waits before either writes that it does not: SQLite alone does not keep them apart."""
    from optuna.storages import RDBStorage

    both = threading.Barrier(2)
    check = RDBStorage.check_trial_is_updatable
    open_study(tmp_path).fill_queue(POINTS)
    done: list[int] = []

    def meet(storage: RDBStorage, *what: Any) -> None:  # called between reading and writing
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)
        check(storage, *what)

    def counted(point: Point) -> TrialResult:
        done.append(point.seed)
        return run(point)

    monkeypatch.setattr(RDBStorage, "check_trial_is_updatable", meet)
    studies = [open_study(tmp_path), open_study(tmp_path)]
    workers = [threading.Thread(target=work, args=(study, counted)) for study in studies]
    for one in workers:
        one.start()
    for one in workers:
        one.join(60)
    assert sorted(done) == [0, 1, 2, 3]


@pytest.mark.parametrize("ended_as", ["COMPLETE", "FAIL"])
def test_a_result_is_dropped_with_a_warning_where_the_trial_was_ended_by_another(
    tmp_path: Path, ended_as: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two steps that keep a result: it is written, then its trial is told to be finished."""
    import optuna

    slow, other = open_study(tmp_path), open_study(tmp_path)
    warnings: list[str] = []
    taken_over: list[str] = []

    end_trial = slow._end

    def overtaken(trial: optuna.trial.Trial, *how: Any) -> None:
        if not taken_over:
            taken_over.append(ended_as)
            (running,) = other._study.get_trials(states=(optuna.trial.TrialState.RUNNING,))
            other._end(running, optuna.trial.TrialState[ended_as], *([0.0] if ended_as == "COMPLETE" else []))
            work(other)
        end_trial(trial, *how)

    monkeypatch.setattr(slow, "_end", overtaken)
    slow.work(POINTS, run, lambda result: result.seconds, warn=warnings.append)
    expected = f"another worker took over {POINTS[0].key}, because this one sent no heartbeat for 2 s"
    assert warnings == [f"{expected}; its own result is dropped"]
    standing = open_study(tmp_path).standing(POINTS)
    assert {key: result.seconds for key, result in standing.results.items()} == {p.key: p.seed for p in POINTS}
    finished = slow._study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    assert len(finished) == len(POINTS)


@pytest.mark.parametrize("error", [ConfigError("nan"), KeyboardInterrupt(), RuntimeError("defect")])
def test_an_error_in_a_trial_that_was_taken_over_changes_nothing_of_it(tmp_path: Path, error: BaseException) -> None:
    import optuna

    slow, other = open_study(tmp_path), open_study(tmp_path)
    warnings: list[str] = []

    def fails(point: Point) -> TrialResult:
        (trial,) = other._study.get_trials(states=(optuna.trial.TrialState.RUNNING,))
        other._end(trial, optuna.trial.TrialState.FAIL)
        work(other)
        raise error

    raises = nullcontext() if isinstance(error, ConfigError) else pytest.raises(type(error))
    with raises:
        slow.work(POINTS, fails, lambda result: result.seconds, warn=warnings.append)
    assert len(warnings) == isinstance(error, ConfigError)
    standing = open_study(tmp_path).standing(POINTS)
    assert (len(standing.results), standing.refused, standing.takeovers) == (4, {}, 1)


@pytest.mark.parametrize(("stored", "found"), [("{", "JSONDecodeError"), ('{"groups": {}}', "KeyError: 'windows'")])
def test_a_damaged_result_in_the_database_is_named(stored: str, found: str, tmp_path: Path) -> None:
    from optuna.trial import TrialState

    study = open_study(tmp_path)
    study.fill_queue(POINTS)
    trial = study._take()
    assert trial is not None
    trial.set_user_attr("result", stored)
    study._end(trial, TrialState.COMPLETE, 1.0)
    expected = f"reading training {POINTS[0].key} in the database of the comparison: not as its command writes it"
    with pytest.raises(DataError, match=re.escape(f"{expected} ({found}")):
        study.standing(POINTS)


def test_a_worker_that_dies_before_its_first_sign_of_life_is_missed_too(tmp_path: Path) -> None:
    dead = open_study(tmp_path)
    dead.fill_queue(POINTS)
    assert dead._take() is not None  # and nothing more
    work(open_study(tmp_path))
    standing = open_study(tmp_path).standing(POINTS)
    assert (standing.done, standing.takeovers) == (4, 1)


def test_what_is_finished_is_not_repeated_and_what_was_interrupted_is(tmp_path: Path) -> None:
    done: list[int] = []

    def interrupted(point: Point) -> TrialResult:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(point.seed)
        return run(point)

    with pytest.raises(KeyboardInterrupt):
        work(open_study(tmp_path), interrupted)

    def counted(point: Point) -> TrialResult:
        done.append(point.seed)
        return run(point)

    work(open_study(tmp_path), counted)
    assert sorted(done) == [0, 1, 2, 3]
    work(open_study(tmp_path), counted)
    assert len(done) == 4
    assert open_study(tmp_path).standing(POINTS).takeovers == 0


def test_a_training_that_cannot_be_done_is_an_answer_and_not_tried_again(tmp_path: Path) -> None:
    tries: list[int] = []

    def fails(point: Point) -> TrialResult:
        tries.append(point.seed)
        if point.seed == 2:
            raise ConfigError("training: the loss became nan")
        return run(point)

    work(open_study(tmp_path), fails)
    work(open_study(tmp_path), fails)
    assert sorted(tries) == [0, 1, 2, 3]
    standing = open_study(tmp_path).standing(POINTS)
    assert standing.refused == {POINTS[2].key: "training: the loss became nan"}
    assert standing.done == 4


def test_a_defect_is_raised_and_a_point_that_kills_its_workers_is_given_up(tmp_path: Path) -> None:
    def breaks(point: Point) -> TrialResult:
        if point.seed == 1:
            raise RuntimeError("defect")
        return run(point)

    for _ in range(MOST_LOST):
        with pytest.raises(RuntimeError, match="defect"):
            work(open_study(tmp_path), breaks)
    work(open_study(tmp_path), breaks)
    assert "its worker died 3 times" in open_study(tmp_path).standing(POINTS).refused[POINTS[1].key]


@pytest.mark.parametrize("error", [ConfigError("nan"), RuntimeError("defect")])
def test_a_point_that_was_given_up_is_not_tried_again_by_its_waiting_duplicate(
    tmp_path: Path, error: Exception
) -> None:
    study, tries = open_study(tmp_path), []
    for _ in range(MOST_LOST + 1):  # as workers do that start together
        study._study.enqueue_trial({}, user_attrs={"point": POINTS[1].key}, skip_if_exists=False)

    def fails(point: Point) -> TrialResult:
        if point.seed == 1:
            tries.append(point.seed)
            raise error
        return run(point)

    expected = 1 if isinstance(error, ConfigError) else MOST_LOST
    for _ in range(MOST_LOST + 1):
        with suppress(RuntimeError):
            work(study, fails)
    assert len(tries) == expected
    assert list(study.standing(POINTS).refused) == [POINTS[1].key]


def test_a_duplicate_sees_that_the_first_ended_while_it_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from optuna.trial import TrialState

    one, other, point = open_study(tmp_path), open_study(tmp_path), POINTS[0]
    for _ in range(2):
        one._study.enqueue_trial({}, user_attrs={"point": point.key}, skip_if_exists=False)
    first, second = one._take(), other._take()
    assert first is not None
    assert second is not None
    ask = other.standing

    def first_ends_meanwhile(points: Sequence[Point]) -> Standing:
        found = ask(points)
        one._finish(first, "result", json.dumps(run(point).to_dict()), TrialState.COMPLETE, 1.0)
        return found

    monkeypatch.setattr(other, "standing", first_ends_meanwhile)
    assert other._is_done_elsewhere(second, point.key, POINTS)


@pytest.mark.parametrize("step", ["set_trial_user_attr", "set_trial_state_values"])
@pytest.mark.parametrize("refused", [False, True])
def test_a_database_that_is_away_when_a_training_ends_costs_nothing(
    step: str, refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = open_study(tmp_path)
    trained: list[int] = []

    def run_and_lose_the_database(point: Point) -> TrialResult:
        trained.append(point.seed)
        if point.seed == 0:
            go_away(study, step, monkeypatch, times=2)
            if refused:
                raise ConfigError("nan")
        return run(point)

    work(study, run_and_lose_the_database)
    standing = open_study(tmp_path).standing(POINTS)
    assert sorted(trained) == [0, 1, 2, 3]
    assert (len(standing.results), len(standing.refused)) == ((3, 1) if refused else (4, 0))


def test_a_database_that_stays_away_when_a_training_ends_is_an_error_after_the_grace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = open_study(tmp_path)

    def run_and_lose_the_database(point: Point) -> TrialResult:
        go_away(study, "set_trial_user_attr", monkeypatch, times=10**6)
        return run(point)

    began = time.monotonic()
    with pytest.raises(ToolError, match="the database sqlite cannot be used: away"):
        work(study, run_and_lose_the_database)
    assert time.monotonic() - began >= study.heartbeat.grace_s


def go_away(study: Study, step: str, monkeypatch: pytest.MonkeyPatch, *, times: int) -> None:
    """Let that step of the storage fail so many times."""
    from optuna.exceptions import StorageInternalError

    do, failed = getattr(study._storage, step), []

    def fail_or_do(*what: Any, **more: Any) -> Any:
        if len(failed) < times:
            failed.append(step)
            raise StorageInternalError("commit") from OSError("away")
        return do(*what, **more)

    monkeypatch.setattr(study._storage, step, fail_or_do)


def test_another_plan_is_refused_with_what_differs(tmp_path: Path) -> None:
    wanted = {"config": {"seeds": 3, "training": {"epochs": 20}}, "data": "abc"}
    resolved = open_study(tmp_path).agree_on_plan(wanted, lambda: {"units": 7})["resolved"]
    assert resolved == {"units": 7}
    again = open_study(tmp_path).agree_on_plan(wanted, lambda: pytest.fail("worked out twice"))
    assert again == {**wanted, "resolved": {"units": 7}}
    changed = {"config": {"seeds": 3, "training": {"epochs": 40}}, "data": "xyz"}
    with pytest.raises(ConfigError) as caught:
        open_study(tmp_path).agree_on_plan(changed, dict)
    assert 'config.training.epochs 20 there, 40 now; data "abc" there, "xyz" now' in str(caught.value)
    assert "Give the same command to continue it, or another --out" in str(caught.value)


def test_the_first_of_two_workers_that_work_out_a_plan_together_is_kept(tmp_path: Path) -> None:
    first, second, third = (open_study(tmp_path) for _ in range(3))

    def overtaken() -> dict[str, Any]:
        first.agree_on_plan({"epochs": 20}, lambda: {"units": 7})
        return {"units": 8}

    assert second.agree_on_plan({"epochs": 20}, overtaken) == {"epochs": 20, "resolved": {"units": 7}}
    assert third.agree_on_plan({"epochs": 20}, dict)["resolved"] == {"units": 7}


def test_a_worker_of_another_plan_that_was_overtaken_is_refused(tmp_path: Path) -> None:
    first, second = open_study(tmp_path), open_study(tmp_path)

    def overtaken() -> dict[str, Any]:
        first.agree_on_plan({"epochs": 20}, dict)
        return {}

    with pytest.raises(ConfigError, match="made under another configuration: epochs 20 there, 40 now"):
        second.agree_on_plan({"epochs": 40}, overtaken)


@pytest.mark.parametrize(
    ("storage", "kind", "message"),
    [
        (
            "nothing at all",
            ConfigError,
            r"--storage \(without ://\) is not the URL of a database; expected for example",
        ),
        ("user:secret@host/x", ConfigError, r"is not the URL of a database"),
        ("postgresql:/user:secret@host/x", ConfigError, r"is not the URL of a database"),
        ("postgresql://user:secret/x", ConfigError, r"--storage postgresql://... is not the URL of a database"),
        ("postgresql://user:my@secret@host/x", ConfigError, "has more than one @, so it is not clear where the"),
        ("nodatabase://user:secret@host/x", ToolError, "no driver for the database nodatabase"),
        ("postgresql+psycopg2://user:secret@host/x", ToolError, r"pip install 'edge-seq\[compare-postgresql\]'"),
        ("sqlite:////nowhere/at/all.db", ToolError, "the database sqlite cannot be used: unable to open database file"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused_without_its_password(
    storage: str, kind: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_OPEN_TRIES", 1)
    monkeypatch.setitem(sys.modules, "psycopg2", None)  # as if it were not installed
    with pytest.raises(kind, match=message) as caught:
        Study(storage, "name", Heartbeat())
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("a?b", marks=pytest.mark.skipif(SQLALCHEMY_2_0, reason="SQLAlchemy 2.0 has no URL for it")),
        *("a%3Fb", "a b+c", "a{b}#c", "ä"),
    ],
)
def test_the_file_lies_in_its_folder_whatever_the_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    open_study(folder).fill_queue(POINTS)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with sqlite3.connect(folder / STUDY_FILE) as connection:
        assert connection.execute("SELECT count(*) FROM trials").fetchone() == (len(POINTS),)
    connection.close()


def test_a_folder_that_an_older_sqlalchemy_has_no_url_for_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.engine import URL

    folder = tmp_path / "a?b"
    folder.mkdir()
    monkeypatch.setattr(URL, "render_as_string", lambda url: f"sqlite:///{url.database}")
    with pytest.raises(ConfigError, match=r"have no URL for .*; give --out without \? in its name"):
        open_study(folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("version", "advice"), [("v0.9.0.a", "optuna storage upgrade"), ("v99.0.0.a", "pip install -U optuna")]
)
def test_tables_of_another_optuna_are_refused_with_what_to_do(tmp_path: Path, version: str, advice: str) -> None:
    open_study(tmp_path)
    with sqlite3.connect(tmp_path / STUDY_FILE) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
    connection.close()
    with pytest.raises(ToolError, match="the database sqlite cannot be used with this Optuna: ") as caught:
        open_study(tmp_path)
    assert advice in str(caught.value)
    assert "Or give another --out (with --storage: an empty database)" in str(caught.value)


def test_a_url_is_shown_without_its_password() -> None:
    assert shown_storage("postgresql://user:secret@host/x") == "postgresql://user:***@host/x"


@pytest.mark.parametrize(
    "secret",
    [
        "password=secret&sslpassword=secret",
        "PGPASSWORD=secret",
        "token=secret",
        "odbc_connect=DRIVER%3Dx%3BPWD%3Dsecret",
        "options=-c%20x%3Dsecret&options=secret",
    ],
)
def test_options_of_a_url_that_may_hold_a_secret_are_not_shown(secret: str) -> None:
    assert shown_storage(f"postgresql://host/x?user=me&{secret}&sslmode=require") == (
        "postgresql://host/x?sslmode=require&user=me"
    )


def test_without_optuna_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ToolError, match=r"needs optuna, which is not installed; pip install 'edge-seq\[compare\]'"):
        study_module.require_optuna()


def test_no_optuna_is_admitted_that_does_not_say_that_a_trial_was_ended_by_another() -> None:
    """UpdateFinishedTrialError came with 4.3.0."""
    project = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    (optuna,) = (Requirement(found) for found in re.findall(r'"(optuna\b[^"]*)"', project))
    assert not optuna.specifier.contains("4.2.1")
    assert optuna.specifier.contains("4.3.0")
