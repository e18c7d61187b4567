"""The configuration of a run: one validated TOML file. ``section.key=value`` overrides any value of it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tomli_w
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from edge_seq.data.simulator.options import CarStatesOptions
from edge_seq.data.source import hint_for_recordings, is_recordings, is_source_table
from edge_seq.ir.c_names import is_awkward, why_reserved
from edge_seq.ir.kind_names import WeightBits
from edge_seq.ir.verify import check_model_name
from edge_seq.scores.one_class import ANOMALY
from edge_seq.support.errors import ConfigError, ModelError
from edge_seq.support.opening import load_toml, parse_toml
from edge_seq.support.tables import StrictTable, problems_in
from edge_seq.training.config import TrainingConfig
from firmware_export.toolchain.budgets import Budgets

SIMULATOR = "car_states"
LONGEST_NAME = 48  # characters of a model's name
_Config = TypeVar("_Config", bound=BaseModel)


class OneClassConfig(StrictTable):
    """Training on one class only, to find whatever differs from it.

    Attributes:
        normal: name of the class that is learnt. All others count as anomalies; they are measured with, never learnt.
        false_alarms: share of the normal validation windows that may be called anomalies.
    """

    normal: str = Field(min_length=1)
    false_alarms: float = Field(default=0.01, gt=0, lt=1)

    @field_validator("normal")
    @classmethod
    def _normal_is_no_anomaly(cls, normal: str) -> str:
        if normal == ANOMALY:
            raise ValueError(
                f"a model of one class calls what differs {ANOMALY!r}, so the normal class cannot have that name; name "
                "it otherwise in the data source (label_names)"
            )
        return normal


class DataConfig(StrictTable):
    """Data of a run and their split.

    Attributes:
        source: ``car_states`` for the built-in simulator, or the path of a data source (TOML, see datasets/README.md).
        simulator: options of the simulator; not allowed with another source.
        storage: ``memory``, or ``disk`` for data that do not fit in memory. With ``disk`` recordings are read one by
            one (Parquet files in parts), their counts are kept in a file of the run, and windows are read from it when
            they are needed. Both give the same weights.
        split: ``group``; ``time_blocks`` for one or two sessions, which is weaker evidence; ``window_leaking_groups``
            puts windows of one group on both sides and makes every score too good.
        validation_fraction: share of the windows for validation, unless the source gives its own part.
        test_fraction: share of the windows for the test, unless the source gives its own part.
        split_seed: seed of the assignment of groups to sides.
        folds: number of folds of a cross-validation by group or by blocks of time, at least 2; 0 makes a single split.
            With folds, the test part is one fold, test_fraction is not used, and a test part that the source gives is
            left out.
        fold: number of the fold that is the test part, 1 to ``folds``.
        split_window: length and stride, in samples, of the windows by which groups are assigned to sides. The default
            are those of the contract. A configuration of edge-seq search states them, so that another window length
            keeps the same test part.
        training_stride: stride of the training windows in samples; 0 takes the stride of the contract, which validation
            and test windows always have. Not allowed with ``window_leaking_groups``.
        one_class: the class that is learnt alone, and the false alarms that are allowed. By default all classes are
            learnt.
    """

    source: str = SIMULATOR
    simulator: CarStatesOptions = CarStatesOptions()
    storage: Literal["memory", "disk"] = "memory"
    split: str = "group"
    validation_fraction: float = Field(default=0.2, ge=0, lt=1)
    test_fraction: float = Field(default=0.2, ge=0, lt=1)
    split_seed: int = Field(default=0, ge=0)
    folds: int = Field(default=0, ge=0)
    fold: int = Field(default=1, ge=1)
    split_window: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = None
    training_stride: int = Field(default=0, ge=0)
    one_class: OneClassConfig | None = None

    @model_validator(mode="after")
    def _one_class_fits_the_split(self) -> DataConfig:
        if self.one_class is None:
            return self
        if self.split == "window_leaking_groups":
            raise ValueError(
                "one_class sets its threshold on groups that the training did not see, which split = "
                "'window_leaking_groups' has none of; take split = 'group'"
            )
        if self.storage == "disk":
            raise ValueError("one_class needs the recordings in memory; leave storage at 'memory'")
        return self

    @model_validator(mode="after")
    def _options_fit_the_split(self) -> DataConfig:
        if self.training_stride and self.split == "window_leaking_groups":
            raise ValueError(
                f"training_stride {self.training_stride} has no effect with split = 'window_leaking_groups', which "
                "cuts all windows alike; leave it at 0"
            )
        if self.folds == 1 or self.fold > max(self.folds, 1):
            raise ValueError(f"fold {self.fold} of {self.folds}; give at least 2 folds, and a fold from 1 to folds")
        if self.folds and self.split == "window_leaking_groups":
            raise ValueError(f"folds have no effect with split = {self.split!r}; leave them out")
        if self.split_window is not None and self.split != "group":
            raise ValueError(f"split_window has no effect with split = {self.split!r}; leave it out")
        if self.storage == "disk" and self.split == "time_blocks":
            raise ValueError(
                "storage 'disk' does not go with split = 'time_blocks', which is for one or two sessions; leave "
                "storage at 'memory'"
            )
        if self.storage == "disk" and self.source == SIMULATOR:
            raise ValueError(
                f"storage 'disk' has no effect on source {SIMULATOR!r}, which is simulated in memory; write it to a "
                "file with edge-seq simulate, or leave storage at 'memory'"
            )
        return self


class QuantizationConfig(StrictTable):
    """Calibration and limits of the integer model.

    Attributes:
        calibration_streams: number of streams of training recordings that are observed.
        calibration_windows_per_stream: length of a stream in windows. Long streams show how far a cell state can drift.
        min_agreement_rate: share of held-out windows on which float and integer model must give the same label.
        max_macro_f1_loss: largest loss of macro-F1, as a share of 1.
        weight_bits: bits of the weights of the recurrent layers on states, 8 or 4: one number for all layers, or one
            for each. With 4 bits these weights take half of the flash; weights of features, of other kinds of layers
            and of the head stay as they are.
    """

    calibration_streams: int = Field(default=128, ge=1)
    calibration_windows_per_stream: int = Field(default=4, ge=1)
    min_agreement_rate: float = Field(default=0.99, ge=0, le=1)
    max_macro_f1_loss: float = Field(default=0.005, ge=0, le=1)
    weight_bits: tuple[WeightBits, ...] = Field(default=(8,), min_length=1, max_length=8)

    @field_validator("weight_bits", mode="before")
    @classmethod
    def _one_number_for_all(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int) else value


class RunConfig(StrictTable):
    """Configuration of a run.

    Attributes:
        name: name of the model, a C identifier in lower case. Generated C symbols begin with it. If it is not given, it
            is made from the file name of the data source.
        at_window_end: ``reset`` or ``carry``, see :class:`edge_seq.ir.model.Readout`.
        start_from: folder of the run whose float model the training begins with, imported or trained; by default it
            begins with random weights.
        teacher: folder of a run whose float model a training learns from too, imported or trained: its answers are
            compared besides the labels. By default there is none.
        data: data and their split.
        training: network and training.
        quantization: calibration and limits of the integer model.
        budgets: largest cost of the model on a target, for ``edge-seq measure``. They take precedence over the budgets
            of the target.
    """

    name: str = SIMULATOR
    at_window_end: Literal["reset", "carry"] = "reset"
    start_from: str | None = None
    teacher: str | None = None
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()
    quantization: QuantizationConfig = QuantizationConfig()
    budgets: Budgets = Budgets()

    @model_validator(mode="after")
    def _one_class_has_its_own_head(self) -> RunConfig:
        if self.data.one_class is None:
            return self
        training = self.training
        for key, value, reason in (
            ("start_from", self.start_from, "a training of one class begins with random weights"),
            ("teacher", self.teacher, "a training of one class has no labels that a teacher could answer"),
            ("training.taught_by", training.taught_by != "labels", "there are no labels that others could answer"),
            ("training.dense", training.dense, "the distance is made of a dense layer of its own"),
            ("training.label_every", training.label_every == "sample", "the distance is that of a whole window"),
            ("training.pooling", training.pooling == "flatten", "a distance of all states of a window is too large"),
        ):
            if value:
                raise ValueError(f"with data.one_class, {key} cannot be set so: {reason}; leave it out")
        return self

    @model_validator(mode="after")
    def _one_kind_of_teacher(self) -> RunConfig:
        if self.teacher is not None and self.training.taught_by != "labels":
            raise ValueError(
                f"teacher is a run and training.taught_by is {self.training.taught_by!r}; set one of them: a network "
                "learns from the answers of one teacher"
            )
        return self

    @property
    def network(self) -> TrainingConfig:
        """The training with the layers of the network that it makes: with one class, those of the distance too."""
        return self.training if self.data.one_class is None else self.training.with_distance()

    @field_validator("name")
    @classmethod
    def _name_of_a_model(cls, name: str) -> str:
        try:
            check_model_name(name)
        except ModelError as error:  # pydantic reports a ValueError only
            raise ValueError(str(error)) from error
        return name


def load_config(path: Path | None, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a run's configuration.

    Args:
        path: TOML file; None takes the defaults. ``data.source`` in it is relative to the folder of this file.
        overrides: values as ``section.key=value``. A value is read as TOML, or as text if it is not TOML.
            ``data.source`` here is relative to the current folder.

    Returns:
        The configuration with ``data.source`` as an absolute path, so that it means the same from any folder.

    Raises:
        ConfigError: keys are unknown, out of range or without effect; the message names each, and the file.

    >>> load_config(None, ["training.cell=gru", "training.hidden_size=8"]).training.hidden_size
    8
    """
    table = {} if path is None else _read_toml(path)
    _refuse_data_source(table, path)
    _make_source_absolute(table, Path() if path is None else path.parent)
    for override in overrides:
        _override(table, override)
    _make_source_absolute(table, Path())
    where = "configuration" if path is None else f"configuration {path}"
    data = table.get("data")
    if isinstance(data, dict) and "simulator" in data and data.get("source", SIMULATOR) != SIMULATOR:
        raise ConfigError(
            f"{where}: data.simulator has no effect on source {str(data['source'])!r}; leave data.simulator out, or "
            f"set data.source to {SIMULATOR!r}"
        )
    if "name" not in table and isinstance(data, dict) and isinstance(data.get("source", SIMULATOR), str):
        table["name"] = name_of_source(data.get("source", SIMULATOR))
    config = parse_config(table, where=where)
    if (reason := why_reserved(config.name)) is not None:
        raise ConfigError(f"{where}: the model's name is {config.name!r}, but {reason}; give another name")
    return config


