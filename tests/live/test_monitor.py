"""edge-seq monitor: buffers that stay small, the view, and a server that only this computer can reach."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
from rich.console import Console

from edge_seq.cli.monitor_view import plot, view
from edge_seq.device.client import connect
from edge_seq.device.line import Counters
from edge_seq.live.monitor import BINS, DECISIONS, MESSAGES, MonitorState, state_of_board, watch_board
from edge_seq.live.monitor_web import MAX_VIEWERS, MonitorServer
from edge_seq.live.samples import UNKNOWN, Gap
from edge_seq.support.errors import ToolError
from firmware_export.running.board import RunningBoard
from tests.cli.conftest import edge_seq, ok
from tests.live.conftest import FAST, LABELS, Exports, Recorded, recording, vibration_model


def some_state(**changes: object) -> MonitorState:
    contract = vibration_model().contract
    state = MonitorState("board", "the board (posix)", contract, LABELS)
    state.add_samples(recording())
    state.add_decision(0.1, 2, [0.1, 0.2, 0.6, 0.1])
    return replace(state, **changes)  # type: ignore[arg-type]


def test_nothing_grows_with_the_stream() -> None:
    state = some_state()
    for index in range(3000):
        state.add_samples(recording()[:100])
        state.add_decision(index, 1, [0.0, 1.0, 0.0, 0.0])
        state.add_gap(Gap(index, 1))
    snapshot = state.snapshot()
    sizes = (len(snapshot.bins), len(snapshot.decisions), len(snapshot.messages))
    assert sizes == (BINS, DECISIONS, MESSAGES)
    assert (snapshot.samples, snapshot.next_decision, snapshot.lost) == (301_000, 3001, 3000)


def test_a_viewer_gets_what_is_new() -> None:
    state = some_state()
    first = state.snapshot()
    assert len(first.bins) == 1000 // state.bin_samples
    state.add_samples(recording()[:270])
    state.add_decision(0.2, 0, [1.0, 0.0, 0.0, 0.0])
    then = state.snapshot(first_bin=first.next_bin, first_decision=first.next_decision)
    assert [one.number for one in then.decisions] == [1]
    assert len(then.bins) == then.next_bin - first.next_bin > 0


def test_decisions_of_a_stage_are_shown_with_the_labels_they_were_made_of() -> None:
    state = some_state()
    state.add_decision(0.2, 2, [0.1, 0.2, 0.6, 0.1], 1)
    state.add_decision(0.3, 2, [0.2, 0.3, 0.4, 0.1], len(LABELS))
    assert [(one.label, one.decision) for one in state.snapshot().decisions] == [(2, 2), (2, 1), (2, 4)]
    lines = [line.strip("│ ") for line in shown(state).splitlines()]
    assert "▶ unknown" in lines
    assert f"0.30 s  unknown              40.0 %  label {LABELS[2]}".split() in [line.split() for line in lines]
    assert f"0.20 s {LABELS[1]} 60.0 % label {LABELS[2]}".split() in [line.split() for line in lines]
    assert f"0.10 s {LABELS[2]} 60.0 %".split() in [line.split() for line in lines]


def test_a_bin_holds_the_least_and_the_largest() -> None:
    state = some_state()
    counts = recording()[: state.bin_samples]
    expected = np.stack([counts.min(axis=0), counts.max(axis=0)], axis=1).ravel() / 2048
    assert np.allclose(state.snapshot().bins[0], expected, rtol=1e-4)


def shown(state: MonitorState, width: int = 100) -> str:
    console = Console(width=width, record=True, file=Path(os.devnull).open("w"), force_terminal=True)  # noqa: SIM115
    console.print(view(state.about(), state.snapshot(), width=width))
    console.file.close()
    return console.export_text()


@pytest.mark.parametrize("width", [60, 80, 160])
def test_the_terminal_view_shows_everything_within_its_width(width: int) -> None:
    state = some_state(counters=Counters(faults=Counter(crc=3), dropped=5))
    state.add_gap(Gap(1000, 7))
    text = shown(state, width)
    for part in (
        "edge-seq monitor board",
        "worn <b>",
        "60.0 %",
        "ax",
        "3 frame errors",
        "1 gaps",
        "7 lost (5 on the board)",
    ):
        assert part in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= width


def test_the_terminal_view_before_the_first_sample() -> None:
    empty = MonitorState("board", "the board", vibration_model().contract, LABELS)
    assert "waiting for the first decision" in shown(empty)


def test_what_a_device_says_cannot_steer_the_terminal() -> None:
    state = some_state()
    state.say("label \x1b[2J\x07 [bold]x[/bold]")
    text = shown(state)
    assert "\x1b" not in text
    assert "label ?[2J? [bold]x[/bold]" in text


@pytest.mark.parametrize("name", ["[/]", "[bold]x[/red]", "[link=file:///x]y[/link]"])
@pytest.mark.parametrize("begun", [False, True])
def test_a_boards_name_is_no_markup(name: str, begun: bool) -> None:
    state = some_state() if begun else MonitorState("board", "", vibration_model().contract, LABELS)
    state.decider = state.source = f"the board ({name})"
    text = shown(state)
    assert f"decided by the board ({name})" in text
    assert f"edge-seq monitor the board ({name})" in text


def watched(board: Recorded, until: Callable[[MonitorState], bool]) -> MonitorState:
    """State of a monitor of a simulated device when it is stopped."""
    with connect(board.opener, timing=FAST) as device:
        state, stop = state_of_board(device, None), threading.Event()
        watcher = threading.Thread(target=watch_board, args=(device, state, stop, None))
        watcher.start()
        last_s = time.monotonic() + 10
        while not until(state) and watcher.is_alive() and time.monotonic() < last_s:
            time.sleep(0.01)
        stop.set()
        watcher.join(2)
        assert not watcher.is_alive(), "it is stopped in silence too"
        assert until(state)
    return state


def test_time_goes_on_when_the_board_starts_anew() -> None:
    board, restarts = Recorded(vibration_model()), 0
    answer = board.twin.receive

    def receive(data: bytes) -> bytes:
        nonlocal restarts
        if board.given > 800 and not restarts:
            restarts, board.given = 1, 0
            board.twin.restart()
        return answer(data)

    board.twin.receive = receive  # type: ignore[method-assign]
    state = watched(board, lambda state: state.restarts == 1 and state.samples > 1600)
    times = [one.time_s for one in state.snapshot().decisions]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(state.samples / 1600, abs=0.1)


def test_frame_errors_are_shown_while_no_sample_comes() -> None:
    board = Recorded(vibration_model(), last=400)
    answer = board.twin.receive

    def receive(data: bytes) -> bytes:
        return answer(data) + (b"\0x" if board.given == 400 else b"")

    board.twin.receive = receive  # type: ignore[method-assign]
    # The rate is forgotten a while after the last sample.
    watched(board, lambda state: state.samples > 300 and state.snapshot().frame_errors > 3 and state.rate_hz is None)


def test_a_rate_that_is_off_is_said_once() -> None:
    state = watched(Recorded(vibration_model(rate_hz=50.0)), lambda state: len(state.snapshot().messages) > 0)
    (message,) = state.snapshot().messages
    assert "by this computer's clock, the sensor contract says 50 Hz" in message


def test_messages_are_told_whole() -> None:
    state = some_state()
    state.say("x" * 900 + "\x1b")
    assert state.snapshot().messages[0].endswith("s: " + "x" * 900 + "?")
    state.say("y" * 5000)
    assert len(state.snapshot().messages[1]) < 1100


def test_a_flat_signal_and_no_signal_are_drawn() -> None:
    assert plot([], 4, 0, 0) == ["\u2800" * 4] * 3
    assert plot([(1, 1)] * 8, 4, 1, 1)[2] == "\u28c0" * 4


def ask(server: MonitorServer, path: str, host: str | None = None) -> http.client.HTTPResponse:
    address = server.url.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("GET", path, headers={"Host": host or address})
    return connection.getresponse()


def test_the_page_needs_nothing_from_elsewhere() -> None:
    with MonitorServer(some_state()) as server:
        answer = ask(server, "/")
        text = answer.read().decode()
        assert answer.status == 200
        assert "script-src 'sha256-" in (answer.getheader("Content-Security-Policy") or "")
        assert "http://" not in text
        assert "https://" not in text
        assert json.loads(ask(server, "/about").read())["labels"] == list(LABELS)
        assert json.loads(ask(server, "/snapshot").read())["samples"] == 1000
        assert ask(server, "/etc/passwd").status == 404
        assert ask(server, "/../monitor.html").status == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}"])
def test_another_name_for_this_address_is_refused(host: str) -> None:
    with MonitorServer(some_state()) as server:
        port = server.url.rstrip("/").rpartition(":")[2]
        for path in ("/", "/snapshot", "/events"):
            assert ask(server, path, host.format(port=port)).status == 403


def test_events_bring_what_is_new_to_each_viewer_and_viewers_are_few() -> None:
    state = some_state()
    with MonitorServer(state) as server:
        viewers = [urlopen(server.url + "events", timeout=10) for _ in range(MAX_VIEWERS)]
        for viewer in viewers:
            first = json.loads(viewer.readline().removeprefix(b"data: "))
            assert len(first["bins"]) == first["next_bin"]
            assert len(first["decisions"]) == 1
        assert ask(server, "/events").status == 503
        state.add_decision(0.2, 0, [1.0, 0.0, 0.0, 0.0])
        seen: list[int] = []
        while not seen:
            line = viewers[0].readline()
            if line.startswith(b"data: "):
                seen = [one["n"] for one in json.loads(line.removeprefix(b"data: "))["decisions"]]
        assert seen == [1]
        for viewer in viewers:
            viewer.close()
        until = time.monotonic() + 10
        while (status := ask(server, "/events").status) != 200 and time.monotonic() < until:
            time.sleep(0.05)
        assert status == 200, "a viewer that went away makes room"


def test_a_taken_port_is_said() -> None:
    with MonitorServer(some_state()) as server:
        port = int(server.url.rstrip("/").rpartition(":")[2])
        with pytest.raises(ToolError, match=f"127.0.0.1:{port}: Address already in use. Give another --web-port"):
            MonitorServer(some_state(), port=port)


def test_a_board_is_watched(board: RunningBoard, exports: Exports) -> None:
    for model in ([], ["--model", exports.onnx]):
        seen = ok("monitor", "--port", board.port, *model, "--duration-s", "2.5", "--json").json
        assert seen["samples"] > 160  # 4000 where the machine has time
        assert abs(seen["next_decision"] - seen["samples"] // 80) <= 1
        assert (seen["frame_errors"], seen["gaps"], seen["labels"]) == (0, 0, list(LABELS))
        if seen["samples"] > 3200:  # a machine that is late may not have measured a rate
            assert seen["rate_hz"] > 0


def test_a_recording_is_watched(exports: Exports, tmp_path: Path) -> None:
    rows = "".join(f"{i / 1600},{a / 2048},{b / 2048},{c / 2048}\n" for i, (a, b, c) in enumerate(recording().tolist()))
    path = tmp_path / "one.csv"
    path.write_text("t,ax,ay,az\n" + rows)
    seen = ok("monitor", "--source", path, "--model", exports.onnx, "--speed", "100", "--json").json
    assert (seen["samples"], seen["next_decision"], seen["ended"]) == (1000, 12, "the end of the recording")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one of --port (a board) and --source (a recording)"),
        (["--port", "/dev/x", "--source", "x.csv"], "give one of --port (a board) and --source (a recording)"),
        (["--source", "x.csv"], "--source needs a model that classifies the recording; give --model RUN"),
        (["--port", "/dev/none"], "opening port /dev/none"),
    ],
)
def test_wrong_use_is_said(arguments: list[str], message: str) -> None:
    result = edge_seq("monitor", *arguments)
    assert result.code == 2
    assert message in result.err


def test_an_error_in_the_recording_ends_the_monitor(exports: Exports, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("t,ax,ay,az\n0,1,2,x\n")
    result = edge_seq("monitor", "--source", tmp_path / "bad.csv", "--model", exports.onnx)
    assert result.code == 2
    assert "bad.csv, line 2" in result.err


@pytest.fixture
def web_monitor(board: RunningBoard) -> Iterator[str]:
    """Address of a monitor that runs in another process."""
    code = "import sys; from edge_seq.cli import main; main()"
    command = [sys.executable, "-c", code, "monitor", "--port", board.port, "--web"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    assert "the monitor is at http://127.0.0.1:" in line
    yield line.partition("the monitor is at ")[2].split()[0]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    found = re.search(r"\b0 frame errors, ([\d,]+) gaps, ([\d,]+) samples lost", out)
    assert found, out
    assert (found[1] == "0") == (found[2] == "0")  # a board beside other jobs is late, and counts what it drops


def test_the_page_in_a_browser(web_monitor: str, tmp_path: Path) -> None:
    from tests.live.browser import browser

    with browser(tmp_path) as page:
        page.get(web_monitor)
        until = time.monotonic() + 20
        while page.find_element("id", "label").text not in (*LABELS, UNKNOWN):
            assert time.monotonic() < until, page.page_source[:2000]
            time.sleep(0.1)
        assert page.find_element("id", "state").text == "live"
        names = [one.text for one in page.find_elements("css selector", ".share .name")]
        assert names == list(LABELS), "labels of a board are text, never markup"
        drawn = "const c = document.querySelector('#channels canvas'), d = c.getContext('2d').getImageData(0, 0, "
        drawn += "c.width, c.height).data; return d.some((value) => value > 0)"
        assert page.execute_script(drawn)
        before = page.find_element("id", "numbers").text
        page.find_element("tag name", "body").send_keys("p")
        assert page.find_element("id", "pause").get_attribute("aria-pressed") == "true"
        time.sleep(0.3)
        still = page.find_element("id", "numbers").text
        time.sleep(0.5)
        assert page.find_element("id", "numbers").text == still
        page.find_element("id", "pause").click()
        time.sleep(0.5)
        assert page.find_element("id", "numbers").text not in (before, still)
        for width in (390, 1280):
            page.set_window_size(width, 900)
            assert page.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
        assert page.get_log("browser") == []
