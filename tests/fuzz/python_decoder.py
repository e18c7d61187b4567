"""Decodes one input of a device on the host and checks the result. Shared by all fuzzers of the host's decoder."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from edge_seq.device import framing, messages
from edge_seq.support.errors import DeviceError
from edge_seq.support.names import is_printable

HELLO = messages.Hello(
    *("00" * 32, 1, 1, 3, 4, 1, 50, 8, 4, False, False, messages.Capability(7), 256, 100, 200, 300),
    *(None, 0, "0.1.0", "x"),
)
UNPACKERS: tuple[Callable[[bytes], Any], ...] = (
    messages.unpack_hello,
    lambda fields: messages.unpack_texts(fields, 3),
    lambda fields: messages.unpack_counts(fields, 3),
    lambda fields: messages.unpack_decisions(fields, 4, 9, decides=False),
    lambda fields: messages.unpack_decisions(fields, 4, 9, decides=True),
    lambda fields: messages.unpack_stream_decision(fields, 4, decides=False),
    lambda fields: messages.unpack_stream_decision(fields, 4, decides=True),
    lambda fields: messages.unpack_part(fields, "ROW"),
    messages.unpack_self_test,
    messages.unpack_cost,
    messages.unpack_head_status,
    messages.unpack_stream,
    lambda fields: messages.unpack_samples(fields, 3),
    messages.unpack_error,
)


def take_apart(fields: bytes) -> None:
    """Every unpacker returns a message or raises :class:`DeviceError`; texts are printable and bounded."""
    for unpack in UNPACKERS:
        try:
            found = unpack(fields)
        except DeviceError:
            continue
        for text in found if isinstance(found, tuple) else vars(found).values() if hasattr(found, "__dict__") else ():
            if isinstance(text, str):
                assert all(map(is_printable, text))
                assert len(text) <= 255


def one_input(data: bytes) -> None:
    """Check bytes of a line, in pieces given by the first byte, and then as the fields of a valid frame."""
    step = 1 + data[0] if data else 1
    rest, skipping, frames, faults = b"", False, 0, 0
    for at in range(0, len(data), step):
        split = framing.split_frames(rest, data[at : at + step], skipping=skipping, limit=256)
        rest, skipping = split.rest, split.skipping
        assert len(rest) <= framing.encoded_limit(256)
        frames += len(split.frames)
        faults += len(split.faults)
        for frame in split.frames:
            assert framing.decode_frame(framing.encode_frame(framing.encode_body(frame)).strip(b"\0")) == frame
            take_apart(frame.fields)
    assert frames + faults <= data.count(0) + 1
    whole = framing.split_frames(b"", data, limit=256)
    assert len(whole.frames) == frames
    take_apart(data)
    body = data[:200] + zlib.crc32(data[:200]).to_bytes(4, "little")
    if len(body) >= framing.OVERHEAD_BYTES:
        (frame,) = framing.split_frames(b"junk", framing.encode_frame(body)).frames
        assert frame.fields == data[4:200]
