"""Trials of the tests, as functions that a worker process can import."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from edge_seq.support.errors import ConfigError
from edge_seq.support.results import Result


@dataclass(frozen=True)
class Square(Result):
    """Result of a trial of the tests."""

    value: int


@dataclass(frozen=True)
class Job:
    """A trial of the tests.

    Attributes:
        folder: folder in which each try makes a file ``KEY.N``.
        number: number to square.
        how: ``well``, or how it ends otherwise.
    """

    folder: Path
    number: int
    how: str = "well"


def tries(folder: Path, number: int) -> int:
    """Number of times that a trial was begun."""
    return len(list(folder.glob(f"{number}.*")))


def square(job: Job) -> Square:
    """Square a number, or end as the job says."""
    first = tries(job.folder, job.number) == 0
    (job.folder / f"{job.number}.{tries(job.folder, job.number)}").touch()
    if job.how == "wait":
        while not (job.folder / "go").exists():
            time.sleep(0.01)
    if job.how == "dies" or (job.how == "dies once" and first):
        os.kill(os.getpid(), signal.SIGKILL)
    if job.how == "refuses":
        raise ConfigError("the loss is nan")
    if job.how == "breaks":
        raise RuntimeError("defect")
    return Square(job.number**2)


if __name__ == "__main__":  # a process that steers and waits to be killed
    from tests.unit.trials.test_steer import study

    study(Path(sys.argv[1]), {0: "well", 1: "well", 2: "wait"}, processes=2)
