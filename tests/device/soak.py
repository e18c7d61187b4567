"""Soak test of the wire: a line changes 1 byte in 1,000 and loses 1 in 5,000, and its port vanishes 20 times.

Every accepted sample must be right, every missing one counted, every request executed once, and memory constant. The
undamaged frames are recorded independently of the client (:class:`tests.device.faults.LineRecord`). The client must
accept exactly these, and must count exactly the others as lost.

    python -m tests.device.soak --samples 500000 --requests 2000            # against the twin, in this process
    python -m tests.device.soak --port /tmp/board --run RUN --samples 50000     # edge-seq device emulate RUN
"""

from __future__ import annotations

import argparse
import json
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.reference_int import run_reference
from edge_seq.device.client import Device, connect
from edge_seq.device.follow import SampleBlock
from edge_seq.device.line import Timing
from edge_seq.device.transport import LoopbackTransport, Transport, open_transport
from edge_seq.device.twin import Twin
from edge_seq.ir.model import IntModel
from edge_seq.ir.serialize import load_int_model
from tests.device.faults import Faults, FaultyTransport, LineRecord
from tests.zoo import quantized_model, random_counts, spec

CHANGED, DROPPED, RECONNECTS = 1 / 1000, 1 / 5000, 20
ROOM = 10  # sample indices to record, lost samples included, as a multiple of the samples wanted
TIMING = Timing(timeout_s=0.05, retries=40, silence_s=0.2, reconnect_s=20.0, reconnect_every_s=0.01)


@dataclass(frozen=True)
class Soak:
    """Results of a soak test.

    Attributes:
        samples, lost: samples accepted, and samples counted as lost.
        wrong: accepted samples that are not the sensor's, or came twice.
        missed, invented: undamaged samples that were not accepted, and accepted samples that were not undamaged.
        uncounted: difference between the number of damaged samples and the number counted as lost.
        frames_off: difference between the frames and faults that the client counted and those that left the line.
        requests, wrong_replies: traces requested, and traces that differ from the reference.
        frame_errors, retries, reconnects: counters of the host.
        planted: number of planted faults.
        memory_growth_bytes: memory growth of this process from a fifth of the way to the end.
        seconds: duration.
    """

    samples: int
    lost: int
    wrong: int
    missed: int
    invented: int
    uncounted: int
    frames_off: int
    requests: int
    wrong_replies: int
    frame_errors: int
    retries: int
    reconnects: int
    planted: int
    memory_growth_bytes: int
    seconds: float

    @property
    def holds(self) -> bool:
        """True if nothing was wrong, missed, invented or lost uncounted, ports came back, and memory is constant."""
        return (
            self.wrong == self.missed == self.invented == self.uncounted == self.frames_off == self.wrong_replies == 0
            and self.planted > 0
            and self.reconnects >= RECONNECTS
            and self.memory_growth_bytes < 100_000
        )


@dataclass(frozen=True)
class _Streamed:
    """Run a stream; returns samples, lost samples, wrong samples, and which were accepted (bool, from ``first``)."""

    samples: int
    lost: int
    wrong: int
    first: int
    accepted: NDArray[np.bool_]


def _stream(
    device: Device,
    recording: NDArray[np.int16],
    samples: int,
    seconds: float,
    faults: Faults,
    note: Callable[[float], None],
) -> _Streamed:
    until = time.monotonic() + seconds
    got = lost = wrong = 0
    first = last = 0
    accepted = np.zeros(ROOM * samples, dtype=bool)
    pull_every = samples // (RECONNECTS + 1) + 1
    # A generator's close() switches the stream off.
    with closing(cast(Any, device.stream(batch=8))) as items:
        for item in cast(Iterator[SampleBlock], items):
            if not got:
                first = item.first_index
            size, at = len(item.counts), item.first_index - first
            wanted = (item.first_index + np.arange(size)) % len(recording)
            differ = (item.counts != recording[wanted]).any(axis=1)
            if 0 <= at <= len(accepted) - size:
                wrong += int((differ | accepted[at : at + size]).sum())
                accepted[at : at + size] = True
                last = max(last, at + size)
            else:
                wrong += size  # the sensor never reached this index
            lost += item.lost
            before, got = got, got + size
            if before // pull_every != got // pull_every:
                faults.pull = True
            note(got / samples)
            if got >= samples and time.monotonic() >= until:
                break
    return _Streamed(got, lost, wrong, first, accepted[:last])


