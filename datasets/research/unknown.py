"""Measure how many windows of a class that no training saw are called unknown: by margin and by distance, alike tuned.

    python datasets/research/unknown.py datasets/recipes/hapt.toml --validation-fraction 0.25     # some minutes
    python datasets/research/unknown.py datasets/recipes/car_states.toml --pooling last

Each class in turn is left out of training and validation. Both thresholds are set on validation windows so that 5 % of
the right labels are beyond; what is shown is of test windows. Everything comes from the library: data, training,
quantisation, the integer reference and `edge-seq decide`'s choice of centroids and radii.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import roc_auc_score

from edge_seq.backends.decision import excess_of
from edge_seq.backends.reference_int import head_operands, run_stream
from edge_seq.data.recording import Recording, Windows
from edge_seq.frontends.from_torch import from_training
from edge_seq.ir.model import IntModel, Readout
from edge_seq.pipeline.config import RunConfig, load_config
from edge_seq.pipeline.decision_search import fit_distance
from edge_seq.pipeline.learning.train import with_temperature
from edge_seq.pipeline.prepare import PreparedData, prepare
from edge_seq.pipeline.streams import LabelStream
from edge_seq.quant.calibrate import calibrate
from edge_seq.quant.quantize import quantize
from edge_seq.training.loop import train

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARE = 0.05  # of the right labels on validation that may be unknown
AT_MOST = 4000  # training windows that the centroids are of
CALIBRATION_WINDOWS = 256


def without(windows: Windows, left_out: int) -> Windows:
    """Windows of the other classes, which are numbered anew."""
    kept = np.flatnonzero(windows.labels != left_out)
    labels = windows.labels[kept]
    return dataclasses.replace(
        windows,
        counts=np.asarray(windows.counts[kept]),
        labels=(labels - (labels > left_out)).astype(np.int16),
        groups=windows.groups[kept],
        sample_labels=None,
    )


def run(model: IntModel, windows: Windows) -> LabelStream:
    """What the integer reference gives at the end of each window."""
    last: dict[str, NDArray[np.int64]] = {}
    for values in run_stream(model, np.asarray(windows.counts)):
        last = values
    labels = np.asarray(windows.labels)
    recording = Recording("windows", "", np.zeros((len(labels), model.input_size), dtype=np.int16), labels)
    operands = head_operands(model, last).astype(np.int16)
    return LabelStream(recording, np.arange(len(labels)), last["logits"], last["label"][:, 0], operands)


def margins(stream: LabelStream) -> NDArray[np.int64]:
    """By how much the first class leads the second, int64 [L], Q16."""
    second, first = np.sort(stream.logits, axis=1)[:, -2:].T
    return np.asarray(first - second)


def measure(config: RunConfig, prepared: PreparedData, left_out: int) -> list[str]:
    """A row of the table."""
    labels = tuple(name for index, name in enumerate(prepared.dataset.labels) if index != left_out)
    assert prepared.validation is not None
    assert prepared.test is not None
    training, validation = without(prepared.train, left_out), without(prepared.validation, left_out)
    result = train(training, validation, prepared.dataset.contract, len(labels), config.training)
    trained, _ = with_temperature(
        from_training(result, name="left_out", labels=labels, readout=Readout(config.training.pooling)), validation
    )
    model = quantize(trained, calibrate(trained, training.counts[:CALIBRATION_WINDOWS]))

    step = -(-len(training.labels) // AT_MOST)
    some = dataclasses.replace(
        training, counts=training.counts[::step], labels=training.labels[::step], groups=training.groups[::step]
    )
    of_training, of_validation = run(model, some), run(model, validation)
    distance = fit_distance(model, [of_training], [of_validation], share=SHARE)
    right = of_validation.labels == of_validation.truth
    margin = np.quantile(margins(of_validation)[right], SHARE, method="lower")

    test = run(model, prepared.test)
    is_unknown = test.truth == left_out
    known_right = ~is_unknown & (test.labels + (test.labels >= left_out) == test.truth)
    by_margin = margin - margins(test)
    by_distance = excess_of(distance, test.operands.astype(np.int64), test.labels)
    cells = [prepared.dataset.labels[left_out], f"{right.mean():.1%}", str(int(is_unknown.sum()))]
    for score in (by_margin, by_distance):
        cells += [
            f"{(score > 0)[is_unknown].mean():.1%}",
            f"{(score > 0)[known_right].mean():.1%}",
            f"{roc_auc_score(is_unknown, score):.2f}",
        ]
    sys.stderr.write(f"{cells}\n")
    return cells


def main() -> None:
    """Parse the arguments, measure, print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--validation-fraction", type=float)
    parser.add_argument("--pooling", choices=["last", "mean"])
    parser.add_argument("--epochs", type=int)
    given = parser.parse_args()
    options = {
        "data.validation_fraction": given.validation_fraction,
        "training.pooling": given.pooling,
        "training.epochs": given.epochs,
    }
    config = load_config(given.recipe, [f"{key}={value}" for key, value in options.items() if value is not None])
    prepared = prepare(config)
    rows = [measure(config, prepared, left_out) for left_out in range(len(prepared.dataset.labels))]
    rows.append(["mean", *_means(rows)])
    head = (
        "| left out | right on validation | windows | unknown by margin | known | AUROC | by distance | known | AUROC |"
    )
    print("\n".join([head, "|---" * 9 + "|", *(f"| {' | '.join(row)} |" for row in rows)]))  # noqa: T201 - a script


def _means(rows: list[list[str]]) -> list[str]:
    """Of the columns of figures."""
    means = []
    for column in zip(*(row[1:] for row in rows), strict=True):
        mean = sum(float(cell.rstrip("%")) for cell in column) / len(column)
        means.append(f"{mean:.1f}%" if column[0].endswith("%") else f"{mean:.2f}" if "." in column[0] else "")
    return means


if __name__ == "__main__":
    main()
