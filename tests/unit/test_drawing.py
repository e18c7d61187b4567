"""Text and tick labels of figures are not read as formulas; without matplotlib there is a clear error."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from edge_seq.support.drawing import has_matplotlib, plain_figures, require_matplotlib, save
from edge_seq.support.errors import ToolError

FORMULAS = ("a$b$c", r"$\foo$", "$")  # as formulas, the first loses its "$" and the second raises an error


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_text_is_drawn_as_it_is_in_the_same_bytes(scale: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name in ("a.svg", "b.svg", "a.png", "b.png"):
        with plain_figures() as new_figure:
            figure = new_figure(figsize=(5, 4), layout="constrained")
            axes = figure.subplots()
            axes.plot([1, 2, 3], [2.0, 3.0, 5.0], label=FORMULAS[0])  # less than a decade: minor ticks are labelled
            axes.set(title=FORMULAS[1], xlabel=FORMULAS[2], yscale=scale)
            axes.legend()
            save(figure, tmp_path / name, dpi=60)
    text = (tmp_path / "a.svg").read_text()
    assert all(f">{formula}</text>" in text for formula in FORMULAS)
    assert "mathdefault" not in text
    assert ">2</text>" in text or ">2.0</text>" in text
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    for kind in ("svg", "png"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_without_matplotlib_it_is_said_what_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert not has_matplotlib()
    with pytest.raises(ToolError, match=r"^x needs matplotlib, and it is not installed; pip install 'edge-seq.data.'$"):
        require_matplotlib("x")
    with pytest.raises(ToolError, match=r"pip install 'edge-seq.data.', or give --no-plot$"):
        require_matplotlib("x", instead="give --no-plot")
