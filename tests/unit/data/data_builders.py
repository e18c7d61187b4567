"""Builders of small data sources and data sets."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_seq.data.recording import Dataset, Recording
from edge_seq.ir.contract import Channel, SensorContract


def source_fields(**changes: Any) -> dict[str, Any]:
    """Make a complete table: two channels in g at 10 Hz, windows of 4 samples, labels in a column."""
    return {
        "name": "walks",
        "path": ".",
        "sample_rate_hz": 10,
        "window_length": 4,
        "window_stride": 2,
        "channels": [
            {"name": "ax", "unit": "g", "counts_per_unit": 100, "full_scale": 4},
            {"name": "ay", "unit": "g", "counts_per_unit": 100, "full_scale": 4},
        ],
        **changes,
    }


def rows_csv(columns: str, count: int = 8, **fixed: str) -> str:
    """Make CSV text with these columns: ``t``, ``i``, ``ax``, ``ay`` vary, others hold ``fixed`` or ``walk``."""
    names = columns.split(",")
    lines = [columns]
    for i in range(count):
        varying = {"t": f"{i / 10:.1f}", "i": str(i), "ax": f"{i / 10:.1f}", "ay": f"{-i / 20:.2f}"}
        lines.append(",".join(varying.get(name, fixed.get(name, "walk")) for name in names))
    return "\n".join(lines) + "\n"


def make_dataset(groups: dict[str, list[int]], *, splits: dict[str, str] | None = None, length: int = 2) -> Dataset:
    """Make one recording for each group; ``groups`` gives the classes of its windows of ``length`` samples."""
    contract = SensorContract(10.0, (Channel("ax", "g", 100.0, 4.0),), window_length=length, window_stride=length)
    recordings = []
    for number, (group, classes) in enumerate(groups.items()):
        labels = np.repeat(np.array(classes, dtype=np.int16), length)
        counts = (np.arange(len(labels), dtype=np.int16) + 100 * number)[:, np.newaxis]
        recordings.append(Recording(f"r{number}", group, counts, labels, (splits or {}).get(group)))
    num_classes = 1 + max(max(classes) for classes in groups.values())
    return Dataset("made", contract, tuple(f"class{k}" for k in range(num_classes)), tuple(recordings))
