"""edge-seq cross-validate: a run for each fold by group, repeated with other folds, and figures over all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.window_file import load_windows
from edge_seq.pipeline.config import RunConfig
from edge_seq.pipeline.logits import float_probabilities, int_probabilities
from edge_seq.scores.metrics import evaluate_predictions
from edge_seq.support.errors import ConfigError
from edge_seq.support.files import check_can_write
from edge_seq.support.json_tables import save_json
from edge_seq.workflow.folder import load_run_float, load_run_int, open_run
from edge_seq.workflow.quantize import quantize_run
from edge_seq.workflow.train import train_run

Progress = Callable[[int, int, str], None]


def cross_validate(
    path: Path,
    config: RunConfig,
    *,
    folds: int = 5,
    repeats: int = 1,
    progress: Progress = lambda *_: None,
) -> dict[str, Any]:
    """Train and quantize every fold of every repeat, and score the predictions of a repeat together.

    Each fold is a run in ``path/repeat_<r>/fold_<k>``, so that an interrupted cross-validation resumes. Repeat r takes
    ``split_seed + r`` for the folds and ``training.seed + r`` for the training. A test part that the source gives stays
    untouched.

    Args:
        path: folder for the runs and ``cross_validation.json``.
        config: of every run, but for seeds and folds.
        folds: parts by group, at least 2.
        repeats: cross-validations with other folds, at least 1.
        progress: called with runs done, runs in all, and what is being done.

    Returns:
        For the float and the integer model: metrics of each repeat (95 % intervals by resampling groups), and mean and
        standard deviation over repeats.

    Raises:
        ConfigError: folds or repeats out of range, or a split that is not by group.
        DataError, ContractError, ModelError, ToolError: as the steps say.
    """
    if folds < 2 or repeats < 1:
        raise ConfigError(f"cross-validation: {folds} folds, {repeats} repeats; give at least 2 folds and 1 repeat")
    if config.data.split != "group":
        raise ConfigError(f"cross-validation: split is {config.data.split!r}; it is by group, leave data.split out")
    check_can_write(path)
    done, total = 0, folds * repeats
    metrics: dict[str, list[dict[str, Any]]] = {"float": [], "int": []}
    for repeat in range(repeats):
        runs = []
        for fold in range(1, folds + 1):
            progress(done, total, f"repeat {repeat + 1}, fold {fold}")
            folder = path / f"repeat_{repeat + 1}" / f"fold_{fold}"
            train_run(folder, _config_of(config, folds, fold, repeat))
            quantize_run(open_run(folder))
            runs.append(folder)
            done += 1
        for kind, values in _score(runs, seed=config.training.seed).items():
            metrics[kind].append(values)
    progress(total, total, "done")
    result = {
        "folds": folds,
        "repeats": repeats,
        "split": "group",
        **{kind: {"repeats": values, "summary": _summary(values)} for kind, values in metrics.items()},
    }
    save_json(path / "cross_validation.json", result)
    return result


def _config_of(config: RunConfig, folds: int, fold: int, repeat: int) -> RunConfig:
    data = {"folds": folds, "fold": fold, "split_seed": config.data.split_seed + repeat}
    return config.model_copy(
        update={
            "data": config.data.model_copy(update=data),
            "training": config.training.model_copy(update={"seed": config.training.seed + repeat}),
        }
    )


def _score(runs: list[Path], *, seed: int) -> dict[str, dict[str, Any]]:
    """Metrics of the float and the integer models over the test windows of all folds."""
    labels: list[NDArray[np.int16]] = []
    groups: list[NDArray[np.str_]] = []
    float_parts: list[NDArray[np.float64]] = []
    int_parts: list[NDArray[np.float64]] = []
    names: tuple[str, ...] = ()
    for folder in runs:
        run = open_run(folder)
        model = load_run_float(run)
        windows = load_windows(run.windows("test"), num_classes=model.num_classes)
        labels.append(windows.labels)
        groups.append(windows.groups)
        float_parts.append(float_probabilities(model, windows.counts))
        int_parts.append(int_probabilities(load_run_int(run), windows.counts))
        names = model.labels
    return {
        kind: evaluate_predictions(
            np.concatenate(labels), np.concatenate(parts), np.concatenate(groups), label_names=names, seed=seed
        ).to_dict()
        for kind, parts in (("float", float_parts), ("int", int_parts))
    }


def _summary(repeats: list[dict[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Mean and standard deviation of each score over the repeats; no deviation of one repeat."""
    found: dict[str, dict[str, float | None]] = {}
    for score in ("accuracy", "balanced_accuracy", "macro_f1"):
        values = [one[score]["value"] for one in repeats]
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
        found[score] = {"mean": float(np.mean(values)), "standard_deviation": spread}
    return found
