"""Few classes, few groups, few steps: what is said, and before the long work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge_seq.compare.config import load_compare_config
from edge_seq.compare.data import open_source
from edge_seq.data.window_file import load_windows
from edge_seq.ir.contract import Channel, Preprocessing, SensorContract
from edge_seq.pipeline.advice import advise, few_steps_warning
from edge_seq.pipeline.config import DataConfig, QuantizationConfig, load_config, quote
from edge_seq.pipeline.data_check import check_data
from edge_seq.pipeline.prepare import TIME_WARNING, prepare_dataset, split_note
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.support.json_tables import load_json
from edge_seq.workflow.cross_validate import cross_validate
from tests.unit.data.data_builders import make_dataset
from tests.unit.data.door_cases import CASES


def test_one_class_is_refused_before_anything_is_split() -> None:
    with pytest.raises(DataError, match=r"recordings are of one class, \['class0'\]; a classifier needs at least two"):
        prepare_dataset(make_dataset({"a": [0] * 9}), DataConfig(), QuantizationConfig(), minimum_share=1.0)


def test_the_note_of_a_split_by_time_warns() -> None:
    note = split_note(load_config(None, ["data.split=time_blocks"]))
    assert (note.split, note.warning) == ("time_blocks", TIME_WARNING)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("data.storage=disk", "storage 'disk' does not go with split = 'time_blocks'"),
    ],
)
def test_options_that_do_not_go_with_blocks_of_time(other: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(None, ["data.split=time_blocks", other])


def test_few_steps_are_warned_of_with_what_to_type() -> None:
    config = load_config(None, ["training.epochs=10", "training.batch_size=64"])
    steps = config.training.steps_for(630)
    assert steps == 10 * 10
    warning = few_steps_warning(steps, config)
    assert warning is not None
    assert "only 100 optimiser steps" in warning
    assert "--set training.epochs=0 for at least 1,000 steps" in warning
    assert "--set training.batch_size=16" in warning
    assert load_config(None, ["training.epochs=50", "training.batch_size=64"]).training.steps_for(630) >= 500
    assert few_steps_warning(500, config) is None
    for windows in (1, 100, 630, 5000):
        assert few_steps_warning(load_config(None, []).training.steps_for(windows), config) is None


CONTRACT = SensorContract(10.0, (Channel("ax", "g", 100.0, 4.0),), 50, 25)


@pytest.mark.parametrize(
    ("accuracy", "forest", "training", "said"),
    [
        (0.90, 0.92, 0.97, ()),
        (0.90, None, 0.97, ()),
        (0.80, 0.92, 0.85, ("The random forest is 12.0 points", "window_length and window_stride", "remove_gravity")),
        (0.60, 0.61, 0.99, ("99.0 % on its training windows and 60.0 % here", "training.augmentation.rotation=any")),
        (0.60, None, 0.99, ("more optimiser steps than 80: --set training.epochs=0", "training.pooling=mean")),
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


@pytest.fixture(scope="module")
def one_session(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The data source of one long recording, whose split is by blocks of time."""
    folder = tmp_path_factory.mktemp("session")
    check_data(CASES["interval_table"].build(folder), write=folder / "session.toml")
    assert 'split = "time_blocks"' in (folder / "session.toml").read_text()
    return str(folder / "session.toml")


def test_a_cross_validation_of_one_session_is_by_blocks_of_time(one_session: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    settings = ["training.hidden_size=2", "training.epochs=1", "data.validation_fraction=0", "training.keep=last"]
    limits = ["quantization.min_agreement_rate=0", "quantization.max_macro_f1_loss=1"]
    config = load_config(None, [f"data.source={quote(one_session)}", 'training.cell="rnn"', *settings, *limits])
    result = cross_validate(tmp_path / "folds", config, folds=2, repeats=2)
    assert (result.note.split, result.note.warning) == ("time_blocks", TIME_WARNING)
    assert result.warned() == TIME_WARNING
    assert result.tables()[0].title == "2 folds by blocks of time"
    assert load_json(tmp_path / "folds" / "cross_validation.json")["warning"] == TIME_WARNING
    for repeat in result.models.float_model.repeats:
        assert repeat.num_groups == 2
    first, second = (
        load_windows(tmp_path / "folds" / "repeat_1" / f"fold_{fold}" / "data" / "test.safetensors") for fold in (1, 2)
    )
    assert (set(first.groups.tolist()), set(second.groups.tolist())) == ({"block 1"}, {"block 2"})
    seen = {window.tobytes() for window in first.counts}
    assert not any(window.tobytes() in seen for window in second.counts)


def test_a_comparison_of_one_session_is_by_blocks_of_time(one_session: str) -> None:
    source = open_source(load_compare_config(one_session, options={"window_lengths": [16]}))
    assert source.note.endswith(f"T{TIME_WARNING[1:]}")
    assert "the last 20% of each class in time are the test part, which is not used" in source.note
    parts = [source.windows(16, seed) for seed in (0, 1)]
    assert [set(part.scored.groups.tolist()) for part in parts] == [{"block 0"}, {"block 1"}]
    for part in parts:
        trained = {window.tobytes() for window in part.train.counts}
        assert not any(window.tobytes() in trained for window in part.scored.counts)
        assert set(part.scored.labels.tolist()) == set(part.train.labels.tolist()) == {0, 1, 2}


def test_blocks_of_time_may_be_asked_for_in_a_comparison(one_session: str, tmp_path: Path) -> None:
    by_group = tmp_path / "by_group.toml"
    text = Path(one_session).read_text().replace('split = "time_blocks"', "")
    data = (Path(one_session).parent / "data").as_posix()
    by_group.write_text(text.replace('path = "data"', f'path = "{data}"'))
    options = {"window_lengths": [16]}
    with pytest.raises(DataError, match="cannot split by group"):
        open_source(load_compare_config(str(by_group), options=options))
    asked = load_compare_config(str(by_group), options=options, overrides=["data.split=time_blocks"])
    assert "weaker evidence" in open_source(asked).note
