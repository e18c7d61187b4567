"""Score a recipe by cross-validation over the groups of the train part; the test part is never read into windows.

    python datasets/recipes/cross_validate.py datasets/recipes/hapt.toml --folds 3
    python datasets/recipes/cross_validate.py datasets/recipes/hapt.toml training.cell=gru --seeds 0 1 2

A seed decides the folds too, so that several seeds are a repeated cross-validation. Predictions of all folds are
pooled, then scored. The last epoch's weights are used, so no epoch is picked by the fold that is scored.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from edge_seq.data.recording import select_windows
from edge_seq.data.splits import split_by_group
from edge_seq.data.windows import make_windows
from edge_seq.metrics import accuracy, confusion_matrix, macro_f1, softmax
from edge_seq.training.baselines import random_forest_baseline
from edge_seq.training.loop import predict, train
from edge_seq.workflow.config import RunConfig, load_config
from edge_seq.workflow.prepare import load_data


def cross_validate(config: RunConfig, *, folds: int, seed: int, forest: bool) -> dict[str, object]:
    """Pooled scores over folds of the train groups; validation groups, where the recipe has any, count as train."""
    dataset, share = load_data(config.data)
    split = split_by_group(
        dataset,
        validation_fraction=0.0,
        test_fraction=config.data.test_fraction,
        seed=config.data.split_seed,
        minimum_share=share,
    )
    contract, num_classes = dataset.contract, len(dataset.labels)
    stride = config.data.training_stride or contract.window_stride
    windows = make_windows(split.train, length=contract.window_length, stride=stride, minimum_share=share)
    training = config.training.model_copy(update={"keep": "last", "early_stopping_patience": 0, "seed": seed})
    probabilities = np.zeros((len(windows.labels), num_classes))
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for inside, outside in splitter.split(windows.labels, windows.labels, windows.groups):
        if forest:
            scores = random_forest_baseline(
                select_windows(windows, inside), select_windows(windows, outside), contract, num_classes, seed=seed
            )
        else:
            result = train(select_windows(windows, inside), None, contract, num_classes, training)
            scores = softmax(predict(result, windows.counts[outside]))
        probabilities[outside] = scores
    confusion = confusion_matrix(windows.labels, probabilities.argmax(axis=1), num_classes)
    likelihood = probabilities[np.arange(len(windows.labels)), windows.labels]
    return {
        "seed": seed,
        "accuracy": round(float(accuracy(confusion)), 4),
        "macro_f1": round(float(macro_f1(confusion)), 4),
        "negative_log_likelihood": round(float(-np.log(likelihood + 1e-9).mean()), 4),
        "confusion": confusion.tolist(),
    }


def main() -> None:
    """Parse, cross-validate, print one JSON line a seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--forest", action="store_true", help="score the random forest instead")
    options = parser.parse_args()
    config = load_config(options.recipe, options.overrides)
    for seed in options.seeds:
        scores = cross_validate(config, folds=options.folds, seed=seed, forest=options.forest)
        sys.stdout.write(json.dumps(scores) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
