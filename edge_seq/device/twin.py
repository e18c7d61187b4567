"""A simulated device in this process: the wire protocol of SPEC.md with the integer reference instead of the C.

It is for tests of everything that talks to a board. It answers with the same bytes as ``runtime/wire/es_wire.c``,
except for the name of the board.

    twin = Twin(model)
    with connect(lambda: LoopbackTransport(twin.receive)) as device:
        device.push(counts)
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge_seq.arithmetic.fixed_point import COARSE_LIMIT, FINE_LIMIT
from edge_seq.backends.adapt import learn, nothing_learned, restore_learned, save_learned, saved_bytes
from edge_seq.backends.decision import decision_of_words, decision_words
from edge_seq.backends.preprocess import PreprocessState
from edge_seq.backends.reference_int import (
    NO_LABEL,
    FrontState,
    LayerState,
    State,
    begin_window,
    head_place,
    layer_state,
    reset_state,
    sample,
    state_words,
)
from edge_seq.device import messages
from edge_seq.device.framing import (
    HEADER,
    PROTOCOL_VERSION,
    Frame,
    encode_body,
    encode_frame,
    split_frames,
)
from edge_seq.device.messages import (
    REPLY,
    RUNTIME_VERSION,
    Capability,
    Cost,
    Decision,
    ErrorCode,
    HeadStatus,
    HeadUse,
    Hello,
    Item,
    Samples,
    SelfTest,
    StreamFlag,
    Type,
)
from edge_seq.ir.kinds import kind_of
from edge_seq.ir.model import POOLED_NAMES, IntModel, PoolName, model_hash
from edge_seq.ir.range_proof import SUM_LIMIT
from edge_seq.ir.rows import QUAD, is_coarse, operand_columns, padded
from edge_seq.support.errors import DataError, DeviceError

ABI = 3  # ES_ABI in edge_seq.h; tests compare the twin's answers with those of the C, byte for byte
STREAM_SAMPLES = 16  # most samples in a frame
PASSED = SelfTest(0, 0, 0)
FIFO_SAMPLES = 64  # samples that the sensor keeps until they are read


REFUSALS = {
    ErrorCode.VERSION: f"protocol version is {PROTOCOL_VERSION}",
    ErrorCode.SESSION: "no session: send HELLO first",
    ErrorCode.SEQUENCE: "sequence number is not new",
    ErrorCode.TYPE: "no such request",
    ErrorCode.LENGTH: "wrong length for this request",
    ErrorCode.VALUE: "value is out of range",
    ErrorCode.UNSUPPORTED: "not supported by this board",
    ErrorCode.STATE: "state is damaged or from another model",
}
ANY = -1
FIELD_BYTES = {
    Type.HELLO: 0,
    Type.DESCRIBE: 3,
    Type.RESET: 0,
    Type.PUSH: ANY,
    Type.TRACE: ANY,
    Type.ROW: 4,
    Type.STATE_READ: 4,
    Type.STATE_WRITE: ANY,
    Type.STATE_RESTORE: 0,
    Type.SELF_TEST: 0,
    Type.COST: 0,
    Type.STREAM: 2,
}
LEARNING_BYTES = {
    Type.ADAPT_STATUS: 0,
    Type.ADAPT_LEARN: 2,
    Type.ADAPT_USE: 1,
    Type.ADAPT_READ: 4,
    Type.ADAPT_WRITE: ANY,
    Type.ADAPT_RESTORE: 0,
}


class _RefusedError(Exception):
    def __init__(self, code: ErrorCode) -> None:
        super().__init__(code)
        self.code = code


class Twin:
    """A simulated board with a model.

    Args:
        model: verified integer model.
        recording: raw counts of the sensor, int16 [n, C], played in a loop; None for a board without a sensor.
        samples_so_far: function that returns the number of samples since the start; it must never decrease.
        max_body_bytes: largest body that the board takes and sends.
        boot: see :attr:`Hello.boot`.
        self_test: result that the board reports for its self-test.
        examples: number of examples that its head can learn; 0 for a head that does not learn.
    """

    def __init__(
        self,
        model: IntModel,
        *,
        recording: NDArray[np.int16] | None = None,
        samples_so_far: Callable[[], int] = lambda: 0,
        max_body_bytes: int = 1024,
        boot: int = 1,
        self_test: SelfTest = PASSED,
        examples: int = 0,
    ) -> None:
        self.model, self.recording, self.samples_so_far = model, recording, samples_so_far
        self._max_body, self._boot, self._self_test, self._examples = max_body_bytes, boot, self_test, examples
        self._lesson: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None  # logits and place of the latest label
        self._power_up()

    def _power_up(self) -> None:
        self._learned = nothing_learned(self.model, self._examples) if self._examples else None
        self._learned_bytes = bytearray(0 if self._learned is None else saved_bytes(self._learned))
        self._reset()
        self._row = np.zeros(0, dtype=np.int32)
        self._decision: Decision | None = None
        self._rest, self._skipping, self.frame_errors = b"", False, 0
        self._session = False
        self._last: tuple[int, int] = (0, 0)
        self._last_reply = b""
        self._saved = bytearray(self._state_bytes())
        self._steps = 0
        self._flags = StreamFlag.OFF
        self._taken = self.samples_so_far()
        self._dropped = 0
        self._batch, self._has_index = STREAM_SAMPLES, False
        self._pending: list[NDArray[np.int16]] = []
        self._stream_sequence = 0

    def restart(self) -> None:
        """Restart the board, as after a short loss of power."""
        self._boot += 1
        self._power_up()

    def receive(self, data: bytes) -> bytes:
        """Receive bytes and return the bytes that the device sends: replies, then samples."""
        split = split_frames(self._rest, data, skipping=self._skipping, limit=self._max_body)
        self._rest, self._skipping = split.rest, split.skipping
        self.frame_errors += len(split.faults)
        sent = b"".join(self._answer(frame) for frame in split.frames)
        return sent + self._stream()

    # ------------------------------------------------------------------------------------------------------- requests

    def _answer(self, frame: Frame) -> bytes:
        if frame.version != PROTOCOL_VERSION:
            return self._error(frame, ErrorCode.VERSION)
        content = zlib.crc32(HEADER.pack(frame.version, frame.type, frame.sequence) + frame.fields)
        if frame.type != Type.HELLO:
            if not self._session:
                return self._error(frame, ErrorCode.SESSION)
            if frame.sequence == self._last[0]:
                if content == self._last[1]:
                    return encode_frame(self._last_reply)
                return self._error(frame, ErrorCode.SEQUENCE)
            if (frame.sequence - self._last[0]) % 65536 >= 32768:
                return self._error(frame, ErrorCode.SEQUENCE)
        self._session, self._last = True, (frame.sequence, content)
        try:
            fields = self._serve(frame)
            self._last_reply = encode_body(Frame(frame.type | REPLY, frame.sequence, fields))
        except _RefusedError as refusal:
            fields = messages.pack_error(frame.type, refusal.code, REFUSALS[refusal.code])
            self._last_reply = encode_body(Frame(Type.ERROR, frame.sequence, fields))
        return encode_frame(self._last_reply)

    @staticmethod
    def _error(frame: Frame, code: ErrorCode) -> bytes:
        """Error reply to a request that is out of order. It does not replace the latest reply."""
        fields = messages.pack_error(frame.type, code, REFUSALS[code])
        return encode_frame(encode_body(Frame(Type.ERROR, frame.sequence, fields)))

    def _serve(self, frame: Frame) -> bytes:
        fields = frame.fields
        known = FIELD_BYTES if self._learned is None else FIELD_BYTES | LEARNING_BYTES
        expected = known.get(Type(frame.type)) if frame.type in set(Type) else None
        if expected is None:
            raise _RefusedError(ErrorCode.TYPE)
        if expected not in (ANY, len(fields)):
            raise _RefusedError(ErrorCode.LENGTH)
        match frame.type:
            case Type.HELLO:
                self._flags = StreamFlag.OFF
                return messages.pack_hello(self.hello())
            case Type.DESCRIBE:
                return self._describe(fields[0], int.from_bytes(fields[1:], "little"))
            case Type.RESET:
                self._reset()
                return b""
            case Type.PUSH:
                return self._push(self._counts(fields))
            case Type.TRACE:
                return self._trace(self._counts(fields))
            case Type.ROW:
                return self._part(
                    fields, messages.pack_rows(self._row[np.newaxis], self.hello()) if self._has_row else b""
                )
            case Type.STATE_READ:
                if fields == bytes(4):
                    self._saved[:] = self._save()
                return self._part(fields, bytes(self._saved))
            case Type.STATE_WRITE:
                return self._write(self._saved, fields, "STATE_WRITE")
            case Type.STATE_RESTORE:
                self._restore(bytes(self._saved))
                return b""
            case Type.SELF_TEST:
                self._reset()
                return messages.pack_self_test(self._self_test)
            case Type.COST:
                return messages.pack_cost(Cost(self._steps, 0, 0, 0, 0, None, "none"))
            case Type.STREAM:
                return self._set_stream(fields[0], fields[1])
            case _:
                return self._serve_learning(Type(frame.type), fields)

    def hello(self) -> Hello:
        """The board's reply to HELLO."""
        model = self.model
        capabilities = Capability.SELF_TEST | Capability.STATE
        if self.recording is not None:
            capabilities |= Capability.SENSOR
        if (stage := model.readout.decision) is not None:
            capabilities |= Capability.DECISION
            capabilities |= Capability.NONE if stage.unknown_distance is None else Capability.DISTANCE
        capabilities |= Capability.NONE if self._learned is None else Capability.LEARNING
        return Hello(
            model_hash=model_hash(model),
            boot=self._boot,
            abi=ABI,
            num_channels=model.num_channels,
            num_classes=model.num_classes,
            num_layers=len(model.layers),
            window_length=model.contract.window_length,
            state_words=sum(len(word) for word in self._state_words()),
            pool_words=self._read_out_words(),
            label_every_step=model.readout.label_every == "sample",
            carry=model.readout.at_window_end == "carry",
            capabilities=capabilities,
            max_body_bytes=self._max_body,
            state_bytes=self._state_bytes(),
            context_bytes=0,
            memory_bytes=0,
            free_stack_bytes=None,
            frame_errors=self.frame_errors % 2**32,
            runtime_version=RUNTIME_VERSION,
            board="twin",
            num_magnitudes=len(model.contract.magnitude_axes),
        )

    def _describe(self, kind: int, index: int) -> bytes:
        model, contract = self.model, self.model.contract
        match kind:
            case Item.GENERAL if index == 0:
                rate, stride = repr(contract.sample_rate_hz), str(contract.window_stride)
                return messages.pack_texts([rate, contract.preprocessing.text, stride])
            case Item.CHANNEL if index < contract.num_channels:
                channel = contract.channels[index]
                numbers = [repr(channel.counts_per_unit), repr(channel.full_scale)]
                return messages.pack_texts([channel.name, channel.unit, *numbers])
            case Item.LABEL if index < model.num_classes:
                return messages.pack_texts([model.labels[index]])
            case _:
                raise _RefusedError(ErrorCode.VALUE)

    def _counts(self, fields: bytes) -> NDArray[np.int16]:
        try:
            counts = messages.unpack_counts(fields, self.model.num_channels)
        except DeviceError:
            raise _RefusedError(ErrorCode.LENGTH) from None
        if not len(counts):
            raise _RefusedError(ErrorCode.VALUE)
        return counts

    def _room(self) -> int:
        return self._max_body - 8

    def _push(self, counts: NDArray[np.int16]) -> bytes:
        each = messages.label_bytes(self.model.num_classes, self.model.readout.decision is not None)
        if 4 + self._labels_in(len(counts)) * each > self._room():
            raise _RefusedError(ErrorCode.LENGTH)
        decisions = []
        for position, row in enumerate(counts):
            self._step(row)
            if self._decision is not None:
                decisions.append(replace(self._decision, position=position))
        return messages.pack_decisions(len(counts), decisions)

    def _labels_in(self, samples: int) -> int:
        """Number of labels due in the next samples."""
        if self.model.readout.label_every == "sample":
            return samples
        length = self.model.contract.window_length
        return (self._state.step_in_window % length + samples) // length

    def _trace(self, counts: NDArray[np.int16]) -> bytes:
        if len(counts) > 1 and 2 + len(counts) * self.hello().row_bytes > self._room():
            raise _RefusedError(ErrorCode.LENGTH)
        rows = []
        for row in counts:
            self._step(row)
            rows.append(self._row)
        packed = messages.pack_rows(np.stack(rows), self.hello())
        return struct.pack("<H", len(counts)) + packed[: self._room() - 2]

    def _part(self, fields: bytes, content: bytes) -> bytes:
        (offset,) = struct.unpack("<I", fields)
        if offset >= len(content):
            raise _RefusedError(ErrorCode.VALUE)
        return messages.pack_part(offset, content[offset : offset + self._room() - 4])

    def _set_stream(self, flags: int, batch: int) -> bytes:
        if flags > 3:
            raise _RefusedError(ErrorCode.VALUE)
        if flags and self.recording is None:
            raise _RefusedError(ErrorCode.UNSUPPORTED)
        if flags and not self._flags:
            self._taken = self.samples_so_far()
        if flags & StreamFlag.DECISIONS:
            self._reset()
        self._flags, self._pending, self._dropped, self._has_index = StreamFlag(flags), [], 0, False
        self._batch = STREAM_SAMPLES if batch == 0 else min(batch, STREAM_SAMPLES)
        return messages.pack_stream(self._flags, self._batch)

    # ------------------------------------------------------------------------------------------- a head that learns

    def _serve_learning(self, kind: Type, fields: bytes) -> bytes:
        assert self._learned is not None
        match kind:
            case Type.ADAPT_LEARN:
                self._learn(int.from_bytes(fields, "little"))
            case Type.ADAPT_USE:
                self._use_head(fields[0])
            case Type.ADAPT_READ:
                if fields == bytes(4):
                    self._learned_bytes[:] = save_learned(self.model, self._learned)
                return self._part(fields, bytes(self._learned_bytes))
            case Type.ADAPT_WRITE:
                return self._write(self._learned_bytes, fields, "ADAPT_WRITE")
            case Type.ADAPT_RESTORE:
                try:
                    self._learned = restore_learned(self.model, bytes(self._learned_bytes), self._examples)
                except DataError:
                    raise _RefusedError(ErrorCode.STATE) from None
            case _:
                pass  # ADAPT_STATUS
        learned = self._learned
        size = saved_bytes(learned)
        return messages.pack_head_status(
            HeadStatus(learned.in_use, learned.samples, learned.held, len(learned.steps), size)
        )

    def _learn(self, label: int) -> None:
        assert self._learned is not None
        if label >= self.model.num_classes:
            raise _RefusedError(ErrorCode.VALUE)
        if self._lesson is None:
            raise _RefusedError(ErrorCode.STATE)
        self._learned = learn(self._learned, *self._lesson, label)
        self._lesson = None

    def _use_head(self, use: int) -> None:
        assert self._learned is not None
        if use not in set(HeadUse):
            raise _RefusedError(ErrorCode.VALUE)
        if use == HeadUse.FORGET:
            fresh = nothing_learned(self.model, self._examples)
            self._learned = replace(fresh, in_use=self._learned.in_use)
        else:
            self._learned = replace(self._learned, in_use=use == HeadUse.LEARNED)

    # ---------------------------------------------------------------------------------------------------------- model

    def _reset(self) -> None:
        self._state = reset_state(self.model, 1)
        self._has_row = False
        self._lesson = None

    def _step(self, counts: NDArray[np.int16]) -> None:
        model = self.model
        if self._state.step_in_window == model.contract.window_length:
            self._state = begin_window(model, self._state)
        self._state, values = sample(model, counts[np.newaxis], self._state, self._learned)
        label = int(values["label"][0, 0])
        due = label != NO_LABEL
        if due and self._learned is not None:
            self._lesson = values["logits"][0], head_place(model, values)[0]
        read_out = []
        for one in model.readout.statistics:
            read_out += np.split(values[POOLED_NAMES[one]][0], model.top_parts)
        read_out += [values[f"dense{index}"][0] for index in range(len(model.dense))]
        read_out = [np.pad(part, (0, -len(part) % QUAD)) for part in read_out]  # each direction is padded
        named = [values[name][0] for name in ("logits", "label", "scores", "excess", "decision") if name in values]
        parts = [values["features"][0], *self._state_words(), *read_out, *named]
        self._row = np.concatenate(parts).astype(np.int32)
        self._has_row = True
        decided = int(values["decision"][0, 0]) if "decision" in values else None
        self._decision = Decision(0, label, tuple(values["logits"][0].tolist()), decided) if due else None
        self._steps = min(self._steps + 1, 2**32 - 1)

    def _state_words(self) -> list[NDArray[np.int64]]:
        return [array[0] for array in state_words(self.model, self._state)]

    def _remembers(self) -> bool:
        return self.model.contract.preprocessing.step != "none"

    def _read_out_words(self) -> int:
        """Number of words of what is read out of the states, and of the outputs of dense layers."""
        states = self.model.top_parts * padded(self.model.hidden_sizes[-1])
        return len(self.model.readout.statistics) * states + sum(map(padded, self.model.dense_sizes))

    def _pool_words(self) -> int:
        """Number of words of the pools of a window."""
        return sum(self.model.top_parts * padded(size) for size in self.model.pool_sizes.values())

    def _pool_content(self) -> NDArray[np.int64]:
        """The pools of the window as they are saved, [_pool_words]: sums, then largest operands."""
        pools = {"pool_sum": self._state.pool_sum, "pool_max": self._state.pool_max}
        return np.concatenate([np.zeros(0, dtype=np.int64), *(pools[name][0] for name in self.model.pool_sizes)])

    def _state_bytes(self) -> int:
        words = sum(len(word) for word in self._state_words())
        memory = self.model.num_channels if self._remembers() else 0
        return 16 + 4 * (memory + self._pool_words() + self._decision_words().size) + 2 * words

    def _decision_words(self) -> NDArray[np.int64]:
        """Words of the decision stage, [1, N]; N is 0 without a stage."""
        decision = self._state.decision
        return np.zeros((1, 0), dtype=np.int64) if decision is None else decision_words(decision)

    def _save(self) -> bytes:
        """Saved state (SPEC.md, section 13)."""
        state, model = self._state, self.model
        counts = struct.pack("<HH", state.step_in_window, state.preprocess.primed)
        content = bytes.fromhex(model_hash(model))[:8] + counts
        if self._remembers():
            content += state.preprocess.memory[0].astype("<i4").tobytes()
        content += self._pool_content().astype("<i4").tobytes()
        content += self._decision_words().astype("<i4").tobytes()
        content += b"".join(word.astype("<i2").tobytes() for word in self._state_words())
        return content + struct.pack("<I", zlib.crc32(content))

    @staticmethod
    def _write(buffer: bytearray, fields: bytes, what: str) -> bytes:
        if len(fields) < 5:
            raise _RefusedError(ErrorCode.LENGTH)
        offset, part = messages.unpack_part(fields, what)
        if offset >= len(buffer) or offset + len(part) > len(buffer):
            raise _RefusedError(ErrorCode.VALUE)
        buffer[offset : offset + len(part)] = part
        return messages.pack_part(offset + len(part))

    def _restore(self, content: bytes) -> None:
        model = self.model
        if content[:8] != bytes.fromhex(model_hash(model))[:8] or content[-4:] != struct.pack(
            "<I", zlib.crc32(content[:-4])
        ):
            raise _RefusedError(ErrorCode.STATE)
        count, primed = struct.unpack_from("<HH", content, 8)
        at = 12

        def take(dtype: str, size: int) -> NDArray[np.int64]:
            nonlocal at
            array = np.frombuffer(content, dtype=dtype, count=size, offset=at).astype(np.int64)
            at += array.size * np.dtype(dtype).itemsize
            return array[np.newaxis]

        fresh = reset_state(model, 1)
        memory = take("<i4", model.num_channels if self._remembers() else 0)
        parts = model.top_parts
        pools = {name: take("<i4", parts * padded(size)) for name, size in model.pool_sizes.items()}
        decision, stage = None, model.readout.decision
        if stage is not None:
            decision = decision_of_words(stage, model.num_classes, take("<i4", self._decision_words().size))
            if decision is None:
                raise _RefusedError(ErrorCode.STATE)
        front = []
        for index, one in enumerate(fresh.front):
            ring, output = take("<i2", one.ring[0].size), take("<i2", one.output.shape[1])
            front.append(FrontState(ring.reshape(one.ring.shape), output))
            units = model.front_inputs[index], model.front_sizes[index]
            if not _front_possible(front[-1], *units, first=index == 0):
                raise _RefusedError(ErrorCode.STATE)
        kept = []
        for inputs, (index, seen) in zip(fresh.kept, model.kept_inputs.items(), strict=True):
            kept.append(tuple(take("<i2", one.shape[1]) for one in inputs))
            of_features = index in model.stages[0] and not model.front
            if not all(_input_possible(one, *seen, of_features=of_features) for one in kept[-1]):
                raise _RefusedError(ErrorCode.STATE)
        layers = []
        for cell, size in zip(model.layers, map(padded, model.hidden_sizes), strict=True):
            kind = kind_of(cell)
            layers.append(layer_state(kind, {name: take("<i2", size) for name in kind.saved}))
        if count > model.contract.window_length or primed > 1 or not self._possible(count, memory, pools, layers):
            raise _RefusedError(ErrorCode.STATE)
        self._lesson = None
        remembered = memory.astype(np.int32) if self._remembers() else fresh.preprocess.memory
        self._has_row = False
        self._state = State(
            tuple(layers),
            PreprocessState(bool(primed), remembered),
            pools.get("pool_sum", fresh.pool_sum),
            pools.get("pool_max", fresh.pool_max),
            count,
            decision,
            tuple(front),
            tuple(kept),
        )

    def _possible(
        self,
        count: int,
        memory: NDArray[np.int64],
        pools: Mapping[PoolName, NDArray[np.int64]],
        layers: list[LayerState],
    ) -> bool:
        """True if a state's words are in the ranges that the range proof relies on, and its padding is zero."""
        limit = {"none": 0, "difference": 2**15, "remove_gravity": 2**29}[self.model.contract.preprocessing.step]
        if (memory < -limit).any() or (memory >= limit).any():
            return False
        ended = count == self.model.contract.window_length
        for name, whole in pools.items():
            for index, pool in zip(self.model.stages[-1], np.split(whole, self.model.top_parts, axis=1), strict=True):
                steps = self.model.steps_after(count) if ended or index < self.model.streamed else 0
                times = steps if name == "pool_sum" else min(steps, 1)
                coarse = is_coarse(pool.shape[1])
                lowest = -times * np.where(coarse, COARSE_LIMIT, FINE_LIMIT)
                highest = times * np.where(coarse, COARSE_LIMIT, FINE_LIMIT - 1)
                if self.model.readout.flattens:
                    highest = np.full_like(highest, SUM_LIMIT * min(steps, 1))
                    lowest = -highest
                if (pool < lowest).any() or (pool > highest).any() or pool[:, self.model.pool_sizes[name] :].any():
                    return False
        for layer, size in zip(layers, self.model.hidden_sizes, strict=True):
            coarse = layer.operands[0, is_coarse(layer.operands.shape[1])]
            padding = [words[:, size:] for words in (layer.operands, layer.hidden, layer.cell)]
            if (np.abs(coarse) > COARSE_LIMIT).any() or any(words.any() for words in padding):
                return False
        return True

    # --------------------------------------------------------------------------------------------------------- stream

    def _stream(self) -> bytes:
        if not self._flags or self.recording is None:
            return b""
        sent = b""
        so_far = self.samples_so_far()
        if so_far - self._taken > FIFO_SAMPLES:
            sent += self._send_samples()
            self._dropped += so_far - FIFO_SAMPLES - self._taken if self._has_index else 0
            self._taken = so_far - FIFO_SAMPLES
        while self._taken < so_far:
            sent += self._take_sample(self.recording[self._taken % len(self.recording)])
        return sent

    def _take_sample(self, sample: NDArray[np.int16]) -> bytes:
        index, sent, self._has_index = self._taken % 2**32, b"", True
        self._taken += 1
        if self._flags & StreamFlag.SAMPLES:
            self._pending.append(sample)
            if len(self._pending) == self._batch:
                sent += self._send_samples()
        if self._flags & StreamFlag.DECISIONS:
            self._step(sample)
            if self._decision is not None:
                decision = replace(self._decision, position=index)
                sent += self._send_samples()
                sent += self._unasked(Type.DECISION, messages.pack_stream_decision(decision))
        return sent

    def _send_samples(self) -> bytes:
        if not self._pending:
            return b""
        first, counts = (self._taken - len(self._pending)) % 2**32, np.stack(self._pending)
        self._pending = []
        return self._unasked(Type.SAMPLES, messages.pack_samples(Samples(first, self._dropped % 2**32, counts)))

    def _unasked(self, kind: Type, fields: bytes) -> bytes:
        self._stream_sequence = (self._stream_sequence + 1) % 65536
        return encode_frame(encode_body(Frame(kind, self._stream_sequence, fields)))


def _input_possible(words: NDArray[np.int64], units: int, parts: int, *, of_features: bool) -> bool:
    """True if an input [1, P] that is kept has coarse operands within their range, and zeros as padding."""
    seen = range(units) if of_features else operand_columns(units, parts)
    coarse = words[:, is_coarse(words.shape[1])]
    return not np.delete(words, seen, axis=1).any() and (of_features or not (np.abs(coarse) > COARSE_LIMIT).any())


def _front_possible(state: FrontState, inputs: int, units: int, *, first: bool) -> bool:
    """True if coarse operands are within their range and padding is zero. ``first``: the ring holds features."""
    operands = [(state.output[0], units), *([] if first else [(slot, inputs) for slot in state.ring[0]])]
    coarse = [words[is_coarse(len(words))] for words, _ in operands]
    padding = [words[size:] for words, size in operands] + [state.ring[0, :, inputs:]]
    return not any((np.abs(words) > COARSE_LIMIT).any() for words in coarse) and not any(p.any() for p in padding)
