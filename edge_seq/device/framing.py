"""Frames as pure functions of bytes: COBS between zero bytes, a header, a CRC-32 at the end.

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
MAX_BODY_BYTES = 4096  # of any device; each says in its hello what it takes
HEADER = struct.Struct("<BBH")
CRC = struct.Struct("<I")
OVERHEAD_BYTES = HEADER.size + CRC.size

FrameFault = Literal["cobs", "short", "long", "crc"]
FAULTS: tuple[FrameFault, ...] = ("cobs", "short", "long", "crc")


@dataclass(frozen=True)
class Frame:
    """One message as it lies between two delimiters.

    Attributes:
        type: of the message, 0 to 255.
        sequence: of the request, 0 to 65535; a reply has that of its request.
        fields: what the type says.
        version: of the protocol.
    """

    type: int
    sequence: int
    fields: bytes
    version: int = PROTOCOL_VERSION


class FrameFaultError(ValueError):
    """Bytes between two delimiters that are no frame.

    Attributes:
        fault: which check failed.
    """

    def __init__(self, fault: FrameFault) -> None:
        super().__init__(fault)
        self.fault: FrameFault = fault


def encoded_limit(body_bytes: int) -> int:
    """Bytes that a body of so many can take between its delimiters."""
    return body_bytes + (body_bytes + 253) // 254 + 1


def encode_body(frame: Frame) -> bytes:
    """Header, fields, checksum; not yet stuffed."""
    head = HEADER.pack(frame.version, frame.type, frame.sequence) + frame.fields
    return head + CRC.pack(zlib.crc32(head))


def encode_frame(body: bytes) -> bytes:
    """A body between two delimiters; the first ends whatever the line carried before."""
    encoded: bytes = cobs.encode(body)
    return DELIMITER + encoded + DELIMITER


def decode_frame(encoded: bytes, *, limit: int = MAX_BODY_BYTES) -> Frame:
    """What lies between two delimiters, not empty.

    Raises:
        FrameFaultError: where it is no frame: longer than the limit, not COBS, too short, or damaged.
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
    """What some more bytes brought.

    Attributes:
        frames: the whole ones, in order.
        faults: what was no frame, in order.
        rest: bytes after the last delimiter, to be given again with the next bytes; bounded.
        skipping: the rest is of a frame that is too long and was thrown away; it ends at the next delimiter.
    """

    frames: tuple[Frame, ...]
    faults: tuple[FrameFault, ...]
    rest: bytes
    skipping: bool


def split_frames(rest: bytes, received: bytes, *, skipping: bool = False, limit: int = MAX_BODY_BYTES) -> Split:
    """Take received bytes apart. Anything may be in them; what is no frame is a fault, and the next frame is whole.

    Args:
        rest: of the split before.
        received: bytes that came since.
        skipping: of the split before.
        limit: largest body, bytes.
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
