"""Import of a network of another framework: conversion, and checks of it against the data and the network itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.preprocess import normalise, preprocess
from edge_seq.backends.reference_float import float_features, run_float
from edge_seq.data.recording import Windows, select_windows
from edge_seq.data.windows import spread
from edge_seq.frontends.chain import ImportedChain
from edge_seq.frontends.lower import Lowered, lower
from edge_seq.frontends.originals import Original
from edge_seq.frontends.scaler import scaler_in_counts, warn_of_scale
from edge_seq.ir.contract import Normalisation, SensorContract
from edge_seq.ir.model import AtWindowEnd
from edge_seq.support.errors import ContractError, ModelError

WINDOWS_SCORED = 1000  # of the training part, spread evenly, to find out whether the order of the classes fits
MOST_PERMUTED = 7  # classes; more are not tried in every order
BETTER_ORDER = 0.1  # of accuracy


@dataclass(frozen=True)
class Imported:
    """An imported model.

    Attributes:
        lowered: The float model, and how it relates to the network.
        original: The network itself, for the first rung of the ladder.
        scaler: What the network gets: (preprocessed counts - mean) / scale.
        warnings: What may be wrong with the import, one sentence each.
        accuracy: Share of training windows that get their label; None without data.
    """

    lowered: Lowered
    original: Original
    scaler: Normalisation
    warnings: tuple[str, ...] = ()
    accuracy: float | None = None

    def network_input(self, counts: NDArray[np.int16]) -> NDArray[np.float32]:
        """What the network gets for raw counts int16 [B, T, C]: float32 [B, T, C]."""
        return normalise(preprocess(counts, self.lowered.model.contract), self.scaler)


def import_chain(
    chain: ImportedChain,
    original: Callable[[Lowered], Original],
    *,
    name: str,
    labels: Sequence[str],
    contract: SensorContract,
    class_order: Sequence[str] | None = None,
    mean: Sequence[float] | None = None,
    scale: Sequence[float] | None = None,
    at_window_end: AtWindowEnd = "reset",
    train: Windows | None = None,
    calibration: NDArray[np.int16] | None = None,
) -> Imported:
    """Convert a chain to a float model and check it against data.

    Args:
        chain: The network, from a front end.
        original: Makes the description by which the network itself is evaluated.
        name: Name of the model, a C identifier in lower case.
        labels: [K] class names of the data, in the order of the class indices.
        contract: Sensor contract.
        class_order: [K] class names in the order of the network's outputs; None if that is the order of ``labels``.
        mean, scale: Scaler that was applied before the network, in the contract's units; None for none.
        at_window_end: ``reset`` or ``carry``, see :class:`edge_seq.ir.model.Readout`.
        train: Labelled windows, to find out whether the order of the classes fits.
        calibration: int16 [B, T, C], to find out whether a scaler is missing.

    Raises:
        ModelError: The network cannot be represented, or its number of classes differs.
        ContractError: Channels or window length differ, or the contract has a companding or magnitudes.
        ConfigError: The scaler does not fit the channels.
    """
    if contract.preprocessing.companding is not None or contract.preprocessing.magnitude:
        raise ContractError(
            f"importing {name}: the data source has the preprocessing {contract.preprocessing.text!r}; an imported "
            "network and its scaler take values in proportion to counts, one of each channel. Leave companding and "
            "magnitude out of the data source"
        )
    scaler = scaler_in_counts(contract, mean, scale)
    lowered = lower(
        chain,
        name=name,
        labels=labels,
        contract=contract,
        scaler=scaler,
        class_order=class_order,
        at_window_end=at_window_end,
    )
    warnings = [_warn_of_preprocessing(contract)]
    if calibration is not None:
        warnings.append(warn_of_scale(float_features(lowered.model, calibration), contract))
    accuracy = None
    if train is not None:
        chosen = spread(len(train.labels), WINDOWS_SCORED)
        seen = select_windows(train, chosen)
        predicted = run_float(lowered.model, np.asarray(seen.counts)).logits.argmax(axis=1)
        accuracy = float((predicted == seen.labels).mean())
        warnings.append(_warn_of_order(predicted, seen.labels, lowered, accuracy))
    kept = tuple(one for one in warnings if one is not None)
    return Imported(lowered, original(lowered), scaler, kept, accuracy)


def _warn_of_preprocessing(contract: SensorContract) -> str | None:
    """Warn of a step of the contract that the network may not have been trained with."""
    step = contract.preprocessing.step
    if step == "none":
        return None
    return (
        f"the data source has the preprocessing {step!r}, which is applied before the network. If it was trained "
        'without, set step = "none"'
    )


def _warn_of_order(
    predicted: NDArray[np.integer[Any]], labels: NDArray[np.integer[Any]], lowered: Lowered, accuracy: float
) -> str | None:
    """Warn if another order of the classes fits the labels much better."""
    names = lowered.model.labels
    if len(names) > MOST_PERMUTED:
        return None
    confusion = np.zeros((len(names), len(names)), dtype=np.int64)  # [predicted, label]
    np.add.at(confusion, (predicted, labels), 1)
    rows = np.arange(len(names))
    best = max(permutations(range(len(names))), key=lambda order: int(confusion[rows, list(order)].sum()))
    found = confusion[rows, list(best)].sum() / len(labels)
    if found - accuracy < BETTER_ORDER:
        return None
    meant = [names[best[label]] for label in np.argsort(lowered.class_order)]
    return (
        f"another order of the classes fits {len(labels):,} training windows better: {100 * found:.1f} % of the labels "
        f"right, instead of {100 * accuracy:.1f} %. If the network was trained with that order, give: --labels "
        f"{','.join(meant)}"
    )


def check_labels(labels: Sequence[str], what: str) -> tuple[str, ...]:
    """Class names that are given without data.

    Raises:
        ModelError: there are none.
    """
    if not labels:
        raise ModelError(
            f"importing {what}: without recordings the names of the classes are not known; give them with --labels, in "
            "the order of the network's outputs"
        )
    return tuple(labels)
