"""Train a recipe with several seeds, quantize each, score each on the test part: mean, spread, interval.

    python datasets/research/seeds.py datasets/recipes/hapt.toml --out runs/hapt_seeds

Each seed is a run in OUT/seed_<n>, as edge-seq train and quantize leave it, so that an interrupted command resumes and
every run can be exported and verified. Scores are the integer model's, the float model's beside them. The interval, of
95 %, is of the mean over seeds and comes from resampling the test groups; the standard deviation is over seeds and says
nothing about other groups. With --forest and --minirocket these classifiers are scored on the same windows, with the
difference.

This evaluates the test part. Choose options by cross-validation first.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.recording import Windows
from edge_seq.data.window_file import load_windows
from edge_seq.pipeline.config import RunConfig, load_config
from edge_seq.pipeline.logits import probabilities_of
from edge_seq.scores.metrics import accuracy, confusion_matrix, estimate_over_groups, macro_f1
from edge_seq.support.errors import EdgeSeqError
from edge_seq.support.files import write_atomically
from edge_seq.training.others.baselines import minirocket_baseline, random_forest_baseline
from edge_seq.workflow.folder import RunFolder, load_learnt_windows, load_run_float, load_run_int, open_run
from edge_seq.workflow.quantize import quantize_run
from edge_seq.workflow.train import train_run

Score = Callable[[NDArray[Any]], NDArray[np.float64]]

SCORES = (accuracy, macro_f1)
OTHERS = {"forest": random_forest_baseline, "minirocket": minirocket_baseline}


def score_seeds(config: RunConfig, out: Path, seeds: Sequence[int], *, others: Sequence[str] = ()) -> dict[str, Any]:
    """Train, quantize and score a run for each seed.

    Args:
        config: of every run, but for training.seed.
        out: folder of the runs and of ``seeds.json``.
        seeds: of the trainings.
        others: classifiers to score too, of ``forest`` and ``minirocket``, with the first seed.

    Returns:
        What was written to seeds.json: for ``int`` and ``float``, and each score, the value of each seed, their mean,
        its interval and their standard deviation; the accuracy of the integer model in each group; the scores of each
        other classifier, and the mean of the integer models less its own.

    Raises:
        ConfigError, DataError, ContractError, ModelError, ToolError: as the steps say.
    """
    runs = [_trained(config, out / f"seed_{seed}", seed) for seed in seeds]
    num_classes = load_run_float(runs[0]).num_classes
    windows = load_windows(runs[0].windows("test"), num_classes=num_classes)
    int_models = [_by_group(windows, probabilities_of(load_run_int(run), windows.counts)) for run in runs]
    float_models = [_by_group(windows, probabilities_of(load_run_float(run), windows.counts)) for run in runs]
    groups = sorted(set(windows.groups.tolist()))
    result: dict[str, Any] = {
        "seeds": list(seeds),
        "test": {"windows": len(windows.labels), "groups": len(groups)},
        "int": _summary(np.stack(int_models, axis=1)),
        "float": _summary(np.stack(float_models, axis=1)),
        "confusion": np.stack(int_models).sum(axis=(0, 1)).tolist(),
        "accuracy_of_group": dict(
            zip(groups, np.round(accuracy(np.stack(int_models, axis=1)).mean(axis=1), 4).tolist(), strict=True)
        ),
    }
    if others:
        train = load_learnt_windows(runs[0], num_classes=num_classes)
        contract = load_run_float(runs[0]).contract
        for other in others:
            probabilities = OTHERS[other](train, windows, contract, num_classes, seed=seeds[0])
            result |= _beside(other, np.stack(int_models, axis=1), _by_group(windows, probabilities))
    write_atomically(out / "seeds.json", (json.dumps(result, indent=2) + "\n").encode())
    return result


def _trained(config: RunConfig, path: Path, seed: int) -> RunFolder:
    training = config.training.model_copy(update={"seed": seed})
    train_run(path, config.model_copy(update={"training": training}))
    run = open_run(path)
    quantize_run(run)
    return run


def _by_group(windows: Windows, probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """Confusion matrices int64 [G, K, K], groups in the order of their names."""
    predictions = probabilities.argmax(axis=1)
    mine = [windows.groups == group for group in sorted(set(windows.groups.tolist()))]
    return np.stack([confusion_matrix(windows.labels[one], predictions[one], probabilities.shape[1]) for one in mine])


def _summary(by_group: NDArray[np.int64]) -> dict[str, Any]:
    """Scores of confusion matrices int64 [G, seeds, K, K]."""
    found = {}
    for score in SCORES:
        values = score(by_group.sum(axis=0))
        mean = estimate_over_groups(by_group, partial(_mean_over_seeds, score))
        found[score.__name__] = {
            "mean": mean.value,
            "interval": [mean.low, mean.high],
            "standard_deviation": float(values.std(ddof=1)) if len(values) > 1 else None,
            "seeds": values.tolist(),
        }
    return found


def _mean_over_seeds(score: Score, confusions: NDArray[Any]) -> NDArray[np.float64]:
    """[..., seeds, K, K] to [...]."""
    return np.asarray(score(confusions).mean(axis=-1))


def _mean_above_last(score: Score, confusions: NDArray[Any]) -> NDArray[np.float64]:
    """Mean over all but the last less the last: [..., seeds + 1, K, K] to [...]."""
    scores = score(confusions)
    return np.asarray(scores[..., :-1].mean(axis=-1) - scores[..., -1])


def _beside(name: str, models: NDArray[np.int64], other: NDArray[np.int64]) -> dict[str, Any]:
    """Scores of another classifier, and by how much the mean over seeds is above them: [G, seeds, K, K] and [G, K,
    K]."""
    both = np.concatenate([models, other[:, np.newaxis]], axis=1)
    found: dict[str, Any] = {name: {}, f"above_{name}": {}}
    for score in SCORES:
        value = estimate_over_groups(other, score)
        more = estimate_over_groups(both, partial(_mean_above_last, score))
        found[name][score.__name__] = {"value": value.value, "interval": [value.low, value.high]}
        found[f"above_{name}"][score.__name__] = {"mean": more.value, "interval": [more.low, more.high]}
    return found


def _line(title: str, summary: dict[str, Any]) -> str:
    parts = []
    for name, found in summary.items():
        value = found["mean"] if "mean" in found else found["value"]
        low, high = found["interval"]
        text = f"{name.replace('_', ' ')} {100 * value:.2f} %"
        if low is not None:
            text += f" [{100 * low:.1f}, {100 * high:.1f}]"
        if found.get("standard_deviation") is not None:
            text += f", standard deviation {100 * found['standard_deviation']:.2f} over seeds"
        if "seeds" in found:
            text += f" ({', '.join(f'{100 * one:.2f}' for one in found['seeds'])})"
        parts.append(text)
    return f"{title}: {'; '.join(parts)}"


def main() -> None:
    """Parse, train, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--forest", action="store_true", help="score the random forest too")
    parser.add_argument("--minirocket", action="store_true", help="score MiniRocket too (package aeon)")
    options = parser.parse_args()
    config = load_config(options.recipe, options.overrides)
    others = [name for name in OTHERS if getattr(options, name)]
    result = score_seeds(config, options.out, options.seeds, others=others)
    lines = [f"test: {result['test']['windows']} windows of {result['test']['groups']} groups"]
    titles = {"int": "integer", "float": "float"}
    titles |= {"forest": "random forest", "above_forest": "integer above the forest"}
    titles |= {"minirocket": "MiniRocket", "above_minirocket": "integer above MiniRocket"}
    lines += [_line(title, result[kind]) for kind, title in titles.items() if kind in result]
    worst = sorted(result["accuracy_of_group"].items(), key=lambda item: item[1])[:5]
    lines.append("lowest accuracy by group: " + ", ".join(f"{group} {100 * value:.1f} %" for group, value in worst))
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    try:
        main()
    except EdgeSeqError as error:
        sys.exit(f"error: {error}")
