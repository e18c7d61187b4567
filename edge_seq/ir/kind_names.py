"""Names of the kinds of layers and of readouts, as they are typed and saved. Imports nothing, so that help texts can
list them."""

from __future__ import annotations

from typing import Literal, get_args

# Kinds that carry a state from step to step. A kind that is not recurrent (a dense layer, a causal convolution) gets a
# Literal of its own beside this one, and KindName is the union of both.
CellName = Literal["rnn", "gru", "lstm", "fastgrnn"]
KindName = CellName

# Function of a dense layer after its sums; ``none`` leaves them as they are.
Activation = Literal["relu", "tanh", "none"]

# Inputs before the window's first sample: ``causal`` takes zeros (a feature's mean), ``valid`` waits for real ones.
# ``same`` takes a number of zeros before the window, and another behind it.
Padding = Literal["causal", "valid", "same"]
TrainedPadding = Literal["causal", "valid"]

# What is taken of each unit over some states or inputs.
Statistic = Literal["mean", "max"]

# Input of the head: the last state; the mean, the largest value or both of all states since the window began; or all
# states of the window, one behind the other.
Pooling = Literal["last", "mean", "max", "mean_max", "flatten"]

# Bits of a recurrent layer's narrow weights, the usual number first.
WeightBits = Literal[8, 4]

WEIGHT_BITS: tuple[WeightBits, ...] = get_args(WeightBits)
CELL_NAMES: tuple[CellName, ...] = get_args(CellName)
KIND_NAMES: tuple[KindName, ...] = get_args(KindName)
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)
PADDINGS: tuple[Padding, ...] = get_args(Padding)
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
POOLING_TEXTS: dict[Pooling, str] = {
    "last": "last state",
    "mean": "mean of states",
    "max": "largest of states",
    "mean_max": "mean and largest of states",
    "flatten": "states of all steps",
}


def one_of(names: tuple[str, ...]) -> str:
    """Names as a sentence lists them.

    >>> one_of(("rnn", "gru", "lstm"))
    'rnn, gru or lstm'
    """
    return " or ".join([", ".join(names[:-1]), names[-1]])
