from __future__ import annotations

import pytest
from pydantic import ValidationError

from edge_seq.errors import ConfigError
from edge_seq.training.config import AugmentationConfig, TrainingConfig, config_from_dict


def test_defaults_and_round_trip() -> None:
    config = TrainingConfig(cell="gru", augmentation=AugmentationConfig(rotation="any"))
    assert config_from_dict(config.model_dump(mode="json")) == config
    assert config.augmentation.is_active
    assert not TrainingConfig().augmentation.is_active


def test_values_never_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TrainingConfig().epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"cell": "transformer"}, r"cell: .*'rnn', 'gru' or 'lstm'.* \(found 'transformer'\)"),
        ({"learning_rat": 0.1}, r"learning_rat: .*found 0.1.*Allowed keys: \['augmentation', 'batch_size'"),
        ({"input_gain": 0.0}, "input_gain: .*greater than 0"),
        ({"hidden_size": 0}, "hidden_size: .*greater than or equal to 1"),
        ({"augmentation": {"max_degrees": 200}}, "augmentation.max_degrees: .*less than or equal to 180"),
        ({"initialisation": {"chrono_max_steps": 2}}, "give at least 3, 'window' or 'none'"),
        ({"keep": "last", "early_stopping_patience": 3}, "table: .*early_stopping_patience needs a validation score"),
        ({"learning_rate": float("nan")}, "learning_rate: .*finite"),
        ({"epochs": 0, "dropout": 1.0}, "epochs: .*; dropout: "),
    ],
)
def test_refusals(data: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_from_dict(data)
