"""edge-seq distill: trains a small network on the labels and the answers of another, and compares the two."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.recording import Windows
from edge_seq.data.window_file import load_windows
from edge_seq.ir.model import IntModel, deployed_bytes
from edge_seq.pipeline.config import RunConfig, quote
from edge_seq.pipeline.learning.train import Progress
from edge_seq.pipeline.logits import probabilities_of
from edge_seq.pipeline.quantization import quantize_model
from edge_seq.scores.evaluation import SplitNote
from edge_seq.scores.metrics import Metrics, evaluate_predictions
from edge_seq.support.display import ShownAsTables, Table
from edge_seq.support.errors import ConfigError
from edge_seq.support.figure_text import percent
from edge_seq.support.json_tables import save_json
from edge_seq.support.results import Result
from edge_seq.workflow.folder import (
    RunFolder,
    load_run_config,
    load_run_float,
    load_run_int,
    note_of_run,
    open_run,
    require_recordings,
    writing,
)
from edge_seq.workflow.quantize import load_streams, quantize_run
from edge_seq.workflow.train import train_run
from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from firmware_export.measuring.measure import measure
from firmware_export.toolchain.target import MissingToolError, Target

RESULT = "distillation.json"
_COLUMNS = ("", "units", "accuracy", "macro-F1", "bytes of weights", "flash", "RAM", "instructions of a window")


@dataclass(frozen=True)
class OnTarget(Result):
    """Cost of a model on a target.

    Attributes:
        flash_bytes, ram_bytes: size of the linked program, without the harness.
        instructions_per_window: instructions of a window of random and extreme counts.
    """

    flash_bytes: int | None
    ram_bytes: int | None
    instructions_per_window: int | None


@dataclass(frozen=True)
class Figures(Result):
    """One of the two integer models.

    Attributes:
        hidden_sizes: units of each recurrent layer.
        weight_bytes: bytes of weights, biases and multipliers in flash.
        metrics: scores, with 95 % intervals over groups.
        on_target: cost on the target; None if no target was asked for, or its tools are missing.
    """

    hidden_sizes: tuple[int, ...]
    weight_bytes: int
    metrics: Metrics
    on_target: OnTarget | None

    def row(self, name: str) -> list[str]:
        """Cells of the table for people."""
        found = self.on_target
        costs = (
            ("-", "-", "-") if found is None else (found.flash_bytes, found.ram_bytes, found.instructions_per_window)
        )
        return [
            name,
            " + ".join(map(str, self.hidden_sizes)),
            str(self.metrics.accuracy),
            str(self.metrics.macro_f1),
            f"{self.weight_bytes:,}",
            *(f"{one:,}" if isinstance(one, int) else "-" for one in costs),
        ]


@dataclass(frozen=True)
class Distillation(Result, ShownAsTables):
    """The model that was learnt from and the small one, on windows that neither training saw.

    Attributes:
        teacher: folder of the run that was learnt from.
        side: side of the split.
        note: kind of split, with a warning where scores are weak evidence.
        target: name of the target; None without one.
        before, after: the two models.
        same_label: share of the windows with the same label from both.
        missing: what to install, if the tools of the target are missing.
    """

    teacher: str
    side: str
    note: SplitNote
    target: str | None
    before: Figures
    after: Figures
    same_label: float
    missing: str | None = None

    def tables(self) -> Sequence[Table]:
        """The two models, one above the other."""
        metrics = self.after.metrics
        where = "" if self.target is None else f"; on {self.target}"
        title = f"{self.side}: {metrics.num_windows:,} windows of {metrics.num_groups} groups{where}"
        return (Table(title, _COLUMNS, [self.before.row("teacher"), self.after.row("distilled")]),)

    def lines(self) -> list[str]:
        """Further remarks."""
        saved = 1 - self.after.weight_bytes / self.before.weight_bytes
        found = [
            f"{percent(saved)} fewer bytes of weights; the same label on {percent(self.same_label)} of the windows"
        ]
        return found if self.missing is None else [*found, f"{self.target}: {self.missing}"]


def distillation_options(teacher: RunFolder) -> tuple[Path, list[str]]:
    """Configuration and overrides of a training that learns from the model of a run.

    Raises:
        ConfigError: the run holds no recordings.
        DataError, ModelError: it holds no model.
    """
    require_recordings(teacher, doing="distilling")
    load_run_float(teacher)
    return teacher.config, [f"teacher={quote(str(teacher.path.absolute()))}"]


def distill_run(
    path: Path,
    config: RunConfig,
    *,
    target: Target | None = None,
    progress: Callable[[str], None] = lambda _: None,
    epoch_progress: Progress = lambda *_: None,
) -> Distillation:
    """Train a network on the labels and on the answers of another, quantize it, and compare both.

    Args:
        path: Folder of the new run. An interrupted training resumes in it.
        config: Configuration with a teacher, see :func:`distillation_options`. Its ``start_from`` is left out.
        target: Target to measure both models on; None measures none.
        progress: Called with the next step.
        epoch_progress: Called with epochs done, epochs in all and the record of each epoch.

    Returns:
        The comparison, which is also written to distillation.json of the new run.

    Raises:
        ConfigError: the configuration has no teacher.
        DataError, ContractError, ModelError, ToolError: as the steps say.
    """
    if config.teacher is None:
        raise ConfigError("distilling: the configuration has no teacher; give the folder of a run")
    teacher = open_run(Path(config.teacher))
    train_run(path, config.model_copy(update={"start_from": None}), epoch_progress=epoch_progress)
    small = open_run(path)
    progress("quantizing")
    quantize_run(small)
    models = {"before": _int_model(teacher, small), "after": load_run_int(small)}
    side = next(side for side in ("test", "validation", "train") if small.windows(side).is_file())
    windows = load_windows(small.windows(side), num_classes=models["after"].num_classes)
    progress("scoring")
    shares = {name: probabilities_of(model, windows.counts) for name, model in models.items()}
    missing: str | None = None
    costs: dict[str, OnTarget | None] = dict.fromkeys(models)
    if target is not None:
        progress(f"measuring on {target.name}")
        try:
            costs = {name: _cost(model, windows.counts, target) for name, model in models.items()}
        except MissingToolError as error:
            missing = str(error)
    figures = {name: _figures(model, windows, shares[name], costs[name]) for name, model in models.items()}
    result = Distillation(
        teacher=teacher.path.name,
        side=side,
        note=note_of_run(small),
        target=None if target is None else target.name,
        before=figures["before"],
        after=figures["after"],
        same_label=float((shares["before"].argmax(axis=1) == shares["after"].argmax(axis=1)).mean()),
        missing=missing,
    )
    with writing(small):
        save_json(small.path / RESULT, result)
    return result


def _int_model(teacher: RunFolder, small: RunFolder) -> IntModel:
    """The integer model of the teacher: as its run has it, or made here, if it was never quantized."""
    if teacher.int_model.is_file():
        return load_run_int(teacher)
    model = load_run_float(teacher)
    side = next(side for side in ("validation", "train") if small.windows(side).is_file())
    bits = load_run_config(teacher).quantization.weight_bits
    return quantize_model(model, load_streams(small), load_windows(small.windows(side)), weight_bits=bits).model


def _figures(model: IntModel, windows: Windows, shares: NDArray[np.float64], on_target: OnTarget | None) -> Figures:
    metrics = evaluate_predictions(windows.labels, shares, windows.groups, label_names=model.labels)
    return Figures(model.hidden_sizes, deployed_bytes(model), metrics, on_target)


def _cost(model: IntModel, counts: NDArray[np.int16], target: Target) -> OnTarget:
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "c"
        export_c(model, make_golden(model, np.asarray(counts[:1])), exported)
        found = measure(exported, model, target, steps=1)
    sizes = found.sizes
    return OnTarget(None if sizes is None else sizes.flash, None if sizes is None else sizes.ram, found.instructions)
