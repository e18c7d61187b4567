"""Configuration of a search: one frozen, validated table."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from edge_seq.ir.kind_names import CellName
from edge_seq.pipeline.config import SIMULATOR, validated
from edge_seq.support.errors import ConfigError
from edge_seq.support.tables import StrictTable

FEWEST_TRIALS = 12
_UNITS = {"s": 1, "min": 60, "h": 3600}
_BYTES = {"": 1, "b": 1, "kb": 1000, "kib": 1024}


class Budget(StrictTable):
    """Amount of work of a search. One of the two is given.

    Attributes:
        seconds: time for the trials, seconds on all workers side by side. What a trial took is kept with its result, so
            that a search that is continued counts the earlier work.
        trials: number of trials; each is a training on one fold.
    """

    seconds: float | None = Field(default=None, gt=0)
    trials: int | None = Field(default=None, ge=FEWEST_TRIALS)

    @model_validator(mode="after")
    def _one_is_given(self) -> Budget:
        if (self.seconds is None) == (self.trials is None):
            raise ValueError("give either seconds or trials")
        return self

    def __str__(self) -> str:
        return f"{self.trials} trials" if self.seconds is None else f"{self.seconds / 60:g} min"


class Limits(StrictTable):
    """Largest cost of a network on the target. None means no limit.

    Attributes:
        max_flash: code, tables and weights, bytes.
        max_weights: weights, biases and multipliers, bytes.
        max_ram: context of the model, bytes.
        max_instructions: instructions of a window (cycles, where the target counts cycles).
    """

    max_flash: int | None = Field(default=None, gt=0)
    max_weights: int | None = Field(default=None, gt=0)
    max_ram: int | None = Field(default=None, gt=0)
    max_instructions: int | None = Field(default=None, gt=0)


class SearchConfig(StrictTable):
    """Configuration of a search.

    Attributes:
        source: ``car_states``, or the path of a data source (TOML, see datasets/README.md).
        target: target on which cost is computed.
        limits: largest cost of a network.
        budget: amount of work.
        cells: cells to try.
        window_lengths: window lengths to try, samples; empty takes that of the source.
        folds: number of folds; 0 takes as many as the groups allow, at most 4.
        split: ``group``, or ``time_blocks``, which is weaker evidence. ``group`` takes over the split that the source
            asks for.
        test_fraction: share of the windows for the test part, unless the source gives one.
        split_seed: seed of the choice of the test part's groups.
        max_training_windows: largest number of windows that a trial learns from, spread evenly; 0 takes all.
        tolerance: the choice is the cheapest point whose macro-F1 is at most this far below the best.
        seed: seed of every random choice.
    """

    source: str = SIMULATOR
    target: str = "cortex_m4"
    limits: Limits = Limits()
    budget: Budget = Budget(seconds=600.0)
    cells: tuple[CellName, ...] = Field(default=("lstm", "gru", "fastgrnn"), min_length=1)
    window_lengths: tuple[Annotated[int, Field(ge=2, le=16383)], ...] = ()
    folds: int = Field(default=0, ge=0, le=100)
    split: Literal["group", "time_blocks"] = "group"
    test_fraction: float = Field(default=0.2, ge=0, lt=1)
    split_seed: int = Field(default=0, ge=0)
    max_training_windows: int = Field(default=0, ge=0)
    tolerance: float = Field(default=0.005, ge=0, le=1)
    seed: int = Field(default=0, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _folds_and_cells(self) -> SearchConfig:
        if self.folds == 1:
            raise ValueError("folds is 1; give at least 2, or 0 for as many as the groups allow")
        if len(set(self.cells)) != len(self.cells):
            raise ValueError(f"cells {list(self.cells)} repeat; give each once")
        return self


def make_search_config(source: str, **options: Any) -> SearchConfig:
    """Validate the configuration of a search.

    Args:
        source: ``car_states``, or the path of a data source, relative to the current folder.
        options: values of the other keys; None takes the default.

    Raises:
        ConfigError: a value is unknown or out of range; the message names it.
    """
    given = {key: value for key, value in options.items() if value is not None}
    given["source"] = source if source == SIMULATOR else os.path.abspath(source)  # noqa: PTH100 - keeps symbolic links
    return parse_search_config(given)


def parse_search_config(table: Mapping[str, Any]) -> SearchConfig:
    """Validate the table of a search.

    Raises:
        ConfigError: keys are unknown or out of range; the message names each.
    """
    return validated(SearchConfig, table, where="search", command="search")


def parse_budget(text: str) -> dict[str, float]:
    """Read a budget: a number with ``trials``, ``s``, ``min`` or ``h``.

    Raises:
        ConfigError: it is none.

    >>> parse_budget("30min"), parse_budget("200 trials")
    ({'seconds': 1800.0}, {'trials': 200})
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
    number, unit = (float(found[1]), found[2]) if found else (0.0, "")
    if unit in ("trial", "trials") and number == int(number):
        if number < FEWEST_TRIALS:
            raise ConfigError(f"search: --budget {text!r} is too little; give at least {FEWEST_TRIALS} trials")
        return {"trials": int(number)}
    if unit not in _UNITS or not number:
        raise ConfigError(f"search: --budget {text!r} is no budget; give for example 10min, 2h or 200 trials")
    return {"seconds": number * _UNITS[unit]}


def parse_bytes(text: str, option: str) -> int:
    """Read a number of bytes: ``8kB`` is 8,000, ``8KiB`` is 8,192.

    Args:
        text: number and unit.
        option: name of the option, for the message.

    Raises:
        ConfigError: it is no number of bytes.

    >>> parse_bytes("8kB", "--max-flash"), parse_bytes("512", "--max-ram")
    (8000, 512)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
    if not found or found[2] not in _BYTES or not float(found[1]) * _BYTES[found[2]] >= 1:
        raise ConfigError(f"search: {option} {text!r} is no number of bytes; give for example 8kB, 8KiB or 8192")
    return int(float(found[1]) * _BYTES[found[2]])
