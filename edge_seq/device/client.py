"""The host's side of the wire: requests with timeouts and retries, streams with every loss counted.

with open_device("/dev/ttyACM0") as device:
    device.reset()
    for decision in device.push(counts):
        print(decision.label)
"""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

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
from edge_seq.device.messages import (
    REPLY,
    Capability,
    Cost,
    Decision,
    ErrorCode,
    Hello,
    Item,
    SelfTest,
    StreamFlag,
    Type,
)
from edge_seq.device.transport import DEFAULT_BAUD, Opener, Transport, open_transport
from edge_seq.ir.contract import SensorContract
from edge_seq.support.errors import DeviceError, DeviceRefusedError, DeviceRestartedError, PortLostError

SEQUENCES = 1 << 16
INDICES = 1 << 32
MOST_AHEAD = 1 << 26  # samples lost at once, 11 hours at 1.6 kHz; an index beyond is no loss that anyone could tell
WAITING_FRAMES = 4096  # of a stream, while a reply is waited for; beyond them the oldest is lost, and counted as lost
MAX_BATCH = 255
TICK_S = 0.2


@dataclass(frozen=True)
class Timing:
    """How patient a client is.

    Attributes:
        timeout_s: for a reply.
        retries: how often a request is sent again.
        self_test_timeout_s: for the self-test, which runs many steps.
        silence_s: of a stream, after which the device is asked whether it is still there.
        reconnect_s: for how long a port that vanished is looked for.
        reconnect_every_s: how often.
    """

    timeout_s: float = 1.0
    retries: int = 4
    self_test_timeout_s: float = 60.0
    silence_s: float = 2.0
    reconnect_s: float = 10.0
    reconnect_every_s: float = 0.2


@dataclass
class Counters:
    """What went wrong on the way so far, and was mended or counted. Another thread may read it.

    Attributes:
        received_bytes: of any kind.
        frames: good ones received.
        faults: what was received between delimiters and was no frame, by kind.
        strays: good frames that nobody waited for: late or doubled replies.
        retries: requests sent again.
        reconnects: ports opened again.
        dropped: samples of streams that devices themselves did not take in time; lost ones, as those on the line.
    """

    received_bytes: int = 0
    frames: int = 0
    faults: Counter[FrameFault] = field(default_factory=lambda: Counter(dict.fromkeys(FAULTS, 0)))
    strays: int = 0
    retries: int = 0
    reconnects: int = 0
    dropped: int = 0


@dataclass(frozen=True)
class DeviceContract:
    """What a device says of its input and output; texts are cut to TEXT_BYTES.

    Attributes:
        sample_rate_hz: as decimal text.
        preprocessing: with its shift, for example ``remove_gravity, shift 6``.
        window_stride: as decimal text.
        channels: name, unit, counts a unit and full scale of each, as text.
        labels: of the classes.
    """

    sample_rate_hz: str
    preprocessing: str
    window_stride: str
    channels: tuple[tuple[str, str, str, str], ...]
    labels: tuple[str, ...]


def expected_contract(contract: SensorContract, labels: tuple[str, ...]) -> DeviceContract:
    """What a device with this contract says."""

    def cut(text: str) -> str:
        return messages.clean_text(messages.cut_text(text))

    step = contract.preprocessing.step
    shift = f", shift {contract.preprocessing.gravity_shift}" if step == "remove_gravity" else ""
    return DeviceContract(
        sample_rate_hz=cut(repr(contract.sample_rate_hz)),
        preprocessing=cut(step + shift),
        window_stride=cut(str(contract.window_stride)),
        channels=tuple(
            (cut(c.name), cut(c.unit), cut(repr(c.counts_per_unit)), cut(repr(c.full_scale))) for c in contract.channels
        ),
        labels=tuple(map(cut, labels)),
    )


