"""Workers of a comparison: this process, or several processes of this machine that share a study."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_seq.compare.config import CompareConfig, parse_compare_config
from edge_seq.compare.data import Source, open_source
from edge_seq.compare.database import Heartbeat
from edge_seq.compare.points import Candidate, Point
from edge_seq.compare.study import Standing, Study
from edge_seq.compare.summary import score_of
from edge_seq.compare.trial import run_point
from edge_seq.support.errors import EdgeSeqError, ToolError
from edge_seq.support.stderr import print_stderr_error, print_stderr_warning

POLL_S = 2.0
PATIENCE_S = 10.0  # longest wait for workers to end after they were asked to


@dataclass(frozen=True)
class Job:
    """Task of a worker process.

    It is sent as JSON to the worker's standard input, so that no list of processes shows the password in the URL of a
    database.

    Attributes:
        config: configuration of the comparison.
        storage: URL of the database.
        study_name: name of the comparison in the database.
        heartbeat: heartbeat times of each worker.
        plan: plan that the study must have, without the resolved values.
        points: points of the grid.
    """

    config: CompareConfig
    storage: str
    study_name: str
    heartbeat: Heartbeat
    plan: dict[str, Any]
    points: tuple[Point, ...]

    def to_json(self) -> str:
        """Convert to JSON, which :func:`job_from_json` reads."""
        return json.dumps(
            {
                "config": self.config.model_dump(mode="json"),
                "storage": self.storage,
                "study_name": self.study_name,
                "heartbeat": asdict(self.heartbeat),
                "plan": self.plan,
                "points": [asdict(point) for point in self.points],
            }
        )


def job_from_json(text: str) -> Job:
    """Read a job that :meth:`Job.to_json` wrote."""
    table = json.loads(text)
    points = [Point(Candidate(**p["candidate"]), p["learning_rate"], p["seed"]) for p in table["points"]]
    return Job(
        parse_compare_config(table["config"]),
        table["storage"],
        table["study_name"],
        Heartbeat(**table["heartbeat"]),
        table["plan"],
        tuple(points),
    )


def work_here(
    job: Job,
    study: Study,
    source: Source,
    *,
    progress: Callable[[Standing], None] = lambda _standing: None,
    warn: Callable[[str], None] = lambda _text: None,
) -> None:
    """Take trials in this process until all points are done."""
    study.work(
        job.points,
        lambda point: run_point(point, source, job.config),
        lambda result: score_of(result, job.config),
        progress=progress,
        warn=warn,
    )


def work_in_processes(
    job: Job, study: Study, count: int, logs: Path, *, progress: Callable[[Standing], None] = lambda _standing: None
) -> int:
    """Start workers on this machine and wait until all points are done.

    Args:
        job: job of every worker.
        study: study whose progress is shown.
        count: number of workers.
        logs: folder for the output of the workers, ``worker_0.log`` and so on.
        progress: called as trials end.

    Returns:
        Number of workers that died before the end. The others took over their trials.

    Raises:
        ToolError: all workers ended before the work was done, or the database cannot be reached before they start or
            after they ended.
    """
    study.fill_queue(job.points)
    paths = [logs / f"worker_{index}.log" for index in range(count)]
    with ExitStack() as stack:
        processes = [_start(job, path, stack) for path in paths]
        try:
            while any(process.poll() is None for process in processes):
                with suppress(ToolError):  # a database that is away may come back; the workers know what to do
                    progress(study.standing(job.points))
                time.sleep(POLL_S)
        except BaseException:
            _stop(processes)
            raise
    standing = study.standing(job.points)
    progress(standing)
    died = [path for process, path in zip(processes, paths, strict=True) if process.returncode != 0]
    if standing.done < len(job.points):
        words = paths[0].read_text(encoding="utf-8").strip().splitlines() or ["its log is empty"]
        raise ToolError(
            f"comparison: all {count} workers ended, but {len(job.points) - standing.done} of {len(job.points)} "
            f"trainings are not done; the log of the first ends with: {words[-1]} ({paths[0]}). The same command "
            "continues"
        )
    return len(died)


def _start(job: Job, log: Path, stack: ExitStack) -> subprocess.Popen[bytes]:
    code = "from edge_seq.compare.workers import main; main()"
    threads = str(job.config.training.num_threads)
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=stack.enter_context(log.open("wb")),
        env={**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
    )
    assert process.stdin is not None
    try:
        process.stdin.write(job.to_json().encode())
        process.stdin.close()
    except BrokenPipeError:
        pass  # it died at once; its log says why
    return process


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + PATIENCE_S
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()


def main() -> None:
    """Run a worker process, which reads its job from standard input. The exit code is 1 if it fails.

    If the process that started the worker ends, the worker ends after its training.
    """
    import signal

    # SIGTERM acts as an interruption, so the trial goes back into the queue at once.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    job = job_from_json(sys.stdin.read())
    try:
        source = open_source(job.config)
        study = Study(job.storage, job.study_name, job.heartbeat)
        study.agree_on_plan({**job.plan, "data": source.fingerprint}, dict)
        parent = os.getppid()

        def end_without_parent(_standing: Standing) -> None:
            if os.getppid() != parent:
                sys.exit("edge-seq: the process that started this worker is gone")

        work_here(job, study, source, progress=end_without_parent, warn=print_stderr_warning)
    except EdgeSeqError as error:
        print_stderr_error(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(1)
