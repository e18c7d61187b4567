"""Blocks of time as groups, for sets with fewer than three groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from edge_seq.data.readers.signals import Signal
from edge_seq.data.source import DataSource

NOTE = (
    "groups are blocks of time of the same recordings, a window apart: weaker evidence than groups recorded apart, "
    "since a block resembles its neighbours"
)


def cut_blocks(signal: Signal, source: DataSource) -> Iterator[Signal]:
    """Cut a signal into blocks that serve as groups, if the data source asks for them.

    Each stretch of one label is cut into ``source.time_blocks`` parts of equal length. A window is left out between
    two parts. A stretch too short for that gives fewer parts, and one shorter than a window none. Parts with the same
    number are one group of the signal's group.
    """
    blocks, gap = source.time_blocks, source.window_length
    if blocks is None:
        yield signal
        return
    if len(signal.values) <= gap:  # a window of its own: its file tells the blocks apart
        yield replace(signal, notes=(*signal.notes, NOTE))
        return
    codes = signal.label_codes
    edges = np.concatenate([[0], np.flatnonzero(np.diff(codes)) + 1, [len(codes)]]).tolist()
    for stretch, (first, end) in enumerate(pairwise(edges)):
        if not signal.label_values[int(codes[first])]:
            continue
        count = min(blocks, (end - first + gap) // (2 * gap))
        starts = [first + round(n * (end - first + gap) / max(1, count)) for n in range(count + 1)]
        for n in range(count):
            rows = slice(starts[n], starts[n + 1] - gap)
            number = (n + stretch) % blocks + 1
            name = signal.name if len(edges) == 2 else f"{signal.name}@{stretch + 1}"
            breaks = signal.breaks - rows.start
            yield replace(
                signal,
                name=f"{name} block {number}",
                group=f"{signal.group} block {number}",
                values=signal.values[rows],
                time_s=None if signal.time_s is None else signal.time_s[rows],
                label_codes=codes[rows],
                breaks=breaks[(breaks > 0) & (breaks < rows.stop - rows.start)],
                notes=(*signal.notes, NOTE),
                lost=signal.lost if n == 0 and stretch == 0 else "",
            )
