"""What steering costs: trials a second against the number of workers, and a simulation of many workers.

    python -m tests.benchmarks.trials --out docs/results/trials.md

A trial here only waits, so that many workers fit on few cores, and what is measured is the steering: handing out, the
way to the worker and back, and the file of the answer.
"""

from __future__ import annotations

import argparse
import heapq
import os
import platform
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from edge_seq.support.files import write_atomically
from edge_seq.support.results import Result
from edge_seq.trials.executors import DaskCluster, Processes, ThisProcess
from edge_seq.trials.folder import StudyFolder
from edge_seq.trials.steer import Task, steer
from tests.unit.trials.cluster import cluster


@dataclass(frozen=True)
class Waited(Result):
    """Result of a trial that only waits."""

    seconds: float


def wait(seconds: float) -> Waited:
    """Wait instead of training."""
    time.sleep(seconds)
    return Waited(seconds)


def trials_per_second(executor: Executor, at_once: Callable[[], int], count: int, seconds: float) -> float:
    """Steer trials that each take a time, after a first one that starts the workers."""
    with tempfile.TemporaryDirectory() as folder:
        study = StudyFolder(Path(folder), Waited, what="benchmark")
        steer(iter([Task("first", 0.0)]), wait, study, executor, at_once=lambda: 1)
        began = time.perf_counter()
        steer((Task(f"n{n}", seconds) for n in range(count)), wait, study, executor, at_once=at_once)
        return count / (time.perf_counter() - began)


def simulated(workers: int, seconds: float, overhead: float, trials: int) -> float:
    """Trials a second where one process needs ``overhead`` for each, and workers ``seconds``."""
    free = [0.0] * workers
    steering = 0.0
    last = 0.0
    for _ in range(trials):
        steering = max(steering, heapq.heappop(free)) + overhead
        last = steering + seconds
        heapq.heappush(free, last)
    return trials / last


def main() -> None:
    """Measure, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/results/trials.md"))
    out = parser.parse_args().out
    with ThisProcess() as executor:
        here = 1 / trials_per_second(executor, lambda: 1, 500, 0.0)
    rows, dask = [], 0.0
    for workers in (1, 2, 4, 8):
        with Processes(workers, threads=1) as processes:
            of_processes = trials_per_second(processes, lambda: processes.count, 40 * workers, 0.1)
        with (
            tempfile.TemporaryDirectory() as folder,
            cluster(Path(folder), workers=workers) as running,
            DaskCluster(running.address) as many,
        ):
            while many.count < workers:
                time.sleep(0.1)
            of_dask = trials_per_second(many, lambda: 2 * many.count, 40 * workers, 0.1)
            if workers == 8:
                dask = 1 / trials_per_second(many, lambda: 2 * many.count, 1000, 0.0)
        rows.append(f"| {workers} | {10 * workers} | {of_processes:.1f} | {of_dask:.1f} |")
    large = [
        f"| {workers:,} | {seconds:g} | {simulated(workers, seconds, dask, 20 * workers) * seconds / workers:.0%} |"
        for workers in (8, 100, 1000)
        for seconds in (10.0, 60.0, 300.0)
    ]
    text = f"""# What steering trials costs

```sh
python -m tests.benchmarks.trials --out docs/results/trials.md
```

A trial only waits, so that eight workers fit on {os.cpu_count()} cores ({platform.machine()}, Python
{platform.python_version()}). One process hands out the trials and writes a file for each. Without any worker that
takes {1000 * here:.2f} ms a trial; with eight Dask workers and trials that do nothing {1000 * dask:.2f} ms.

Trials a second, each of 0.1 s:

| workers | at best | processes of this machine | Dask cluster on this machine |
|---:|---:|---:|---:|
{chr(10).join(rows)}

A simulation with the {1000 * dask:.2f} ms of Dask for each trial, one after the other, shows how busy many workers are.
It knows no network and no failures; twenty trials a worker:

| workers | seconds a trial | workers busy |
|---:|---:|---:|
{chr(10).join(large)}
"""
    write_atomically(out, text)


if __name__ == "__main__":
    main()
