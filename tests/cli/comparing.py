"""Small comparisons, and processes that work on one together."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from edge_seq.compare.config import load_compare_config
from edge_seq.compare.database import Heartbeat
from edge_seq.compare.points import candidates_of, points_of
from edge_seq.compare.study import STUDY_NAME, Standing, Study

SMALL = (
    *("--quick", "--window-length", "6", "--window-length", "12", "--hidden-size", "4", "--seeds", "2"),
    *("--cell", "rnn", "--cell", "lstm", "--target", "none", "--set", "training.epochs=2"),
    *("--set", "memory.training_windows=128", "--set", "memory.scored_windows=64"),
)
HASTE = ("--heartbeat-s", "1", "--grace-s", "3")
_COMMAND = "from edge_seq.cli import main; main()"
# In the place of the training with that number, counted from 0: makes the file and waits to be killed.
_HANG = """
import sys, time
from pathlib import Path
import edge_seq.compare.workers as workers
run, calls = workers.run_point, []
def run_or_hang(*arguments):
    calls.append(1)
    if len(calls) > {after}:
        Path({mark!r}).touch()
        time.sleep(600)
    return run(*arguments)
workers.run_point = run_or_hang
"""


def standing(storage: str, **more: Any) -> Standing:
    """How far the comparison of `recall` with SMALL is."""
    options = {"window_lengths": [6, 12], "hidden_sizes": [4], "seeds": 2, "cells": ["rnn", "lstm"], "target": ""}
    config = load_compare_config("recall", quick=True, options={**options, **more})
    points = points_of(config, candidates_of(config, lambda _cell, size: size.value))
    return Study(storage, STUDY_NAME, Heartbeat()).standing(points)


def start(*arguments: str, code: str = _COMMAND) -> subprocess.Popen[str]:
    """The command line in a process of its own."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def start_and_hang(*arguments: str, mark: Path, after: int) -> subprocess.Popen[str]:
    """A comparison that gets stuck in a training after so many that it has done; returns when it is stuck."""
    process = start(*arguments, code=_HANG.format(after=after, mark=str(mark)) + _COMMAND)
    deadline = time.monotonic() + 120
    while not mark.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process
