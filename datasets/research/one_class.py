"""Measure models of one class: each class in turn is normal, and all others are anomalies that no training saw.

    python datasets/research/one_class.py datasets/recipes/fan_vibration.toml --set data.validation_fraction=0.3
    python datasets/research/one_class.py datasets/recipes/fan_vibration.toml --folds 3     # without the test part

Everything comes from the library: data, training, quantisation and the integer model, as ``edge-seq train --one-class``
makes it. With ``--folds`` the groups of the training part are cross-validated; options are chosen by that.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from edge_seq.pipeline.config import RunConfig, load_config, quote
from edge_seq.pipeline.learning.train import train_model
from edge_seq.pipeline.logits import real_logits
from edge_seq.pipeline.prepare import prepare
from edge_seq.quant.calibrate import calibrate
from edge_seq.quant.quantize import quantize
from edge_seq.scores.one_class import Detection, detections


def measure(config: RunConfig) -> tuple[Detection, ...]:
    """What the integer model calls an anomaly, by class of the test windows."""
    data = prepare(config)
    assert data.test is not None
    assert data.one_class is not None
    trained = train_model(data, config.training, name="one_class", at_window_end="reset")
    model = quantize(trained.model, calibrate(trained.model, data.calibration))
    logits = real_logits(model, data.test.counts)
    return detections(logits, data.one_class.classes, data.test.groups, data.one_class.wanted.normal)


def rows(config: RunConfig, normal: str, folds: int, seeds: int) -> list[list[str]]:
    """Rows of the table with one class as normal: means over folds and seeds."""
    found: dict[str, list[Detection]] = {}
    for seed in range(seeds):
        for fold in range(1, max(folds, 1) + 1):
            changes = {"folds": folds, "fold": fold, "split_seed": config.data.split_seed + seed} if folds else {}
            one = config.model_copy(
                update={
                    "data": config.data.model_copy(update=changes),
                    "training": config.training.model_copy(update={"seed": config.training.seed + seed}),
                }
            )
            for detection in measure(one):
                found.setdefault(detection.label, []).append(detection)
                sys.stderr.write(f"{normal}: seed {seed}, fold {fold}: {detection}\n")
    return [
        [
            normal,
            _called(found[normal]),
            label,
            f"{sum(one.windows for one in each) // seeds:,}",
            _called(each),
            f"{_mean([one.auroc for one in each if one.auroc is not None]):.2f}",
        ]
        for label, each in found.items()
        if label != normal
    ]


def _called(each: list[Detection]) -> str:
    """Share called anomalies: with its interval over groups, or as the mean of several trainings."""
    if len(each) == 1:
        return str(each[0].called)
    return f"{100 * _mean([one.called.value for one in each]):.1f} %"


def _mean(values: list[float]) -> float:
    return float(np.mean(values))


def main() -> None:
    """Parse the arguments, measure, print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--normal", nargs="*", default=[])
    parser.add_argument("--false-alarms", type=float, default=0.01)
    parser.add_argument("--folds", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--set", nargs="*", default=[], dest="overrides")
    given = parser.parse_args()
    plain = load_config(given.recipe, given.overrides)
    labels = given.normal or prepare(plain).dataset.labels
    table = []
    for normal in labels:
        one_class = [f"data.one_class.normal={quote(normal)}", f"data.one_class.false_alarms={given.false_alarms}"]
        config = load_config(given.recipe, [*given.overrides, *one_class])
        table += rows(config, normal, given.folds, given.seeds)
    table.append(["**mean**", "", "", "", "", f"**{np.mean([float(row[-1]) for row in table]):.3f}**"])
    head = "| normal | false alarms | other class | windows | called anomaly | AUROC |"
    print("\n".join([head, "|---" * 6 + "|", *(f"| {' | '.join(row)} |" for row in table)]))  # noqa: T201 - a script


if __name__ == "__main__":
    main()
