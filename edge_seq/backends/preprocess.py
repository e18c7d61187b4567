"""Between raw counts and the first layer: one definition for training, references and tests.

The integer step is SPEC.md, section 3; ONNX and C hold the same arithmetic and are compared with this. What a network
in float sees is normalised on top; an integer model has that folded into its first layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_never

from edge_seq.arithmetic.fixed_point import GRAVITY_FRAC_BITS
from edge_seq.ir.contract import COUNT_MAX, COUNT_MIN, Normalisation, Preprocessing
from edge_seq.support.errors import DataError


def check_counts(counts: NDArray[np.int16], num_channels: int, doing: str) -> None:
    """See that an array is what every backend takes: int16 [B, T, C] with at least one step. numpy would broadcast one
    channel to all of them and truncate floats without a word.

    Args:
        counts: to look at.
        num_channels: C.
        doing: begins the message, for example ``calibrating car_state``.

    Raises:
        DataError: naming shape and dtype found and expected.
    """
    expected = f"expected int16 raw counts [windows, time steps, {num_channels}] with at least one step"
    if counts.ndim != 3 or counts.shape[2] != num_channels or not counts.size:
        raise DataError(f"{doing}: counts have shape {list(counts.shape)}; {expected}")
    if counts.dtype != np.int16:
        raise DataError(f"{doing}: counts are {counts.dtype}; {expected}. Convert physical values with to_counts()")


@dataclass(frozen=True)
class PreprocessState:
    """What the step remembers between two samples.

    Attributes:
        primed: whether a sample was seen since the reset.
        memory: int32 [B, C]; the previous sample (difference) or the low-pass in counts * 2^14 (remove_gravity).
    """

    primed: bool
    memory: NDArray[np.int32]


def initial_state(batch: int, num_channels: int) -> PreprocessState:
    """State after a reset."""
    return PreprocessState(primed=False, memory=np.zeros((batch, num_channels), dtype=np.int32))


def preprocess_step(
    counts: NDArray[np.int16], state: PreprocessState, preprocessing: Preprocessing
) -> tuple[NDArray[np.int16], PreprocessState]:
    """One sample.

    Args:
        counts: int16 [B, C], raw counts.
        state: from :func:`initial_state` or the step before.
        preprocessing: of the contract.

    Returns:
        features int16 [B, C] and the next state.
    """
    x = counts.astype(np.int32)
    match preprocessing.step:
        case "none":
            return counts.astype(np.int16), state
        case "difference":
            feature = x - state.memory if state.primed else np.zeros_like(x)
            memory = x
        case "remove_gravity":
            if state.primed:
                target = x << GRAVITY_FRAC_BITS
                memory = state.memory + ((target - state.memory) >> preprocessing.gravity_shift)
            else:
                memory = x << GRAVITY_FRAC_BITS
            half = 1 << (GRAVITY_FRAC_BITS - 1)
            feature = x - ((memory + half) >> GRAVITY_FRAC_BITS)
        case unreachable:
            assert_never(unreachable)
    features = np.clip(feature, COUNT_MIN, COUNT_MAX).astype(np.int16)
    return features, PreprocessState(primed=True, memory=memory.astype(np.int32))


def preprocess(counts: NDArray[np.int16], preprocessing: Preprocessing) -> NDArray[np.int16]:
    """Whole windows, each from a reset.

    Args:
        counts: int16 [B, T, C], raw counts.
        preprocessing: of the contract.

    Returns:
        features int16 [B, T, C].

    >>> preprocess(np.array([[[5], [7], [4]]], dtype=np.int16), Preprocessing("difference")).ravel().tolist()
    [0, 2, -3]
    """
    batch, time_steps, num_channels = counts.shape
    features = np.empty((batch, time_steps, num_channels), dtype=np.int16)
    state = initial_state(batch, num_channels)
    for t in range(time_steps):
        features[:, t], state = preprocess_step(counts[:, t], state, preprocessing)
    return features


def normalise(counts: NDArray[np.int16], normalisation: Normalisation) -> NDArray[np.float32]:
    """(counts - mean) / scale a channel, computed in float64.

    Args:
        counts: int16 [..., C], preprocessed.
        normalisation: of the training windows, as the model keeps it.

    Returns:
        float32 [..., C].
    """
    mean = np.asarray(normalisation.mean, dtype=np.float64)
    scale = np.asarray(normalisation.scale, dtype=np.float64)
    return ((counts.astype(np.float64) - mean) / scale).astype(np.float32)
