"""A worker process of the tests: each training is a line in a file, and the first may wait for a file to appear.

Arguments: folder, name of the worker, ``wait`` or ``go``, URL of a database (else a file in the folder).
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_seq.compare.database import Heartbeat, storage_of_folder
from edge_seq.compare.points import Candidate, Point
from edge_seq.compare.result import GradientNorms, TrialRefused, TrialResult, WindowCounts
from edge_seq.compare.study import STUDY_NAME, Study

POINTS = [Point(Candidate("gru", 4, 8, "chrono"), 0.01, seed) for seed in range(4)]
HEARTBEAT = Heartbeat(interval_s=1, grace_s=2)


ROOT = Path(__file__).parents[3]


def open_study(folder: Path, storage: str | None = None) -> Study:
    return Study(storage or storage_of_folder(folder), STUDY_NAME, HEARTBEAT)


def start(folder: Path, name: str, mode: str, *storage: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.unit.compare.study_worker", str(folder), name, mode, *storage]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def end(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate(timeout=90)
    assert process.returncode == 0, out
    return out


def log(folder: Path) -> list[str]:
    path = folder / "log"
    return path.read_text().splitlines() if path.is_file() else []


def wait_for(what: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def trial_result(point: Point, by: str = "here") -> TrialResult:
    """A result that says which training it is of, and which worker did it."""
    return TrialResult(
        groups={},
        windows=WindowCounts(0, 0),
        seconds=float(point.seed),
        cpu_seconds=0.0,
        parameters=0,
        train_loss=(),
        validation_accuracy=(),
        gradient=GradientNorms((), ()),
        integer=TrialRefused("refused", "no network"),
        versions={"by": by},
    )


def main() -> None:
    folder, name, mode = Path(sys.argv[1]), sys.argv[2], sys.argv[3]

    def run(point: Point) -> TrialResult:
        with (folder / "log").open("a") as log:
            log.write(f"{name} {point.seed}\n")
        while mode == "wait" and not (folder / "go").exists():
            time.sleep(0.02)
        return trial_result(point, name)

    study = open_study(folder, *sys.argv[4:])
    study.agree_on_plan({"a": 1}, lambda: {"b": 2})
    study.work(POINTS, run, lambda result: result.seconds, warn=sys.stdout.write)


if __name__ == "__main__":
    main()
