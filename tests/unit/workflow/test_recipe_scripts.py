"""The scripts that recipes are chosen and scored by: cross-validation on the train part, seeds on the test part."""

from __future__ import annotations

import importlib.util
import json
import sys
from operator import attrgetter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edge_seq.data.window_file import load_windows
from edge_seq.pipeline.config import RunConfig, load_config, quote
from edge_seq.pipeline.simulate import simulate_to_file
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.support.json_tables import load_json
from edge_seq.training import baselines
from edge_seq.workflow.evaluate import evaluate_run
from edge_seq.workflow.folder import open_run

pytest.importorskip("torch")
pytest.importorskip("sklearn")

FOLDER = Path(__file__).parents[3] / "datasets"
SMALL = ["training.hidden_size=4", "training.epochs=2", "training.keep=last", "data.validation_fraction=0"]


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name.replace("/", "_"), FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cross_validate = _script("recipes/cross_validate")
seeds = _script("research/seeds")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    folder = tmp_path_factory.mktemp("drives")
    simulate_to_file(folder / "drives.csv", drives=10, duration_s=120.0, sample_rate_hz=10.0, seed=0)
    return load_config(None, [f"data.source={quote(str(folder / 'drives.toml'))}", *SMALL])


@pytest.fixture(autouse=True)
def small_forest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "_TREES", 15)


@pytest.fixture(scope="module")
def validated(config: RunConfig) -> list[dict[str, object]]:
    return [cross_validate.cross_validate(config, folds=2, seed=seed, forest=False) for seed in (0, 1)]


def test_every_train_group_is_scored_once_and_no_test_group(
    config: RunConfig, validated: list[dict[str, object]]
) -> None:
    from edge_seq.data.splits import split_by_group
    from edge_seq.pipeline.prepare import load_data

    dataset, share = load_data(config.data)
    split = split_by_group(dataset, validation_fraction=0, test_fraction=0.2, seed=0, minimum_share=share)
    for one in validated:
        assert set(one["confusion_of_group"]) == {recording.group for recording in split.train}
        assert np.sum(list(one["confusion_of_group"].values()), axis=0).tolist() == one["confusion"]
    assert len(split.test) > 0


def test_another_seed_has_other_folds(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[set[str]] = []

    def forest(train: object, test: object, *_: object, **__: object) -> np.ndarray:
        taken.append(set(test.groups.tolist()))
        return np.full((len(test.labels), 4), 0.25)

    monkeypatch.setattr(cross_validate, "random_forest_baseline", forest)
    for seed in range(4):
        cross_validate.cross_validate(config, folds=2, seed=seed, forest=True)
    assert len({frozenset(groups) for groups in taken[::2]}) > 1
    assert all(not first & second for first, second in zip(taken[::2], taken[1::2], strict=True))


def test_training_stride_is_of_training_windows_alone(config: RunConfig, validated: list[dict[str, object]]) -> None:
    denser = config.model_copy(update={"data": config.data.model_copy(update={"training_stride": 5})})
    found = cross_validate.cross_validate(denser, folds=2, seed=0, forest=True)
    assert np.sum(found["confusion"], axis=1).tolist() == np.sum(validated[0]["confusion"], axis=1).tolist()


def test_differences_are_paired(config: RunConfig, validated: list[dict[str, object]]) -> None:
    forests = [cross_validate.cross_validate(config, folds=2, seed=seed, forest=True) for seed in (0, 1)]
    found = cross_validate.differences(validated, forests)
    for score in ("accuracy", "macro_f1"):
        expected = [a[score] - b[score] for a, b in zip(validated, forests, strict=True)]
        assert found[score]["seeds"] == pytest.approx(expected, abs=2e-4)
        assert found[score]["difference"] == pytest.approx(np.mean(expected), abs=2e-4)
        low, high = found[score]["interval"]
        assert low <= found[score]["difference"] <= high
    same = cross_validate.differences(validated, validated)
    assert same["accuracy"] == {"difference": 0.0, "interval": [0.0, 0.0], "seeds": [0.0, 0.0]}


def test_what_cannot_be_paired_is_refused(config: RunConfig, validated: list[dict[str, object]]) -> None:
    with pytest.raises(DataError, match=r"no seed 1 with 2 folds on the same windows; it has seeds \[0\]"):
        cross_validate.differences(validated, validated[:1])
    with pytest.raises(DataError, match="no seed 0 with 2 folds"):
        cross_validate.differences(validated[:1], [{**validated[0], "folds": 3}])
    group, matrix = next(iter(validated[0]["confusion_of_group"].items()))
    moved = {**validated[0]["confusion_of_group"], group: (np.array(matrix) + 1).tolist()}
    with pytest.raises(DataError, match="on the same windows"):
        cross_validate.differences(validated[:1], [{**validated[0], "confusion_of_group": moved}])
    with pytest.raises(ConfigError, match="1 folds; give at least 2"):
        cross_validate.cross_validate(config, folds=1, seed=0, forest=True)


def test_seeds_give_what_evaluate_gives(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = f"data.source={quote(config.data.source)}"
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('name = "drives"\n', encoding="utf-8")
    out = tmp_path / "runs"
    options = ["--out", str(out), "--seeds", "3", "5", "--forest"]
    monkeypatch.setattr(sys, "argv", ["seeds.py", str(recipe), source, *SMALL, *options])
    seeds.main()
    found = load_json(out / "seeds.json")
    text = capsys.readouterr().out
    metrics = [evaluate_run(open_run(out / f"seed_{seed}")) for seed in (3, 5)]
    for kind, model in (("int", attrgetter("int_model")), ("float", attrgetter("float_model"))):
        for score in ("accuracy", "macro_f1"):
            values = [getattr(model(one), score).value for one in metrics]
            assert found[kind][score]["seeds"] == pytest.approx(values)
            assert found[kind][score]["mean"] == pytest.approx(np.mean(values))
            assert found[kind][score]["standard_deviation"] == pytest.approx(np.std(values, ddof=1))
    assert metrics[0].random_forest is not None
    forest = metrics[0].random_forest.accuracy.value
    assert found["forest"]["accuracy"]["value"] == pytest.approx(forest)
    above = found["int"]["accuracy"]["mean"] - forest
    assert found["above_forest"]["accuracy"]["mean"] == pytest.approx(above)
    windows = load_windows(open_run(out / "seed_3").windows("test"), num_classes=4)
    assert set(found["accuracy_of_group"]) == set(windows.groups.tolist())
    assert np.sum(found["confusion"]) == 2 * len(windows.labels)
    assert f"integer: accuracy {100 * found['int']['accuracy']['mean']:.2f} %" in text
    assert json.loads((out / "seeds.json").read_text(encoding="utf-8"))["seeds"] == [3, 5]
