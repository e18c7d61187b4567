"""Cross-validation against a second configuration and a random forest: the same folds, paired differences."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_seq.data.recording import Windows
from edge_seq.data.window_file import load_windows
from edge_seq.pipeline.config import RunConfig, load_config, quote
from edge_seq.pipeline.prepare import prepare
from edge_seq.pipeline.simulate import simulate_to_file
from edge_seq.scores.metrics import accuracy, macro_f1
from edge_seq.scores.paired import confusion_by_group, paired_scores
from edge_seq.support.errors import DataError, ToolError
from edge_seq.support.json_tables import load_result
from edge_seq.training.others import baselines
from edge_seq.workflow.cross_validate import CrossValidation, _config_of, cross_validate
from edge_seq.workflow.folder import load_run_config, open_run
from tests.cli.conftest import edge_seq, ok

pytest.importorskip("torch")
pytest.importorskip("sklearn")

FOLDS, REPEATS, TEST_DRIVES = 2, 2, 2
SMALL = ["training.hidden_size=4", "training.epochs=2", "training.keep=last", "data.validation_fraction=0"]


def make_source(folder: Path, *, drives: int, seed: int = 0) -> Path:
    """A data source of drives whose last TEST_DRIVES are its test part."""
    files = simulate_to_file(folder / "drives.csv", drives=drives, duration_s=120.0, sample_rate_hz=10.0, seed=seed)
    head, *rows = files.recordings_file.read_text().splitlines()
    names = list(dict.fromkeys(row.split(",")[0] for row in rows))
    test = set(names[-TEST_DRIVES:])
    sides = [f"{row},{'test' if row.split(',')[0] in test else 'train'}" for row in rows]
    files.recordings_file.write_text("\n".join([f"{head},side", *sides]) + "\n")
    files.source_file.write_text(f'split_column = "side"\n{files.source_file.read_text()}')
    return files.source_file


def config_of(source: Path, *more: str) -> RunConfig:
    return load_config(None, [f"data.source={quote(str(source))}", *SMALL, *more])


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("pyarrow")
    return make_source(tmp_path_factory.mktemp("drives"), drives=10)


@pytest.fixture(autouse=True)
def small_forest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "_TREES", 15)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("folds")


@pytest.fixture(scope="module")
def validated(source: Path, folder: Path) -> CrossValidation:
    """An LSTM against a GRU whose training windows are denser, a forest, and a majority guess in place of MiniRocket,
    whose package the tests run without."""

    def stands_for_minirocket(train: Windows, test: Windows, *_: Any, **__: Any) -> np.ndarray:
        return baselines.majority_baseline(train.labels, len(test.labels), 4)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baselines, "_TREES", 15)
        patch.setattr(baselines, "minirocket_baseline", stands_for_minirocket)
        patch.setattr("edge_seq.workflow.cross_validate.aeon_is_here", lambda: True)
        gru = config_of(source, "training.cell=gru", "data.training_stride=5")
        return cross_validate(
            folder, config_of(source), folds=FOLDS, repeats=REPEATS, against=gru, forest=True, minirocket=True
        )


def groups_of(place: Path, repeat: int) -> list[set[str]]:
    runs = [open_run(place / f"repeat_{repeat}" / f"fold_{fold}") for fold in range(1, FOLDS + 1)]
    return [set(load_windows(run.windows("test")).groups.tolist()) for run in runs]


def test_every_group_is_scored_once_in_a_repeat_and_the_test_part_never(
    validated: CrossValidation, folder: Path
) -> None:
    for repeat in range(1, REPEATS + 1):
        first, second = groups_of(folder, repeat)
        assert not first & second
        assert len(first | second) == 10 - TEST_DRIVES
        assert groups_of(folder / "against", repeat) == [first, second]
    for model in validated.classifiers().values():
        assert [one.num_groups for one in model.repeats] == [10 - TEST_DRIVES] * REPEATS


def test_another_repeat_has_other_folds(tmp_path: Path) -> None:
    config = config_of(make_source(tmp_path, drives=24))  # fewer can be divided evenly in one way only
    folds = set()
    for repeat in range(4):
        sides = [prepare(_config_of(config, config, FOLDS, fold, repeat)).test for fold in (1, 2)]
        folds.add(frozenset(frozenset(one.groups.tolist()) for one in sides if one is not None))
    assert all(len(one) == FOLDS for one in folds)
    assert len(folds) > 1


def test_training_stride_is_of_training_windows_alone(validated: CrossValidation, folder: Path) -> None:
    run, denser = (open_run(place / "repeat_1" / "fold_1") for place in (folder, folder / "against"))
    assert load_run_config(denser).training.cell == "gru"
    assert len(load_windows(denser.windows("train")).labels) > 2 * len(load_windows(run.windows("train")).labels)
    rows = {
        name: np.sum(one.confusion, axis=1).tolist()
        for name, model in validated.classifiers().items()
        for one in [model.repeats[0]]
    }
    assert len({tuple(row) for row in rows.values()}) == 1, rows


def test_differences_are_paired(validated: CrossValidation) -> None:
    found = validated.classifiers()
    assert validated.differences is not None
    assert [(one.better, one.than) for one in validated.differences] == [
        ("float model", "random forest"),
        ("integer model", "random forest"),
        ("float model", "MiniRocket and ridge"),
        ("integer model", "MiniRocket and ridge"),
        ("float model", "second float model"),
        ("integer model", "second integer model"),
    ]
    for one in validated.differences:
        for score in ("accuracy", "macro_f1"):
            pairs = zip(found[one.better].repeats, found[one.than].repeats, strict=True)
            expected = [getattr(a, score).value - getattr(b, score).value for a, b in pairs]
            paired = getattr(one.scores, score)
            assert list(paired.repeats) == pytest.approx(expected)
            assert paired.mean.value == pytest.approx(np.mean(expected))
            assert paired.mean.low <= paired.mean.value <= paired.mean.high


def test_the_result_shows_itself_and_is_read_back(validated: CrossValidation, folder: Path) -> None:
    assert load_result(folder / "cross_validation.json", CrossValidation) == validated
    table = validated.to_dict()
    assert list(table)[:5] == ["folds", "repeats", "split", "float", "int"]
    assert set(table) - {"folds", "repeats", "split", "float", "int"} == {
        "random_forest",
        "minirocket",
        "against",
        "differences",
    }
    for shown in (str(validated), validated._repr_html_()):
        assert "integer model less random forest" in shown
        assert "second float model, repeat 2" in shown


def test_the_command_compares_and_resumes(
    validated: CrossValidation, source: Path, folder: Path, tmp_path: Path
) -> None:
    for place in (".", "against"):
        shutil.copytree(folder / place / "repeat_1", tmp_path / "out" / place / "repeat_1")
    second = tmp_path / "gru.toml"
    second.write_text(
        "[training]\nhidden_size = 4\nepochs = 2\nkeep = 'last'\ncell = 'gru'\n"
        "[data]\nvalidation_fraction = 0\ntraining_stride = 5\n"
    )
    sets = [part for one in SMALL for part in ("--set", one)]
    command = ["cross-validate", "--data", source, *sets, "--folds", FOLDS, "--out", tmp_path / "out"]
    found = ok(*command, "--against", second, "--json").json
    assert found["float"]["repeats"] == validated.models.to_dict()["float"]["repeats"][:1]
    assert found["out"] == str(tmp_path / "out")
    assert [one["than"] for one in found["differences"]] == ["second float model", "second integer model"]
    with second.open("a") as file:
        file.write(f"source = {quote(str(make_source(tmp_path, drives=9, seed=1)))}\n")
    refused = edge_seq(*command, "--against", second)
    assert refused.code == 2
    assert "against/repeat_1/fold_1 holds a run of another configuration" in refused.err  # of its own data source
    out = ok(*command, "--forest").out
    assert "float model less random forest" in out
    assert "random forest: accuracy" in out


def test_a_second_configuration_of_other_data_is_refused(source: Path, tmp_path: Path) -> None:
    others = make_source(tmp_path, drives=9, seed=1)
    with pytest.raises(DataError, match=r"the same labels in the same order; give --against a configuration of the"):
        cross_validate(tmp_path / "folds", config_of(source), folds=FOLDS, against=config_of(others))


def test_without_their_packages_other_classifiers_are_refused_before_the_work(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ToolError, match=r"--forest needs scikit-learn, .* pip install 'edge-seq.data.'"):
        cross_validate(tmp_path / "folds", config_of(source), folds=FOLDS, forest=True)
    with pytest.raises(ToolError, match=r"--minirocket needs aeon, .* pip install 'edge-seq.rocket.'"):
        cross_validate(tmp_path / "folds", config_of(source), folds=FOLDS, minirocket=True)
    assert not (tmp_path / "folds").exists()


def by_group(predictions: Sequence[Sequence[int]]) -> np.ndarray:
    """Confusion matrices [G, R, 2, 2] of repeats over four windows of two groups."""
    labels, groups = np.array([0, 1, 0, 1]), np.array(["b", "b", "a", "a"])
    return np.stack([confusion_by_group(labels, np.array(one), groups, 2) for one in predictions], axis=1)


def test_a_classifier_does_not_differ_from_itself() -> None:
    same = paired_scores(by_group([[0, 1, 1, 1], [0, 0, 0, 1]]), by_group([[0, 1, 1, 1], [0, 0, 0, 1]]))
    for one in (same.accuracy, same.macro_f1):
        assert (one.mean.value, one.mean.low, one.mean.high, one.repeats) == (0.0, 0.0, 0.0, (0.0, 0.0))
        assert one.text() == "+0.0 points [+0.0, +0.0]"


def test_groups_come_in_the_order_of_their_names_and_differences_keep_their_sign() -> None:
    good, bad = by_group([[0, 1, 0, 1]]), by_group([[0, 1, 1, 0]])
    assert bad[0, 0].tolist() == [[0, 1], [1, 0]]  # group a
    assert paired_scores(good, bad).accuracy.repeats == (0.5,)
    assert paired_scores(bad, good).accuracy.repeats == (-0.5,)
    scores = [score(good.sum(axis=0)) - score(bad.sum(axis=0)) for score in (accuracy, macro_f1)]
    found = paired_scores(good, bad)
    assert [found.accuracy.mean.value, found.macro_f1.mean.value] == [float(one[0]) for one in scores]
