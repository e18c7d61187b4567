"""A line to a device: requests that are sent until they are answered, and the frames of streams that wait."""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from edge_seq.device import messages
from edge_seq.device.framing import (
    FAULTS,
    PROTOCOL_VERSION,
    Frame,
    FrameFault,
    encode_body,
    encode_frame,
    split_frames,
)
from edge_seq.device.messages import REPLY, ErrorCode, Hello, Type
from edge_seq.device.transport import Opener, Transport
from edge_seq.support.errors import DeviceError, DeviceRefusedError, DeviceRestartedError

SEQUENCES = 1 << 16
WAITING_FRAMES = 4096  # stream frames kept while waiting for a reply; beyond them the oldest is lost and counted
TICK_S = 0.2


@dataclass(frozen=True)
class Timing:
    """Timeouts and retries of a client.

    Attributes:
        timeout_s: longest wait for a reply.
        retries: how often a request is sent again.
        self_test_timeout_s: longest wait for the self-test, which runs many steps.
        silence_s: a stream that is silent for this time makes the client ask whether the device is still there.
        reconnect_s: how long the client tries to reopen a port that vanished.
        reconnect_every_s: time between these attempts.
    """

    timeout_s: float = 1.0
    retries: int = 4
    self_test_timeout_s: float = 60.0
    silence_s: float = 2.0
    reconnect_s: float = 10.0
    reconnect_every_s: float = 0.2


@dataclass
class Counters:
    """Transmission errors so far, corrected or counted. Other threads may read them.

    Attributes:
        received_bytes: bytes received, of any kind.
        frames: valid frames received.
        faults: invalid frames received, by kind of fault.
        strays: valid frames that no request waited for, such as late or repeated replies.
        retries: requests sent again.
        reconnects: how often a port was reopened.
        dropped: stream samples that the device was too late to read. They are lost, like samples lost on the line.
    """

    received_bytes: int = 0
    frames: int = 0
    faults: Counter[FrameFault] = field(default_factory=lambda: Counter(dict.fromkeys(FAULTS, 0)))
    strays: int = 0
    retries: int = 0
    reconnects: int = 0
    dropped: int = 0


