"""The examples in docstrings give what they show. Those of ``edge_seq.api`` need data: tests/unit/api runs them."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _modules() -> list[str]:
    """Modules whose text has an example, by name."""
    found = []
    for package in ("edge_seq", "firmware_export"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            if name != "edge_seq" and not name.startswith("edge_seq.api") and ">>> " in path.read_text():
                found.append(name)
    return found


@pytest.mark.parametrize("name", _modules())
def test_examples_give_what_they_show(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name.startswith("edge_seq.training"):
        pytest.importorskip("torch")
    if name == "edge_seq.support.drawing":
        pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert found.attempted > 0
    assert found.failed == 0


def test_there_are_examples() -> None:
    assert len(_modules()) > 100
