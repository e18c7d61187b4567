"""Ports with planted faults."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from edge_seq.device.transport import Transport
from edge_seq.errors import PortLostError


@dataclass
class Faults:
    """What happens to bytes on a line, in both directions; shared by all ports that are opened one after the other.

    Attributes:
        change, drop, double, insert: probabilities of a byte.
        vanish_every: bytes after which the port is gone; 0 for never.
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
        """The bytes as they come out at the other end."""
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


class FaultyTransport:
    """A port on which faults happen."""

    def __init__(self, inner: Transport, faults: Faults) -> None:
        self._inner, self._faults, self._left = inner, faults, faults.vanish_every

    def read(self, timeout_s: float) -> bytes:
        data = self._inner.read(timeout_s)
        self._use(len(data))
        return self._faults.spoil(data)

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
    """A port that gives what a function says.

    Args:
        answer: of the bytes written since the last read.
        delay_s: after which an answer comes.
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
