"""The rungs of the C, with builds that give the reference's values or a fault in them."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_seq.backends.reference_int import run_reference
from edge_seq.backends.trace import Trace
from edge_seq.ir.model import IntModel
from edge_seq.parity import c_rungs
from edge_seq.parity.compare import Runner
from edge_seq.parity.ladder import Rung
from firmware_export.toolchain.build import Compiler
from firmware_export.toolchain.target import MissingToolError
from tests.unit.parity.small import COUNTS, GCC, MODEL, Counts, with_fault


def host(monkeypatch: pytest.MonkeyPatch, plain: Runner, traced: Runner) -> Rung:
    """The rung of the host, whose builds give these traces; files are built in two folders."""
    built: list[tuple[str, bool]] = []

    def build(_: Path, program: Path, *, compiler: Compiler, traced: bool) -> tuple[bool, Compiler]:
        built.append((f"{program.parent.name}/{program.name}", traced))
        return traced, compiler

    monkeypatch.setattr(c_rungs, "build_host", build)
    monkeypatch.setattr(c_rungs, "run_on_host", lambda it, _, part: (traced if it[0] else plain)(part))
    rung = c_rungs.host_rung("on the host", Path("c"), MODEL, COUNTS, GCC)
    first, second = ("plain/host", False), ("traced/host", True)
    assert built == [first] if rung.verdict == "holds" else [first, second]
    return rung


def test_c_that_differs_is_located_by_a_traced_build(monkeypatch: pytest.MonkeyPatch) -> None:
    def right(part: Counts) -> Trace:
        return run_reference(MODEL, part)

    def late(part: Counts) -> Trace:
        return with_fault(right(part), "logits", (2, 6, 1))

    def early(part: Counts) -> Trace:
        return with_fault(late(part), "layer0.update_gate", (2, 5, 3))

    holds = host(monkeypatch, right, right)
    assert (holds.name, holds.kind, holds.verdict, holds.detail) == (
        "on the host", "exact", "holds", f"built with {GCC.described}"
    )  # fmt: skip
    assert holds.comparison is not None
    assert holds.comparison.steps == 9 * 7
    wrong = host(monkeypatch, late, early)
    assert (wrong.verdict, wrong.kind) == ("failed", "exact")
    assert wrong.detail.startswith("window 2, time step 5, layer 0, update_gate[3]")
    # A traced build that is right shows that the fault is in the plain one, which is told.
    assert host(monkeypatch, late, right).detail.startswith("window 2, time step 6, logits[1]")


def test_the_fast_library_is_compared_at_the_ends_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    wrong = 0

    def windows_of(library: str, part: Counts) -> tuple[NDArray[Any], NDArray[Any]]:
        assert library == "loaded"
        trace = run_reference(MODEL, part)
        return trace.logits, trace.labels + wrong * (np.arange(len(part)) == 3)

    def load(sources: Path, model: IntModel, path: Path, *, compiler: Compiler) -> str:
        loaded.append(path.name)
        return "loaded"

    monkeypatch.setattr(c_rungs, "load_host_library", load)
    monkeypatch.setattr(c_rungs, "infer_windows", windows_of)
    rung = c_rungs.host_library_rung("fast", Path("c"), MODEL, COUNTS, GCC)
    assert rung.comparison is not None
    assert (rung.name, rung.kind, rung.verdict, rung.comparison.values) == ("fast", "exact", "holds", 9 * 5)
    assert rung.detail == f"built with {GCC.described} {' '.join(c_rungs.FAST_FLAGS)}"
    assert loaded == ["library.so"]
    wrong = 1
    rung = c_rungs.host_library_rung("fast", Path("c"), MODEL, COUNTS, GCC)
    assert (rung.verdict, rung.detail.split(":")[0]) == ("failed", "window 3, time step 6, label[0]")


def test_the_self_test_and_the_rung_of_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[object] = []
    monkeypatch.setattr(c_rungs, "self_test_on_host", lambda sources, path, **more: ran.append((path.name, more)))
    said = Compiler("my compiler", (sys.executable,)).described
    assert said == f"my compiler (Python {platform.python_version()})", "its name here, and what it says of itself"
    rung = c_rungs.self_test_rung("self-test", Path("c"), GCC)
    assert rung == Rung("self-test", "exact", "holds", f"built with {GCC.described}")
    assert ran == [("self_test", {"compiler": GCC})]

    target: Any = SimpleNamespace(name="cortex_m9", optimization="-O2")
    choice = SimpleNamespace(flags=("-mcpu=m9", "-mthumb"))
    monkeypatch.setattr(c_rungs, "find_target_compiler", lambda _: (GCC, choice))
    monkeypatch.setattr(c_rungs, "find_emulator", lambda _: SimpleNamespace(described="an emulator 2"))
    monkeypatch.setattr(c_rungs, "build_for_target", lambda _, folder, to, *, traced: (folder.name, to, traced))
    monkeypatch.setattr(c_rungs, "require_answer", lambda program, model: ran.append((program, model)))
    monkeypatch.setattr(c_rungs, "run_on_target", lambda program, model, part: run_reference(model, part))
    rung = c_rungs.target_rung("on it", Path("c"), MODEL, COUNTS, target)
    assert (rung.name, rung.verdict) == ("on it", "holds")
    assert rung.detail == f"built with {GCC.described} -mcpu=m9 -mthumb -O2, run in an emulator 2"
    assert ran[1:] == [(("plain", target, False), MODEL)]

    def missing(_: object) -> object:
        raise MissingToolError("no emulator; apt-get install one")

    monkeypatch.setattr(c_rungs, "find_emulator", missing)
    rung = c_rungs.target_rung("on it", Path("c"), MODEL, COUNTS, target)
    assert rung == Rung("on it", "exact", "skipped", "no emulator; apt-get install one")
