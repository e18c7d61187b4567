"""File of timelines: signals, labels and decisions of recordings, which a report draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from edge_seq.pipeline.streams import (
    LabelStream,
)
from edge_seq.scores.streaming import Timeline
from edge_seq.support.files import write_atomically

SIGNALS = "signals"  # key in the file of timelines, beside labels and classifiers


ENVELOPE_BINS = 400


def save_timelines(path: Path, streams: dict[str, list[LabelStream]], timelines: dict[str, list[Timeline]]) -> None:
    """Write the timelines of recordings to a safetensors file.

    The tensors are ``<recording>/labels`` and ``<recording>/<classifier>``, int16 [T] each, and
    ``<recording>/signals`` from :func:`envelope`. As in :class:`Timeline`, a label below 0 means no label, and a
    decision is -1 before the first one and K for unknown.
    """
    tensors: dict[str, NDArray[np.int16]] = {}
    for recording in {stream.recording.name: stream.recording for made in streams.values() for stream in made}.values():
        tensors[f"{recording.name}/labels"] = recording.labels.astype(np.int16)
        tensors[f"{recording.name}/{SIGNALS}"] = envelope(recording.counts)
    for name, lines in timelines.items():
        for stream, line in zip(streams[name.removesuffix("_decided")], lines, strict=True):
            tensors[f"{stream.recording.name}/{name}"] = line.decisions.astype(np.int16)
    write_atomically(path, safetensors.numpy.save(tensors))


def envelope(counts: NDArray[np.int16]) -> NDArray[np.int16]:
    """Least and largest values int16 [2, bins, C] of int16 [T, C], cut into at most ``ENVELOPE_BINS`` equal parts.

    >>> envelope(np.arange(800, dtype=np.int16)[:, None])[:, :3, 0].tolist()
    [[0, 2, 4], [1, 3, 5]]
    """
    parts = np.array_split(counts, min(ENVELOPE_BINS, len(counts)))
    return np.stack([[part.min(axis=0) for part in parts], [part.max(axis=0) for part in parts]])
