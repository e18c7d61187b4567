"""The configuration: defaults, files, overrides, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_seq.ir.verify import check_model_name
from edge_seq.pipeline.config import RunConfig, dump_config, load_config, quote, read_config
from edge_seq.support.errors import ConfigError


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


def test_a_source_in_an_override_is_relative_to_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(None, ["data.source=walks.toml"])
    assert config.data.source == str(tmp_path / "walks.toml")
    assert read_config(_written(tmp_path / "run" / "config.toml", config)) == config


def _written(path: Path, config: RunConfig) -> Path:
    path.parent.mkdir(parents=True)
    path.write_text(dump_config(config))
    return path


@pytest.mark.parametrize("content", ["data = 3\n", "[data]\nsource = 3\n"])
def test_a_table_of_the_wrong_type_in_a_file_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(content)
    with pytest.raises(ConfigError, match=r"config\.toml: data.*found 3"):
        load_config(tmp_path / "config.toml")


def test_simulated_windows_last_as_long_at_any_rate() -> None:
    simulator = load_config(None, ["data.simulator.sample_rate_hz=26.0"]).data.simulator
    assert (simulator.window_length, simulator.window_stride) == (130, 65)
    simulator = load_config(
        None, ["data.simulator.sample_rate_hz=26", "data.simulator.window_length=64"]
    ).data.simulator
    assert (simulator.window_length, simulator.window_stride) == (64, 65)


def test_what_is_shown_can_be_read_again(tmp_path: Path) -> None:
    for overrides in (["data.source=walks.toml"], ["data.simulator.sample_rate_hz=20"]):
        config = load_config(None, overrides)
        (tmp_path / "config.toml").write_text(dump_config(config))
        assert load_config(tmp_path / "config.toml") == config


@pytest.mark.parametrize("text", ["it's", 'a "b"', "back\\slash", "ünï", "{x}", "#3"])
def test_any_text_can_be_quoted(text: str) -> None:
    assert load_config(None, [f"data.source={quote('/' + text)}"]).data.source == "/" + text


def test_an_override_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[training]\nhidden_size = 8\nepochs = 3\n")
    config = load_config(tmp_path / "config.toml", ["training.hidden_size=9"])
    assert (config.training.hidden_size, config.training.epochs) == (9, 3)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["training.units=3"], r"training\.units: unknown key \(found 3\); keys of training: cell, hidden_size"),
        (["units=3"], r"units: unknown key \(found 3\); keys at the top: name, at_window_end, start_from"),
        (["data.simulator.cars=3"], r"keys of data\.simulator: drives, drive_duration_s"),
        (["name=My Model"], "must be a C identifier of lower-case letters"),
        (["data=3"], r"data: .*\(found 3\)"),
        (["data.source=3"], r"data\.source: .*\(found 3\)"),
        (["data.source=x.toml", "data.simulator.drives=3"], r"data\.simulator has no effect on source"),
        (["data.split=window_leaking_groups", "data.training_stride=3"], "training_stride 3 has no effect"),
        (["training.hidden_size=0"], r"training\.hidden_size: .*greater than or equal to 1 \(found 0\)"),
        (["training.cell=transformer"], r"training\.cell: .*'rnn', 'gru', 'lstm' or 'fastgrnn'"),
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


SOURCE = "sample_rate_hz = 50\nwindow_length = 4\n"


def test_a_data_source_for_a_configuration_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "walks.toml").write_text(SOURCE)
    with pytest.raises(ConfigError, match=r"walks\.toml is a data source.*edge-seq train --data .*walks\.toml"):
        load_config(tmp_path / "walks.toml")


def test_recordings_for_a_configuration_are_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"drives\.csv is given as the configuration .* holds recordings"):
        load_config(tmp_path / "drives.csv")
    with pytest.raises(ConfigError, match="is given as the configuration of a run, but it is a folder"):
        load_config(tmp_path)


def test_the_folder_of_a_run_for_a_configuration_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("")
    with pytest.raises(ConfigError, match=r"is the folder of a run; .* give .*config\.toml"):
        load_config(tmp_path)


@pytest.mark.parametrize(
    "override", ["training.epochs=true", "data.split_seed=false", "quantization.max_macro_f1_loss=true"]
)
def test_true_is_no_number(override: str) -> None:
    with pytest.raises(ConfigError, match=r"(true|false) is neither a number nor a text"):
        load_config(None, [override])


def test_a_text_is_no_number() -> None:
    with pytest.raises(ConfigError, match=r"training\.epochs: .*the text '3' is no number"):
        load_config(None, ['training.epochs="3"'])


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("recordings/Shaker-2.toml", "shaker_2"),
        ("7 days.toml", "model_7_days"),
        ("main.toml", "model_main"),
        ("math.toml", "model_math"),
        ("string.toml", "model_string"),
        ("int.toml", "model_int"),
        ("con.toml", "model_con"),
        ("edge-seq.toml", "model_edge_seq"),
        ("été.toml", "t"),
        ("!!.toml", "model"),
        (f"{'a' * 80}.toml", "a" * 48),
    ],
)
def test_a_model_is_named_after_its_data_source(source: str, name: str) -> None:
    found = load_config(None, [f"data.source={source!r}"])
    assert found.name == name
    check_model_name(found.name)
    assert load_config(None, [f"data.source={source!r}", "name=mine"]).name == "mine"


@pytest.mark.parametrize("name", ["main", "math", "string", "edge_seq", "es_car", "nul", "car_golden"])
def test_names_that_no_export_could_have_are_refused_before_training(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"the model's name is '{name}', but .*give another name"):
        load_config(None, [f"name={name}"])


@pytest.mark.parametrize(
    ("text", "missing"), [("", "name, data, training are"), ('name = "x"\n[data]\n', "training is")]
)
def test_the_configuration_of_a_run_is_never_empty(text: str, missing: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"config.toml: {missing} missing, which every configuration of a run has"):
        read_config(path)
