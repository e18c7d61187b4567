"""What a comparison compares: presets, overrides, refusals, and the grid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge_seq.compare.config import (
    BUILT_IN_TASKS,
    CompareConfig,
    load_compare_config,
    parse_compare_config,
)
from edge_seq.compare.cost import count_parameters, most_units
from edge_seq.compare.points import Point, Size, candidates_of, points_of, sizes_of
from edge_seq.ir.kind_names import CELL_NAMES
from edge_seq.support.errors import ConfigError
from edge_seq.training.config import TrainingConfig
from edge_seq.trials.folder import table_differences


@pytest.mark.parametrize("task", [*BUILT_IN_TASKS, "some/source.toml"])
def test_every_task_has_both_forms_and_the_quick_one_is_smaller(task: str) -> None:
    full, quick = load_compare_config(task), load_compare_config(task, quick=True)
    trainings = [len(config.window_lengths) * len(sizes_of(config)) * config.seeds for config in (full, quick)]
    assert trainings[1] < trainings[0]
    assert quick.seeds >= 3
    assert {"default", "chrono"} <= set(quick.first_weights)
    assert parse_compare_config(full.model_dump(mode="json")) == full


def test_a_source_is_absolute_so_that_workers_elsewhere_read_the_same(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_compare_config("a.toml").task == str(tmp_path / "a.toml")


def test_a_size_that_is_given_replaces_those_of_the_task() -> None:
    config = load_compare_config("recall", options={"parameters": [500], "cells": None})
    assert (config.hidden_sizes, config.parameters) == ((), (500,))
    assert config.cells == ("rnn", "gru", "lstm")
    assert sizes_of(config) == (Size("parameters", 500),)


@pytest.mark.parametrize(
    ("task", "overrides", "message"),
    [
        ("recall", ["training.cell=gru"], "training.cell cannot be set, because the comparison sets it: give --cell"),
        ("recall", ["training.keep=loss"], "the windows that could choose an epoch are the scored ones"),
        ("recall", ["data.split_seed=1"], "data has no effect on task recall, which has no recordings"),
        ("car_states", ["memory.scored_windows=1"], "memory has no effect on car_states; it is for"),
        ("a.toml", ["data.simulator.drives=3"], "data.simulator has no effect on a.toml; it is for car_states"),
        ("recall", ["epochs"], "expected section.key=value, for example training.epochs=40"),
        ("recall", ["task=latch"], "give it as the first argument of edge-seq compare"),
        ("recall", ["memory.windows=3"], "memory.windows: unknown key (found 3); keys of memory: training_windows"),
        ("recall", ["seeds=1"], "seeds: Input should be greater than or equal to 2"),
        ("recall", ["cells=['rnn', 'rnn']"], "cells ['rnn', 'rnn'] repeat; give each once"),
        ("recall", ["readouts=['last', 'flatten']"], "readouts hold flatten, whose weights grow with the window"),
        ("recall", ["hidden_sizes=[]", "parameters=[]"], "no size to compare at; give hidden_sizes, parameters or"),
        ("recall", ["instructions=[900]", "target=''"], "instructions [900] need a target to count them on"),
    ],
)
def test_what_cannot_be_compared_is_refused(task: str, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_compare_config(task, overrides=overrides)
    assert message in str(caught.value)


def test_differences_name_the_key_and_both_values() -> None:
    there, now = {"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 1, "c": 3}, "e": "x"}
    assert table_differences(there, now) == ["a.c 2 there, 3 now", "d [1] there, null now", 'e null there, "x" now']


def grid(**change: object) -> tuple[CompareConfig, list[Point]]:
    config = CompareConfig.model_validate(
        {"task": "recall", "hidden_sizes": [4], "window_lengths": [8, 16], "seeds": 2, **change}
    )
    return config, points_of(config, candidates_of(config, lambda _cell, size: size.value))


def test_the_grid_holds_each_training_once() -> None:
    config, points = grid(first_weights=["default", "forget_bias", "chrono"], learning_rates=[0.01, 0.003])
    keys = [point.key for point in points]
    # For a vanilla RNN both kinds of good first weights are one.
    assert len(keys) == len(set(keys)) == 2 * 2 * 2 * (2 + 3 + 3)
    seeds = [point.seed for point in points]
    assert seeds == sorted(seeds)
    _, shared = grid(parameters=[4])  # a shape at two sizes is trained once
    assert len(shared) == len(grid()[1])
    assert config.seeds == 2


def test_readouts_are_an_axis_and_the_last_state_is_what_it_was() -> None:
    _, plain = grid()
    config, points = grid(readouts=["last", "mean"])
    assert len(points) == 2 * len(plain)
    assert {point.key for point in plain} < {point.key for point in points}
    assert {point.training(config.training).pooling for point in plain} == {"last"}
    mean = next(one for one in points if one.key == "gru-4-chrono-mean-T16-lr0.01-s1")
    assert mean.training(TrainingConfig(pooling="last")).pooling == "mean"
    assert str(mean.candidate) == "gru 4 (chrono, mean of states), T = 16"
    assert str(mean.candidate.shape) == "gru-4-T16-mean"
    last = replace(mean.candidate, readout="last")
    assert (str(last), str(last.shape)) == ("gru 4 (chrono), T = 16", "gru-4-T16")


def test_a_point_sets_cell_weights_rate_and_seed_and_keeps_the_last_epoch() -> None:
    _, points = grid()
    point = next(one for one in points if one.key == "lstm-4-chrono-T16-lr0.01-s1")
    training = point.training(TrainingConfig(epochs=7))
    assert (training.cell, training.hidden_size, training.seed, training.keep) == ("lstm", 4, 1, "last")
    assert (training.epochs, training.initialisation.chrono_max_steps) == (7, "window")
    default = next(one for one in points if one.key == "gru-4-default-T8-lr0.01-s0").training(TrainingConfig())
    assert default.initialisation.model_dump() == {
        "recurrent": "default",
        "forget_bias": "default",
        "chrono_max_steps": "none",
    }


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_a_budget_of_parameters_is_used_up_and_kept(cell: str) -> None:
    def cost(units: int) -> int:
        return count_parameters(cell, units, input_size=3, num_classes=4)

    units = most_units(cost, 1348, cell)
    assert cost(units) <= 1348 < cost(units + 1)


def test_a_budget_that_no_unit_keeps_to_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"gru: 5 parameters: one unit already needs 20; give a larger budget"):
        most_units(lambda units: 20 * units, 5, "gru: 5 parameters")
