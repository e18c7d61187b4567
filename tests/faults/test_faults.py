"""Faults planted into commands that write: killed at a write, a full disk, a broken one, lost rights, a clock that
jumps, and two processes at once. Nothing is lost, nothing is half, and the same command gives the same result
afterwards.

The default tests try a few rows of the table; ``python -m tests.faults.table`` tries any number, and prints it.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Small
from tests.faults.planting import KINDS, STEPS, Commands, Trial, attempt, reference, two_at_once

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("gcc") is None, reason="needs Linux and gcc, to preload a library"
)
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
