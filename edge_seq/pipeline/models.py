"""Training of a float model, and quantization of it to an integer model, for the commands and the Python interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.recording import SIDES, Dataset, Windows
from edge_seq.data.stored import blocks
from edge_seq.frontends.to_torch import state_dict_of, training_options
from edge_seq.ir.contract import contract_to_dict
from edge_seq.ir.kinds import narrow_bits
from edge_seq.ir.model import (
    AtWindowEnd,
    FloatModel,
    IntModel,
    Readout,
    deployed_bytes,
    model_hash,
    num_parameters,
    weight_bytes,
)
from edge_seq.ir.range_proof import Bound, range_bounds
from edge_seq.pipeline.advice import agreement_warning, steps_of, training_accuracy
from edge_seq.pipeline.config import RunConfig
from edge_seq.pipeline.leak import MeasuredLeak, try_to_measure_leak
from edge_seq.pipeline.logits import float_logits, real_logits
from edge_seq.pipeline.one_class.fit import OneClassFit, learnt_windows, train_one_class
from edge_seq.pipeline.prepare import PreparedData, split_note
from edge_seq.quant.calibrate import Calibration, Saturation, calibrate, count_saturation
from edge_seq.quant.gate_error import GateError, gate_errors
from edge_seq.quant.quantize import quantize
from edge_seq.scores.agreement import QuantisationCost, quantisation_cost
from edge_seq.scores.evaluation import SplitNote
from edge_seq.scores.metrics import softmax
from edge_seq.scores.reliability import Reliability, reliability
from edge_seq.scores.temperature import (
    NO_VALIDATION,
    Temperature,
    fit_temperature,
    fold_into_weights,
    fold_temperature,
)
from edge_seq.support.errors import ConfigError, ContractError, DataError
from edge_seq.support.results import Result, written
from edge_seq.training.record import EpochRecord

if TYPE_CHECKING:
    from pathlib import Path

    from edge_seq.training.config import TrainingConfig
    from edge_seq.training.loop import TrainingResult


OF_A_DISTANCE = "the logits of a model of one class are a distance; its probabilities are no frequencies"


@dataclass(frozen=True)
class Trained:
    """A trained network.

    Attributes:
        model: Float model with the temperature folded into its head.
        weights: Weights under torch's names, float32, with the temperature folded in.
        temperature: Temperature fitted on the validation windows.
        result: Record of the training.
        one_class: Record of the threshold of a model of one class; None for another model.
    """

    model: FloatModel
    weights: Mapping[str, NDArray[np.float32]]
    temperature: Temperature
    result: TrainingResult
    one_class: OneClassFit | None = None


def train_model(
    data: PreparedData,
    config: TrainingConfig,
    *,
    name: str,
    at_window_end: AtWindowEnd,
    start: FloatModel | None = None,
    teacher: FloatModel | None = None,
    checkpoint_dir: Path | None = None,
    progress: Callable[[EpochRecord], None] | None = None,
) -> Trained:
    """Train a network, convert it to a float model, and fold in the temperature fitted on validation windows.

    Args:
        data: Windows to learn from and to validate on.
        config: Training configuration.
        name: Name of the model, a C identifier in lower case.
        at_window_end: ``reset`` or ``carry``, see :class:`edge_seq.ir.model.Readout`.
        start: Float model whose weights and normalisation the training begins with; None draws first weights.
        teacher: Float model from whose answers the network learns besides the labels; None for none.
        checkpoint_dir: Folder of the checkpoint from which an interrupted training resumes; None keeps none.
        progress: Called with the record of each epoch.

    Raises:
        ToolError: torch is not installed.
        ConfigError, DataError, ContractError, ModelError: options or data cannot be used.
    """
    from edge_seq.training.runtime import require_torch

    require_torch("train")
    if data.one_class is not None:
        model, result, fitted = train_one_class(
            data, config, name=name, at_window_end=at_window_end, checkpoint_dir=checkpoint_dir, progress=progress
        )
        return Trained(model, result.state_dict, Temperature(note=OF_A_DISTANCE), result, fitted)
    from edge_seq.frontends.from_torch import HEAD_PREFIX, from_training
    from edge_seq.training.loop import Start, train

    dataset = data.dataset
    begin = None
    if start is not None:
        _check_start(start, dataset, config)
        begin = Start(state_dict_of(start), start.number_format.normalisation)
    answers = None
    if teacher is not None:
        _check_same_data(teacher, dataset, doing=f"learning from {teacher.name}")
        parts = [float_logits(teacher, block) for block in blocks(data.train.counts)]
        answers = np.concatenate(parts).astype(np.float32)
    result = train(
        data.train,
        data.validation,
        dataset.contract,
        len(dataset.labels),
        config,
        start=begin,
        teacher_logits=answers,
        checkpoint_dir=checkpoint_dir,
        progress=progress,
    )
    readout = Readout(config.pooling, config.label_every, at_window_end)
    converted = from_training(result, name=name, labels=dataset.labels, readout=readout)
    model, temperature = with_temperature(converted, data.validation)
    return Trained(model, fold_into_weights(result.state_dict, temperature.value, HEAD_PREFIX), temperature, result)


def _check_start(start: FloatModel, dataset: Dataset, config: TrainingConfig) -> None:
    """Check that a training can begin with a model.

    Raises:
        ContractError: the data are measured otherwise.
        DataError: the classes differ.
        ConfigError: the configuration makes another network.
    """
    doing = f"training from {start.name}"
    _check_same_data(start, dataset, doing=doing)
    options: dict[str, Any] = {**training_options(start)}
    if "front" in options:
        options["front"] = TrainingConfig.model_validate({"front": options["front"]}).front
    for key, value in options.items():
        if getattr(config, key) != value:
            raise ConfigError(
                f"{doing}: training.{key} is {getattr(config, key)!r}, the model has {value!r}; leave it "
                "as the model has it"
            )


def _check_same_data(model: FloatModel, dataset: Dataset, *, doing: str) -> None:
    """Check that a model was made for data like these.

    Raises:
        ContractError: the data are measured otherwise.
        DataError: the classes differ.
    """
    known, given = contract_to_dict(model.contract), contract_to_dict(dataset.contract)
    changed = [key for key in known if key != "window_stride" and known[key] != given[key]]
    if changed:
        raise ContractError(
            f"{doing}: the data have another sensor contract: {', '.join(changed)} differ; expected that of the model"
        )
    if model.labels != dataset.labels:
        raise DataError(
            f"{doing}: classes of the data are {list(dataset.labels)}, those of the model {list(model.labels)}; "
            "expected the same in the same order"
        )


@dataclass(frozen=True, kw_only=True)
class TrainingSummary(Result):
    """Record of a training, as in training.json.

    Attributes:
        dataset: Name of the data.
        reading: What was done to the recordings when they were read.
        note: Kind of split, with a warning where it makes scores less certain.
        leak: Size of the leak of a split that leaks; None for another split.
        windows: Number of windows by side of the split.
        groups: Number of groups by side of the split.
        best_epoch: Epoch whose weights were kept, counted from 1.
        optimiser_steps: Number of steps of the optimiser, had the training not stopped early.
        temperature: Temperature that was fitted on validation windows.
        training_accuracy: Accuracy of the float model on at most 1,000 training windows.
        history: Record of each epoch.
        seed: Seed of every random choice.
        seconds: Wall time of this call. After a resume, earlier epochs are not included.
        versions: Versions of Python and of the packages that the numbers depend on.
        one_class: Threshold of a model of one class; None for another model. The history is then of the task of telling
            changed windows apart.
    """

    dataset: str
    reading: tuple[str, ...]
    note: SplitNote = field(metadata=written(inline=True))
    leak: MeasuredLeak | None = field(metadata=written(inline=True))
    windows: dict[str, int]
    groups: dict[str, int]
    best_epoch: int
    optimiser_steps: int
    temperature: Temperature
    training_accuracy: float
    history: tuple[EpochRecord, ...]
    seed: int
    seconds: float
    versions: dict[str, str]
    one_class: OneClassFit | None = field(default=None, metadata=written(unless_none=True))

    @property
    def best(self) -> EpochRecord:
        """Record of the epoch whose weights were kept."""
        return self.history[self.best_epoch - 1]


def summarise_training(trained: Trained, data: PreparedData, config: RunConfig) -> TrainingSummary:
    """Make the record of a training. For a split that leaks, the size of the leak is measured."""
    leak = None
    if config.data.split == "window_leaking_groups":
        leak = try_to_measure_leak(data.dataset, seed=config.data.split_seed, minimum_share=data.minimum_share)
    sides: dict[str, Windows | None] = {side: getattr(data, side) for side in SIDES}
    result = trained.result
    return TrainingSummary(
        dataset=data.dataset.name,
        reading=tuple(data.dataset.notes),
        note=split_note(config, None if leak is None else leak.leak_text),
        leak=leak,
        windows={side: 0 if windows is None else len(windows.labels) for side, windows in sides.items()},
        groups={side: 0 if windows is None else len(set(windows.groups.tolist())) for side, windows in sides.items()},
        best_epoch=result.best_epoch,
        optimiser_steps=steps_of(learnt_windows(data), config),
        temperature=trained.temperature,
        training_accuracy=training_accuracy(trained.model, data.train),
        history=result.history,
        seed=result.seed,
        seconds=result.seconds,
        versions=dict(result.versions),
        one_class=trained.one_class,
    )


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
        reliability=ReliabilityOnSide(side, reliability(windows.labels, temperature, made.logits)),
        range_proof=range_bounds(quantized),
        weight_bits=None if set(bits) == {8} else bits,
        note=note,
        warning=agreement_warning(made.cost.agreement_rate, least_agreement, side=side),
    )


def with_temperature(model: FloatModel, validation: Windows | None) -> tuple[FloatModel, Temperature]:
    """Fit the temperature on validation windows and fold it into the model. Without windows the model is unchanged."""
    if validation is None or len(validation.labels) == 0:
        return model, Temperature(note=NO_VALIDATION)
    temperature = fit_temperature(validation.labels, float_logits(model, validation.counts))
    temperature = replace(temperature, groups=len(set(validation.groups.tolist())))
    return fold_temperature(model, temperature.value), temperature
