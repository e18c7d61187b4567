"""Logits and probabilities of many windows. Integer logits come from compiled C if there are many windows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_seq.arithmetic.fixed_point import LOGIT_FRAC_BITS
from edge_seq.backends.reference_float import run_float
from edge_seq.backends.reference_int import NO_LABEL, run_stream
from edge_seq.data.stored import blocks
from edge_seq.data.windows import spread
from edge_seq.ir.model import FloatFormat, FloatModel, IntModel
from edge_seq.scores.metrics import softmax
from edge_seq.support.errors import DataError, ParityError, ToolError
from firmware_export.running.host_model import load_model_library
from firmware_export.toolchain.host_library import infer_windows

BATCH = 512


def float_logits(model: FloatModel, counts: NDArray[np.int16]) -> NDArray[np.float64]:
    """Compute the logits float64 [B, K] of the float reference at the end of each window of int16 [B, T, C]."""
    logits = [run_float(model, counts[i : i + BATCH]).logits for i in range(0, len(counts), BATCH)]
    return np.concatenate(logits).astype(np.float64)


SPOT_WINDOWS = 8  # windows on which the C is compared with the reference each time


def reference_logits(model: IntModel, counts: NDArray[np.int16]) -> NDArray[np.int64]:
    """Compute the logits int64 [B, K], Q16, of the integer reference at the end of each window of int16 [B, T, C].

    Raises:
        DataError: no label is due after T samples.
    """
    logits = []
    for start in range(0, len(counts), BATCH):
        last: dict[str, NDArray[np.int64]] = {}
        for values in run_stream(model, counts[start : start + BATCH]):
            last = values
        if (last["label"] == NO_LABEL).any():
            raise DataError(
                f"evaluating {model.name}: windows of {counts.shape[1]} samples end without a label; give windows of "
                f"{model.contract.window_length} samples, as in the contract"
            )
        logits.append(last["logits"])
    return np.concatenate(logits)


def logits_on_host(model: IntModel, counts: NDArray[np.int16]) -> NDArray[np.int32] | None:
    """Compute the same logits with the C export compiled for this machine.

    The first build takes some seconds; a window then takes far less time than with the reference. Some windows are
    also run by the reference and compared.

    Args:
        model: integer model.
        counts: int16 [B, T, C], B at least 1.

    Returns:
        Logits int32 [B, K], Q16; None if this machine has no C compiler that makes a library it can load.

    Raises:
        DataError: no label is due after T samples.
        ParityError: the C differs from the reference.
    """
    chosen = spread(len(counts), SPOT_WINDOWS)
    expected = reference_logits(model, counts[chosen])
    try:
        library = load_model_library(model)
    except ToolError:
        return None
    logits = np.concatenate([infer_windows(library, block)[0] for block in blocks(counts)])
    differs = (logits[chosen] != expected).any(axis=1)
    if differs.any():
        first = int(differs.argmax())
        found = (
            f"evaluating {model.name} with C on the host: window {chosen[first]} gives logits "
            f"{logits[chosen[first]].tolist()}, the integer reference gives {expected[first].tolist()}. The compiler "
            "or this release is at fault: "
        )
        raise ParityError(
            f"{found}run edge-seq verify, which locates the gate",
            in_python=f"{found}call es.verify, which locates the gate",
        )
    return logits


STEPS_WORTH_A_BUILD = 500_000  # windows times samples, for which the reference takes longer than the build of the C


def int_logits(model: IntModel, counts: NDArray[np.int16]) -> NDArray[np.int64]:
    """Compute the logits int64 [B, K], Q16, of the integer model at the end of each window of int16 [B, T, C].

    Compiled C computes them if there are many windows and a compiler, otherwise the integer reference. Both give the
    same logits.

    Raises:
        DataError: no label is due after T samples.
        ParityError: the C differs from the reference.
    """
    logits = logits_on_host(model, counts) if counts.shape[0] * counts.shape[1] >= STEPS_WORTH_A_BUILD else None
    return reference_logits(model, counts) if logits is None else logits.astype(np.int64)


def real_logits(model: IntModel, counts: NDArray[np.int16]) -> NDArray[np.float64]:
    """Compute the integer model's logits as real numbers, float64 [B, K]."""
    return int_logits(model, counts) / 2.0**LOGIT_FRAC_BITS


def probabilities_of(model: FloatModel | IntModel, counts: NDArray[np.int16]) -> NDArray[np.float64]:
    """Compute the probabilities float64 [B, K] of a model at the end of each window of int16 [B, T, C].

    Raises:
        DataError: no label is due after T samples.
        ParityError: the C of an integer model differs from the reference.
    """
    return softmax(logits_of(model, counts))


def logits_of(model: FloatModel | IntModel, counts: NDArray[np.int16]) -> NDArray[np.float64]:
    """Compute the logits float64 [B, K] of a model at the end of each window of int16 [B, T, C].

    Raises:
        DataError: no label is due after T samples.
        ParityError: the C of an integer model differs from the reference.
    """
    if isinstance(model.number_format, FloatFormat):
        return float_logits(model, counts)
    return real_logits(model, counts)
