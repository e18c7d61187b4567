"""Configuration of a comparison: one frozen, validated table, and the presets of each task."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from edge_seq.data.simulator.memory_tasks import MEMORY_TASKS
from edge_seq.data.simulator.options import CarStatesOptions
from edge_seq.ir.kind_names import CellName, Pooling
from edge_seq.pipeline.config import SIMULATOR, validated
from edge_seq.support.errors import ConfigError
from edge_seq.support.opening import parse_toml
from edge_seq.support.tables import StrictTable
from edge_seq.training.config import TrainingConfig

BUILT_IN_TASKS = (SIMULATOR, *MEMORY_TASKS)
FirstWeights = Literal["default", "forget_bias", "chrono"]
Positive = Annotated[int, Field(ge=1)]
# Keys of `training` that the comparison sets for each training, and what to do instead.
SET_BY_POINT = {
    "cell": "give --cell",
    "hidden_size": "give --hidden-size, --parameters or --instructions",
    "num_layers": "cells are compared in one layer",
    "learning_rate": "set learning_rates, of which the best is used for each cell",
    "initialisation": "give --first-weights",
    "pooling": "give --readout",
    "dense": "cells are compared without dense layers",
    "front": "cells are compared without front layers",
    "seed": "give --seeds",
    "keep": "the last epoch is kept, because the windows that could choose an epoch are the scored ones",
}


class CompareData(StrictTable):
    """Data of a task with recordings.

    Attributes:
        simulator: options of the simulator, for the task ``car_states``.
        test_fraction: share of the windows for the test part, which is not used, unless the source gives a test part.
        split_seed: seed of the choice of the test part's groups.
        scored_fraction: share of the other windows that is scored: other groups for each seed, the same for each cell.
        split: ``group``, or ``time_blocks``, which is weaker evidence: the test part is the end of each class, and
            another block of time is scored for each seed. ``group`` takes over the split that the data source asks for.
        window_stride: samples from one window to the next; 0 takes the stride of the contract.
        max_training_windows: largest number of windows of a training, spread evenly; 0 takes all.
    """

    simulator: CarStatesOptions = CarStatesOptions()
    test_fraction: float = Field(default=0.2, ge=0, lt=1)
    split_seed: int = Field(default=0, ge=0)
    scored_fraction: float = Field(default=0.3, gt=0, lt=1)
    split: Literal["group", "time_blocks"] = "group"
    window_stride: int = Field(default=0, ge=0)
    max_training_windows: int = Field(default=0, ge=0)


class MemoryData(StrictTable):
    """Data of a memory task. They are drawn again for each seed, and are the same for each cell.

    Attributes:
        training_windows, scored_windows: number of windows.
    """

    training_windows: Positive = 2048
    scored_windows: Positive = 512


class CompareConfig(StrictTable):
    """Configuration of a comparison.

    Attributes:
        task: ``car_states``, ``recall``, ``latch``, or the path of a data source (TOML, see datasets/README.md).
        cells: names of the cells.
        hidden_sizes: hidden sizes H, the same for each cell.
        parameters: budgets in parameters; each cell gets the largest hidden size that fits.
        instructions: budgets in instructions (or cycles, if the target counts cycles) per time step on ``target``; each
            cell gets the largest hidden size that fits.
        first_weights: initial weights. ``default`` are those of torch. ``forget_bias`` are orthogonal recurrent weights
            and a bias of 1 on the gates that keep the state. ``chrono`` are orthogonal recurrent weights and gates
            spread over the window. A vanilla RNN has no gates, so the last two are the same for it and are called
            ``orthogonal``.
        window_lengths: window lengths T in samples.
        readouts: inputs of the head: the ``last`` hidden state, for which the cell has to remember, or the ``mean`` of
            all, the largest value (``max``) of each unit, or both (``mean_max``), which remember for it.
        learning_rates: learning rates to try. The one with the best mean score is used for each cell, size, T and kind
            of initial weights.
        seeds: number of trainings of each candidate.
        score: score by which cells are compared.
        target: name of the target on which cost is measured; empty measures no cost.
        training: all other options of a training.
        data: options of a task with recordings.
        memory: options of a memory task.
        gradient_windows: number of scored windows over which norms of gradients are averaged.
        integer_windows: number of scored windows on which the integer model is run, spread evenly.
    """

    task: str = SIMULATOR
    cells: tuple[CellName, ...] = Field(default=("rnn", "gru", "lstm"), min_length=1)
    hidden_sizes: tuple[Annotated[int, Field(ge=1, le=512)], ...] = ()
    parameters: tuple[Positive, ...] = ()
    instructions: tuple[Positive, ...] = ()
    first_weights: tuple[FirstWeights, ...] = Field(default=("default", "chrono"), min_length=1)
    window_lengths: tuple[Annotated[int, Field(ge=2, le=16383)], ...] = Field(default=(50,), min_length=1)
    readouts: tuple[Pooling, ...] = Field(default=("last",), min_length=1)
    learning_rates: tuple[Annotated[float, Field(gt=0, le=10)], ...] = Field(default=(0.01,), min_length=1)
    seeds: int = Field(default=5, ge=2, le=1000)
    score: Literal["accuracy", "macro_f1"] = "accuracy"
    target: str = "cortex_m4"
    training: TrainingConfig = TrainingConfig()
    data: CompareData = CompareData()
    memory: MemoryData = MemoryData()
    gradient_windows: Positive = 128
    integer_windows: Positive = 1000

    @model_validator(mode="after")
    def _options_fit_together(self) -> CompareConfig:
        if not (self.hidden_sizes or self.parameters or self.instructions):
            raise ValueError("no size to compare at; give hidden_sizes, parameters or instructions")
        if self.instructions and not self.target:
            raise ValueError(f"instructions {list(self.instructions)} need a target to count them on; give target")
        if "flatten" in self.readouts:
            raise ValueError(
                "readouts hold flatten, whose weights grow with the window, so that the sizes of a comparison do not "
                "hold for it; leave it out, and train it by itself (training.pooling = 'flatten')"
            )
        axes = ("cells", "hidden_sizes", "parameters", "instructions", "first_weights", "window_lengths", "readouts")
        for name in axes:
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"{name} {list(values)} repeat; give each once")
        return self

    @property
    def is_memory_task(self) -> bool:
        """True if windows are drawn at random instead of cut from recordings."""
        return self.task in MEMORY_TASKS


_PLAIN = {"input_gain": 1.0, "mixup": 0.0}  # so that what differs is the cell's
_MEMORY_TRAINING = {
    **_PLAIN,
    "epochs": 20,
    "batch_size": 64,
    "dropout": 0.0,
    "weight_decay": 0.0,
    "class_weights": "none",
}
_DATA_TRAINING = {**_PLAIN, "epochs": 20, "batch_size": 128, "class_weights": "none"}
_PRESETS: dict[str, dict[str, Any]] = {
    "recall": {
        "hidden_sizes": [16],
        "parameters": [1284],
        "first_weights": ["default", "forget_bias", "chrono"],
        "window_lengths": [16, 32, 64, 128, 256],
        "learning_rates": [0.003, 0.01],
        "training": _MEMORY_TRAINING,
    },
    "latch": {
        "hidden_sizes": [16],
        "parameters": [1186],
        "first_weights": ["default", "forget_bias", "chrono"],
        "window_lengths": [16, 32, 64, 128],
        "learning_rates": [0.003, 0.01],
        "training": _MEMORY_TRAINING,
    },
    SIMULATOR: {
        "hidden_sizes": [16],
        "parameters": [1348],
        "window_lengths": [10, 25, 50, 100],
        "learning_rates": [0.005, 0.02],
        "training": {**_DATA_TRAINING, "epochs": 40},
        "data": {"window_stride": 10},
    },
    "data": {
        "hidden_sizes": [16],
        "window_lengths": [16, 64, 256],
        "learning_rates": [0.003, 0.01],
        "training": _DATA_TRAINING,
    },
}
# Values of --quick: fewer window lengths, three seeds, one learning rate, fewer and shorter trainings.
_QUICK: dict[str, dict[str, Any]] = {
    "recall": {
        "parameters": [],
        "window_lengths": [16, 32, 64, 256],
        "learning_rates": [0.01],
        "seeds": 3,
        "training": {"batch_size": 32},
        "memory": {"training_windows": 1024},
    },
    "latch": {
        "parameters": [],
        "window_lengths": [16, 32, 64],
        "learning_rates": [0.01],
        "seeds": 3,
        "training": {"batch_size": 32},
        "memory": {"training_windows": 1024},
    },
    SIMULATOR: {
        "window_lengths": [10, 25, 50],
        "learning_rates": [0.01],
        "seeds": 3,
        "training": {"epochs": 15},
        "data": {"window_stride": 25},
    },
    "data": {
        "learning_rates": [0.01],
        "seeds": 3,
        "training": {"epochs": 10, "batch_size": 64},
        "data": {"max_training_windows": 2000},
    },
}


def load_compare_config(
    task: str, *, quick: bool = False, options: Mapping[str, Any] | None = None, overrides: Sequence[str] = ()
) -> CompareConfig:
    """Build the configuration of a comparison from presets of the task, presets of --quick, options and overrides.

    Later ones replace earlier ones.

    Args:
        task: name of a built-in task or path of a data source, relative to the current folder.
        quick: True takes the presets for under half an hour on two cores.
        options: values of top keys of :class:`CompareConfig`; None leaves a key as it is.
        overrides: ``key=value`` or ``section.key=value``, value as in TOML.

    Raises:
        ConfigError: keys are unknown, out of range, set by the comparison itself or without effect; the message names
            each.
    """
    given = {key: value for key, value in (options or {}).items() if value is not None}
    sizes = ("hidden_sizes", "parameters", "instructions")
    table: dict[str, Any] = {}
    kind = task if task in BUILT_IN_TASKS else "data"
    for layer in (_PRESETS[kind], _QUICK[kind] if quick else {}):
        _merge(table, layer)
    if any(given.get(size) for size in sizes):
        given = {**{size: [] for size in sizes}, **given}
    _merge(table, given)
    for override in overrides:
        _override(table, override)
    table["task"] = task if task in BUILT_IN_TASKS else os.path.abspath(task)  # noqa: PTH100 - keeps symbolic links
    _refuse_what_has_no_effect(table)
    return parse_compare_config(table)


def parse_compare_config(table: Mapping[str, Any]) -> CompareConfig:
    """Validate the table of a comparison.

    Raises:
        ConfigError: keys are missing, unknown or out of range; the message names each.
    """
    return validated(CompareConfig, table, where="comparison", command="compare")


def _merge(table: dict[str, Any], layer: Mapping[str, Any]) -> None:
    for key, value in layer.items():
        if isinstance(value, Mapping) and isinstance(table.get(key), dict):
            _merge(table[key], value)
        else:
            table[key] = deepcopy(value)


def _override(table: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise ConfigError(f"override {override!r}: expected section.key=value, for example training.epochs=40")
    try:
        value: Any = parse_toml(f"value = {text}")["value"]
    except ValueError:
        value = text
    nested: Any = value
    for part in reversed(parts):
        nested = {part: nested}
    if parts == ["task"]:
        raise ConfigError("comparison: task cannot be set; give it as the first argument of edge-seq compare")
    if len(parts) == 2 and parts[0] == "training" and parts[1] in SET_BY_POINT:
        raise ConfigError(
            f"comparison: training.{parts[1]} cannot be set, because the comparison sets it: {SET_BY_POINT[parts[1]]}"
        )
    _merge(table, nested)


def _refuse_what_has_no_effect(table: Mapping[str, Any]) -> None:
    task = table["task"]
    if task in MEMORY_TASKS and "data" in table:
        raise ConfigError(f"comparison: data has no effect on task {task}, which has no recordings; leave it out")
    if task not in MEMORY_TASKS and "memory" in table:
        raise ConfigError(f"comparison: memory has no effect on {Path(task).name}; it is for {list(MEMORY_TASKS)}")
    if task != SIMULATOR and "simulator" in table.get("data", {}):
        raise ConfigError(f"comparison: data.simulator has no effect on {Path(task).name}; it is for {SIMULATOR}")
