"""First weights of a network that nobody trained: of its cost they say as much as trained ones."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from edge_seq.ir.contract import Normalisation, SensorContract
from edge_seq.ir.kind_names import CellName
from edge_seq.training.config import TrainingConfig
from edge_seq.training.loop import build_classifier


def untrained_weights(
    contract: SensorContract, num_classes: int, *, cell: CellName, hidden_size: int, loudness: float
) -> tuple[dict[str, NDArray[np.float32]], Normalisation]:
    """torch's first weights from a fixed seed, by torch's names, and a normalisation to them.

    Args:
        contract: whose channels are the input.
        num_classes: K.
        cell, hidden_size: of one layer.
        loudness: standard deviation of the input, counts.
    """
    config = TrainingConfig(cell=cell, hidden_size=hidden_size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = build_classifier(contract.num_channels, num_classes, config)
    weights = {name: value.detach().numpy().copy() for name, value in module.state_dict().items()}
    channels = contract.num_channels
    return weights, Normalisation((0.0,) * channels, (loudness,) * channels)
