"""One small run, made once through the command line: simulate, train, quantize, export."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli import forked
from tests.once import made_once


@dataclass(frozen=True)
class Result:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout as one JSON document."""
        return json.loads(self.out)


EdgeSeq = Callable[..., Result]


def edge_seq(
    *arguments: str | Path | float, stdin: str = "", cwd: Path | None = None, timeout_s: float = 300
) -> Result:
    """Run the command in a process of its own."""
    environment = {**os.environ, "COLUMNS": "140", "NO_COLOR": "1"}
    given = list(map(str, arguments))
    return Result(*forked.run(given, stdin=stdin, cwd=cwd, environment=environment, timeout_s=timeout_s))


def ok(*arguments: str | Path | float, **options: Any) -> Result:
    """Run a command that must succeed."""
    result = edge_seq(*arguments, **options)
    assert result.code == 0, f"{arguments} ended with {result.code}:\n{result.out}\n{result.err}"
    return result


@dataclass(frozen=True)
class Small:
    """A small run and the recordings it was trained on."""

    run: Path
    drives: Path


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A GRU of 5 units (an awkward size) on 12 simulated drives; the run is this worker's own."""
    shared, folder = made_once(tmp_path_factory, "small", _make_small), tmp_path_factory.mktemp("small")
    return Small(Path(shutil.copytree(shared / "run", folder / "run")), shared / "drives.csv")


def _make_small(folder: Path) -> None:
    drives = folder / "drives.csv"
    ok("simulate", "--out", drives, "--drives", "12", "--duration-s", "120", "--seed", "3")
    run = folder / "run"
    ok(
        *("train", "--data", folder / "drives.toml", "--out", run, "--name", "small"),
        *("--cell", "gru", "--hidden-size", "5", "--epochs", "3"),
        *("--set", "quantization.min_agreement_rate=0.9", "--set", "quantization.max_macro_f1_loss=0.1"),
    )
    ok("quantize", run)
    ok("export", run)
