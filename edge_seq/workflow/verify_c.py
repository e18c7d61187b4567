"""The rungs of the C export: on the host and on every target, exactly, each mismatch located."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.reference_int import run_reference
from edge_seq.backends.trace import Trace
from edge_seq.errors import EdgeSeqError, ParityError
from edge_seq.ir.model import IntModel, model_hash
from edge_seq.parity.compare import Comparison, compare, merge
from edge_seq.parity.ladder import Rung, comparison_rung
from edge_seq.workflow.folder import RunFolder
from firmware_export.build import find_compiler
from firmware_export.host import build_host, read_manifest, run_on_host
from firmware_export.run_target import build_for_target, run_on_target
from firmware_export.target import MissingToolError, Target, find_emulator, find_target_compiler

BATCH = 128

Runner = Callable[[NDArray[np.int16]], Trace]


def compared(counts: NDArray[np.int16], expected: Runner, found: Runner, tolerance: float = 0.0) -> Comparison:
    """Run both on counts [B, T, C], some windows at a time, and compare."""
    return merge(
        [
            compare(expected(part), found(part), tolerance=tolerance, first_window=start)
            for start in range(0, len(counts), BATCH)
            for part in [counts[start : start + BATCH]]
        ]
    )


def with_export(name: str, kind: str, climb: Callable[[], Rung]) -> Rung:
    """A rung whose export is stale, damaged or missing has failed; it says why."""
    try:
        return climb()
    except EdgeSeqError as error:
        return Rung(name, "exact" if kind == "exact" else "budget", "failed", str(error))


def _climb_c(
    name: str,
    run: RunFolder,
    model: IntModel,
    counts: NDArray[np.int16],
    build: Callable[[Path, bool], Runner],
    detail: str,
) -> Rung:
    """Build what ships and compare; where it differs, the traced build of the same sources names the gate."""

    def reference(part: NDArray[np.int16]) -> Trace:
        return run_reference(model, part)

    manifest = read_manifest(run.c_dir)
    if manifest["model_hash"] != model_hash(model):
        raise ParityError(
            f"the C export is of model {str(manifest['model_hash'])[:16]}..., the run's integer model is "
            f"{model_hash(model)[:16]}...: the export is stale. Run edge-seq export again"
        )
    with tempfile.TemporaryDirectory() as folder:
        comparison = compared(counts, reference, build(Path(folder) / "plain", False))
        if not comparison.holds:
            located = compared(counts, reference, build(Path(folder) / "traced", True))
            comparison = comparison if located.first is None else located
    return comparison_rung(name, comparison, detail=detail)


def host_rung(name: str, run: RunFolder, model: IntModel, counts: NDArray[np.int16]) -> Rung:
    """Integer reference = C on the host.

    Raises:
        ToolError: a machine without a compiler is told so, rather than told that C failed.
    """
    compiler = find_compiler()

    def build(folder: Path, traced: bool) -> Runner:
        program = build_host(run.c_dir, folder / "host", compiler=compiler, traced=traced)
        return lambda part: run_on_host(program, model, part)

    return with_export(name, "exact", lambda: _climb_c(name, run, model, counts, build, f"built with {compiler.name}"))


def target_rung(name: str, run: RunFolder, model: IntModel, counts: NDArray[np.int16], target: Target) -> Rung:
    """Integer reference = C on a target; skipped, with what installs it, where a tool is missing."""
    try:
        compiler, _ = find_target_compiler(target)
        emulator = find_emulator(target)
    except MissingToolError as error:
        return Rung(name, "exact", "skipped", str(error))

    def build(folder: Path, traced: bool) -> Runner:
        program = build_for_target(run.c_dir, folder, target, traced=traced)
        return lambda part: run_on_target(program, model, part)

    detail = f"built with {compiler.name}, run in {emulator.name}"
    return with_export(name, "exact", lambda: _climb_c(name, run, model, counts, build, detail))
