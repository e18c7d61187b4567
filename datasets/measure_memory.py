"""Peak memory and time of training, quantising and evaluating on sets of 1, 10 and 100 times the recordings.

    python datasets/measure_memory.py --times 1 10 100
    python datasets/measure_memory.py --times 1 10 --storage memory      # for comparison: everything in memory

Each step is a process of its own; its peak is what the system says (resident set). The recordings are noise with
another amplitude in each class, in one Parquet file that is written in parts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

RECORDINGS, SAMPLES, RATE_HZ = 30, 3000, 50
CLASSES = ("rest", "smooth", "rough")
SOURCE = """
name = "many"
path = "many.parquet"
recording_column = "recording"
group_column = "recording"
time_column = "t"
sample_rate_hz = 50
window_length = 100
window_stride = 50
channels = [
    { name = "ax", unit = "g", counts_per_unit = 4096, full_scale = 8 },
    { name = "ay", unit = "g", counts_per_unit = 4096, full_scale = 8 },
    { name = "az", unit = "g", counts_per_unit = 4096, full_scale = 8 },
]
"""


def write_recordings(folder: Path, times: int) -> Path:
    """Write the Parquet file and its data source; a row group holds 30 recordings."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    writer: Any = None
    for part in range(times):
        names = [f"r{part * RECORDINGS + index:06d}" for index in range(RECORDINGS)]
        which = np.repeat(np.tile(np.arange(3), RECORDINGS), SAMPLES // 3)
        columns: dict[str, Any] = {
            "recording": np.repeat(names, SAMPLES),
            "t": np.tile(np.arange(SAMPLES) / RATE_HZ, RECORDINGS),
            "label": np.array(CLASSES)[which],
        }
        for axis in ("ax", "ay", "az"):
            amplitude = np.array([0.01, 0.1, 0.5])[which]
            columns[axis] = (rng.normal(size=len(which)) * amplitude + (axis == "az")).astype(np.float32)
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(folder / "many.parquet", table.schema)
        writer.write_table(table)
    writer.close()
    (folder / "many.toml").write_text(SOURCE, encoding="utf-8")
    return folder / "many.toml"


def measure(arguments: list[str]) -> tuple[float, float]:
    """Run an edge-seq command in a process of its own; peak memory in MB and seconds."""
    started = time.perf_counter()
    code = "import sys; from edge_seq.cli import main; sys.argv[0] = 'edge-seq'; main()"
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"edge-seq {' '.join(arguments)} ended with {process.returncode}")
    return usage.ru_maxrss / 1024, time.perf_counter() - started


def measure_steps(folder: Path, times: int, storage: str) -> dict[str, Any]:
    """Peak memory and seconds of each step on a set of ``times`` 30 recordings."""
    source = write_recordings(folder / str(times), times)
    run = str(folder / str(times) / f"run_{storage}")
    train = ["train", "--data", str(source), "--out", run, "--json", "--cell", "gru", "--epochs", "1"]
    steps = {
        "train": [*train, "--set", f"data.storage={storage}"],
        "quantize": ["quantize", run, "--json"],
        "evaluate": ["evaluate", run, "--no-baselines", "--json"],
    }
    measured = {name: measure(arguments) for name, arguments in steps.items()}
    return {
        "recordings": RECORDINGS * times,
        "samples": RECORDINGS * times * SAMPLES,
        "peak_mb": {name: round(peak, 1) for name, (peak, _) in measured.items()},
        "seconds": {name: round(seconds, 1) for name, (_, seconds) in measured.items()},
    }


def main() -> None:
    """Parse, measure, print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--storage", choices=("disk", "memory"), default="disk")
    parser.add_argument("--folder", type=Path, default=None, help="kept; else a temporary one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        rows = []
        for times in options.times:
            rows.append(measure_steps(folder, times, options.storage))
            if not options.json:
                sys.stdout.write(json.dumps(rows[-1]) + "\n")
                sys.stdout.flush()
    if options.json:
        sys.stdout.write(json.dumps(rows) + "\n")


if __name__ == "__main__":
    main()
