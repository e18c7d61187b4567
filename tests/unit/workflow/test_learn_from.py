"""A training beside validation windows, and then on both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_seq.data.recording import Windows, join_windows
from edge_seq.data.window_file import load_windows
from edge_seq.ir.model import model_hash
from edge_seq.pipeline.config import RunConfig, load_config
from edge_seq.pipeline.prepare import LEARNT_TOO, prepare, windows_to_learn
from edge_seq.support.errors import ConfigError
from edge_seq.training.record import EpochRecord
from edge_seq.workflow.decide import _not_seen, decide_run
from edge_seq.workflow.evaluate import evaluate_run
from edge_seq.workflow.folder import (
    RunFolder,
    load_learnt_windows,
    load_run_float,
    load_run_int,
    load_run_training,
    load_validated,
    note_of_run,
    open_run,
)
from edge_seq.workflow.quantize import quantize_run
from edge_seq.workflow.train import train_run

pytest.importorskip("torch")

SMALL = (
    *("data.simulator.drives=10", "data.simulator.drive_duration_s=90", "training.hidden_size=4", "training.epochs=3"),
    *("quantization.min_agreement_rate=0.1", "quantization.max_macro_f1_loss=0.9"),
)


def config_of(*more: str) -> RunConfig:
    return load_config(None, [*SMALL, *more])


@pytest.fixture(scope="module")
def told() -> list[tuple[int, int, EpochRecord]]:
    return []


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, told: list[tuple[int, int, EpochRecord]]) -> RunFolder:
    folder = tmp_path_factory.mktemp("runs") / "both"
    train_run(folder, config_of("data.training_stride=20"), epoch_progress=lambda *one: told.append(one))
    quantize_run(open_run(folder))
    return open_run(folder)


def test_the_second_training_learns_the_validation_windows(
    run: RunFolder, told: list[tuple[int, int, EpochRecord]]
) -> None:
    summary = load_run_training(run)
    assert summary is not None
    assert summary.again is not None
    everything = windows_to_learn(prepare(config_of("data.training_stride=20")))
    train, validation = (load_windows(run.windows(side)) for side in ("train", "validation"))
    assert summary.again.windows == len(everything.labels) > len(train.labels) + len(validation.labels)
    assert set(everything.groups) == {*train.groups, *validation.groups}
    assert summary.again.groups == summary.groups["train"] + summary.groups["validation"]
    assert [one.validation_macro_f1 for one in summary.again.history] == [None] * 3
    assert all(one.validation_macro_f1 is not None for one in summary.history)
    assert [(done, epochs) for done, epochs, _ in told] == [(number, 6) for number in range(1, 7)]
    assert "trained again on training and validation windows together" in summary.again.text()


def test_it_is_the_training_that_these_windows_give_alone(run: RunFolder, tmp_path: Path) -> None:
    """The weights are those of the recordings of both parts without a validation part, divided by the temperature of
    the first training, which is kept beside them."""
    first, both = load_validated(run), load_run_float(run)
    assert first is not None
    alone = tmp_path / "alone"
    train_run(alone, config_of("data.training_stride=20", "training.learn_from=train"))
    assert not open_run(alone).validated_model.is_file()
    assert model_hash(load_run_float(open_run(alone))) == model_hash(first)
    assert not np.array_equal(first.head.bias, both.head.bias)
    assert first.number_format.normalisation != both.number_format.normalisation


def test_scores_of_validation_windows_are_said_to_be_too_good(run: RunFolder) -> None:
    assert note_of_run(run).warning is None
    assert note_of_run(run, "validation").warning == LEARNT_TOO
    assert evaluate_run(run, "validation", baselines=False).note.warning == LEARNT_TOO
    assert evaluate_run(run, baselines=False).note.warning is None
    of_both = len(load_windows(run.windows("train")).labels) + len(load_windows(run.windows("validation")).labels)
    assert len(load_learnt_windows(run).labels) == of_both


def test_a_decision_is_chosen_with_labels_of_the_first_training(run: RunFolder) -> None:
    unseen, model = _not_seen(run, load_run_int(run)), load_run_int(run)
    assert model_hash(unseen) != model_hash(model)
    assert decide_run(run).search is not None
    message = r"this model has learnt those recordings too; train it with --set training.learn_from=train"
    with pytest.raises(ConfigError, match=message):
        decide_run(run, unknown_distance=0.05)


def test_the_reliability_is_of_the_first_training(run: RunFolder) -> None:
    summary = quantize_run(run)
    assert (summary.reliability.side, summary.reliability.by) == ("validation", "by the training without them")
    title = summary.reliability.reliability.table("validation", summary.reliability.by).title
    assert title == "calibration on validation windows, by the training without them"
    assert summary.cost.side == "validation"


def test_the_second_is_as_long_as_the_first_was_good(tmp_path: Path) -> None:
    stops = ("training.epochs=12", "training.early_stopping_patience=1", "training.learning_rate=1.0")
    summary = train_run(tmp_path / "stops", config_of(*stops))
    assert summary.again is not None
    assert len(summary.again.history) == summary.best_epoch < 12


def test_an_interrupted_second_training_resumes(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train_run(whole, config_of())

    def stop(done: int, epochs: int, record: EpochRecord) -> None:
        if done == epochs - 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(cut, config_of(), epoch_progress=stop)
    assert not open_run(cut).float_model.is_file()
    again: list[int] = []
    train_run(cut, config_of(), epoch_progress=lambda done, *_: again.append(done))
    assert again == [6]
    hashes = [model_hash(load_run_float(open_run(path))) for path in (whole, cut)]
    assert hashes[0] == hashes[1]


def test_windows_of_a_split_that_leaks_are_put_together() -> None:
    data = prepare(config_of("data.split=window_leaking_groups"))
    assert data.validation is not None
    everything = windows_to_learn(data)
    np.testing.assert_array_equal(everything.counts, np.concatenate([data.train.counts, data.validation.counts]))
    assert everything.sample_labels is not None
    few = Windows(data.train.counts, data.train.labels, data.train.groups)
    assert join_windows([data.validation, few]).sample_labels is None
