"""Timelines of recordings for a report: signals, true labels and decisions over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.ir.contract import SensorContract
from edge_seq.pipeline.timelines import SIGNALS
from edge_seq.support.errors import DataError
from edge_seq.support.json_tables import reading
from edge_seq.support.opening import load_tensors

MAX_SEGMENTS = (
    600  # segments of a lane; a lane with more is drawn in steps, so that the page does not grow to megabytes
)


Signals = dict[str, tuple[tuple[float, float], ...]]  # (least, largest) of equal stretches of time, by channel


@dataclass(frozen=True)
class Segment:
    """Time from ``start_s`` to ``end_s`` with one class; K means unknown, below 0 means none."""

    start_s: float
    end_s: float
    label: int


@dataclass(frozen=True)
class RecordingTimeline:
    """One recording as a stream.

    Attributes:
        name: name of the recording.
        rank: rank by ``right_share`` in words, for example ``the worst of 9``.
        seconds: length in seconds.
        right_share: share of labelled samples at which the decision of the last lane is right.
        step_s: length of a step in seconds, if segments show the most frequent label of equal steps; otherwise 0.
        lanes: segments of ``labels`` and of each classifier.
        signals: (least, largest) of equal stretches of time in the unit of each channel.
    """

    name: str
    rank: str
    seconds: float
    right_share: float
    step_s: float
    lanes: dict[str, tuple[Segment, ...]]
    signals: Signals


def read_timelines(path: Path, contract: SensorContract, *, command: str) -> tuple[RecordingTimeline, ...]:
    """Read the worst, the median and the best recording.

    Args:
        path: File that :func:`edge_seq.pipeline.timelines.save_timelines` wrote. If it is missing, nothing is drawn.
        contract: Sensor contract.
        command: Command that writes the file again, for messages.

    Raises:
        DataError: the file is damaged.
    """
    if not path.is_file():
        return ()
    try:
        tensors, _ = load_tensors(path)
    except (OSError, ValueError) as error:
        raise DataError(f"reading {path.name}: damaged ({error}); run {command} again") from error
    with reading(path.name):
        by_name: dict[str, dict[str, NDArray[np.int16]]] = {}
        for key, value in tensors.items():
            name, lane = key.rsplit("/", 1)
            by_name.setdefault(name, {})[lane] = value
        signals = {name: _signals(lanes.pop(SIGNALS), contract) for name, lanes in by_name.items()}
        shares = {name: _right_share(lanes) for name, lanes in by_name.items()}
        ranks = _ranks(sorted(shares, key=lambda name: (shares[name], name)))
        rate = contract.sample_rate_hz
        return tuple(
            _timeline(name, rank, by_name[name], rate, shares[name], signals[name]) for name, rank in ranks.items()
        )


def _ranks(ranked: Sequence[str]) -> dict[str, str]:
    """Choose the worst, the median and the best of names that are sorted from worst to best, if there are three."""
    count = len(ranked)
    if count == 0:
        return {}
    if count == 1:
        return {ranked[0]: "the only one"}
    chosen = {0: "worst", count // 2: "median", count - 1: "best"}
    return {ranked[place]: f"the {rank} of {count}" for place, rank in chosen.items()}


def _timeline(
    name: str, rank: str, lanes: dict[str, NDArray[np.int16]], rate: float, right_share: float, signals: Signals
) -> RecordingTimeline:
    samples = len(lanes["labels"])
    long = max(np.count_nonzero(np.diff(values)) for values in lanes.values()) >= MAX_SEGMENTS
    step = -(-samples // MAX_SEGMENTS) if long else 1
    segments = {lane: _segments(_most_frequent(values, step), step, samples, rate) for lane, values in lanes.items()}
    return RecordingTimeline(
        name=name,
        rank=rank,
        seconds=samples / rate,
        right_share=right_share,
        step_s=step / rate if long else 0.0,
        lanes=dict(sorted(segments.items())),
        signals=signals,
    )


def _most_frequent(values: NDArray[np.int16], step: int) -> NDArray[np.int64]:
    """Find the most frequent value of each ``step`` values, the lowest of equal ones: [T] to [ceil(T / step)]."""
    parts = (values[start : start + step].astype(np.int64) for start in range(0, len(values), step))
    return np.array([np.bincount(part - part.min()).argmax() + part.min() for part in parts], dtype=np.int64)


def _right_share(lanes: dict[str, Any]) -> float:
    best = next(name for name in ("int_decided", "int", "float") if name in lanes)
    known = lanes["labels"] >= 0
    return float((lanes[best] == lanes["labels"])[known].mean()) if known.any() else 0.0


def _segments(values: NDArray[np.int64], step: int, samples: int, rate: float) -> tuple[Segment, ...]:
    """Join equal values, each of ``step`` samples, to segments."""
    edges = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    return tuple(Segment(a * step / rate, min(b * step, samples) / rate, int(values[a])) for a, b in pairwise(edges))


def _signals(envelope: NDArray[np.int16], contract: SensorContract) -> Signals:
    """Convert counts [2, bins, C] to (least, largest) of each channel in its unit."""
    return {
        f"{one.name}, {one.unit}": tuple(
            (float(low), float(high)) for low, high in (envelope[:, :, index] / one.counts_per_unit).T
        )
        for index, one in enumerate(contract.channels)
    }
