"""The lines of a CSV as they arrive: as many at once as there are, and of a live stream those up to the next label."""

from __future__ import annotations

import codecs
import csv
import io
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from edge_seq.live.samples import RATE_TOLERANCE, Clock
from edge_seq.support.errors import DataError

BLOCK_BYTES = 1 << 18
MAX_LINE = 1 << 20  # characters
MAX_PAUSE_S = 0.05  # between two reads of a live stream


def line_blocks(stream: io.BufferedReader, name: str) -> Iterator[list[str]]:
    """Yield the lines of a text in UTF-8, as many at once as one read gives. A pipe gives what has arrived.

    Lines end with a line feed, a carriage return or both, as in Python's universal newlines; ends are kept.

    Args:
        stream: a binary stream, such as ``sys.stdin.buffer``.
        name: name of the stream, for messages.

    Raises:
        DataError: the text is not UTF-8, or a line is too long. The lines before are given first.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    rest, given, broken = "", 0, None
    while broken is None:
        block = stream.read1(BLOCK_BYTES)
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            text, broken = error.object[: error.start].decode("utf-8-sig"), error
        lines = io.StringIO(rest + text, newline="").readlines()
        rest = ""
        if block and lines and not lines[-1].endswith("\n"):  # a line that goes on, or a \r whose \n is still to come
            rest = lines.pop()
        if lines:
            given += len(lines)
            yield lines
        if len(rest) > MAX_LINE:
            raise DataError(
                f"stream {name}: a line has more than {MAX_LINE:,} characters; expected a CSV with short lines"
            )
        if not block:
            return
    found = f"byte 0x{broken.object[broken.start]:02x}: {broken.reason}"
    raise DataError(f"stream {name}, after line {given}: not text in UTF-8 ({found}); save it as UTF-8") from broken


def header_of(blocks: Iterator[list[str]], name: str) -> tuple[list[str] | None, Iterator[Plain | Quoted]]:
    """The first row that is not empty, None if there is none, and the rows behind it."""
    rest = _read_rows(blocks, name)
    for texts in rest:
        if isinstance(texts, Quoted):
            if texts.rows:
                return texts.rows[0], chain([Quoted(texts.rows[1:], texts.lines[1:], texts.error)], rest)
            if texts.error is not None:
                raise texts.error
            continue
        for index, line in enumerate(texts.lines):
            if line.strip("\r\n"):
                behind = Plain(texts.lines[index + 1 :], texts.first + index + 1)
                try:
                    return next(csv.reader([line])), chain([behind] if behind.lines else [], rest)
                except csv.Error as error:
                    raise no_csv(error, name, texts.first + index) from error
    return None, rest


class Pace:
    """Waits before the next read of a live stream, so that lines are read together: a read costs more than a line.

    While n samples are missing up to the next label, none is due for n - 1 periods of the contract's rate. 95 % of that
    time is waited, at most :data:`MAX_PAUSE_S`. So a label is not late if the stream is at most 5 % faster than the
    contract, and at most :data:`MAX_PAUSE_S` late else. A stream of more than twice the contract's rate, such as a
    file, is read without waiting.

    Args:
        rate_hz: sample rate of the contract.
        clock: function that returns the time in seconds.
        sleep: function that waits for a number of seconds.
    """

    def __init__(
        self, rate_hz: float, clock: Clock = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._rate_hz, self._clock, self._sleep = rate_hz, clock, sleep
        self._since: float | None = None
        self._arrived, self._live = 0, False

    def wait(self, arrived: int, missing: int) -> None:
        """Wait, after ``arrived`` more samples, while ``missing`` ones are missing up to the next label."""
        now = self._clock()
        if self._since is None:
            self._since = now
            return
        self._arrived += arrived
        if now - self._since >= MAX_PAUSE_S:
            self._live = self._arrived <= 2 * self._rate_hz * (now - self._since)
            self._since, self._arrived = now, 0
        if self._live and missing > 2:
            self._sleep(min(MAX_PAUSE_S, (1 - RATE_TOLERANCE) * (missing - 1) / self._rate_hz))


@dataclass(frozen=True)
class Plain:
    """Lines without quotes, each of which is a row, and the line number of the first."""

    lines: list[str]
    first: int


def until_labels(rest: Iterator[Plain | Quoted], label_every: int, pace: Pace) -> Iterator[Plain | Quoted]:
    """Join lines until the sample at which a label is due has arrived. A live stream is read at a pace."""
    waiting: list[str] = []
    first, samples = 0, 0  # line number of the first that waits; samples since the latest label
    error: DataError | None = None
    try:
        for texts in rest:
            if isinstance(texts, Quoted):
                if waiting:
                    yield Plain(waiting, first)
                    waiting = []
                arrived = len(texts.rows)
                samples = (samples + arrived) % label_every
                yield texts
            else:
                first = first if waiting else texts.first
                waiting += texts.lines
                arrived = len(texts.lines) - sum(
                    map(texts.lines.count, ("\n", "\r\n", "\r"))
                )  # less those without text
                samples += arrived
                if samples >= label_every:
                    samples %= label_every
                    yield Plain(waiting, first)
                    waiting = []
            pace.wait(arrived, label_every - samples)
    except DataError as found:
        error = found
    if waiting:
        yield Plain(waiting, first)
    if error is not None:
        raise error


@dataclass(frozen=True)
class Quoted:
    """Rows that are not empty, their line numbers, int64 [n], and the error that ended them."""

    rows: list[list[str]]
    lines: NDArray[np.int64]
    error: DataError | None = None


def _read_rows(blocks: Iterator[list[str]], name: str, first: int = 1) -> Iterator[Plain | Quoted]:
    """Yield rows, as many at once as have arrived. From the first quote on a row may have several lines."""
    for block in blocks:
        if '"' in "".join(block):  # a fraction of the time of a look at each line
            yield from _quoted_rows(chain([block], blocks), name, first)
            return
        yield Plain(block, first)
        first += len(block)


def _quoted_rows(blocks: Iterable[list[str]], name: str, first: int = 1) -> Iterator[Quoted]:
    arrived = 0

    def lines() -> Iterator[str]:
        nonlocal arrived
        for block in blocks:
            arrived += len(block)
            yield from block

    reader = csv.reader(lines())
    while True:
        before, rows = reader.line_num, list[list[str]]()
        try:
            rows.extend(islice(reader, 1))  # waits for a line
            rows.extend(islice(reader, arrived - reader.line_num))
        except csv.Error as found:
            error: DataError | None = no_csv(found, name, first - 1 + reader.line_num)
        except DataError as found:
            error = found
        else:
            error = None
        numbers = first + before + np.arange(len(rows))
        if reader.line_num != before + len(rows):  # fields with line ends, or a row that could not be read
            numbers += np.cumsum([sum(field.count("\n") for field in row) for row in rows], dtype=np.int64)
        filled = [index for index, row in enumerate(rows) if row]
        yield Quoted([rows[index] for index in filled], numbers[filled], error)
        if error is not None or not rows:
            return


def no_csv(found: csv.Error, name: str, after: int) -> DataError:
    """The error for text that the CSV reader refuses after a line."""
    error = DataError(f"stream {name}, after line {after}: not a CSV ({found}); expected text")
    error.__cause__ = found
    return error
