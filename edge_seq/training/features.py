"""Preparation of raw counts for a float network, the same in training, prediction and baselines. numpy only."""

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
    """Apply the contract's integer preprocessing to windows.

    Args:
        counts: int16 [B, T, C], raw counts; T may differ from the contract's window length.
        contract: sensor contract with the channels and the preprocessing.

    Returns:
        int16 [B, T, F].

    Raises:
        ContractError: the array is not int16 [B, T, C] with the contract's C.
    """
    if counts.ndim != 3 or counts.dtype != np.int16 or counts.shape[2] != contract.num_channels:
        raise ContractError(
            f"windows are {counts.dtype} {list(counts.shape)}; expected int16 [windows, samples, "
            f"{contract.num_channels}] with the channels {list(contract.channel_names)}"
        )
    return preprocess(counts, contract)


def fit_normalisation(counts: NDArray[np.int16], *, gain: float | Sequence[float] = 1.0) -> Normalisation:
    """Compute mean and standard deviation of each feature, in counts. Pass training windows only.

    Sums are exact integers, so windows in several pieces give the same result. A constant feature gets the scale
    1 / gain, so that no division by zero occurs.

    Args:
        counts: int16 [B, T, F], preprocessed.
        gain: standard deviation of the normalised features, one for all or one for each [F].

    >>> fit_normalisation(np.array([[[1, 7], [3, 7]]], dtype=np.int16))
    Normalisation(mean=(2.0, 7.0), scale=(1.0, 1.0))
    """
    return fit_normalisation_in_pieces([counts], gain=gain)


def fit_normalisation_in_pieces(
    pieces: Iterable[NDArray[np.int16]], *, gain: float | Sequence[float] = 1.0
) -> Normalisation:
    """Compute the normalisation of windows that come in several pieces, each int16 [B, T, F].

    The result is that of :func:`fit_normalisation` for all windows together.

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
    # count^2 times the variance, an exact integer.
    spread = [count * square - total * total for square, total in zip(squares, sums, strict=True)]
    deviations = [math.sqrt(one / (count * count)) for one in spread]
    gains = [float(gain)] * len(mean) if isinstance(gain, int | float) else list(gain)
    scale = [(1.0 if one < 1e-6 else one) / factor for one, factor in zip(deviations, gains, strict=True)]
    return Normalisation(mean=tuple(mean), scale=tuple(scale))


def gains_of(contract: SensorContract, gain: float, channel_gains: Mapping[str, float]) -> tuple[float, ...]:
    """Give the gain of each feature [F]: the one under its name, or else ``gain``.

    Raises:
        ConfigError: a name is not a feature of the contract.
    """
    unknown = sorted(set(channel_gains) - set(contract.feature_names))
    if unknown:
        raise ConfigError(
            f"training: channel_gains name {unknown}, which the sensor contract does not have; its features are "
            f"{list(contract.feature_names)}"
        )
    return tuple(channel_gains.get(name, gain) for name in contract.feature_names)


def _added(totals: list[int], more: list[int]) -> list[int]:
    return [total + one for total, one in zip(totals or [0] * len(more), more, strict=True)]


def check_windows(windows: Windows, contract: SensorContract, num_classes: int, *, role: str) -> None:
    """Check that windows can be used for training or scoring.

    Args:
        windows: windows to check.
        contract: sensor contract that they must fit.
        num_classes: K.
        role: ``training``, ``validation`` or ``test``; begins the message.

    Raises:
        DataError: there are no windows, arrays differ in length, a label is outside 0..K-1, the label of a sample is
            neither in that range nor UNLABELLED, or the last sample of a window has another label than the window.
        ContractError: the length of the windows or the number of channels is not the contract's.
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
    ):  # those on disk were cut by make_windows
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
