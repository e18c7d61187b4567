"""Ways to start the command line, its version, and completion of its words in a shell."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import edge_seq, ok

needs_bash = pytest.mark.skipif(not shutil.which("bash"), reason="no bash on this machine")


def test_version() -> None:
    assert ok("--version").out == f"edge-seq {importlib.metadata.version('edge-seq')}\n"


def test_a_module_is_started_under_the_name_of_the_script() -> None:
    """`python -m edge_seq` speaks of `edge-seq`, and so completion is for `edge-seq` however it was installed."""
    assert "Usage: edge-seq train" in ok("train", "--help").out
    assert "Usage: edge-seq" in edge_seq("teach").err


def test_the_script_that_is_installed_is_the_same() -> None:
    (script,) = [one for one in importlib.metadata.entry_points(group="console_scripts") if one.name == "edge-seq"]
    assert script.value == "edge_seq.cli:main"


@pytest.mark.parametrize(
    ("encoding", "label", "box"),
    [("ascii", "stra\u00dfe\u2192", "\u2501"), ("latin-1", "stra\u00dfe\\u2192", "\\u2501")],
)
def test_any_encoding_of_the_terminal_takes_tables_and_labels(
    encoding: str, label: str, box: str, tmp_path: Path
) -> None:
    rows = "".join(f"{t / 10},{t % 7},{t % 5},{t % 3},stra\u00dfe\u2192\n" for t in range(200))
    (tmp_path / "a.csv").write_text("t,ax,ay,az,label\n" + rows, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "edge_seq", "data", "check", "a.csv"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )
    printed = done.stdout.decode("utf-8" if encoding == "ascii" else encoding)
    assert done.returncode in (0, 1, 2), done.stderr
    assert label in printed
    assert box in printed


def in_bash(commands: str, home: Path) -> str:
    """What bash prints, with ``edge-seq`` on PATH. The ``:`` keeps bash the parent of the last command, as in a
    terminal: typer looks for the shell among its parents."""
    script = home / "edge-seq"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m edge_seq "$@"\n')
    script.chmod(0o755)
    environment = {**os.environ, "HOME": str(home), "PATH": f"{home}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", f"{commands}\n:"], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


@needs_bash
def test_bash_completes_with_what_is_shown(tmp_path: Path) -> None:
    said = in_bash(
        'eval "$(edge-seq --show-completion)"; complete -p edge-seq\n'
        'COMP_WORDS=(edge-seq ver); COMP_CWORD=1; _edge_seq_completion edge-seq; echo "${COMPREPLY[@]}"',
        tmp_path,
    )
    assert said == "complete -o default -F _edge_seq_completion edge-seq\nverify\n"


@needs_bash
def test_completion_is_installed_for_bash(tmp_path: Path) -> None:
    said = in_bash("edge-seq --install-completion; . ~/.bashrc; complete -p edge-seq", tmp_path)
    assert "bash completion installed in" in said
    assert said.endswith("complete -o default -F _edge_seq_completion edge-seq\n")


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("edge-seq ver", {"verify"}),
        ("edge-seq device e", {"emulate"}),
        ("edge-seq verify --ta", {"--target"}),
        ("edge-seq no-such", set()),
    ],
)
def test_words_are_completed(words: str, completed: set[str]) -> None:
    environment = {
        **os.environ,
        "_EDGE_SEQ_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    command = [sys.executable, "-m", "edge_seq"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert set(done.stdout.split()) == completed


def test_starting_imports_nothing_heavy() -> None:
    """Help, the version and every press of the tabulator wait for what is imported first."""
    code = (
        "import sys; import edge_seq.cli.app\n"
        "heavy = {'torch', 'numpy', 'onnx', 'onnxruntime', 'sklearn', 'pyarrow', 'matplotlib', 'optuna', 'pydantic'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
