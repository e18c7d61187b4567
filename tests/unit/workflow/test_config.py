"""The configuration: defaults, files, overrides, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_seq.errors import ConfigError
from edge_seq.workflow.config import RunConfig, dump_config, load_config


def test_defaults_survive_a_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(dump_config(RunConfig()))
    assert load_config(path) == RunConfig()


def test_overrides_reach_every_level_and_keep_their_types() -> None:
    config = load_config(
        None,
        ["training.cell=gru", "training.augmentation.noise=0.05", "data.simulator.drives=5", 'name="walks"'],
    )
    assert config.training.cell == "gru"
    assert config.training.augmentation.noise == 0.05
    assert config.data.simulator.drives == 5
    assert config.name == "walks"


def test_a_source_is_relative_to_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[data]\nsource = "walks.toml"\n')
    assert load_config(tmp_path / "config.toml").data.source == str(tmp_path / "walks.toml")


def test_an_override_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[training]\nhidden_size = 8\nepochs = 3\n")
    config = load_config(tmp_path / "config.toml", ["training.hidden_size=9"])
    assert (config.training.hidden_size, config.training.epochs) == (9, 3)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["training.units=3"], r"training\.units: Extra inputs"),
        (["training.hidden_size=0"], r"training\.hidden_size: .*greater than or equal to 1 \(found 0\)"),
        (["training.cell=transformer"], r"training\.cell: .*'rnn', 'gru' or 'lstm'"),
        (["hidden_size"], "expected section.key=value"),
        (["=3"], "expected section.key=value"),
        (["name=x", "name.length=3"], "name is a value, not a table"),
        (["quantization.calibration_streams=0"], "greater than or equal to 1"),
    ],
)
def test_wrong_overrides_are_named(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(None, overrides)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml does not exist"):
        load_config(tmp_path / "none.toml")


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("name = = 3")
    with pytest.raises(ConfigError, match="cannot be read as TOML"):
        load_config(tmp_path / "config.toml")