class Line:
    """An open port with a device behind it.

    Attributes:
        name: name of the port, used in messages.
        timing: timeouts and retries.
        counters: transmission errors so far.
        waiting: frames of a stream that nobody has taken yet.
    """

    def __init__(self, name: str, opener: Opener, timing: Timing) -> None:
        self.name, self.timing = name, timing
        self.counters = Counters()
        self.waiting: deque[Frame] = deque(maxlen=WAITING_FRAMES)
        self._opener = opener
        self._transport: Transport = opener()
        self._sequence = random.SystemRandom().randrange(SEQUENCES)
        self._tick, self._ticked_s = _no_tick, 0.0
        self._forget()

    def close(self) -> None:
        """Close the port."""
        self._transport.close()

    def reopen(self) -> None:
        """Open the port again. Complete frames of a stream stay.

        Raises:
            PortLostError: it cannot be opened.
        """
        self._transport = self._opener()
        self._forget()

    @contextmanager
    def patience(self, timing: Timing) -> Iterator[None]:
        """Use other timeouts within a ``with`` block."""
        before, self.timing = self.timing, timing
        try:
            yield
        finally:
            self.timing = before

    @contextmanager
    def ticking(self, tick: Callable[[], None]) -> Iterator[None]:
        """Call a function about every :data:`TICK_S` seconds of waiting within a ``with`` block."""
        self._tick = tick
        try:
            yield
        finally:
            self._tick = _no_tick

    def hello(self) -> Hello:
        """Start a session.

        Raises:
            DeviceError: no device answers, or it speaks another protocol version.
        """
        return messages.unpack_hello(self.request(Type.HELLO))

    def next_of_stream(self, until: float) -> Frame | None:
        """The next frame of a stream; None if none comes until a time of ``time.monotonic``."""
        while not self.waiting:
            left = until - time.monotonic()
            if left <= 0:
                return None
            self._receive(left)
        return self.waiting.popleft()

    def _forget(self) -> None:
        """Drop partial frames and replies of a port that was closed. Complete stream frames stay."""
        self._rest, self._skipping = b"", False
        self._replies: deque[Frame] = deque(maxlen=WAITING_FRAMES)

    def _receive(self, timeout_s: float) -> None:
        """Wait briefly for bytes, and put each frame in them into the queue of replies or of stream frames."""
        self.keep_ticking()
        received = self._transport.read(min(timeout_s, TICK_S))
        self.counters.received_bytes += len(received)
        split = split_frames(self._rest, received, skipping=self._skipping)
        self._rest, self._skipping = split.rest, split.skipping
        self.counters.faults.update(split.faults)
        self.counters.frames += len(split.frames)
        for frame in split.frames:
            of_stream = frame.type in (Type.SAMPLES, Type.DECISION) and frame.version == PROTOCOL_VERSION
            (self.waiting if of_stream else self._replies).append(frame)

    def keep_ticking(self) -> None:
        """Call the function of :meth:`ticking` if it is due."""
        now_s = time.monotonic()
        if now_s - self._ticked_s >= TICK_S:
            self._ticked_s = now_s
            self._tick()

    def request(self, kind: Type, fields: bytes = b"", *, timeout_s: float | None = None) -> bytes:
        """Send a request until it is answered. The device executes it once, even if it arrives several times.

        Returns:
            The fields of the reply.

        Raises:
            DeviceRefusedError: the device refused; the error holds its code and text.
            DeviceRestartedError: the device restarted since the session began.
            DeviceError: the device did not answer.
        """
        timeout_s = self.timing.timeout_s if timeout_s is None else timeout_s
        self._sequence = (self._sequence + 1) % SEQUENCES
        encoded = encode_frame(encode_body(Frame(kind, self._sequence, fields)))
        frames_before, bytes_before = self.counters.frames, self.counters.received_bytes
        for attempt in range(1 + self.timing.retries):
            self.counters.retries += attempt > 0
            self._transport.write(encoded)
            reply = self._await_reply(kind, time.monotonic() + timeout_s)
            if reply is not None:
                return reply
        heard = self.counters.received_bytes - bytes_before
        hint = "Is the firmware with the wire protocol running, and at this baud rate?"
        if heard and self.counters.frames == frames_before:
            hint = (
                f"{heard} bytes came, and no frame in them: is the baud rate that of the firmware, and this port the "
                "board's?"
            )
        raise DeviceError(
            f"no answer to {kind.name} from {self.name} in {1 + self.timing.retries} tries of {timeout_s:g} s. {hint} "
            "Try: edge-seq device ping"
        )

    def _await_reply(self, kind: Type, until: float) -> bytes | None:
        while True:
            while self._replies:
                frame = self._replies.popleft()
                if frame.sequence == self._sequence and frame.type == kind | REPLY:
                    self._require_version(frame)
                    return frame.fields
                if frame.sequence == self._sequence and frame.type == Type.ERROR:
                    self._raise_refusal(kind, frame)
                self.counters.strays += 1
            left = until - time.monotonic()
            if left <= 0:
                return None
            self._receive(left)

    def _require_version(self, frame: Frame) -> None:
        if frame.version != PROTOCOL_VERSION:
            raise DeviceError(
                f"{self.name} speaks protocol version {frame.version}, this release of edge_seq {PROTOCOL_VERSION}: "
                "build the firmware with the runtime of this release, or use the release that the firmware was built "
                "with"
            )

    def _raise_refusal(self, kind: Type, frame: Frame) -> None:
        self._require_version(frame)
        _, code, text = messages.unpack_error(frame.fields)
        if code == ErrorCode.SESSION:
            raise DeviceRestartedError(
                f"{kind.name} to {self.name}: the device has restarted since this session began, so its states are "
                "those after a reset. Begin again with the first sample"
            )
        name = ErrorCode(code).name if code in set(ErrorCode) else "unknown"
        raise DeviceRefusedError(f"{self.name} refuses {kind.name}: {text} (code {code}, {name})", code)


def _no_tick() -> None:
    """Default tick outside a stream: nothing to do."""