def _trace(device: Device, model: IntModel, requests: int, note: Callable[[float], None]) -> int:
    """Number of traces that differ from the reference. States carry over from one trace to the next."""
    wrong = 0
    counts = random_counts(1, 3 * requests, model.num_channels, seed=1, sigma=500)
    expected = run_reference(model, counts).values["logits"][0]
    device.reset()
    for index in range(requests):
        part = slice(3 * index, 3 * index + 3)
        rows = device.trace(counts[0, part])
        wrong += not np.array_equal(rows[:, -1 - model.num_classes : -1], expected[part])
        note(index / requests)
    return wrong


def soak(
    opener: Callable[[], Transport],
    model: IntModel,
    recording: NDArray[np.int16],
    *,
    samples: int,
    requests: int,
    seconds: float = 0.0,
) -> Soak:
    """Stream at least so many samples, for at least so many seconds, then request traces, both over the bad line."""
    faults, record = Faults(change=CHANGED, drop=DROPPED), LineRecord(ROOM * samples)
    began = time.monotonic()
    memory: list[int] = []

    def note(share: float) -> None:
        if share > 0.2 and not memory:
            memory.append(tracemalloc.get_traced_memory()[0])

    tracemalloc.start()
    try:
        with connect(lambda: FaultyTransport(opener(), faults, record), name="soak", timing=TIMING) as device:
            streamed = _stream(device, recording, samples, seconds, faults, note)
            growth = tracemalloc.get_traced_memory()[0] - memory[0]
            wrong_replies = _trace(device, model, requests, note) if requests else 0
            counters = device.counters
    finally:
        tracemalloc.stop()
    begin = streamed.first - (streamed.first if record.base is None else record.base)
    delivered = record.delivered[begin : begin + len(streamed.accepted)]
    missing = int((~delivered).sum())
    return Soak(
        *(streamed.samples, streamed.lost, streamed.wrong),
        int((delivered & ~streamed.accepted).sum()),
        int((streamed.accepted & ~delivered).sum()),
        abs(missing - streamed.lost),
        abs(counters.frames - record.whole) + abs(counters.faults.total() - record.damaged),
        *(requests, wrong_replies),
        *(counters.faults.total(), counters.retries, counters.reconnects, faults.planted),
        *(growth, time.monotonic() - began),
    )


def soak_the_twin(samples: int, requests: int) -> Soak:
    """Run against a simulated device whose sensor gives three samples whenever it is read."""
    model = quantized_model(spec("gru", 5, window_length=7, step="difference"))
    recording = random_counts(1, 97, 3)[0]
    given = 0

    def clock() -> int:
        nonlocal given
        given += 3
        return given

    twin = Twin(model, recording=recording, samples_so_far=clock)
    return soak(lambda: LoopbackTransport(twin.receive), model, recording, samples=samples, requests=requests)


def main() -> int:
    """Run the soak test and print its results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=0.0, help="least duration of the stream of --port")
    parser.add_argument("--port", help="of an emulated board of --run")
    parser.add_argument("--run", type=Path)
    arguments = parser.parse_args()
    if arguments.port:
        from edge_seq.workflow.device import recording_of
        from edge_seq.workflow.folder import open_run

        run = open_run(arguments.run)
        result = soak(
            lambda: open_transport(arguments.port),
            load_int_model(run.int_model),
            recording_of(run),
            samples=arguments.samples,
            requests=arguments.requests,
            seconds=arguments.seconds,
        )
    else:
        result = soak_the_twin(arguments.samples, arguments.requests)
    print(json.dumps({**vars(result), "holds": result.holds}))  # noqa: T201
    return 0 if result.holds else 1


if __name__ == "__main__":
    raise SystemExit(main())
