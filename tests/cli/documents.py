"""Blocks of the documents that are marked ``<!-- tested: NAME -->``, and how a reader would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
README, TUTORIAL, HOW_TO = ROOT / "README.md", ROOT / "docs" / "tutorial.md", ROOT / "docs" / "how-to"


def blocks(document: Path) -> dict[str, str]:
    """Text of each marked block of a document, by name, in the document's order."""
    text = document.read_text(encoding="utf-8")
    found = re.findall(r"<!-- tested: ([\w. -]+) -->\n```\w+\n(.*?)```", text, re.DOTALL)
    assert found, f"{document.name} has no block marked `tested`"
    assert len(dict(found)) == len(found), f"{document.name} has two blocks of one name"
    return dict(found)


def block(document: Path, name: str) -> str:
    """Text of one marked block."""
    found = blocks(document)
    assert name in found, f"{document.name} has no block marked `tested: {name}`"
    return found[name]


def environment(folder: Path) -> dict[str, str]:
    """Variables with which ``edge-seq`` in a shell is the package under test; its launcher is put into ``folder``."""
    folder.mkdir(exist_ok=True)
    launcher = folder / "edge-seq"
    launcher.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from edge_seq.cli import main; main()" "$@"\n')
    launcher.chmod(0o755)
    path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "140"}


def run_shell(text: str, folder: Path, *, timeout_s: float = 400) -> subprocess.CompletedProcess[str]:
    """Run the text of a block in ``folder``; it must end with exit code 0, and at the first command that fails."""
    done = subprocess.run(
        ["sh", "-eu", "-c", text],
        cwd=folder,
        env=environment(folder / "bin"),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done
