"""Messages as dataclasses, packed to and unpacked from the fields of a frame.

Bytes from a device are untrusted: lengths are checked first, then values.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray

from edge_seq.device.framing import MAX_BODY_BYTES, OVERHEAD_BYTES
from edge_seq.ir.contract import MAX_CHANNELS, MAX_WINDOW_LENGTH
from edge_seq.ir.range_proof import MAX_EXAMPLES
from edge_seq.support.errors import DeviceError
from edge_seq.support.names import is_printable
from edge_seq.support.results import Result

RUNTIME_VERSION = "0.1.0"  # ES_WIRE_RUNTIME
REPLY = 0x80  # the type of a reply is the type of its request with this bit set
HASH_BYTES = 32
MIN_BODY_BYTES = 256  # every device takes and sends at least this
TEXT_BYTES = 40  # longest text on the wire; longer ones are cut at a character boundary
NO_LABEL = 0xFFFF
MAX_CLASSES = 256
UNKNOWN_BYTES = 0xFFFFFFFF
MAX_STATE_BYTES = 1 << 20


class Type(IntEnum):
    """Message types: requests, and from 0xC0 on the messages that a device sends by itself."""

    HELLO = 0x01
    DESCRIBE = 0x02
    RESET = 0x03
    PUSH = 0x04
    TRACE = 0x05
    ROW = 0x06
    STATE_READ = 0x07
    STATE_WRITE = 0x08
    STATE_RESTORE = 0x09
    SELF_TEST = 0x0A
    COST = 0x0B
    STREAM = 0x0C
    MODEL_STATUS = 0x10
    MODEL_WRITE = 0x11
    MODEL_CHECK = 0x12
    MODEL_COMMIT = 0x13
    ADAPT_STATUS = 0x18
    ADAPT_LEARN = 0x19
    ADAPT_USE = 0x1A
    ADAPT_READ = 0x1B
    ADAPT_WRITE = 0x1C
    ADAPT_RESTORE = 0x1D
    SAMPLES = 0xC0
    DECISION = 0xC1
    ERROR = 0xFF


class ErrorCode(IntEnum):
    """Reason why a device refuses a request."""

    VERSION = 1
    SESSION = 2
    SEQUENCE = 3
    TYPE = 4
    LENGTH = 5
    VALUE = 6
    UNSUPPORTED = 7
    STATE = 8
    RUNTIME = 9


class Item(IntEnum):
    """Kind of text that DESCRIBE asks for."""

    GENERAL = 0
    CHANNEL = 1
    LABEL = 2


class StreamFlag(IntFlag):
    """Messages that a device sends by itself while it streams."""

    OFF = 0
    SAMPLES = 1
    DECISIONS = 2


class Capability(IntFlag):
    """Abilities of a device (golden vectors, sensor, memory for a state, flash for models, a head that learns) and of
    its model (decision stage, distance)."""

    NONE = 0
    SELF_TEST = 1
    SENSOR = 2
    STATE = 4
    DECISION = 8
    DISTANCE = 16
    MODELS = 32
    LEARNING = 64


class _Reader:
    """Reads values from the fields of a message, never beyond their end."""

    def __init__(self, fields: bytes, what: str) -> None:
        self._fields, self._at, self._what = fields, 0, what

    def take(self, size: int) -> bytes:
        if size > len(self._fields) - self._at:
            raise DeviceError(
                f"reading a {self._what} message: it ends after {len(self._fields)} bytes, expected at least "
                f"{self._at + size}. Is the firmware of this release of edge_seq?"
            )
        self._at += size
        return self._fields[self._at - size : self._at]

    def numbers(self, form: str) -> tuple[int, ...]:
        layout = struct.Struct("<" + form)
        return layout.unpack(self.take(layout.size))

    def text(self) -> str:
        (length,) = self.numbers("B")
        return clean_text(self.take(length))

    def rest(self) -> bytes:
        return self.take(len(self._fields) - self._at)

    def end(self) -> None:
        if self._at != len(self._fields):
            raise DeviceError(
                f"reading a {self._what} message: {len(self._fields)} bytes, expected {self._at}. Is the firmware of "
                "this release of edge_seq?"
            )


def clean_text(raw: bytes) -> str:
    """Decode a device's text for printing: at most 255 bytes; what is not UTF-8 or not printable becomes ``?``."""
    return printable(raw[:255].decode("utf-8", "replace"))