def name_of_source(source: str) -> str:
    """Make the name of a model from the path of its data source.

    >>> name_of_source("recordings/Shaker-2.toml"), name_of_source("7 days.toml"), name_of_source("car_states")
    ('shaker_2', 'model_7_days', 'car_states')
    """
    name = re.sub(r"[^a-z0-9]+", "_", Path(source).stem.lower()).strip("_")
    if not name[:1].isalpha() or is_awkward(name):
        name = f"model_{name}".rstrip("_")
    return name[:LONGEST_NAME].rstrip("_")


def read_config(path: Path) -> RunConfig:
    """Read a configuration that :func:`dump_config` wrote. All paths in it are absolute.

    Raises:
        ConfigError: the file cannot be read, was emptied, or keys are missing, unknown or out of range.
    """
    table = _read_toml(path)
    missing = [key for key in ("name", "data", "training") if key not in table]
    if missing:
        raise ConfigError(
            f"configuration {path}: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing, which every "
            "configuration of a run has; it was emptied or cut. Train the run again, or copy its config.toml back"
        )
    return parse_config(table, where=f"configuration {path}")


def _read_toml(path: Path) -> dict[str, Any]:
    if (path / "config.toml").is_file():
        raise ConfigError(
            f"{path} is the folder of a run; to train with its configuration, give {path / 'config.toml'}"
        )
    if is_recordings(path):
        raise ConfigError(
            f"{path} is given as the configuration of a run, but it {hint_for_recordings(path)}, as in: edge-seq train "
            "--data SOURCE.toml"
        )
    try:
        table: dict[str, Any] = load_toml(path)
    except FileNotFoundError as error:
        raise ConfigError(f"configuration {path} does not exist; give the path of a TOML file") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"configuration {path} cannot be read as TOML: {error}") from error
    return table


