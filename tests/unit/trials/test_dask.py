"""Trials on a Dask cluster: the same answers, whoever is killed."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("distributed")

from edge_seq.support.errors import ConfigError, ToolError
from edge_seq.trials.executors import DaskCluster
from edge_seq.trials.folder import Standing, StudyFolder
from edge_seq.trials.steer import Task, steer
from tests.unit.trials.cluster import cluster
from tests.unit.trials.jobs import Job, Square, square, tries
from tests.unit.trials.test_steer import wait_for


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("distributed").setLevel(logging.NOTSET)


def study(folder: Path, address: str, how: dict[int, str]) -> Standing[Square]:
    kept = StudyFolder(folder / "study", Square, what="test")
    tasks = (Task(f"n{number}", Job(folder, number, end)) for number, end in how.items())
    with DaskCluster(address, patience_s=60) as executor:
        steer(tasks, square, kept, executor, at_once=lambda: 2 * executor.count)
    return kept.standing(f"n{number}" for number in how)


@pytest.mark.filterwarnings("default")
def test_a_cluster_gives_the_answers_of_one_process(tmp_path: Path) -> None:
    with cluster(tmp_path, workers=1) as running:
        found = study(tmp_path, running.address, {0: "well", 1: "refuses", 2: "well"})
        with pytest.raises(RuntimeError, match="defect"):
            study(tmp_path, running.address, {3: "breaks"})
    assert found == Standing({"n0": Square(0), "n2": Square(4)}, {"n1": "the loss is nan"})


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("workers", [2, 8])
def test_a_worker_that_is_killed_loses_no_trial(workers: int, tmp_path: Path) -> None:
    how = {number: "dies once" if number == 3 else "well" for number in range(40)}
    with cluster(tmp_path, workers=workers) as running:
        found = study(tmp_path, running.address, how)
    assert found.results == {f"n{n}": Square(n**2) for n in how}
    assert tries(tmp_path, 3) >= 2


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_trial_that_kills_every_worker_is_given_up(tmp_path: Path) -> None:
    with cluster(tmp_path, workers=2) as running:
        found = study(tmp_path, running.address, {0: "well", 1: "dies", 2: "well"})
    assert found.results == {"n0": Square(0), "n2": Square(4)}
    assert found.refused["n1"].startswith("its worker died")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_scheduler_that_is_started_again_costs_only_the_trials_in_work(how: signal.Signals, tmp_path: Path) -> None:
    ends = {number: "wait" if number == 5 else "well" for number in range(12)}
    with cluster(tmp_path, workers=2) as running:

        def restart() -> None:
            wait_for(lambda: tries(tmp_path, 5))
            running.scheduler.send_signal(how)
            running.scheduler.wait(30)
            running.start_scheduler()
            running.add_workers(2)
            (tmp_path / "go").touch()

        restarts = threading.Thread(target=restart)
        restarts.start()
        found = study(tmp_path, running.address, ends)
        restarts.join()
    assert found.results == {f"n{n}": Square(n**2) for n in ends}
    assert found.refused == {}


def test_a_scheduler_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_seq.trials.executors.CONNECT_S", 0.2)
    with pytest.raises(
        ToolError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9 .*Start one with: dask scheduler"
    ):
        DaskCluster("tcp://127.0.0.1:9")
    with pytest.raises(ConfigError, match="--scheduler what://x is not the address of a Dask scheduler"):
        DaskCluster("what://x")


def test_without_the_package_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ToolError, match=r"pip install 'edge-seq\[distributed\]'"):
        DaskCluster("tcp://127.0.0.1:9")
