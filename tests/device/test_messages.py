"""Each message survives a round trip; one that is cut or lengthened gives an error that says what is wrong."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_seq.device import messages
from edge_seq.device.messages import Capability, Cost, Decision, Hello, Item, Samples, SelfTest, StreamFlag
from edge_seq.support.errors import DeviceError

HELLO = Hello(
    model_hash="ab" * 32,
    boot=2**32 - 1,
    abi=1,
    num_channels=3,
    num_classes=4,
    num_layers=1,
    window_length=50,
    state_words=32,
    pool_words=16,
    label_every_step=False,
    carry=True,
    capabilities=Capability.SELF_TEST | Capability.STATE,
    max_body_bytes=1024,
    state_bytes=156,
    context_bytes=232,
    memory_bytes=240,
    free_stack_bytes=None,
    frame_errors=7,
    runtime_version="0.1.0",
    board="ein Gerät",
)
COUNTS = np.array([[1, -2, 3], [-32768, 32767, 0]], dtype=np.int16)
DECISIONS = [Decision(0, 3, (1, -(2**31), 2**31 - 1, 0)), Decision(1, 0, (0, 0, 0, 0))]
DECIDED = [replace(DECISIONS[0], decision=4), replace(DECISIONS[1], decision=2)]
SAMPLES = Samples(2**32 - 1, 5, COUNTS)

WAYS: dict[str, tuple[bytes, Callable[[bytes], Any], Any]] = {
    "hello": (messages.pack_hello(HELLO), messages.unpack_hello, HELLO),
    "hello, stack known": (
        messages.pack_hello(replace(HELLO, free_stack_bytes=9)),
        messages.unpack_hello,
        replace(HELLO, free_stack_bytes=9),
    ),
    "texts": (messages.pack_texts(["a", "", "ü"]), lambda f: messages.unpack_texts(f, 3), ("a", "", "ü")),
    "counts": (messages.pack_counts(COUNTS), lambda f: messages.unpack_counts(f, 3).tolist(), COUNTS.tolist()),
    "decisions": (
        messages.pack_decisions(2, DECISIONS),
        lambda f: messages.unpack_decisions(f, 4, 2, decides=False),
        DECISIONS,
    ),
    "decisions of a stage": (
        messages.pack_decisions(2, DECIDED),
        lambda f: messages.unpack_decisions(f, 4, 2, decides=True),
        DECIDED,
    ),
    "decision of a stream": (
        messages.pack_stream_decision(DECISIONS[0]),
        lambda f: messages.unpack_stream_decision(f, 4, decides=False),
        DECISIONS[0],
    ),
    "decision of a stage in a stream": (
        messages.pack_stream_decision(DECIDED[0]),
        lambda f: messages.unpack_stream_decision(f, 4, decides=True),
        DECIDED[0],
    ),
    "self-test": (
        messages.pack_self_test(SelfTest(7, 65535, 1)),
        messages.unpack_self_test,
        SelfTest(7, 65535, 1),
    ),
    "cost": (
        messages.pack_cost(Cost(3, 1, 2, 3, 2**63, 25_000_000, "ticks")),
        messages.unpack_cost,
        Cost(3, 1, 2, 3, 2**63, 25_000_000, "ticks"),
    ),
    "stream": (
        messages.pack_stream(StreamFlag.SAMPLES, 9),
        messages.unpack_stream,
        (StreamFlag.SAMPLES, 9),
    ),
    "error": (messages.pack_error(4, 6, "no"), messages.unpack_error, (4, 6, "no")),
    "samples": (
        messages.pack_samples(SAMPLES),
        lambda f: (lambda s: (s.first_index, s.dropped, s.counts.tolist()))(messages.unpack_samples(f, 3)),
        (SAMPLES.first_index, 5, COUNTS.tolist()),
    ),
}


@pytest.mark.parametrize("name", list(WAYS))
def test_there_and_back(name: str) -> None:
    packed, unpack, expected = WAYS[name]
    assert unpack(packed) == expected


@pytest.mark.parametrize("name", list(WAYS))
def test_every_other_length_is_refused(name: str) -> None:
    packed, unpack, _ = WAYS[name]
    for cut in range(len(packed)):
        with pytest.raises(DeviceError, match=r"reading a .* message: "):
            unpack(packed[:cut])
    with pytest.raises(DeviceError, match=r"reading a .* message: "):
        unpack(packed + b"x")


def test_parts_say_where_they_lie() -> None:
    assert messages.unpack_part(messages.pack_part(7, b"abc"), "ROW") == (7, b"abc")
    with pytest.raises(DeviceError, match="reading a ROW message: it ends after 3 bytes, expected at least 4"):
        messages.unpack_part(b"abc", "ROW")
    assert messages.pack_describe(Item.LABEL, 258) == b"\x02\x02\x01"


def test_rows_there_and_back() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(-(2**15), 2**15, (3, HELLO.row_words)).astype(np.int32)
    rows[:, -5:-1] = rng.integers(-(2**31), 2**31, (3, 4))
    packed = messages.pack_rows(rows, HELLO)
    assert len(packed) == 3 * HELLO.row_bytes
    assert np.array_equal(messages.unpack_rows(packed, HELLO), rows)
    longer = replace(HELLO, num_magnitudes=1)
    assert messages.unpack_hello(messages.pack_hello(longer)) == longer
    assert longer.row_words == HELLO.row_words + 1
    decides = replace(HELLO, capabilities=Capability.DECISION)
    scores = rng.integers(-(2**19), 1, (3, 4)).astype(np.int32)
    decided = np.concatenate([rows, scores, [[-1], [4], [0]]], axis=1).astype(np.int32)
    packed = messages.pack_rows(decided, decides)
    assert len(packed) == 3 * decides.row_bytes == 3 * (HELLO.row_bytes + 4 * 4 + 2)
    assert np.array_equal(messages.unpack_rows(packed, decides), decided)
    distant = replace(HELLO, capabilities=Capability.DECISION | Capability.DISTANCE)
    excess = np.concatenate([decided[:, :-1], [[2**18], [-(2**18)], [0]], decided[:, -1:]], axis=1).astype(np.int32)
    assert np.array_equal(messages.unpack_rows(messages.pack_rows(excess, distant), distant), excess)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("num_channels", 0, "0 channels, expected 1 to 64"),
        ("num_channels", 65, "65 channels, expected 1 to 64"),
        ("num_magnitudes", 4, "4 magnitudes, expected 0 to 3"),
        ("num_classes", 1, "1 classes, expected 2 to 256"),
        ("num_layers", 9, "9 layers, expected 1 to 8"),
        ("window_length", 16384, "16384 samples a window, expected 1 to 16383"),
        ("max_body_bytes", 255, "255 bytes a frame, expected 256 to 4096"),
        ("state_bytes", 16, "16 bytes of a saved state, expected 17 to 476"),
        ("state_bytes", 477, "477 bytes of a saved state, expected 17 to 476"),
        ("state_bytes", 2**32 - 1, "4294967295 bytes of a saved state"),
    ],
)
def test_a_hello_that_is_not_possible_is_refused(field: str, value: int, words: str) -> None:
    with pytest.raises(DeviceError, match=words):
        messages.unpack_hello(messages.pack_hello(replace(HELLO, **{field: value})))


def test_fields_of_a_hello_must_fit_each_other() -> None:
    """A frame must have room for one label's logits; the size of a state is bounded by the model's words."""
    many = replace(HELLO, num_classes=256, max_body_bytes=1039)
    with pytest.raises(DeviceError, match="1039 bytes a frame, expected 1040 to 4096"):
        messages.unpack_hello(messages.pack_hello(many))
    assert messages.unpack_hello(messages.pack_hello(replace(many, max_body_bytes=1040))).room_bytes == 1032
    with pytest.raises(DeviceError, match="1040 bytes a frame, expected 1042 to 4096"):
        messages.unpack_hello(messages.pack_hello(replace(many, max_body_bytes=1040, capabilities=Capability.DECISION)))
    without = replace(HELLO, capabilities=Capability.NONE, state_bytes=0)
    assert messages.unpack_hello(messages.pack_hello(without)) == without


def test_decisions_that_are_not_possible_are_refused() -> None:
    with pytest.raises(DeviceError, match="2 samples taken and 2 labels, expected 3 samples"):
        messages.unpack_decisions(messages.pack_decisions(2, DECISIONS), 4, 3, decides=False)
    with pytest.raises(DeviceError, match="label 3, expected 0 to 2"):
        messages.unpack_stream_decision(messages.pack_stream_decision(Decision(0, 3, (1, 2, 3))), 3, decides=False)
    with pytest.raises(DeviceError, match="decision 4, expected 0 to 3"):
        messages.unpack_stream_decision(messages.pack_stream_decision(Decision(0, 2, (1, 2, 3), 4)), 3, decides=True)


def test_texts_are_clean_and_bounded() -> None:
    assert messages.clean_text(b"a\x1b[31m\n\xff\xe2\x80\xae" + b"z" * 300).startswith("a?[31m???z")
    assert len(messages.clean_text(b"z" * 300)) == 255
    assert messages.clean_text("می\u200cرود a\u00a0b".encode()) == "می\u200cرود a\u00a0b"
    assert messages.cut_text("ü" * 30) == ("ü" * 20).encode()
    assert Cost(0, 0, 0, 0, 0, None, "").mean == 0
    assert Cost(2, 3, 3, 5, 8, 1000, "").mean_us == 4000
    assert HELLO.room_bytes == 1016
    assert (SelfTest(0, 0, 0).passed, SelfTest(7, 0, 0).passed) == (True, False)
    assert SelfTest(7, 2, 31).fault == "window 2, time step 31"
    assert SelfTest(7, 65535, 0).fault == "the constants differ from their checksum"
    with pytest.raises(DeviceError, match="2 texts, expected 3"):
        messages.unpack_texts(messages.pack_texts(["a", "b"]), 3)


def test_what_a_device_says_of_models_it_loads() -> None:
    slots = (1, 7, 32704, 4096, 8)
    fields = struct.pack("<BIIII", *slots)
    assert messages.unpack_model_slots(fields) == messages.ModelSlots(*slots)
    for changed in ((3, *slots[1:]), (*slots[:4], 0), (*slots[:4], 128), (*slots[:3], 32, 8), (*slots[:3], 4096, 48)):
        with pytest.raises(DeviceError, match=r"reading a MODEL_STATUS message: slot .* cannot be"):
            messages.unpack_model_slots(struct.pack("<BIIII", *changed))
    with pytest.raises(DeviceError, match="MODEL_STATUS"):
        messages.unpack_model_slots(fields[:-1])
    assert messages.pack_model_check(5, 9) == struct.pack("<II", 5, 9)
    assert messages.unpack_model_check(struct.pack("<I", 2**32 - 1)) == 2**32 - 1
    assert messages.pack_model_commit(9, any_contract=True) == struct.pack("<IB", 9, 1)
    assert messages.unpack_model_written(b"\x0c") == messages.FLASH_FAULT


def test_what_a_device_says_of_a_head_that_learns() -> None:
    status = messages.HeadStatus(True, 65535, 20, 20, 740)
    fields = messages.pack_head_status(status)
    assert fields == struct.pack("<BHHHI", 1, 65535, 20, 20, 740)
    assert messages.unpack_head_status(fields) == status
    wrong = [(2, 0, 0, 20, 740), (1, 0, 0, 0, 740), (1, 0, 0, 256, 2000), (1, 0, 21, 20, 740), (1, 0, 0, 20, 119)]
    for changed in (*wrong, (1, 0, 0, 20, 2**21)):
        with pytest.raises(DeviceError, match=r"reading an ADAPT_STATUS message: .* cannot be"):
            messages.unpack_head_status(struct.pack("<BHHHI", *changed))
    with pytest.raises(DeviceError, match="ADAPT_STATUS"):
        messages.unpack_head_status(fields[:-1])
    assert messages.pack_head_label(258) == b"\x02\x01"
