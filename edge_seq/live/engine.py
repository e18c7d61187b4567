"""What computes the labels of a stream: an interface, and ONNX Runtime behind it.

:mod:`firmware_export.running.host_model` has the other engine, the model's C.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_seq.arithmetic.fixed_point import LOGIT_FRAC_BITS
from edge_seq.ir.contract import SensorContract
from edge_seq.ir.model import Readout
from edge_seq.scores.metrics import softmax

if TYPE_CHECKING:
    from edge_seq.backends.onnx.run import OnnxModel


@dataclass(frozen=True)
class DueLabels:
    """The labels that were due in a block of samples.

    Attributes:
        due: index of the sample in the block after which each label was due, int64 [L].
        labels: class index, int64 [L].
        probabilities: probability of each class, float64 [L, K].
        decisions: output of the decision stage, K for unknown, int64 [L]; None if there is no decision stage.
    """

    due: NDArray[np.int64]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    decisions: NDArray[np.int64] | None


class Engine(Protocol):
    """A model on one stream of samples."""

    @property
    def described(self) -> str:
        """What computes, for people."""

    @property
    def kind(self) -> str:
        """``int`` or ``float``."""

    @property
    def model_sha256(self) -> str:
        """Hash of the model."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, [K]."""

    @property
    def contract(self) -> SensorContract:
        """Sensor contract of the samples."""

    @property
    def label_every(self) -> int:
        """Samples from one label to the next."""

    def reset(self) -> None:
        """Start again: zero states, a new window."""

    def push(self, counts: NDArray[np.int16]) -> DueLabels:
        """Continue with samples, raw counts int16 [n, C]."""


def probabilities_of_logits(logits: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Probabilities float64 [..., K] of integer logits [..., K] in Q16."""
    return softmax(logits.astype(np.float64) / 2.0**LOGIT_FRAC_BITS)


def samples_per_label(readout: Readout, contract: SensorContract) -> int:
    """Samples from one label of a model to the next."""
    return 1 if readout.label_every == "sample" else contract.window_length


class OnnxEngine:
    """An exported step model in ONNX Runtime, one sample after the other.

    Args:
        model: model of form ``step``.
    """

    def __init__(self, model: OnnxModel) -> None:
        self.model = model
        self.kind, self.model_sha256 = model.kind, model.model_sha256
        self.labels, self.contract = model.labels, model.contract
        self.described = "ONNX Runtime"
        self.label_every = samples_per_label(model.readout, model.contract)
        self.reset()

    def reset(self) -> None:
        """Start again: zero states, a new window."""
        from edge_seq.backends.onnx.run import initial_states

        self._states = initial_states(self.model, 1)

    def push(self, counts: NDArray[np.int16]) -> DueLabels:
        """Continue with samples, raw counts int16 [n, C]."""
        from edge_seq.backends.onnx.metadata import COUNTS, DECISION, LABEL, LOGITS, PROBABILITIES
        from edge_seq.backends.onnx.window import NEXT

        due: list[int] = []
        found: list[dict[str, NDArray[Any]]] = []
        for index, sample in enumerate(counts):
            outputs = self.model.run({COUNTS: sample[np.newaxis], **self._states})
            self._states = {name: outputs[name + NEXT] for name in self._states}
            if outputs[LABEL][0] >= 0:
                due.append(index)
                found.append(outputs)
        names = (LABEL, LOGITS, PROBABILITIES, DECISION)
        given = {name: np.array([one[name][0] for one in found]) for name in names if found and name in found[0]}
        if PROBABILITIES in given:
            probabilities = given[PROBABILITIES].astype(np.float64)
        else:
            probabilities = probabilities_of_logits(given.get(LOGITS, np.zeros((0, len(self.labels)), np.int64)))
        decisions = given[DECISION].astype(np.int64) if DECISION in given else None
        labels = given.get(LABEL, np.zeros(0)).astype(np.int64)
        return DueLabels(np.array(due, dtype=np.int64), labels, probabilities, decisions)
