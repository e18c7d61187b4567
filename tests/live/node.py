"""Node.js, which runs the scripts of pages and packages without a browser."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def node(script: str, folder: Path, stdin: str = "") -> str:
    """Run a script in a folder, as an ES module, and return what it prints; skips the test if there is no Node.js."""
    if shutil.which("node") is None:
        pytest.skip("node is not on this machine; apt-get install nodejs")
    (folder / "script.mjs").write_text(script)
    command = ["node", "--no-warnings", "script.mjs"]
    done = subprocess.run(command, input=stdin, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
