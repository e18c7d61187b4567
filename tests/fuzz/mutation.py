"""Changes files at random: bits, bytes, cut, spliced, doubled and removed parts, and what is huge or strange."""

from __future__ import annotations

import random

STRANGE = (
    b"9" * 400, b"1e999", b"-1e308", b"99999999999999999999", b"\xff" * 8, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f",
    b"\x00" * 8, b"4294967296", b"[" * 50, b'"', b"\n", b"\r", b",,,,", b"\xef\xbb\xbf", b"\x1f\x8b", b"PK\x03\x04",
    b"nan", b"-inf", b"\x1b[2J", "\u0661\u0662".encode(), b"1970-01-01T00:00:00Z", b"null", b"{}", b"[]", b"-1", b"true",
)  # fmt: skip


def changed(content: bytes, rng: random.Random) -> bytes:
    """A changed copy; random bytes in one of ten."""
    if rng.random() < 0.1:
        return rng.randbytes(rng.randrange(400))
    out = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at, to, size = rng.randint(0, len(out)), rng.randint(0, len(out)), rng.randint(1, 64)
        match rng.randrange(7):
            case 0 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                out[at : at + size] = rng.randbytes(rng.randint(0, size))
            case 2:
                del out[at:]
            case 3:
                out[at : at + size] = out[to : to + size]
            case 4:
                out[at:at] = out[to : to + size * rng.randint(1, 40)]
            case 5:
                del out[at : at + size]
            case _:
                value = rng.choice(STRANGE)
                out[at : at + rng.choice((0, 1, len(value)))] = value
    return bytes(out)
