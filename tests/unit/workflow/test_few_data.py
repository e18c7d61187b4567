"""Few classes, few groups, few steps: what is said, and before the long work."""

from __future__ import annotations

import pytest

from edge_seq.pipeline.config import DataConfig, QuantizationConfig, load_config
from edge_seq.pipeline.prepare import TIME_WARNING, prepare_dataset, split_note
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.training.config import TrainingConfig
from edge_seq.workflow.train import few_steps_warning, optimiser_steps
from tests.unit.data.data_builders import make_dataset


def test_one_class_is_refused_before_anything_is_split() -> None:
    with pytest.raises(DataError, match=r"recordings are of one class, \['class0'\]; a classifier needs at least two"):
        prepare_dataset(make_dataset({"a": [0] * 9}), DataConfig(), QuantizationConfig(), minimum_share=1.0)


def test_the_note_of_a_split_by_time_warns() -> None:
    note = split_note(load_config(None, ["data.split=time_blocks"]))
    assert (note.split, note.warning) == ("time_blocks", TIME_WARNING)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("data.folds=3", "folds are by group and have no effect with split = 'time_blocks'"),
        ("data.storage=disk", "storage 'disk' does not go with split = 'time_blocks'"),
    ],
)
def test_options_that_do_not_go_with_blocks_of_time(other: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(None, ["data.split=time_blocks", other])


def test_few_steps_are_warned_of_with_what_to_type() -> None:
    config = TrainingConfig(epochs=10, batch_size=64)
    steps = optimiser_steps(630, config)
    assert steps == 10 * 10
    warning = few_steps_warning(steps, config)
    assert warning is not None
    assert "only 100 optimiser steps" in warning
    assert "--set training.epochs=50" in warning
    assert "--set training.batch_size=16" in warning
    assert optimiser_steps(630, config.model_copy(update={"epochs": 50})) >= 500
    assert few_steps_warning(500, config) is None
