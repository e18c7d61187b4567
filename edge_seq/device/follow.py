"""Samples of a stream, in blocks in which every loss is counted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge_seq.device import messages
from edge_seq.device.framing import Frame
from edge_seq.device.messages import Decision, Hello, Type

INDICES = 1 << 32
MOST_AHEAD = 1 << 26  # largest believable loss at once, samples (11 hours at 1.6 kHz); beyond it the index is wrong


@dataclass(frozen=True)
class SampleBlock:
    """Consecutive samples of a stream.

    Attributes:
        first_index: index of the first sample, counted since the start of the device; does not wrap.
        counts: raw counts, int16 [n, C].
        lost: samples missing between the previous block and this one, wherever they were lost; 0 for the first block.
        restarted: True if the device restarted before this block, or its index jumped back or far ahead. Indices start
            again, and the number of lost samples is unknown.
        dropped: how many of the lost samples the device was too late to read; the others were lost on the line.
    """

    first_index: int
    counts: NDArray[np.int16]
    lost: int = 0
    restarted: bool = False
    dropped: int = 0


class Follow:
    """Turns the frames of a stream into blocks: unwraps indices and counts missing samples."""

    def __init__(self, info: Hello) -> None:
        self._channels, self._classes, self._decides = info.num_channels, info.num_classes, info.decides
        self._next: int | None = None
        self._restarted = False
        self._last: NDArray[np.int16] = np.zeros((0, info.num_channels), dtype=np.int16)  # latest block
        self._dropped = 0
        self.boot = info.boot

    def restart(self, boot: int) -> None:
        """Note that the device restarted: its indices start again."""
        self.boot, self._next, self._restarted = boot, None, True

    def take(self, frame: Frame) -> SampleBlock | Decision | None:
        """Return the block or decision of a frame; None if its samples were received before.

        Raises:
            DeviceError: the fields of the frame are not valid.
        """
        if frame.type == Type.DECISION:
            decision = messages.unpack_stream_decision(frame.fields, self._classes, decides=self._decides)
            if self._next is None:
                return None  # belongs to samples that this stream never received
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
        else:  # an unnoticed restart or a wrong index: the loss is unknown
            first, ahead, self._restarted = samples.first_index, 0, True
        self._next, self._last = first + len(counts), counts
        restarted, self._restarted = self._restarted, False
        # The device restarts its count of dropped samples when its stream is switched on.
        dropped = samples.dropped - self._dropped if samples.dropped >= self._dropped else samples.dropped
        self._dropped = samples.dropped
        return SampleBlock(first, counts, ahead, restarted, min(dropped, ahead))

    def _repeats(self, counts: NDArray[np.int16], back: int) -> bool:
        """True if samples from ``back`` before the next expected one repeat the latest block, as far as it reaches."""
        if back > len(self._last):
            return False
        seen = self._last[len(self._last) - back :][: len(counts)]
        return bool(np.array_equal(counts[: len(seen)], seen))


def _signed(difference: int) -> int:
    """``difference`` modulo 2^32, as the number nearest to 0."""
    return (difference + INDICES // 2) % INDICES - INDICES // 2
