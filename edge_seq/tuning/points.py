"""Configurations of the points of a search, from which `edge-seq train --from STUDY --point N` makes runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_seq.data.source import copy_of_source
from edge_seq.data.windows import make_windows
from edge_seq.pipeline.config import SIMULATOR, DataConfig, QuantizationConfig, RunConfig, dump_config, name_of_source
from edge_seq.support.errors import ConfigError
from edge_seq.support.files import write_atomically
from edge_seq.support.json_tables import load_result
from edge_seq.support.results import to_plain
from edge_seq.tuning.config import SearchConfig
from edge_seq.tuning.data import SearchData
from edge_seq.tuning.result import SEARCH, Point, SearchResult
from edge_seq.tuning.space import Candidate
from firmware_export.toolchain.budgets import Budgets

POINTS = "points"
CONFIG, SOURCE = "config.toml", "source.toml"


def write_points(result: SearchResult, data: SearchData, out: Path) -> None:
    """Write the configuration and the data source of each point to its folder below ``points``."""
    for point in result.points:
        folder = out / POINTS / str(point.number)
        source = SIMULATOR
        if data.config.source != SIMULATOR:
            source = SOURCE  # beside the configuration
            text = copy_of_source(Path(data.config.source), made_by="edge-seq search", changes=_changes(point, data))
            write_atomically(folder / SOURCE, text)
        write_atomically(folder / CONFIG, dump_config(config_of(point, data, source=source)))


def _changes(point: Point, data: SearchData) -> dict[str, Any]:
    """Fields of the data source that a point changes."""
    wanted, of_source = point.candidate.contract(data.contract), data.contract
    changed: dict[str, Any] = {}
    if wanted.preprocessing != of_source.preprocessing:
        changed["preprocessing"] = to_plain(wanted.preprocessing)
    if wanted.window_length != of_source.window_length:
        changed |= {"window_length": wanted.window_length, "window_stride": wanted.window_stride}
    return changed


def config_of(point: Point, data: SearchData, *, source: str) -> RunConfig:
    """Configuration of a run that trains a point with all windows of the training part.

    Args:
        point: point of the front.
        data: data of the search.
        source: data source of the run.
    """
    config, candidate = data.config, point.candidate
    contract = candidate.contract(data.contract)
    recordings = data.aside.dataset.recordings
    windows = make_windows(
        recordings,
        length=contract.window_length,
        stride=candidate.training_stride(contract),
        minimum_share=data.aside.minimum_share,
    )
    other_length = contract.window_length != data.contract.window_length and not data.aside.by_time
    return RunConfig(
        name=name_of_source(config.source),
        data=DataConfig(
            source=source,
            split="time_blocks" if data.aside.by_time else "group",
            validation_fraction=0.0,
            test_fraction=config.test_fraction,
            split_seed=config.split_seed,
            training_stride=candidate.training_stride(contract) if candidate.dense_windows else 0,
            split_window=(data.contract.window_length, data.contract.window_stride) if other_length else None,
        ),
        training=candidate.training(contract, windows=len(windows.labels), steps=candidate.steps, seed=config.seed),
        quantization=_quantization(candidate),
        budgets=_budgets(config),
    )


def _quantization(candidate: Candidate) -> QuantizationConfig:
    """The bits of a candidate, with the agreement of float and integer model that its choice asked for."""
    if candidate.bits == (8,):
        return QuantizationConfig()
    least = candidate.least_agreement
    return QuantizationConfig(
        weight_bits=candidate.bits, min_agreement_rate=least, max_macro_f1_loss=round(1 - least, 3)
    )


def _budgets(config: SearchConfig) -> Budgets:
    """The limits of the search that `edge-seq measure` checks."""
    limits = config.limits
    return Budgets(max_flash=limits.max_flash, max_ram=limits.max_ram, max_instructions=limits.max_instructions)


def is_study(path: Path) -> bool:
    """True if a folder holds a search."""
    return (path / SEARCH).is_file()


def point_config(study: Path, number: int | None) -> Path:
    """Path of the configuration of a point of a search.

    Args:
        study: folder of the search.
        number: number of the point; None takes the choice.

    Raises:
        ConfigError: the folder holds no search, or there is no such point.
        DataError: search.json is damaged.
    """
    if not is_study(study):
        raise ConfigError(f"{study} is not the folder of a search: it has no {SEARCH}. Make one with: edge-seq search")
    result = load_result(study / SEARCH, SearchResult)
    point = result.point(result.choice.number if number is None else number)
    if point is None:
        raise ConfigError(
            f"search {study.name}: there is no point {number}; give 1 to {len(result.points)}, or leave --point out to "
            f"take the choice ({result.choice.number})"
        )
    return study / POINTS / str(point.number) / CONFIG
