"""Integer logits of many windows: by the exported C at this machine's full speed, or by the reference it equals."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.reference_int import NO_LABEL, run_stream
from edge_seq.data.stored import blocks
from edge_seq.ir.model import IntModel
from edge_seq.support.errors import DataError, ParityError, ToolError
from edge_seq.workflow.reliability import BATCH
from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from firmware_export.toolchain.host_library import infer_windows, load_host_library

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
