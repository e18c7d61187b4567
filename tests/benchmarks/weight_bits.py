"""Macro-F1 with weights of 8 and of 4 bits on the folds of a data source's training part, and the bytes in flash.

    python -m tests.benchmarks.weight_bits datasets/hapt.toml '{"cell": "lstm"}' '{"cell": "gru"}'

Each argument after the source is a table of fields of a candidate (``edge_seq/tuning/space.py``) that differ
from 32 units with the mean of the states and the recipe for hapt. A float network is trained on all folds but one, and
made into two integer models, which are scored on that fold. The test part is not used.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.windows import spread
from edge_seq.frontends.from_torch import from_training
from edge_seq.ir.model import deployed_bytes
from edge_seq.pipeline.logits import int_logits
from edge_seq.quant.calibrate import calibrate
from edge_seq.quant.quantize import quantize
from edge_seq.scores.metrics import estimate_over_groups, macro_f1
from edge_seq.scores.paired import confusion_by_group
from edge_seq.training.loop import predict, train
from edge_seq.tuning.config import make_search_config
from edge_seq.tuning.data import SearchData, open_search_data
from edge_seq.tuning.space import Candidate
from edge_seq.tuning.trial import CALIBRATION_WINDOWS

BASE: dict[str, Any] = {
    **{"hidden_size": 32, "pooling": "mean", "input_gain": 3.0, "rate_gain": 7.0, "rotation": 60.0, "dropout": 0.2},
    **{"batch_size": 128, "steps": 1000},
}


def score(candidate: Candidate, data: SearchData, folds: int) -> None:
    """Print the scores of a candidate: float, 8 bits, 4 bits; over all folds last."""
    contract, classes = candidate.contract(data.contract), len(data.labels)
    by_group: dict[str, list[NDArray[np.int64]]] = {}
    for fold in range(folds):
        part = data.part(fold, contract)
        learnt, scored = part.train, part.scored
        config = candidate.training(contract, windows=len(learnt.labels), steps=candidate.steps, seed=fold)
        result = train(learnt, None, contract, classes, config)
        model = from_training(result, name="bits", labels=data.labels)
        streams = np.asarray(learnt.counts[spread(len(learnt.labels), CALIBRATION_WINDOWS)])
        called = {"float": predict(result, scored.counts).argmax(axis=1)}
        for bits in (8, 4):
            integer = quantize(model, calibrate(model, streams), (bits,))
            called[f"{bits} bits, {deployed_bytes(integer):,} bytes"] = int_logits(integer, scored.counts).argmax(
                axis=1
            )
        for name, labels in called.items():
            found = confusion_by_group(scored.labels, labels, scored.groups, classes)
            by_group.setdefault(name, []).append(found)
            f1 = float(macro_f1(found.sum(axis=0)))
            same = float((labels == called["float"]).mean())
            print(f"{candidate.cell} fold {fold + 1}, {name}: {100 * f1:.1f}, label of float {same:.1%}", flush=True)  # noqa: T201
    for name, parts in by_group.items():
        print(f"{candidate.network}, {name}: {estimate_over_groups(np.concatenate(parts), macro_f1)}", flush=True)  # noqa: T201


def main() -> None:
    """Score each candidate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("candidates", nargs="+")
    parser.add_argument("--folds", type=int, help="score the first folds only")
    given = parser.parse_args()
    data = open_search_data(make_search_config(given.source))
    for text in given.candidates:
        candidate = Candidate(**{**BASE, "window_length": data.contract.window_length, **json.loads(text)})
        score(candidate, data, given.folds or data.folds)


if __name__ == "__main__":
    main()
