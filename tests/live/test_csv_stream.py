"""Samples of a CSV do not depend on how its bytes arrive, and come out as soon as their line is whole."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edge_seq.ir.contract import Channel, SensorContract
from edge_seq.live.csv_lines import MAX_LINE, MAX_PAUSE_S, Pace, Plain, Quoted, line_blocks, until_labels
from edge_seq.live.csv_stream import read_samples
from edge_seq.live.samples import InputWatch
from edge_seq.support.errors import EdgeSeqError

CONTRACT = SensorContract(10.0, tuple(Channel(name, "g", 100.0, 4.0) for name in ("x", "y")), 7, 7)
HEADER = "t,x,note,y"


def rows(count: int, *, end: str = "\n", note: Callable[[int], str] = lambda _: "a") -> list[str]:
    return [f"{i / 10},{i % 5 / 10},{note(i)},{i % 3 / 10 - 0.1}{end}" for i in range(count)]


class Pieces(io.RawIOBase):
    """Bytes that arrive in pieces of given sizes, over and over."""

    def __init__(self, content: bytes, sizes: list[int]) -> None:
        self._content, self._sizes, self._read = content, sizes, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._sizes = [*self._sizes[1:], self._sizes[0]]
        piece = self._content[self._read : self._read + min(self._sizes[0], len(buffer))]
        buffer[: len(piece)] = piece
        self._read += len(piece)
        return len(piece)


def read(text: str | bytes, sizes: list[int], **options: int) -> tuple[np.ndarray, list[str]]:
    """Counts [n, C] of a CSV that arrives in pieces; then warnings and the error, if there is one."""
    content = text.encode() if isinstance(text, str) else text
    stream, told, counts = io.BufferedReader(Pieces(content, sizes)), list[str](), []
    options = {"raw_counts": False, **options}
    try:
        for block in read_samples(line_blocks(stream, "s"), CONTRACT, name="s", warn=told.append, **options):
            assert block.dtype == np.int16
            counts += block.tolist()
    except EdgeSeqError as error:
        told.append(str(error))
    return np.array(counts).reshape(-1, 2), told


def texts() -> Iterator[tuple[str, str | bytes, int, str]]:
    """Name, text, number of samples that are given, and a part of what is told."""
    good = rows(100)
    expected = HEADER + "\n"
    yield "plain", expected + "".join(good), 100, ""
    yield "no line end", (expected + "".join(good)).rstrip(), 100, ""
    yield "carriage returns", HEADER + "\r" + "".join(rows(100, end="\r")), 100, ""
    yield "both", HEADER + "\r\n" + "".join(rows(100, end="\r\n")), 100, ""
    yield "blank lines", "\n\n" + expected + "\n\n".join(good) + "\n\n", 100, ""
    yield "a byte order mark", "\ufeff" + expected + "".join(good), 100, ""
    yield "quotes later", expected + "".join(rows(100, note=lambda i: '"b, c"' if i > 40 else "a")), 100, ""
    yield "quotes", expected + "".join(rows(100, note=lambda i: '"b, ""c"""')), 100, ""
    yield "a quote in a field", expected + "".join(rows(100, note=lambda i: '5" or so')), 100, ""
    yield "line ends in quotes", expected + "".join(rows(50, note=lambda i: '"b\nc"')), 50, ""
    yield "other letters", expected + "".join(rows(60, note=lambda i: "größe")), 60, ""
    for where in (0, 1, 6, 7, 40, 99):
        bad = [*good[:where], "0.1,none,a,0.1\n", *good[where:]]
        yield f"text at {where}", expected + "".join(bad), where, f"line {where + 2}: ['0.1', 'none'"
        short = [*good[:where], "0.1,1\n", *good[where:]]
        yield f"short at {where}", expected + "".join(short), where, f"line {where + 2}: ['0.1', '1'] does not hold"
        broken = (expected + "".join(good[:where])).encode() + b"\xff\n" + "".join(good[where:]).encode()
        yield f"no text at {where}", broken, where, f"after line {where + 1}: not text in UTF-8"
        late = [*good[:where], *good[where + 2 :]]
        if where not in (0, 99):
            yield f"gap at {where}", expected + "".join(late), where, f"line {where + 2}: 0.3 s after the sample"
    in_quotes = [*rows(30, note=lambda _: '"b\nc"'), "3,,a,1\n", *good]
    yield "text behind quotes", expected + "".join(in_quotes), 30, "line 62: ['3', '', 'a', '1'] does not hold"
    yield "another rate", expected + "".join(f"{i / 20},{i % 5},a,{i % 3}\n" for i in range(9)), 6, "sampled at 20 Hz"
    yield "short", expected + "".join(f"{i / 20},{i % 5},a,{i % 3}\n" for i in range(5)), 5, "sampled at 20 Hz"
    rate = [f"{(i + min(0, 20 - i) / 2) / 10},{i % 5},a,{i % 3}\n" for i in range(60)]
    yield "a rate that changes", expected + "".join(rate), 27, "lines 23 to 29: sampled at 20 Hz"
    still = "".join(f"{i / 10},{i % 5 if i < 50 else 1},a,{i % 3}\n" for i in range(90))
    yield "an axis that stands still", expected + still, 90, "up to line 64: channel x is 1 in all of the last 7"
    beyond = "".join(f"{i / 10},{i % 5 * (1 if i < 50 else 9)},a,{i % 3}\n" for i in range(90))
    yield "saturation", expected + beyond, 90, "up to line 57: 57.1% of channel x lies beyond full scale"