def printable(text: str) -> str:
    """Make untrusted text safe to print: unprintable characters become ``?``.

    >>> printable("a\\x1b[2J")
    'a?[2J'
    """
    return "".join(character if is_printable(character) and character != "\ufffd" else "?" for character in text)


def cut_text(text: str) -> bytes:
    """Encode as UTF-8, cut to at most :data:`TEXT_BYTES` at a character boundary."""
    return text.encode("utf-8")[:TEXT_BYTES].decode("utf-8", "ignore").encode("utf-8")


def pack_text(text: str) -> bytes:
    """Length byte and UTF-8 bytes of a text."""
    raw = cut_text(text)
    return bytes([len(raw)]) + raw


@dataclass(frozen=True)
class Hello:
    """Identity and sizes of a device, as it reports them in HELLO.

    Attributes:
        model_hash: hash of the model, 64 hexadecimal digits.
        boot: number that differs from one start of the device to the next.
        abi: version of the layout of the generated data, ES_ABI.
        num_channels, num_classes, num_layers, window_length: C, K, L, T.
        state_words: size of all layers' states, 16-bit words.
        pool_words: size of the pooled operands and of the outputs of dense layers, 16-bit words.
        label_every_step: True if a label is due after each sample, False if at the end of each window.
        carry: True if states are carried over the end of a window.
        capabilities: abilities of the device besides running its model.
        max_body_bytes: largest body that the device receives and sends.
        state_bytes: size of a saved state.
        context_bytes: memory that the model needs.
        memory_bytes: memory that the device has for the model.
        free_stack_bytes: stack that was never used since the start; None if the device does not know.
        frame_errors: pieces received by the device since its start that were not valid frames.
        runtime_version: release of the C runtime.
        board: name that the port of the runtime gives itself.
        num_magnitudes: features besides those of the channels.
    """

    model_hash: str
    boot: int
    abi: int
    num_channels: int
    num_classes: int
    num_layers: int
    window_length: int
    state_words: int
    pool_words: int
    label_every_step: bool
    carry: bool
    capabilities: Capability
    max_body_bytes: int
    state_bytes: int
    context_bytes: int
    memory_bytes: int
    free_stack_bytes: int | None
    frame_errors: int
    runtime_version: str
    board: str
    num_magnitudes: int = 0

    @property
    def decides(self) -> bool:
        """True if the model has a decision stage."""
        return Capability.DECISION in self.capabilities

    @property
    def row_words(self) -> int:
        """Number of values of a traced step.

        These are features, states, pooled operands, logits and label; with a decision stage also its scores, its excess
        of distance (if it has a distance) and its decision.
        """
        return self._plain_words + (1 + self.decides) * (self.num_classes + 1) + self._by_distance

    @property
    def row_bytes(self) -> int:
        """Size of a traced step on the wire, bytes."""
        return self.row_layout.itemsize

    @property
    def _by_distance(self) -> bool:
        return self.decides and Capability.DISTANCE in self.capabilities

    @property
    def _plain_words(self) -> int:
        return self.num_channels + self.num_magnitudes + self.state_words + self.pool_words

    @property
    def row_layout(self) -> np.dtype[np.void]:
        """Structured dtype of a traced step on the wire."""
        fields = [("words", "<i2", self._plain_words), ("logits", "<i4", self.num_classes), ("label", "<i2", 1)]
        excess = [("excess", "<i4", 1)] if self._by_distance else []
        decided = [("scores", "<i4", self.num_classes), *excess, ("decision", "<i2", 1)] if self.decides else []
        return np.dtype([(name, kind, (size,)) for name, kind, size in (*fields, *decided)])

    @property
    def room_bytes(self) -> int:
        """Largest size of the fields of a frame of this device, bytes."""
        return self.max_body_bytes - OVERHEAD_BYTES


