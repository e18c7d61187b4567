"""Macro-F1 of changes of a training beside the training without them, on the folds of a data source's training part.

    python -m tests.benchmarks.training_changes datasets/hapt.toml '{"input_gain": 3}' mixup time_warp --seeds 5

The table after the source holds fields of a candidate that differ from LSTM 32 with the mean and largest state. Every
change is trained with the same seeds on the same folds. A line has the mean over the seeds with its deviation, and the
mean difference to the training without a change with its standard error. The test part is not used. Changes that did
not help live here alone; the others are options of the training or of the sensor contract. ``--work`` keeps each score,
so that the same command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from edge_seq.data.recording import Windows
from edge_seq.ir.contract import SensorContract
from edge_seq.scores.metrics import confusion_matrix, macro_f1
from edge_seq.support.files import json_text, write_atomically
from edge_seq.training import fit, loop
from edge_seq.training.config import TrainingConfig
from edge_seq.tuning.config import make_search_config
from edge_seq.tuning.data import SearchData, open_search_data
from edge_seq.tuning.space import Candidate
from tests.benchmarks.candidates import candidate_of

WARP, KNOTS = 0.25, 5  # largest change of speed within a window, and places where it is drawn
SPEED = 0.15  # largest change of speed of a window
DROPPED = 0.1  # share of channels
TEACHERS, TEACHER_UNITS = 3, 64


def read_at(x: Tensor, place: Tensor) -> Tensor:
    """Values of windows [B, T, C] at places [B, T] between their samples."""
    low = place.floor().clamp(0, x.shape[1] - 2).long()
    part = (place - low)[..., None]

    def taken(at: Tensor) -> Tensor:
        return x.gather(1, at[..., None].expand(-1, -1, x.shape[2]))

    return (1 - part) * taken(low) + part * taken(low + 1)


def time_warp(x: Tensor) -> Tensor:
    """Let the speed change smoothly within each window; its ends stay."""
    knots = 1 + WARP * (2 * torch.rand(len(x), KNOTS) - 1)
    speed = F.interpolate(knots[:, None], size=x.shape[1], mode="linear", align_corners=True)[:, 0]
    place = speed.cumsum(1) - speed[:, :1]
    return read_at(x, place / place[:, -1:] * (x.shape[1] - 1))


def speed(x: Tensor) -> Tensor:
    """Play each window faster or slower; what is missing at the end is mirrored."""
    last = x.shape[1] - 1
    place = torch.arange(x.shape[1])[None] * (1 + SPEED * (2 * torch.rand(len(x), 1) - 1))
    return read_at(x, torch.where(place > last, 2 * last - place, place))


def channel_dropout(x: Tensor) -> Tensor:
    """Set channels of single windows to their mean over the training part."""
    return x * (torch.rand(len(x), 1, x.shape[2]) >= DROPPED)


AUGMENTED: Mapping[str, Callable[[Tensor], Tensor]] = {
    "time_warp": time_warp,
    "speed": speed,
    "channel_dropout": channel_dropout,
}
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "mixup": {"mixup": 0.2},
    "magnitude_and_mixup": {"mixup": 0.2},
    "more_mixup": {"mixup": 0.4},
    "average": {"weight_average_decay": 0.99},
    "label_smoothing": {"label_smoothing": 0.1},
    "length_of_train": {"epochs": 0},
    "forest": {"taught_by": "forest"},
    "forest_and_rocket": {"taught_by": "forest_and_rocket"},
}


@contextmanager
def augmented(change: str) -> Iterator[None]:
    """Let a change act on the windows of every step."""
    original = fit._optimise

    def optimise(run: Any, x: Tensor, *others: Any) -> float:
        return original(run, AUGMENTED[change](x), *others)

    if change in AUGMENTED:
        fit._optimise = optimise  # type: ignore[assignment]
    try:
        yield
    finally:
        fit._optimise = original


def of_larger_networks(
    windows: Windows, contract: SensorContract, classes: int, config: TrainingConfig
) -> NDArray[np.float32]:
    """Mean logits of larger networks of the same training."""
    larger = config.model_copy(update={"hidden_size": TEACHER_UNITS})
    found = []
    for seed in range(TEACHERS):
        result = loop.train(windows, None, contract, classes, larger.model_copy(update={"seed": 1000 + seed}))
        found.append(loop.predict(result, np.asarray(windows.counts)))
    mean_logits: NDArray[np.float32] = np.mean(found, axis=0, dtype=np.float32)
    return mean_logits


CHANGES = (*OPTIONS, *AUGMENTED, "larger_networks", "magnitude")


class Trainer:
    """Trains and scores a candidate with changes; a teacher of a fold is asked once."""

    def __init__(self, data: SearchData) -> None:
        self.data = data
        self._teachers: dict[tuple[str, int], NDArray[np.float32]] = {}

    def score(self, candidate: Candidate, change: str, seed: int) -> float:
        """Macro-F1 of all folds together."""
        if change.startswith("magnitude"):
            candidate = replace(candidate, magnitude=True)
        classes = len(self.data.labels)
        total = np.zeros((classes, classes), np.int64)
        contract = candidate.contract(self.data.contract)
        for fold in range(self.data.folds):
            part = self.data.part(fold, contract)
            config = candidate.training(
                contract, windows=len(part.train.labels), steps=candidate.steps, seed=100 * seed + fold
            ).model_copy(update=dict(OPTIONS.get(change, {})))
            teacher = self._teacher(change, fold, part.train, contract, config)
            with augmented(change):
                result = loop.train(part.train, None, contract, classes, config, teacher_logits=teacher)
            told = loop.predict(result, part.scored.counts).argmax(axis=1)
            total += confusion_matrix(part.scored.labels, told, classes)
        return float(macro_f1(total))

    def _teacher(
        self, change: str, fold: int, windows: Windows, contract: SensorContract, config: TrainingConfig
    ) -> NDArray[np.float32] | None:
        if change != "larger_networks":
            return None
        if (change, fold) not in self._teachers:
            classes = len(self.data.labels)
            self._teachers[change, fold] = of_larger_networks(windows, contract, classes, config)
        return self._teachers[change, fold]


def main() -> None:
    """Print a line for each change."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("candidate")
    parser.add_argument("changes", nargs="*", choices=[*CHANGES, []], help="default: all")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--work", type=Path, help="folder in which scores are kept")
    given = parser.parse_args()
    data = open_search_data(make_search_config(given.source))
    candidate = candidate_of(given.candidate, data)
    trainer = Trainer(data)

    def scores(change: str) -> list[float]:
        return [_kept(trainer, candidate, change, seed, given.work) for seed in range(given.seeds)]

    plain = scores("none")
    print(f"{candidate.network}; {candidate.options}: {_spread(plain)}", flush=True)  # noqa: T201
    for change in given.changes or CHANGES:
        found = scores(change)
        by = [100 * (one - other) for one, other in zip(found, plain, strict=True)]
        error = stdev(by) / len(by) ** 0.5 if len(by) > 1 else float("nan")
        print(f"{change}: {_spread(found)}, {mean(by):+.1f} ± {error:.1f}", flush=True)  # noqa: T201


def _kept(trainer: Trainer, candidate: Candidate, change: str, seed: int, work: Path | None) -> float:
    """The score of a training that was done before, or of one that is done now."""
    if work is None:
        return trainer.score(candidate, change, seed)
    place = work / f"{trainer.data.aside.dataset.name}-{candidate.key}-{change}-{seed}.json"
    if not place.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, json_text(trainer.score(candidate, change, seed)))
    score: float = json.loads(place.read_text("utf-8"))
    return score


def _spread(scores: list[float]) -> str:
    deviation = f" ± {100 * stdev(scores):.1f}" if len(scores) > 1 else ""
    return f"{100 * mean(scores):.1f}{deviation}"


if __name__ == "__main__":
    main()
