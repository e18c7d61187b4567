"""Training and quantisation, from data to models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_seq.api.boundary import in_python
from edge_seq.api.data import Data
from edge_seq.api.prediction import Prediction, check_same_contract, predict_windows
from edge_seq.frontends.imports import Imported
from edge_seq.ir.describe import describe
from edge_seq.ir.model import (
    AtWindowEnd,
    FloatFormat,
    FloatModel,
    IntModel,
    SequenceModel,
    deployed_bytes,
    model_hash,
    num_parameters,
)
from edge_seq.parity.ladder import Rung
from edge_seq.pipeline.advice import agreement_warning
from edge_seq.pipeline.config import QuantizationConfig
from edge_seq.pipeline.exports import golden_counts, golden_side
from edge_seq.pipeline.learning.train import Trained, train_model
from edge_seq.pipeline.quantization import QUANTIZE_STEPS, cost_side, quantize_model
from edge_seq.quant.calibrate import Calibration
from edge_seq.scores.agreement import QuantisationCost
from edge_seq.support.display import ShownAsTables, Table, progress
from edge_seq.support.errors import ModelError
from edge_seq.support.figure_text import percent
from edge_seq.support.results import to_plain

if TYPE_CHECKING:
    from edge_seq.training.config import TrainingConfig
    from edge_seq.training.record import EpochRecord


@dataclass(frozen=True)
class TrainedModel(ShownAsTables):
    """A trained network.

    Attributes:
        model: Float model.
        trained: The float model with torch's weights, the temperature and the record of the training.
    """

    model: FloatModel
    trained: Trained

    @property
    def history(self) -> tuple[EpochRecord, ...]:
        """Record of each epoch."""
        return self.trained.result.history

    def predict(self, values: ArrayLike) -> Prediction:
        """Classify windows; see :func:`predict_windows`."""
        return predict_windows(self.model, values)

    def warned(self) -> str | None:
        """Says that the normal validation windows are too few for a threshold, if they are."""
        return None if self.trained.one_class is None else self.trained.one_class.warning()

    def to_dict(self) -> dict[str, Any]:
        """Give the model's description, the history and the temperature as plain values."""
        one_class = self.trained.one_class
        return {
            **describe(self.model).to_dict(),
            "best_epoch": self.trained.result.best_epoch,
            "history": to_plain(self.history),
            "temperature": to_plain(self.trained.temperature),
            **({} if self.trained.again is None else {"again": self.trained.again.to_dict()}),
            **({} if one_class is None else {"one_class": one_class.to_dict()}),
        }

    def tables(self) -> Sequence[Table]:
        """One table for people."""
        best = self.history[self.trained.result.best_epoch - 1]
        rows = [
            ["parameters", f"{num_parameters(self.model):,}"],
            ["epoch kept", f"{best.epoch} of {len(self.history)}"],
            ["training loss", f"{best.train_loss:.4f}"],
        ]
        if self.trained.again is not None:
            rows.append(["then trained again", self.trained.again.text()])
        one_class = self.trained.one_class
        if one_class is None:
            rows += [
                ["validation accuracy", percent(best.validation_accuracy)],
                ["validation macro-F1", percent(best.validation_macro_f1)],
            ]
        else:
            rows += [["threshold", one_class.text()]]
        return (Table(_title(self.model), ["", "value"], rows),)


@dataclass(frozen=True)
class ImportedModel(ShownAsTables):
    """A network of another framework, as a float model.

    Attributes:
        imported: The float model and the network that it came from.
        check: Comparison of the two on training windows; None without recordings.
    """

    imported: Imported
    check: Rung | None

    @property
    def model(self) -> FloatModel:
        """Float model."""
        return self.imported.lowered.model

    def predict(self, values: ArrayLike) -> Prediction:
        """Classify windows; see :func:`predict_windows`."""
        return predict_windows(self.model, values)

    def to_dict(self) -> dict[str, Any]:
        """Give the model's description, notes and warnings as plain values."""
        return {
            **describe(self.model).to_dict(),
            "notes": list(self.imported.lowered.notes),
            "warnings": list(self.imported.warnings),
            "training_accuracy": self.imported.accuracy,
            "check": None if self.check is None else f"{self.check.verdict}: {self.check.detail}",
        }

    def tables(self) -> Sequence[Table]:
        """One table for people."""
        rows = [["parameters", f"{num_parameters(self.model):,}"]]
        if self.imported.accuracy is not None:
            rows.append(["labels right on training windows", percent(self.imported.accuracy)])
        if self.check is not None:
            rows.append([self.check.name, f"{self.check.verdict}; {self.check.detail}"])
        rows += [["note", note] for note in self.imported.lowered.notes]
        return (Table(f"{self.model.name}: imported", ["", "value"], rows),)

    def warned(self) -> str | None:
        """What may be wrong with the import, if anything."""
        found = list(self.imported.warnings)
        if self.check is not None and self.check.verdict == "failed":
            found.append(f"{self.check.name} FAILED: {self.check.detail}")
        return "; ".join(found) or None


