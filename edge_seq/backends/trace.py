"""Traces: the values of each step in one form for all backends, so that parity is a comparison of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.ir.kinds import kind_of
from edge_seq.ir.model import POOLED_NAMES, FloatModel, IntModel


@dataclass(frozen=True)
class Trace:
    """Values of B windows over T steps.

    Attributes:
        values: array [B, T, N] by name, in the order of computation. These are ``features`` (after preprocessing);
            ``front0`` and so on, latest outputs of front layers;
            for each layer ``layer0.<gate>`` (pre-activation) and ``layer0.cell_state`` / ``layer0.hidden_state``;
            ``pooled`` (the mean of the states) and ``pooled_max`` (their largest values), if they are read out;
            ``dense0`` and so on, outputs of dense layers; ``logits`` (zero if no label is due) and ``label`` (N = 1; -1
            if none is due). A decision stage adds ``scores``, with a distance ``excess`` (N = 1), and
            ``decision`` (N = 1; K for unknown, -1 if none is due).
    """

    values: Mapping[str, NDArray[Any]]

    @property
    def labels(self) -> NDArray[np.int64]:
        """Label at the end of each window, int64 [B]."""
        return np.asarray(self.values["label"][:, -1, 0], dtype=np.int64)

    @property
    def logits(self) -> NDArray[Any]:
        """Logits at the end of each window, [B, K]."""
        return np.asarray(self.values["logits"][:, -1])


def trace_names(model: FloatModel | IntModel) -> tuple[str, ...]:
    """All names of a model's trace, in the order of computation."""
    layers = [
        f"layer{index}.{name}"
        for index, cell in enumerate(model.layers)
        for name in (*kind_of(cell).gate_names, *kind_of(cell).state_names)
    ]
    pooled = [POOLED_NAMES[one] for one in model.readout.statistics]
    stage = model.readout.decision
    by_distance = () if stage is None or stage.unknown_distance is None else ("excess",)
    decided = () if stage is None else ("scores", *by_distance, "decision")
    front = [f"front{index}" for index in range(len(model.front))]
    dense = [f"dense{index}" for index in range(len(model.dense))]
    return ("features", *front, *layers, *pooled, *dense, "logits", "label", *decided)
