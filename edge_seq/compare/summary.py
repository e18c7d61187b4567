"""Scores of candidates with intervals, from the results of their trainings. Needs numpy only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.compare.config import CompareConfig
from edge_seq.compare.points import Candidate, Point, Shape
from edge_seq.compare.result import (
    CandidateFigures,
    Confusion,
    Cost,
    GradientFigures,
    IntegerFigures,
    IntegerRefused,
    TrialInteger,
    TrialRefused,
    TrialResult,
)
from edge_seq.scores.metrics import Estimate, accuracy, estimate_over_groups, macro_f1

_SCORES = {"accuracy": accuracy, "macro_f1": macro_f1}
# 97.5 % quantile of Student's t by degrees of freedom, from 1 on. Beyond the last, it is used too (slightly too wide).
_STUDENT = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
GRADIENT_SHARE = 0.9


def over_seeds(scores: Sequence[float]) -> Estimate:
    """Compute the mean of scores with Student's 95 % interval, clipped to 0 to 1; no interval for fewer than two.

    >>> over_seeds([0.5, 0.7, 0.6])
    Estimate(value=0.6, low=0.3515..., high=0.8484...)
    """
    values = np.asarray(scores, dtype=np.float64)
    mean = float(values.mean())
    if len(values) < 2:
        return Estimate(mean, None, None)
    half = student(len(values) - 1) * float(values.std(ddof=1)) / float(np.sqrt(len(values)))
    return Estimate(mean, max(0.0, mean - half), min(1.0, mean + half))


def student(degrees: int) -> float:
    """Look up the 97.5 % quantile of Student's t."""
    return _STUDENT[min(degrees, len(_STUDENT)) - 1]


def paired_difference(a: CandidateFigures, b: CandidateFigures) -> Estimate | None:
    """Compute the mean of a - b over the seeds that both have, with Student's interval; None for fewer than two seeds.

    Data, split and groups of a seed are the same for both, so a common effect of the split cancels.
    """
    return difference_of_scores(a.scores, b.scores)


