"""Preprocessing between raw counts and the first layer: one definition for training, references and tests.

The integer step is defined in SPEC.md, section 3. ONNX and C implement the same arithmetic and are compared with this
module. A float model also normalises the features; an integer model has that folded into its first layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_never

from edge_seq.arithmetic.fixed_point import COMPANDED_FRAC_BITS, GRAVITY_FRAC_BITS
from edge_seq.ir.contract import COUNT_MAX, COUNT_MIN, MAX_COMPANDING, MIN_COMPANDING, Normalisation, SensorContract
from edge_seq.support.errors import DataError

_TOP_BIT = 15  # of a magnitude that companding has raised


def check_counts(counts: NDArray[np.int16], num_channels: int, doing: str) -> None:
    """Check that an array is what every backend takes: int16 [B, T, C] with at least one step.

        Without this check, numpy would silently broadcast one channel to all of them, and truncate floats.

    Args:
        counts: array to check.
        num_channels: number of channels, C.
        doing: start of the message, for example ``calibrating car_state``.

    Raises:
        DataError: the array has another shape or dtype; the message names both.
    """
    expected = f"expected int16 raw counts [windows, time steps, {num_channels}] with at least one step"
    if counts.ndim != 3 or counts.shape[2] != num_channels or not counts.size:
        raise DataError(f"{doing}: counts have shape {list(counts.shape)}; {expected}")
    if counts.dtype != np.int16:
        raise DataError(f"{doing}: counts are {counts.dtype}; {expected}. Convert physical values with to_counts()")


@dataclass(frozen=True)
class PreprocessState:
    """Memory of the preprocessing between two samples.

    Attributes:
        primed: True after the first sample since the reset.
        memory: int32 [B, C]; the previous sample (difference) or the low-pass in counts * 2^14 (remove_gravity).
    """

    primed: bool
    memory: NDArray[np.int32]


def initial_state(batch: int, num_channels: int) -> PreprocessState:
    """State after a reset."""
    return PreprocessState(primed=False, memory=np.zeros((batch, num_channels), dtype=np.int32))


def preprocess_step(
    counts: NDArray[np.int16], state: PreprocessState, contract: SensorContract
) -> tuple[NDArray[np.int16], PreprocessState]:
    """Preprocess one sample.

    Args:
        counts: raw counts, int16 [B, C].
        state: state from :func:`initial_state` or the previous step.
        contract: sensor contract with the preprocessing, and with the axes of magnitudes.

    Returns:
        Features int16 [B, F], and the next state.
    """
    x, preprocessing = counts.astype(np.int32), contract.preprocessing
    match preprocessing.step:
        case "none":
            return _after_step(counts.astype(np.int16), contract), state
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
    return _after_step(features, contract), PreprocessState(primed=True, memory=memory.astype(np.int32))


def _after_step(features: NDArray[np.int16], contract: SensorContract) -> NDArray[np.int16]:
    """What the step gives, int16 [B, C], with magnitudes and through the logarithm, as the contract says: [B, F]."""
    lengths = [magnitude(features[:, list(triple)]) for triple in contract.magnitude_axes]
    if lengths:
        features = np.column_stack([features, *lengths])
    bits = contract.preprocessing.companding
    return features if bits is None else compand(features, bits)


def magnitude(axes: NDArray[np.int16]) -> NDArray[np.int16]:
    """Length of vectors in whole counts: floor(sqrt(x^2 + y^2 + z^2)), at most 32767.

    Exact: the sum of squares is at most 3 * 2^30, a float64 root of such a number is rounded by less than 2^-36, and
    the root of a number that is no square is at least 2^-17 below the next whole one.

    Args:
        axes: three features each, int16 [..., 3], counts.

    Returns:
        int16 [...], 0 to 32767.

    >>> magnitude(np.array([[3, -4, 12], [2, 2, 2], [-32768, 0, 0]], dtype=np.int16)).tolist()
    [13, 3, 32767]
    """
    squares = (axes.astype(np.int64) ** 2).sum(axis=-1)
    lengths: NDArray[np.int16] = np.minimum(np.floor(np.sqrt(squares.astype(np.float64))), COUNT_MAX).astype(np.int16)
    return lengths


def compand(features: NDArray[np.int16], bits: int) -> NDArray[np.int16]:
    """A logarithm in straight pieces: 2048 log2(1 + |f| / 2^bits) with the sign of f, never above it.

    With u = |f| + 2^bits and e = floor(log2 u), the magnitude is 2048 (e - bits) + floor(2048 (u / 2^e - 1)): exact at
    each power of two of u, straight between, and less than 178 below the logarithm (0.086 of a doubling, and the
    floor). It is odd and monotone.

    Args:
        features: features, int16 of any shape, counts.
        bits: companding of the contract, 1 to 14.

    Returns:
        int16 of that shape, -28672 to 28672.

    >>> compand(np.array([0, 1, 8, 24, -24, -32768], dtype=np.int16), 3).tolist()
    [0, 256, 2048, 4096, -4096, -24576]
    """
    raised = np.abs(features.astype(np.int32)) + (1 << bits)
    exponent = np.frexp(raised)[1] - 1  # exact: every raised magnitude is below 2^16
    mantissa = raised << (_TOP_BIT - exponent)  # 2^15 .. 2^16 - 1
    part = (mantissa - (1 << _TOP_BIT)) >> (_TOP_BIT - COMPANDED_FRAC_BITS)
    magnitude = ((exponent - bits) << COMPANDED_FRAC_BITS) + part
    signed: NDArray[np.int16] = np.where(features < 0, -magnitude, magnitude).astype(np.int16)
    return signed


def typical_magnitude(counts: NDArray[np.int16], contract: SensorContract) -> float:
    """Median magnitude, in counts, of what the step of a contract's preprocessing gives, without zeros; 0.0 if all are.

    Args:
        counts: raw counts, int16 [B, T, C].
        contract: sensor contract; its magnitudes and its companding do not take part.

    >>> from edge_seq.ir.contract import Channel, Preprocessing
    >>> contract = SensorContract(100.0, (Channel("ax", "g", 8192, 4),), 4, 4, Preprocessing("difference"))
    >>> typical_magnitude(np.array([[[5], [7], [4], [4]]], dtype=np.int16), contract)
    2.5
    """
    step = replace(contract.preprocessing, companding=None, magnitude=False)
    magnitudes = np.abs(preprocess(counts, replace(contract, preprocessing=step)).astype(np.int32))
    return float(np.median(magnitudes[magnitudes > 0])) if magnitudes.any() else 0.0


def companding_near(magnitude: float) -> int:
    """The companding of a contract whose logarithm begins nearest to a magnitude above 0, counts.

    >>> companding_near(30.0), companding_near(0.5)
    (5, 1)
    """
    return min(max(round(math.log2(magnitude)), MIN_COMPANDING), MAX_COMPANDING)


def preprocess(counts: NDArray[np.int16], contract: SensorContract) -> NDArray[np.int16]:
    """Preprocess whole windows, each from a reset.

    Args:
        counts: raw counts, int16 [B, T, C]; T may differ from the contract's window length.
        contract: sensor contract with the preprocessing, and with the axes of magnitudes.

    Returns:
        Features int16 [B, T, F].

    >>> from edge_seq.ir.contract import Channel, Preprocessing
    >>> contract = SensorContract(100.0, (Channel("ax", "g", 8192, 4),), 3, 3, Preprocessing("difference"))
    >>> preprocess(np.array([[[5], [7], [4]]], dtype=np.int16), contract).ravel().tolist()
    [0, 2, -3]
    """
    batch, time_steps, num_channels = counts.shape
    features = np.empty((batch, time_steps, contract.num_features), dtype=np.int16)
    state = initial_state(batch, num_channels)
    for t in range(time_steps):
        features[:, t], state = preprocess_step(counts[:, t], state, contract)
    return features


def normalise(counts: NDArray[np.int16], normalisation: Normalisation) -> NDArray[np.float32]:
    """Normalise each feature, (counts - mean) / scale, computed in float64.

    Args:
        counts: preprocessed counts, int16 [..., F].
        normalisation: normalisation of the model, from the training windows.

    Returns:
        float32 [..., F].
    """
    mean = np.asarray(normalisation.mean, dtype=np.float64)
    scale = np.asarray(normalisation.scale, dtype=np.float64)
    return ((counts.astype(np.float64) - mean) / scale).astype(np.float32)
