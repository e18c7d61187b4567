"""edge-seq run: run a model on a stream of samples, carrying the state. Needs no torch."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_seq.live.engine import DueLabels, Engine
from edge_seq.live.samples import UNKNOWN, Gap, Start


@dataclass(frozen=True)
class Decision:
    """A label for the samples up to one.

    Attributes:
        sample: index of the latest sample, from 0 at the start of the stream or recording.
        time_s: time of that sample since that start at the contract's rate, seconds.
        label: class name.
        probabilities: probability of each class, by name.
        decision: output of the decision stage, a class name or ``UNKNOWN``; None if there is no decision stage.
    """

    sample: int
    time_s: float
    label: str
    probabilities: dict[str, float]
    decision: str | None = None


@dataclass
class RunStats:
    """Statistics of a run so far.

    Attributes:
        samples: samples given to the model.
        labels: labels that the model gave.
        gaps: gaps in the samples.
        busy_s: time spent in the model, seconds.
        recordings: recordings that began, if the source tells them apart.
    """

    samples: int = 0
    labels: int = 0
    gaps: int = 0
    busy_s: float = 0.0
    recordings: int = 0

    @property
    def samples_per_second(self) -> float:
        """Samples per second that the model can process on this computer; 0 before the first sample."""
        return self.samples / self.busy_s if self.busy_s else 0.0

    def __str__(self) -> str:
        gaps = f", {self.gaps} gaps" if self.gaps else ""
        apart = f" in {self.recordings:,} recordings" if self.recordings > 1 else ""
        speed = f"; the model takes {self.samples_per_second:,.0f} samples a second here" if self.samples else ""
        return f"{self.samples:,} samples{apart}, {self.labels:,} labels{gaps}{speed}"


def decide_blocks(
    engine: Engine, blocks: Iterable[NDArray[np.int16] | Gap | Start], stats: RunStats | None = None
) -> Iterator[list[Decision] | Gap | Start]:
    """Run an engine on blocks of samples int16 [n, C]; yields the decisions of each block in which labels are due.

    A gap resets the states, starts a new window and is yielded too. Lost samples count in ``Decision.sample``. The
    start of a recording does the same, and samples are counted from 0 again.
    """
    stats = RunStats() if stats is None else stats
    engine.reset()
    first = 0
    for block in blocks:
        if isinstance(block, Gap):
            engine.reset()
            stats.gaps += 1
            first += block.lost or 0
            yield block
            continue
        if isinstance(block, Start):
            engine.reset()
            first, stats.recordings = 0, stats.recordings + 1
            yield block
            continue
        began = time.perf_counter()
        found = engine.push(block)
        stats.busy_s += time.perf_counter() - began
        stats.samples += len(block)
        if len(found.due):
            stats.labels += len(found.due)
            yield _decisions(engine, found, first)
        first += len(block)


def decide(
    engine: Engine, blocks: Iterable[NDArray[np.int16] | Gap | Start], stats: RunStats | None = None
) -> Iterator[Decision | Gap | Start]:
    """Yield what :func:`decide_blocks` yields, one decision at a time."""
    for item in decide_blocks(engine, blocks, stats):
        if isinstance(item, list):
            yield from item
        else:
            yield item


def _decisions(engine: Engine, found: DueLabels, first: int) -> list[Decision]:
    names, rate_hz = (*engine.labels, UNKNOWN), engine.contract.sample_rate_hz
    samples = (found.due + first).tolist()
    decided = [None] * len(samples) if found.decisions is None else [names[one] for one in found.decisions.tolist()]
    shares = np.round(found.probabilities, 6).tolist()
    return [
        Decision(sample, sample / rate_hz, names[label], dict(zip(engine.labels, share, strict=True)), decision)
        for sample, label, share, decision in zip(samples, found.labels.tolist(), shares, decided, strict=True)
    ]
