"""A soak of the wire: a line that changes 1 byte in 1,000 and loses 1 in 5,000, and a port that vanishes 20 times.

Every accepted sample must be right, every missing one counted, every request done once, and memory flat. What came out
of the line whole is recorded apart from the client (:class:`tests.device.faults.LineRecord`): all of that must be
accepted, nothing else, and what is missing must be what the client counted as lost.

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
from edge_seq.device.client import Device, SampleBlock, Timing, connect
from edge_seq.device.transport import LoopbackTransport, Transport, open_transport
from edge_seq.device.twin import Twin
from edge_seq.ir.model import IntModel
from edge_seq.ir.serialize import load_int_model
from tests.device.faults import Faults, FaultyTransport, LineRecord
from tests.zoo import quantized_model, random_counts, spec

CHANGED, DROPPED, RECONNECTS = 1 / 1000, 1 / 5000, 20
ROOM = 10  # for the indices of samples, lost ones too: so many times the samples wanted
TIMING = Timing(timeout_s=0.05, retries=40, silence_s=0.2, reconnect_s=20.0, reconnect_every_s=0.01)


@dataclass(frozen=True)
class Soak:
    """What a soak saw.

    Attributes:
        samples, lost: accepted; missing, and counted as such.
        wrong: accepted samples that are not the sensor's, or came twice.
        missed, invented: samples that left the line whole and were not accepted; accepted ones that had not.
        uncounted: by how many the samples that did not leave the line whole differ from those counted as lost.
        frames_off: by how many the frames accepted, and the faults counted, differ from those that left the line.
        requests, wrong_replies: of traces; those that are not the reference's.
        frame_errors, retries, reconnects: of the host.
        planted: faults.
        memory_growth_bytes: of this process between a fifth of the way and the end.
        seconds: that it took.
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
        """Nothing wrong, missed, invented or lost without being counted; every pulled port back; memory flat."""
        return (
            self.wrong == self.missed == self.invented == self.uncounted == self.frames_off == self.wrong_replies == 0
            and self.planted > 0
            and self.reconnects >= RECONNECTS
            and self.memory_growth_bytes < 100_000
        )


@dataclass(frozen=True)
class _Streamed:
    """Of a stream: samples, those counted as lost, wrong ones, and which were accepted, bool from ``first`` on."""

    samples: int
    lost: int
    wrong: int
    first: int
    accepted: NDArray[np.bool_]


def _stream(
    device: Device, recording: NDArray[np.int16], samples: int, faults: Faults, note: Callable[[float], None]
) -> _Streamed:
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
                wrong += size  # an index that the sensor never reached
            lost += item.lost
            before, got = got, got + size
            if before // pull_every != got // pull_every:
                faults.pull = True
            note(got / samples)
            if got >= samples:
                break
    return _Streamed(got, lost, wrong, first, accepted[:last])


def _trace(device: Device, model: IntModel, requests: int, note: Callable[[float], None]) -> int:
    """Traces that are not the reference's; the states go on from one to the next."""
    wrong = 0
    counts = random_counts(1, 3 * requests, model.input_size, seed=1, sigma=500)
    expected = run_reference(model, counts).values["logits"][0]
    device.reset()
    for index in range(requests):
        part = slice(3 * index, 3 * index + 3)
        rows = device.trace(counts[0, part])
        wrong += not np.array_equal(rows[:, -1 - model.num_classes : -1], expected[part])
        note(index / requests)
    return wrong


def soak(
    opener: Callable[[], Transport], model: IntModel, recording: NDArray[np.int16], *, samples: int, requests: int
) -> Soak:
    """Stream samples, then trace; both over the bad line."""
    faults, record = Faults(change=CHANGED, drop=DROPPED), LineRecord(ROOM * samples)
    began = time.monotonic()
    memory: list[int] = []

    def note(share: float) -> None:
        if share > 0.2 and not memory:
            memory.append(tracemalloc.get_traced_memory()[0])

    tracemalloc.start()
    try:
        with connect(lambda: FaultyTransport(opener(), faults, record), name="soak", timing=TIMING) as device:
            streamed = _stream(device, recording, samples, faults, note)
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
    """Against a twin whose sensor gives three samples whenever it is looked at."""
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
    """Run it and print what it saw as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=1000)
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
        )
    else:
        result = soak_the_twin(arguments.samples, arguments.requests)
    print(json.dumps({**vars(result), "holds": result.holds}))  # noqa: T201
    return 0 if result.holds else 1


if __name__ == "__main__":
    raise SystemExit(main())
