"""edge-seq quantize: makes the integer model of a run from its float model, and measures the quantisation cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.window_file import counts_hash, hash_of_training, load_windows
from edge_seq.ir.serialize import save_model
from edge_seq.pipeline.quantization import (
    QUANTIZE_STEPS,
    QuantizationSummary,
    cost_side,
    quantize_model,
    summarise_quantization,
)
from edge_seq.support.errors import DataError
from edge_seq.support.json_tables import save_json
from edge_seq.support.opening import load_tensors
from edge_seq.workflow.folder import (
    RunFolder,
    load_run_config,
    load_run_float,
    load_validated,
    note_of_run,
    require_recordings,
    temperature_of_run,
    writes_to_run,
)

Progress = Callable[[int, int, str], None]


@writes_to_run
def quantize_run(
    run: RunFolder, *, weight_bits: Sequence[int] = (), progress: Progress = lambda *_: None
) -> QuantizationSummary:
    """Calibrate, quantize, prove and save; count saturation and measure the cost on validation windows.

    Args:
        run: Folder of a trained run.
        weight_bits: Bits of the recurrent layers' weights on states, one number for all layers or one for each; by
            default those of the run's configuration.
        progress: Called with steps done, steps in all, and the current step.

    Returns:
        The record, which is also written to quantization.json.

    Raises:
        ConfigError, ModelError, DataError: as the steps say.
    """
    total = QUANTIZE_STEPS + 1
    require_recordings(run, doing="quantizing")
    model = load_run_float(run)
    side = cost_side(lambda side: run.windows(side).is_file())
    windows = load_windows(run.windows(side), num_classes=model.num_classes)
    streams = load_streams(run)
    config = load_run_config(run).quantization
    made = quantize_model(
        model,
        streams,
        windows,
        weight_bits=weight_bits or config.weight_bits,
        progress=lambda done, what: progress(done, total, what),
    )
    unseen = None
    if (validated := load_validated(run)) is not None:
        bits = weight_bits or config.weight_bits
        unseen = quantize_model(validated, streams, windows, weight_bits=bits).logits
    progress(QUANTIZE_STEPS, total, "counting saturation, proving ranges")
    note = None
    if run.decision.is_file():  # it belonged to the integer model that is replaced
        note = (
            f"the decision stage was part of the earlier integer model and is gone; run {run.command('decide')} again"
        )
    summary = summarise_quantization(
        model,
        made,
        streams,
        windows,
        side=side,
        split=note_of_run(run),
        temperature=temperature_of_run(run),
        least_agreement=config.min_agreement_rate,
        unseen=unseen,
        note=note,
    )
    run.decision.unlink(missing_ok=True)
    save_model(made.model, run.int_model)
    save_json(run.quantization, summary)
    progress(total, total, "done")
    return summary


def load_streams(run: RunFolder) -> NDArray[np.int16]:
    """Load the calibration streams of a run, int16 [B, T, C].

    Raises:
        DataError: there are none, or they are not those of the training.
    """
    path = run.calibration_streams
    try:
        streams: NDArray[np.int16] = load_tensors(path)[0]["counts"]
    except FileNotFoundError as error:
        raise DataError(f"reading {path.name}: no calibration streams; run edge-seq train again") from error
    except (OSError, KeyError, ValueError) as error:
        raise DataError(
            f"reading {path.name}: no calibration streams ({type(error).__name__}: {error}); run edge-seq train again"
        ) from error
    if streams.dtype != np.int16 or streams.ndim != 3:
        raise DataError(
            f"reading {path.name}: {streams.dtype} {list(streams.shape)}; expected int16 counts [B, T, C]; run "
            "edge-seq train again"
        )
    expected = hash_of_training(run.data_hashes, path.stem)
    if expected is not None and counts_hash(streams) != expected:
        raise DataError(
            f"reading {path.name}: these are not the calibration streams that the run was trained with (SHA-256 "
            f"{counts_hash(streams)[:16]}..., {run.data_hashes.name} says {expected[:16]}...); run "
            "edge-seq train again"
        )
    return streams
