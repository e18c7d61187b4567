"""What edge-seq demo refuses before its long work."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from edge_seq.pipeline.config import load_config
from edge_seq.support.errors import ConfigError, ToolError
from edge_seq.workflow.cross_validate import cross_validate
from edge_seq.workflow.demo import run_demo


@pytest.mark.parametrize(("module", "package"), [("sklearn", "scikit-learn"), ("matplotlib", "matplotlib")])
def test_a_missing_package_is_said_before_the_work(
    module: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    real = importlib.util.find_spec

    def find_spec(name: str, *arguments: Any) -> Any:
        return None if name == module else real(name, *arguments)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    with pytest.raises(ToolError, match=rf"demo needs {package}, which is not installed; pip install 'edge-seq.data.'"):
        run_demo(tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize("key", ["training.cell", "name"])
def test_what_the_demo_sets_itself_cannot_be_set(key: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"demo: {key} cannot be set, because .* use edge-seq train"):
        run_demo(tmp_path / "demo", overrides=[f"{key}=gru"])


def test_runs_are_not_put_into_a_run(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("")
    message = r".* is the folder of a run; give --out a folder of its own"
    with pytest.raises(ConfigError, match=f"demo: {message}"):
        run_demo(tmp_path)
    with pytest.raises(ConfigError, match=f"cross-validation: {message}"):
        cross_validate(tmp_path, load_config(None))
    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]
