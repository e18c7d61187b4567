"""A model as a blob: its constants and golden vectors in one file, which a firmware loads while it runs.

SPEC.md, section 20, defines the bytes; ``runtime/load/es_load.c`` reads them. A blob holds no positions and no sizes
that follow from others, so that a loader has little to check.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_never

from edge_seq.ir.front import Conv, TimePool
from edge_seq.ir.kind_names import ACTIVATIONS, POOLINGS
from edge_seq.ir.kinds import FastGrnn, Gru, Layer, Lstm, Rnn, narrow_bits
from edge_seq.ir.model import IntModel, model_hash
from edge_seq.ir.rows import IntRows
from edge_seq.ir.verify import verify
from edge_seq.support.errors import ConfigError, ModelError
from edge_seq.support.opening import open_regular, read_bytes
from firmware_export.emission.constants import constant_arrays
from firmware_export.emission.emit import constants_checksums, contract_texts, require_golden_of
from firmware_export.emission.golden import GoldenVectors
from firmware_export.emission.layout import BLOCK_BYTES, front_numbers, front_pad, pack_model

ByteOrder = Literal["little", "big"]
BYTE_ORDERS: tuple[ByteOrder, ...] = get_args(ByteOrder)
MAGIC = b"ESBL"
BLOB_VERSION = 1
HEADER_BYTES = 64
MAX_BYTES = 1 << 24
ABI = 3  # ES_ABI in edge_seq.h; a test loads what is written here
BACKWARD = 8  # added to the number of a layer's kind
NIBBLES = 16  # likewise, with weights of 4 bits
_PREPROCESSING = ("none", "difference", "remove_gravity")
_MAGNITUDE = 256  # added to the number of channels for each magnitude
_COMPANDING_UNIT = 4  # added to the number of a step for each bit of companding
_TIME_POOLS = ("mean", "max")
# Types of the numbers in an element of a table, as numpy names them without a byte order.
_ELEMENTS: dict[str, np.dtype[Any]] = {
    "ES_INT8": np.dtype("i1"),
    "ES_INT16": np.dtype("i2"),
    "ES_INT32": np.dtype("i4"),
    "ES_BLOCK": np.dtype([("bias", "i4", 4), ("multiplier", "i2", 4)]),
}
assert _ELEMENTS["ES_BLOCK"].itemsize == BLOCK_BYTES


def choose_byte_order(name: str) -> ByteOrder:
    """Return the byte order with the given name.

    Raises:
        ConfigError: there is none with this name.

    >>> choose_byte_order("little")
    'little'
    """
    for order in BYTE_ORDERS:
        if order == name:
            return order
    raise ConfigError(
        f"byte order {name!r} is unknown; give one of {', '.join(BYTE_ORDERS)}. Cortex-M, RISC-V, ESP32, AVR and PCs "
        "are little"
    )


def _kind_number(layer: Layer[IntRows]) -> int:
    match layer:
        case Rnn():
            return 0
        case Gru():
            return 1
        case Lstm():
            return 2
        case FastGrnn():
            return 3
        case unreachable:
            assert_never(unreachable)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 4)


def _words(*numbers: int) -> bytes:
    return b"".join(struct.pack("<H", number % 2**16) for number in numbers)


def _in_order(content: bytes, dtype: np.dtype[Any], order: ByteOrder) -> bytes:
    """Little-endian numbers in the byte order of the blob."""
    numbers = np.frombuffer(content, dtype=dtype.newbyteorder("<"))
    return numbers.astype(dtype.newbyteorder("<" if order == "little" else ">")).tobytes()


def _table(values: NDArray[Any], order: ByteOrder) -> bytes:
    return _padded(values.astype(values.dtype.newbyteorder("<" if order == "little" else ">")).tobytes())


def _numbers(model: IntModel, golden: GoldenVectors, text_bytes: int) -> bytes:
    contract, readout = model.contract, model.readout
    parts = [
        struct.pack("<I", text_bytes),
        _words(
            model.num_channels + _MAGNITUDE * len(contract.magnitude_axes),
            model.num_classes,
            len(model.layers),
            len(model.dense),
            len(model.front),
        ),
        struct.pack("<I", contract.window_stride),
        _words(
            contract.window_length,
            readout.label_every == "sample",
            readout.at_window_end == "carry",
            _PREPROCESSING.index(contract.preprocessing.step)
            + _COMPANDING_UNIT * (contract.preprocessing.companding or 0),
            contract.preprocessing.gravity_shift,
            POOLINGS.index(readout.pooling),
            len(model.number_format.pool_reciprocals),
            *model.number_format.input_shift,
            *(channel for triple in contract.magnitude_axes for channel in triple),
        ),
    ]
    stage = readout.decision
    if stage is None:
        parts.append(struct.pack("<HIIHH", 0, 0, 0, 0, 0))
    else:
        kind = 1 if stage.unknown_distance is None else 2
        numbers = (stage.hysteresis, stage.unknown_margin, stage.smoothing_shift, stage.min_labels)
        parts.append(struct.pack("<HIIHH", kind, *numbers))
    parts.append(_words(*golden.counts.shape[:2], golden.labels.shape[1]))
    parts += [_front_numbers(model, index) for index in range(len(model.front))]
    sizes = zip(model.layers, model.hidden_sizes, model.number_format.cell_frac_bits, strict=True)
    for index, (layer, hidden, bits) in enumerate(sizes):
        kind = _kind_number(layer) + (BACKWARD if index in model.backward else 0)
        parts.append(_words(kind + (NIBBLES if narrow_bits(layer) == 4 else 0), hidden, bits))
    for dense, size in zip(model.dense, model.dense_sizes, strict=True):
        parts.append(_words(ACTIVATIONS.index(dense.activation), size))
    return b"".join(parts)


def _front_numbers(model: IntModel, index: int) -> bytes:
    layer, numbers, pad = model.front[index], front_numbers(model, index), front_pad(model, index)
    match layer:
        case Conv():
            kind = ACTIVATIONS.index(layer.activation)
        case TimePool():
            kind = len(ACTIVATIONS) + _TIME_POOLS.index(layer.statistic)
        case unreachable:
            assert_never(unreachable)
    names = ("units", "taps", "dilation", "stride", "first", "reciprocal", "after")
    return _words(kind, bool(pad), *(numbers[name] for name in names), *pad)


@dataclass(frozen=True)
class Blob:
    """A blob in memory.

    Attributes:
        content: all bytes.
        model_hash: hash of its model, 64 hexadecimal digits.
        byte_order: byte order of the processors that can load it.
    """

    content: bytes
    model_hash: str
    byte_order: ByteOrder


def is_blob(path: Path) -> bool:
    """True if a file can be read and begins as a blob does."""
    try:
        with open_regular(path) as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def read_blob(path: Path) -> Blob:
    """Read a blob from a file, and check its size and checksum.

    Raises:
        ModelError: there is no such file, or it is not a blob, or a damaged one.
    """
    doing = f"reading the blob {path.name}"
    try:
        content = read_bytes(path)
    except OSError as error:
        raise ModelError(
            f"{doing}: {error.strerror}. Give a file that edge-seq export RUN --blob little wrote"
        ) from error
    if len(content) < HEADER_BYTES or not content.startswith(MAGIC) or len(content) > MAX_BYTES:
        raise ModelError(
            f"{doing}: it is not a blob of a model. Give a file that edge-seq export RUN --blob little wrote"
        )
    mark = content[8:10]
    orders: dict[bytes, ByteOrder] = {_mark(order): order for order in BYTE_ORDERS}
    if (
        int.from_bytes(content[12:16], "little") != len(content)
        or int.from_bytes(content[16:20], "little") != zlib.crc32(content[:16] + content[20:])
        or mark not in orders
    ):
        raise ModelError(f"{doing}: it is damaged or cut, its checksum differs. Export it again")
    return Blob(content, content[32:64].hex(), orders[mark])


def _mark(order: ByteOrder) -> bytes:
    """The number 0x0102 in a byte order."""
    return (0x0102).to_bytes(2, order)


def emit_blob(model: IntModel, golden: GoldenVectors, byte_order: ByteOrder = "little") -> bytes:
    """Write a model as a blob. The same model gives the same bytes on every machine.

    Args:
        model: integer model; verified here.
        golden: golden vectors of this model, from :func:`firmware_export.emission.golden.make_golden`.
        byte_order: byte order of the processors that load it.

    Raises:
        ModelError: the model breaks an invariant.
        ExportError: the golden vectors are for another model.
    """
    verify(model)
    require_golden_of(model, golden)
    digest, packed = model_hash(model), pack_model(model)
    texts = b"".join(text.encode("utf-8") + b"\0" for text in [*contract_texts(model), *model.labels])
    body = _padded(_numbers(model, golden, len(texts))) + _padded(texts)
    for array in constant_arrays(model, packed):
        body += _padded(_in_order(array.content, _ELEMENTS[array.element], byte_order))
    body += _table(golden.counts, byte_order) + _table(golden.state_crc, byte_order)
    body += _table(golden.logits, byte_order) + _table(golden.labels, byte_order)
    if golden.decisions is not None:
        body += _table(golden.decisions, byte_order)
    head = (
        MAGIC + _words(BLOB_VERSION, ABI) + _mark(byte_order) + bytes(2) + struct.pack("<I", HEADER_BYTES + len(body))
    )
    tail = struct.pack("<III", *constants_checksums(model, packed, digest)) + bytes.fromhex(digest) + body
    return head + struct.pack("<I", zlib.crc32(head + tail)) + tail
