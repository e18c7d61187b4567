"""Frames as pure functions of bytes: a header, fields and a CRC-32, COBS-encoded between zero bytes.

>>> body = encode_body(Frame(type=0x03, sequence=7, fields=b""))
>>> decode_frame(encode_frame(body).strip(b"\\0")) == Frame(type=0x03, sequence=7, fields=b"")
True
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Literal

from cobs import cobs

PROTOCOL_VERSION = 1
DELIMITER = b"\0"
MAX_BODY_BYTES = 4096  # upper limit for any device; each device reports its own in HELLO
HEADER = struct.Struct("<BBH")
CRC = struct.Struct("<I")
OVERHEAD_BYTES = HEADER.size + CRC.size

FrameFault = Literal["cobs", "short", "long", "crc"]
FAULTS: tuple[FrameFault, ...] = ("cobs", "short", "long", "crc")


@dataclass(frozen=True)
class Frame:
    """One message, decoded.

    Attributes:
        type: type of the message, 0 to 255.
        sequence: sequence number of the request, 0 to 65535. A reply carries the number of its request.
        fields: payload; its layout depends on the type.
        version: protocol version.
    """

    type: int
    sequence: int
    fields: bytes
    version: int = PROTOCOL_VERSION


class FrameFaultError(ValueError):
    """The bytes between two delimiters are not a valid frame.

    Attributes:
        fault: the check that failed.
    """

    def __init__(self, fault: FrameFault) -> None:
        super().__init__(fault)
        self.fault: FrameFault = fault


def encoded_limit(body_bytes: int) -> int:
    """Largest size in bytes of a COBS-encoded body of ``body_bytes`` bytes, without delimiters."""
    return body_bytes + (body_bytes + 253) // 254 + 1


def encode_body(frame: Frame) -> bytes:
    """Header, fields and CRC-32 of a frame, before COBS encoding."""
    head = HEADER.pack(frame.version, frame.type, frame.sequence) + frame.fields
    return head + CRC.pack(zlib.crc32(head))


def encode_frame(body: bytes) -> bytes:
    """COBS-encode a body and put it between two delimiters. The first one ends whatever the line carried before."""
    encoded: bytes = cobs.encode(body)
    return DELIMITER + encoded + DELIMITER


def decode_frame(encoded: bytes, *, limit: int = MAX_BODY_BYTES) -> Frame:
    """Decode the bytes between two delimiters.

    Raises:
            Args:
                encoded: the bytes without delimiters; not empty.
                limit: largest body, bytes.

        FrameFaultError: the bytes are longer than the limit, not COBS, too short, or fail the CRC.
    """
    if len(encoded) > encoded_limit(limit):
        raise FrameFaultError("long")
    try:
        body: bytes = cobs.decode(encoded)
    except cobs.DecodeError:
        raise FrameFaultError("cobs") from None
    if len(body) > limit:
        raise FrameFaultError("long")
    if len(body) < OVERHEAD_BYTES:
        raise FrameFaultError("short")
    if zlib.crc32(body[: -CRC.size]) != CRC.unpack(body[-CRC.size :])[0]:
        raise FrameFaultError("crc")
    version, kind, sequence = HEADER.unpack_from(body)
    return Frame(kind, sequence, body[HEADER.size : -CRC.size], version)


@dataclass(frozen=True)
class Split:
    """Result of :func:`split_frames`.

    Attributes:
        frames: complete frames, in order.
        faults: one fault for each invalid piece, in order.
        rest: bytes after the last delimiter, to be passed to the next call; bounded.
        skipping: True while a frame that is too long is discarded, up to the next delimiter.
    """

    frames: tuple[Frame, ...]
    faults: tuple[FrameFault, ...]
    rest: bytes
    skipping: bool


def split_frames(rest: bytes, received: bytes, *, skipping: bool = False, limit: int = MAX_BODY_BYTES) -> Split:
    """Split received bytes into frames.

        The bytes are untrusted. Each piece that is not a frame counts as a fault and does not spoil the frame after it.

    Args:
        rest: ``rest`` of the previous split.
        received: bytes received since.
        skipping: ``skipping`` of the previous split.
        limit: largest body, bytes.

    >>> split = split_frames(b"", encode_frame(encode_body(Frame(type=3, sequence=7, fields=b""))) + b"rest")
    >>> len(split.frames), split.faults, split.rest
    (1, (), b'rest')
    """
    *whole, rest = (rest + received).split(DELIMITER)
    frames: list[Frame] = []
    faults: list[FrameFault] = []
    for encoded in whole:
        if skipping:
            skipping = False
        elif encoded:
            try:
                frames.append(decode_frame(encoded, limit=limit))
            except FrameFaultError as error:
                faults.append(error.fault)
    if skipping:
        rest = b""
    elif len(rest) > encoded_limit(limit):
        faults.append("long")
        rest, skipping = b"", True
    return Split(tuple(frames), tuple(faults), rest, skipping)
