"""What edge-seq demo refuses before its long work."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from edge_seq.support.errors import ConfigError, ToolError
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
