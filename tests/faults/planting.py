"""Runs a command with a planted fault, and says what is wrong afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from edge_seq.support.lock import LOCK

HERE = Path(__file__).parent
KINDS = ("kill", "half", "ENOSPC", "EIO", "EACCES", "86400", "-86400")  # the last two: seconds of a jumping clock
KILLED = -9
LARGE = (
    *("numpy", "pydantic", "typer", "rich.console", "rich.table", "rich.progress", "onnx", "onnxruntime"),
    *("safetensors.numpy", "scipy.signal"),
)


class Commands:
    """A process from which commands are forked, under the library of faults.c. Use it in a ``with`` block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Commands:
        self.folder.mkdir(parents=True, exist_ok=True)
        library = self.folder / "faults.so"
        subprocess.run(
            ["gcc", "-std=gnu11", "-O1", "-shared", "-fPIC", str(HERE / "faults.c"), "-o", str(library), "-ldl"],
            check=True,
        )
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "server.py"), *LARGE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "LD_PRELOAD": str(library), "NO_COLOR": "1", "COLUMNS": "140"},
        )
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        assert self._process is not None
        self._process.communicate()  # closes both pipes, which ends it

    def begin(self, arguments: tuple[str, ...], folder: Path, **environment: str) -> None:
        """Start a command in a folder."""
        assert self._process is not None
        assert self._process.stdin is not None
        for name in ("out", "err"):
            (self.folder / name).write_text("")
        given = [list(arguments), str(folder), environment, *(str(self.folder / name) for name in ("out", "err"))]
        self._process.stdin.write(json.dumps(given) + "\n")
        self._process.stdin.flush()

    def end(self) -> tuple[int, str]:
        """Wait for it: exit code, or minus the signal, and what it printed on stderr."""
        assert self._process is not None
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline()), (self.folder / "err").read_text(errors="replace")

    def run(self, arguments: tuple[str, ...], folder: Path, **environment: str) -> tuple[int, str]:
        """Run a command in a folder."""
        self.begin(arguments, folder, **environment)
        return self.end()


@dataclass(frozen=True)
class Step:
    """A command that writes.

    Attributes:
        arguments: of ``edge-seq``, in a folder with the run ``run``, ``drives.csv`` and ``drives.toml``.
        fresh: True if there is no run yet.
        right: exit codes of a command that did its work.
        once: True if it refuses to do its work again.
        gone: files that it removes first and writes last, so that half of its work is never taken for all of it.
        grows: tables (JSON) of results so far, which may hold a part of the results of the whole command.
        patches: values of the program for this command, by ``module:name``, so that it does little work.
    """

    arguments: tuple[str, ...]
    fresh: bool = False
    right: tuple[int, ...] = (0,)
    once: bool = False
    gone: tuple[str, ...] = ()
    grows: tuple[str, ...] = ()
    patches: Mapping[str, Any] = field(default_factory=dict)

    def run(self, server: Commands, folder: Path, **environment: str) -> tuple[int, str]:
        """Run it in a folder; see :meth:`Commands.run`."""
        return server.run(self.arguments, folder, **environment, FAULTS_PATCHES=json.dumps(dict(self.patches)))


