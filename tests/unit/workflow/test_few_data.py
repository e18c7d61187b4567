"""Few classes, few groups, few steps: what is said, and before the long work."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_seq.ir.contract import Channel, Preprocessing, SensorContract
from edge_seq.pipeline.advice import advise, few_steps_warning, steps_of
from edge_seq.pipeline.config import DataConfig, QuantizationConfig, load_config
from edge_seq.pipeline.prepare import TIME_WARNING, prepare_dataset, split_note
from edge_seq.support.errors import ConfigError, DataError
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
    config = load_config(None, ["training.epochs=10", "training.batch_size=64"])
    steps = steps_of(630, config)
    assert steps == 10 * 10
    warning = few_steps_warning(steps, config)
    assert warning is not None
    assert "only 100 optimiser steps" in warning
    assert "--set training.epochs=50" in warning
    assert "--set training.batch_size=16" in warning
    assert steps_of(630, load_config(None, ["training.epochs=50", "training.batch_size=64"])) >= 500
    assert few_steps_warning(500, config) is None


CONTRACT = SensorContract(10.0, (Channel("ax", "g", 100.0, 4.0),), 50, 25)


@pytest.mark.parametrize(
    ("accuracy", "forest", "training", "said"),
    [
        (0.90, 0.92, 0.97, ()),
        (0.90, None, 0.97, ()),
        (0.80, 0.92, 0.85, ("The random forest is 12.0 points", "window_length and window_stride", "remove_gravity")),
        (0.60, 0.61, 0.99, ("99.0 % on its training windows and 60.0 % here", "training.augmentation.rotation=any")),
        (0.60, None, 0.99, ("more optimiser steps than 80: --set training.epochs=250", "training.pooling=mean_max")),
    ],
)
def test_advice_where_a_model_is_far_behind(
    accuracy: float, forest: float | None, training: float, said: tuple[str, ...]
) -> None:
    config = load_config(None, ["training.epochs=40", "training.batch_size=128"])
    given = advise(config, CONTRACT, accuracy=accuracy, forest=forest, training=training, training_windows=250)
    assert bool(given) == bool(said)
    for text in said:
        assert any(text in line for line in given), (text, given)


def test_advice_does_not_repeat_what_the_run_has() -> None:
    rotated = load_config(None, ["training.augmentation.rotation=any", "training.pooling=last"])
    contract = replace(CONTRACT, preprocessing=Preprocessing("remove_gravity", 6))
    text = " ".join(advise(rotated, contract, accuracy=0.5, forest=0.9, training=0.9, training_windows=9000))
    assert "rotation" not in text
    assert "remove_gravity" not in text
    assert "training.pooling=mean_max" in text
    assert "optimiser steps" not in text
