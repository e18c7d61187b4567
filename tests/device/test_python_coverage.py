"""The tests of the host's decoder take every branch of it, by coverage."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DECODER = ("edge_seq/device/framing.py", "edge_seq/device/messages.py")
TESTS = ("tests/device/test_framing.py", "tests/device/test_messages.py")


def coverage(data: Path, *arguments: str | Path) -> None:
    command = [sys.executable, "-m", "coverage", arguments[0], f"--data-file={data}", *arguments[1:]]
    done = subprocess.run([str(one) for one in command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_every_branch_is_taken(tmp_path: Path) -> None:
    data, report = tmp_path / "coverage", tmp_path / "report.json"
    pytest = ("-m", "pytest", "-p", "no:cacheprovider", "--hypothesis-seed=0", *TESTS)
    coverage(data, "run", "--branch", f"--include={','.join(DECODER)}", *pytest)
    coverage(data, "json", "-o", report)
    files = json.loads(report.read_text())["files"]
    assert sorted(files) == sorted(DECODER)
    for name, found in files.items():
        assert found["missing_lines"] == found["missing_branches"] == [], name
        assert found["summary"]["covered_branches"] > 10
