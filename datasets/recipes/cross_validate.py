r"""Score a recipe by cross-validation over the groups of the train part; the test part is never cut into windows.

    python datasets/recipes/cross_validate.py datasets/recipes/hapt.toml --folds 3 > recipe.jsonl
    python datasets/recipes/cross_validate.py datasets/recipes/hapt.toml training.cell=gru --folds 3 \
        --against recipe.jsonl

A seed decides the folds too, so that several seeds are a repeated cross-validation. Training windows are cut with the
recipe's training_stride, scored ones with the contract's stride. Predictions of all folds are pooled, then scored. The
last epoch's weights are used, so no epoch is picked by the fold that is scored.

What `edge-seq cross-validate` does not: it puts a test part aside where the source gives none, takes validation groups
as train, writes no runs, scores the random forest on the same folds, and compares two recipes window by window.

One JSON line a seed. With --against, a last line holds the differences from the earlier file, window by window on the
same folds: the mean over seeds, each seed's, and a 95 % interval by resampling groups.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.recording import select_windows
from edge_seq.data.splits import assign_folds, split_by_group
from edge_seq.data.windows import make_windows
from edge_seq.pipeline.config import RunConfig, load_config
from edge_seq.pipeline.prepare import load_data
from edge_seq.scores.metrics import accuracy, confusion_matrix, estimate_over_groups, macro_f1, softmax
from edge_seq.support.errors import ConfigError, DataError, EdgeSeqError
from edge_seq.training.baselines import random_forest_baseline
from edge_seq.training.loop import predict, train

Score = Callable[[NDArray[Any]], NDArray[np.float64]]


def cross_validate(config: RunConfig, *, folds: int, seed: int, forest: bool) -> dict[str, Any]:
    """Pooled scores over folds of the train groups; validation groups, where the recipe has any, count as train.

    Returns:
        seed, folds, scores, the confusion matrix, and ``confusion_of_group``, a matrix for each group.

    Raises:
        ConfigError, DataError: as the steps say.
    """
    if folds < 2:
        raise ConfigError(f"cross-validation: {folds} folds; give at least 2")
    dataset, share = load_data(config.data)
    part = split_by_group(
        dataset,
        validation_fraction=0.0,
        test_fraction=config.data.test_fraction,
        seed=config.data.split_seed,
        minimum_share=share,
    )
    recordings = (*part.train, *part.validation)
    contract, num_classes = dataset.contract, len(dataset.labels)
    length, stride = contract.window_length, contract.window_stride
    fold_of_group = assign_folds(dataset, recordings, folds=folds, seed=seed, minimum_share=share)
    scored = make_windows(recordings, length=length, stride=stride, minimum_share=share)
    trained = make_windows(recordings, length=length, stride=config.data.training_stride or stride, minimum_share=share)
    scored_fold, trained_fold = (
        np.array([fold_of_group[group] for group in windows.groups.tolist()]) for windows in (scored, trained)
    )
    training = config.training.model_copy(update={"keep": "last", "early_stopping_patience": 0, "seed": seed})
    probabilities = np.zeros((len(scored.labels), num_classes))
    for fold in range(folds):
        inside = select_windows(trained, np.flatnonzero(trained_fold != fold))
        outside = select_windows(scored, np.flatnonzero(scored_fold == fold))
        if forest:
            scores = random_forest_baseline(inside, outside, contract, num_classes, seed=seed)
        else:
            result = train(inside, None, contract, num_classes, training)
            scores = softmax(predict(result, outside.counts))
        probabilities[scored_fold == fold] = scores
    predictions = probabilities.argmax(axis=1)
    confusion = confusion_matrix(scored.labels, predictions, num_classes)
    likelihood = probabilities[np.arange(len(scored.labels)), scored.labels]
    return {
        "seed": seed,
        "folds": folds,
        "accuracy": round(float(accuracy(confusion)), 4),
        "macro_f1": round(float(macro_f1(confusion)), 4),
        "negative_log_likelihood": round(float(-np.log(likelihood + 1e-9).mean()), 4),
        "confusion": confusion.tolist(),
        "confusion_of_group": {
            group: confusion_matrix(scored.labels[mine], predictions[mine], num_classes).tolist()
            for group in sorted(set(scored.groups.tolist()))
            for mine in [scored.groups == group]
        },
    }


def differences(found: Sequence[Mapping[str, Any]], earlier: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How much better the first is than the second, seed by seed on the same folds and windows.

    Args:
        found, earlier: results of :func:`cross_validate`, at least those of the seeds of ``found``.

    Returns:
        Accuracy and macro-F1 to mean difference, its 95 % interval over groups, and the difference of each seed.

    Raises:
        DataError: a seed is missing among the earlier, or has other folds or other windows there.
    """
    of_seed = {one["seed"]: one for one in earlier}
    pairs = []
    for one in found:
        other = of_seed.get(one["seed"])
        if other is None or other["folds"] != one["folds"] or _windows(other) != _windows(one):
            raise DataError(
                f"comparing cross-validations: the earlier one has no seed {one['seed']} with {one['folds']} folds on "
                f"the same windows; it has seeds {sorted(of_seed)}. Run it again with the same data, --folds, --seeds"
            )
        pairs.append(
            [[side["confusion_of_group"][group] for group in one["confusion_of_group"]] for side in (one, other)]
        )
    by_group = np.array(pairs).transpose(2, 0, 1, 3, 4)  # [G, seeds, 2, K, K]
    return {name: _difference(by_group, score) for name, score in (("accuracy", accuracy), ("macro_f1", macro_f1))}


def _difference(by_group: NDArray[np.int64], score: Score) -> dict[str, Any]:
    def of_seeds(confusions: NDArray[Any]) -> NDArray[np.float64]:
        scores = score(confusions)
        difference: NDArray[np.float64] = scores[..., 0] - scores[..., 1]
        return difference

    mean = estimate_over_groups(by_group, lambda confusions: of_seeds(confusions).mean(axis=-1))
    return {
        "difference": round(mean.value, 4),
        "interval": [None if end is None else round(end, 4) for end in (mean.low, mean.high)],
        "seeds": [round(value, 4) for value in of_seeds(by_group.sum(axis=0)).tolist()],
    }


def _windows(result: Mapping[str, Any]) -> dict[str, list[int]]:
    """Windows of each class for each group."""
    return {group: np.sum(matrix, axis=1).tolist() for group, matrix in result["confusion_of_group"].items()}


def main() -> None:
    """Parse, cross-validate, print one JSON line a seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--forest", action="store_true", help="score the random forest instead")
    parser.add_argument("--against", type=Path, help="what this script printed for another recipe with the same seeds")
    options = parser.parse_args()
    config = load_config(options.recipe, options.overrides)
    found = []
    for seed in options.seeds:
        found.append(cross_validate(config, folds=options.folds, seed=seed, forest=options.forest))
        sys.stdout.write(json.dumps(found[-1]) + "\n")
        sys.stdout.flush()
    if options.against is not None:
        lines = [json.loads(line) for line in options.against.read_text(encoding="utf-8").splitlines()]
        earlier = [line for line in lines if "seed" in line]
        sys.stdout.write(json.dumps({"against": str(options.against), **differences(found, earlier)}) + "\n")


if __name__ == "__main__":
    try:
        main()
    except EdgeSeqError as error:
        sys.exit(f"error: {error}")
