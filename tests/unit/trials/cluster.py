"""A Dask cluster of the tests: one scheduler, and workers that are processes of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[3]


class Cluster:
    """A scheduler at a port of this machine, and its workers."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self._log = (folder / "cluster.log").open("ab")
        self.scheduler = self.start_scheduler()
        self.workers: list[subprocess.Popen[bytes]] = []

    def start_scheduler(self) -> subprocess.Popen[bytes]:
        """Start the scheduler, again after it was killed. Workers look for it for a while."""
        self.scheduler = self._dask("scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard")
        return self.scheduler

    def add_workers(self, count: int) -> None:
        """Start workers that each do one trial at a time. A nanny starts a worker that died again."""
        for _ in range(count):
            self.workers.append(
                self._dask("worker", self.address, "--nthreads", "1", "--no-dashboard", "--death-timeout", "60")
            )

    def _dask(self, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "false"}
        command = [sys.executable, "-m", "dask", *arguments]
        return subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=self._log, stderr=self._log, start_new_session=True
        )

    def stop(self) -> None:
        """End all processes, and those that nannies started."""
        for process in (*self.workers, self.scheduler):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
        self._log.close()


@contextmanager
def cluster(folder: Path, *, workers: int) -> Iterator[Cluster]:
    """Run a cluster while the block runs."""
    running = Cluster(folder)
    try:
        running.add_workers(workers)
        yield running
    finally:
        running.stop()
