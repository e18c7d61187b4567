"""edge-seq run on a port gives the labels of a file, of evaluate and of the board, in small and constant memory."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_seq.device.client import connect, open_device
from edge_seq.device.line import Timing
from edge_seq.device.transport import LoopbackTransport
from edge_seq.device.twin import Twin
from edge_seq.ir.contract import Channel
from edge_seq.live.samples import RateMeter, contract_of, is_port, require_contract
from edge_seq.parity.device_rungs import require_same_board
from edge_seq.pipeline.logits import probabilities_of
from edge_seq.support.errors import ContractError, ParityError, PortLostError
from firmware_export.running.board import Firmware, RunningBoard, start_board
from tests.cli.conftest import edge_seq, ok
from tests.live.conftest import RATE_HZ, Exports, recording, vibration_model
from tests.live.same_labels import decide_four_times
from tests.live.socket_board import socket_board

WINDOWS, WINDOW = 25, 80


def csv_of(counts: np.ndarray) -> str:
    rows = "".join(
        f"{i / RATE_HZ:.6f},{a / 2048},{b / 2048},{c / 2048}\n" for i, (a, b, c) in enumerate(counts.tolist())
    )
    return "t,ax,ay,az\n" + rows


def test_file_stream_evaluate_and_board_give_the_same_labels(
    exports: Exports, board: RunningBoard, tmp_path: Path
) -> None:
    model, counts = exports.model, np.tile(recording(), (2, 1))[: WINDOWS * WINDOW]
    evaluated = probabilities_of(model, counts.reshape(WINDOWS, WINDOW, 3)).argmax(axis=1)
    expected = [model.labels[label] for label in evaluated]
    assert len(set(expected)) > 1
    (tmp_path / "same.csv").write_text(csv_of(counts))
    of_file = ok("run", exports.onnx, "--source", tmp_path / "same.csv", "--json").out.splitlines()
    with socket_board(model, counts, rate_hz=RATE_HZ) as port:
        done = ok("run", exports.onnx, "--source", port, "--duration-s", WINDOWS * WINDOW / RATE_HZ, "--json")
    of_stream = done.out.splitlines()
    with open_device(board.port) as device:
        of_board = [model.labels[one.label] for one in device.push(counts)]
    assert [json.loads(line)["label"] for line in of_file] == expected
    assert of_stream == of_file
    assert of_board == expected
    assert f"edge-seq: 2,000 samples, {WINDOWS} labels; the model takes " in done.err


def test_a_board_decides_on_its_stream_what_this_computer_decides(
    exports: Exports, board: RunningBoard, tmp_path: Path
) -> None:
    labels = decide_four_times(exports.model, exports.onnx, board.port, tmp_path, windows=30)
    assert len(set(labels["evaluate"])) > 1
    assert len(labels["evaluate"]) == 30
    assert labels["board"] == labels["stream"] == labels["file"] == labels["evaluate"]


def test_a_gap_is_told_and_begins_a_new_window(exports: Exports) -> None:
    with socket_board(exports.model, recording(), rate_hz=RATE_HZ, jump=1000) as port:
        done = ok("run", exports.onnx, "--source", port, "--duration-s", "1.5", "--json")
    lines = [json.loads(line) for line in done.out.splitlines()]
    (gap,) = [line for line in lines if "gap_before_sample" in line]
    assert gap["lost"] > 0
    assert f"gap before sample {gap['gap_before_sample']}: {gap['lost']} lost; the window starts again" in done.err
    after = [line["sample"] for line in lines[lines.index(gap) + 1 :]]
    assert after[0] == gap["gap_before_sample"] + WINDOW - 1
    assert set(np.diff(after)) == {WINDOW}


@pytest.mark.slow
def test_a_sensor_of_another_rate_ends_the_run(exports: Exports) -> None:
    with socket_board(exports.model, recording(), rate_hz=800.0) as port:
        result = edge_seq("run", exports.onnx, "--source", port, "--json")
    assert result.code == 2
    assert "samples a second by this computer's clock, the sensor contract says 1600 Hz" in result.err


def test_an_axis_that_stands_still_is_told_once(exports: Exports) -> None:
    counts = recording().copy()
    counts[:, 1] = 5
    with socket_board(exports.model, counts, rate_hz=RATE_HZ) as port:
        result = ok("run", exports.onnx, "--source", port, "--duration-s", "0.5")
    assert result.err.count("warning") == 1
    assert "channel ay is 0.00244141 in all of the last" in result.err


def test_a_board_with_another_contract_is_refused_before_a_sample(exports: Exports) -> None:
    model = vibration_model()
    channels = (Channel("ax", "g", 4096.0, 8.0), *model.contract.channels[1:])
    for other, message in (
        (replace(model.contract, sample_rate_hz=800.0), "sample_rate_hz: board 800.0, model 1600.0"),
        (replace(model.contract, window_length=70), "window_length: board 70, model 80"),
        (replace(model.contract, channels=channels), "counts_per_unit of ax: board 4096.0, model 2048.0; full_scale"),
        (replace(model.contract, channels=model.contract.channels[::-1]), "channels: board ['az', 'ay', 'ax'], model"),
    ):
        twin = Twin(replace(model, contract=other), recording=recording())
        with connect(lambda twin=twin: LoopbackTransport(twin.receive)) as device:  # type: ignore[misc]
            told = contract_of(device)[0]
            assert (told.channels, told.sample_rate_hz, told.window_length) == (
                other.channels,
                other.sample_rate_hz,
                other.window_length,
            )
            with pytest.raises(ContractError) as error:
                require_contract(device, model.contract)
        assert message in str(error.value)
        assert "Flash the firmware that was exported with this model" in str(error.value)


def test_verify_refuses_what_is_not_the_runs_and_names_it() -> None:
    model = vibration_model()
    other = replace(model, labels=("cold", *model.labels[1:]), contract=replace(model.contract, window_stride=7))
    for shown, states, words in (
        (other, 0, ("window_stride: board 7, model 80", "labels: board ['cold', ", "model: board ")),
        (model, 2, ("values per time step: board ",)),
    ):
        twin = Twin(shown)
        hello = twin.hello()
        changed = replace(hello, state_words=hello.state_words + states)
        twin.hello = lambda changed=changed: changed  # type: ignore[method-assign, misc]
        with connect(lambda twin=twin: LoopbackTransport(twin.receive)) as device:  # type: ignore[misc]
            with pytest.raises(ParityError) as error:
                require_same_board(device, model)
            assert device.cost().steps == 0
        for word in words:
            assert word in str(error.value)
        assert "No sample was sent. Flash the firmware of this run" in str(error.value)


def test_a_port_takes_no_options_of_a_text(exports: Exports) -> None:
    result = edge_seq("run", exports.onnx, "--source", "/dev/none", "--counts")
    assert result.code == 2
    assert "--counts, --time-column and --data are for files, but /dev/none is a serial port" in result.err


def test_a_port_that_does_not_come_back_ends_the_stream() -> None:
    twin = Twin(vibration_model(), recording=recording(), samples_so_far=itertools.count().__next__)
    transports: list[LoopbackTransport] = []

    def opener() -> LoopbackTransport:
        if transports:
            raise PortLostError("opening port twin: it is gone")
        transports.append(LoopbackTransport(twin.receive))
        return transports[0]

    timing = Timing(timeout_s=0.1, retries=0, silence_s=0.1, reconnect_s=0.3, reconnect_every_s=0.05)
    with connect(opener, timing=timing) as device:
        stream = device.stream()
        next(stream)
        transports[0].close()
        with pytest.raises(PortLostError, match="it is gone"):
            next(stream)


def test_a_port_is_opened_for_one_program(board: RunningBoard) -> None:
    with open_device(board.port), pytest.raises(PortLostError, match="no other program on the port"):
        open_device(board.port)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("/dev/ttyUSB0", True),
        ("COM12", True),
        ("rfc2217://h:1", True),
        ("COM.csv", False),
        ("-", False),
        ("a/b", False),
    ],
)
def test_what_is_a_port(source: str, expected: bool) -> None:
    assert is_port(source) is expected


def test_ctrl_c_ends_a_run_and_the_boards_stream(exports: Exports, board: RunningBoard) -> None:
    arguments = ["run", str(exports.onnx), "--source", board.port, "--json"]
    code = f"import sys; sys.argv = ['edge-seq', *{arguments!r}]\nfrom edge_seq.cli import main; main()"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "label" in json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted; all samples up to here were classified" in err
    assert "the model takes " in err
    with open_device(board.port) as device:
        frames = device.counters.frames
        device.cost()
        time.sleep(0.3)
        device.cost()
        assert device.counters.frames == frames + 2, "the stream is off"


def test_a_board_that_restarts_is_told_and_begins_a_new_window(exports: Exports, board: RunningBoard) -> None:
    arguments = ["run", str(exports.onnx), "--source", board.port, "--json", "--duration-s", "2"]
    code = f"import sys; sys.argv = ['edge-seq', *{arguments!r}]\nfrom edge_seq.cli import main; main()"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    board.process.send_signal(signal.SIGUSR1)
    out, err = process.communicate(timeout=40)
    assert process.returncode == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    (gap,) = [line for line in lines if "gap_before_sample" in line]
    assert gap["lost"] is None
    assert "an unknown number of samples lost, the device restarted; the window starts again" in err
    assert lines[lines.index(gap) + 1]["sample"] == gap["gap_before_sample"] + WINDOW - 1


def test_a_link_to_a_port_is_one(board: RunningBoard, tmp_path: Path) -> None:
    (tmp_path / "board").symlink_to(board.port)
    assert is_port(str(tmp_path / "board"))


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def rate_after(
    stalls: dict[int, float], *, change: float = 1.0, late_s: float = 0.0, rate_hz: float = 100.0
) -> RateMeter:
    """A meter after 60 s of blocks each 50 ms.

    Args:
        stalls: by block, for how long it is held back; those behind it then come together with it.
        change: of the rate, after 30 s.
        late_s: by which all blocks are late after 30 s.
    """
    clock = Seconds()
    meter = RateMeter(rate_hz, clock)
    samples = 0.0
    for block in range(1200):
        late = block > 600
        clock.now = max(clock.now, block * 0.05 + stalls.get(block, 0.0) + late * late_s)
        samples += 0.05 * rate_hz * (change if late else 1)
        meter.add(round(samples))
    return meter


@pytest.mark.parametrize("stalls", [{}, {1180: 1.0}, {200: 2.0, 400: 1.5}, {1199: 1.9}])
def test_a_stall_of_the_host_is_no_other_rate(stalls: dict[int, float]) -> None:
    assert rate_after(stalls).off_hz is None
    assert rate_after(stalls, late_s=0.9).off_hz is None


@pytest.mark.parametrize("change", [2.0, 1.25, 0.8, 0.5])
def test_a_rate_that_changes_is_seen(change: float) -> None:
    meter = rate_after({}, change=change)
    assert meter.off_hz is not None
    assert meter.rate_hz == pytest.approx(100 * change, rel=0.02)


@pytest.mark.parametrize(("lost_s", "passed_s", "anew"), [(30.0, 31.0, False), (3600.0, 1.0, True), (1.0, 60.0, True)])
def test_a_gap_on_which_time_and_index_do_not_agree_begins_measuring_anew(
    lost_s: float, passed_s: float, anew: bool
) -> None:
    """A computer that slept, or an index that jumps, does not count as another rate."""
    clock = Seconds()
    meter = RateMeter(100.0, clock)
    for index in range(100):
        clock.now = index / 10
        meter.add(10 * index)
    clock.now += passed_s
    assert meter.gap(round(100 * lost_s)) == anew
    meter.add(990 + round(100 * lost_s))
    assert meter.off_hz is None


def test_a_meter_that_was_cleared_knows_nothing() -> None:
    meter = rate_after({}, change=2.0)
    meter.clear()
    assert meter.off_hz is None
    assert meter.rate_hz is None


PEAK = (
    "import sys; sys.argv = ['edge-seq', *{arguments!r}]\n"
    "from edge_seq.cli import main\n"
    "try:\n    main()\n"
    "finally:\n"
    "    status = open('/proc/self/status').read()\n"
    "    sys.stderr.write('torch' * ('torch' in sys.modules) + status.partition('VmHWM:')[2].split()[0])\n"
)


def peak_mb(arguments: list[str], stdin: str) -> float:
    """Peak resident memory of a command, MB."""
    code = PEAK.format(arguments=arguments)
    done = subprocess.run([sys.executable, "-c", code], input=stdin, capture_output=True, text=True, check=True)
    return int(done.stderr.splitlines()[-1]) / 1000


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to read the peak from")
def test_memory_is_below_150_mb_and_does_not_grow_with_the_stream(exports: Exports) -> None:
    short, long = (peak_mb(["run", str(exports.onnx)], csv_of(np.tile(recording(), (n, 1)))) for n in (1, 8))
    assert short < 150
    assert long < short + 3


def test_a_link_to_the_port_goes_with_the_board_unless_it_points_elsewhere(firmware: Firmware, tmp_path: Path) -> None:
    link = tmp_path / "board"
    with start_board(firmware, link=link) as first:
        assert first.port == str(link)
        with start_board(firmware, link=link):
            port = link.readlink()
    assert not link.is_symlink(), "the second board's own link went with it"
    with start_board(firmware, link=link):
        link.unlink()
        link.symlink_to(port)
    assert link.readlink() == port
