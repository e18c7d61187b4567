"""Quantization of a float model to an integer model, for the commands and the Python interface, and its record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.recording import Windows
from edge_seq.ir.kinds import narrow_bits
from edge_seq.ir.model import (
    FloatModel,
    IntModel,
    deployed_bytes,
    model_hash,
    num_parameters,
    weight_bytes,
)
from edge_seq.ir.range_proof import Bound, range_bounds
from edge_seq.pipeline.advice import agreement_warning
from edge_seq.pipeline.logits import float_logits, real_logits
from edge_seq.quant.calibrate import Calibration, Saturation, calibrate, count_saturation
from edge_seq.quant.gate_error import GateError, gate_errors
from edge_seq.quant.quantize import quantize
from edge_seq.scores.agreement import QuantisationCost, quantisation_cost
from edge_seq.scores.evaluation import SplitNote
from edge_seq.scores.metrics import softmax
from edge_seq.scores.reliability import Reliability, reliability
from edge_seq.scores.temperature import Temperature
from edge_seq.support.results import Result, written

WITHOUT_THEM = "by the training without them"


@dataclass(frozen=True)
class Quantized:
    """An integer model, and its cost on labelled windows.

    Attributes:
        model: Integer model.
        calibration: Ranges seen on the calibration streams.
        logits: Logits float64 [B, K] of the windows for ``float`` and ``int``.
        cost: Agreement of the two models on the windows.
    """

    model: IntModel
    calibration: Calibration
    logits: Mapping[str, NDArray[np.float64]]
    cost: QuantisationCost


QUANTIZE_STEPS = 3


def cost_side(has: Callable[[str], bool]) -> str:
    """Side of the split on which the cost of integers is measured: validation if there is one, else training.

    Args:
        has: True for a side that has windows.
    """
    return "validation" if has("validation") else "train"


def quantize_model(
    model: FloatModel,
    streams: NDArray[np.int16],
    windows: Windows,
    *,
    weight_bits: Sequence[int] = (),
    progress: Callable[[int, str], None] = lambda *_: None,
) -> Quantized:
    """Calibrate, quantize with the proof that nothing can overflow, and measure the quantisation cost.

    Args:
        model: Float model.
        streams: int16 [B, T, C], raw counts of training recordings.
        windows: Labelled windows for the cost, from the validation part if there is one.
        weight_bits: Bits of the recurrent layers' weights, see :func:`edge_seq.quant.quantize.quantize`.
        progress: Called with the number of steps done, of ``QUANTIZE_STEPS``, and the current step.

    Raises:
        ConfigError: ``weight_bits`` are not for as many layers.
        DataError: the counts do not fit the model.
        RangeProofError: the model cannot be proven free of overflow.
    """
    progress(0, "calibrating")
    calibration = calibrate(model, streams)
    progress(1, "quantizing")
    quantized = quantize(model, calibration, weight_bits)
    progress(2, "measuring the cost")
    logits = {"float": float_logits(model, windows.counts), "int": real_logits(quantized, windows.counts)}
    cost = quantisation_cost(softmax(logits["float"]), softmax(logits["int"]))
    return Quantized(quantized, calibration, logits, cost)


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
    """Calibration of the models on the windows of one side of the split.

    Attributes:
        side: Side of the split.
        reliability: Calibration before and after the temperature.
        by: The training whose models these are, if it is not the one that the run's model is of.
    """

    side: str
    reliability: Reliability = field(metadata=written(inline=True))
    by: str | None = field(default=None, metadata=written(unless_none=True))


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
        input_shift: [F], left shift of each feature.
        cell_frac_bits: [L], fractional bits of each layer's calibrated state.
        weight_bits: [L], bits of each recurrent layer's weights on states; None if all have 8.
        saturation: How often traced values were at the end of their range.
        by_gate: Error of each gate and state against the float model.
        cost: Agreement of the two models.
        reliability: Calibration before and after the temperature.
        range_proof: Bounds of accumulators and intermediates.
        note: What the quantisation did to a decision stage; None where there was none.
        warning: Says that the models disagree on too many windows, and what to do; None if they do not.
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
    weight_bits: tuple[int, ...] | None = field(default=None, metadata=written(unless_none=True))
    note: str | None = field(default=None, metadata=written(unless_none=True))
    warning: str | None = field(default=None, metadata=written(unless_none=True))


def summarise_quantization(
    model: FloatModel,
    made: Quantized,
    streams: NDArray[np.int16],
    windows: Windows,
    *,
    side: str,
    split: SplitNote,
    temperature: Temperature,
    least_agreement: float,
    unseen: Mapping[str, NDArray[np.float64]] | None = None,
    note: str | None = None,
) -> QuantizationSummary:
    """Make the record of a quantisation: count saturation, measure the error of each gate, list the bounds.

    Args:
        model: Float model.
        made: Integer model made from it.
        streams: int16 [B, T, C], the calibration streams.
        windows: Windows on which the cost was measured.
        side: Side of the split that they are from.
        split: Kind of split.
        temperature: Temperature that is folded into the models.
        least_agreement: Least share of windows on which both models must give the same label.
        unseen: Logits [B, K] of ``float`` and ``int`` models of the training without the windows, for their
            reliability; None if ``model`` has not learnt the windows itself.
        note: Remark for the record.
    """
    quantized, calibration = made.model, made.calibration
    bits = tuple(narrow_bits(layer) for layer in quantized.layers)
    return QuantizationSummary(
        model_hash=model_hash(quantized),
        float_model_hash=model_hash(model),
        split_note=split,
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
        reliability=ReliabilityOnSide(
            side,
            reliability(windows.labels, temperature, unseen or made.logits),
            by=None if unseen is None else WITHOUT_THEM,
        ),
        range_proof=range_bounds(quantized),
        weight_bits=None if set(bits) == {8} else bits,
        note=note,
        warning=agreement_warning(made.cost.agreement_rate, least_agreement, side=side),
    )
