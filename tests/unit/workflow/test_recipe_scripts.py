"""The script that scores recipes on the test part with several seeds."""

from __future__ import annotations

import importlib.util
import json
import sys
from operator import attrgetter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edge_seq.data.recording import Windows
from edge_seq.data.window_file import load_windows
from edge_seq.pipeline.config import RunConfig, load_config, quote
from edge_seq.pipeline.simulate import simulate_to_file
from edge_seq.support.json_tables import load_json
from edge_seq.training.others import baselines
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


seeds = _script("research/seeds")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    folder = tmp_path_factory.mktemp("drives")
    simulate_to_file(folder / "drives.csv", drives=10, duration_s=120.0, sample_rate_hz=10.0, seed=0)
    return load_config(None, [f"data.source={quote(str(folder / 'drives.toml'))}", *SMALL])


def _majority(train: Windows, test: Windows, _contract: object, classes: int, *, seed: int) -> np.ndarray:
    assert seed == 3
    return baselines.majority_baseline(train.labels, len(test.labels), classes)


@pytest.fixture(autouse=True)
def small_forest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "_TREES", 15)


def test_seeds_give_what_evaluate_gives(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = f"data.source={quote(config.data.source)}"
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('name = "drives"\n', encoding="utf-8")
    out = tmp_path / "runs"
    options = ["--out", str(out), "--seeds", "3", "5", "--forest", "--minirocket"]
    monkeypatch.setitem(seeds.OTHERS, "minirocket", _majority)  # the tests run without MiniRocket's package
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
    assert metrics[0].majority is not None
    guess = metrics[0].majority.accuracy.value
    assert found["minirocket"]["accuracy"]["value"] == pytest.approx(guess)
    assert found["above_minirocket"]["accuracy"]["mean"] == pytest.approx(found["int"]["accuracy"]["mean"] - guess)
    assert "integer above MiniRocket: accuracy" in text
    windows = load_windows(open_run(out / "seed_3").windows("test"), num_classes=4)
    assert set(found["accuracy_of_group"]) == set(windows.groups.tolist())
    assert np.sum(found["confusion"]) == 2 * len(windows.labels)
    assert f"integer: accuracy {100 * found['int']['accuracy']['mean']:.2f} %" in text
    assert json.loads((out / "seeds.json").read_text(encoding="utf-8"))["seeds"] == [3, 5]
