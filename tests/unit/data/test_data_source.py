from __future__ import annotations

import pytest
import tomli_w
from pydantic import ValidationError

from edge_seq.data.source import DataSource, load_source, parse_source
from edge_seq.ir.contract import Channel, Preprocessing, SensorContract
from edge_seq.support.errors import ConfigError, ContractError
from tests.unit.data.data_builders import source_fields


def test_a_source_is_read_from_toml_and_gives_its_contract(tmp_path):
    path = tmp_path / "walks.toml"
    fields = source_fields(preprocessing={"step": "remove_gravity", "gravity_shift": 4}, labels=["walk", "run"])
    path.write_text(tomli_w.dumps(fields), encoding="utf-8")
    source = load_source(path)
    assert source.contract == SensorContract(
        10.0,
        (Channel("ax", "g", 100.0, 4.0), Channel("ay", "g", 100.0, 4.0)),
        window_length=4,
        window_stride=2,
        preprocessing=Preprocessing("remove_gravity", 4),
    )
    assert source.labels == ("walk", "run")
    assert source.max_gap == pytest.approx(0.2)  # two periods


def test_columns_are_those_of_the_channels_and_what_is_named():
    source = DataSource.model_validate(
        source_fields(
            channels=[{"name": "ax", "column": "acc x", "unit": "g", "counts_per_unit": 1, "full_scale": 2}],
            recording_column="walk",
            group_column="walk",
            index_column="i",
        )
    )
    assert source.numeric_columns == ("acc x", "i")
    assert source.text_columns == ("walk", "label")


def test_a_source_is_frozen():
    source = DataSource.model_validate(source_fields())
    with pytest.raises(ValidationError, match="frozen"):
        source.path = "elsewhere"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"colour": "red"},
            "colour: unknown key .found .red..; keys at the top: name, path.*datasets/README.md",
        ),
        ({"format": "xlsx"}, "format: Input should be 'auto', 'csv', 'parquet', 'edge_impulse_json'"),
        ({"time_column": "t", "index_column": "i"}, "time_column and index_column are both given"),
        ({"split_files": {"train": "a.csv"}, "split_column": "s"}, "split_files and split_column are both given"),
        ({"split_files": {"training": "a.csv"}}, "split_files.training"),
        ({"label_column": None}, "label_column must name the column"),
        ({"label_from": "manifest"}, "manifest and label_from = .manifest. go together"),
        ({"manifest": "m.csv"}, "manifest and label_from = .manifest. go together"),
        (
            {"label_from": "manifest", "manifest": "m.csv", "split_files": {"train": "a.csv"}},
            "put a column `split` into the manifest",
        ),
        ({"split_files": {"train": "../a.csv"}}, r"split_files.train is '../a.csv'; give a file inside path"),
        ({"split_files": {"test": "/a.csv"}}, "split_files.test is '/a.csv'; give a file inside path"),
        ({"label_from": "manifest", "manifest": "a/../../m.csv"}, "manifest is 'a/../../m.csv'; give a file inside"),
        ({"label_column": "ax"}, "'ax' is used both as a number and as a name"),
        ({"labels": ["walk", "walk"]}, "labels .* repeat"),
        ({"name": "walks\x1b[31m"}, r"name 'walks\\x1b\[31m': holds U\+001B; .* Rename the data source"),
        ({"labels": ["walk", "run\n"]}, r"label 'run\\n': holds U\+000A; .* Rename it in the data source"),
        ({"label_names": {"1": "\u202ekcis"}}, r"label '\\u202ekcis': holds U\+202E"),
        ({"labels": ["walk"], "label_names": {"1": "run"}}, r"label_names gives \['run'\]"),
        ({"label_from": "file_name", "file_pattern": "(walk"}, "is not a regular expression"),
        ({"label_from": "file_name", "file_pattern": "(walk)"}, "has no group named label"),
        ({"minimum_share": 0}, "minimum_share: Input should be greater than 0"),
        ({"rate_tolerance": 1.5}, "rate_tolerance"),
        ({"max_gap_s": -1}, "max_gap_s"),
        ({"channels": [{"name": "ax", "unit": "furlong", "counts_per_unit": 1, "full_scale": 1}]}, "channels.0.unit"),
    ],
)
def test_fields_that_cannot_be_right_are_refused_by_name(changes, message):
    with pytest.raises(ConfigError, match=message):
        parse_source(source_fields(**changes), where="walks.toml")


def test_two_channels_of_one_column_are_refused():
    channel = {"unit": "g", "counts_per_unit": 1, "full_scale": 2, "column": "x"}
    with pytest.raises(ConfigError, match="two channels read the same column"):
        parse_source(source_fields(channels=[{"name": "ax", **channel}, {"name": "ay", **channel}]), where="x")


def test_a_contract_that_cannot_be_right_is_refused():
    with pytest.raises(ContractError, match="window_stride is 0"):
        parse_source(source_fields(window_stride=0), where="x")


def test_a_byte_order_mark_before_a_toml_file_is_no_part_of_it(tmp_path):
    path = tmp_path / "walks.toml"
    path.write_text("\ufeff" + tomli_w.dumps(source_fields()), encoding="utf-8")
    assert load_source(path) == parse_source(source_fields(), where="walks.toml")


def test_a_missing_or_broken_toml_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere.toml does not exist"):
        load_source(tmp_path / "nowhere.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("name = ", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"broken.toml cannot be read as TOML: .*[Ii]nvalid value"):
        load_source(broken)
    broken.write_bytes(b"name = '\xff'")
    with pytest.raises(ConfigError, match=r"broken.toml cannot be read as TOML"):
        load_source(broken)
    with pytest.raises(ConfigError, match="is a folder; expected a data source"):
        load_source(tmp_path)


def test_the_configuration_of_a_run_for_a_data_source_is_named_as_such(tmp_path):
    path = tmp_path / "car.toml"
    path.write_text('name = "car"\n[data]\nsource = "x.toml"\n[training]\ncell = "gru"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"car.toml is the configuration of a run.*edge-seq train .*car.toml"):
        load_source(path)


def test_recordings_for_a_data_source_are_named_as_such(tmp_path):
    with pytest.raises(ConfigError, match=r"drives.csv holds recordings; expected a data source.*data check .*--write"):
        load_source(tmp_path / "drives.csv")
    (tmp_path / "drives.toml").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"Give .*drives.toml, which lies beside it"):
        load_source(tmp_path / "drives.csv")
    with pytest.raises(ConfigError, match="is a folder; expected a data source"):
        load_source(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample_rate_hz": True}, "sample_rate_hz: .*true is neither a number nor a text"),
        ({"window_length": True}, "window_length: .*true is neither a number nor a text"),
        ({"sample_rate_hz": "50"}, "sample_rate_hz: .*the text '50' is no number"),
        ({"unlabelled_values": [0, False]}, "unlabelled_values: .*false is neither"),
        ({"max_gap_s": float("inf")}, "max_gap_s: .*finite"),
    ],
)
def test_numbers_come_from_numbers(changes, message):
    with pytest.raises(ConfigError, match=message):
        parse_source(source_fields(**changes), where="x")