def difference_of_scores(a: Sequence[float | None], b: Sequence[float | None]) -> Estimate | None:
    """Compute the mean of a - b, as :func:`paired_difference` does, from the scores of each seed in order."""
    pairs = [(x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None]
    if len(pairs) < 2:
        return None
    differences = np.array([x - y for x, y in pairs])
    half = student(len(pairs) - 1) * float(differences.std(ddof=1)) / float(np.sqrt(len(pairs)))
    mean = float(differences.mean())
    return Estimate(mean, mean - half, mean + half)


def figures_of(
    candidate: Candidate,
    config: CompareConfig,
    results: Mapping[str, TrialResult],
    costs: Mapping[Shape, Cost],
    sizes: Sequence[str],
) -> CandidateFigures | None:
    """Summarize the trainings of one candidate.

    Args:
        candidate: the candidate.
        config: configuration of the comparison.
        results: results of finished trainings, by the key of their point.
        costs: cost of each shape.
        sizes: names of the sizes at which the candidate is compared.

    Returns:
        The results of the candidate; None if none of its trainings gave a result.
    """
    by_rate: dict[float, dict[int, TrialResult]] = {}
    for rate in config.learning_rates:
        keys = {seed: Point(candidate, rate, seed).key for seed in range(config.seeds)}
        found = {seed: results[key] for seed, key in keys.items() if key in results}
        if found:
            by_rate[rate] = found
    if not by_rate:
        return None
    means = {rate: float(np.mean([score_of(r, config) for r in found.values()])) for rate, found in by_rate.items()}
    rate = max(means, key=lambda one: means[one])
    chosen = by_rate[rate]
    scores = tuple(score_of(chosen[seed], config) if seed in chosen else None for seed in range(config.seeds))
    spread = over_seeds([score for score in scores if score is not None])
    matrices = matrices_by_group([one.groups for one in chosen.values()])
    grouped = estimate_over_groups(matrices, score_function(config))
    total = matrices.sum(axis=0)
    trained = tuple(chosen.values())
    return CandidateFigures(
        name=str(candidate),
        candidate=candidate,
        learning_rate=rate,
        scores=scores,
        over_seeds=spread,
        over_groups=grouped,
        interval=hull(spread, grouped),
        majority=float(total.sum(axis=1).max() / total.sum()),
        trained=len(trained),
        score_by_learning_rate={f"{one:g}": means[one] for one in means},
        confusion=tuple(tuple(row) for row in total.tolist()),
        accuracy=float(accuracy(total)),
        macro_f1=float(macro_f1(total)),
        groups=len(matrices) if grouped.low is not None else None,
        windows=trained[0].windows,
        training_seconds=float(np.mean([one.seconds for one in trained])),
        training_cpu_seconds=float(np.mean([one.cpu_seconds for one in trained])),
        integer=_integer(trained, config),
        gradient=_gradient(trained),
        train_loss=tuple(one.train_loss for one in trained),
        validation_accuracy=tuple(one.validation_accuracy for one in trained),
        cost=costs[candidate.shape],
        sizes=tuple(sizes),
    )


def hull(over_seeds: Estimate, over_groups: Estimate) -> Estimate:
    """Combine two intervals to the smallest one that contains both, around the mean over seeds."""
    lows = [one.low for one in (over_seeds, over_groups) if one.low is not None]
    highs = [one.high for one in (over_seeds, over_groups) if one.high is not None]
    return Estimate(over_seeds.value, min(lows, default=None), max(highs, default=None))


def score_of(result: TrialResult, config: CompareConfig) -> float:
    """Compute the score of a training over all groups, 0 to 1."""
    return score_of_groups(result.groups, config)


def score_function(config: CompareConfig) -> Callable[[NDArray[np.integer[Any]]], NDArray[np.float64]]:
    """Function from confusion matrices [..., K, K] to the score of the comparison."""
    return _SCORES[config.score]


def score_of_groups(groups: Mapping[str, Confusion], config: CompareConfig) -> float:
    """Compute the score of the confusion matrices of all groups together, 0 to 1."""
    return float(score_function(config)(np.array(list(groups.values())).sum(axis=0)))


def matrices_by_group(trials: Sequence[Mapping[str, Confusion]]) -> NDArray[np.int64]:
    """Sum the confusion matrices of several seeds by group: int64 [G, K, K]."""
    sums: dict[str, NDArray[np.int64]] = {}
    for groups in trials:
        for group, matrix in groups.items():
            sums[group] = sums.get(group, 0) + np.array(matrix, dtype=np.int64)
    return np.stack([sums[group] for group in sorted(sums)])


def _integer(results: Sequence[TrialResult], config: CompareConfig) -> IntegerFigures | IntegerRefused:
    """Score the integer and the float model on the same windows, all seeds together."""
    measured = [result.integer for result in results if isinstance(result.integer, TrialInteger)]
    refused = tuple(result.integer.reason for result in results if isinstance(result.integer, TrialRefused))
    if not measured:
        return IntegerRefused("refused", refused)
    score = _SCORES[config.score]
    of_int = np.array([one.confusion for one in measured]).sum(axis=0)
    of_float = np.array([one.float_confusion for one in measured]).sum(axis=0)
    return IntegerFigures(
        "measured",
        score=float(score(of_int)),
        float_score=float(score(of_float)),
        windows=int(of_int.sum()),
        agreement=float(np.mean([one.agreement for one in measured])),
        weight_bytes=measured[0].weight_bytes,
        reasons=refused,
    )


def _gradient(results: Sequence[TrialResult]) -> GradientFigures:
    """Average the norms by k over seeds; compute the ratio of oldest to newest, and how far back most of it reaches."""
    before: NDArray[np.float64] = np.mean([result.gradient.before for result in results], axis=0)
    after: NDArray[np.float64] = np.mean([result.gradient.after for result in results], axis=0)
    return GradientFigures(
        before=_short(before),
        oldest_to_newest_before=_oldest_to_newest(before),
        reach_before=gradient_reach(before),
        after=_short(after),
        oldest_to_newest_after=_oldest_to_newest(after),
        reach_after=gradient_reach(after),
    )


def _short(norms: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in norms)


def _oldest_to_newest(norms: NDArray[np.float64]) -> float | None:
    return float(norms[-1] / norms[0]) if norms[0] > 0 else None


def gradient_reach(norms: NDArray[np.float64]) -> int | None:
    """Find the number of steps back within which 90 % of the sum of the norms [T] lies; None if all are 0.

    >>> gradient_reach(np.array([5.0, 4.0, 1.0]))
    1
    """
    total = norms.sum()
    if not total > 0:
        return None
    return int(np.searchsorted(np.cumsum(norms), GRADIENT_SHARE * total - 1e-12 * total))