def _refuse_data_source(table: Mapping[str, Any], path: Path | None) -> None:
    if is_source_table(table):
        raise ConfigError(
            f"{path} is a data source, but the configuration of a run is expected. Give it with --data: edge-seq train "
            f"--data {path}; or name it in a configuration as data.source"
        )


def _make_source_absolute(table: dict[str, Any], base: Path) -> None:
    data = table.get("data")
    source = data.get("source") if isinstance(data, dict) else None
    if isinstance(data, dict) and isinstance(source, str) and source != SIMULATOR:
        data["source"] = os.path.abspath(base / source)  # noqa: PTH100 - Path.resolve would follow symbolic links


def parse_config(table: Mapping[str, Any], *, where: str) -> RunConfig:
    """Validate the table of a run's configuration.

    Args:
        table: nested table, as read from TOML.
        where: beginning of the error message, for example ``configuration my.toml``.

    Raises:
        ConfigError: keys are missing, unknown or out of range; the message names each.
    """
    return validated(RunConfig, table, where=where, command="train")


def validated(kind: type[_Config], table: Mapping[str, Any], *, where: str, command: str | None = None) -> _Config:
    """Validate a table against a class of configuration.

    Args:
        kind: class of the configuration.
        table: nested table, as read from TOML.
        where: beginning of the error message.
        command: command whose help shows how to list all keys; None if the table comes from no command.

    Raises:
        ConfigError: keys are missing, unknown or out of range; the message names each.
    """
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        hint = "" if command is None else f". `edge-seq {command} --help` shows how to list all keys"
        raise ConfigError(f"{where}: {problems_in(error, kind)}{hint}") from error