@dataclass(frozen=True)
class QuantizedModel(ShownAsTables):
    """An integer model, proven free of overflow, with the float model that it was made from.

    Attributes:
        model: Integer model.
        float_model: Float model.
        calibration: Ranges seen on the calibration streams.
        side: Side of the split on which the cost was measured.
        cost: Agreement of the two models on these windows.
        golden: int16 [W, T, C], windows of the self-test that is exported with the C.
        trained: Torch's weights and the record of the training; None if the float model is not from
            :func:`edge_seq.train`.
        imported: Network that the float model was imported from; None if there is none.
    """

    model: IntModel
    float_model: FloatModel
    calibration: Calibration
    side: str
    cost: QuantisationCost
    golden: NDArray[np.int16]
    trained: Trained | None = None
    imported: Imported | None = None

    def predict(self, values: ArrayLike) -> Prediction:
        """Classify windows with the integer reference; see :func:`predict_windows`."""
        return predict_windows(self.model, values)

    def warned(self) -> str | None:
        """Say that the two models disagree on too many windows, if they do."""
        return agreement_warning(self.cost.agreement_rate, QuantizationConfig().min_agreement_rate, side=self.side)

    def to_dict(self) -> dict[str, Any]:
        """Give the model's description and the quantisation cost as plain values."""
        return {
            **describe(self.model).to_dict(),
            "float_model_hash": model_hash(self.float_model),
            "cost": {"side": self.side, **to_plain(self.cost)},
        }

    def tables(self) -> Sequence[Table]:
        """One table for people."""
        rows = [
            ["bytes of weights in flash", f"{deployed_bytes(self.model):,}"],
            [f"same label as the float model, {self.side}", percent(self.cost.agreement_rate)],
            ["mean difference of a probability", f"{self.cost.mean_abs_probability_error:.4f}"],
            ["overflow", "proven impossible, for any input"],
        ]
        return (Table(_title(self.model), ["", "value"], rows),)


def require_quantized(model: QuantizedModel, *, doing: str) -> None:
    """Check at run time that a model is quantized.

    Raises:
        ModelError: it is another model.
    """
    if not isinstance(model, QuantizedModel):
        raise ModelError(
            f"{doing}: found a {type(model).__name__}; expected an integer model: es.quantize(model, calibration=data)"
        )


def _title(model: FloatModel | IntModel) -> str:
    kind = "float model" if isinstance(model.number_format, FloatFormat) else "integer model"
    kinds = (*model.front, *model.layers, *model.dense)
    names = [type(layer).__name__ for layer in kinds]
    for index in model.backward:
        names[len(model.front) + index] += " backward"
    sizes = (*model.front_sizes, *model.hidden_sizes, *model.dense_sizes)
    layers = ", ".join(f"{name} {size}" for name, size in zip(names, sizes, strict=True))
    return f"{model.name}: {kind}, {layers}"