@pytest.mark.parametrize(("name", "text", "given", "told"), list(texts()), ids=lambda value: str(value)[:24])
def test_pieces_do_not_matter(name: str, text: str | bytes, given: int, told: str) -> None:
    whole, said = read(text, [1 << 20])
    assert len(whole) == given
    assert told in "\n".join(said)
    assert bool(said) == bool(told)
    seconds = np.arange(given)
    if name in ("plain", "quotes", "both", "blank lines"):
        assert np.array_equal(whole, np.stack([seconds % 5 * 10, seconds % 3 * 10 - 10], axis=1))
    for sizes in ([1], [7, 1, 50, 3], [900], [41, 2000]):
        for label_every in (1, 7):
            counts, also_said = read(text, sizes, label_every=label_every)
            assert np.array_equal(counts, whole), sizes
            assert also_said == said, sizes


@pytest.mark.parametrize("value", ["3.5", "70000", "-32769", "1e3"])
def test_raw_counts_in_pieces(value: str) -> None:
    text = "x,y\n" + "".join(f"{i % 5},{i % 3}\n" for i in range(40)) + f"1,{value}\n"
    for sizes in ([1 << 20], [1], [30]):
        counts, said = read(text, sizes, raw_counts=True)
        assert len(counts) == (41 if value == "1e3" else 40)
        assert bool(said) == (value != "1e3")
        assert all("line 42" in text and "are not raw counts" in text for text in said)


def test_a_sample_comes_out_as_its_line_comes_in() -> None:
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as stream, os.fdopen(theirs, "wb", buffering=0) as writer:
        samples = read_samples(line_blocks(stream, "s"), CONTRACT, raw_counts=False, name="s")
        writer.write(f"{HEADER}\n".encode())
        for index, row in enumerate(rows(20)):
            writer.write(row.encode())  # nothing more is written before the sample is there
            assert next(samples).tolist() == [[index % 5 * 10, index % 3 * 10 - 10]]
        writer.close()
        assert list(samples) == []


def test_samples_come_out_with_the_line_of_the_next_label() -> None:
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as stream, os.fdopen(theirs, "wb", buffering=0) as writer:
        samples = read_samples(line_blocks(stream, "s"), CONTRACT, raw_counts=False, name="s", label_every=7)
        writer.write(f"{HEADER}\n".encode())
        for first in (0, 7):
            for row in rows(14)[first : first + 7]:
                writer.write(row.encode() + (b"\n" if first else b""))  # blank lines are no samples
            assert len(next(samples)) == 7
        writer.write(b"1.4,0.1,a,0.2\n")
        writer.close()
        assert [len(block) for block in samples] == [1]


class LiveLines:
    """Lines of a stream that arrive at a rate, one by one, on a clock of its own, and how often they were read."""

    def __init__(self, rate_hz: float, count: int) -> None:
        self.now_s, self.slept_s, self.reads = 100.0, 0.0, 0
        self._rate_hz, self._count, self._begins_s = rate_hz, count, self.now_s

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.slept_s += seconds

    def arrives_s(self, index: int) -> float:
        return self._begins_s + index / self._rate_hz

    def __iter__(self) -> Iterator[Plain | Quoted]:
        given = 0
        while given < self._count:
            self.now_s = max(self.now_s, self.arrives_s(given))
            self.reads += 1
            end = given
            while end < self._count and self.arrives_s(end) <= self.now_s:
                end += 1
            yield Plain(["0,1\n"] * (end - given), given + 1)
            given = end


@pytest.mark.parametrize(("rate_hz", "label_every"), [(1000.0, 50), (1000.0, 7), (100.0, 256), (26.0, 3)])
@pytest.mark.parametrize("faster", [0.5, 0.95, 1.0, 1.05, 1.8, 3.0])
def test_a_live_stream_is_read_a_few_times_a_label_and_no_label_is_late(
    rate_hz: float, label_every: int, faster: float
) -> None:
    labels = max(20, 4000 // label_every)
    stream = LiveLines(faster * rate_hz, labels * label_every)
    pace, samples, late_s = Pace(rate_hz, stream.clock, stream.sleep), 0, []
    for rows in until_labels(iter(stream), label_every, pace):
        assert isinstance(rows, Plain)
        samples += len(rows.lines)
        due = samples - samples % label_every - 1
        late_s.append(stream.now_s - stream.arrives_s(due))
    assert samples == labels * label_every
    assert max(late_s) <= (1e-9 if faster <= 1.05 else MAX_PAUSE_S)
    if faster == 3.0:
        assert stream.slept_s == 0
    elif (rate_hz, label_every) == (1000.0, 50):
        assert stream.reads <= (5 if faster >= 0.95 else 9) * labels
        assert stream.slept_s > 0.5 * samples / (faster * rate_hz)


def test_a_line_without_an_end_takes_no_memory() -> None:
    counts, (said,) = read(b"t,x,y\n0,1,2\n" + b"3" * (3 * MAX_LINE), [1 << 16])
    assert counts.tolist() == [[100, 200]]
    assert "a line has more than 1,048,576 characters" in said


def test_the_watch_sees_the_same_windows_in_blocks_of_any_size() -> None:
    values = np.random.default_rng(0).normal(0, 1, (100, 2))
    values[30:60, 1] = 0.5
    values[70:, 0] = 9.0
    expected = None
    for size in (1, 3, 7, 50, 100):
        told: list[str] = []
        watch = InputWatch(CONTRACT, "s", told.append)
        for start in range(0, 100, size):
            watch.add(values[start : start + size])
        expected = expected or told
        assert told == expected
    assert expected is not None
    assert [text.split(":")[0] for text in expected] == [
        "stream s, up to sample 42",
        "stream s, up to sample 77",
        "recording s, up to sample 77",
    ]