TRAIN = ("train", "--data", "drives.toml", "--out", "run", "--name", "small", "--cell", "gru", "--hidden-size", "3")
LOOSE = ("--set", "quantization.min_agreement_rate=0.1", "--set", "quantization.max_macro_f1_loss=0.9")
STEPS: dict[str, Step] = {
    "simulate": Step(("simulate", "--out", "run/new.csv", "--drives", "3", "--duration-s", "30"), fresh=True),
    "train": Step((*TRAIN, "--epochs", "2", *LOOSE), fresh=True),
    "import": Step(("import", "net.onnx", "--data", "drives.toml", "--out", "run"), fresh=True, once=True),
    "quantize": Step(("quantize", "run")),
    "decide": Step(("decide", "run")),
    "evaluate": Step(("evaluate", "run", "--stream")),
    "export": Step(("export", "run"), gone=("run/exports/c/manifest.json",)),
    "verify": Step(
        ("verify", "run", "--windows", "6", "--extreme", "3"),
        right=(0, 1),
        patches={"edge_seq.backends.onnx.other_runtimes:_RUNTIMES": {}},  # which write nothing, and take long
    ),
    "report": Step(("report", "run")),
    "compare": Step(
        (
            *("compare", "drives.toml", "--out", "run", "--cell", "rnn", "--cell", "gru", "--hidden-size", "2"),
            *("--seeds", "2", "--first-weights", "default", "--window-length", "16"),
            *("--set", "training.epochs=1", "--workers", "1"),
        ),
        fresh=True,
        grows=("run/costs.json",),
    ),
    "search": Step(
        (
            *("search", "drives.toml", "--out", "run", "--cell", "rnn", "--budget", "12 trials"),
            *("--folds", "2", "--workers", "1"),
        ),
        fresh=True,
        patches={"edge_seq.tuning.space:STEPS": [4, 8, 12], "edge_seq.training.others.baselines:_TREES": 10},
    ),
}


@dataclass(frozen=True)
class Trial:
    """A fault: its kind, and the operation at which it is planted, from 1."""

    kind: str
    at: int


@dataclass(frozen=True)
class Reference:
    """What a command does without a fault.

    Attributes:
        base: folder to begin with.
        before, after: content of each file below it, before and after.
        varying: files that differ between two runs, such as a report with its date; their tables without what differs.
        operations: number of operations that change files.
    """

    base: Path
    before: dict[str, bytes]
    after: dict[str, bytes]
    varying: dict[str, Any]
    operations: int


def files(folder: Path) -> dict[str, bytes]:
    """Content of each file by its path; without locks."""
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if path.name != LOCK}


def is_temporary(name: str) -> bool:
    """True for a file that was written beside its place, and that a killed process left."""
    return Path(name).name.startswith(".")


