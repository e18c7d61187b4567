"""Progress bars: nothing without a terminal but the last state, and no question for widgets in a notebook."""

from __future__ import annotations

import pytest

from edge_seq.support.display import progress


def test_a_notebook_gets_one_line_of_text(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shell = type("ZMQInteractiveShell", (), {})
    monkeypatch.setattr("builtins.get_ipython", shell, raising=False)  # by this name rich tells a notebook
    monkeypatch.setenv("FORCE_COLOR", "1")  # as Jupyter's kernel sets it
    with progress("training", 3, quiet=False) as update:
        for done in (1, 2, 3):
            update(done, note=f"epoch {done}")
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = [line for line in shown.err.splitlines() if line.strip()]
    assert len(lines) == 1
    assert all(text in lines[0] for text in ("training", "3/3", "epoch 3"))


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("training", 3, quiet=True) as update:
        update(3)
    assert capsys.readouterr() == ("", "")
