"""What a device may send, taken apart by the host: one input, and what must hold. Shared by all fuzzers of it."""

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
    messages.unpack_stream,
    lambda fields: messages.unpack_samples(fields, 3),
    messages.unpack_error,
)


def take_apart(fields: bytes) -> None:
    """Every unpacker gives a message or a :class:`DeviceError`; texts can be printed and are bounded."""
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
    """Bytes of a line, in pieces as the first byte says; then as the fields of a frame that holds."""
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
