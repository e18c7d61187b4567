"""Mutation testing: changes a module in small ways, and counts the changes that its quick tests notice.

``python -m tests.mutants.run [--share 0.5] [MODULE ...]`` prints a table and the survivors; a module is a path of
:data:`QUICK`. The tests are collected once; each mutant is a forked process in which the code of the changed function
is exchanged. So a mutant costs no more than its tests.

Each result is kept in ``build/mutants.jsonl`` at once, so a run that was stopped goes on where it was. What was killed
counts as long as the module and the tests of that run are the same, also beside new files of tests; what survived is
tried again if there are new tests.
"""

from __future__ import annotations

import argparse
import ast
import gc
import hashlib
import importlib
import json
import os
import random
import signal
import sys
import time
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.mutants.sites import Mutant, mutants

LEAST_S = 5.0
KEPT = Path("build/mutants.jsonl")
_Cached = type(cache(lambda: None))
_QUANT, _PARITY = "tests/unit/quant", "tests/unit/parity"
# Tests of each module that are quick, the quickest first.
QUICK: dict[str, tuple[str, ...]] = {
    "edge_seq/arithmetic/fixed_point.py": (f"{_QUANT}/test_quant_fixed_point.py",),
    "edge_seq/arithmetic/tables.py": (f"{_QUANT}/test_quant_tables.py",),
    "edge_seq/quant/rounding.py": (f"{_QUANT}/test_quant_rounding_oracle.py", f"{_QUANT}/test_quant_rounding.py"),
    "edge_seq/quant/gate_error.py": (f"{_QUANT}/test_quant_gate_error_traces.py", f"{_QUANT}/test_quant_gate_error.py"),
    "edge_seq/quant/calibrate.py": (f"{_QUANT}/test_quant_calibrate_layers.py", f"{_QUANT}/test_quant_calibrate.py"),
    "edge_seq/quant/quantize.py": (
        *(f"{_QUANT}/test_quant_quantize_scales.py", f"{_QUANT}/test_quant_quantize_rows.py"),
        *(f"{_QUANT}/test_quant_quantize_bias.py", f"{_QUANT}/test_quant_quantize.py"),
    ),
    "edge_seq/parity/compare.py": (f"{_PARITY}/test_compare.py",),
    "edge_seq/parity/ladder.py": (f"{_PARITY}/test_ladder_order.py", f"{_PARITY}/test_compare.py"),
    "edge_seq/parity/verification.py": (f"{_PARITY}/test_ladder_order.py",),
    "edge_seq/parity/c_rungs.py": (f"{_PARITY}/test_c_rungs.py",),
    "edge_seq/parity/cost.py": (f"{_PARITY}/test_cost.py",),
    "edge_seq/parity/device_rungs.py": (f"{_PARITY}/test_device_rungs.py",),
    "edge_seq/parity/export_rungs.py": (f"{_PARITY}/test_inputs.py",),
    "edge_seq/parity/imported.py": (f"{_PARITY}/test_original_rung.py",),
    "edge_seq/parity/inputs.py": (f"{_PARITY}/test_inputs.py",),
    "edge_seq/parity/int_rungs.py": (f"{_PARITY}/test_onnx_rungs.py",),
    "edge_seq/parity/onnx_outputs.py": (f"{_PARITY}/test_onnx_rungs.py", f"{_PARITY}/test_float_rungs.py"),
    "edge_seq/parity/float_rungs.py": (f"{_PARITY}/test_float_rungs.py",),
    "edge_seq/parity/original_rung.py": (f"{_PARITY}/test_original_rung.py",),
    "edge_seq/device/framing.py": ("tests/device/test_framing.py",),
}


def _digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


@dataclass(frozen=True)
class Kept:
    """Results of earlier runs in a file of JSON lines.

    Attributes:
        file: the file.
        path: path of the module.
    """

    file: Path
    path: str

    def read(self) -> dict[str, str]:
        """Results that still count, ``killed``, ``survived`` or ``untried``, by line and change of the mutant."""
        module, tests = _digest(self.path), {one: _digest(one) for one in QUICK[self.path]}
        found: dict[str, str] = {}
        for line in self.file.read_text(encoding="utf-8").splitlines() if self.file.is_file() else ():
            entry = json.loads(line)
            same = entry["tests"] == tests
            if entry["result"] == "killed":
                same = entry["tests"].items() <= tests.items()
            if entry["module"] == [self.path, module] and same:
                found[entry["mutant"]] = entry["result"]
        return found

    def add(self, mutant: Mutant, result: str) -> None:
        """Append a result."""
        entry = {
            "module": [self.path, _digest(self.path)],
            "tests": {one: _digest(one) for one in QUICK[self.path]},
            "mutant": mutant.name,
            "result": result,
        }
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


@dataclass
class Scored:
    """What the tests noticed of a module.

    Attributes:
        module: path of the module.
        killed: mutants that a test noticed, or that did not end.
        survivors: mutants that no test noticed.
        untried: mutants that could not be put into a running process.
        seconds: duration, without that of earlier runs.
    """

    module: str
    killed: int = 0
    survivors: list[Mutant] = field(default_factory=list)
    untried: int = 0
    seconds: float = 0.0

    def add(self, mutant: Mutant, result: str) -> None:
        """Count a result: ``killed``, ``survived`` or ``untried``."""
        if result == "survived":
            self.survivors.append(mutant)
        self.killed += result == "killed"
        self.untried += result == "untried"

    def row(self) -> str:
        """Row of the table."""
        tried = self.killed + len(self.survivors)
        share = 100 * self.killed / max(1, tried)
        return f"| {self.module} | {tried} | {self.killed} | {share:.1f} % | {self.untried} | {self.seconds:.0f} |\n"


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for one in code.co_consts:
        if isinstance(one, types.CodeType):
            yield from _codes(one)


