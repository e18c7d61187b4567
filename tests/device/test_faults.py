"""Each fault of the line, of the device and of the port is corrected, counted or reported."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import islice

import numpy as np
import pytest

from edge_seq.backends.reference_int import run_reference
from edge_seq.device import messages
from edge_seq.device.client import Device, connect, open_device
from edge_seq.device.follow import Follow, SampleBlock
from edge_seq.device.framing import Frame, encode_body, encode_frame, split_frames
from edge_seq.device.line import Timing
from edge_seq.device.messages import Decision, Type
from edge_seq.device.transport import LoopbackTransport, Transport
from edge_seq.device.twin import Twin
from edge_seq.support.errors import DeviceError, DeviceRefusedError, DeviceRestartedError, PortLostError
from tests.device.faults import Faults, FaultyTransport, ScriptedTransport
from tests.zoo import quantized_model, random_counts, spec

MODEL = quantized_model(spec("gru", 5, window_length=7, step="difference"))
COUNTS = random_counts(1, 210, 3, seed=3)[0]
QUICK = Timing(timeout_s=0.02, retries=30, silence_s=0.1, reconnect_s=0.3, reconnect_every_s=0.01)
HASTY = replace(QUICK, timeout_s=0.05, retries=1)


def attach(twin: Twin, faults: Faults | None = None, timing: Timing = QUICK) -> Device:
    def opener() -> Transport:
        inner = LoopbackTransport(twin.receive)
        return inner if faults is None else FaultyTransport(inner, faults)

    return connect(opener, timing=timing)


@cache
def expected_rows() -> np.ndarray:
    return run_reference(MODEL, COUNTS[np.newaxis]).values["logits"][0]


@pytest.mark.parametrize(
    "fault",
    [
        {"change": 0.001},
        {"drop": 0.001},
        {"double": 0.001},
        {"insert": 0.001},
        {"change": 0.0005, "drop": 0.0005, "double": 0.0005, "insert": 0.0005},
    ],
    ids=["changed", "lost", "doubled", "inserted", "all"],
)
def test_each_sample_is_run_once_whatever_happens_to_bytes(fault: dict[str, float]) -> None:
    faults = Faults(**fault)
    twin = Twin(MODEL, max_body_bytes=256)
    with attach(twin, faults) as device:
        rows = device.trace(COUNTS)
        assert np.array_equal(rows[:, -1 - MODEL.num_classes : -1], expected_rows())
        state = device.save_state()
        device.restore_state(state)
        decisions = device.push(COUNTS)
        counters = device.counters
    assert len(decisions) == len(COUNTS) // 7
    assert faults.planted > 5
    assert counters.retries > 2
    assert counters.faults.total() + twin.frame_errors > 2


def test_cut_frames_are_counted_and_the_next_is_whole() -> None:
    frame = encode_frame(encode_body(Frame(Type.RESET | messages.REPLY, 7, b"abc")))
    for cut in range(1, len(frame)):
        split = split_frames(b"", frame[:cut] + frame)
        assert split.frames[-1].fields == b"abc"
        assert len(split.frames) + len(split.faults) <= 2
        assert cut in (1, len(frame) - 1) or len(split.faults) == 1


def test_chatter_before_the_first_frame_is_no_matter() -> None:
    twin = Twin(MODEL)
    chatter = [b"\r\nBoot 2.1 ok\r\n>>> \xff\x00\x13", b""]

    def answer(data: bytes) -> bytes:
        return chatter.pop(0) + twin.receive(data) if chatter else twin.receive(data)

    twin.receive(b"AT+RST\r\n\x00ls -l\n")  # text that another program sent to the device
    with connect(lambda: ScriptedTransport(answer), timing=QUICK) as device:
        assert device.info.frame_errors == 2
        assert device.frame_errors in (1, 2)
        assert len(device.push(COUNTS[:7])) == 1


def test_a_wrong_baud_rate_is_told_of() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(
        DeviceError, match=r"no answer to HELLO .* \d+ bytes came, and no frame in them: is the baud rate"
    ):
        connect(lambda: ScriptedTransport(lambda data: rng.bytes(len(data))), timing=HASTY)


def test_no_answer_is_told_of() -> None:
    began = time.monotonic()
    with pytest.raises(DeviceError, match=r"no answer to HELLO from device in 2 tries of 0.05 s.*edge-seq device ping"):
        connect(lambda: ScriptedTransport(lambda _: b""), timing=HASTY)
    assert time.monotonic() - began < 2


def test_a_port_that_echoes_is_no_device() -> None:
    with pytest.raises(DeviceError, match="no answer to HELLO from loop://"):
        open_device("loop://", timing=HASTY)


def test_late_answers_are_taken_and_nothing_is_run_twice() -> None:
    twin = Twin(MODEL)
    timing = replace(QUICK, timeout_s=0.02)
    with connect(lambda: ScriptedTransport(twin.receive, delay_s=0.03), timing=timing) as device:
        for first in range(0, 70, 7):
            (decision,) = device.push(COUNTS[first : first + 7])
            assert decision.logits == tuple(expected_rows()[first + 6])
        assert device.counters.retries > 0  # 10 and more where the machine has time
        assert device.counters.strays > 0


def test_a_restart_between_requests_is_told_of_and_nothing_was_run() -> None:
    twin = Twin(MODEL)
    with attach(twin) as device:
        device.push(COUNTS[:3])
        twin.restart()
        with pytest.raises(DeviceRestartedError, match="has restarted since this session began"):
            device.push(COUNTS[3:7])
        boot = device.info.boot
        assert device.hello().boot == boot + 1
        assert device.cost().steps == 0
        assert device.push(COUNTS[:7])[0].logits == tuple(expected_rows()[6])


def streaming(clock_step: int = 3) -> tuple[Twin, Callable[[], int]]:
    now = 0

    def clock() -> int:
        nonlocal now
        now += clock_step
        return now

    return Twin(MODEL, recording=COUNTS, samples_so_far=clock), clock


def check_block(block: SampleBlock) -> None:
    indices = np.arange(block.first_index, block.first_index + len(block.counts)) % len(COUNTS)
    assert np.array_equal(block.counts, COUNTS[indices])


def blocks(items: Iterator[SampleBlock | Decision], count: int) -> list[SampleBlock]:
    taken = [item for item in islice(items, count) if isinstance(item, SampleBlock)]
    for block in taken:
        check_block(block)
    return taken


def require_all_accounted(taken: list[SampleBlock]) -> None:
    got = sum(len(block.counts) for block in taken)
    span = taken[-1].first_index + len(taken[-1].counts) - taken[0].first_index
    assert got + sum(block.lost for block in taken) == span


def test_a_restart_in_a_stream_is_marked_and_the_stream_goes_on() -> None:
    twin, _ = streaming()
    with attach(twin) as device:
        items = device.stream()
        before = blocks(items, 20)
        twin.restart()
        after = blocks(items, 20)
        items.close()  # type: ignore[attr-defined]
    # Frames that were already sent come first.
    marks = [block.restarted for block in after]
    assert not any(block.restarted for block in before)
    assert sum(marks) == 1
    require_all_accounted(after[marks.index(True) :])


def test_a_port_that_vanishes_comes_back_and_every_loss_is_counted() -> None:
    """The same for a port that vanishes again before any reply, or before any sample."""
    twin, _ = streaming()
    faults = Faults()
    lives = iter([3000, 20, 130, 3000, 130, 130, *[3000] * 100])

    def opener() -> Transport:
        faults.vanish_every = next(lives)
        return FaultyTransport(LoopbackTransport(twin.receive), faults)

    with connect(opener, timing=QUICK) as device:
        items = device.stream()
        taken = blocks(items, 300)
        assert 3 <= device.counters.reconnects < faults.vanished
        faults.vanish_every = 0
        items.close()  # type: ignore[attr-defined]
    require_all_accounted(taken)
    assert not any(block.restarted for block in taken)


def test_a_device_that_starts_slowly_is_waited_for() -> None:
    twin, _ = streaming()
    opened = 0

    def opener() -> Transport:
        nonlocal opened
        opened += 1
        return ScriptedTransport(lambda _: b"") if opened == 2 else LoopbackTransport(twin.receive)

    with connect(opener, timing=replace(HASTY, timeout_s=0.02, reconnect_s=5.0)) as device:
        items = device.stream()
        first = next(items)
        device.close()
        taken = blocks(items, 100)
        assert isinstance(first, SampleBlock)
        require_all_accounted([first, *taken])
        assert (opened, device.counters.reconnects) == (3, 1)


def test_a_port_that_does_not_come_back_ends_the_stream() -> None:
    twin, _ = streaming()
    gone = False

    def opener() -> Transport:
        if gone:
            raise PortLostError("opening port x: it is gone")
        return LoopbackTransport(twin.receive)

    with connect(opener, timing=QUICK) as device:
        items = device.stream()
        next(items)
        gone = True
        device.close()
        with pytest.raises(PortLostError):
            blocks(items, 100000)


def test_another_board_on_the_port_ends_the_stream() -> None:
    twin, _ = streaming()
    other = Twin(quantized_model(spec("gru", 5, window_length=7)), recording=COUNTS, samples_so_far=lambda: 5)
    twins = [twin, other]
    with connect(lambda: LoopbackTransport(twins.pop(0).receive), timing=QUICK) as device:
        items = device.stream()
        next(items)
        device.close()
        with pytest.raises(DeviceError, match="the device now has model"):
            blocks(items, 100000)


def test_a_device_that_falls_silent_ends_the_stream() -> None:
    twin, _ = streaming()
    silent = False
    with connect(lambda: LoopbackTransport(lambda data: b"" if silent else twin.receive(data)), timing=HASTY) as device:
        items = device.stream()
        next(items)
        silent = True
        with pytest.raises(DeviceError, match="no answer to HELLO"):
            blocks(items, 100000)


def test_another_protocol_is_refused_before_anything_else() -> None:
    sent = []

    def other(data: bytes) -> bytes:
        sent.extend(split_frames(b"", data).frames)
        return encode_frame(encode_body(Frame(Type.HELLO | messages.REPLY, sent[-1].sequence, b"?", version=2)))

    with pytest.raises(DeviceError, match="speaks protocol version 2, this release of edge_seq 1: build the firmware"):
        connect(lambda: ScriptedTransport(other), timing=HASTY)
    assert [frame.type for frame in sent] == [Type.HELLO]


def test_refusals_are_said_with_code_and_clean_text() -> None:
    twin = Twin(MODEL)

    def evil(data: bytes) -> bytes:
        frames = split_frames(b"", data).frames
        if frames and frames[0].type == Type.RESET:
            fields = messages.pack_error(Type.RESET, 99, "no\x1b[2J\u202eway" + "x" * 300)
            return encode_frame(encode_body(Frame(Type.ERROR, frames[0].sequence, fields)))
        return twin.receive(data)

    with connect(lambda: ScriptedTransport(evil), timing=QUICK) as device:
        with pytest.raises(DeviceRefusedError, match=r"refuses RESET: no\?\[2J\?wayx+ \(code 99, unknown\)") as caught:
            device.reset()
        assert len(str(caught.value)) < 120


@pytest.mark.parametrize("kind", list(Type))
def test_replies_of_every_length_are_checked(kind: Type) -> None:
    """A device that answers everything with nonsense of any length causes a DeviceError, never another exception."""
    rng = np.random.default_rng(int(kind))
    honest = Twin(MODEL, recording=COUNTS)

    def nonsense(data: bytes) -> bytes:
        sent = b""
        for frame in split_frames(b"", data).frames:
            if frame.type == Type.HELLO:
                sent += honest.receive(data)
            else:
                kinds = (frame.type | messages.REPLY, Type.ERROR, Type.SAMPLES, Type.DECISION)
                for _ in range(3):
                    fields = rng.bytes(int(rng.integers(0, 60)))
                    sent += encode_frame(encode_body(Frame(int(rng.choice(kinds)), frame.sequence, fields)))
        return sent

    calls: list[Callable[[Device], object]] = [
        lambda device: device.contract(),
        lambda device: device.reset(),
        lambda device: device.push(COUNTS[:9]),
        lambda device: device.trace(COUNTS[:9]),
        lambda device: device.self_test(),
        lambda device: device.cost(),
        lambda device: device.save_state(),
        lambda device: device.restore_state(bytes(device.info.state_bytes)),
        lambda device: list(islice(device.stream(), 3)),
    ]
    with connect(
        lambda: ScriptedTransport(nonsense), timing=replace(HASTY, timeout_s=0.01, self_test_timeout_s=0.01)
    ) as device:
        for call in calls:
            for _ in range(3):
                try:
                    call(device)
                except DeviceError:
                    continue


def test_waiting_frames_and_rests_are_bounded() -> None:
    twin, _ = streaming()
    with attach(twin) as device:
        device._line.waiting.extend([Frame(Type.SAMPLES, 0, b"")] * 10_000)
        assert len(device._line.waiting) == 4096
    rest, skipping, faults = b"", False, 0
    for _ in range(200):
        split = split_frames(rest, os.urandom(300).replace(b"\0", b"x"), skipping=skipping)
        rest, skipping = split.rest, split.skipping
        faults += len(split.faults)
        assert len(rest) <= 4200
    assert skipping
    assert faults == 1


def test_a_board_flashed_anew_behind_an_open_port_ends_the_stream() -> None:
    """Port and boot number may stay the same: only the model shows that it is another board."""
    twin, clock = streaming()
    other = Twin(quantized_model(spec("gru", 5, window_length=7)), recording=COUNTS, samples_so_far=clock)
    now = [twin]
    with connect(lambda: LoopbackTransport(lambda data: now[0].receive(data)), timing=QUICK) as device:
        items = device.stream()
        next(items)
        before = device.info
        now[0] = other
        with pytest.raises(
            DeviceError, match=r"continuing on port device: the device now has .*Start the stream again"
        ):
            blocks(items, 100000)
        assert device.info == before


def test_another_firmware_with_the_same_model_ends_the_stream() -> None:
    twin, clock = streaming()
    now = [twin]
    with connect(lambda: LoopbackTransport(lambda data: now[0].receive(data)), timing=QUICK) as device:
        items = device.stream()
        next(items)
        now[0] = Twin(MODEL, recording=COUNTS, samples_so_far=clock, max_body_bytes=512)
        with pytest.raises(DeviceError, match="the model is the same as before, the layout"):
            blocks(items, 100000)


def sample_frames(*parts: tuple[int, int, int]) -> list[Frame]:
    """Frames of (first index, samples, dropped so far)."""
    return [
        Frame(
            Type.SAMPLES,
            0,
            messages.pack_samples(
                messages.Samples(first % 2**32, dropped, COUNTS[np.arange(first, first + size) % 210])
            ),
        )
        for first, size, dropped in parts
    ]


def followed(*parts: tuple[int, int, int]) -> list[SampleBlock]:
    follow = Follow(Twin(MODEL).hello())
    taken = [follow.take(frame) for frame in sample_frames(*parts)]
    return [block for block in taken if isinstance(block, SampleBlock)]


def test_a_repeated_block_is_dropped_and_an_overlap_trimmed() -> None:
    taken = followed((0, 8, 0), (0, 8, 0), (4, 8, 0), (12, 3, 0), (13, 2, 0), (15, 1, 0))
    assert [(block.first_index, len(block.counts), block.lost, block.restarted) for block in taken] == [
        (0, 8, 0, False),
        (8, 4, 0, False),
        (12, 3, 0, False),
        (15, 1, 0, False),
    ]
    for block in taken:
        check_block(block)


def test_an_index_that_goes_back_is_a_restart_and_nothing_vanishes() -> None:
    """The same for a device whose boot number does not change."""
    taken = followed((100, 8, 0), (0, 8, 0), (8, 8, 0), (20, 4, 0))
    assert [(block.first_index, block.lost, block.restarted) for block in taken] == [
        (100, 0, False),
        (0, 0, True),
        (8, 0, False),
        (20, 4, False),
    ]


def test_one_index_far_ahead_does_not_make_later_samples_vanish() -> None:
    taken = followed((0, 8, 0), (2**30, 8, 0), (16, 8, 0), (24, 8, 0))
    assert [(block.first_index, block.lost, block.restarted) for block in taken] == [
        (0, 0, False),
        (2**30, 0, True),
        (16, 0, True),
        (24, 0, False),
    ]


def test_indices_wrap_without_a_loss() -> None:
    taken = followed((2**32 - 8, 8, 0), (0, 8, 0), (10, 8, 0))
    assert [(block.first_index, block.lost, block.restarted) for block in taken] == [
        (2**32 - 8, 0, False),
        (2**32, 0, False),
        (2**32 + 10, 2, False),
    ]


def test_loss_on_the_line_and_in_the_device_are_told_apart() -> None:
    """The same if the stream was switched on again in between, so that the device counts from 0."""
    taken = followed((0, 8, 5), (10, 8, 7), (20, 8, 7), (33, 8, 10), (45, 8, 3), (53, 8, 3))
    assert [(block.lost, block.dropped) for block in taken] == [(0, 0), (2, 2), (2, 0), (5, 3), (4, 3), (0, 0)]


def test_what_waits_of_a_stream_outlives_a_pause_of_the_host() -> None:
    """The host stalls, frames of its stream wait, silence follows: the frames are complete, and none is lost."""
    twin, clock = streaming()
    pause = False

    def paused() -> int:
        return twin._taken if pause else clock()

    twin.samples_so_far = paused
    with attach(twin) as device:
        items = device.stream()
        taken = blocks(items, 3)
        while len(device._line.waiting) < 20:
            device._line._receive(0.01)
        pause = True
        follow_frames = len(device._line.waiting)
        device._revive(messages.pack_stream(messages.StreamFlag.SAMPLES, 16), Follow(device.info))
        assert len(device._line.waiting) == follow_frames
        pause = False
        taken += blocks(items, 40)
        items.close()  # type: ignore[attr-defined]
    require_all_accounted(taken)
    assert not any(block.restarted for block in taken)
