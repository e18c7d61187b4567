"""The mailbox between an emulator and its firmware (``runtime/port/bare/es_mail.h``): orders in, answers out."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_seq.ir.model import IntModel
from edge_seq.support.errors import ToolError
from firmware_export.emission.words import word_columns

_FIELDS = 7
_HASH_BYTES = 32
MAIL_BYTES = 4 * _FIELDS + _HASH_BYTES


class Harnessed(Protocol):
    """A program with the harness: an image or a WebAssembly module."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the models, in the order of their index."""

    @property
    def traced(self) -> bool:
        """True if the trace contains gates too."""

    @property
    def buffer_bytes(self) -> int:
        """Size of the harness's buffer."""


@dataclass(frozen=True)
class Order:
    """An order to run some samples, in the byte order of the machine.

    Attributes:
        head: the fields of the mailbox that the emulator writes.
        counts: raw counts, to be written to the start of the buffer.
        samples: number of samples.
        words_offset: offset of the answer's words in the buffer, bytes.
        word_bytes: size of these words, bytes.
    """

    head: bytes
    counts: bytes
    samples: int
    words_offset: int
    word_bytes: int


def order_mark(byte_order: Literal["little", "big"]) -> str:
    """Byte order character for struct and numpy."""
    return "<" if byte_order == "little" else ">"


def samples_at_once(model: IntModel, *, buffer_bytes: int, traced: bool, keep: bool) -> int:
    """Number of samples that fit the buffer, with their words if they are kept.

    Raises:
        ToolError: the buffer is too small for one sample.
    """
    _, words = word_columns(model, traced=traced)
    each = 2 * model.num_channels + (4 * words if keep else 0)
    samples = (buffer_bytes - 4) // each
    if samples < 1:
        raise ToolError(
            f"running {model.name}: a step needs {each} bytes of the harness's buffer, which has {buffer_bytes}; raise "
            "memory.buffer_bytes of the target, or run a smaller model"
        )
    return samples


def make_orders(
    image: Harnessed,
    model: IntModel,
    counts: NDArray[np.int16],
    *,
    mark: str,
    keep: bool = True,
    at_once: int | None = None,
) -> Iterator[Order]:
    """Yield orders for all samples of ``counts``, window after window; each order holds as many samples as fit.

    Args:
        image: program that contains the model.
        model: model to run.
        counts: raw counts, int16 [B, T, C].
        mark: byte order of the machine, from :func:`order_mark`.
        keep: True to return the words of each step.
        at_once: largest number of samples per order; None for as many as fit.

    Raises:
        ToolError: the buffer is too small for one step.
        ConfigError: the target is not a bare machine.
    """
    flat = counts.reshape(-1, counts.shape[2])
    _, row_words = word_columns(model, traced=image.traced)
    room = image.buffer_bytes
    most = samples_at_once(model, buffer_bytes=room, traced=image.traced, keep=keep)
    at_once = most if at_once is None else min(most, at_once)
    index = image.names.index(model.name)
    for first in range(0, len(flat), at_once):
        part = flat[first : first + at_once]
        yield Order(
            head=struct.pack(f"{mark}5I", index, first == 0, len(part), counts.shape[1], keep),
            counts=part.astype(f"{mark}i2").tobytes(),
            samples=len(part),
            words_offset=(part.size + 1) // 2 * 4,
            word_bytes=4 * row_words * len(part) if keep else 0,
        )


def open_answer(answer: bytes, model: IntModel, *, traced: bool, mark: str, where: str) -> str:
    """Check the mailbox fields of an answer; returns the hash of the model that ran.

    Raises:
        ToolError: the firmware could not create a context, or its words have another layout than in this release.
    """
    *_, status, row_words = struct.unpack(f"{mark}{_FIELDS}I", answer[: 4 * _FIELDS])
    if status:
        raise ToolError(f"running {model.name} on {where}: es_init failed with status {status}; see es_status_t")
    _, expected = word_columns(model, traced=traced)
    if row_words != expected:
        raise ToolError(
            f"running {model.name} on {where}: a step has {row_words} words, expected {expected}; the image is of "
            "another release. Build it again"
        )
    return answer[4 * _FIELDS :].hex()
