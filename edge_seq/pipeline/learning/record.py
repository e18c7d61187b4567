"""Record of a training, as in training.json."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_seq.data.recording import SIDES, Windows
from edge_seq.pipeline.advice import training_accuracy
from edge_seq.pipeline.config import RunConfig
from edge_seq.pipeline.leak import MeasuredLeak, try_to_measure_leak
from edge_seq.pipeline.learning.train import LearntAgain, Trained
from edge_seq.pipeline.one_class.fit import OneClassFit, learnt_windows
from edge_seq.pipeline.prepare import PreparedData, split_note
from edge_seq.scores.evaluation import SplitNote
from edge_seq.scores.temperature import Temperature
from edge_seq.support.results import Result, written
from edge_seq.training.record import EpochRecord


@dataclass(frozen=True, kw_only=True)
class TrainingSummary(Result):
    """Record of a training, as in training.json.

    Attributes:
        dataset: Name of the data.
        reading: What was done to the recordings when they were read.
        note: Kind of split, with a warning where it makes scores less certain.
        leak: Size of the leak of a split that leaks; None for another split.
        windows: Number of windows by side of the split.
        groups: Number of groups by side of the split.
        best_epoch: Epoch whose weights were kept, counted from 1.
        optimiser_steps: Number of steps of the optimiser, had the training not stopped early.
        mixup: Alpha of mixup; 0 for none, None in a record that does not say it.
        temperature: Temperature that was fitted on validation windows.
        training_accuracy: Accuracy of the float model on at most 1,000 training windows.
        history: Record of each epoch of the training beside the validation windows.
        seed: Seed of every random choice.
        seconds: Wall time of this call. After a resume, earlier epochs are not included.
        versions: Versions of Python and of the packages that the numbers depend on.
        again: Record of the training on training and validation windows, whose weights the model has; None if it has
            those of the first.
        one_class: Threshold of a model of one class; None for another model. The history is then of the task of telling
            changed windows apart.
    """

    dataset: str
    reading: tuple[str, ...]
    note: SplitNote = field(metadata=written(inline=True))
    leak: MeasuredLeak | None = field(metadata=written(inline=True))
    windows: dict[str, int]
    groups: dict[str, int]
    best_epoch: int
    optimiser_steps: int
    mixup: float | None = field(default=None, metadata=written(unless_none=True))
    temperature: Temperature
    training_accuracy: float
    history: tuple[EpochRecord, ...]
    seed: int
    seconds: float
    versions: dict[str, str]
    again: LearntAgain | None = field(default=None, metadata=written(unless_none=True))
    one_class: OneClassFit | None = field(default=None, metadata=written(unless_none=True))

    @property
    def best(self) -> EpochRecord:
        """Record of the epoch whose weights were kept."""
        return self.history[self.best_epoch - 1]


def summarise_training(trained: Trained, data: PreparedData, config: RunConfig) -> TrainingSummary:
    """Make the record of a training. For a split that leaks, the size of the leak is measured."""
    leak = None
    if config.data.split == "window_leaking_groups":
        leak = try_to_measure_leak(data.dataset, seed=config.data.split_seed, minimum_share=data.minimum_share)
    sides: dict[str, Windows | None] = {side: getattr(data, side) for side in SIDES}
    result = trained.result
    return TrainingSummary(
        dataset=data.dataset.name,
        reading=tuple(data.dataset.notes),
        note=split_note(config, None if leak is None else leak.leak_text),
        leak=leak,
        windows={side: 0 if windows is None else len(windows.labels) for side, windows in sides.items()},
        groups={side: 0 if windows is None else len(set(windows.groups.tolist())) for side, windows in sides.items()},
        best_epoch=result.best_epoch,
        optimiser_steps=config.training.steps_for(learnt_windows(data)),
        mixup=config.training.mixup_for(learnt_windows(data)),
        temperature=trained.temperature,
        training_accuracy=training_accuracy(trained.model, data.train),
        history=result.history,
        seed=result.seed,
        seconds=trained.seconds,
        versions=dict(result.versions),
        again=trained.again,
        one_class=trained.one_class,
    )