@in_python
def train(
    data: Data,
    *,
    cell: str | None = None,
    hidden_size: int | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    name: str = "model",
    config: TrainingConfig | None = None,
    at_window_end: AtWindowEnd = "reset",
    quiet: bool = False,
) -> TrainedModel:
    """Train a classifier. The same arguments give the same weights.

    With data of one class (``one_class``), its windows alone are learnt, and whatever differs is an anomaly.

    Args:
        data: Data from :func:`edge_seq.load` or :func:`edge_seq.windows`.
        cell: Recurrent cell, for example ``gru`` or ``lstm``; None takes the cell of ``config``.
        hidden_size: Hidden size H of each layer; None takes that of ``config``.
        epochs: Number of passes over the training windows; None takes that of ``config``.
        seed: Seed of all random choices; None takes that of ``config``.
        name: Name of the model, a C identifier in lower case. Generated C symbols begin with it.
        config: All other options of the training; None takes the defaults.
        at_window_end: ``reset`` starts each window from zero states, ``carry`` keeps the states.
        quiet: True shows no progress bar.

    Raises:
        ToolError: torch is not installed.
        ConfigError: an option is out of range.
        DataError, ContractError, ModelError: the data cannot be used.

    Example:
        >>> import edge_seq as es
        >>> data = es.load("drives.toml")
        >>> model = es.train(data, cell="gru", hidden_size=4, epochs=1)
        >>> model.model.hidden_sizes
        (4,)
    """
    from edge_seq.pipeline.config import RunConfig, validated
    from edge_seq.training.config import TrainingConfig

    given = {"cell": cell, "hidden_size": hidden_size, "epochs": epochs, "seed": seed}
    base = (config or TrainingConfig()).model_dump()
    table = {**base, **{key: value for key, value in given.items() if value is not None}}
    training = validated(TrainingConfig, table, where="es.train")
    options: dict[str, Any] = {"name": name, "at_window_end": at_window_end}
    if data.prepared.one_class is not None:  # which not every option goes with
        options |= {"training": table, "data": {"one_class": data.prepared.one_class.wanted.model_dump()}}
    run = validated(RunConfig, options, where="es.train")
    with progress("training", 1, quiet=quiet) as update:
        trained = train_model(
            data.prepared,
            training,
            name=run.name,
            at_window_end=run.at_window_end,
            progress=lambda done, epochs, _: update(done, epochs),
        )
    return TrainedModel(trained.model, trained)


@in_python
def quantize(
    model: TrainedModel | ImportedModel | FloatModel,
    *,
    calibration: Data,
    weight_bits: int | Sequence[int] = 8,
    quiet: bool = False,
) -> QuantizedModel:
    """Make the integer model, prove that it cannot overflow, and measure the quantisation cost.

    Args:
        model: Trained or imported network, or any float model.
        calibration: Data for the calibration. Streams of its training part are observed. The cost is measured on its
            validation windows, or on its training windows if there are none.
        weight_bits: Bits of the recurrent layers' weights on states, 8 or 4: one number for all layers, or one for
            each. With 4 they take half of the flash.
        quiet: True shows no progress bar.

    Raises:
        ConfigError: ``weight_bits`` has other numbers, or is for another number of layers.
        ContractError: the data have another sensor contract than the model.
        DataError: the data have no windows to calibrate with.
        RangeProofError: the model cannot be proven free of overflow.

    Example:
        >>> import edge_seq as es
        >>> chip = es.quantize(model, calibration=data)
        >>> 0.9 < chip.cost.agreement_rate <= 1.0  # share of windows with the same label from both models
        True
    """
    float_model = model.model if isinstance(model, TrainedModel | ImportedModel) else model
    if not (isinstance(float_model, SequenceModel) and isinstance(float_model.number_format, FloatFormat)):
        raise ModelError(
            f"quantizing: found a {type(model).__name__}; expected a float model, for example from es.train"
        )
    check_same_contract(float_model, calibration, doing=f"quantizing {float_model.name}")
    there = calibration.sides()
    side = cost_side(there.__contains__)
    windows = calibration.side(side)
    with progress("quantizing", QUANTIZE_STEPS, quiet=quiet) as update:
        made = quantize_model(
            float_model,
            calibration.prepared.calibration,
            windows,
            weight_bits=(weight_bits,) if isinstance(weight_bits, int) else weight_bits,
            progress=lambda done, what: update(done, note=what),
        )
        update(QUANTIZE_STEPS)
    golden = golden_counts(calibration.side(golden_side(there.__contains__)))
    trained = model.trained if isinstance(model, TrainedModel) else None
    imported = model.imported if isinstance(model, ImportedModel) else None
    return QuantizedModel(made.model, float_model, made.calibration, side, made.cost, golden, trained, imported)
