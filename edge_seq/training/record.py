"""Record of a training, epoch by epoch. Imports no torch, so that reports can read it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from edge_seq.support.figure_text import percent


@dataclass(frozen=True)
class EpochRecord:
    """Record of one epoch. Epochs count from 1. The validation fields are None without validation windows."""

    epoch: int
    learning_rate: float
    train_loss: float
    validation_loss: float | None
    validation_accuracy: float | None
    validation_macro_f1: float | None
    seconds: float = dataclasses.field(compare=False)

    def note(self, done: int) -> str:
        """What a progress bar says of the epoch, when so many are done with those of an earlier training."""
        if done > self.epoch:
            return "on training and validation windows"
        return f"validation macro-F1 {percent(self.validation_macro_f1)}"


@dataclass(frozen=True)
class TrainingProgress:
    """Records of the epochs that are done, and the number of the best one, counted from 1; 0 before the first."""

    best_epoch: int
    history: tuple[EpochRecord, ...]
