"""Every reader is fuzzed in a process of its own: no traceback, no hang, no more than 1 GB."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from edge_seq.data.readers import READERS

pytest.importorskip("resource")
pytest.importorskip("scipy")
pytest.importorskip("h5py")
from tests.unit.data.fuzz_readers import SAMPLES

NAMES = [reader.name for reader in READERS]


def fuzz(examples: int, number: int, *readers: str) -> Any:
    command = [sys.executable, "-m", "tests.unit.data.fuzz_readers", str(examples), str(number), *readers]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=3600)
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr[-3000:]}"
    return json.loads(done.stdout.splitlines()[-1])


def test_each_reader_has_a_sample() -> None:
    assert set(SAMPLES) == set(NAMES)


def test_changed_files_are_read_or_refused() -> None:
    assert set(fuzz(8, 1)) == set(NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("reader", NAMES)
def test_a_thousand_changed_files_are_read_or_refused(reader: str) -> None:
    found = fuzz(1000, 2, reader)[reader]
    sys.stdout.write(f"{reader}: {found}\n")
    assert found["files"] >= 500
    assert found["read"] > 0
