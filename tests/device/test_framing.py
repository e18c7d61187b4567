"""Frames: the examples of SPEC.md, any bytes in any pieces, every fault by its name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cobs import cobs
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_seq.device import framing
from edge_seq.device.framing import (
    Frame,
    FrameFaultError,
    decode_frame,
    encode_body,
    encode_frame,
    encoded_limit,
    split_frames,
)
from firmware_export.emission.emit import RUNTIME_FOLDER
from tests.fuzz.python_decoder import one_input

FRAMES = st.builds(
    Frame, st.integers(0, 255), st.integers(0, 65535), st.binary(max_size=300), version=st.integers(0, 255)
)


def test_the_example_of_the_specification() -> None:
    example = "00 04 01 03 07 05 e7 90 ff d4 00"
    assert encode_frame(encode_body(Frame(0x03, 7, b""))) == bytes.fromhex(example)
    assert f"`{example}`" in (RUNTIME_FOLDER.parent / "SPEC.md").read_text(encoding="utf-8")


@given(FRAMES)
def test_what_is_encoded_is_decoded(frame: Frame) -> None:
    encoded = encode_frame(encode_body(frame))
    assert encoded[0] == encoded[-1] == 0
    assert 0 not in encoded[1:-1]
    assert decode_frame(encoded[1:-1]) == frame
    assert len(encoded) - 2 <= encoded_limit(len(frame.fields) + 8)


@given(st.lists(st.one_of(FRAMES, st.binary(max_size=40)), max_size=6), st.integers(1, 50))
def test_the_pieces_do_not_matter(items: list[Frame | bytes], step: int) -> None:
    line = b"".join(item if isinstance(item, bytes) else encode_frame(encode_body(item)) for item in items)
    whole = split_frames(b"", line)
    rest, frames, faults = b"", [], []
    for at in range(0, len(line), step):
        split = split_frames(rest, line[at : at + step])
        rest = split.rest
        frames += split.frames
        faults += split.faults
    assert (tuple(frames), tuple(faults), rest) == (whole.frames, whole.faults, whole.rest)
    assert [item for item in items if isinstance(item, Frame)] == [frame for frame in whole.frames if frame in items]


@pytest.mark.parametrize(
    ("encoded", "fault"),
    [
        (b"\x05ab", "cobs"),
        (cobs.encode(b"abcdefg"), "short"),
        (cobs.encode(b"abcdefgh"), "crc"),
        (b"\x01" * 300, "long"),
        (cobs.encode(bytes(258)), "long"),
    ],
)
def test_each_fault_has_its_name(encoded: bytes, fault: str) -> None:
    with pytest.raises(FrameFaultError) as caught:
        decode_frame(encoded, limit=256)
    assert caught.value.fault == fault
    assert split_frames(b"", encoded + b"\0", limit=256).faults == (fault,)


def test_the_constants_are_those_of_the_specification() -> None:
    assert (framing.PROTOCOL_VERSION, framing.MAX_BODY_BYTES, framing.OVERHEAD_BYTES) == (1, 4096, 8)
    assert framing.FAULTS == ("cobs", "short", "long", "crc")
    assert [encoded_limit(size) for size in (0, 1, 254, 255, 508, 509)] == [1, 3, 256, 258, 511, 513]


def test_a_frame_may_be_as_long_as_the_limit_and_no_longer() -> None:
    """Bodies without a zero are the longest when they are encoded."""
    frame = Frame(3, 257, b"x" * 248, version=1)
    for longer, fault in ((frame, ()), (replace(frame, fields=b"x" * 249), ("long",))):
        split = split_frames(b"", encode_frame(encode_body(longer)), limit=256)
        assert (split.frames, split.faults) == (((), ("long",)) if fault else ((frame,), ()))
    most = encoded_limit(256)
    kept = split_frames(b"", b"x" * most, limit=256)
    assert (kept.rest, kept.faults, kept.skipping) == (b"x" * most, (), False)
    assert split_frames(b"", b"x" * (most + 1), limit=256).faults == ("long",)


def test_a_frame_without_end_is_thrown_away_once() -> None:
    split = split_frames(b"", b"x" * 300, limit=256)
    assert (split.rest, split.skipping, split.faults) == (b"", True, ("long",))
    more = split_frames(split.rest, b"y" * 500, skipping=split.skipping, limit=256)
    assert (more.rest, more.skipping, more.faults) == (b"", True, ())
    good = encode_frame(encode_body(Frame(1, 2, b"3")))
    end = split_frames(more.rest, good, skipping=more.skipping, limit=256)
    assert (end.frames, end.faults, end.skipping) == ((Frame(1, 2, b"3"),), (), False)


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_any_bytes_give_messages_or_our_errors(data: bytes) -> None:
    one_input(data)