@dataclass(frozen=True)
class SampleBlock:
    """Samples of a stream, one after the other.

    Attributes:
        first_index: of the first, counted since the start of the device; does not wrap.
        counts: int16 [n, C].
        lost: samples missing between the block before and this one, wherever they were lost; 0 for the first block.
        restarted: the device started anew before this block, or its index went back or far ahead: indices begin anew,
            and what was lost is not known.
        dropped: of those lost, samples that the device itself did not take in time; the others were lost on the line.
    """

    first_index: int
    counts: NDArray[np.int16]
    lost: int = 0
    restarted: bool = False
    dropped: int = 0


class Device:
    """A device that said hello. Make one with :func:`open_device` or :func:`connect`.

    Attributes:
        name: of the port, for messages.
        info: what the device last said of itself.
        counters: what went wrong on the way.
    """

    def __init__(self, name: str, opener: Opener, timing: Timing) -> None:
        self.name = name
        self.counters = Counters()
        self._opener, self._timing = opener, timing
        self._transport: Transport = opener()
        self._sequence = random.SystemRandom().randrange(SEQUENCES)
        self._stream_frames: deque[Frame] = deque(maxlen=WAITING_FRAMES)
        self._tick, self._ticked_s = _no_tick, 0.0
        self._forget_line()
        try:
            self.info = self._say_hello()
        except BaseException:
            self._transport.close()
            raise

    def __enter__(self) -> Device:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the port back."""
        self._transport.close()

    @property
    def frame_errors(self) -> int:
        """How often something came that was no frame."""
        return self.counters.faults.total()

    @contextmanager
    def patience(self, timing: Timing) -> Iterator[None]:
        """Be as patient as this for a while."""
        before, self._timing = self._timing, timing
        try:
            yield
        finally:
            self._timing = before

    # ------------------------------------------------------------------------------------------------------ requests

    def hello(self) -> Hello:
        """Begin a new session: the device's streams are off, its states stay.

        Raises:
            DeviceError: where nothing answers, or another protocol does.
        """
        self.info = self._say_hello()
        return self.info

    def contract(self) -> DeviceContract:
        """What the device says of its input and output."""
        rate, preprocessing, stride = self._texts(Item.GENERAL, 0, 3)
        channels = [self._texts(Item.CHANNEL, index, 4) for index in range(self.info.num_channels)]
        labels = [self._texts(Item.LABEL, index, 1)[0] for index in range(self.info.num_classes)]
        return DeviceContract(
            rate,
            preprocessing,
            stride,
            channels=tuple((name, unit, per_unit, scale) for name, unit, per_unit, scale in channels),
            labels=tuple(labels),
        )

    def reset(self) -> None:
        """Zero states and a new window."""
        self._empty(Type.RESET)

    def push(self, counts: NDArray[np.int16]) -> list[Decision]:
        """Run samples.

        Args:
            counts: int16 [n, C], raw counts, any n.

        Returns:
            The labels that were due; their positions count from the first of these samples.

        Raises:
            DeviceRestartedError: where the device started anew since the session began; no sample was pushed since.
        """
        counts = self._checked(counts)
        at_once = self._samples_at_once()
        decisions: list[Decision] = []
        for first in range(0, len(counts), at_once):
            part = counts[first : first + at_once]
            fields = self._request(Type.PUSH, messages.pack_counts(part))
            due = messages.unpack_decisions(fields, self.info.num_classes, len(part), decides=self.info.decides)
            decisions += [replace(one, position=first + one.position) for one in due]
        return decisions

    def trace(self, counts: NDArray[np.int16]) -> NDArray[np.int32]:
        """Run samples and see everything.

        Args:
            counts: int16 [n, C], raw counts, any n.

        Returns:
            int32 [n, row_words]: for each step features [C], states [state_words], pooled operands [pool_words],
            logits [K], label, and of a decision stage scores [K], excess of a distance and decision (K: unknown); where
            no label was due zeros, label and decision -1.
        """
        counts = self._checked(counts)
        info = self.info
        fit_reply = max(1, (info.room_bytes - 2) // info.row_bytes)
        at_once = min(fit_reply, self._samples_that_fit_a_request())
        raw = [self._trace_part(counts[first : first + at_once]) for first in range(0, len(counts), at_once)]
        return messages.unpack_rows(b"".join(raw), info)

    def self_test(self) -> SelfTest:
        """Run the golden vectors on the device; its states are those after a reset then."""
        return messages.unpack_self_test(self._request(Type.SELF_TEST, timeout_s=self._timing.self_test_timeout_s))

    def cost(self) -> Cost:
        """Counted cost of the steps since the device started."""
        return messages.unpack_cost(self._request(Type.COST))

    def save_state(self) -> bytes:
        """Everything that the next step depends on; SPEC.md, section 13."""
        self._require(Capability.STATE, "save a state")
        return self._read_parts(Type.STATE_READ, self.info.state_bytes)

    def restore_state(self, state: bytes) -> None:
        """Go on where a saved state was.

        Raises:
            DeviceRefusedError: where it is damaged or of another model; the device's states stay.
        """
        self._require(Capability.STATE, "restore a state")
        if len(state) != self.info.state_bytes:
            raise DeviceError(
                f"restoring a state on {self.name}: {len(state)} bytes, expected {self.info.state_bytes}; it is of "
                "another model"
            )
        step = self.info.room_bytes - 4
        for offset in range(0, len(state), step):
            self._request(Type.STATE_WRITE, messages.pack_part(offset, state[offset : offset + step]))
        self._empty(Type.STATE_RESTORE)

    # ------------------------------------------------------------------------------------------------------- streams

    def stream(
        self, *, decisions: bool = False, batch: int | None = None, tick: Callable[[], None] = lambda: None
    ) -> Generator[SampleBlock | Decision, None, None]:
        """Samples of the device's sensor as they come, until the caller stops.

        Losses are counted in the blocks. A port that vanishes is looked for (``Timing.reconnect_s``), a silent device
        is asked, one that started anew is told to stream again.

        Args:
            decisions: the device also runs its model on the samples, from a reset; its labels come between the blocks,
                each after the block that holds its sample.
            batch: samples a frame, 1 to 255, as far as the device has room for them; by default those of 50 ms, at the
                rate of the device's contract.
            tick: called about every :data:`TICK_S`, whether samples come or not; what it raises ends the stream.

        Raises:
            PortLostError: where the port does not come back in time.
            DeviceError: where the device does not answer any more.
        """
        self._require(Capability.SENSOR, "stream samples")
        flags = StreamFlag.SAMPLES | (StreamFlag.DECISIONS if decisions else StreamFlag.OFF)
        switch = messages.pack_stream(flags, self._default_batch() if batch is None else batch)
        follow = _Follow(self.info)
        self._stream_frames.clear()  # of a stream before this one
        self._tick = tick
        try:
            self._start_stream(switch)
            while True:
                try:
                    frame = self._next_of_stream(time.monotonic() + self._timing.silence_s)
                    if frame is None:
                        self._revive(switch, follow)
                    elif (item := follow.take(frame)) is not None:
                        self.counters.dropped += item.dropped if isinstance(item, SampleBlock) else 0
                        yield item
                except PortLostError:
                    self._recover(switch, follow)
        finally:
            self._tick = _no_tick
            self._stop_stream()

    def _default_batch(self) -> int:
        """Samples of 50 ms; 1 where the device's rate is no number."""
        text = self._texts(Item.GENERAL, 0, 3)[0]
        try:
            return int(min(max(float(text) / 20, 1), MAX_BATCH))
        except (ValueError, OverflowError):
            return 1

    def _start_stream(self, switch: bytes) -> None:
        messages.unpack_stream(self._request(Type.STREAM, switch))

    def _stop_stream(self) -> None:
        once = replace(self._timing, retries=0)
        for _ in range(1 + self._timing.retries):
            heard = self.counters.received_bytes
            with suppress(DeviceError), self.patience(once):
                self._request(Type.STREAM, messages.pack_stream(StreamFlag.OFF, 0))
                break
            if self.counters.received_bytes == heard:
                break  # one that is gone streams no more; the reason was raised where it was found
        self._stream_frames.clear()

    def _next_of_stream(self, until: float) -> Frame | None:
        while not self._stream_frames:
            left = until - time.monotonic()
            if left <= 0:
                return None
            self._receive(left)
        return self._stream_frames.popleft()

    def _revive(self, switch: bytes, follow: _Follow, *, said_hello: bool = False) -> None:
        """After silence or a lost port: the device may have started anew, or may never have heard of the stream."""
        if not said_hello:
            hello = self._say_hello()
            self._require_same_model(hello)
            self.info = hello
        if self.info.boot != follow.boot:
            self._stream_frames.clear()  # of the start before; their indices are not those of this start
            follow.restart(self.info.boot)
        self._start_stream(switch)  # what waits of the same start stays: its samples are whole

    def _recover(self, switch: bytes, follow: _Follow) -> None:
        """After a lost port, which may be lost again while it comes back."""
        until = time.monotonic() + self._timing.reconnect_s
        while True:
            self.reconnect()
            try:
                self._revive(switch, follow, said_hello=True)
                return
            except PortLostError:
                if time.monotonic() >= until:
                    raise

    def reconnect(self) -> None:
        """Open a port that vanished again, as soon as it is back and the device answers, and say hello.

        Raises:
            PortLostError: where it does not come back in time.
            DeviceError: where the device does not answer in time, or is another.
        """
        self._transport.close()
        until = time.monotonic() + self._timing.reconnect_s
        while True:
            try:
                self._transport = self._opener()
                self._forget_line()
                hello = self._say_hello()
                break
            except DeviceError:  # lost again, or a device that is still starting
                self._transport.close()
                if time.monotonic() >= until:
                    raise
                self._keep_ticking()
                time.sleep(self._timing.reconnect_every_s)
        self.counters.reconnects += 1
        self._require_same_model(hello)
        self.info = hello

    def _require_same_model(self, hello: Hello) -> None:
        """Of every HELLO within a stream: a board may be flashed anew, or be another, behind the same name."""
        before = self.info
        if hello.model_hash != before.model_hash:
            raise DeviceError(
                f"going on with port {self.name}: it is a device with model {hello.model_hash[:16]}..., before it "
                f"was {before.model_hash[:16]}...; start again"
            )
        if _layout(hello) != _layout(before):
            raise DeviceError(
                f"going on with port {self.name}: it has the same model as before and another layout of its messages: "
                "the firmware was changed; start again"
            )

    # ----------------------------------------------------------------------------------------------------- the parts

    def _checked(self, counts: NDArray[np.int16]) -> NDArray[np.int16]:
        channels = self.info.num_channels
        if counts.dtype != np.int16 or counts.ndim != 2 or counts.shape[1] != channels or not len(counts):
            raise DeviceError(
                f"pushing samples to {self.name}: counts are {counts.dtype} {list(counts.shape)}; expected int16 "
                f"[samples, {channels}] with at least one sample"
            )
        return counts

    def _samples_that_fit_a_request(self) -> int:
        return (self.info.room_bytes - 2) // (2 * self.info.num_channels)

    def _samples_at_once(self) -> int:
        """How many samples fit a request, with their labels in the reply."""
        info = self.info
        labels = (info.room_bytes - 4) // messages.label_bytes(info.num_classes, info.decides)
        # A window may be half over: n samples see at most n // T + 1 ends.
        samples = labels if info.label_every_step else max(1, (labels - 1) * info.window_length)
        return min(samples, self._samples_that_fit_a_request())

    def _trace_part(self, counts: NDArray[np.int16]) -> bytes:
        fields = self._request(Type.TRACE, messages.pack_counts(counts))
        wanted = len(counts) * self.info.row_bytes
        rows = fields[2:]
        if len(rows) < wanted and len(counts) == 1:
            rows = self._read_parts(Type.ROW, wanted, rows)
        if fields[:2] != messages.pack_counts(counts)[:2] or len(rows) != wanted:
            raise DeviceError(
                f"tracing on {self.name}: {len(rows)} bytes, expected {wanted} of {len(counts)} steps. Is the firmware "
                "of this release of edge_seq?"
            )
        return rows

    def _read_parts(self, kind: Type, wanted: int, begun: bytes = b"") -> bytes:
        content = bytearray(begun)  # grows in place: a device may send it byte by byte
        while len(content) < wanted:
            fields = self._request(kind, messages.pack_part(len(content)))
            offset, part = messages.unpack_part(fields, kind.name)
            if offset != len(content) or not part or len(part) > wanted - len(content):
                raise DeviceError(
                    f"reading {kind.name} from {self.name}: {len(part)} bytes at {offset}, expected 1 to "
                    f"{wanted - len(content)} at {len(content)}. Is the firmware of this release of edge_seq?"
                )
            content += part
        return bytes(content)

    def _texts(self, item: Item, index: int, expected: int) -> tuple[str, ...]:
        return messages.unpack_texts(self._request(Type.DESCRIBE, messages.pack_describe(item, index)), expected)

    def _empty(self, kind: Type) -> None:
        if fields := self._request(kind):
            raise DeviceError(f"reading a {kind.name} message from {self.name}: {len(fields)} bytes, expected none")

    def _require(self, capability: Capability, doing: str) -> None:
        if capability not in self.info.capabilities:
            raise DeviceError(
                f"{self.name} ({self.info.board}) cannot {doing}: its port gives none. Has: "
                f"{', '.join(one.name or '' for one in Capability if one in self.info.capabilities) or 'nothing'}"
            )

    def _say_hello(self) -> Hello:
        return messages.unpack_hello(self._request(Type.HELLO))

    # ------------------------------------------------------------------------------------------------------- the wire

    def _forget_line(self) -> None:
        """Of a port that was closed: half a frame, and replies. Whole frames of a stream stay."""
        self._rest, self._skipping = b"", False
        self._replies: deque[Frame] = deque(maxlen=WAITING_FRAMES)

    def _receive(self, timeout_s: float) -> None:
        """Wait for some bytes, for a short while, and sort the frames in them."""
        self._keep_ticking()
        received = self._transport.read(min(timeout_s, TICK_S))
        self.counters.received_bytes += len(received)
        split = split_frames(self._rest, received, skipping=self._skipping)
        self._rest, self._skipping = split.rest, split.skipping
        self.counters.faults.update(split.faults)
        self.counters.frames += len(split.frames)
        for frame in split.frames:
            of_stream = frame.type in (Type.SAMPLES, Type.DECISION) and frame.version == PROTOCOL_VERSION
            (self._stream_frames if of_stream else self._replies).append(frame)

    def _keep_ticking(self) -> None:
        now_s = time.monotonic()
        if now_s - self._ticked_s >= TICK_S:
            self._ticked_s = now_s
            self._tick()

    def _request(self, kind: Type, fields: bytes = b"", *, timeout_s: float | None = None) -> bytes:
        """Send a request until it is answered; the device does it once, however often it comes.

        Returns:
            The reply's fields.

        Raises:
            DeviceRefusedError: with the device's code and words; DeviceRestartedError: where it forgot the session.
            DeviceError: where no answer came.
        """
        timeout_s = self._timing.timeout_s if timeout_s is None else timeout_s
        self._sequence = (self._sequence + 1) % SEQUENCES
        encoded = encode_frame(encode_body(Frame(kind, self._sequence, fields)))
        frames_before, bytes_before = self.counters.frames, self.counters.received_bytes
        for attempt in range(1 + self._timing.retries):
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
            f"no answer to {kind.name} from {self.name} in {1 + self._timing.retries} tries of {timeout_s:g} s. {hint} "
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
                f"{kind.name} to {self.name}: the device has started anew since this session began, so its states are "
                "those after a reset. Begin again with the first sample"
            )
        name = ErrorCode(code).name if code in set(ErrorCode) else "unknown"
        raise DeviceRefusedError(f"{self.name} refuses {kind.name}: {text} (code {code}, {name})", code)


