"""Logits and probabilities of many windows, float and integer; the integer ones by compiled C where that pays."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.arithmetic.fixed_point import LOGIT_FRAC_BITS
from edge_seq.backends.reference_float import run_float
from edge_seq.backends.reference_int import NO_LABEL, run_stream
from edge_seq.data.stored import blocks
from edge_seq.ir.model import FloatModel, IntModel
from edge_seq.scores.metrics import softmax
from edge_seq.support.errors import DataError, ParityError, ToolError
from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from firmware_export.toolchain.host_library import infer_windows, load_host_library

BATCH = 512


def float_logits(model: FloatModel, counts: NDArray[np.int16]) -> NDArray[np.float64]:
    """Logits float64 [B, K] of the float reference at the end of each window of int16 [B, T, C]."""
    logits = [run_float(model, counts[i : i + BATCH]).logits for i in range(0, len(counts), BATCH)]
    return np.concatenate(logits).astype(np.float64)


SPOT_WINDOWS = 8  # compared with the reference each time


def reference_logits(model: IntModel, counts: NDArray[np.int16]) -> NDArray[np.int64]:
    """Logits int64 [B, K], Q16, of the integer reference at the end of each window of int16 [B, T, C].

    Raises:
        DataError: where no label is due after T samples.
    """
    logits = []
    for start in range(0, len(counts), BATCH):
        last: dict[str, NDArray[np.int64]] = {}
        for values in run_stream(model, counts[start : start + BATCH]):
            last = values
        if (last["label"] == NO_LABEL).any():
            raise DataError(
                f"evaluating {model.name}: windows of {counts.shape[1]} samples end without a label; the contract says "
                f"{model.contract.window_length}"
            )
        logits.append(last["logits"])
    return np.concatenate(logits)


def logits_on_host(model: IntModel, counts: NDArray[np.int16]) -> NDArray[np.int32] | None:
    """The same logits, of the C export compiled for this machine: some seconds to build, then far less a window.

    Args:
        model: integer model; exported and built in a temporary folder.
        counts: int16 [B, T, C], B at least 1.

    Returns:
        int32 [B, K], Q16; None where this machine has no C compiler, or none that makes a library it can load.

    Raises:
        DataError: where no label is due after T samples.
        ParityError: where a window that is run by the reference too comes out differently.
    """
    chosen = np.unique(np.linspace(0, len(counts) - 1, SPOT_WINDOWS).astype(int))
    expected = reference_logits(model, counts[chosen])
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # Windows keeps what is loaded
        export_c(model, make_golden(model, counts[:1]), Path(folder) / "c")
        try:
            library = load_host_library(Path(folder) / "c", model, Path(folder) / "library.so")
        except ToolError:
            return None
        logits = np.concatenate([infer_windows(library, block)[0] for block in blocks(counts)])
    differs = (logits[chosen] != expected).any(axis=1)
    if differs.any():
        first = int(differs.argmax())
        raise ParityError(
            f"evaluating {model.name} with C on the host: window {chosen[first]} gives logits "
            f"{logits[chosen[first]].tolist()}, expected {expected[first].tolist()} as of the integer reference. The "
            "compiler or this release is at fault: run edge-seq verify, which names the gate"
        )
    return logits


STEPS_WORTH_A_BUILD = 500_000  # windows times samples; the reference takes longer for them than a build


def float_probabilities(model: FloatModel, counts: NDArray[np.int16]) -> NDArray[np.float64]:
    """Probabilities float64 [B, K] of the float reference at the end of each window of int16 [B, T, C]."""
    return softmax(float_logits(model, counts))


def int_logits(model: IntModel, counts: NDArray[np.int16]) -> NDArray[np.int64]:
    """Integer logits int64 [B, K], Q16, at the end of each window of int16 [B, T, C]: those of the reference, by C
    where that pays for its build and there is a compiler.

    Raises:
        DataError: where no label is due after T samples.
        ParityError: where the C differs.
    """
    logits = logits_on_host(model, counts) if counts.shape[0] * counts.shape[1] >= STEPS_WORTH_A_BUILD else None
    return reference_logits(model, counts) if logits is None else logits.astype(np.int64)


def int_probabilities(model: IntModel, counts: NDArray[np.int16]) -> NDArray[np.float64]:
    """Probabilities float64 [B, K] from the integer logits."""
    return softmax(real_logits(model, counts))


def real_logits(model: IntModel, counts: NDArray[np.int16]) -> NDArray[np.float64]:
    """What the integer logits stand for, float64 [B, K]."""
    return int_logits(model, counts) / 2.0**LOGIT_FRAC_BITS
