from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from edge_seq.support.errors import ConfigError
from edge_seq.training.config import AugmentationConfig, TrainingConfig


def test_defaults_and_round_trip() -> None:
    config = TrainingConfig(
        cell="gru", channel_gains={"gx": 20, "gy": 0.5}, augmentation=AugmentationConfig(rotation="any")
    )
    assert TrainingConfig.model_validate(config.model_dump(mode="json")) == config
    assert config.augmentation.is_active
    assert not TrainingConfig().augmentation.is_active


def test_values_never_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TrainingConfig().epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"cell": "transformer"}, "cell: .*'rnn', 'gru', 'lstm' or 'fastgrnn'"),
        ({"learning_rat": 0.1}, "learning_rat: Extra inputs are not permitted"),
        ({"input_gain": 0.0}, "input_gain: .*greater than 0"),
        ({"channel_gains": {"gx": 101}}, "channel_gains.gx: .*less than or equal to 100"),
        ({"channel_gains": {"gx": "20"}}, "channel_gains.gx: .*valid number"),
        ({"channel_gains": {"gx": True}}, "channel_gains.gx: .*valid number"),
        ({"hidden_size": 0}, "hidden_size: .*greater than or equal to 1"),
        ({"augmentation": {"max_degrees": 200}}, "augmentation.max_degrees: .*less than or equal to 180"),
        ({"initialisation": {"chrono_max_steps": 2}}, "give at least 3, 'window' or 'none'"),
        ({"keep": "last", "early_stopping_patience": 3}, "early_stopping_patience needs a validation score"),
        ({"pooling": "flatten", "label_every": "sample"}, "the weights of flatten are for whole windows"),
        ({"learning_rate": float("nan")}, "learning_rate: .*finite"),
        ({"epochs": -1, "dropout": 1.0}, "epochs: .*; dropout: "),
    ],
)
def test_refusals(data: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TrainingConfig.model_validate(data)
    problems = caught.value.errors(include_url=False)
    found = "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems)
    assert re.search(message, found), found


def test_errors_are_those_of_the_project_and_name_every_key() -> None:
    with pytest.raises(ConfigError, match=r"^TrainingConfig: hidden_size: Input .* \(found 0\); epochs: Input"):
        TrainingConfig(hidden_size=0, epochs=-1)
    with pytest.raises(ConfigError, match=r"learning_rat: unknown key \(found 1\); keys at the top: cell"):
        TrainingConfig(learning_rat=1)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match=r"TrainingConfig: augmentation\.max_degrees: .* \(found 200\)$"):
        TrainingConfig(augmentation={"max_degrees": 200})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"^AugmentationConfig: scale: "):
        TrainingConfig(augmentation=AugmentationConfig(scale=-1))
    with pytest.raises(ConfigError, match=r"TrainingConfig: table: Value error, early_stopping_patience .* or 'loss'$"):
        TrainingConfig(keep="last", early_stopping_patience=3)