class _Follow:
    """Makes blocks of the frames of a stream: unwraps indices, counts what is missing."""

    def __init__(self, info: Hello) -> None:
        self._channels, self._classes, self._decides = info.num_channels, info.num_classes, info.decides
        self._next: int | None = None
        self._restarted = False
        self._last: NDArray[np.int16] = np.zeros((0, info.num_channels), dtype=np.int16)  # ends before _next
        self._dropped = 0
        self.boot = info.boot

    def restart(self, boot: int) -> None:
        """The device started anew: indices begin anew."""
        self.boot, self._next, self._restarted = boot, None, True

    def take(self, frame: Frame) -> SampleBlock | Decision | None:
        """A block or decision; None for a frame whose samples were there already.

        Raises:
            DeviceError: where the fields are not possible.
        """
        if frame.type == Type.DECISION:
            decision = messages.unpack_stream_decision(frame.fields, self._classes, decides=self._decides)
            if self._next is None:
                return None  # of samples that this stream never saw
            return replace(decision, position=self._next + _signed(decision.position - self._next))
        samples = messages.unpack_samples(frame.fields, self._channels)
        if not len(samples.counts):
            return None
        ahead = 0 if self._next is None else _signed(samples.first_index - self._next)
        counts = samples.counts
        if ahead < 0 and self._repeats(counts, -ahead):
            counts, ahead = counts[-ahead:], 0
            if not len(counts):
                return None
        if self._next is None:
            first = samples.first_index
        elif 0 <= ahead <= MOST_AHEAD:
            first = self._next + ahead
        else:  # a device that started anew unseen, or a frame that lies: what was lost is not known
            first, ahead, self._restarted = samples.first_index, 0, True
        self._next, self._last = first + len(counts), counts
        restarted, self._restarted = self._restarted, False
        # The device counts from 0 again when its stream is switched on.
        dropped = samples.dropped - self._dropped if samples.dropped >= self._dropped else samples.dropped
        self._dropped = samples.dropped
        return SampleBlock(first, counts, ahead, restarted, min(dropped, ahead))

    def _repeats(self, counts: NDArray[np.int16], back: int) -> bool:
        """Whether samples from ``back`` before the next on were there already, as far as the last block reaches."""
        if back > len(self._last):
            return False
        seen = self._last[len(self._last) - back :][: len(counts)]
        return bool(np.array_equal(counts[: len(seen)], seen))


