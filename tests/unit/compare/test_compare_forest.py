"""The random forest beside the networks of a comparison: scores, kept results, cost."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from edge_seq.compare import forest
from edge_seq.compare.config import CompareConfig
from edge_seq.compare.data import PointData, Source
from edge_seq.compare.forest import COSTS, ForestTrial, forests_of, run_forest, visited_nodes, votes_of
from edge_seq.data.recording import Windows
from firmware_export.measuring.reference_models import Shape, reference_float_model

CONFIG = CompareConfig(task="drives.toml", hidden_sizes=(4,), window_lengths=(10, 20), seeds=2)


def contract_of(time_steps: int) -> Any:
    return reference_float_model("car", "rnn", shape=Shape(2, 4, time_steps, 3)).contract


def windows(time_steps: int, seed: int) -> Windows:
    """Three classes of loudness."""
    rng = np.random.default_rng((time_steps, seed))
    labels = np.arange(120, dtype=np.int16) % 3
    counts = rng.normal(0, 10 * 9.0 ** labels[:, None, None], (120, time_steps, 2))
    groups = np.array([f"g{index // 40}" for index in range(120)])
    return Windows(np.rint(counts).astype(np.int16), labels, groups)


def data_of(time_steps: int, seed: int) -> PointData:
    return PointData(
        contract_of(time_steps), ("a", "b", "c"), windows(time_steps, seed), windows(time_steps, seed + 50)
    )


SOURCE = Source("drives", ("a", "b", "c"), contract_of, data_of, True, "f" * 64, "")


def test_each_window_length_gets_a_forest_for_each_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def tell(done: int, total: int, what: str) -> None:
        seen.append(f"{done}/{total} {what}")

    found = forests_of(CONFIG, SOURCE, tmp_path, progress=tell)
    assert [one.time_steps for one in found] == [10, 20]
    assert all(len(one.scores) == 2 and min(one.scores) > 0.95 for one in found)
    assert seen == [f"{index}/4 random forest T{10 + 10 * (index // 2)}-s{index % 2}" for index in range(4)]
    costs = [one.cost for one in found]
    assert costs[0] is not None
    assert costs[1] is not None
    assert costs[0].target == "cortex_m4"
    assert 0 < costs[0].per_window < costs[1].per_window

    def fail(*_: Any, **__: Any) -> ForestTrial:
        raise AssertionError("a forest that is kept is not trained again")

    monkeypatch.setattr(forest, "run_forest", fail)
    assert forests_of(CONFIG, SOURCE, tmp_path, progress=lambda *_: None) == found
    other = CONFIG.model_copy(update={"target": "cortex_m0"})
    assert [one.cost for one in forests_of(other, SOURCE, tmp_path, progress=lambda *_: None)] == [None, None]
    with pytest.raises(AssertionError, match="not trained again"):
        forests_of(CONFIG, replace(SOURCE, fingerprint="0" * 64), tmp_path, progress=lambda *_: None)
    (tmp_path / forest.FORESTS).write_text("{", encoding="utf-8")
    with pytest.raises(AssertionError, match="not trained again"):
        forests_of(CONFIG, SOURCE, tmp_path, progress=lambda *_: None)


def test_there_is_none_without_scikit_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "sklearn" else find_spec(name))
    assert forests_of(CONFIG, SOURCE, tmp_path, progress=lambda *_: None) == ()


def test_work_of_a_forest_is_counted_by_its_trees() -> None:
    from sklearn.ensemble import RandomForestClassifier

    x = np.array([[0], [1], [2], [3]], np.int16)
    stumps = RandomForestClassifier(5, max_depth=1, bootstrap=False, random_state=0).fit(x, [0, 0, 1, 1])
    assert forest.inner_nodes(stumps) == 5
    assert visited_nodes(stumps, x) == 5.0
    assert votes_of(stumps, x).tolist() == [0, 0, 1, 1]
    trial = run_forest(data_of(10, 0), 0, merge=True)
    assert list(trial.groups) == ["all"]
    assert np.array(trial.groups["all"]).sum() == 120
    assert trial.visited <= trial.nodes


def test_the_cost_grows_with_each_part() -> None:
    costs = COSTS["cortex_m4"]
    base = costs.instructions(3, 50, 30, 150.0)
    assert base < costs.instructions(3, 50, 30, 200.0) < costs.instructions(3, 60, 30, 150.0)
    assert base < costs.instructions(4, 50, 30, 150.0)
    assert costs.flash(30, 500) < costs.flash(30, 1000)
