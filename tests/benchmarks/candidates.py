"""Macro-F1 of single candidates of a search on the folds of a data source's training part, and of the references.

    python -m tests.benchmarks.candidates datasets/hapt.toml '{"front": "16/2", "input_gain": 3}' '{}'

Each argument after the source is a table of fields of a candidate that differ from LSTM 32 with the mean and largest
state. The test part is not used. Without candidates the references are scored: majority, forest and, where aeon is
installed, MiniRocket.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from edge_seq.scores.metrics import estimate_over_groups, macro_f1
from edge_seq.tuning.config import make_search_config
from edge_seq.tuning.data import SearchData, open_search_data
from edge_seq.tuning.references import predictors, score_reference
from edge_seq.tuning.rounds import matrices
from edge_seq.tuning.space import Candidate
from edge_seq.tuning.trial import Trial, run_trial


def scored(candidate: Candidate, data: SearchData) -> str:
    """Train a candidate on each fold's other groups, and give the macro-F1 of its float model on all folds."""
    trials = [Trial(candidate, fold, candidate.steps, in_full=False) for fold in range(data.folds)]
    parts = [run_trial(trial, data).by_group for trial in trials]
    return str(estimate_over_groups(matrices(parts), macro_f1))


def candidate_of(text: str, data: SearchData) -> Candidate:
    """LSTM 32 with the mean and largest state, with other values for the fields in a table of JSON."""
    base = {"hidden_size": 32, "pooling": "mean_max", "window_length": data.contract.window_length}
    return Candidate(**{**base, **json.loads(text)})


def main() -> None:
    """Print a line for each candidate or reference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("candidates", nargs="*")
    given = parser.parse_args()
    data = open_search_data(make_search_config(given.source))
    for text in given.candidates:
        candidate = candidate_of(text, data)
        print(f"{candidate.network}; {candidate.options}: {scored(candidate, data)}", flush=True)  # noqa: T201
    if given.candidates:
        return
    parts = [data.part(fold, data.contract) for fold in range(data.folds)]
    print(f"{data.folds} folds of {np.mean([len(part.train.labels) for part in parts]):.0f} windows")  # noqa: T201
    for name, predict in predictors(data).items():
        one = score_reference(name, predict, parts, len(data.labels))
        print(f"{name}: {one.note or one.macro_f1}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
