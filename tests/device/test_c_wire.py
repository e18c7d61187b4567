"""``es_wire.c`` answers with the same bytes as the simulated device: requests, refusals, retries, garbage, streams."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_seq.device import messages
from edge_seq.device.client import Device, connect
from edge_seq.device.framing import Frame, decode_frame, encode_body, encode_frame
from edge_seq.device.messages import Type
from edge_seq.device.transport import LoopbackTransport
from edge_seq.device.twin import Twin
from edge_seq.ir.decision import DecisionStage
from edge_seq.ir.model import IntModel
from edge_seq.support.errors import DeviceRefusedError
from firmware_export.running.board import WIRE_FOLDER
from tests.device.c_device import build_driver, run_driver
from tests.zoo import DECISIONS, DISTANCES, awkward_specs, convolution, quantized_model, random_counts, spec

SHAPES = {
    "car": spec("lstm", 6, window_length=7, step="difference", pooling="mean"),
    "deep": awkward_specs("gru")["deep"],
    "one": awkward_specs("rnn")["one"],
    "carry": awkward_specs("lstm")["carry"],
    "long rows": spec("gru", 61, channels=5, classes=9, window_length=3),
    "hidden state of its own": awkward_specs("fastgrnn")["mixed"],
    "chain": spec("gru", 5, window_length=6, dense=((6, "relu"),), front=(convolution(4, "relu", 3),)),
    "flatten": spec("rnn", 5, window_length=6, pooling="flatten", at_window_end="carry"),
    "decided": DECISIONS["rnn"],
    "both directions": DECISIONS["fastgrnn"],
    "distance": DISTANCES["gru"],
    "decided, long rows": spec(
        "gru", 61, classes=9, label_every="sample", decision=DecisionStage(2, 2**14, 3, 2**13), step="remove_gravity"
    ),
}
BODY = 256
BY_DEFAULT = ("car", "carry", "decided", "distance")  # each takes a build of its own


@pytest.fixture(
    scope="module",
    params=[name if name in BY_DEFAULT else pytest.param(name, marks=pytest.mark.slow) for name in SHAPES],
)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[IntModel, np.ndarray, Path]:
    model = quantized_model(SHAPES[request.param], name="board", amplitude=3.0)
    model = replace(model, labels=("straße" * 8, *model.labels[1:]))
    recording = random_counts(1, 37, model.num_channels)[0]
    program = build_driver(model, tmp_path_factory.mktemp("c"), recording, body_bytes=BODY)
    return model, recording, program


def normal(sent: bytes) -> list[Frame]:
    """Frames, without the values that a simulated device cannot have."""
    frames = [decode_frame(encoded) for encoded in sent.split(b"\0") if encoded]
    for index, frame in enumerate(frames):
        if frame.type == Type.HELLO | messages.REPLY:
            hello = replace(messages.unpack_hello(frame.fields), context_bytes=0, memory_bytes=0)
            frames[index] = replace(frame, fields=messages.pack_hello(hello))
    return frames


def requests(model: IntModel, rng: np.random.Generator) -> list[tuple[int, bytes]]:
    """Types and fields, valid and invalid."""
    counts = random_counts(1, 60, model.num_channels, seed=int(rng.integers(1000)))[0]

    def some(most: int) -> bytes:
        return messages.pack_counts(counts[: rng.integers(0, most)])

    def part(most: int, size: int) -> bytes:
        return messages.pack_part(int(rng.integers(0, most)), rng.bytes(size))

    return [
        (Type.HELLO, b""),
        *[(Type.DESCRIBE, messages.pack_describe(rng.integers(0, 4), int(rng.integers(0, 6)))) for _ in range(6)],  # type: ignore[arg-type]
        (Type.RESET, b""),
        *[(Type.PUSH, some(12)) for _ in range(6)],
        *[(Type.TRACE, some(4)) for _ in range(4)],
        (Type.TRACE, messages.pack_counts(counts[:1])),
        *[(Type.ROW, part(400, 0)) for _ in range(3)],
        (Type.STATE_READ, messages.pack_part(0)),
        (Type.STATE_READ, part(400, 0)),
        (Type.STATE_WRITE, part(400, int(rng.integers(0, 40)))),
        (Type.STATE_RESTORE, b""),
        (Type.SELF_TEST, b""),
        (Type.COST, b""),
        *[(Type.STREAM, rng.bytes(2)) for _ in range(2)],
        (Type.STREAM, bytes([rng.integers(0, 4), rng.integers(0, 20)])),
        (0, b""),
        (0x0D, b""),
        (Type.MODEL_STATUS, b""),
        (0x14, b""),
        (0x1E, b""),
        *[(Type.ADAPT_STATUS, rng.bytes(size)) for size in (0, 0, 1)],
        *[(Type.ADAPT_LEARN, bytes([rng.integers(0, model.num_classes + 1), 0])) for _ in range(6)],
        (Type.ADAPT_LEARN, b"\0"),
        *[(Type.ADAPT_USE, bytes([use])) for use in (0, 1, 2, 3)],
        *[(Type.ADAPT_READ, messages.pack_part(at)) for at in (0, 0, 40, 100_000)],
        (Type.ADAPT_WRITE, part(300, int(rng.integers(0, 40)))),
        (Type.ADAPT_WRITE, messages.pack_part(0, b"ab")),
        (Type.ADAPT_RESTORE, b""),
        (0xC0, b"abc"),
        *[(int(rng.integers(1, 13)), rng.bytes(int(rng.integers(0, 12)))) for _ in range(6)],
    ]


def turns(model: IntModel, rng: np.random.Generator, count: int) -> list[bytes]:
    """Frames of a wild host: old, new and repeated sequence numbers, other versions, damage, garbage."""
    sequence, sent = 65530, []
    last = encode_frame(encode_body(Frame(Type.HELLO, sequence, b"")))
    if rng.random() < 0.8:
        sent.append(last)
    choices = requests(model, rng)
    for _ in range(count):
        kind, fields = choices[rng.integers(len(choices))]
        way = rng.random()
        if way < 0.1:
            sent.append(last)
            continue
        if way < 0.15:
            sent.append(rng.bytes(int(rng.integers(1, 600))))
            continue
        if way < 0.9:
            sequence = (sequence + int(rng.integers(1, 3))) % 65536
        elif way < 0.93:
            sequence = int(rng.integers(65536))
        version = 1 if rng.random() < 0.97 else int(rng.integers(256))
        last = encode_frame(encode_body(Frame(int(kind), sequence, fields, version)))
        if way > 0.97:
            at = int(rng.integers(len(last)))
            sent.append(last[:at] + rng.bytes(1) + last[at + 1 :])
        else:
            sent.append(last)
    return sent


@pytest.mark.parametrize(
    ("seed", "count"), [(0, 120), *[pytest.param(seed, 1000, marks=pytest.mark.slow) for seed in range(1, 6)]]
)
def test_c_and_twin_send_the_same(pair: tuple[IntModel, np.ndarray, Path], seed: int, count: int) -> None:
    model, recording, program = pair
    rng = np.random.default_rng(seed)
    now = 0
    clock: Callable[[], int] = lambda: now  # noqa: E731
    twin = Twin(model, recording=recording, samples_so_far=clock, max_body_bytes=BODY)
    answered = 0
    with run_driver(program, clock) as receive:
        for turn, data in enumerate(turns(model, rng, count)):
            now += int(rng.choice([0, 0, 1, 3, 20, 90]))
            expected, found = normal(twin.receive(data)), normal(receive(data))
            assert found == expected, (turn, data.hex())
            answered += len(found)
    assert answered > 0.8 * count


def test_counters_past_32_bits(tmp_path: Path) -> None:
    """A device that has run for years: the counts of steps, damaged frames and samples reach 2^32."""
    model = quantized_model(SHAPES["one"], name="board", amplitude=3.0)
    recording = random_counts(1, 32, model.num_channels)[0]  # a power of two, as the sensor's own count wraps, too
    flags = ("-std=c99", "-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all", "-DDRIVER_NEAR_END")
    program = build_driver(model, tmp_path, recording, body_bytes=BODY, flags=flags)
    now = 2**32 - 30
    twin = Twin(model, recording=recording, samples_so_far=lambda: now, max_body_bytes=BODY)
    twin._steps = twin.frame_errors = 2**32 - 3
    with run_driver(program, lambda: now % 2**32) as receive:

        def both(data: bytes) -> list[Frame]:
            expected = normal(twin.receive(data))
            found = normal(receive(data))
            assert [one.fields for one in found if one.type != Type.COST | messages.REPLY] == [
                one.fields for one in expected if one.type != Type.COST | messages.REPLY
            ]
            return found

        sequence = 0

        def ask(kind: Type, fields: bytes = b"") -> Frame:
            nonlocal sequence
            sequence += 1
            return both(encode_frame(encode_body(Frame(kind, sequence, fields))))[0]

        for broken in range(5):  # 2^32 - 3 before
            assert messages.unpack_hello(ask(Type.HELLO).fields).frame_errors == (2**32 - 3 + broken) % 2**32
            both(b"\x03ab\0")
        steps = []
        for _ in range(4):
            ask(Type.PUSH, messages.pack_counts(recording[:1]))
            steps.append(messages.unpack_cost(ask(Type.COST).fields))
        assert [one.steps for one in steps] == [2**32 - 2, 2**32 - 1, 2**32 - 1, 2**32 - 1]
        assert all(one.total == 2**32 - 3 for one in steps)  # this driver's clock stands still
        ask(Type.STREAM, bytes([1, 4]))
        first, lost = [], []
        for more in (7, 7, 7, 100, 7, 7):  # the FIFO holds 64 samples
            now += more
            samples = [messages.unpack_samples(one.fields, model.num_channels) for one in both(b"")]
            first += [one.first_index for one in samples]
            lost += [one.dropped for one in samples]
        assert min(first) < 100 < 2**32 - 40 < max(first)
        assert lost[0] == 0 < lost[-1] == 100 - 64


def test_the_client_and_c(pair: tuple[IntModel, np.ndarray, Path]) -> None:
    model, recording, program = pair
    counts = random_counts(1, 30, model.num_channels, seed=5)[0]
    twin = Twin(model, recording=recording, max_body_bytes=BODY)
    with run_driver(program) as receive, connect(lambda: LoopbackTransport(receive)) as device:
        assert device.self_test().passed
        rows, state = device.trace(counts), device.save_state()
        decisions = device.push(counts)
        device.restore_state(state)
        assert device.push(counts) == decisions
        contract = device.contract()
    with connect(lambda: LoopbackTransport(twin.receive)) as device:
        assert np.array_equal(device.trace(counts), rows)
        assert device.save_state() == state
        assert device.push(counts) == decisions
        assert device.contract() == contract


def test_states_that_are_not_possible_are_refused_by_both(pair: tuple[IntModel, np.ndarray, Path]) -> None:
    """Saved states in which one 16-bit half after the other is set to an extreme, with a correct checksum."""
    model, recording, program = pair
    twin = Twin(model, recording=recording, max_body_bytes=BODY)
    counts = random_counts(1, 12, model.num_channels, seed=3)[0]
    outcomes = []
    with (
        run_driver(program) as receive,
        connect(lambda: LoopbackTransport(receive)) as real,
        connect(lambda: LoopbackTransport(twin.receive)) as other,
    ):
        devices = (real, other)
        for device in devices:
            device.push(counts)
        content = real.save_state()[:-4]
        # Of long states every word of the head, of what is 32 bits wide, and some of the layers'.
        for at in [*range(8, min(len(content), 140), 2), *range(140, len(content) - 1, 38)]:
            for value in (b"\xff\x7f", b"\x00\x80", b"\x02\x00"):
                wrong = content[:at] + value + content[at + 2 :]
                outcomes.append(restored := [taken(device, wrong) for device in devices])
                assert restored[0] == restored[1], (at, value)
        assert real.save_state() == other.save_state()
        if "mean" in model.readout.statistics and not model.front:  # the sum of the first unit, which is a fine one
            count = int.from_bytes(content[8:10], "little")
            at = 12 + 4 * (0 if model.contract.preprocessing.step == "none" else model.num_channels)
            for total in (-(2**15) * count - 1, -(2**15) * count, (2**15 - 1) * count, (2**15 - 1) * count + 1):
                wrong = content[:at] + total.to_bytes(4, "little", signed=True) + content[at + 4 :]
                refused = total not in range(-(2**15) * count, (2**15 - 1) * count + 1)
                assert [taken(device, wrong) is not None for device in devices] == [refused, refused], total
    assert any(first is None for first, _ in outcomes)
    assert any(first is not None for first, _ in outcomes)


def taken(device: Device, content: bytes) -> str | None:
    """Refusal of a saved state (given without its checksum) by a device; None if the device accepts it."""
    try:
        device.restore_state(content + zlib.crc32(content).to_bytes(4, "little"))
    except DeviceRefusedError as refusal:
        return str(refusal).partition(":")[2]
    return None


def test_the_runtimes_version_is_that_of_the_package() -> None:
    import importlib.metadata

    header = (WIRE_FOLDER / "es_wire.h").read_text()
    assert f'ES_WIRE_RUNTIME "{messages.RUNTIME_VERSION}"' in header
    assert importlib.metadata.version("edge-seq") == messages.RUNTIME_VERSION
