r"""What recurrent weights of 4 bits or of low rank cost in score, on the folds of a data source's training part.

    python -m tests.benchmarks.fewer_bits datasets/hapt.toml '{"input_gain": 3, "rate_gain": 7}' \
        --work build/fewer_bits --ranks 4 8 --seeds 3

The table after the source holds fields of a candidate that differ from LSTM 32 with the mean and largest state. A line
has the macro-F1 of the integer models of all folds, and the least share of windows of a fold that keep the label of the
float model. Rows: weights of 8 and of 4 bits of the same trainings; of 4 bits after trainings whose last part computes
with rounded weights (straight-through, Bengio et al. 2013, arXiv 1308.3432); of 8 bits after trainings that set the
hidden-to-hidden weights to the nearest ones of a rank after every step (projected gradient). The test part is not used.
The result of each seed stays in the work folder, so that an interrupted call goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edge_seq.data.windows import spread
from edge_seq.frontends.from_torch import from_training
from edge_seq.ir.kind_names import WeightBits
from edge_seq.pipeline.logits import int_logits
from edge_seq.quant.calibrate import calibrate
from edge_seq.quant.quantize import quantize
from edge_seq.scores.metrics import confusion_matrix, macro_f1
from edge_seq.support.files import json_text, write_atomically
from edge_seq.training import fit, loop
from edge_seq.tuning.config import make_search_config
from edge_seq.tuning.data import SearchData, open_search_data
from edge_seq.tuning.space import Candidate
from edge_seq.tuning.trial import CALIBRATION_WINDOWS
from tests.benchmarks.candidates import candidate_of

ROUNDED_PART = 0.3  # of the steps
SHARES = (1.0, 0.9, 0.8, 0.7, 0.6)  # of the scale at which the largest weight of a row fits
LARGEST = 7  # weight of 4 bits
Change = Callable[[Any, Callable[[], float], float], float]  # run, its step, share of the steps that are done


def recurrent_weights(module: nn.Module) -> list[nn.Parameter]:
    """Hidden-to-hidden weights of torch's cells and of FastGRNN."""
    return [one for name, one in module.named_parameters() if "weight_hh" in name]


def rounded(weights: Tensor) -> Tensor:
    """Weights [R, N] on the grid of 4 bits of each row whose scale has the least error."""
    scale = weights.abs().amax(1, keepdim=True).clamp(min=1e-9) / LARGEST
    tried = torch.stack([(weights / (s * scale)).round().clamp(-LARGEST - 1, LARGEST) * s * scale for s in SHARES])
    best = ((tried - weights) ** 2).sum(2).argmin(0)
    return tried[best, torch.arange(len(weights))]


def with_rounded_weights(run: Any, step: Callable[[], float], done: float) -> float:
    """Compute gradients at rounded weights, and let the optimiser move the real ones."""
    if done < 1 - ROUNDED_PART:
        return step()
    weights = recurrent_weights(run.module)
    real = [one.detach().clone() for one in weights]
    move = run.optimizer.step

    def move_real() -> None:
        _set(weights, real)
        move()

    _set(weights, [rounded(one) for one in real])
    run.optimizer.step = move_real
    try:
        return step()
    finally:
        run.optimizer.step = move


def of_rank(rank: int) -> Change:
    """Set the weights of each layer to the nearest ones of a rank after every step."""

    def change(run: Any, step: Callable[[], float], _done: float) -> float:
        loss = step()
        for one in recurrent_weights(run.module):
            left, sizes, right = torch.linalg.svd(one.detach(), full_matrices=False)
            _set([one], [left[:, :rank] * sizes[:rank] @ right[:rank]])
        return loss

    return change


def _set(weights: Sequence[nn.Parameter], values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for one, value in zip(weights, values, strict=True):
            one.copy_(value)


@contextmanager
def changed(change: Change | None, steps: int) -> Iterator[None]:
    """Let a change act on every step of a training with so many steps."""
    original, count = fit._optimise, 0

    def optimise(run: Any, *given: Any) -> float:
        nonlocal count
        count += 1
        assert change is not None
        return change(run, lambda: original(run, *given), count / steps)

    if change is not None:
        fit._optimise = optimise
    try:
        yield
    finally:
        fit._optimise = original


def score(
    data: SearchData, candidate: Candidate, seed: int, change: Change | None, bits: Sequence[WeightBits]
) -> list[tuple[float, float]]:
    """Macro-F1 of all folds together and the least agreement of a fold, for each number of bits."""
    contract, classes = candidate.contract(data.contract), len(data.labels)
    totals = np.zeros((len(bits), classes, classes), np.int64)
    least = [1.0] * len(bits)
    for fold in range(data.folds):
        part = data.part(fold, contract)
        windows = len(part.train.labels)
        config = candidate.training(contract, windows=windows, steps=candidate.steps, seed=100 * seed + fold)
        with changed(change, config.epochs * -(-windows // config.batch_size)):
            result = loop.train(part.train, None, contract, classes, config)
        of_float = loop.predict(result, part.scored.counts).argmax(axis=1)
        model = from_training(result, name="bits", labels=data.labels)
        calibration = calibrate(model, np.asarray(part.train.counts[spread(windows, CALIBRATION_WINDOWS)]))
        for at, one in enumerate(bits):
            told = int_logits(quantize(model, calibration, (one,)), part.scored.counts).argmax(axis=1)
            totals[at] += confusion_matrix(part.scored.labels, told, classes)
            least[at] = min(least[at], float((told == of_float).mean()))
    return [(float(macro_f1(total)), agreement) for total, agreement in zip(totals, least, strict=True)]


def main() -> None:
    """Print a line for each row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("candidate")
    parser.add_argument("--work", type=Path, required=True, help="folder of the results of one candidate")
    parser.add_argument("--ranks", type=int, nargs="*", default=[])
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    data = open_search_data(make_search_config(given.source))
    candidate = candidate_of(given.candidate, data)
    print(f"{candidate.network}; {candidate.options}", flush=True)  # noqa: T201
    trainings: list[tuple[str, Change | None, tuple[WeightBits, ...]]] = [
        ("", None, (8, 4)),
        (", trained with rounded weights", with_rounded_weights, (4,)),
        *((f", rank {rank}", of_rank(rank), (8,)) for rank in given.ranks),
    ]
    plain: list[float] = []
    for name, change, bits in trainings:
        by_seed = []
        for seed in range(given.seeds):
            kept = given.work / f"{candidate.key}{name.replace(', ', '-').replace(' ', '_')}-{seed}.json"
            if not kept.is_file():
                kept.parent.mkdir(parents=True, exist_ok=True)
                found = score(data, candidate, seed, change, bits)
                write_atomically(kept, json_text(found))
            by_seed.append(json.loads(kept.read_text("utf-8")))
        for at, one in enumerate(bits):
            scores = [100 * found[at][0] for found in by_seed]
            plain = plain or scores
            by = [mine - other for mine, other in zip(scores, plain, strict=True)]
            error = f" ± {stdev(by) / len(by) ** 0.5:.1f}" if len(by) > 1 else ""
            least = 100 * min(found[at][1] for found in by_seed)
            print(  # noqa: T201
                f"{one} bits{name}: {mean(scores):.1f}, {mean(by):+.1f}{error}, same label {least:.1f} %", flush=True
            )


if __name__ == "__main__":
    main()