def config_to_dict(config: RunConfig) -> dict[str, Any]:
    """Convert a configuration to a table for TOML and JSON, with defaults and without keys that have no effect."""
    table: dict[str, Any] = config.model_dump(mode="json", exclude_none=True)  # TOML has no word for None
    if config.data.source != SIMULATOR:
        del table["data"]["simulator"]
    return table


def dump_config(config: RunConfig) -> str:
    """Write a configuration as TOML text, with all defaults."""
    return tomli_w.dumps(config_to_dict(config))


def overrides_between(config: RunConfig, usual: RunConfig) -> tuple[str, ...]:
    """Overrides that make a configuration of another one; keys that only the other one has stay.

    >>> overrides_between(load_config(None, ["data.folds=5"]), load_config(None))
    ('data.folds=5',)
    """
    before = _leaves(config_to_dict(usual))
    return tuple(
        f"{key}={json.dumps(value, ensure_ascii=False)}"  # TOML has the same words for texts, numbers and lists of them
        for key, value in _leaves(config_to_dict(config)).items()
        if before.get(key) != value
    )


def _leaves(table: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in table.items():
        found |= _leaves(value, f"{above}{name}.") if isinstance(value, dict) else {f"{above}{name}": value}
    return found


def quote(text: str) -> str:
    """Quote any text as the value of an override."""
    return json.dumps(text, ensure_ascii=False)  # a TOML string takes the same escapes


def _override(table: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise ConfigError(f"override {override!r}: expected section.key=value, for example training.hidden_size=32")
    try:
        value = parse_toml(f"value = {text}")["value"]
    except ValueError:
        value = text
    for part in parts[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ConfigError(f"override {override!r}: {part} is a value, not a table; expected section.key=value")
    table[parts[-1]] = value
