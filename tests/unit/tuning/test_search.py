"""A small search from recordings to a run: folds, files, continuation, the page, the test part."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import edge_seq as es
from edge_seq.cli.app import app
from edge_seq.pipeline.config import load_config
from edge_seq.pipeline.prepare import prepare
from edge_seq.pipeline.simulate import simulate_to_file
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.training.others import baselines
from edge_seq.trials.where import Where
from edge_seq.tuning import space
from edge_seq.tuning.config import Budget, SearchConfig, make_search_config
from edge_seq.tuning.data import open_search_data
from edge_seq.tuning.final import TEST, score_test_part
from edge_seq.tuning.points import config_of, point_config
from edge_seq.tuning.result import SearchResult
from edge_seq.tuning.run import search
from edge_seq.tuning.space import space_of
from edge_seq.workflow.report import write_report

pytest.importorskip("torch")
pytest.importorskip("pyarrow")
SMALL = {"budget": {"trials": 12}, "cells": ["lstm"], "folds": 2}


@pytest.fixture(scope="module", autouse=True)
def short_trainings() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(space, "STEPS", (4, 8, 12))
        patch.setattr(baselines, "_TREES", 10)
        yield


@dataclasses.dataclass(frozen=True)
class Made:
    source: Path
    study: Path
    config: SearchConfig
    result: SearchResult


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("search")
    source = simulate_to_file(
        folder / "drives.csv", drives=12, duration_s=120.0, sample_rate_hz=10.0, seed=3
    ).source_file
    config = make_search_config(str(source), **SMALL)
    return Made(source, folder / "study", config, search(config, Where(folder / "study"), command="as typed"))


def without_times(result: SearchResult) -> SearchResult:
    return dataclasses.replace(result, execution=dataclasses.replace(result.execution, command="", seconds=0.0))


def test_a_search_gives_a_front_a_choice_and_other_classifiers(made: Made) -> None:
    found = made.result
    assert found.trials == 12 - len(found.failures)
    assert not found.failures
    assert found.complete >= 1
    assert found.point(found.choice.number) is not None
    assert [one.name for one in found.references] == ["majority guess", "random forest", "MiniRocket and ridge"]
    assert all(one.macro_f1 is not None or one.note.startswith("skipped: ") for one in found.references)
    assert "groups are the test part, which is not used" in found.data_note
    assert found.choice.why in str(found)
    assert json.loads((made.study / "search.json").read_text())["choice"]["number"] == found.choice.number


def test_a_point_of_4_bits_is_quantized_so_and_by_what_its_choice_asked_for(made: Made) -> None:
    data, point = open_search_data(made.config), made.result.points[0]
    narrow = dataclasses.replace(point, candidate=dataclasses.replace(point.candidate, four_bits="all"))
    of_8, of_4 = (config_of(one, data, source="source.toml").quantization for one in (point, narrow))
    assert (of_8.weight_bits, of_8.min_agreement_rate, of_8.max_macro_f1_loss) == ((8,), 0.99, 0.005)
    assert (of_4.weight_bits, of_4.min_agreement_rate, of_4.max_macro_f1_loss) == ((4,), 0.95, 0.05)


def test_dense_windows_are_of_training_alone(made: Made) -> None:
    data, point = open_search_data(made.config), made.result.points[0]
    assert data.has_denser_windows
    assert space_of(made.config, data.contract, own_steps=True, dense_windows=True).first()[1].dense_windows
    assert data.contract.window_stride == 25
    dense, plain = (dataclasses.replace(point.candidate, dense_windows=one) for one in (True, False))
    assert [one.training_stride(data.contract) for one in (dense, plain)] == [6, 25]
    more, usual = (data.part(0, data.contract, one.training_stride(data.contract)) for one in (dense, plain))
    assert len(more.train.labels) > 3.5 * len(usual.train.labels)
    assert set(more.train.groups) == set(usual.train.groups)
    assert (more.scored.counts == usual.scored.counts).all()
    of_dense, of_plain = (
        config_of(dataclasses.replace(point, candidate=one), data, source="source.toml") for one in (dense, plain)
    )
    assert (of_dense.data.training_stride, of_plain.data.training_stride) == (6, 0)
    # as many steps of the optimiser, so fewer passes over more windows
    assert of_dense.training.epochs <= of_plain.training.epochs


def test_windows_that_fill_their_recordings_are_not_denser(tmp_path: Path) -> None:
    rows = [f"{take},{take % 6},{label},{step * 0.1:.1f},{take + step},{step},0" for take in range(24)
            for label in ["ab"[take % 2]] for step in range(10)]  # fmt: skip
    (tmp_path / "takes.csv").write_text("\n".join(["take,who,label,t,ax,ay,az", *rows]) + "\n")
    (tmp_path / "takes.toml").write_text(
        'name = "takes"\npath = "takes.csv"\nrecording_column = "take"\ngroup_column = "who"\ntime_column = "t"\n'
        'sample_rate_hz = 10\nwindow_length = 10\nwindow_stride = 5\non_constant_axis = "allow"\nchannels = ['
        + ", ".join(
            f'{{ name = "{axis}", unit = "g", counts_per_unit = 10, full_scale = 100 }}' for axis in ("ax", "ay", "az")
        )
        + "]\n"
    )
    assert not open_search_data(make_search_config(str(tmp_path / "takes.toml"))).has_denser_windows


def test_the_same_command_reads_what_is_finished_and_does_only_what_is_missing(made: Made, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(made.study, tmp_path / "study"))
    trials = sorted((copy / "trials").iterdir())
    for path in trials[::3]:
        path.unlink()  # as if the search had been killed before they were done
    again = search(made.config, Where(copy))
    assert without_times(again) == without_times(made.result)
    assert sorted(path.name for path in (copy / "trials").iterdir()) == [path.name for path in trials]


def test_a_study_of_another_configuration_and_a_damaged_trial_are_refused(made: Made, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"was made under another configuration: config.seed 0 there, 1 now"):
        search(make_search_config(str(made.source), **SMALL, seed=1), Where(made.study))
    copy = Path(shutil.copytree(made.study, tmp_path / "study"))
    next((copy / "trials").iterdir()).write_text("{}")
    with pytest.raises(DataError, match=r"search: reading .* Remove .* and the same command does it again"):
        search(made.config, Where(copy))
    with pytest.raises(ConfigError, match="search: 0 workers; give at least 1"):
        search(made.config, Where(tmp_path / "new", workers=0))


def test_the_test_part_takes_no_part_in_any_fold_whatever_the_window_length(made: Made) -> None:
    data = open_search_data(made.config)
    aside = {one.group for one in data.aside.test}
    assert aside
    scored: list[set[str]] = []
    for length in (data.contract.window_length, 20):
        contract = dataclasses.replace(data.contract, window_length=length, window_stride=length)
        groups = []
        for fold in range(data.folds):
            part = data.part(fold, contract)
            assert not set(part.train.groups) & set(part.scored.groups)
            assert not aside & {*part.train.groups, *part.scored.groups}
            groups.append(frozenset(map(str, part.scored.groups)))
        scored.append(set(groups))  # type: ignore[arg-type]
    assert scored[0] == scored[1]


def test_a_point_is_a_configuration_with_all_training_data_and_the_same_test_part(made: Made, tmp_path: Path) -> None:
    data = open_search_data(made.config)
    config = load_config(point_config(made.study, None))
    prepared = prepare(config)
    assert prepared.validation is None
    assert prepared.test is not None
    assert set(prepared.test.groups) == {one.group for one in data.aside.test}
    point = made.result.point(made.result.choice.number)
    assert point is not None
    assert config.training.hidden_size == point.candidate.hidden_size
    assert prepared.dataset.contract.preprocessing.step == point.candidate.preprocessing
    with pytest.raises(ConfigError, match=r"there is no point 99; give 1 to \d+, or leave --point out"):
        point_config(made.study, 99)
    with pytest.raises(ConfigError, match=r"is not the folder of a search: it has no search\.json"):
        point_config(tmp_path, None)


@pytest.mark.slow
def test_in_python_a_search_trains_its_choice_with_several_seeds(made: Made, tmp_path: Path) -> None:
    study = es.search(
        made.source, made.study, budget="12 trials", cells=["lstm"], folds=2, quiet=True
    )  # reads the finished one
    runs = study.train(tmp_path / "runs", seeds=2)
    assert [run.path.name for run in runs] == ["seed_0", "seed_1"]
    assert study.choice == made.result.choice


@pytest.mark.slow
def test_another_window_length_keeps_the_test_part(made: Made, tmp_path: Path) -> None:
    config = make_search_config(str(made.source), **SMALL, window_lengths=[20])
    search(config, Where(tmp_path / "study"))
    run = load_config(point_config(tmp_path / "study", None))
    prepared = prepare(run)
    assert prepared.dataset.contract.window_length == 20
    assert prepared.test is not None
    assert set(prepared.test.groups) == {one.group for one in open_search_data(made.config).aside.test}


def test_the_page_shows_the_front(made: Made, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    search(made.config, Where(made.study), command="as typed")  # other tests continue the study with other commands
    _, page = write_report(made.study, tmp_path / "page.html")
    text = page.read_text()
    assert "Front of score and cost" in text
    assert made.result.points[0].network in text
    assert "as typed" in text
    (tmp_path / "search.json").write_text('{"format": "edge_seq search 0"}')
    with pytest.raises(DataError, match="expected 'edge_seq search 1'; make it again with edge-seq search"):
        write_report(tmp_path)


@pytest.mark.slow
def test_the_test_part_is_scored_once_for_a_point(made: Made, tmp_path: Path) -> None:
    scores = score_test_part(made.result, made.config, made.study, seeds=2)
    assert len(scores.by_seed) == 2
    assert scores.evaluations == 1
    assert (made.study / TEST).is_file()
    assert score_test_part(made.result, made.config, made.study, seeds=2) == scores
    assert "evaluated 1 time in this study" in str(scores)
    nothing = made.config.model_copy(update={"test_fraction": 0.0})
    with pytest.raises(ConfigError, match="--test needs a test part, but the source gives none"):
        score_test_part(made.result, nothing, tmp_path)


@pytest.mark.slow
def test_the_command_prints_the_front_and_the_next_step(made: Made, tmp_path: Path) -> None:
    options = ["--budget", "12 trials", "--cell", "lstm", "--folds", "2", "--out", str(made.study)]
    done = CliRunner().invoke(app, ["search", str(made.source), *options])
    assert done.exit_code == 0, done.output
    assert "Take point" in done.output
    assert "next: edge-seq train --from" in done.output
    as_json = CliRunner().invoke(app, ["search", str(made.source), *options, "--json"])
    assert json.loads(as_json.stdout)["choice"]["number"] == made.result.choice.number
    trained = CliRunner().invoke(app, ["train", "--from", str(made.study), "--out", str(tmp_path / "run"), "--json"])
    assert trained.exit_code == 0, trained.output
    assert json.loads(trained.stdout)["windows"]["validation"] == 0
    refused = CliRunner().invoke(app, ["train", "--point", "1"])
    assert isinstance(refused.exception, ConfigError)
    assert "--point 1 is of a search; give its folder with --from" in str(refused.exception)


def test_a_trial_that_cannot_be_trained_is_named(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_seq.tuning.run.run_trial", _refuse)
    with pytest.raises(DataError, match=r"no candidate was scored on all folds yet \(\d+ trials\); lstm.*the loss is"):
        search(SearchConfig(**made.config.model_dump() | {"budget": Budget(trials=12)}), Where(tmp_path / "study"))


def _refuse(*_: object, **__: object) -> None:
    raise ConfigError("training: the loss is nan")


@pytest.mark.slow
def test_two_workers_find_what_one_process_finds(made: Made, tmp_path: Path) -> None:
    config = make_search_config(str(made.source), **SMALL)
    one = search(config, Where(tmp_path / "one"))
    two = search(config, Where(tmp_path / "two", workers=2))
    assert without_times(one) == without_times(two)
