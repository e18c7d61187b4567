"""edge-seq quantize: makes the integer model of a run from its float model, and measures the quantisation cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from edge_seq.data.window_file import counts_hash, load_windows
from edge_seq.ir.model import deployed_bytes, model_hash, num_parameters, weight_bytes
from edge_seq.ir.range_proof import range_bounds
from edge_seq.ir.serialize import save_model
from edge_seq.pipeline.models import QUANTIZE_STEPS, quantize_model
from edge_seq.pipeline.prepare import split_note
from edge_seq.quant.calibrate import count_saturation
from edge_seq.quant.gate_error import gate_errors
from edge_seq.scores.reliability import reliability
from edge_seq.support.errors import DataError
from edge_seq.support.json_tables import load_json, save_json
from edge_seq.workflow.folder import RunFolder, load_run_config, load_run_float, temperature_of_run, writes_to_run

Progress = Callable[[int, int, str], None]


@writes_to_run
def quantize_run(run: RunFolder, *, progress: Progress = lambda *_: None) -> dict[str, Any]:
    """Calibrate, quantize, prove and save; count saturation and measure the cost on validation windows.

    Args:
        run: Folder of a trained run.
        progress: Called with steps done, steps in all, and the current step.

    Returns:
        Content of quantization.json.

    Raises:
        ConfigError, ModelError, DataError: as the steps say.
    """
    total = QUANTIZE_STEPS + 1
    model = load_run_float(run)
    side = "validation" if run.windows("validation").is_file() else "train"
    windows = load_windows(run.windows(side), num_classes=model.num_classes)
    streams = load_streams(run)
    made = quantize_model(model, streams, windows, progress=lambda done, what: progress(done, total, what))
    quantized, calibration = made.model, made.calibration
    progress(QUANTIZE_STEPS, total, "counting saturation, proving ranges")
    summary = {
        "model_hash": model_hash(quantized),
        "float_model_hash": model_hash(model),
        **split_note(load_run_config(run), load_json(run.training) if run.training.is_file() else None).to_dict(),
        "parameters": num_parameters(model),
        "weight_bytes": weight_bytes(quantized),
        "deployed_bytes": deployed_bytes(quantized),
        "calibration": {key: value for key, value in vars(calibration).items() if key != "moments"},
        "input_shift": quantized.number_format.input_shift,
        "cell_frac_bits": quantized.number_format.cell_frac_bits,
        "saturation": [{**asdict(s), "share": s.share} for s in count_saturation(quantized, streams)],
        "by_gate": [asdict(error) for error in gate_errors(model, quantized, streams)],
        "cost": {"side": side, **asdict(made.cost)},
        "reliability": {
            "side": side,
            **reliability(windows.labels, temperature_of_run(run), made.logits).to_dict(),
        },
        "range_proof": [{**asdict(b), "slack": b.slack} for b in range_bounds(quantized)],
    }
    if run.decision.is_file():  # it belonged to the integer model that is replaced
        summary["note"] = (
            f"the decision stage was part of the earlier integer model and is gone; run {run.command('decide')} again"
        )
        run.decision.unlink()
    save_model(quantized, run.int_model)
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
        streams: NDArray[np.int16] = safetensors.numpy.load(path.read_bytes())["counts"]
    except (OSError, KeyError, safetensors.SafetensorError) as error:
        raise DataError(
            f"reading {path.name}: no calibration streams ({type(error).__name__}); run edge-seq train again"
        ) from error
    if streams.dtype != np.int16 or streams.ndim != 3:
        raise DataError(
            f"reading {path.name}: {streams.dtype} {list(streams.shape)}; expected int16 counts [B, T, C]; run "
            "edge-seq train again"
        )
    expected = load_json(run.data_hashes).get(path.stem) if run.data_hashes.is_file() else None
    if expected is not None and counts_hash(streams) != expected:
        raise DataError(
            f"reading {path.name}: these are not the calibration streams that the run was trained with (SHA-256 "
            f"{counts_hash(streams)[:16]}..., {run.data_hashes.name} says {str(expected)[:16]}...); run "
            "edge-seq train again"
        )
    return streams
