"""A random forest on the windows of a comparison, as an engineer would put it on the chip, and what it costs there.

The forest sees :func:`edge_seq.data.statistics.integer_statistics`, each tree has one vote, and all comparisons are of
16-bit integers. Its cost is that of nested comparisons in C, estimated from the shape of its trees; ``python -m
tests.benchmarks.rivals.forest_cost`` counts forests on a target and fits the numbers.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.compare.config import CompareConfig
from edge_seq.compare.data import PointData, Source
from edge_seq.compare.result import Confusion, ForestCost, ForestFigures
from edge_seq.compare.summary import hull, matrices_by_group, over_seeds, score_function, score_of_groups
from edge_seq.compare.trial import confusions_by_group
from edge_seq.data.statistics import integer_statistics
from edge_seq.data.stored import blocks
from edge_seq.data.windows import spread
from edge_seq.ir.model import canonical_json
from edge_seq.scores.metrics import estimate_over_groups
from edge_seq.support.errors import DataError
from edge_seq.support.json_tables import load_result, save_json
from edge_seq.support.results import Result
from edge_seq.training.features import preprocessed_counts
from edge_seq.training.others.baselines import MAX_STORED_WINDOWS

TREES, LEAVES = 30, 64
FORESTS = "forests.json"
_VERSION = 1  # of the statistics and of the forest; results of another version are computed again


@dataclass(frozen=True)
class ForestCosts(Result):
    """What the parts of a forest cost on a target.

    Attributes:
        window, channel, sample, value, tree, node: instructions of each window, channel, sample, value (a sample of a
            channel), tree, and visited inner node of a tree.
        flash_base, flash_tree, flash_node: bytes of the statistics, of a tree, and of an inner node with its leaves.
    """

    window: float
    channel: float
    sample: float
    value: float
    tree: float
    node: float
    flash_base: float
    flash_tree: float
    flash_node: float

    def instructions(self, channels: int, samples: int, trees: int, visited: float) -> int:
        """Instructions of a window."""
        of_statistics = self.window + self.channel * channels + (self.sample + self.value * channels) * samples
        return round(of_statistics + self.tree * trees + self.node * visited)

    def flash(self, trees: int, nodes: int) -> int:
        """Bytes of code."""
        return round(self.flash_base + self.flash_tree * trees + self.flash_node * nodes)


# Fitted by tests.benchmarks.rivals.forest_cost; docs/results/rivals.md has the errors.
COSTS = {"cortex_m4": ForestCosts(-649.0, 373.2, 180.5, 71.0, 6.3, 3.7, 1165.6, 48.0, 14.6)}


@dataclass(frozen=True)
class ForestTrial(Result):
    """One forest.

    Attributes:
        groups: confusion matrix of each group.
        nodes: inner nodes of all trees.
        visited: inner nodes that a window visits, mean over scored windows.
    """

    groups: dict[str, Confusion]
    nodes: int
    visited: float


@dataclass(frozen=True)
class KeptForests(Result):
    """Forests of an earlier call, by window length and seed, and the data that they are of."""

    key: str
    trials: dict[str, ForestTrial]


def inner_nodes(forest: Any) -> int:
    """Number of inner nodes of all trees."""
    return sum(int((one.tree_.children_left >= 0).sum()) for one in forest.estimators_)


def visited_nodes(forest: Any, statistics: NDArray[np.int16]) -> float:
    """Number of inner nodes that a window visits in all trees, mean over the windows of int16 [B, S]."""
    paths, _ = forest.decision_path(statistics)
    return float(paths.sum() / len(statistics) - len(forest.estimators_))  # less the leaf of each tree


def votes_of(forest: Any, statistics: NDArray[np.int16]) -> NDArray[np.int64]:
    """Class with most trees, the first of equal ones: int64 [B]."""
    counted = np.zeros((len(statistics), len(forest.classes_)), np.int64)
    for tree in forest.estimators_:
        chosen = tree.tree_.value[tree.tree_.apply(statistics.astype(np.float32)), 0].argmax(axis=1)
        counted[np.arange(len(statistics)), chosen] += 1
    classes: NDArray[np.int64] = forest.classes_[counted.argmax(axis=1)]
    return classes


def run_forest(data: PointData, seed: int, *, merge: bool) -> ForestTrial:
    """Train a forest, and score it.

    Args:
        data: windows to learn from and to score. At most 20,000 windows on disk are learned from, evenly spread.
        seed: seed of the forest.
        merge: put all groups together.
    """
    from sklearn.ensemble import RandomForestClassifier

    chosen = spread(len(data.train.labels), MAX_STORED_WINDOWS)
    statistics = _statistics(data, data.train.counts[chosen])
    forest = RandomForestClassifier(TREES, max_leaf_nodes=LEAVES, class_weight="balanced", random_state=seed, n_jobs=1)
    forest.fit(statistics, data.train.labels[chosen])
    scored = np.concatenate([_statistics(data, block) for block in blocks(data.scored.counts, MAX_STORED_WINDOWS)])
    return ForestTrial(
        confusions_by_group(data.scored, votes_of(forest, scored), len(data.labels), merge=merge),
        inner_nodes(forest),
        visited_nodes(forest, scored),
    )


def _statistics(data: PointData, counts: NDArray[np.int16]) -> NDArray[np.int16]:
    return integer_statistics(preprocessed_counts(np.asarray(counts), data.contract))


def forests_of(
    config: CompareConfig, source: Source, out: Path, *, progress: Callable[[int, int, str], None]
) -> tuple[ForestFigures, ...]:
    """Train a forest for each window length and seed, on the windows of the networks; those of before are read.

    Args:
        config: configuration of the comparison, not of a memory task.
        source: data of the comparison.
        out: folder of the comparison.
        progress: called with forests done, forests in all, and the current one.

    Returns:
        Figures by window length; none if scikit-learn is not installed.
    """
    if importlib.util.find_spec("sklearn") is None:
        return ()
    described = [_VERSION, source.fingerprint, config.data.model_dump(mode="json")]
    key = hashlib.sha256(canonical_json(described).encode()).hexdigest()
    kept = _kept(out / FORESTS, key)
    lengths, seeds = config.window_lengths, range(config.seeds)
    trials: dict[int, list[ForestTrial]] = {length: [] for length in lengths}
    for index, (length, seed) in enumerate((length, seed) for length in lengths for seed in seeds):
        name = f"T{length}-s{seed}"
        progress(index, len(lengths) * config.seeds, f"random forest {name}")
        if name not in kept:
            kept[name] = run_forest(source.windows(length, seed), seed, merge=not source.has_groups)
            save_json(out / FORESTS, KeptForests(key, kept))
        trials[length].append(kept[name])
    return tuple(_figures(length, found, config, source) for length, found in trials.items())


def _kept(path: Path, key: str) -> dict[str, ForestTrial]:
    try:
        stored = load_result(path, KeptForests) if path.is_file() else None
    except DataError:
        return {}  # they are trained again
    return dict(stored.trials) if stored is not None and stored.key == key else {}


def _figures(length: int, trials: Sequence[ForestTrial], config: CompareConfig, source: Source) -> ForestFigures:
    scores = tuple(score_of_groups(one.groups, config) for one in trials)
    by_group = matrices_by_group([one.groups for one in trials])
    interval = hull(over_seeds(scores), estimate_over_groups(by_group, score_function(config)))
    return ForestFigures(length, TREES, LEAVES, scores, interval, _cost(length, trials, config.target, source))


def _cost(length: int, trials: Sequence[ForestTrial], target: str, source: Source) -> ForestCost | None:
    costs = COSTS.get(target)
    if costs is None:
        return None
    visited = float(np.mean([one.visited for one in trials]))
    nodes = round(float(np.mean([one.nodes for one in trials])))
    features = source.contract(length).num_features
    return ForestCost(target, costs.instructions(features, length, TREES, visited), costs.flash(TREES, nodes))