def _key(code: types.CodeType) -> tuple[object, ...]:
    name = getattr(code, "co_qualname", code.co_name)  # Python 3.10 has no co_qualname
    return name, code.co_firstlineno, code.co_varnames[: code.co_argcount]


def plant(module: types.ModuleType, mutant: Mutant) -> bool:
    """Exchange the code of the changed function in this process, or the value of a changed constant.

    Returns:
        False if the change is in what only an import runs, such as a decorator.
    """
    file = str(module.__file__)
    compiled = compile(mutant.tree, file, "exec")
    old = {_key(code): code for code in _codes(compile(ast.parse(Path(file).read_text("utf-8")), file, "exec"))}
    new = {_key(code): code for code in _codes(compiled) if code != old.get(_key(code))}
    done = False
    for function in gc.get_objects():
        if type(function) is _Cached:  # isinstance would ask modules that load themselves on demand
            function.cache_clear()  # what the collection of the tests computed
        elif type(function) is types.FunctionType and function.__code__.co_filename == file:
            code = new.get(_key(function.__code__))
            if code is not None and code.co_freevars == function.__code__.co_freevars:
                function.__code__ = code
                done = True
    return done or _plant_constants(module, compiled)


def _plant_constants(module: types.ModuleType, compiled: types.CodeType) -> bool:
    namespace: dict[str, Any] = {"__name__": module.__name__, "__file__": module.__file__}
    exec(compiled, namespace)
    done = False
    for name, value in namespace.items():
        old = getattr(module, name, None)
        if (
            isinstance(value, int | float | str | bytes | tuple | dict | frozenset)
            and type(value) is type(old)
            and value != old
        ):
            for other in list(sys.modules.values()):
                if getattr(other, name, None) is old:
                    setattr(other, name, value)
                    done = True
    return done


def _is_generated(item: pytest.Item) -> bool:
    """True for a test with generated inputs, which takes longer than others."""
    return bool(getattr(getattr(item, "obj", None), "is_hypothesis_test", False))


class _Plugin:
    """Runs the collected tests once for each mutant, each time in a forked process."""

    def __init__(self, module: types.ModuleType, chosen: list[Mutant], scored: Scored, kept: Kept) -> None:
        self.module, self.chosen, self.scored, self.kept = module, chosen, scored, kept

    def pytest_sessionstart(self) -> None:
        """That a test fails is enough; nobody reads its smallest example."""
        from hypothesis import Phase, settings  # once pytest is ready to rewrite what it loads

        settings.register_profile("mutants", phases=(Phase.explicit, Phase.generate), database=None)
        settings.load_profile("mutants")

    def _run(self, session: pytest.Session, mutant: Mutant | None, limit_s: float) -> int:
        """0: all tests passed; 1: one failed; 2: it could not be planted; others: it hung or died."""
        child = os.fork()
        if child == 0:
            try:
                null = os.open(os.devnull, os.O_RDWR)
                for number in (1, 2):
                    os.dup2(null, number)
                signal.setitimer(signal.ITIMER_REAL, limit_s)
                if mutant is not None and not plant(self.module, mutant):
                    os._exit(2)
                items = sorted(session.items, key=_is_generated)
                for place, item in enumerate(items):
                    after = items[place + 1] if place + 1 < len(items) else None
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
                    if session.testsfailed:
                        os._exit(1)
                os._exit(0)
            except BaseException:  # noqa: BLE001  whatever a mutant does, it was noticed
                os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        began = time.monotonic()
        assert self._run(session, None, 600) == 0, f"{self.scored.module}: its tests fail without a mutant"
        usual, began = time.monotonic() - began, time.monotonic()
        for mutant in self.chosen:
            ended = self._run(session, mutant, max(LEAST_S, 10 * usual))
            result = {0: "survived", 2: "untried"}.get(ended, "killed")
            self.scored.add(mutant, result)
            self.kept.add(mutant, result)
        self.scored.seconds = time.monotonic() - began
        return True


def score(path: str, *, share: float = 1.0, number: int = 1, file: Path = KEPT) -> Scored:
    """Try a share of the mutants of a module against its quick tests."""
    every = list(mutants(Path(path).read_text(encoding="utf-8")))
    chosen = [one for one in every if random.Random(f"{number} {one.line} {one.what}").random() < share]
    scored, kept = Scored(path), Kept(file, path)
    earlier = kept.read()
    for mutant in chosen:
        if mutant.name in earlier:
            scored.add(mutant, earlier[mutant.name])
    if waiting := [one for one in chosen if one.name not in earlier]:
        module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
        options = ["-q", "-x", "-m", "not slow", "-p", "no:cacheprovider", "-p", "no:randomly", *QUICK[path]]
        pytest.main(options, plugins=[_Plugin(module, waiting, scored, kept)])
    return scored


def main() -> int:
    """Run from the command line; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=[])
    parser.add_argument("--share", type=float, default=1.0)
    given = parser.parse_args()
    for path in given.modules or QUICK:
        child = os.fork()  # each module in a process of its own, as pytest runs once in a process
        if child == 0:
            found = score(path, share=given.share)
            sys.stdout.write(found.row())
            for mutant in found.survivors:
                sys.stdout.write(f"  {path}:{mutant.line}: {mutant.what}\n")
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(child, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
