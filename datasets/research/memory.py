"""Peak memory and time of training, quantising and evaluating on sets of 1, 10 and 100 times the recordings.

    python datasets/research/memory.py --times 1 10 100
    python datasets/research/memory.py --times 1 10 --storage memory      # for comparison: everything in memory
    python datasets/research/memory.py --times 1 15 --data-check          # of `data check`, on CSV files

Each step is a process of its own, whose resident memory is looked at every 10 ms. Pages of files on disk do not count
(``RssAnon`` of Linux): the system takes them back when it needs memory. The recordings are noise with
another amplitude in each class, in one file that is written in parts: Parquet, for ``--data-check`` CSV.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

RECORDINGS, SAMPLES, RATE_HZ = 30, 3000, 50
CLASSES = ("rest", "smooth", "rough")
SOURCE = """
name = "many"
path = "{path}"
recording_column = "recording"
group_column = "recording"
time_column = "t"
sample_rate_hz = 50
window_length = 100
window_stride = 50
channels = [
    {{ name = "ax", unit = "g", counts_per_unit = 4096, full_scale = 8 }},
    {{ name = "ay", unit = "g", counts_per_unit = 4096, full_scale = 8 }},
    {{ name = "az", unit = "g", counts_per_unit = 4096, full_scale = 8 }},
]
"""


WRITERS = {".csv": pc.CSVWriter, ".parquet": pq.ParquetWriter}


def write_recordings(folder: Path, times: int, *, suffix: str, as_one: bool = False) -> Path:
    """Write ``many.parquet`` or ``many.csv`` and its data source, 30 recordings at a time, or all rows as one."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    writer: Any = None
    for part in range(times):
        rows = np.arange(part * RECORDINGS * SAMPLES, (part + 1) * RECORDINGS * SAMPLES)
        of_recording, place = (0 * rows, rows) if as_one else np.divmod(rows, SAMPLES)
        which = np.repeat(np.tile(np.arange(3), RECORDINGS), SAMPLES // 3)
        columns: dict[str, Any] = {
            "recording": np.char.mod("r%06d", of_recording),
            "t": place / RATE_HZ,
            "label": np.array(CLASSES)[which],
        }
        for axis in ("ax", "ay", "az"):
            amplitude = np.array([0.01, 0.1, 0.5])[which]
            columns[axis] = (rng.normal(size=len(which)) * amplitude + (axis == "az")).astype(np.float32)
        table = pa.table(columns)
        writer = writer or WRITERS[suffix](folder / f"many{suffix}", table.schema)
        writer.write_table(table)
    writer.close()
    (folder / "many.toml").write_text(SOURCE.format(path=f"many{suffix}"), encoding="utf-8")
    return folder / "many.toml"


# Runs edge-seq, and writes the largest memory of its own that a thread saw. (ru_maxrss of an ended process may be the
# memory of this script, which the new process had until it became edge-seq.)
PROGRAM = """
import pathlib, runpy, sys, threading
out, ended, peak = pathlib.Path(sys.argv.pop(1)), threading.Event(), 0
def watch():
    global peak
    while True:
        text = pathlib.Path("/proc/self/status").read_text()
        peak = max(peak, int(text.partition("RssAnon:")[2].split()[0]))
        if ended.wait(0.01):
            return
thread = threading.Thread(target=watch)
thread.start()
try:
    runpy.run_module("edge_seq", run_name="__main__", alter_sys=True)
finally:
    ended.set()
    thread.join()
    out.write_text(str(peak))
"""


def measure(arguments: list[str], *, expected: tuple[int, ...] = (0,)) -> tuple[float, float]:
    """Run an edge-seq command in a process of its own, to one of the exit codes; peak memory in MB and seconds."""
    with tempfile.TemporaryDirectory() as folder:
        peak = Path(folder) / "peak"
        started = time.perf_counter()
        command = [sys.executable, "-c", PROGRAM, str(peak), *arguments]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        seconds = time.perf_counter() - started
        if done.returncode not in expected:
            raise SystemExit(f"edge-seq {' '.join(arguments)} ended with {done.returncode}")
        return int(peak.read_text()) / 1024, seconds


def measure_steps(folder: Path, times: int, storage: str) -> dict[str, Any]:
    """Peak memory and seconds of each step on a set of ``times`` 30 recordings."""
    source = write_recordings(folder / str(times), times, suffix=".parquet")
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


def measure_data_check(folder: Path, times: int) -> dict[str, Any]:
    """Peak memory and seconds of `data check` on a CSV file of ``times`` 30 recordings; the same rows as one recording;
    and without a data source, which is guessed."""
    many = write_recordings(folder / str(times), times, suffix=".csv")
    one = write_recordings(folder / f"{times}_as_one", times, suffix=".csv", as_one=True)
    csv = many.with_suffix(".csv")
    measured = {
        name: measure(["data", "check", str(path), "--json"], expected=(0, 1))  # 1: read, and faults are found
        for name, path in (("many", many), ("one", one), ("guessed", csv))
    }
    return {
        "recordings": RECORDINGS * times,
        "file_mb": round(csv.stat().st_size / 1e6, 1),
        "peak_mb": {name: round(peak, 1) for name, (peak, _) in measured.items()},
        "seconds": {name: round(seconds, 1) for name, (_, seconds) in measured.items()},
    }


def main() -> None:
    """Parse, measure, print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--storage", choices=("disk", "memory"), default="disk")
    parser.add_argument("--data-check", action="store_true", help="measure `data check` instead, on CSV files")
    parser.add_argument("--folder", type=Path, default=None, help="kept; else a temporary one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        rows = []
        for times in options.times:
            if options.data_check:
                rows.append(measure_data_check(folder, times))
            else:
                rows.append(measure_steps(folder, times, options.storage))
            if not options.json:
                sys.stdout.write(json.dumps(rows[-1]) + "\n")
                sys.stdout.flush()
    if options.json:
        sys.stdout.write(json.dumps(rows) + "\n")


if __name__ == "__main__":
    main()
