"""Checkpoints: an interrupted training continues where it stopped.

One safetensors file holds everything: tensors in the body, progress as JSON in the metadata. So a crash cannot leave
the weights of one epoch beside the progress of another. The states of random generators need not be stored, because
every epoch seeds its own generators from (seed, epoch).
"""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from edge_seq.support.errors import ConfigError, ModelError
from edge_seq.support.files import json_text, write_atomically
from edge_seq.support.opening import load_tensors, parse_json
from edge_seq.support.results import from_plain
from edge_seq.training.config import TrainingConfig
from edge_seq.training.record import TrainingProgress

CHECKPOINT_NAME = "checkpoint.safetensors"
FORMAT = "edge_seq.training.checkpoint/1"

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """State of a training between two epochs.

    Attributes:
        progress: history and best epoch.
        tensors: weights, averaged weights, best weights and optimiser moments, by section and name.
    """

    progress: TrainingProgress
    tensors: dict[str, Arrays]


def save_checkpoint(path: Path, checkpoint: Checkpoint, *, config: TrainingConfig, fingerprint: str) -> None:
    """Write a checkpoint atomically.

    Args:
        path: file to write or replace.
        checkpoint: state to write.
        config: configuration of the training.
        fingerprint: hash of data and network, so that the training is not resumed with others.
    """
    flat = {
        f"{section}/{name}": array for section, arrays in checkpoint.tensors.items() for name, array in arrays.items()
    }
    metadata = {
        "format": FORMAT,
        "config": config.model_dump_json(),
        "fingerprint": fingerprint,
        "edge_seq": importlib.metadata.version("edge-seq"),
        "progress": json_text(checkpoint.progress, indent=None),
    }
    write_atomically(path, save(flat, metadata=metadata))


def load_checkpoint(path: Path, *, config: TrainingConfig, fingerprint: str) -> Checkpoint | None:
    """Read a checkpoint, if there is one.

    Returns:
        checkpoint; None if there is no file.

    Raises:
        ModelError: the file is damaged or is not a checkpoint.
        ConfigError: the checkpoint was written by another version of edge_seq, or with another configuration, other
            data or another network.
    """
    if not path.exists():
        return None
    try:
        flat, metadata = load_tensors(path)
    except (OSError, ValueError) as error:
        raise ModelError(f"checkpoint {path} cannot be read: {error}. Delete it to train from the start") from error
    if metadata.get("format") != FORMAT:
        raise ModelError(
            f"checkpoint {path} has format {metadata.get('format')!r}; expected {FORMAT!r}. Delete it to train from "
            "the start"
        )
    try:
        written_under = parse_json(metadata["config"])
        progress = from_plain(TrainingProgress, parse_json(metadata["progress"]))
        written_with, written_by = metadata["fingerprint"], metadata.get("edge_seq", "an older version")
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"checkpoint {path} has unreadable metadata ({type(error).__name__}: {error}). Delete it to train from the "
            "start"
        ) from error
    _refuse_other_version(path, written_by)
    _refuse_other_training(path, written_under, written_with, config, fingerprint)
    tensors: dict[str, Arrays] = {}
    for full_name, array in flat.items():
        section, _, name = full_name.partition("/")
        tensors.setdefault(section, {})[name] = np.array(array)
    return Checkpoint(progress=progress, tensors=tensors)


def _refuse_other_version(path: Path, found: str) -> None:
    installed = importlib.metadata.version("edge-seq")
    if found != installed:
        raise ConfigError(
            f"cannot resume from {path}: it was written by edge_seq {found}, installed is {installed}, and mixing "
            "versions would give weights that neither can reproduce. Install that version, give another folder, or "
            "delete the checkpoint to start again"
        )


def _refuse_other_training(
    path: Path, found: dict[str, Any], written_with: str, config: TrainingConfig, fingerprint: str
) -> None:
    expected = config.model_dump(mode="json")
    if found != expected:
        changes = ", ".join(
            f"{key} {found.get(key)!r} there, {expected.get(key)!r} now"
            for key in sorted(found.keys() | expected.keys())
            if found.get(key) != expected.get(key)
        )
        raise ConfigError(
            f"cannot resume from {path}: it was written under another configuration ({changes}). Train with the same "
            "configuration, give another folder, or delete the checkpoint to start again"
        )
    if written_with != fingerprint:
        raise ConfigError(
            f"cannot resume from {path}: the training data, the sensor contract or the network differ from those it "
            "was written with. Give another folder, or delete the checkpoint to start again"
        )
