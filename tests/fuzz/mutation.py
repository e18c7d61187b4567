"""Changes files at random: bits, bytes, cut, spliced, doubled and removed parts, and what is huge or strange.

JSON, the header of safetensors and lines of TOML are also changed as what they are, so that most of the result can
still be parsed and reaches the code behind the parser.
"""

from __future__ import annotations

import copy
import json
import random
from typing import Any

STRANGE = (
    b"9" * 400, b"1e999", b"-1e308", b"99999999999999999999", b"\xff" * 8, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f",
    b"\x00" * 8, b"4294967296", b"[" * 50, b'"', b"\n", b"\r", b",,,,", b"\xef\xbb\xbf", b"\x1f\x8b", b"PK\x03\x04",
    b"nan", b"-inf", b"\x1b[2J", "\u0661\u0662".encode(), b"1970-01-01T00:00:00Z", b"null", b"{}", b"[]", b"-1",
    b"true",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1, 2**31, 2**63, -(2**63), 2**64 - 1, 1.5, 1e308, -1e308, "", "x", "\x1b[2J", "../../x",
    "F8_E4M3", "nan", [], {}, [[]], [None], [0, 0], [1, "x"], {"x": 1}, {"": {}}, "9" * 300,
)  # fmt: skip
TOML_VALUES = (
    "true",
    "0",
    "-1",
    "1e999",
    "nan",
    "inf",
    '""',
    '"../x"',
    "[]",
    "[[1]]",
    "{}",
    "1979-05-27",
    "0x10",
    '"a\\u001b"',
)


def changed(content: bytes, rng: random.Random) -> bytes:
    """A changed copy; random bytes in one of ten."""
    if rng.random() < 0.1:
        return rng.randbytes(rng.randrange(400))
    if rng.random() < 0.6:
        found = _as_what_it_is(content, rng)
        if found is not None:
            return found
    return _bytes_changed(content, rng)


def _as_what_it_is(content: bytes, rng: random.Random) -> bytes | None:
    """A change that keeps JSON, safetensors or TOML as what they are; None if it is something else."""
    if content[:1] == b"{":
        return _json_changed(content, rng)
    if content[:2] == b"\xff{":  # a table behind a byte that chooses; see targets.py
        inner = _json_changed(content[1:], rng)
        return None if inner is None else b"\xff" + inner
    if content[8:9] == b"{":
        size = int.from_bytes(content[:8], "little")
        header = _json_changed(content[8 : 8 + size], rng)
        return None if header is None else len(header).to_bytes(8, "little") + header + content[8 + size :]
    if b" = " in content and b"\0" not in content:
        lines = content.split(b"\n")
        places = [place for place, line in enumerate(lines) if b" = " in line]
        place = rng.choice(places)
        key = lines[place].partition(b" = ")[0]
        if rng.random() < 0.2:
            del lines[place]
        else:
            lines[place] = key + b" = " + rng.choice(TOML_VALUES).encode()
        return b"\n".join(lines)
    return None


def _json_changed(content: bytes, rng: random.Random) -> bytes | None:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    for _ in range(rng.randint(1, 3)):
        document = _value_changed(document, rng)
    return json.dumps(document).encode()


def _value_changed(document: Any, rng: random.Random) -> Any:
    """Change one value, at any depth: another kind, none, twice, renamed, or with its neighbour's."""
    if isinstance(document, str) and document[:1] in ("{", "[") and rng.random() < 0.9:  # metadata of tensors
        inner = _json_changed(document.encode("utf-8", "replace"), rng)
        return document[:-1] if inner is None else inner.decode()
    if not isinstance(document, dict | list) or not document or rng.random() < 0.03:
        return copy.deepcopy(rng.choice(VALUES))  # a table among them may be changed later
    keys = list(document) if isinstance(document, dict) else list(range(len(document)))
    key = rng.choice(keys)
    kind = rng.random()
    if kind < 0.65:
        document[key] = _value_changed(document[key], rng)
    elif kind < 0.75:
        del document[key]
    elif kind < 0.85:
        document[key] = copy.deepcopy(document[rng.choice(keys)])
    elif isinstance(document, dict):
        document[str(rng.choice(VALUES))] = document.pop(key)
    else:
        document.insert(key, document[key])
    return document


def _bytes_changed(content: bytes, rng: random.Random) -> bytes:
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
