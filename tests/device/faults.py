"""Ports with planted faults, and a record of the frames that they left undamaged."""

from __future__ import annotations

import struct
import time
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from edge_seq.device.transport import Transport
from edge_seq.support.errors import PortLostError


@dataclass
class Faults:
    """Faults of a line, in both directions, shared by all ports that are opened one after the other.

    Attributes:
        change, drop, double, insert: probabilities per byte.
        vanish_every: number of bytes after which the port vanishes; 0 for never.
        pull: set to make the port vanish once.
        rng: source of randomness.
    """

    change: float = 0.0
    drop: float = 0.0
    double: float = 0.0
    insert: float = 0.0
    vanish_every: int = 0
    pull: bool = False
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    planted: int = 0
    vanished: int = 0

    def spoil(self, data: bytes) -> bytes:
        """Return the bytes that arrive at the other end."""
        array = np.frombuffer(data, dtype=np.uint8)
        way = self.rng.random(array.size)
        edges = np.cumsum([self.change, self.drop, self.double, self.insert])
        hit = np.flatnonzero(way < edges[-1])
        self.planted += hit.size
        spoiled, last = bytearray(), 0
        for at in hit.tolist():
            spoiled += data[last:at]
            last = at + 1
            if way[at] < edges[0]:
                spoiled.append(data[at] ^ int(self.rng.integers(1, 256)))
            elif way[at] >= edges[1]:
                spoiled += data[at : at + 1] * 2 if way[at] < edges[2] else data[at : at + 1] + self.rng.bytes(1)
        return bytes(spoiled + data[last:])


class LineRecord:
    """Records which frames a bad line left undamaged, from its input and output, without any part of the client.

    Args:
        samples: number of sample indices to record, from the first undamaged one.

    Attributes:
        whole: number of undamaged frames.
        damaged: number of other pieces between two zeros.
        base: index of the first undamaged sample; None before.
        delivered: bool [samples], by index from ``base``: True if the sample was in an undamaged frame.
    """

    def __init__(self, samples: int) -> None:
        self.whole = self.damaged = 0
        self.base: int | None = None
        self.delivered = np.zeros(samples, dtype=bool)
        self.begin()

    def begin(self) -> None:
        """Note that a port was opened."""
        self._sent_rest = self._came_rest = b""
        self._under_way: deque[bytes] = deque(maxlen=5000)  # more than a port returns at once

    def pass_on(self, sent: bytes, came: bytes) -> None:
        """Note some bytes, as sent and as received."""
        *ended, self._sent_rest = (self._sent_rest + sent).split(b"\0")
        self._under_way.extend(filter(None, ended))
        *ended, self._came_rest = (self._came_rest + came).split(b"\0")
        for encoded in filter(None, ended):
            if encoded in self._under_way:
                while self._under_way.popleft() != encoded:
                    pass
                self._take(_unstuffed(encoded))
            else:
                self.damaged += 1

    def _take(self, body: bytes) -> None:
        # If a port is opened while the board sends, the end of that frame does not count.
        if len(body) < 8 or zlib.crc32(body[:-4]) != int.from_bytes(body[-4:], "little"):
            self.damaged += 1
            return
        self.whole += 1
        if body[1] == 0xC0:  # SAMPLES
            index, _, size = struct.unpack_from("<IIH", body, 4)
            self.base = index if self.base is None else self.base
            at = index - self.base
            assert 0 <= at <= len(self.delivered) - size, f"sample {index}, room for {len(self.delivered)}"
            self.delivered[at : at + size] = True


def _unstuffed(encoded: bytes) -> bytes:
    """Decode COBS. Invalid input gives no frame."""
    body, at, code = bytearray(), 0, 255
    while at < len(encoded):
        code = encoded[at]
        body += encoded[at + 1 : at + code] + (b"\0" if code < 255 else b"")
        at += code
    return bytes(body[:-1] if code < 255 else body)


class FaultyTransport:
    """A port with faults, whose output may be recorded."""

    def __init__(self, inner: Transport, faults: Faults, record: LineRecord | None = None) -> None:
        self._inner, self._faults, self._left = inner, faults, faults.vanish_every
        self._record = record
        if record is not None:
            record.begin()

    def read(self, timeout_s: float) -> bytes:
        data = self._inner.read(timeout_s)
        self._use(len(data))
        came = self._faults.spoil(data)
        if self._record is not None:
            self._record.pass_on(data, came)
        return came

    def write(self, data: bytes) -> None:
        self._use(len(data))
        self._inner.write(self._faults.spoil(data))

    def close(self) -> None:
        self._inner.close()

    def _use(self, size: int) -> None:
        self._left -= size
        if self._faults.pull or (self._faults.vanish_every and self._left <= 0):
            self._faults.pull = False
            self._faults.vanished += 1
            self._inner.close()
            raise PortLostError("reading from a port: it is gone, as planned")


class ScriptedTransport:
    """A port whose answers a function computes.

    Args:
        answer: function of the bytes written since the last read.
        delay_s: time until an answer arrives, seconds.
    """

    def __init__(self, answer: Callable[[bytes], bytes], *, delay_s: float = 0.0) -> None:
        self._answer, self._delay = answer, delay_s
        self._waiting: list[tuple[float, bytes]] = []

    def read(self, timeout_s: float) -> bytes:
        until = time.monotonic() + timeout_s
        while True:
            now = time.monotonic()
            due = b"".join(data for at, data in self._waiting if at <= now)
            self._waiting = [(at, data) for at, data in self._waiting if at > now]
            if due or now >= until:
                return due
            time.sleep(0.001)

    def write(self, data: bytes) -> None:
        answer = self._answer(data)
        self._waiting.append((time.monotonic() + self._delay, answer))

    def close(self) -> None:
        pass
