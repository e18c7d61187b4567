"""Faults planted into commands that write: killed at a write, a full disk, a broken one, lost rights, a clock that
jumps, and two processes at once. Nothing is lost, nothing is half, and the same command gives the same result
afterwards.

The default tests try a few rows of the table; ``python -m tests.faults.table`` tries any number, and prints it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Small
from tests.faults.planting import (
    KILLED,
    KINDS,
    STEPS,
    Commands,
    Step,
    Trial,
    attempt,
    files,
    reference,
    two_at_once,
    what_differs,
    what_is_half,
)

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("gcc") is None, reason="needs Linux and gcc, to preload a library"
)
ROOT = Path(__file__).parents[2]
EVERY = 7  # of the operations that change a file, in the slow test


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    return Commands(tmp_path_factory.mktemp("faults"))


def test_a_few_faults_of_a_quantization(small: Small, commands: Commands, tmp_path: Path) -> None:
    with commands as server:
        expected = reference(server, STEPS["quantize"], small.run.parent, small.drives, tmp_path)
        assert expected.operations > 10
        for kind, at in (("half", expected.operations // 2), ("ENOSPC", 3)):
            found = attempt(server, STEPS["quantize"], expected, Trial(kind, at), tmp_path)
            assert found == "", f"{kind} at operation {at} of {expected.operations}: {found}"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", STEPS)
def test_faults_of_a_command(step: str, kind: str, small: Small, commands: Commands, tmp_path: Path) -> None:
    with commands as server:
        expected = reference(server, STEPS[step], small.run.parent, small.drives, tmp_path)
        for at in range(1, expected.operations + 1, EVERY):
            found = attempt(server, STEPS[step], expected, Trial(kind, at), tmp_path)
            assert found == "", f"{kind} at operation {at} of {expected.operations}: {found}"


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_two_processes_at_once(step: str, small: Small, commands: Commands, tmp_path: Path) -> None:
    with commands as server, Commands(tmp_path / "second") as second:
        expected = reference(server, STEPS[step], small.run.parent, small.drives, tmp_path)
        assert two_at_once(server, second, STEPS[step], expected, tmp_path) == ""


@pytest.mark.slow
def test_a_search_that_is_killed_in_a_trial_goes_on_where_it_was(
    small: Small, commands: Commands, tmp_path: Path
) -> None:
    """SIGKILL at times instead of writes: during the first training, between two, during the last."""
    step = STEPS["search"]
    with commands as server:
        expected = reference(server, step, small.run.parent, small.drives, tmp_path)
    finished = {name for name in expected.after if name.startswith("run/trials/")}
    assert len(finished) == 12
    folder = tmp_path / "work"  # the place of the run without a fault, which is written to the sources of its points
    shutil.rmtree(folder)
    shutil.copytree(expected.base, folder)
    kept: list[int] = []
    for wanted in (0, 1, 5, 11):
        process = start(step, folder)
        deadline = time.monotonic() + 300
        while len(list(folder.glob("run/trials/*.json"))) < wanted and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.02 * wanted)  # somewhere in the next trial
        process.kill()
        assert process.wait() == KILLED, "it ended before it was killed"
        kept.append(len(list(folder.glob("run/trials/*.json"))))
        found = files(folder)
        assert what_is_half(expected, found, step, leftovers=True) == ""
    assert kept == sorted(kept)
    assert kept[-1] >= 11
    process = start(step, folder)
    assert process.wait(300) == 0
    assert what_differs(expected, files(folder)) == ""


def start(step: Step, folder: Path) -> subprocess.Popen[bytes]:
    """Start a command in a folder, with its patches."""
    program = "import json, sys; from tests.faults.server import become; become(json.loads(sys.argv[1]))"
    given = [list(step.arguments), str(folder), {"FAULTS_PATCHES": json.dumps(dict(step.patches))}, os.devnull]
    return subprocess.Popen([sys.executable, "-c", program, json.dumps([*given, os.devnull])], cwd=ROOT)
