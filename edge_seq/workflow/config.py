"""The configuration of a run: one TOML file, validated, every value overridable as ``section.key=value``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_seq.errors import ConfigError
from edge_seq.training.config import TrainingConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SIMULATOR = "car_states"


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SimulatorConfig(_Table):
    """What to simulate where ``data.source`` is ``car_states``; see :class:`edge_seq.data.simulator.CarStatesOptions`.

    Attributes:
        drives: how many.
        drive_duration_s: length of each.
        sample_rate_hz: rate of the sensor.
        window_length, window_stride: of the contract, samples.
        seed: of all that is random in it.
    """

    drives: int = 48
    drive_duration_s: float = 300.0
    sample_rate_hz: float = 10.0
    window_length: int = 50
    window_stride: int = 25
    seed: int = 0


class DataConfig(_Table):
    """Which data, and how it is split.

    Attributes:
        source: ``car_states`` for the built-in simulator, or the path of a data source (TOML, see datasets/README.md).
        simulator: options of the simulator.
        split: ``group``; ``window_leaking_groups`` puts windows of one group on both sides and flatters every figure.
        validation_fraction: share of the windows for validation, unless the source gives its own part.
        test_fraction: share of the windows for the test, unless the source gives its own part.
        split_seed: of the choice of groups.
        training_stride: samples between training windows; the contract's stride where 0. Validation and test always
            use the contract's.
    """

    source: str = SIMULATOR
    simulator: SimulatorConfig = SimulatorConfig()
    split: str = "group"
    validation_fraction: float = Field(default=0.2, ge=0, lt=1)
    test_fraction: float = Field(default=0.2, ge=0, lt=1)
    split_seed: int = Field(default=0, ge=0)
    training_stride: int = Field(default=0, ge=0)


class QuantizationConfig(_Table):
    """How the integer model is made.

    Attributes:
        calibration_streams: how many streams of training recordings are observed.
        calibration_windows_per_stream: how long each is; long streams show how far a cell state can drift.
        min_agreement_rate: share of held-out windows on which float and integer model must give the same label.
        max_macro_f1_loss: largest loss of macro-F1, as a share of 1.
    """

    calibration_streams: int = Field(default=128, ge=1)
    calibration_windows_per_stream: int = Field(default=4, ge=1)
    min_agreement_rate: float = Field(default=0.99, ge=0, le=1)
    max_macro_f1_loss: float = Field(default=0.005, ge=0, le=1)


class RunConfig(_Table):
    """Everything that decides a run.

    Attributes:
        name: of the model, a C identifier in lower case; prefixes generated symbols.
        at_window_end: ``reset`` or ``carry``, see :class:`edge_seq.ir.model.Readout`.
        data, training, quantization: tables of their own.
    """

    name: str = SIMULATOR
    at_window_end: Literal["reset", "carry"] = "reset"
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()
    quantization: QuantizationConfig = QuantizationConfig()


def load_config(path: Path | None, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a run's configuration.

    Args:
        path: TOML file; None takes the defaults. ``data.source`` is relative to the folder of this file.
        overrides: ``section.key=value``, value as in TOML; a value that is no TOML is taken as text.

    Raises:
        ConfigError: naming each key that is unknown or out of range, and the file.

    >>> load_config(None, ["training.cell=gru", "training.hidden_size=8"]).training.hidden_size
    8
    """
    table: dict[str, Any] = {}
    if path is not None:
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ConfigError(f"configuration {path} does not exist; give the path of a TOML file") from error
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"configuration {path} cannot be read as TOML: {error}") from error
        source = table.get("data", {}).get("source", SIMULATOR)
        if source != SIMULATOR and not Path(source).is_absolute():
            table["data"]["source"] = str(path.parent / source)
    for override in overrides:
        _override(table, override)
    return parse_config(table, where="configuration" if path is None else f"configuration {path}")


def parse_config(table: Mapping[str, Any], *, where: str) -> RunConfig:
    """Validate a table.

    Raises:
        ConfigError: naming each key that is missing, unknown or out of range.
    """
    try:
        return RunConfig.model_validate(table)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']} (found {problem['input']!r})"
            for problem in error.errors(include_url=False)
        )
        raise ConfigError(f"{where}: {problems}. `edge-seq train --help` shows how to list all keys") from error


def dump_config(config: RunConfig) -> str:
    """The configuration as TOML, with every default written out."""
    return tomli_w.dumps(config.model_dump(mode="json"))


def _override(table: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise ConfigError(f"override {override!r}: expected section.key=value, for example training.hidden_size=32")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    for part in parts[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ConfigError(f"override {override!r}: {part} is a value, not a table; expected section.key=value")
    table[parts[-1]] = value
