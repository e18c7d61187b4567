"""`edge-seq device` and `edge-seq verify --port` with boards that need no hardware, as a user starts them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_seq.device.client import open_device
from edge_seq.device.line import Timing
from edge_seq.ir.decision import DecisionStage
from edge_seq.ir.serialize import load_int_model, save_model
from edge_seq.support.errors import ConfigError
from edge_seq.workflow.device import emulate, recording_of
from edge_seq.workflow.folder import open_run
from firmware_export.running.board import Firmware, choose_clock, start_board
from tests.cli.conftest import Small, edge_seq, ok

FEW = ("--windows", "20", "--extreme", "8")
HAS_QEMU = bool(shutil.which("qemu-system-arm") and shutil.which("arm-none-eabi-gcc"))
NEEDS_QEMU = pytest.mark.skipif(
    not HAS_QEMU,
    reason="no emulated board on this machine; sudo apt-get install qemu-system-arm gcc-arm-none-eabi",
)
NEEDS_CC = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler on this machine; sudo apt-get install gcc")
# The default tests have the emulated Cortex-M4 through the README's part "On your board"; a process without one.
BOARDS = [
    pytest.param("qemu", marks=[NEEDS_QEMU, pytest.mark.slow]),
    pytest.param("posix", marks=[NEEDS_CC, *([pytest.mark.slow] if HAS_QEMU else [])]),
]


@contextmanager
def emulated(run: Path, *options: str | Path) -> Iterator[dict[str, object]]:
    """`edge-seq device emulate` in another terminal: what it printed as JSON, the command's process, and the folder
    for what it builds, which is removed here, as a command that was killed cannot."""
    command = [sys.executable, "-m", "edge_seq", "device", "emulate", str(run), "--json"]
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [*command, *map(str, options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": folder},
        )
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            yield {**json.loads(line), "command": process, "folder": Path(folder)}
        finally:
            process.terminate()
            process.communicate(timeout=20)


def is_there(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def gone_within(process: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while is_there(process) and time.monotonic() < until:
        time.sleep(0.02)
    return not is_there(process)


@pytest.mark.parametrize("board", BOARDS)
def test_a_board_is_found_asked_and_verified(small: Small, board: str, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small.run, tmp_path / "run"))
    model, stage = load_int_model(run / "model.int.safetensors"), DecisionStage(1, 2**12, 2, 2**11)
    save_model(replace(model, readout=replace(model.readout, decision=stage)), run / "model.int.safetensors")
    ok("export", run)
    with emulated(run, "--board", board) as started:
        port = str(started["port"])
        pinged = ok("device", "ping", "--port", port, "--count", "3", "--json").json
        assert (pinged["sent"], pinged["answered"], pinged["frame_errors"]) == (3, 3, 0)
        info = ok("device", "info", "--port", port, "--json").json
        assert "decision" in info["capabilities"]
        assert info["contract"]["labels"] == list(load_int_model(run / "model.int.safetensors").labels)
        assert "golden vectors are met" in ok("device", "selftest", "--port", port).out
        ladder = ok("verify", run, *FEW, "--port", port, "--port-steps", "2000", "--json").json
        last = ladder["rungs"][-1]
        assert (last["name"], last["verdict"]) == ("integer reference = C on the board", "holds")
        assert last["comparison"]["steps"] >= 2000
        assert last["comparison"]["mismatches"] == 0
        assert last["comparison"]["names"][-4:] == ["logits", "label", "scores", "decision"]
        assert last["figures"]["ticks_a_step"] > 0
        assert ("free_stack_bytes" in last["figures"]) == (board == "qemu")
        assert json.loads((run / "reports" / "verify.json").read_text()) == ladder
        assert "free stack" in ok("device", "info", "--port", port).out


@pytest.mark.parametrize("board", [pytest.param("posix", marks=NEEDS_CC), pytest.param("qemu", marks=NEEDS_QEMU)])
@pytest.mark.slow  # the wire and the client are tried by default in tests/adapt
def test_a_board_learns(small: Small, board: str, tmp_path: Path) -> None:
    """The emulated sensor runs fast, so that labels come soon."""
    saved = tmp_path / "mine.bin"
    with emulated(small.run, "--board", board, "--rate", "2000") as started:
        port = str(started["port"])
        labels = ok("device", "info", "--port", port, "--json").json["contract"]["labels"]
        assert "0 labelled samples so far, 0 of 20 examples held" in ok("device", "adapt", "--port", port).out
        taught = ok(
            *("device", "adapt", "--port", port, "--label", labels[-1], "--windows", "3", "--save", saved, "--json")
        ).json
        assert (taught["samples"], taught["in_use"]) == (3, True)
        assert len(saved.read_bytes()) == taught["saved_bytes"]
        assert "those of the factory" in ok("device", "adapt", "--port", port, "--use", "factory").out
        assert "0 of 20 examples held" in ok("device", "adapt", "--port", port, "--use", "forget").out
        back = ok("device", "adapt", "--port", port, "--restore", saved, "--json").json
        assert (back["held"], back["in_use"]) == (taught["held"], True)
        for options, words in (
            (["--label", "swimming"], "label 'swimming' is unknown; give one of ["),
            (["--use", "both"], "--use both is unknown; give one of factory, learned, forget"),
            (["--restore", tmp_path / "none.bin"], "cannot be read (No such file or directory); give a file that"),
            (["--restore", small.run / "config.toml"], "it is from another model"),
        ):
            failed = edge_seq("device", "adapt", "--port", port, *options)
            assert (failed.code, words in failed.err) == (2, True), failed.err


@NEEDS_CC
def test_a_board_with_another_model_is_refused_before_a_sample_is_sent(small: Small, tmp_path: Path) -> None:
    run, other = (Path(shutil.copytree(small.run, tmp_path / name)) for name in ("run", "other"))
    model = load_int_model(other / "model.int.safetensors")
    contract = replace(model.contract, sample_rate_hz=50.0)
    save_model(
        replace(model, labels=("at rest", *model.labels[1:]), contract=contract), other / "model.int.safetensors"
    )
    ok("export", other)
    with emulated(other, "--board", "posix") as started:
        port = str(started["port"])
        result = edge_seq("verify", run, "--port", port)
        assert result.code == 1
        assert "IT DOES NOT HOLD" in result.out
        (rung,) = json.loads((run / "reports" / "verify.json").read_text())["rungs"]
        assert rung["verdict"] == "failed"
        for words in ("model: board ", "sample_rate_hz: board 50.0, model 10.0", "labels: board ['at rest', "):
            assert words in rung["detail"]
        assert "No sample was sent. Flash the firmware of this run" in rung["detail"]
        assert ok("device", "info", "--port", port, "--json").json["cost"]["steps"] == 0


@pytest.mark.parametrize(
    ("board", "number"),
    [
        pytest.param("qemu", signal.SIGTERM, marks=NEEDS_QEMU),
        pytest.param("qemu", signal.SIGKILL, marks=[NEEDS_QEMU, pytest.mark.slow]),
        pytest.param("posix", signal.SIGINT, marks=NEEDS_CC),
        pytest.param("posix", signal.SIGHUP, marks=NEEDS_CC),
        pytest.param("posix", signal.SIGKILL, marks=NEEDS_CC),
    ],
)
def test_the_board_ends_with_the_command(small: Small, board: str, number: signal.Signals, tmp_path: Path) -> None:
    if number == signal.SIGKILL and sys.platform != "linux":
        pytest.skip("only Linux tells a process of its parent's death")
    link = tmp_path / "board"
    with emulated(small.run, "--board", board, "--link", link) as started:
        command, board_process = started["command"], int(str(started["process"]))
        assert isinstance(command, subprocess.Popen)
        assert started["port"] == str(link)
        assert link.exists()
        assert is_there(board_process)
        command.send_signal(number)
        assert command.wait(10) == (-9 if number == signal.SIGKILL else 0)
        assert gone_within(board_process, 5)
        killed = number == signal.SIGKILL
        assert link.is_symlink() == killed
        assert bool(list(Path(str(started["folder"])).iterdir())) == killed


@NEEDS_CC
def test_a_board_that_restarts_and_one_that_is_pulled_out(small: Small, tmp_path: Path) -> None:
    """A stream through both: marked, counted, and every sample right."""
    from edge_seq.device.follow import SampleBlock

    recording, link = recording_of(open_run(small.run)), tmp_path / "board"
    timing = Timing(timeout_s=0.5, silence_s=0.3, reconnect_s=20.0)
    blocks: list[SampleBlock] = []

    def take(items: Iterator[object], count: int) -> None:
        for _ in range(count):
            block = next(items)
            assert isinstance(block, SampleBlock)
            wanted = (block.first_index + np.arange(len(block.counts))) % len(recording)
            assert np.array_equal(block.counts, recording[wanted])
            blocks.append(block)

    with emulated(small.run, "--board", "posix", "--rate", "500", "--link", link) as first:
        device = open_device(str(link), timing=timing)
        items = device.stream(batch=10)
        take(items, 20)
        os.kill(int(str(first["process"])), signal.SIGUSR1)
        take(items, 20)
        assert [block.restarted for block in blocks].count(True) == 1
    with emulated(small.run, "--board", "posix", "--rate", "500", "--link", link):
        take(items, 20)
        assert [block.restarted for block in blocks].count(True) == 2
        assert device.counters.reconnects == 1
        items.close()  # type: ignore[attr-defined]
        device.close()


def test_what_cannot_be_opened_or_does_not_answer_says_so() -> None:
    for command in (("device", "ping"), ("device", "info")):
        result = edge_seq(*command, "--port", "/dev/no_such_port")
        assert result.code == 2
        assert "opening port /dev/no_such_port: " in result.err
        assert "edge-seq device list" in result.err
    result = edge_seq("device", "info", "--port", "loop://", "--timeout", "0.05", "--json")
    assert (result.code, result.json["error"]) == (2, "DeviceError")
    result = edge_seq("device", "ping", "--port", "nonsense://x")
    assert result.code == 2
    assert "/dev/ttyACM0" in result.err


def await_restart(port: str, boot: int) -> None:
    """Wait until a board that was told to restart has done so; a busy machine answers from before for a while."""
    for _ in range(100):
        with open_device(port) as device:
            if device.info.boot != boot:
                return
        time.sleep(0.05)
    raise AssertionError(f"{port} has not restarted")


@NEEDS_CC
@pytest.mark.slow
def test_a_model_is_loaded_into_a_board_and_survives_a_restart(small: Small, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(small.run, run)
    exported = ok("export", run, "--blob", "little", "--json").json["files"]
    (blob,) = (run / name for name in exported if name.endswith(".blob"))
    assert ok("verify", run, *FEW, "--json").json["holds"]
    with emulated(run, "--board", "posix", "--flash", tmp_path / "flash.bin") as board:
        port = str(board["port"])
        loaded = ok("device", "load", blob, "--port", port, "--json").json
        assert loaded["sent_bytes"] == loaded["blob_bytes"] == blob.stat().st_size
        with open_device(port) as device:
            assert device.model_slots().active == 0
            boot = device.info.boot
        os.kill(int(str(board["process"])), signal.SIGUSR1)
        await_restart(port, boot)
        with open_device(port) as device:
            assert (device.model_slots().active, device.model_slots().sequence) == (2, 1)
            assert device.info.model_hash == loaded["model_hash"]
        assert "runs from the next start" in ok("device", "load", blob, "--port", port).out
    with emulated(run, "--board", "posix", "--flash", tmp_path / "flash.bin") as board:
        with open_device(str(board["port"])) as device:
            assert (device.model_slots().active, device.model_slots().sequence) == (1, 2)
        assert ok("verify", run, *FEW, "--port", str(board["port"]), "--json").json["holds"]
    with emulated(run, "--board", "posix") as board:
        refused = edge_seq("device", "load", blob, "--port", str(board["port"]))
        assert refused.code == 2
        assert "cannot take models over the wire" in refused.err
    blob.write_bytes(blob.read_bytes()[:-4] + b"abcd")
    assert "exports are up to date" not in edge_seq("verify", run, *FEW).out
    assert edge_seq("verify", run, *FEW).code == 1


def test_a_blob_and_flash_that_cannot_be_say_so(small: Small, tmp_path: Path) -> None:
    result = edge_seq("device", "load", tmp_path / "none.blob", "--port", "loop://")
    assert result.code == 2
    assert "edge-seq export RUN --blob little" in result.err
    result = edge_seq("export", small.run, "--blob", "middle")
    assert result.code == 2
    assert "give one of little, big" in result.err
    firmware = Firmware("qemu", ("false",), "model")
    with (
        pytest.raises(ConfigError, match="a qemu board has no flash for models"),
        start_board(firmware, flash=tmp_path),
    ):
        pass


def test_wrong_use_says_what_there_is(small: Small, tmp_path: Path) -> None:
    run = open_run(small.run)
    for options, words in (
        ({"rate_hz": 1e9}, "0.1 to 10,000"),
        ({"link": small.drives}, "exists and is not a link"),
    ):
        with pytest.raises(ConfigError, match=words), emulate(run, kind="posix", **options):  # type: ignore[arg-type]
            pass
    with pytest.raises(ConfigError, match="give one of instructions, host"):
        choose_clock("sun")
    result = edge_seq("device", "emulate", small.run, "--board", "vax")
    assert result.code == 2
    assert "give one of qemu, posix" in result.err
    result = edge_seq("device", "emulate", tmp_path)
    assert result.code == 2
    assert "is not the folder of a run" in result.err


def test_help_has_an_example_and_ports_are_listed() -> None:
    from edge_seq.cli import device

    for command in device.app.registered_commands:
        assert f"Example: edge-seq device {command.name}" in str(command.callback.__doc__)
    assert "--link" in ok("device", "emulate", "--help").out
    assert isinstance(ok("device", "list", "--json").json, list)
    assert ok("device", "list").out