def _no_tick() -> None:
    """Outside a stream nobody waits to be called."""


def _layout(hello: Hello) -> tuple[object, ...]:
    """What the fields of a device's messages depend on, and what it may be asked for."""
    return (
        *(hello.abi, hello.num_channels, hello.num_classes, hello.window_length, hello.label_every_step, hello.carry),
        *(hello.state_words, hello.pool_words, hello.state_bytes, hello.max_body_bytes, hello.capabilities),
    )


def _signed(difference: int) -> int:
    """The nearest number that is so modulo 2^32."""
    return (difference + INDICES // 2) % INDICES - INDICES // 2


def connect(opener: Opener, *, name: str = "device", timing: Timing | None = None) -> Device:
    """A device on any transport, for example a twin in this process.

    Raises:
        DeviceError, PortLostError: as :func:`open_device`.
    """
    return Device(name, opener, timing or Timing())


def open_device(
    port: str,
    *,
    baud: int = DEFAULT_BAUD,
    timing: Timing | None = None,
    wrap: Callable[[Transport], Transport] = lambda transport: transport,
) -> Device:
    """Open a port, by name or URL of pyserial, and say hello.

    Args:
        port: for example ``/dev/ttyACM0``, ``COM3`` or ``socket://host:port``.
        baud: of the firmware; no matter on USB.
        timing: how patient to be.
        wrap: put around each transport that is opened, for tests.

    Raises:
        PortLostError: where the port cannot be opened.
        DeviceError: where no device answers, or one of another protocol.
    """
    return Device(port, lambda: wrap(open_transport(port, baud=baud)), timing or Timing())
