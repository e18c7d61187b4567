"""edge-seq evaluate: what float and integer model score on windows of groups that training did not see."""

from __future__ import annotations

from typing import Any

from edge_seq.errors import ConfigError
from edge_seq.ir.model import model_hash
from edge_seq.metrics import Metrics, evaluate_predictions
from edge_seq.training.baselines import majority_baseline, random_forest_baseline
from edge_seq.workflow.folder import (
    SIDES,
    RunFolder,
    load_json,
    load_run_config,
    load_run_float,
    load_run_int,
    load_windows,
    save_json,
)
from edge_seq.workflow.quantize import float_probabilities, int_probabilities


def evaluate_run(run: RunFolder, side: str = "test", *, baselines: bool = True) -> dict[str, Any]:
    """Score the models of a run, beside the majority guess and the random forest.

    Args:
        run: folder of the run.
        side: ``train``, ``validation`` or ``test``.
        baselines: whether to train and score the baselines; those scored before are kept.

    Returns:
        What was written to metrics.<side>.json: name of the classifier to its metrics.

    Raises:
        ConfigError, DataError, ModelError, ToolError: as the steps say.
    """
    if side not in SIDES:
        raise ConfigError(f"evaluating {run.path.name}: side {side!r} is unknown; give one of {list(SIDES)}")
    model = load_run_float(run)
    windows = load_windows(run.windows(side))
    seed = load_run_config(run).training.seed
    labels = model.labels

    def score(probabilities: Any) -> dict[str, Any]:
        metrics: Metrics = evaluate_predictions(
            windows.labels, probabilities, windows.groups, label_names=labels, seed=seed
        )
        return metrics.to_dict()

    results: dict[str, Any] = {
        "side": side,
        "model_hash": model_hash(model),
        "float": score(float_probabilities(model, windows.counts)),
    }
    if run.int_model.is_file():
        results["int"] = score(int_probabilities(load_run_int(run), windows.counts))
    if baselines:
        kept = load_json(run.metrics(side)) if run.metrics(side).is_file() else {}
        if "random_forest" in kept:
            results |= {name: kept[name] for name in ("majority", "random_forest")}
        else:
            train = load_windows(run.windows("train"))
            results["majority"] = score(majority_baseline(train.labels, len(windows.labels), len(labels)))
            results["random_forest"] = score(
                random_forest_baseline(train, windows, model.contract, len(labels), seed=seed)
            )
    save_json(run.metrics(side), results)
    return results
