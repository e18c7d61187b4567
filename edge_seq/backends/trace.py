"""What a backend did, step by step, in one form for all backends, so that parity is a comparison of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.ir.kinds import kind_of
from edge_seq.ir.model import FloatModel, IntModel


@dataclass(frozen=True)
class Trace:
    """Values of B windows over T steps.

    Attributes:
        values: array [B, T, N] by name, in the order in which a step computes them: ``features`` (after preprocessing),
            for each layer ``layer0.<gate>`` (pre-activation) and ``layer0.cell_state`` / ``layer0.hidden_state``, then
            ``pooled``, ``logits`` (zero where no label was due) and ``label`` (N = 1; -1 where no label was due), and
            of a decision stage ``scores``, with a distance ``excess`` (N = 1), and ``decision``, in the same way (K
            where it is unknown).
    """

    values: Mapping[str, NDArray[Any]]

    @property
    def labels(self) -> NDArray[np.int64]:
        """int64 [B], the label at the end of each window."""
        return np.asarray(self.values["label"][:, -1, 0], dtype=np.int64)

    @property
    def logits(self) -> NDArray[Any]:
        """[B, K], the logits at the end of each window."""
        return np.asarray(self.values["logits"][:, -1])


def trace_names(model: FloatModel | IntModel) -> tuple[str, ...]:
    """All names of a model's trace, in the order of computation."""
    layers = [
        f"layer{index}.{name}"
        for index, cell in enumerate(model.layers)
        for name in (*kind_of(cell).gate_names, *kind_of(cell).state_names)
    ]
    pooled = ["pooled"] if model.readout.pooling == "mean" else []
    stage = model.readout.decision
    by_distance = () if stage is None or stage.unknown_distance is None else ("excess",)
    decided = () if stage is None else ("scores", *by_distance, "decision")
    return ("features", *layers, *pooled, "logits", "label", *decided)
