"""Training of a float model: on the training windows, beside validation windows, and then on both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.recording import Dataset, Windows
from edge_seq.data.stored import blocks
from edge_seq.frontends.to_torch import state_dict_of, training_options
from edge_seq.ir.contract import contract_to_dict
from edge_seq.ir.model import AtWindowEnd, FloatModel, Readout
from edge_seq.pipeline.logits import float_logits
from edge_seq.pipeline.one_class.fit import OneClassFit, learnt_windows, train_one_class
from edge_seq.pipeline.prepare import PreparedData, windows_to_learn
from edge_seq.scores.temperature import (
    NO_VALIDATION,
    Temperature,
    fit_temperature,
    fold_into_weights,
    fold_temperature,
)
from edge_seq.support.errors import ConfigError, ContractError, DataError
from edge_seq.support.figure_text import counted
from edge_seq.support.results import Result
from edge_seq.training.record import EpochRecord

if TYPE_CHECKING:
    from pathlib import Path

    from edge_seq.training.config import TrainingConfig
    from edge_seq.training.loop import TrainingResult


OF_A_DISTANCE = "the logits of a model of one class are a distance; its probabilities are no frequencies"
ALL = "all"  # folder of the checkpoint of the training on all windows, within that of the first training

Progress = Callable[[int, int, EpochRecord], None]


@dataclass(frozen=True)
class LearntAgain(Result):
    """Record of the training on training and validation windows together.

    Attributes:
        windows: Number of windows that it learnt.
        groups: Number of their groups.
        history: Record of each epoch, without validation scores.
    """

    windows: int
    groups: int
    history: tuple[EpochRecord, ...]

    def text(self) -> str:
        """Say what was learnt, in one sentence."""
        return (
            f"trained again on training and validation windows together ({self.windows:,} windows of "
            f"{counted(self.groups, 'group')}, {counted(len(self.history), 'epoch')}); the validation scores are of "
            "the training without them"
        )


@dataclass(frozen=True)
class Trained:
    """A trained network.

    Attributes:
        model: Float model with the temperature folded into its head.
        weights: Weights under torch's names, float32, with the temperature folded in.
        temperature: Temperature fitted on the validation windows.
        result: Record of the training beside the validation windows.
        seconds: Wall time of this call, of all trainings.
        again: Record of the training on training and validation windows, whose weights the model has; None if the
            model is that of ``result``.
        validated: Float model of ``result``, which has not learnt the validation windows; None without ``again``.
        one_class: Record of the threshold of a model of one class; None for another model.
    """

    model: FloatModel
    weights: Mapping[str, NDArray[np.float32]]
    temperature: Temperature
    result: TrainingResult
    seconds: float
    again: LearntAgain | None = None
    validated: FloatModel | None = None
    one_class: OneClassFit | None = None


def learns_again(data: PreparedData, config: TrainingConfig) -> bool:
    """True if a training on training and validation windows follows the one beside the validation windows."""
    return config.learn_from == "all" and data.validation is not None and data.one_class is None


def train_model(
    data: PreparedData,
    config: TrainingConfig,
    *,
    name: str,
    at_window_end: AtWindowEnd,
    start: FloatModel | None = None,
    teacher: FloatModel | None = None,
    checkpoint_dir: Path | None = None,
    progress: Progress = lambda *_: None,
) -> Trained:
    """Train a network, and convert it to a float model with the temperature that fits the validation windows.

    With ``learn_from = "all"`` the training beside the validation windows gives their scores, the temperature and, if
    it may stop early, the number of epochs. The model is then trained on both.

    Args:
        data: Windows to learn from and to validate on.
        config: Training configuration.
        name: Name of the model, a C identifier in lower case.
        at_window_end: ``reset`` or ``carry``, see :class:`edge_seq.ir.model.Readout`.
        start: Float model whose weights and normalisation the training begins with; None draws first weights.
        teacher: Float model from whose answers the network learns besides the labels; None for none.
        checkpoint_dir: Folder of the checkpoints from which an interrupted training resumes; None keeps none.
        progress: Called with epochs done, epochs in all and the record of each epoch.

    Raises:
        ToolError: torch is not installed.
        ConfigError, DataError, ContractError, ModelError: options or data cannot be used.
    """
    from edge_seq.training.runtime import require_torch

    require_torch("train")
    epochs = config.epochs_for(learnt_windows(data))
    config = config.model_copy(update={"mixup": config.mixup_for(learnt_windows(data))})  # the same in both trainings
    if data.one_class is not None:
        model, result, fitted = train_one_class(
            data,
            config,
            name=name,
            at_window_end=at_window_end,
            checkpoint_dir=checkpoint_dir,
            progress=lambda record: progress(record.epoch, epochs, record),
        )
        temperature = Temperature(note=OF_A_DISTANCE)
        return Trained(model, result.state_dict, temperature, result, result.seconds, one_class=fitted)
    from edge_seq.frontends.from_torch import HEAD_PREFIX, from_training
    from edge_seq.training.loop import Start, train

    dataset = data.dataset
    begin = None
    if start is not None:
        _check_start(start, dataset, config)
        begin = Start(state_dict_of(start), start.number_format.normalisation)
    if teacher is not None:
        _check_same_data(teacher, dataset, doing=f"learning from {teacher.name}")
    everything = windows_to_learn(data) if learns_again(data, config) else None
    last = None if everything is None else config.model_copy(update={"keep": "last", "early_stopping_patience": 0})
    total = epochs + (0 if everything is None else config.epochs_for(len(everything.labels)))

    def learnt(
        windows: Windows, validation: Windows | None, config: TrainingConfig, before: int, place: Path | None
    ) -> tuple[TrainingResult, FloatModel]:
        result = train(
            windows,
            validation,
            dataset.contract,
            len(dataset.labels),
            config,
            start=begin,
            teacher_logits=None if teacher is None else _answers(teacher, windows),
            checkpoint_dir=place,
            progress=lambda record: progress(before + record.epoch, total, record),
        )
        readout = Readout(config.pooling, config.label_every, at_window_end)
        return result, from_training(result, name=name, labels=dataset.labels, readout=readout)

    result, converted = learnt(data.train, data.validation, config, 0, checkpoint_dir)
    model, temperature = with_temperature(converted, data.validation)
    if everything is None or last is None:
        weights = fold_into_weights(result.state_dict, temperature.value, HEAD_PREFIX)
        return Trained(model, weights, temperature, result, result.seconds)
    if config.early_stopping_patience:
        last = last.model_copy(update={"epochs": result.best_epoch})
        total = epochs + result.best_epoch
    place = None if checkpoint_dir is None else checkpoint_dir / ALL
    again, converted = learnt(everything, None, last, epochs, place)
    return Trained(
        fold_temperature(converted, temperature.value),
        fold_into_weights(again.state_dict, temperature.value, HEAD_PREFIX),
        temperature,
        result,
        result.seconds + again.seconds,
        again=LearntAgain(len(everything.labels), len(set(everything.groups.tolist())), again.history),
        validated=model,
    )


def _answers(teacher: FloatModel, windows: Windows) -> NDArray[np.float32]:
    """Logits float32 [B, K] of a teacher for windows."""
    return np.concatenate([float_logits(teacher, block) for block in blocks(windows.counts)]).astype(np.float32)


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


def with_temperature(model: FloatModel, validation: Windows | None) -> tuple[FloatModel, Temperature]:
    """Fit the temperature on validation windows and fold it into the model. Without windows the model is unchanged."""
    if validation is None or len(validation.labels) == 0:
        return model, Temperature(note=NO_VALIDATION)
    temperature = fit_temperature(validation.labels, float_logits(model, validation.counts))
    temperature = replace(temperature, groups=len(set(validation.groups.tolist())))
    return fold_temperature(model, temperature.value), temperature
