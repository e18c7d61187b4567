"""edge-seq demo: the whole path on simulated car states, for three cells; the best by validation is the one to keep."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edge_seq.ir.kind_names import CellName
from edge_seq.parity.ladder import Ladder
from edge_seq.pipeline.config import RunConfig, load_config
from edge_seq.pipeline.prepare import prepare, split_note
from edge_seq.support.errors import ConfigError, ToolError
from edge_seq.support.files import check_can_write
from edge_seq.support.json_tables import save_json
from edge_seq.training.runtime import require_torch
from edge_seq.workflow.evaluate import evaluate_run
from edge_seq.workflow.export import export_run
from edge_seq.workflow.folder import open_run
from edge_seq.workflow.quantize import quantize_run
from edge_seq.workflow.report import write_report
from edge_seq.workflow.train import train_run
from edge_seq.workflow.verify import verify_run

CELLS: tuple[CellName, ...] = ("rnn", "gru", "lstm")
STEPS_PER_CELL = 5  # train, quantize, evaluate, export, verify
# datasets/recipes/car_states.toml, chosen there by cross-validation over drives; a test keeps the two alike.
RECIPE = (
    "data.training_stride=10",
    "training.epochs=50",
    "training.learning_rate=0.02",
    "training.class_weights=none",
    "training.augmentation.rotation=any",
    "training.augmentation.max_degrees=30.0",
)
# A vanilla RNN takes half the learning rate (same cross-validation).
RECIPE_OF_CELL = {"rnn": ("training.learning_rate=0.01",)}

Progress = Callable[[int, int, str], None]


def run_demo(
    out: Path, *, overrides: Sequence[str] = (), progress: Progress = lambda *_: None
) -> tuple[dict[str, Any], dict[str, Ladder]]:
    """Simulate once; train, quantize, evaluate, export and verify each cell; choose by validation macro-F1.

    Args:
        out: folder that gets a run for each cell, ``demo.json``, and a report in the run of the chosen cell.
        overrides: of the configuration, ``section.key=value``; not of cell and name, which the demo sets.
        progress: called with steps done, steps in all, and what is being done.

    Returns:
        What was written to demo.json, and the ladder of each cell.

    Raises:
        ConfigError: an override of cell or name, or a folder that cannot be written to.
        ToolError: torch, scikit-learn or matplotlib is not installed.
        EdgeSeqError: as the steps say.
    """
    _check_before(out, overrides)
    started = time.perf_counter()
    total = 1 + STEPS_PER_CELL * len(CELLS)
    done = 0

    def report(what: str) -> None:
        nonlocal done
        progress(done, total, what)
        done += 1

    def config_of(cell: str) -> RunConfig:
        special = RECIPE_OF_CELL.get(cell, ())
        return load_config(None, [*RECIPE, *special, *overrides, f"training.cell={cell}", f"name=car_states_{cell}"])

    report("simulating drives")
    prepared = prepare(config_of(CELLS[0]))
    cells: dict[str, dict[str, Any]] = {}
    ladders: dict[str, Ladder] = {}
    metrics: dict[str, Any] = {}
    for cell in CELLS:
        report(f"{cell}: training")
        summary = train_run(out / cell, config_of(cell), prepared=prepared)
        run = open_run(out / cell)
        report(f"{cell}: quantizing")
        quantized = quantize_run(run)
        report(f"{cell}: evaluating")
        metrics = evaluate_run(run, "test", earlier=[metrics] if metrics else [])
        report(f"{cell}: exporting")
        export_run(run)
        report(f"{cell}: verifying")
        ladders[cell] = verify_run(run)
        best = summary["history"][summary["best_epoch"] - 1]
        cells[cell] = {
            "validation_macro_f1": best["validation_macro_f1"],
            "parameters": quantized["parameters"],
            "weight_bytes": quantized["weight_bytes"],
            "deployed_bytes": quantized["deployed_bytes"],
            "float": metrics["float"],
            "int": metrics["int"],
            "holds": ladders[cell].holds,
        }
    progress(total, total, "done")
    result = {
        **split_note(config_of(CELLS[0])),
        "chosen": max(cells, key=lambda cell: float(cells[cell]["validation_macro_f1"])),
        "cells": cells,
        "majority": metrics["majority"],
        "random_forest": metrics["random_forest"],
        "holds": all(ladder.holds for ladder in ladders.values()),
        "seconds": time.perf_counter() - started,
    }
    result["report"] = str(write_report(out / result["chosen"])[1])
    save_json(out / "demo.json", result)
    return result, ladders


def _check_before(out: Path, overrides: Sequence[str]) -> None:
    """All that can be known before the long work."""
    for override in overrides:
        key = override.partition("=")[0].strip()
        if key in ("training.cell", "name"):
            raise ConfigError(
                f"demo: {key} cannot be set, the demo trains each of {list(CELLS)} under a name of its own; for "
                "one cell use edge-seq train"
            )
    check_can_write(out)
    require_torch("demo")
    for module, package in (("sklearn", "scikit-learn"), ("matplotlib", "matplotlib")):
        if importlib.util.find_spec(module) is None:
            raise ToolError(f"edge-seq demo needs {package}, which is not installed; pip install 'edge-seq[data]'")
