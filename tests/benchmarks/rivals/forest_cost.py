"""Counts forests on a target, and fits what their parts cost there: ``COSTS`` of edge_seq/compare/forest.py.

    python -m tests.benchmarks.rivals.forest_cost cortex_m4 --work build/forest_cost

Forests of several sizes on statistics of noise, windows of several lengths and channels. Each leaves a file in the work
folder. It prints the fitted costs, the errors on what was fitted, and those on shapes that were not.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edge_seq.compare.forest import ForestCosts, inner_nodes, visited_nodes
from edge_seq.data.statistics import integer_statistics
from edge_seq.ir.contract import Preprocessing
from edge_seq.support.json_tables import load_result, save_json
from edge_seq.support.results import Result, to_plain
from edge_seq.training.features import preprocessed_counts
from firmware_export.measuring.reference_models import Shape, reference_counts, reference_float_model
from firmware_export.toolchain.target import load_target
from tests.benchmarks.rivals import chip, features, trees

# Channels, samples, trees, leaves. The last ones are not fitted.
FITTED = (
    (3, 50, 0, 0), (6, 50, 0, 0), (3, 128, 0, 0), (9, 128, 0, 0), (1, 25, 0, 0),
    (3, 50, 10, 16), (3, 50, 30, 64), (6, 50, 10, 64), (9, 128, 30, 16), (3, 128, 30, 32),
)  # fmt: skip
OTHERS = ((3, 100, 30, 64), (6, 128, 30, 64), (9, 25, 10, 32))
CLASSES, WINDOWS = 4, 40
_EMPTY = "\nint32_t classify(const int16_t *x)\n{\n    return x[0] & 1;\n}\n"


@dataclass(frozen=True)
class Counted(Result):
    """A forest and its cost: work, and what it took.

    Attributes:
        channels, samples, trees: shape.
        nodes: inner nodes of all trees.
        visited: inner nodes that a window visits, mean.
        instructions: of a window, median.
        flash_bytes: of the linked image.
    """

    channels: int
    samples: int
    trees: int
    nodes: int
    visited: float
    instructions: int
    flash_bytes: int


def counted(target: str, shape: tuple[int, int, int, int], work: Path) -> Counted:
    """Build and count one forest."""
    from sklearn.ensemble import RandomForestClassifier

    channels, samples, count, leaves = shape
    form = Shape(channels, 32, samples, CLASSES)
    contract = reference_float_model("car", "rnn", shape=form).contract
    contract = replace(contract, preprocessing=Preprocessing("difference", 6))
    counts = reference_counts(form, windows=400)
    program, visited, nodes = _EMPTY, 0.0, 0
    if count:
        statistics = integer_statistics(preprocessed_counts(counts, contract))
        labels = np.random.default_rng(0).integers(0, CLASSES, len(counts))
        forest = RandomForestClassifier(count, max_leaf_nodes=leaves, random_state=0).fit(statistics, labels)
        program, nodes = trees.forest_program(forest), inner_nodes(forest)
        visited = visited_nodes(forest, statistics[:WINDOWS])
    folder = work / "_".join(map(str, shape))
    image = chip.build(features.statistics_program(contract) + program, folder, load_target(target))
    _, found = chip.run(image, counts[:WINDOWS])
    return Counted(channels, samples, count, nodes, visited, found.median, found.flash_bytes)


def fit(rows: list[Counted]) -> ForestCosts:
    """Least squares of the instructions, and of the relative error of the flash of forests."""
    work = np.array([[1, r.channels, r.samples, r.samples * r.channels, r.trees, r.visited] for r in rows], np.float64)
    of_work = np.linalg.lstsq(work, np.array([r.instructions for r in rows], np.float64), rcond=None)[0]
    base = float(np.mean([r.flash_bytes for r in rows if not r.trees]))
    forests = [r for r in rows if r.trees]
    stored = np.array([[r.trees, r.nodes] for r in forests]) / np.array([[r.flash_bytes] for r in forests])
    share = np.array([1 - base / r.flash_bytes for r in forests])
    of_flash = np.linalg.lstsq(stored, share, rcond=None)[0]
    return ForestCosts(*(round(float(one), 1) for one in (*of_work, base, *of_flash)))


def main() -> None:
    """Count what has no result yet, and print the fit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target")
    parser.add_argument("--work", type=Path, required=True)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    rows = []
    for shape in (*FITTED, *OTHERS):
        kept = given.work / f"{given.target}_{'_'.join(map(str, shape))}.json"
        if not kept.is_file():
            save_json(kept, counted(given.target, shape, given.work / given.target))
        rows.append(load_result(kept, Counted))
    costs = fit(rows[: len(FITTED)])
    print(json.dumps(to_plain(costs)))  # noqa: T201
    for row in rows:
        instructions = costs.instructions(row.channels, row.samples, row.trees, row.visited)
        flash = costs.flash(row.trees, row.nodes)
        errors = [
            f"{100 * (a / b - 1):+.1f} %" for a, b in ((instructions, row.instructions), (flash, row.flash_bytes))
        ]
        print(row, *errors)  # noqa: T201


if __name__ == "__main__":
    main()
