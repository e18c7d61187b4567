"""The rungs of the C export: exact comparison on the host and on every target. Each mismatch is located."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.reference_int import run_reference
from edge_seq.backends.trace import Trace
from edge_seq.ir.model import IntModel
from edge_seq.parity.compare import Runner, compare_runs
from edge_seq.parity.ladder import Rung, comparison_rung
from firmware_export.running.run_target import build_for_target, require_answer, run_on_target
from firmware_export.toolchain.build import Compiler
from firmware_export.toolchain.host import build_host, run_on_host, self_test_on_host
from firmware_export.toolchain.host_library import FAST_FLAGS, infer_windows, load_host_library
from firmware_export.toolchain.target import MissingToolError, Target, build_words, find_emulator, find_target_compiler

TARGET_RUNG = "integer reference = C on "  # the target's name follows


def _compare_builds(
    name: str,
    model: IntModel,
    counts: NDArray[np.int16],
    build: Callable[[Path, bool], Runner],
    detail: str,
) -> Rung:
    """Build the exported C and compare it. If it differs, a traced build of the same sources locates the gate.

    Raises:
        ParityError, ExportError, ToolError: the export is stale or damaged, or does not compile or run.
    """

    def reference(part: NDArray[np.int16]) -> Trace:
        return run_reference(model, part)

    with tempfile.TemporaryDirectory() as folder:
        comparison = compare_runs(counts, reference, build(Path(folder) / "plain", False))
        if not comparison.holds:
            located = compare_runs(counts, reference, build(Path(folder) / "traced", True))
            comparison = comparison if located.first is None else located
    return comparison_rung(name, comparison, detail=detail)


def host_rung(name: str, sources: Path, model: IntModel, counts: NDArray[np.int16], compiler: Compiler) -> Rung:
    """Compare the integer reference with the C on the host: every time step of int16 [B, T, C]."""

    def build(folder: Path, traced: bool) -> Runner:
        program = build_host(sources, folder / "host", compiler=compiler, traced=traced)
        return lambda part: run_on_host(program, model, part)

    return _compare_builds(name, model, counts, build, f"built with {compiler.described}")


def host_library_rung(name: str, sources: Path, model: IntModel, counts: NDArray[np.int16], compiler: Compiler) -> Rung:
    """Compare the integer reference with the host library that evaluates windows at full speed.

    Logits and label after the last sample of each window of int16 [B, T, C] are compared.

    Raises:
        ParityError, ExportError, ToolError: the export is stale or damaged, or does not compile or load.
    """

    def reference(part: NDArray[np.int16]) -> Trace:
        values = run_reference(model, part).values
        return Trace({key: values[key][:, -1:] for key in ("logits", "label")})

    def with_library(part: NDArray[np.int16]) -> Trace:
        logits, labels = infer_windows(library, part)
        return Trace({"logits": logits[:, np.newaxis], "label": labels[:, np.newaxis, np.newaxis]})

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # Windows cannot delete a loaded library
        library = load_host_library(sources, model, Path(folder) / "library.so", compiler=compiler)
        comparison = compare_runs(counts, reference, with_library, first_step=counts.shape[1] - 1)
    return comparison_rung(name, comparison, detail=f"built with {compiler.described} {' '.join(FAST_FLAGS)}")


def self_test_rung(name: str, sources: Path, compiler: Compiler) -> Rung:
    """Run the golden vectors of the export as the firmware runs them.

    Raises:
        ParityError, ExportError, ToolError: a result differs, or the self-test does not compile or run.
    """
    with tempfile.TemporaryDirectory() as folder:
        self_test_on_host(sources, Path(folder) / "self_test", compiler=compiler)
    return Rung(name, "exact", "holds", f"built with {compiler.described}")


def target_rung(name: str, sources: Path, model: IntModel, counts: NDArray[np.int16], target: Target) -> Rung:
    """Compare the integer reference with the C on a target: every time step of int16 [B, T, C].

    The rung is skipped if a tool of the target is missing; its detail says how to install the tool.
    """
    try:
        compiler, choice = find_target_compiler(target)
        emulator = find_emulator(target)
    except MissingToolError as error:
        return Rung(name, "exact", "skipped", str(error))

    def build(folder: Path, traced: bool) -> Runner:
        program = build_for_target(sources, folder, target, traced=traced)
        require_answer(program, model)
        return lambda part: run_on_target(program, model, part)

    detail = f"built with {build_words(compiler, choice, target)}, run in {emulator.described}"
    return _compare_builds(name, model, counts, build, detail)
