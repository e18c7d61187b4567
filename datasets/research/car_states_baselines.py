"""Score baselines and small recurrent models on the simulated car states, by drive; docs/results/car_states.md has it.

    python datasets/research/car_states_baselines.py            # some minutes on one core
    python datasets/research/car_states_baselines.py --splits 1 --models majority forest
    python datasets/research/car_states_baselines.py --splits 4 --recipe datasets/recipes/car_states.toml

Everything comes from the library: the simulator, the split by drive, the windows, the baselines, the training loop.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_seq.data.simulator import CarStatesOptions, simulate_car_states
from edge_seq.data.splits import split_by_group
from edge_seq.data.windows import make_windows
from edge_seq.ir.model import num_parameters
from edge_seq.pipeline.config import RunConfig, load_config
from edge_seq.scores.metrics import accuracy, confusion_matrix, macro_f1, softmax
from edge_seq.support.files import write_atomically
from edge_seq.training.config import TrainingConfig
from edge_seq.training.others.baselines import majority_baseline, random_forest_baseline
from edge_seq.training.others.convolutional import convolutional_baseline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_seq.data.recording import Dataset, Recording, Windows

MODELS = ("majority", "forest", "convolutional", "rnn", "gru", "lstm")
CONVOLUTIONAL_PARAMETERS = 24_428


def windows_of(dataset: Dataset, recordings: tuple[Recording, ...], stride: int | None = None) -> Windows:
    """Windows of one side of the split, with the contract's stride unless another is given."""
    contract = dataset.contract
    return make_windows(recordings, length=contract.window_length, stride=stride or contract.window_stride)


def probabilities_of(
    model: str,
    dataset: Dataset,
    sides: tuple[Windows, Windows, Windows],
    *,
    epochs: int,
    recipe: RunConfig | None,
    seed: int,
) -> tuple[NDArray[np.float64], int | None]:
    """Train one model on the first side, pick by the second, predict the third.

    Returns:
        probabilities float64 [B, K] and the number of parameters, None where the model has none.
    """
    train_windows, validation, test = sides
    num_classes = len(dataset.labels)
    if model == "majority":
        return majority_baseline(train_windows.labels, len(test.labels), num_classes), None
    if model == "forest":
        return random_forest_baseline(train_windows, test, dataset.contract, num_classes, seed=seed), None
    if model == "convolutional":
        config = TrainingConfig(epochs=epochs, learning_rate=0.002, dropout=0.5, class_weights="none", seed=seed)
        result, probabilities = convolutional_baseline(
            train_windows, validation, test, dataset.contract, num_classes, config
        )
        parameters = sum(value.size for value in result.state_dict.values())
        if parameters != CONVOLUTIONAL_PARAMETERS:
            raise SystemExit(
                f"the convolutional baseline has {parameters} parameters; {CONVOLUTIONAL_PARAMETERS} are due"
            )
        return probabilities, parameters
    from edge_seq.frontends.from_torch import from_training
    from edge_seq.training.loop import predict, train

    if recipe is None:
        options = {"hidden_size": 16, "epochs": epochs, "class_weights": "none", "dropout": 0.0}
    else:
        options = recipe.training.model_dump()
    config = TrainingConfig.model_validate({**options, "cell": model, "seed": seed})
    result = train(train_windows, validation, dataset.contract, num_classes, config)
    parameters = num_parameters(from_training(result, name=model, labels=dataset.labels))
    return softmax(predict(result, test.counts)).astype(np.float64), parameters


def share_table(dataset: Dataset) -> str:
    """Shares of the classes in samples and in windows, as Markdown."""
    samples = np.concatenate([recording.labels for recording in dataset.recordings])
    windows = windows_of(dataset, dataset.recordings).labels
    lines = ["| class | samples | windows |", "|---|---|---|"]
    for index, label in enumerate(dataset.labels):
        lines.append(f"| {label} | {np.mean(samples == index):.1%} | {np.mean(windows == index):.1%} |")
    lines.append(f"| all | {len(samples)} | {len(windows)} |")
    return "\n".join(lines)


def measure(dataset: Dataset, models: list[str], *, splits: int, epochs: int, recipe: RunConfig | None = None) -> str:
    """Scores over several splits by drive (60 % train, 15 % validation, 25 % test), as Markdown."""
    confusions: dict[str, list[NDArray[np.int64]]] = {model: [] for model in models}
    sizes: dict[str, int | None] = {}
    for seed in range(splits):
        split = split_by_group(dataset, validation_fraction=0.15, test_fraction=0.25, seed=seed)
        sides = (
            windows_of(dataset, split.train, recipe.data.training_stride if recipe else None),
            windows_of(dataset, split.validation),
            windows_of(dataset, split.test),
        )
        for model in models:
            probabilities, sizes[model] = probabilities_of(
                model, dataset, sides, epochs=epochs, recipe=recipe, seed=seed
            )
            confusion = confusion_matrix(sides[2].labels, probabilities.argmax(axis=1), len(dataset.labels))
            confusions[model].append(confusion)
            score = f"accuracy {float(accuracy(confusion)):.3f}, macro-F1 {float(macro_f1(confusion)):.3f}"
            print(f"split {seed}, {model}: {score}", file=sys.stderr, flush=True)  # noqa: T201 - a script
    lines = ["| model | parameters | accuracy | macro-F1 | accuracy by split |", "|---|---|---|---|---|"]
    for model in models:
        scores = np.array([[float(accuracy(c)), float(macro_f1(c))] for c in confusions[model]])
        each = ", ".join(f"{value:.1%}" for value in scores[:, 0])
        size = "" if sizes[model] is None else f"{sizes[model]:,}"
        lines.append(f"| {model} | {size} | {scores[:, 0].mean():.1%} | {scores[:, 1].mean():.1%} | {each} |")
    for model in models:
        lines += ["", f"{model}, windows of all test parts (row: label):", "", "```"]
        total = np.sum(confusions[model], axis=0)
        lines += [f"{label:12s} {row}" for label, row in zip(dataset.labels, total, strict=True)]
        lines += ["```"]
    return "\n".join(lines)


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=3, help="splits by drive, seeds 0, 1, ...")
    parser.add_argument(
        "--epochs", type=int, default=40, help="of every network; with a recipe, of the convolutional one"
    )
    parser.add_argument(
        "--recipe", type=Path, help="how rnn, gru and lstm are trained; its training stride is for all models"
    )
    parser.add_argument("--drives", type=int, default=CarStatesOptions().drives)
    parser.add_argument("--seed", type=int, default=CarStatesOptions().seed, help="of the simulator")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--output", type=Path, help="also write the Markdown here")
    given = parser.parse_args()
    dataset = simulate_car_states(CarStatesOptions(drives=given.drives, seed=given.seed))
    recipe = load_config(given.recipe) if given.recipe else None
    scores = measure(dataset, given.models, splits=given.splits, epochs=given.epochs, recipe=recipe)
    report = share_table(dataset) + "\n\n" + scores
    print(report)  # noqa: T201 - a script
    if given.output is not None:
        write_atomically(given.output, report + "\n")


if __name__ == "__main__":
    main()
