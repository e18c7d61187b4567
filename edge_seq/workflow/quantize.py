"""edge-seq quantize: makes the integer model of a run from its float model, and measures the quantisation cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.window_file import counts_hash, load_windows
from edge_seq.ir.model import deployed_bytes, model_hash, num_parameters, weight_bytes
from edge_seq.ir.range_proof import Bound, range_bounds
from edge_seq.ir.serialize import save_model
from edge_seq.pipeline.models import QUANTIZE_STEPS, quantize_model
from edge_seq.pipeline.prepare import split_note
from edge_seq.quant.calibrate import Saturation, count_saturation
from edge_seq.quant.gate_error import GateError, gate_errors
from edge_seq.scores.agreement import QuantisationCost
from edge_seq.scores.evaluation import SplitNote
from edge_seq.scores.reliability import Reliability, reliability
from edge_seq.support.errors import DataError
from edge_seq.support.json_tables import load_json, save_json
from edge_seq.support.opening import load_tensors
from edge_seq.support.results import Result, written
from edge_seq.workflow.folder import RunFolder, load_run_config, load_run_float, temperature_of_run, writes_to_run

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Ranges(Result):
    """Ranges that calibration saw; fields as in :class:`edge_seq.quant.calibrate.Calibration`, without the moments."""

    feature_limit: tuple[int, ...]
    cell_limit: tuple[float, ...]
    num_windows: int
    num_steps: int


@dataclass(frozen=True)
class CostOnSide(Result):
    """Cost of integers on the windows of one side of the split."""

    side: str
    cost: QuantisationCost = field(metadata=written(inline=True))


@dataclass(frozen=True)
class ReliabilityOnSide(Result):
    """Calibration of the models on the windows of one side of the split."""

    side: str
    reliability: Reliability = field(metadata=written(inline=True))


@dataclass(frozen=True, kw_only=True)
class QuantizationSummary(Result):
    """Record of a quantisation, as in quantization.json.

    Attributes:
        model_hash: Hash of the integer model.
        float_model_hash: Hash of the float model that it was made from.
        split_note: Kind of split, with a warning where it makes scores less certain.
        parameters: Number of trainable numbers of the float model.
        weight_bytes: Bytes of weights and biases, without padding and multipliers.
        deployed_bytes: Bytes of all arrays as they lie in flash.
        calibration: Ranges seen on the calibration streams.
        input_shift: [C], left shift of each feature.
        cell_frac_bits: [L], fractional bits of each layer's calibrated state.
        saturation: How often traced values were at the end of their range.
        by_gate: Error of each gate and state against the float model.
        cost: Agreement of the two models.
        reliability: Calibration before and after the temperature.
        range_proof: Bounds of accumulators and intermediates.
        note: What the quantisation did to a decision stage; None where there was none.
    """

    model_hash: str
    float_model_hash: str
    split_note: SplitNote = field(metadata=written(inline=True))
    parameters: int
    weight_bytes: int
    deployed_bytes: int
    calibration: Ranges
    input_shift: tuple[int, ...]
    cell_frac_bits: tuple[int, ...]
    saturation: tuple[Saturation, ...]
    by_gate: tuple[GateError, ...]
    cost: CostOnSide
    reliability: ReliabilityOnSide
    range_proof: tuple[Bound, ...]
    note: str | None = field(default=None, metadata=written(unless_none=True))


@writes_to_run
def quantize_run(run: RunFolder, *, progress: Progress = lambda *_: None) -> QuantizationSummary:
    """Calibrate, quantize, prove and save; count saturation and measure the cost on validation windows.

    Args:
        run: Folder of a trained run.
        progress: Called with steps done, steps in all, and the current step.

    Returns:
        The record, which is also written to quantization.json.

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
    note = None
    if run.decision.is_file():  # it belonged to the integer model that is replaced
        note = (
            f"the decision stage was part of the earlier integer model and is gone; run {run.command('decide')} again"
        )
    summary = QuantizationSummary(
        model_hash=model_hash(quantized),
        float_model_hash=model_hash(model),
        split_note=split_note(load_run_config(run), load_json(run.training) if run.training.is_file() else None),
        parameters=num_parameters(model),
        weight_bytes=weight_bytes(quantized),
        deployed_bytes=deployed_bytes(quantized),
        calibration=Ranges(
            calibration.feature_limit, calibration.cell_limit, calibration.num_windows, calibration.num_steps
        ),
        input_shift=quantized.number_format.input_shift,
        cell_frac_bits=quantized.number_format.cell_frac_bits,
        saturation=count_saturation(quantized, streams),
        by_gate=gate_errors(model, quantized, streams),
        cost=CostOnSide(side, made.cost),
        reliability=ReliabilityOnSide(side, reliability(windows.labels, temperature_of_run(run), made.logits)),
        range_proof=tuple(range_bounds(quantized)),
        note=note,
    )
    run.decision.unlink(missing_ok=True)
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
    expected = load_json(run.data_hashes).get(path.stem) if run.data_hashes.is_file() else None
    if expected is not None and counts_hash(streams) != expected:
        raise DataError(
            f"reading {path.name}: these are not the calibration streams that the run was trained with (SHA-256 "
            f"{counts_hash(streams)[:16]}..., {run.data_hashes.name} says {str(expected)[:16]}...); run "
            "edge-seq train again"
        )
    return streams
