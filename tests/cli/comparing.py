"""A small comparison, and the command in a process of its own."""

from __future__ import annotations

import subprocess
import sys

SMALL = (
    *("--quick", "--window-length", "6", "--window-length", "12", "--hidden-size", "4", "--seeds", "2"),
    *("--cell", "rnn", "--cell", "lstm", "--target", "none", "--set", "training.epochs=2"),
    *("--set", "memory.training_windows=128", "--set", "memory.scored_windows=64"),
)


def start(*arguments: str) -> subprocess.Popen[str]:
    """The command line in a process of its own."""
    command = [sys.executable, "-c", "from edge_seq.cli import main; main()", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
