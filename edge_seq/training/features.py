"""From raw counts to what a network in float sees. numpy only; identical in training, prediction and baselines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.preprocess import preprocess
from edge_seq.data.recording import UNLABELLED, Windows
from edge_seq.data.stored import is_stored
from edge_seq.ir.contract import Normalisation, SensorContract
from edge_seq.support.errors import ConfigError, ContractError, DataError


def preprocessed_counts(counts: NDArray[np.int16], contract: SensorContract) -> NDArray[np.int16]:
    """Apply the contract's integer step to windows that fit the contract.

    Args:
        counts: int16 [B, T, C], raw counts; T may differ from the contract's window length.
        contract: says channels and preprocessing.

    Returns:
        int16 [B, T, C].

    Raises:
        ContractError: where the array is not int16 [B, T, C] with the contract's C.
    """
    if counts.ndim != 3 or counts.dtype != np.int16 or counts.shape[2] != contract.num_channels:
        raise ContractError(
            f"windows are {counts.dtype} {list(counts.shape)}; expected int16 [windows, samples, "
            f"{contract.num_channels}] with the channels {list(contract.channel_names)}"
        )
    return preprocess(counts, contract.preprocessing)


def fit_normalisation(counts: NDArray[np.int16], *, gain: float | Sequence[float] = 1.0) -> Normalisation:
    """Mean and standard deviation a channel, in counts, from training windows only.

    Sums are whole numbers and exact, so that windows taken piece by piece give the same.

    A constant channel gets the scale 1, so that it becomes 0 instead of a division by zero.

    Args:
        counts: int16 [B, T, C], preprocessed.
        gain: standard deviation that the normalised features get; one, or one a channel [C].

    >>> fit_normalisation(np.array([[[1, 7], [3, 7]]], dtype=np.int16))
    Normalisation(mean=(2.0, 7.0), scale=(1.0, 1.0))
    """
    return fit_normalisation_in_pieces([counts], gain=gain)


def fit_normalisation_in_pieces(
    pieces: Iterable[NDArray[np.int16]], *, gain: float | Sequence[float] = 1.0
) -> Normalisation:
    """As :func:`fit_normalisation`, of windows int16 [B, T, C] that come in pieces.

    Raises:
        DataError: there is no window.
    """
    count = 0
    sums: list[int] = []
    squares: list[int] = []
    for piece in pieces:
        values = piece.reshape(-1, piece.shape[-1]).astype(np.int64)
        count += len(values)
        sums = _added(sums, values.sum(axis=0).tolist())
        squares = _added(squares, (values**2).sum(axis=0).tolist())
    if count == 0:
        raise DataError("normalisation: there are no training windows to take mean and scale from; give at least one")
    mean = [total / count for total in sums]
    # count^2 times the variance, in whole numbers
    spread = [count * square - total * total for square, total in zip(squares, sums, strict=True)]
    deviations = [math.sqrt(one / (count * count)) for one in spread]
    gains = [float(gain)] * len(mean) if isinstance(gain, int | float) else list(gain)
    scale = [(1.0 if one < 1e-6 else one) / factor for one, factor in zip(deviations, gains, strict=True)]
    return Normalisation(mean=tuple(mean), scale=tuple(scale))


def gains_of(contract: SensorContract, gain: float, channel_gains: Mapping[str, float]) -> tuple[float, ...]:
    """The gain of each channel [C]: its own by name, or ``gain``.

    Raises:
        ConfigError: a name that is no channel's.
    """
    unknown = sorted(set(channel_gains) - set(contract.channel_names))
    if unknown:
        raise ConfigError(
            f"training: channel_gains name {unknown}, which the sensor contract does not have; its channels are "
            f"{list(contract.channel_names)}"
        )
    return tuple(channel_gains.get(name, gain) for name in contract.channel_names)


def _added(totals: list[int], more: list[int]) -> list[int]:
    return [total + one for total, one in zip(totals or [0] * len(more), more, strict=True)]


def check_windows(windows: Windows, contract: SensorContract, num_classes: int, *, role: str) -> None:
    """Check that windows can be trained or scored on.

    Args:
        windows: to check.
        contract: which they must fit.
        num_classes: K.
        role: ``training``, ``validation`` or ``test``, for the message.

    Raises:
        DataError: no windows, arrays of different lengths, a label outside 0..K-1, labels of samples that are neither
            that nor UNLABELLED or that end in another label than the window's.
        ContractError: windows of another length or other channels than the contract's.
    """
    counts, labels, groups = windows.counts, windows.labels, windows.groups
    if len(counts) == 0:
        raise DataError(f"{role} windows: there are none; use longer recordings or a shorter window_length")
    if not len(counts) == len(labels) == len(groups):
        raise DataError(
            f"{role} windows: {len(counts)} windows, {len(labels)} labels and {len(groups)} groups; "
            "expected one label and one group for each window"
        )
    if counts.ndim != 3 or counts.shape[1:] != (contract.window_length, contract.num_channels):
        raise ContractError(
            f"{role} windows have shape {list(counts.shape)}; the sensor contract expects "
            f"[windows, {contract.window_length}, {contract.num_channels}]"
        )
    outside = (labels < 0) | (labels >= num_classes)
    if outside.any():
        raise DataError(
            f"{role} windows: window {int(np.argmax(outside))} has label {int(labels[outside][0])}; expected 0 to "
            f"{num_classes - 1}. Drop unlabelled windows before training"
        )
    if windows.sample_labels is not None and not is_stored(
        windows.sample_labels
    ):  # stored ones were made by windows.py
        _check_sample_labels(windows, windows.sample_labels, num_classes, role)


def _check_sample_labels(windows: Windows, labels: NDArray[np.int16], num_classes: int, role: str) -> None:
    expected = windows.counts.shape[:2]
    if labels.shape != expected:
        raise DataError(f"{role} windows: sample_labels have shape {list(labels.shape)}; expected {list(expected)}")
    outside = (labels != UNLABELLED) & ((labels < 0) | (labels >= num_classes))
    if outside.any():
        raise DataError(
            f"{role} windows: a sample of window {int(np.argmax(outside.any(axis=1)))} has label "
            f"{int(labels[outside][0])}; expected 0 to {num_classes - 1}, or {UNLABELLED} where it has none"
        )
    wrong = labels[:, -1] != windows.labels
    if wrong.any():
        window = int(np.argmax(wrong))
        raise DataError(
            f"{role} windows: window {window} has label {int(windows.labels[window])}, but its last sample has "
            f"{int(labels[window, -1])}; expected the same. Cut windows with make_windows"
        )
