"""Weights of an untrained network. Its cost (memory, instructions) is that of a trained one."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from edge_seq.ir.contract import Normalisation, SensorContract
from edge_seq.training.config import TrainingConfig
from edge_seq.training.loop import build_classifier


def untrained_weights(
    contract: SensorContract, num_classes: int, config: TrainingConfig, *, loudness: float
) -> tuple[dict[str, NDArray[np.float32]], Normalisation]:
    """Draw torch's initial weights of a network from a fixed seed.

    Args:
        contract: sensor contract; its features are the input.
        num_classes: K.
        config: shape of the network.
        loudness: standard deviation of the input, counts.

    Returns:
        weights by torch's names, float32, and a normalisation with mean 0 and the scale ``loudness``.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = build_classifier(contract, num_classes, config)
    weights = {name: value.detach().numpy().copy() for name, value in module.state_dict().items()}
    features = contract.num_features
    return weights, Normalisation((0.0,) * features, (loudness,) * features)
