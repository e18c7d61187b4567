"""One process steers: nothing is lost or done twice, whoever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from edge_seq.support.errors import ConfigError, DataError, ToolError
from edge_seq.trials.executors import Processes, ThisProcess
from edge_seq.trials.folder import Standing, StudyFolder
from edge_seq.trials.steer import Task, steer
from tests.unit.trials.jobs import Job, Square, square, tries

ROOT = Path(__file__).parents[3]


def study(folder: Path, how: Mapping[int, str], *, processes: int = 0) -> Standing[Square]:
    """Do the trials that have no answer yet."""
    kept = StudyFolder(folder / "study", Square, what="test")
    keys = [f"n{number}" for number in how]
    done = kept.standing(keys)
    left = [
        Task(f"n{n}", Job(folder, n, end)) for n, end in how.items() if f"n{n}" not in {*done.results, *done.refused}
    ]
    with Processes(processes, threads=1) if processes else ThisProcess() as executor:
        steer(iter(left), square, kept, executor, at_once=lambda: max(1, processes))
    return kept.standing(keys)


def wait_for(what: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("processes", [0, 2])
def test_every_trial_is_done_once_and_a_refusal_is_an_answer(processes: int, tmp_path: Path) -> None:
    how = {0: "well", 1: "refuses", 2: "well", 3: "well"}
    found = study(tmp_path, how, processes=processes)
    assert found == Standing({f"n{n}": Square(n**2) for n in (0, 2, 3)}, {"n1": "the loss is nan"})
    assert found.done == 4
    assert found.refused_seconds["n1"] > 0
    assert study(tmp_path, how, processes=processes) == found
    assert [tries(tmp_path, number) for number in how] == [1, 1, 1, 1]


def test_a_trial_whose_worker_is_killed_goes_to_another_and_three_deaths_end_it(tmp_path: Path) -> None:
    how = {0: "dies", 1: "well", 2: "dies once", 3: "well", 4: "well"}
    found = study(tmp_path, how, processes=2)
    assert found.results == {f"n{n}": Square(n**2) for n in (1, 2, 3, 4)}
    assert found.refused == {"n0": "its worker died 3 times; the system's log may say why (memory?)"}
    assert found.lost == 4
    assert [tries(tmp_path, number) for number in how] == [3, 1, 2, 1, 1], "the others lost nothing"


def test_a_defect_is_raised_and_what_is_finished_is_kept(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="defect"):
        study(tmp_path, {0: "well", 1: "breaks", 2: "well"}, processes=1)
    assert study(tmp_path, {0: "well", 1: "well", 2: "well"}).done == 3
    assert [tries(tmp_path, number) for number in range(3)] == [1, 2, 1]


def test_a_study_whose_steering_process_is_killed_goes_on_and_its_workers_end_with_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.unit.trials.jobs", str(tmp_path)]
    killed = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    written = [tmp_path / "study" / "trials" / f"n{number}.json" for number in range(2)]
    wait_for(lambda: tries(tmp_path, 2) and all(path.exists() for path in written))
    children = [int(pid) for pid in Path(f"/proc/{killed.pid}/task/{killed.pid}/children").read_text().split()]
    assert len(children) >= 2
    killed.send_signal(signal.SIGKILL)
    killed.wait(60)
    wait_for(lambda: not any(is_alive(pid) for pid in children))
    found = study(tmp_path, {0: "well", 1: "well", 2: "well"}, processes=2)
    assert found == Standing({f"n{n}": Square(n**2) for n in range(3)}, {})
    assert [tries(tmp_path, number) for number in range(3)] == [1, 1, 2]


def is_alive(pid: int) -> bool:
    """True if a process runs; one that has ended and was not waited for does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_the_next_trial_may_depend_on_the_results_so_far(tmp_path: Path) -> None:
    values: list[int] = []

    def grow() -> Iterator[Task[Job]]:
        number = 2
        while number < 1000:
            yield Task(f"n{number}", Job(tmp_path, number))
            number = values[-1]

    def ended(_key: str, result: Square | None) -> None:
        assert result is not None
        values.append(result.value)

    kept = StudyFolder(tmp_path / "study", Square, what="test")
    running: list[tuple[str, ...]] = []
    steer(grow(), square, kept, ThisProcess(), at_once=lambda: 1, ended=ended, progress=running.append)
    assert values == [4, 16, 256, 65536]
    assert running[::2] == [("n2",), ("n4",), ("n16",), ("n256",)]


def test_another_plan_is_refused_with_what_differs(tmp_path: Path) -> None:
    kept = StudyFolder(tmp_path, Square, what="comparison")
    wanted = {"config": {"epochs": 2}, "data": "ab"}
    assert kept.agree_on_plan(wanted, lambda: {"units": 3}) == {**wanted, "resolved": {"units": 3}}
    assert kept.agree_on_plan(wanted, dict)["resolved"] == {"units": 3}, "resolved once"
    with pytest.raises(ConfigError, match=r"comparison: .*config.epochs 2 there, 3 now. Give the same command"):
        kept.agree_on_plan({**wanted, "config": {"epochs": 3}}, dict)
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(DataError, match=r"reading plan.json: not as its command writes it"):
        kept.agree_on_plan(wanted, dict)


@pytest.mark.parametrize(
    "content", ["{", "{}", '{"key": "n0", "worker": "", "lost": 0, "result": {}, "refused": null}']
)
def test_a_damaged_file_of_a_trial_is_named(content: str, tmp_path: Path) -> None:
    study(tmp_path, {0: "well"})
    path = tmp_path / "study" / "trials" / "n0.json"
    path.write_text(content)
    with pytest.raises(
        DataError, match=r"test: reading n0.json: .*Remove .*n0.json, and the same command does it again"
    ):
        study(tmp_path, {0: "well"})
    path.unlink()
    assert study(tmp_path, {0: "well"}).results == {"n0": Square(0)}


def test_a_worker_that_died_while_idle_is_replaced_and_one_that_cannot_start_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Processes(1, threads=1) as executor:
        pid = executor.submit(os.getpid).result(60)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not is_alive(pid))
        for _ in range(100):  # the pool notices it a moment later
            time.sleep(0.02)
            future = executor.submit(os.getpid)
            if future.exception(60) is None:
                break
            assert isinstance(future.exception(), BrokenExecutor)
        assert future.result() != pid

        def broken(*_arguments: object) -> None:
            raise BrokenExecutor

        monkeypatch.setattr(ProcessPoolExecutor, "submit", broken)
        with pytest.raises(ToolError, match="a worker process ends as soon as it starts"):
            executor.submit(os.getpid)


class Unreachable(Executor):
    """A cluster that is lost as soon as a trial is given to it."""

    def submit(self, *_what: object, **_more: object) -> Future[Any]:  # type: ignore[override]
        future: Future[Any] = Future()
        future.set_exception(CancelledError())
        return future


def test_a_cluster_that_is_lost_again_and_again_ends_the_study(tmp_path: Path) -> None:
    kept = StudyFolder(tmp_path / "study", Square, what="test")
    with pytest.raises(ToolError, match="n1 was lost 21 times with the connection to its worker"):
        steer(iter([Task("n1", Job(tmp_path, 1))]), square, kept, Unreachable(), at_once=lambda: 1)