def _leaves(value: Any, place: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {key: leaf for name, one in value.items() for key, leaf in _leaves(one, f"{place}/{name}").items()}
    if isinstance(value, list):
        return {key: leaf for at, one in enumerate(value) for key, leaf in _leaves(one, f"{place}/{at}").items()}
    return {place: value}


def _same(name: str, one: bytes, other: bytes, varying: dict[str, Any]) -> bool:
    if name not in varying:
        return one == other
    if not name.endswith(".json"):
        return bool(one) and bool(other)
    return all(
        _leaves(json.loads(content)).get(key) == value
        for content in (one, other)
        for key, value in varying[name].items()
    )


def _copy(base: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(base, to)
    return to


def reference(server: Commands, step: Step, runs: Path, drives: Path, folder: Path) -> Reference:
    """Run a command twice without a fault."""
    base = folder / "base"
    shutil.rmtree(base, ignore_errors=True)
    base.mkdir()
    for suffix in (".csv", ".toml"):
        shutil.copy(drives.with_suffix(suffix), base / f"drives{suffix}")
    if step.fresh:
        from tests.fuzz.targets import networks

        (base / "net.onnx").write_bytes(networks(".onnx")[1])
    else:
        shutil.copytree(runs / "run", base / "run")
    found: list[dict[str, bytes]] = []
    operations: list[int] = []
    for number in range(2):
        place, counted = _copy(base, folder / "work"), folder / f"count{number}"
        counted.unlink(missing_ok=True)
        code, errors = step.run(server, place, FAULTS_FOLDER=str(place), FAULTS_COUNT=str(counted), FAULTS_AT="0")
        assert code in step.right, f"{step.arguments}: {code}: {errors}"
        found.append(files(place))
        operations.append(counted.stat().st_size)
    one, other = found
    assert one.keys() == other.keys()
    varying: dict[str, Any] = {}
    for name in one:
        if one[name] != other[name]:
            pair = [_leaves(json.loads(content[name])) for content in found] if name.endswith(".json") else [{}, {}]
            varying[name] = {key: value for key, value in pair[0].items() if pair[1].get(key) == value}
    return Reference(base, files(base), one, varying, max(operations))


def attempt(server: Commands, step: Step, expected: Reference, trial: Trial, folder: Path) -> str:
    """Run a command with a fault, and again without. Returns what is wrong; empty if nothing is."""
    place = _copy(expected.base, folder / "work")
    jumps = trial.kind.lstrip("-").isdigit()
    code, errors = step.run(server, place, FAULTS_FOLDER=str(place), FAULTS_AT=str(trial.at), FAULTS_KIND=trial.kind)
    if "Traceback" in errors or "defect in edge-seq" in errors:
        return f"it ended with a traceback:\n{errors}"
    if trial.kind in ("kill", "half"):
        if code not in (KILLED, *step.right):
            return f"it ended with {code}: {errors}"
    elif jumps and code not in step.right:
        return f"it ended with {code}: {errors}"
    elif not jumps and code not in (2, *step.right):
        return f"it ended with {code}, expected 2: {errors}"
    found = files(place)
    whole = code in step.right
    wrong = what_is_half(expected, found, step, leftovers=code == KILLED) or (
        what_differs(expected, found) if whole else ""
    )
    if wrong:
        return f"after the fault (exit code {code}): {wrong}"
    done = step.once and not what_differs(expected, found)
    code, errors = step.run(server, place)
    if code not in ((2,) if done else step.right):
        return f"the command given again ended with {code}: {errors}"
    return what_differs(expected, files(place))


def what_is_half(expected: Reference, found: dict[str, bytes], step: Step, *, leftovers: bool) -> str:
    """A file that is lost, or neither as before nor as after the command."""
    lost = expected.before.keys() - found.keys() - (expected.before.keys() - expected.after.keys()) - set(step.gone)
    if lost:
        return f"{sorted(lost)} are lost"
    for name, content in found.items():
        if is_temporary(name):
            if not leftovers:
                return f"{name} was left"
            continue
        wholes = [one[name] for one in (expected.before, expected.after) if name in one]
        if name not in expected.after and name not in expected.before:
            if "checkpoint" not in name:
                return f"{name} is new"
            continue
        try:
            if name in step.grows:
                if not _leaves(json.loads(content)).items() <= _leaves(json.loads(expected.after[name])).items():
                    return f"{name} has other results than after"
            elif not any(_same(name, content, one, expected.varying) for one in wholes):
                return f"{name} is neither as before nor as after"
        except ValueError:
            return f"{name} is half"
    return ""


def what_differs(expected: Reference, found: dict[str, bytes]) -> str:
    """A difference from the result of a command without a fault."""
    kept = {name: content for name, content in found.items() if not is_temporary(name)}
    if kept.keys() != expected.after.keys():
        return f"files differ: {sorted(kept.keys() ^ expected.after.keys())}"
    differ = [
        name for name, content in kept.items() if not _same(name, content, expected.after[name], expected.varying)
    ]
    return f"{differ} differ from the result without a fault" if differ else ""


def two_at_once(first: Commands, second: Commands, step: Step, expected: Reference, folder: Path) -> str:
    """Run a command twice at the same time: one may be refused, and the result is that of one."""
    place = _copy(expected.base, folder / "work")
    for one in (first, second):
        one.begin(step.arguments, place, FAULTS_PATCHES=json.dumps(dict(step.patches)))
    ended = [one.end() for one in (first, second)]
    for code, errors in ended:
        refused = code == 2 and "another process writes to it" in errors
        if code not in step.right and not refused:
            return f"ended with {code}: {errors}"
    if all(code not in step.right for code, _ in ended):
        return "both were refused"
    return what_differs(expected, files(place))
