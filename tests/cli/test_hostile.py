"""Files of others and full disks: one clear error, exit code 2, nothing half written, no escapes on the terminal."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Small, edge_seq

CONTROL = {chr(n) for n in (*range(32), 127)} - {"\n", "\t"}


@pytest.fixture
def run(small: Small, tmp_path: Path) -> Path:
    """A copy of the small run to damage."""
    return Path(shutil.copytree(small.run, tmp_path / "run"))


def refused(*arguments: str | Path, **options: object) -> str:
    """Message of a command that must end with code 2, without a traceback."""
    result = edge_seq(*arguments, timeout_s=60, **options)  # type: ignore[arg-type]
    assert result.code == 2, result.out + result.err
    assert "Traceback" not in result.err
    assert not CONTROL & set(result.out + result.err)
    return result.err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_device_and_a_pipe_in_a_run(run: Path) -> None:
    calibration = run / "data" / "calibration.safetensors"
    calibration.unlink()
    calibration.symlink_to("/dev/zero")
    assert "calibration.safetensors: no calibration streams" in refused("quantize", run)
    calibration.unlink()
    os.mkfifo(calibration)
    assert "it is not a regular file" in refused("quantize", run)


def test_an_emptied_configuration(run: Path) -> None:
    (run / "config.toml").write_text("")
    for command in ("quantize", "evaluate"):
        assert "config.toml is empty; it was emptied or cut" in refused(command, run)
    (run / "config.toml").write_text('name = "small"\n')
    assert "data, training are missing, which every configuration of a run has" in refused("verify", run)


def test_tables_that_are_nested_too_deeply(run: Path) -> None:
    (run / "config.toml").write_text("a = " + "[" * 3000 + "]" * 3000)
    assert "cannot be read as TOML: it is nested too deeply" in refused("verify", run)
    shutil.copyfile(run / "config.toml", run.parent / "own.toml")
    assert "cannot be read as TOML: it is nested too deeply" in refused("train", run.parent / "own.toml")
    (run / "training.json").write_text("[" * 100_000)
    assert "nested too deeply" in refused("report", run)


def test_a_limit_of_the_memory(run: Path) -> None:
    assert "it takes" in refused("--memory-limit", "1K", "inspect", run / "model.int.safetensors")
    assert "'lots' is not a number of bytes" in refused("--memory-limit", "lots", "inspect", run)
    ok = edge_seq("--memory-limit", "1G", "inspect", run / "model.int.safetensors")
    assert ok.code == 0, ok.err


def test_escapes_in_names_and_messages(tmp_path: Path) -> None:
    source = tmp_path / "x.toml"
    source.write_text('path = "\\u001b[2J\\u001b]0;owned\\u0007.csv"\nname = "[bold]x[/bold]"\nlabels = ["a", "b"]\n')
    message = refused("data", "check", source)
    assert "x.toml" in message
    escaped = edge_seq("inspect", tmp_path / "\x1b[2J\x1b[31mrun")
    assert escaped.code == 2
    assert "\\x1b[2J" in escaped.err
    assert "\x1b" not in escaped.err


def test_markup_is_text(tmp_path: Path) -> None:
    assert "[bold]x[red]" in refused("inspect", tmp_path / "[bold]x[red]")


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of a process here")
def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """A limit of the size of files stands for the disk; the file is named, and nothing is left of it."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); "
        "sys.argv = sys.argv[1:]; from edge_seq.cli.app import main; main()"
    )
    out = (str(tmp_path / "out" / "drives.csv"), "--drives", "4", "--duration-s", "60")
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, "edge-seq", "simulate", "--out", *out],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2, done.stderr
    assert "drives.csv: " in done.stderr
    assert "File too large; files of this size are not allowed here" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_a_web_port_that_is_taken(small: Small) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        message = refused(
            *("monitor", "--source", small.drives, "--model", small.run, "--web", "--web-port", str(port))
        )
    assert f"127.0.0.1:{port}: Address already in use. Give another --web-port" in message
    assert message.count("edge-seq: error:") == 1