_MAGNITUDE = 256  # added to the capabilities for each magnitude
_HELLO = "IHHHHHHHBBHHIIIII"


def pack_hello(hello: Hello) -> bytes:
    """Fields of the reply to HELLO."""
    numbers = struct.pack(
        "<" + _HELLO,
        hello.boot,
        hello.abi,
        hello.num_channels,
        hello.num_classes,
        hello.num_layers,
        hello.window_length,
        hello.state_words,
        hello.pool_words,
        hello.label_every_step,
        hello.carry,
        hello.capabilities + _MAGNITUDE * hello.num_magnitudes,
        hello.max_body_bytes,
        hello.state_bytes,
        hello.context_bytes,
        hello.memory_bytes,
        UNKNOWN_BYTES if hello.free_stack_bytes is None else hello.free_stack_bytes,
        hello.frame_errors,
    )
    return bytes.fromhex(hello.model_hash) + numbers + pack_text(hello.runtime_version) + pack_text(hello.board)


def unpack_hello(fields: bytes) -> Hello:
    """Inverse of :func:`pack_hello`.

    Raises:
        DeviceError: the reply is too short or too long, or a size is out of range.
    """
    reader = _Reader(fields, "HELLO")
    digest = reader.take(HASH_BYTES).hex()
    boot, abi, channels, classes, layers, window, states, pools, every, carry, has, body, *last = reader.numbers(_HELLO)
    state_bytes, context_bytes, memory_bytes, free_stack, frame_errors = last
    version, board = reader.text(), reader.text()
    reader.end()
    # Largest size of a saved state (SPEC.md, section 13), with room for the memory of a decision stage. A board that
    # cannot save states says 0.
    decides = bool(has & Capability.DECISION)
    most_state = min(MAX_STATE_BYTES, 16 + 4 * (channels + pools + 4 * classes + 64) + 2 * states)
    for name, value, low, high in (
        ("channels", channels, 1, MAX_CHANNELS),
        ("magnitudes", has // _MAGNITUDE, 0, channels),
        ("classes", classes, 2, MAX_CLASSES),
        ("layers", layers, 1, 8),
        ("samples a window", window, 1, MAX_WINDOW_LENGTH),
        ("bytes a frame", body, max(MIN_BODY_BYTES, least_body_bytes(channels, classes, decides)), MAX_BODY_BYTES),
        ("bytes of a saved state", state_bytes, 17 if has & Capability.STATE else 0, most_state),
    ):
        if not low <= value <= high:
            raise DeviceError(
                f"reading a HELLO message: {value} {name}, expected {low} to {high}. Build the firmware again"
            )
    return Hello(
        model_hash=digest,
        boot=boot,
        abi=abi,
        num_channels=channels,
        num_classes=classes,
        num_layers=layers,
        window_length=window,
        state_words=states,
        pool_words=pools,
        label_every_step=bool(every),
        carry=bool(carry),
        capabilities=Capability(has & sum(Capability)),
        max_body_bytes=body,
        state_bytes=state_bytes,
        context_bytes=context_bytes,
        memory_bytes=memory_bytes,
        free_stack_bytes=None if free_stack == UNKNOWN_BYTES else free_stack,
        frame_errors=frame_errors,
        runtime_version=version,
        board=board,
        num_magnitudes=has // _MAGNITUDE,
    )


def label_bytes(num_classes: int, decides: bool) -> int:
    """Size of one label in the reply to PUSH, bytes: position, label, logits, and decision if ``decides``."""
    return 4 + 4 * num_classes + 2 * decides


def least_body_bytes(num_channels: int, num_classes: int, decides: bool) -> int:
    """Smallest body size of a device that can answer one pushed sample with its label and send one sensor sample."""
    return OVERHEAD_BYTES + max(4 + label_bytes(num_classes, decides), 10 + 2 * num_channels)


def pack_describe(item: Item, index: int) -> bytes:
    """Fields of DESCRIBE."""
    return struct.pack("<BH", item, index)


def pack_texts(texts: Sequence[str]) -> bytes:
    """Fields of the reply to DESCRIBE."""
    return bytes([len(texts)]) + b"".join(pack_text(text) for text in texts)


def unpack_texts(fields: bytes, expected: int) -> tuple[str, ...]:
    """Inverse of :func:`pack_texts`.

    Raises:
        DeviceError: the number of texts is not ``expected``.
    """
    reader = _Reader(fields, "DESCRIBE")
    (found,) = reader.numbers("B")
    if found != expected:
        raise DeviceError(f"reading a DESCRIBE message: {found} texts, expected {expected}. Build the firmware again")
    texts = tuple(reader.text() for _ in range(found))
    reader.end()
    return texts


def pack_counts(counts: NDArray[np.int16]) -> bytes:
    """Fields of PUSH and TRACE: counts int16 [n, C]."""
    return struct.pack("<H", len(counts)) + counts.astype("<i2").tobytes()


def unpack_counts(fields: bytes, num_channels: int) -> NDArray[np.int16]:
    """Inverse of :func:`pack_counts`: int16 [n, C].

    Raises:
        DeviceError: the length does not match the number of samples.
    """
    reader = _Reader(fields, "PUSH")
    (samples,) = reader.numbers("H")
    raw = reader.take(2 * samples * num_channels)
    reader.end()
    return np.frombuffer(raw, dtype="<i2").astype(np.int16).reshape(samples, num_channels)


@dataclass(frozen=True)
class Decision:
    """A label that was due.

    Attributes:
        position: index of its sample among the samples pushed, from 0; in a stream the stream index of the sample.
        label: class index.
        logits: one per class, Q16.
        decision: output of the decision stage after this label: a class index, or K for unknown. None if the model has
            no decision stage.
    """

    position: int
    label: int
    logits: tuple[int, ...]
    decision: int | None = None


def _pack_decision(decision: Decision, position: str) -> bytes:
    decided = b"" if decision.decision is None else struct.pack("<H", decision.decision)
    form = f"<{position}H{len(decision.logits)}i"
    return struct.pack(form, decision.position, decision.label, *decision.logits) + decided


def _unpack_decision(reader: _Reader, num_classes: int, position: str, decides: bool) -> Decision:
    at, label, *logits = reader.numbers(f"{position}H{num_classes}i")
    (decision,) = reader.numbers("H") if decides else (None,)
    if label >= num_classes:
        raise DeviceError(f"reading a decision: label {label}, expected 0 to {num_classes - 1}")
    if decision is not None and decision > num_classes:
        raise DeviceError(f"reading a decision: decision {decision}, expected 0 to {num_classes}")
    return Decision(at, label, tuple(logits), decision)


def pack_decisions(samples: int, decisions: Sequence[Decision]) -> bytes:
    """Fields of the reply to PUSH."""
    packed = (_pack_decision(decision, "H") for decision in decisions)
    return struct.pack("<HH", samples, len(decisions)) + b"".join(packed)


def unpack_decisions(fields: bytes, num_classes: int, samples: int, *, decides: bool) -> list[Decision]:
    """Inverse of :func:`pack_decisions`.

    Raises:
        DeviceError: the reply is not for ``samples`` samples, or a label or decision is not a class.
    """
    reader = _Reader(fields, "PUSH")
    done, count = reader.numbers("HH")
    if done != samples or count > samples:
        raise DeviceError(
            f"reading a PUSH message: {done} samples taken and {count} labels, expected {samples} samples and at most "
            "as many labels"
        )
    decisions = [_unpack_decision(reader, num_classes, "H", decides) for _ in range(count)]
    reader.end()
    return decisions


def pack_stream_decision(decision: Decision) -> bytes:
    """Fields of DECISION."""
    return _pack_decision(decision, "I")


def unpack_stream_decision(fields: bytes, num_classes: int, *, decides: bool) -> Decision:
    """Inverse of :func:`pack_stream_decision`."""
    reader = _Reader(fields, "DECISION")
    decision = _unpack_decision(reader, num_classes, "I", decides)
    reader.end()
    return decision


def unpack_rows(raw: bytes, hello: Hello) -> NDArray[np.int32]:
    """Traced steps int32 [n, row_words] from complete rows as sent on the wire."""
    rows = np.frombuffer(raw, dtype=hello.row_layout)
    return np.concatenate([rows[name].astype(np.int32) for name in rows.dtype.names or ()], axis=1)


def pack_rows(rows: NDArray[np.int32], hello: Hello) -> bytes:
    """Inverse of :func:`unpack_rows`."""
    packed = np.zeros(len(rows), dtype=hello.row_layout)
    at = 0
    for name in packed.dtype.names or ():
        size = packed[name].shape[1]
        packed[name] = rows[:, at : at + size]
        at += size
    return packed.tobytes()


def pack_part(offset: int, content: bytes = b"") -> bytes:
    """Fields of ROW, STATE_READ and STATE_WRITE and of their replies: byte offset of a part, and its content."""
    return struct.pack("<I", offset) + content


def unpack_part(fields: bytes, what: str) -> tuple[int, bytes]:
    """Inverse of :func:`pack_part`."""
    reader = _Reader(fields, what)
    (offset,) = reader.numbers("I")
    return offset, reader.rest()


IN_CONSTANTS = 0xFFFF  # window of a self-test whose checksums differ; ES_CONSTANTS in edge_seq.h


@dataclass(frozen=True)
class SelfTest:
    """Result of the self-test on the device: the checksums of the constants, then the golden vectors.

    Attributes:
        status: es_status_t; 0 if all values match.
        window, step: position of the first mismatch; window 65535 if the constants differ from their checksum.
    """

    status: int
    window: int
    step: int

    @property
    def passed(self) -> bool:
        """True if the device computed the same values as the reference."""
        return self.status == 0

    @property
    def fault(self) -> str:
        """Describe the difference, for a message.

        >>> SelfTest(7, 2, 31).fault, SelfTest(7, 65535, 0).fault
        ('window 2, time step 31', 'the constants differ from their checksum')
        """
        if self.window == IN_CONSTANTS:
            return "the constants differ from their checksum"
        return f"window {self.window}, time step {self.step}"


def pack_self_test(result: SelfTest) -> bytes:
    """Fields of the reply to SELF_TEST."""
    return struct.pack("<BHH", result.status, result.window, result.step)


def unpack_self_test(fields: bytes) -> SelfTest:
    """Inverse of :func:`pack_self_test`."""
    reader = _Reader(fields, "SELF_TEST")
    status, window, step = reader.numbers("BHH")
    reader.end()
    return SelfTest(status, window, step)


@dataclass(frozen=True)
class ModelSlots(Result):
    """Flash of a device for models (SPEC.md, section 21).

    Attributes:
        active: slot that the running model came from, 1 or 2; 0 for the model that is built into the firmware.
        sequence: number of the update that brought it; 0 for the built-in model.
        blob_bytes: largest blob.
        page_bytes: what one erasure clears.
        write_bytes: what is written at once.
    """

    active: int
    sequence: int
    blob_bytes: int
    page_bytes: int
    write_bytes: int


SLOT_HEADER_BYTES = 64
MAX_PAGE_BYTES = 1 << 20
MAX_WRITE_BYTES = 64
# Texts of the es_status_t that MODEL_WRITE and MODEL_COMMIT report.
MODEL_FAULTS = {
    2: "a part of it was sent to a place where no part can begin",
    3: "it was made for another version of the runtime, or has a kind of layer that the firmware does not load",
    4: "it needs more memory than the firmware has",
    5: "its slot in the flash is not aligned",
    7: "its self-test failed on the board",
    9: "it arrived damaged, or its numbers cannot be",
    10: "it was made for the other byte order",
    11: "its sample rate, channels or labels are not those of the firmware",
    12: "the flash does not hold what was written to it",
}
FLASH_FAULT = 12


def unpack_model_slots(fields: bytes) -> ModelSlots:
    """Fields of the reply to MODEL_STATUS.

    Raises:
        DeviceError: the fields are too short or too long, or a value cannot be.
    """
    reader = _Reader(fields, "MODEL_STATUS")
    slots = ModelSlots(*reader.numbers("BIIII"))
    reader.end()
    if (
        slots.active > 2
        or not 1 <= slots.write_bytes <= MAX_WRITE_BYTES
        or not MAX_WRITE_BYTES <= slots.page_bytes <= MAX_PAGE_BYTES
        or slots.page_bytes % slots.write_bytes
    ):
        raise DeviceError(
            f"reading a MODEL_STATUS message: slot {slots.active}, pages of {slots.page_bytes} and writes of "
            f"{slots.write_bytes} bytes cannot be. Is the firmware of this release of edge_seq?"
        )
    return slots


def pack_model_check(offset: int, count: int) -> bytes:
    """Fields of MODEL_CHECK: first byte of the blob, and number of bytes."""
    return struct.pack("<II", offset, count)


def unpack_model_check(fields: bytes) -> int:
    """CRC-32 in the reply to MODEL_CHECK."""
    reader = _Reader(fields, "MODEL_CHECK")
    (crc,) = reader.numbers("I")
    reader.end()
    return crc


def pack_model_commit(size: int, *, any_contract: bool) -> bytes:
    """Fields of MODEL_COMMIT: bytes of the blob, and whether another contract is asked for."""
    return struct.pack("<IB", size, any_contract)


def unpack_model_written(fields: bytes) -> int:
    """es_status_t in the reply to MODEL_WRITE."""
    reader = _Reader(fields, "MODEL_WRITE")
    (status,) = reader.numbers("B")
    reader.end()
    return status


class HeadUse(IntEnum):
    """What a head that learns shall do: give the logits of the factory, correct them, or forget what was learned."""

    FACTORY = 0
    LEARNED = 1
    FORGET = 2


@dataclass(frozen=True)
class HeadStatus(Result):
    """A head that learns (SPEC.md, section 24).

    Attributes:
        in_use: True if logits are corrected by what was learned, False if they are those of the factory.
        samples: labelled samples so far, at most 65535.
        held: examples that are held.
        examples: examples that there is room for.
        saved_bytes: bytes of what was learned.
    """

    in_use: bool
    samples: int
    held: int
    examples: int
    saved_bytes: int


def pack_head_status(status: HeadStatus) -> bytes:
    """Fields of the replies to ADAPT_STATUS, ADAPT_LEARN, ADAPT_USE and ADAPT_RESTORE."""
    return struct.pack("<BHHHI", status.in_use, status.samples, status.held, status.examples, status.saved_bytes)


def unpack_head_status(fields: bytes) -> HeadStatus:
    """Inverse of :func:`pack_head_status`.

    Raises:
        DeviceError: the fields are too short or too long, or a value cannot be.
    """
    reader = _Reader(fields, "ADAPT_STATUS")
    in_use, *numbers = reader.numbers("BHHHI")
    reader.end()
    status = HeadStatus(bool(in_use), *numbers)
    if (
        in_use > 1
        or not 1 <= status.examples <= MAX_EXAMPLES
        or status.held > status.examples
        or not (20 + 5 * status.examples <= status.saved_bytes <= MAX_STATE_BYTES)
    ):
        raise DeviceError(
            f"reading an ADAPT_STATUS message: {status.held} of {status.examples} examples in {status.saved_bytes:,} "
            "bytes cannot be. Is the firmware of this release of edge_seq?"
        )
    return status


def pack_head_label(label: int) -> bytes:
    """Fields of ADAPT_LEARN: the class index of the latest label's sample."""
    return struct.pack("<H", label)


@dataclass(frozen=True)
class Cost(Result):
    """Measured cost of the model steps since the device started.

    Attributes:
        steps: number of steps measured.
        last, lowest, highest: ticks of one step; 0 before the first.
        total: ticks of all steps.
        ticks_hz: ticks per second; None if the port does not know.
        unit: name that the port gives to a tick, for example ``cycles``.
    """

    derived = ("mean", "mean_us")

    steps: int
    last: int
    lowest: int
    highest: int
    total: int
    ticks_hz: int | None
    unit: str

    @property
    def mean(self) -> float:
        """Mean ticks per step."""
        return self.total / self.steps if self.steps else 0.0

    @property
    def mean_us(self) -> float | None:
        """Mean microseconds per step; None if the port does not know its clock."""
        return 1e6 * self.mean / self.ticks_hz if self.ticks_hz else None


def pack_cost(cost: Cost) -> bytes:
    """Fields of the reply to COST."""
    numbers = struct.pack("<IIIIQI", cost.steps, cost.last, cost.lowest, cost.highest, cost.total, cost.ticks_hz or 0)
    return numbers + pack_text(cost.unit)


def unpack_cost(fields: bytes) -> Cost:
    """Inverse of :func:`pack_cost`."""
    reader = _Reader(fields, "COST")
    steps, last, lowest, highest, total, ticks_hz = reader.numbers("IIIIQI")
    unit = reader.text()
    reader.end()
    return Cost(steps, last, lowest, highest, total, ticks_hz or None, unit)


def pack_stream(flags: StreamFlag, batch: int) -> bytes:
    """Fields of STREAM and of its reply: flags, and samples per frame (0 in a request: as many as fit)."""
    return bytes([flags, batch])


def unpack_stream(fields: bytes) -> tuple[StreamFlag, int]:
    """Inverse of :func:`pack_stream`."""
    reader = _Reader(fields, "STREAM")
    flags, batch = reader.numbers("BB")
    reader.end()
    return StreamFlag(flags & 3), batch


@dataclass(frozen=True)
class Samples:
    """Consecutive samples of the device's sensor.

    Attributes:
        first_index: index of the first sample, counted from the start of the device, modulo 2^32.
        dropped: samples that the device was too late to read since the stream was switched on, modulo 2^32.
        counts: raw counts, int16 [n, C].
    """

    first_index: int
    dropped: int
    counts: NDArray[np.int16]


def pack_samples(samples: Samples) -> bytes:
    """Fields of SAMPLES."""
    return struct.pack("<II", samples.first_index, samples.dropped) + pack_counts(samples.counts)


def unpack_samples(fields: bytes, num_channels: int) -> Samples:
    """Inverse of :func:`pack_samples`."""
    reader = _Reader(fields, "SAMPLES")
    first, dropped = reader.numbers("II")
    return Samples(first, dropped, unpack_counts(reader.rest(), num_channels))


def pack_error(request: int, code: int, text: str) -> bytes:
    """Fields of ERROR."""
    return struct.pack("<BH", request, code) + pack_text(text)


def unpack_error(fields: bytes) -> tuple[int, int, str]:
    """Inverse of :func:`pack_error`: type of the request, error code, text."""
    reader = _Reader(fields, "ERROR")
    request, code = reader.numbers("BH")
    text = reader.text()
    reader.end()
    return request, code, text
