"""Labels and probabilities of windows, and whether a model and data fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_seq.api.data import Data, check_few_beyond_full_scale, counts_of
from edge_seq.ir.contract import contract_to_dict
from edge_seq.ir.model import FloatModel, IntModel
from edge_seq.pipeline.logits import probabilities_of
from edge_seq.support.display import ShownAsTables, Table
from edge_seq.support.errors import ContractError, DataError
from edge_seq.support.figure_text import percent

NO_DECISIONS = (
    "the model has a decision stage, which decides on the labels of a stream; it plays no part where each window is "
    "classified by itself. Run.stream() gives decisions"
)


@dataclass(frozen=True)
class Prediction(ShownAsTables):
    """Labels of windows.

    Attributes:
        labels: [B] class names.
        indices: int64 [B] class indices.
        probabilities: float64 [B, K].
        names: [K] class names, in the order of the indices.
        warning: Says that the model's decision stage was not applied; None if it has none.
    """

    labels: tuple[str, ...]
    indices: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    names: tuple[str, ...]
    warning: str | None = None

    def tables(self) -> Sequence[Table]:
        """Number of windows of each class, and the mean probability of the label among them."""
        rows = []
        for index, name in enumerate(self.names):
            given = self.probabilities[self.indices == index, index]
            rows.append([name, f"{len(given):,}", percent(float(given.mean())) if len(given) else "-"])
        title = f"{len(self.indices):,} windows, each from a reset"
        return (Table(title, ["label", "windows", "mean probability"], rows),)

    def warned(self) -> str | None:
        """Says that the model's decision stage was not applied, if it has one."""
        return self.warning


def predict_windows(model: FloatModel | IntModel, values: ArrayLike) -> Prediction:
    """Classify windows, each from a reset. A decision stage plays no part; the prediction then carries a warning.

    Args:
        model: Float or integer model.
        values: [B, T, C], or [T, C] for one window; integers are raw counts, floats are in the contract's units.

    Raises:
        DataError: the shape does not fit the contract.
        ContractError: most values of a channel lie beyond its full scale, so they are in another unit.
    """
    counts = counts_of(values, model.contract)
    check_few_beyond_full_scale(values, model.contract, name=f"for {model.name}", largest_share=0.5)
    counts = counts[np.newaxis] if counts.ndim == 2 else counts
    length = model.contract.window_length
    if counts.ndim != 3 or counts.shape[1] != length or not len(counts):
        raise DataError(
            f"predicting with {model.name}: values are {list(np.shape(values))}; expected [B, {length}, "
            f"{model.num_channels}], or one window [{length}, {model.num_channels}]"
        )
    shares = probabilities_of(model, counts)
    indices = shares.argmax(axis=1)
    warning = None if model.readout.decision is None else NO_DECISIONS
    return Prediction(tuple(model.labels[index] for index in indices), indices, shares, model.labels, warning)


def check_same_contract(model: FloatModel | IntModel, data: Data, *, doing: str) -> None:
    """Check that data are measured and cut as a model expects. The stride of the windows may differ.

    Args:
        model: Float or integer model.
        data: Data to use with it.
        doing: Beginning of the message.

    Raises:
        ContractError: a field of the contract differs; the message names each with both values.
    """
    wanted, found = contract_to_dict(model.contract), contract_to_dict(data.contract)
    differing = [
        f"{field} of the data {found[field]}, of the model {wanted[field]}"
        for field in wanted
        if field != "window_stride" and wanted[field] != found[field]
    ]
    if differing:
        raise ContractError(
            f"{doing}: the data have another sensor contract: {'; '.join(differing)}. Give data with the contract of "
            "the model, or train with these data"
        )


def check_fits(model: FloatModel | IntModel, data: Data, *, doing: str) -> None:
    """Check that data have the sensor contract and the labels of a model.

    Args:
        model: Float or integer model.
        data: Data to use with it.
        doing: Beginning of the message.

    Raises:
        ContractError: the contract differs.
        DataError: the labels differ, or their order.
    """
    check_same_contract(model, data, doing=doing)
    if model.labels != data.labels:
        raise DataError(
            f"{doing}: labels of the data are {list(data.labels)}, those of the model {list(model.labels)}; expected "
            "the same in the same order"
        )
