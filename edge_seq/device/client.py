"""Host side of the wire protocol: requests with timeouts and retries, and streams in which every loss is counted.

with open_device("/dev/ttyACM0") as device:
    device.reset()
    for decision in device.push(counts):
        print(decision.label)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edge_seq.device import messages
from edge_seq.device.follow import Follow, SampleBlock
from edge_seq.device.line import Counters, Line, Timing
from edge_seq.device.load import ModelLoad, load_model
from edge_seq.device.messages import (
    Capability,
    Cost,
    Decision,
    HeadStatus,
    HeadUse,
    Hello,
    Item,
    ModelSlots,
    SelfTest,
    StreamFlag,
    Type,
)
from edge_seq.device.transport import DEFAULT_BAUD, Opener, Transport, open_transport
from edge_seq.ir.contract import SensorContract
from edge_seq.support.errors import DeviceError, PortLostError

MAX_BATCH = 255


@dataclass(frozen=True)
class DeviceContract:
    """Sensor contract and labels as a device reports them. All are texts, cut to ``TEXT_BYTES`` bytes.

    Attributes:
        sample_rate_hz: sample rate in Hz, decimal text.
        preprocessing: preprocessing with its numbers, for example ``remove_gravity, shift 6, magnitude, companding 5``.
        window_stride: window stride in samples, decimal text.
        channels: name, unit, counts per unit and full scale of each channel.
        labels: class labels.
    """

    sample_rate_hz: str
    preprocessing: str
    window_stride: str
    channels: tuple[tuple[str, str, str, str], ...]
    labels: tuple[str, ...]


def expected_contract(contract: SensorContract, labels: tuple[str, ...]) -> DeviceContract:
    """Return what a device reports if its model has this contract and these labels."""

    def cut(text: str) -> str:
        return messages.clean_text(messages.cut_text(text))

    return DeviceContract(
        sample_rate_hz=cut(repr(contract.sample_rate_hz)),
        preprocessing=cut(contract.preprocessing.text),
        window_stride=cut(str(contract.window_stride)),
        channels=tuple(
            (cut(c.name), cut(c.unit), cut(repr(c.counts_per_unit)), cut(repr(c.full_scale))) for c in contract.channels
        ),
        labels=tuple(map(cut, labels)),
    )


class Device:
    """An open device that has answered HELLO. Create one with :func:`open_device` or :func:`connect`.

    Attributes:
        info: the device's latest reply to HELLO.
    """

    def __init__(self, name: str, opener: Opener, timing: Timing) -> None:
        self._line = Line(name, opener, timing)
        try:
            self.info = self._line.hello()
        except BaseException:
            self._line.close()
            raise

    def __enter__(self) -> Device:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the port."""
        self._line.close()

    @property
    def name(self) -> str:
        """Name of the port, used in messages."""
        return self._line.name

    @property
    def counters(self) -> Counters:
        """Transmission errors so far."""
        return self._line.counters

    @property
    def frame_errors(self) -> int:
        """Number of invalid frames received."""
        return self.counters.faults.total()

    def patience(self, timing: Timing) -> AbstractContextManager[None]:
        """Use other timeouts within a ``with`` block."""
        return self._line.patience(timing)

    # ------------------------------------------------------------------------------------------------------ requests

    def hello(self) -> Hello:
        """Start a new session. The device's streams are switched off; its states stay.

        Raises:
            DeviceError: no device answers, or it speaks another protocol version.
        """
        self.info = self._line.hello()
        return self.info

    def contract(self) -> DeviceContract:
        """Ask the device for its sensor contract and labels."""
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
        """Set all states to zero and start a new window."""
        self._empty(Type.RESET)

    def push(self, counts: NDArray[np.int16]) -> list[Decision]:
        """Run the model on samples.

        Args:
            counts: raw counts, int16 [n, C], n >= 1.

        Returns:
            The labels that were due. Their positions count from the first of these samples.

        Raises:
            DeviceError: ``counts`` has another dtype or shape, or the device does not answer.
            DeviceRestartedError: the device restarted since the session began. No sample was pushed since.
        """
        counts = self._checked(counts)
        at_once = self._samples_at_once()
        decisions: list[Decision] = []
        for first in range(0, len(counts), at_once):
            part = counts[first : first + at_once]
            fields = self._line.request(Type.PUSH, messages.pack_counts(part))
            due = messages.unpack_decisions(fields, self.info.num_classes, len(part), decides=self.info.decides)
            decisions += [replace(one, position=first + one.position) for one in due]
        return decisions

    def trace(self, counts: NDArray[np.int16]) -> NDArray[np.int32]:
        """Run the model on samples and return all intermediate values.

        Args:
            counts: raw counts, int16 [n, C], n >= 1.

        Returns:
            int32 [n, row_words]. Each row holds features [C], states [state_words], pooled operands and outputs of
            dense layers [pool_words], logits [K] and label. A decision stage adds scores [K], the excess of its
            distance (if it has one) and the decision (K: unknown). In steps without a label, logits and scores are 0,
            label and decision are -1.
        """
        counts = self._checked(counts)
        info = self.info
        fit_reply = max(1, (info.room_bytes - 2) // info.row_bytes)
        at_once = min(fit_reply, self._samples_that_fit_a_request())
        raw = [self._trace_part(counts[first : first + at_once]) for first in range(0, len(counts), at_once)]
        return messages.unpack_rows(b"".join(raw), info)

    def self_test(self) -> SelfTest:
        """Run the golden vectors on the device. Afterwards its states are those of a reset."""
        return messages.unpack_self_test(
            self._line.request(Type.SELF_TEST, timeout_s=self._line.timing.self_test_timeout_s)
        )

    def cost(self) -> Cost:
        """Ask for the measured cost of the model steps since the device started."""
        return messages.unpack_cost(self._line.request(Type.COST))

    def save_state(self) -> bytes:
        """Read the saved state: everything that the next step depends on (SPEC.md, section 13)."""
        self._require(Capability.STATE, "save a state")
        return self._read_parts(Type.STATE_READ, self.info.state_bytes)

    def restore_state(self, state: bytes) -> None:
        """Continue from a saved state.

        Raises:
            DeviceError: the state has another size, or the device cannot restore states.
            DeviceRefusedError: the state is damaged or from another model. The device's states stay as they were.
        """
        self._require(Capability.STATE, "restore a state")
        if len(state) != self.info.state_bytes:
            raise DeviceError(
                f"restoring a state on {self.name}: {len(state)} bytes, expected {self.info.state_bytes}; it is from "
                "another model"
            )
        step = self.info.room_bytes - 4
        for offset in range(0, len(state), step):
            self._line.request(Type.STATE_WRITE, messages.pack_part(offset, state[offset : offset + step]))
        self._empty(Type.STATE_RESTORE)

    # ---------------------------------------------------------------------------------------------- a head that learns

    def head(self) -> HeadStatus:
        """Ask what the head that learns is like.

        Raises:
            DeviceError: the firmware has no such head.
        """
        self._require(Capability.LEARNING, "learn")
        return messages.unpack_head_status(self._line.request(Type.ADAPT_STATUS))

    def learn(self, label: int) -> HeadStatus:
        """Let the head learn that the sample of the latest label is of class ``label``, 0 to K - 1.

        Raises:
            DeviceError: the firmware has no such head.
            DeviceRefusedError: there is no such class, or no label since the latest lesson or reset.
        """
        self._require(Capability.LEARNING, "learn")
        return messages.unpack_head_status(self._line.request(Type.ADAPT_LEARN, messages.pack_head_label(label)))

    def use_head(self, use: HeadUse) -> HeadStatus:
        """Give the logits of the factory, correct them, or forget what was learned.

        Raises:
            DeviceError: the firmware has no such head.
        """
        self._require(Capability.LEARNING, "learn")
        return messages.unpack_head_status(self._line.request(Type.ADAPT_USE, bytes([use])))

    def save_learned(self) -> bytes:
        """Read what the head has learned (SPEC.md, section 24).

        Raises:
            DeviceError: the firmware has no head that learns.
            DeviceRefusedError: it has no memory to save what was learned.
        """
        return self._read_parts(Type.ADAPT_READ, self.head().saved_bytes)

    def restore_learned(self, content: bytes) -> HeadStatus:
        """Take what a head has learned before, and switch it on.

        Raises:
            DeviceError: the firmware has no such head, or the number of bytes is another one.
            DeviceRefusedError: the bytes are damaged or from another model. The head stays as it was.
        """
        wanted = self.head().saved_bytes
        if len(content) != wanted:
            raise DeviceError(
                f"restoring what a head has learned on {self.name}: found {len(content):,} bytes, expected {wanted:,}; "
                "it is from another model, or a head with room for another number of examples"
            )
        step = self.info.room_bytes - 4
        for offset in range(0, wanted, step):
            self._line.request(Type.ADAPT_WRITE, messages.pack_part(offset, content[offset : offset + step]))
        return messages.unpack_head_status(self._line.request(Type.ADAPT_RESTORE))

    # -------------------------------------------------------------------------------------------------------- models

    def model_slots(self) -> ModelSlots:
        """Ask for the flash that the device has for models, and where its model came from.

        Raises:
            DeviceError: the firmware takes no models.
        """
        self._require(Capability.MODELS, "take models over the wire")
        return messages.unpack_model_slots(self._line.request(Type.MODEL_STATUS))

    def load_model(
        self, blob: bytes, *, any_contract: bool = False, progress: Callable[[int], None] = lambda _: None
    ) -> ModelLoad:
        """Send a model to the slot that is not in use, and make it the model of the next start.

        What an interrupted load already wrote is not sent again: the checksums of the slot's pages are compared first.
        Before the new model becomes valid, the device checks it and runs its self-test. Whatever happens before that,
        the device keeps its model.

        Args:
            blob: content of the file from ``edge-seq export --blob``.
            any_contract: load it also if its sample rate, channels or labels are not those of the firmware.
            progress: called with the number of bytes that the device has.

        Raises:
            DeviceError: the firmware takes no models, the blob does not fit, or the device refuses it; the message says
                why. Its model is unchanged.
        """
        return load_model(
            self._line,
            blob,
            self.model_slots(),
            room_bytes=self.info.room_bytes,
            any_contract=any_contract,
            progress=progress,
        )

    # ------------------------------------------------------------------------------------------------------- streams

    def stream(
        self, *, decisions: bool = False, batch: int | None = None, tick: Callable[[], None] = lambda: None
    ) -> Generator[SampleBlock | Decision, None, None]:
        """Yield the samples of the device's sensor as they arrive, until the caller stops.

        Each block counts the samples lost before it. The client reopens a port that vanishes (``Timing.reconnect_s``),
        asks a silent device whether it is still there, and tells a device that restarted to stream again.

        Args:
            decisions: the device also resets its model and runs it on the samples. Each label comes after the block
                that holds its sample.
            batch: samples per frame, 1 to 255, limited by the device's frame size. By default the samples of 50 ms at
                the rate of the device's contract.
            tick: called about every :data:`TICK_S` seconds, whether samples arrive or not. An exception that it raises
                ends the stream.

        Raises:
            PortLostError: the port does not come back in time.
            DeviceError: the device has no sensor, or does not answer any more.
        """
        self._require(Capability.SENSOR, "stream samples")
        flags = StreamFlag.SAMPLES | (StreamFlag.DECISIONS if decisions else StreamFlag.OFF)
        switch = messages.pack_stream(flags, self._default_batch() if batch is None else batch)
        follow = Follow(self.info)
        self._line.waiting.clear()  # frames of an earlier stream
        try:
            with self._line.ticking(tick):
                self._start_stream(switch)
                while True:
                    try:
                        frame = self._line.next_of_stream(time.monotonic() + self._line.timing.silence_s)
                        if frame is None:
                            self._revive(switch, follow)
                        elif (item := follow.take(frame)) is not None:
                            self.counters.dropped += item.dropped if isinstance(item, SampleBlock) else 0
                            yield item
                    except PortLostError:
                        self._recover(switch, follow)
        finally:
            self._stop_stream()

    def _default_batch(self) -> int:
        """Samples in 50 ms; 1 if the device's sample rate is not a number."""
        text = self._texts(Item.GENERAL, 0, 3)[0]
        try:
            return int(min(max(float(text) / 20, 1), MAX_BATCH))
        except (ValueError, OverflowError):
            return 1

    def _start_stream(self, switch: bytes) -> None:
        messages.unpack_stream(self._line.request(Type.STREAM, switch))

    def _stop_stream(self) -> None:
        once = replace(self._line.timing, retries=0)
        for _ in range(1 + self._line.timing.retries):
            heard = self.counters.received_bytes
            with suppress(DeviceError), self.patience(once):
                self._line.request(Type.STREAM, messages.pack_stream(StreamFlag.OFF, 0))
                break
            if self.counters.received_bytes == heard:
                break  # the device is gone; the error was raised where this was noticed
        self._line.waiting.clear()

    def _revive(self, switch: bytes, follow: Follow, *, said_hello: bool = False) -> None:
        """Start the stream again after silence or a lost port.

        The device may have restarted, or may never have received the request to stream.
        """
        if not said_hello:
            hello = self._line.hello()
            self._require_same_model(hello)
            self.info = hello
        if self.info.boot != follow.boot:
            self._line.waiting.clear()  # from before the restart; their indices are not valid any more
            follow.restart(self.info.boot)
        self._start_stream(switch)  # waiting frames of the same start stay valid

    def _recover(self, switch: bytes, follow: Follow) -> None:
        """Reopen a lost port and start the stream again. The port may be lost again meanwhile."""
        until = time.monotonic() + self._line.timing.reconnect_s
        while True:
            self.reconnect()
            try:
                self._revive(switch, follow, said_hello=True)
                return
            except PortLostError:
                if time.monotonic() >= until:
                    raise

    def reconnect(self) -> None:
        """Reopen a port that vanished, as soon as it is back and the device answers HELLO.

        Raises:
            PortLostError: the port does not come back in time.
            DeviceError: the device does not answer in time, or has another model or message layout.
        """
        self._line.close()
        until = time.monotonic() + self._line.timing.reconnect_s
        while True:
            try:
                self._line.reopen()
                hello = self._line.hello()
                break
            except DeviceError:  # the port is lost again, or the device is still starting
                self._line.close()
                if time.monotonic() >= until:
                    raise
                self._line.keep_ticking()
                time.sleep(self._line.timing.reconnect_every_s)
        self.counters.reconnects += 1
        self._require_same_model(hello)
        self.info = hello

    def _require_same_model(self, hello: Hello) -> None:
        """Check a HELLO within a stream: behind the same port name there may be another board, or new firmware."""
        before = self.info
        if hello.model_hash != before.model_hash:
            raise DeviceError(
                f"continuing on port {self.name}: the device now has model {hello.model_hash[:16]}..., before it "
                f"had {before.model_hash[:16]}.... Start the stream again"
            )
        if _layout(hello) != _layout(before):
            raise DeviceError(
                f"continuing on port {self.name}: the model is the same as before, the layout of its messages is not: "
                "the firmware was changed. Start the stream again"
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
        """Number of samples that fit one request, with their labels in the reply."""
        info = self.info
        labels = (info.room_bytes - 4) // messages.label_bytes(info.num_classes, info.decides)
        # The first window may have begun earlier, so n samples hold at most n // T + 1 window ends.
        samples = labels if info.label_every_step else max(1, (labels - 1) * info.window_length)
        return min(samples, self._samples_that_fit_a_request())

    def _trace_part(self, counts: NDArray[np.int16]) -> bytes:
        fields = self._line.request(Type.TRACE, messages.pack_counts(counts))
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
        content = bytearray(begun)  # grows in place, as a device may send one byte at a time
        while len(content) < wanted:
            fields = self._line.request(kind, messages.pack_part(len(content)))
            offset, part = messages.unpack_part(fields, kind.name)
            if offset != len(content) or not part or len(part) > wanted - len(content):
                raise DeviceError(
                    f"reading {kind.name} from {self.name}: {len(part)} bytes at {offset}, expected 1 to "
                    f"{wanted - len(content)} at {len(content)}. Is the firmware of this release of edge_seq?"
                )
            content += part
        return bytes(content)

    def _texts(self, item: Item, index: int, expected: int) -> tuple[str, ...]:
        return messages.unpack_texts(self._line.request(Type.DESCRIBE, messages.pack_describe(item, index)), expected)

    def _empty(self, kind: Type) -> None:
        if fields := self._line.request(kind):
            raise DeviceError(f"reading a {kind.name} message from {self.name}: {len(fields)} bytes, expected none")

    def _require(self, capability: Capability, doing: str) -> None:
        if capability not in self.info.capabilities:
            raise DeviceError(
                f"{self.name} ({self.info.board}) cannot {doing}: its port does not support it. Supported: "
                f"{', '.join(one.name or '' for one in Capability if one in self.info.capabilities) or 'nothing'}"
            )


def _layout(hello: Hello) -> tuple[object, ...]:
    """Properties of a device that its message layout and abilities depend on."""
    return (
        *(hello.abi, hello.num_channels, hello.num_magnitudes, hello.num_classes),
        *(hello.window_length, hello.label_every_step, hello.carry),
        *(hello.state_words, hello.pool_words, hello.state_bytes, hello.max_body_bytes, hello.capabilities),
    )


def connect(opener: Opener, *, name: str = "device", timing: Timing | None = None) -> Device:
    """Open a device on any transport, for example a simulated device in this process.

    Raises:
        DeviceError, PortLostError: see :func:`open_device`.
    """
    return Device(name, opener, timing or Timing())


def open_device(
    port: str,
    *,
    baud: int = DEFAULT_BAUD,
    timing: Timing | None = None,
    wrap: Callable[[Transport], Transport] = lambda transport: transport,
) -> Device:
    """Open a port, by name or URL of pyserial, and send HELLO.

    Args:
        port: port name or URL, for example ``/dev/ttyACM0``, ``COM3`` or ``socket://host:port``.
        baud: baud rate. Must match the firmware; USB serial ports ignore it.
        timing: timeouts and retries.
        wrap: function applied to each transport that is opened; used by tests.

    Raises:
        PortLostError: the port cannot be opened.
        DeviceError: no device answers, or it speaks another protocol version.
    """
    return Device(port, lambda: wrap(open_transport(port, baud=baud)), timing or Timing())
