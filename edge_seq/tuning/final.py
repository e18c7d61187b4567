"""The test part, scored once: the chosen point with several seeds, and other classifiers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from edge_seq.scores.metrics import Estimate, accuracy, estimate_over_groups, macro_f1
from edge_seq.support.display import ShownAsTables, Table
from edge_seq.support.errors import ConfigError
from edge_seq.support.figure_text import counted, percent
from edge_seq.support.json_tables import load_result, save_json
from edge_seq.support.results import Result
from edge_seq.tuning.config import SearchConfig
from edge_seq.tuning.data import Part, open_search_data
from edge_seq.tuning.references import predictors, score_reference
from edge_seq.tuning.result import Reference, SearchResult
from edge_seq.tuning.rounds import matrices, score_of
from edge_seq.tuning.trial import Confusion, fit_and_score

TEST = "test.json"
SEEDS = 5


@dataclass(frozen=True, kw_only=True)
class TestScores(Result, ShownAsTables):
    """Scores of a point on the test part, as in test.json.

    Attributes:
        point: number of the point.
        key: name of its candidate.
        macro_f1, accuracy: scores of the integer models of all seeds together, with 95 % intervals over groups.
        by_seed: macro-F1 of each seed.
        references: other classifiers, which learn from the same windows.
        evaluations: number of times that the test part was scored in this study.
    """

    __test__ = False  # not a class of tests

    point: int
    key: str
    macro_f1: Estimate
    accuracy: Estimate
    by_seed: tuple[float, ...]
    references: tuple[Reference, ...]
    evaluations: int

    def tables(self) -> Sequence[Table]:
        """Scores of the point and of the other classifiers."""
        spread = f", deviation over seeds {percent(stdev(self.by_seed))}" if len(self.by_seed) > 1 else ""
        rows = [
            [
                f"point {self.point}, integer model",
                str(self.macro_f1),
                str(self.accuracy),
                f"{len(self.by_seed)} seeds, mean macro-F1 {percent(mean(self.by_seed))}{spread}",
            ]
        ]
        rows += [[one.name, str(one.macro_f1 or "-"), str(one.accuracy or "-"), one.note] for one in self.references]
        times = counted(self.evaluations, "time")
        title = f"test part, evaluated {times} in this study"
        return (Table(title, ["classifier", "macro-F1", "accuracy", ""], rows),)


def score_test_part(
    result: SearchResult,
    config: SearchConfig,
    out: Path,
    *,
    seeds: int = SEEDS,
    tell: Callable[[int, int, str], None] = lambda *_: None,
) -> TestScores:
    """Train the chosen point on the whole training part, and score it on the test part.

    The scores are kept in test.json. For the same point they are read from there, so that the test part is not scored
    again. After a search that was extended and chose another point, it is scored again, and the number of evaluations
    says so.

    Args:
        result: result of the search.
        config: configuration of the search.
        out: folder of the search.
        seeds: number of trainings.
        tell: called with trainings done, trainings in all, and the current step.

    Raises:
        ConfigError: there is no test part.
        DataError: test.json is damaged; or as the trainings say.
    """
    point = result.point(result.choice.number)
    assert point is not None
    earlier = load_result(out / TEST, TestScores) if (out / TEST).is_file() else None
    if earlier is not None and earlier.key == point.candidate.key and len(earlier.by_seed) == seeds:
        return earlier
    data = open_search_data(config)
    if not data.aside.test:
        raise ConfigError(
            "search: --test needs a test part, but the source gives none and test_fraction is 0; start a search in "
            "another --out with --test-fraction 0.2"
        )
    contract = point.candidate.contract(data.contract)
    learnt = replace(contract, window_stride=point.candidate.training_stride(contract))
    part = Part(data.cut(data.aside.dataset.recordings, learnt), data.cut(data.aside.test, contract))
    found: list[dict[str, Confusion]] = []
    for seed in range(seeds):
        tell(seed, seeds, f"point {point.number}, seed {seed}")
        scored = fit_and_score(
            point.candidate,
            part,
            contract,
            data.labels,
            steps=point.candidate.steps,
            seed=config.seed + seed,
            in_full=True,
        )
        found.append(scored.int_by_group or {})
    tell(seeds, seeds, "other classifiers")
    by_group = np.sum([matrices([one]) for one in found], axis=0)
    own = Part(data.cut(data.aside.dataset.recordings, data.contract), data.cut(data.aside.test, data.contract))
    scores = TestScores(
        point=point.number,
        key=point.candidate.key,
        macro_f1=estimate_over_groups(by_group, macro_f1),
        accuracy=estimate_over_groups(by_group, accuracy),
        by_seed=tuple(score_of([one]) for one in found),
        references=tuple(
            score_reference(name, predict, [own], len(data.labels)) for name, predict in predictors(data).items()
        ),
        evaluations=1 if earlier is None else earlier.evaluations + 1,
    )
    save_json(out / TEST, scores)
    return scores
