"""Progress bars: nothing without a terminal but the last state, and no question for widgets in a notebook. Messages of
many pages, and control characters in a page."""

from __future__ import annotations

import pytest

from edge_seq.report.markup import tag
from edge_seq.support.display import progress
from edge_seq.support.errors import DataError
from edge_seq.support.stderr import LONGEST, print_stderr_error, print_stderr_warning


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


def test_a_message_of_many_pages_is_cut_in_its_middle(capsys: pytest.CaptureFixture[str]) -> None:
    for tell in (lambda text: print_stderr_error(DataError(text)), print_stderr_warning):
        tell("reading x.json: " + "y" * 100_000 + "; make it again")
        told = capsys.readouterr().err
        assert "reading x.json: yyy" in told
        assert "yyy ... 92,031 characters left out ... yyy" in told
        assert told.endswith("yyy; make it again\n")
        tell("z" * LONGEST)
        assert "z" * LONGEST + "\n" in capsys.readouterr().err


def test_control_characters_are_written_out_in_a_page() -> None:
    made = tag("p", "a\x1b[31m\u202eb<", title="\x00")
    assert made == '<p title="\\x00">a\\x1b[31m\\u202eb&lt;</p>'
    assert tag("p", tag("b", "x")) == "<p><b>x</b></p>"
