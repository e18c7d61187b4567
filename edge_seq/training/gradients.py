"""Gradient of the loss with respect to the input k steps back. It shows vanishing and exploding gradients.

Let L be the loss of a window after its last sample T - 1, and x the normalised features. The norm is

    g(k) = mean over windows of || dL / dx[T - 1 - k] ||_2,  k = 0 .. T - 1

By the chain rule it contains the product of k Jacobians dh[t] / dh[t - 1], which shrinks or grows exponentially with k
(Hochreiter 1991; Bengio, Simard & Frasconi 1994; Pascanu, Mikolov & Bengio 2013).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from edge_seq.backends.preprocess import normalise
from edge_seq.data.recording import Windows
from edge_seq.training.features import preprocessed_counts
from edge_seq.training.loop import TrainingResult, classifier_of, first_weights
from edge_seq.training.modules import SequenceClassifier


@dataclass(frozen=True)
class InputGradients:
    """Norms of the gradient of the loss with respect to the input k steps back, before and after a training.

    Attributes:
        before, after: g(k), float64 [T], indexed by k.
    """

    before: NDArray[np.float64]
    after: NDArray[np.float64]


def input_gradients(result: TrainingResult, windows: Windows) -> InputGradients:
    """Compute the norms for the initial weights of a training, and for the weights that it kept.

    Args:
        result: training result of a recurrent classifier.
        windows: labelled windows to average over.
    """
    features = normalise(preprocessed_counts(windows.counts, result.contract), result.normalisation)
    x, labels = torch.from_numpy(features), torch.from_numpy(windows.labels.astype(np.int64))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(result.seed)
        untrained = first_weights(result.contract, result.num_classes, result.config)
    return InputGradients(
        before=input_gradient_norms(untrained, x, labels), after=input_gradient_norms(classifier_of(result), x, labels)
    )


def input_gradient_norms(module: SequenceClassifier, x: torch.Tensor, labels: torch.Tensor) -> NDArray[np.float64]:
    """Compute g(k), float64 [T], from features float32 [B, T, C] and labels int64 [B], without dropout."""
    was_training = module.training
    module.eval()
    x = x.detach().clone().requires_grad_(True)
    loss = F.cross_entropy(module(x), labels, reduction="sum")  # "sum": gradients are not divided by B
    (gradient,) = torch.autograd.grad(loss, x)
    module.train(was_training)
    norms: NDArray[np.float64] = gradient.double().norm(dim=2).mean(dim=0).flip(0).numpy()
    return norms
