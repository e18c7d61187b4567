"""Golden vectors: results of the integer reference for a few windows, stored with the model in its firmware."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.reference_int import NO_LABEL, begin_window, reset_state, sample, state_words
from edge_seq.ir.model import IntModel, model_hash
from edge_seq.support.errors import ExportError

_MAX_16_BIT = 2**16 - 1
UNKNOWN = 0xFFFE  # ES_UNKNOWN of edge_seq.h


@dataclass(frozen=True)
class GoldenVectors:
    """Golden vectors of W windows with N samples and L labels each, each from a reset.

    Attributes:
        model_hash: hash of the model.
        counts: int16 [W, N, C], raw counts.
        state_crc: uint32 [W, N], CRC-32 of all layers' states after each step.
        logits: int32 [W, L, K], Q16.
        labels: uint16 [W, L], class indices.
        decisions: uint16 [W, L], class indices or ``UNKNOWN``; None without a decision stage.
    """

    model_hash: str
    counts: NDArray[np.int16]
    state_crc: NDArray[np.uint32]
    logits: NDArray[np.int32]
    labels: NDArray[np.uint16]
    decisions: NDArray[np.uint16] | None = None


def make_golden(model: IntModel, counts: NDArray[np.int16]) -> GoldenVectors:
    """Run the reference and record golden vectors.

    Args:
        model: verified integer model.
        counts: raw counts, int16 [W, N, C]; only a few windows, as they are stored in flash.

    Raises:
        ExportError: the counts do not fit the model, or no label is due in them.
    """
    if counts.dtype != np.int16 or counts.ndim != 3 or counts.shape[2] != model.num_channels or not counts.size:
        raise ExportError(
            f"golden vectors of {model.name}: counts are {counts.dtype} {list(counts.shape)}; expected int16 "
            f"[windows, steps, {model.num_channels}] with at least one of each"
        )
    windows, num_steps, _ = counts.shape
    if max(windows, num_steps) > _MAX_16_BIT:
        raise ExportError(
            f"golden vectors of {model.name}: {windows} windows of {num_steps} samples; at most {_MAX_16_BIT} of each. "
            "Give fewer: they are stored in flash"
        )
    # The reference clears the states when a window ends, C when the next one begins, so that they can be read until
    # then. This loop therefore handles the window's end itself.
    state = reset_state(model, windows)
    crc = np.zeros((windows, num_steps), dtype=np.uint32)
    logits, labels, decisions = [], [], []
    for t in range(num_steps):
        if state.step_in_window == model.contract.window_length:
            state = begin_window(model, state)
        state, values = sample(model, counts[:, t], state)
        rows = np.ascontiguousarray(np.concatenate(state_words(model, state), axis=1).astype("<i2"))
        crc[:, t] = [zlib.crc32(row.tobytes()) for row in rows]
        if values["label"][0, 0] != NO_LABEL:
            logits.append(values["logits"])
            labels.append(values["label"][:, 0])
            decisions.append(values["decision"][:, 0] if "decision" in values else labels[-1])
    if not labels:
        raise ExportError(
            f"golden vectors of {model.name}: no label is due in {num_steps} samples; give whole windows of "
            f"{model.contract.window_length}"
        )
    return GoldenVectors(
        model_hash(model),
        counts.copy(),
        crc,
        np.stack(logits, axis=1).astype(np.int32),
        np.stack(labels, axis=1).astype(np.uint16),
        _as_c_gives_them(model, np.stack(decisions, axis=1)),
    )


def _as_c_gives_them(model: IntModel, decisions: NDArray[np.int64]) -> NDArray[np.uint16] | None:
    """Decisions with ``ES_UNKNOWN`` for unknown; None without a decision stage."""
    if model.readout.decision is None:
        return None
    return np.where(decisions == model.num_classes, UNKNOWN, decisions).astype(np.uint16)
