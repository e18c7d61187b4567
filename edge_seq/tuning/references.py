"""Other classifiers on the folds of a search, so that a user sees what the data hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.recording import Windows
from edge_seq.scores import words
from edge_seq.scores.metrics import accuracy, estimate_over_groups, macro_f1
from edge_seq.scores.paired import confusion_by_group
from edge_seq.support.errors import DataError, ToolError
from edge_seq.support.json_tables import load_result, save_json
from edge_seq.support.results import Result
from edge_seq.training.others.baselines import majority_baseline, minirocket_baseline, random_forest_baseline
from edge_seq.tuning.data import Part, SearchData
from edge_seq.tuning.result import Reference

REFERENCES = "references.json"
Predict = Callable[[Windows, Windows], NDArray[np.float64]]


@dataclass(frozen=True)
class Kept(Result):
    """References of an earlier call, and the data that they are of."""

    key: str
    references: tuple[Reference, ...]


def references_of(data: SearchData, out: Path) -> tuple[Reference, ...]:
    """Score majority, forest and MiniRocket on the folds; those of an earlier call are read.

    Args:
        data: data of the search.
        out: folder of the search.
    """
    key = f"{data.aside.fingerprint} {data.folds} folds, seed {data.config.seed}, {data.config.max_training_windows}"
    path = out / REFERENCES
    kept: dict[str, Reference] = {}
    if path.is_file():
        try:
            stored = load_result(path, Kept)
        except DataError:
            pass  # they are computed again
        else:
            kept = {one.name: one for one in stored.references if stored.key == key and not one.note}
    parts = [data.part(fold, data.contract) for fold in range(data.folds)]
    found = tuple(
        kept.get(name) or score_reference(name, predict, parts, len(data.labels))
        for name, predict in predictors(data).items()
    )
    save_json(path, Kept(key, found))
    return found


def predictors(data: SearchData) -> dict[str, Predict]:
    """Function of each classifier from windows to learn from and windows to predict to probabilities [B, K]."""
    contract, classes, seed = data.contract, len(data.labels), data.config.seed
    return {
        words.MAJORITY: lambda train, scored: majority_baseline(train.labels, len(scored.labels), classes),
        words.RANDOM_FOREST: lambda train, scored: random_forest_baseline(train, scored, contract, classes, seed=seed),
        words.MINIROCKET: lambda train, scored: minirocket_baseline(train, scored, contract, classes, seed=seed),
    }


def score_reference(name: str, predict: Predict, parts: list[Part], classes: int) -> Reference:
    """Score a classifier on all folds together; a package that is missing skips it."""
    try:
        by_group = np.concatenate(
            [
                confusion_by_group(
                    part.scored.labels,
                    predict(part.train, part.scored).argmax(axis=1),
                    part.scored.groups,
                    classes,
                )
                for part in parts
            ]
        )
    except ToolError as error:
        return Reference(name, None, None, f"skipped: {error}")
    return Reference(name, estimate_over_groups(by_group, macro_f1), estimate_over_groups(by_group, accuracy))
