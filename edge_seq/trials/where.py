"""Folder and workers of a study."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge_seq.support.errors import ConfigError
from edge_seq.support.files import check_can_write
from edge_seq.support.lock import LOCK
from edge_seq.trials.executors import DaskCluster, Processes, ThisProcess, check_address
from edge_seq.trials.folder import R, StudyFolder

MOST_PROCESSES = 16  # taken by default; each holds the recordings and torch, some 400 MB
AHEAD = 2  # trials for each worker of a cluster: the next one lies there when the worker is free


@dataclass(frozen=True)
class Where:
    """Folder and workers of a study. They do not change its results.

    Attributes:
        out: folder of the study.
        workers: number of processes on this machine; 1 does the trials in this process, 0 does none and reports what
            is finished.
        scheduler: address of a Dask scheduler whose workers do the trials; None does them on this machine.
    """

    out: Path
    workers: int = 1
    scheduler: str | None = None

    @property
    def is_here(self) -> bool:
        """True if this process does the trials."""
        return self.workers == 1 and self.scheduler is None

    @property
    def is_idle(self) -> bool:
        """True if no trial is to be done."""
        return self.workers == 0 and self.scheduler is None


def processors() -> int:
    """Number of processes that train side by side by default: that of this machine's processors, at most 16.

    >>> 1 <= processors() <= 16
    True
    """
    return min(os.cpu_count() or 1, MOST_PROCESSES)


def check_where(where: Where, folder: StudyFolder[R], *, what: str) -> None:
    """Check the folder and the workers before the long work begins.

    Args:
        where: folder and workers.
        folder: the study in the folder.
        what: name of the study's kind, such as ``comparison``; begins the messages.

    Raises:
        ConfigError: the folder cannot be used, or the workers make no sense.
        ToolError: distributed is needed and not installed.
    """
    if where.scheduler is not None:
        check_address(where.scheduler)
    check_can_write(where.out)
    if where.workers < 0:
        raise ConfigError(f"{what}: {where.workers} workers; give at least 1, or 0 to report what is finished")
    if where.scheduler is not None and where.workers != 1:
        raise ConfigError(
            f"{what}: --workers counts processes of this machine, and --scheduler takes those of a cluster; give one"
        )
    if where.out.is_dir() and any(path.name != LOCK for path in where.out.iterdir()) and not folder.exists:
        raise ConfigError(f"{where.out} exists and is not the folder of a {what}; give another --out")


@contextmanager
def workers_of(
    where: Where, *, threads: int, most: int, warn: Callable[[str], None]
) -> Iterator[tuple[Executor, Callable[[], int]]]:
    """Give the executor that ``where`` asks for, and the number of trials to hand out at once.

    Args:
        where: folder and workers.
        threads: number of threads of each process.
        most: number of trials; more processes are not started.
        warn: called with a sentence if the cluster has no workers yet.

    Raises:
        ToolError: the scheduler cannot be reached.
    """
    if where.is_here:
        yield ThisProcess(), lambda: 1
        return
    executor: Processes | DaskCluster
    if where.scheduler is None:
        executor, ahead = Processes(min(where.workers, most), threads=threads), 1
    else:
        executor, ahead = DaskCluster(where.scheduler), AHEAD
        if executor.count == 0:
            warn(
                f"the cluster at {where.scheduler} has no workers yet; start some with: dask worker {where.scheduler} "
                "--nthreads 1"
            )
    with executor:
        yield executor, lambda: ahead * executor.count
