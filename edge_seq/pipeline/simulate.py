"""edge-seq simulate: writes simulated car-state recordings as a table, with the data source that describes it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from edge_seq.data.recording import Dataset
from edge_seq.data.simulator import CarStatesOptions, simulate_car_states
from edge_seq.support.errors import ConfigError, ToolError
from edge_seq.support.files import check_can_write, replace_when_done, write_atomically
from edge_seq.support.results import Result

MARK = "# Written by edge-seq simulate.\n"


@dataclass(frozen=True)
class SimulatedFiles(Result):
    """Files of simulated recordings.

    Attributes:
        recordings_file: path of the table of recordings.
        source_file: path of the data source that describes it.
        recordings: number of recordings.
        samples: number of samples of each label.
        seed: seed of the random numbers.
    """

    recordings_file: Path
    source_file: Path
    recordings: int
    samples: dict[str, int]
    seed: int


def simulate_to_file(
    path: Path,
    *,
    drives: int,
    duration_s: float,
    sample_rate_hz: float,
    seed: int,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> SimulatedFiles:
    """Simulate drives and write them to a table, with a data source of the same name and the ending ``.toml``.

    Reading the table gives back the same counts. Windows are 5 s long with a stride of 2.5 s at any sample rate.

    Args:
        path: CSV or Parquet file to write.
        drives: number of drives.
        duration_s: length of each drive in seconds.
        sample_rate_hz: sample rate of the sensor in Hz.
        seed: seed of the random numbers.
        force: True also replaces files that this function did not write.
        progress: called with drives done and drives in all.

    Raises:
        ConfigError: the ending is neither .csv nor .parquet, an option is out of range, the folder cannot be written
            to, or without ``force`` there are files that this function did not write.
        ToolError: pyarrow is not installed.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"simulate: {path.name} ends in {path.suffix!r}; give a file that ends in .csv or .parquet")
    source_path = path.with_suffix(".toml")
    check_can_write(path.parent)
    if not force:
        _refuse_to_replace(path, source_path)
    _require_pyarrow()
    options = CarStatesOptions(drives=drives, drive_duration_s=duration_s, sample_rate_hz=sample_rate_hz, seed=seed)
    dataset = simulate_car_states(options, progress=progress)
    with replace_when_done(path) as table:
        _write_table(dataset, table)
        # It has the mark, so it takes its place first: an interrupted simulation can be given again.
        write_atomically(source_path, MARK + tomli_w.dumps(_source_of(dataset, path)))
    labels = np.concatenate([recording.labels for recording in dataset.recordings])
    return SimulatedFiles(
        recordings_file=path,
        source_file=source_path,
        recordings=len(dataset.recordings),
        samples={label: int((labels == index).sum()) for index, label in enumerate(dataset.labels)},
        seed=seed,
    )


def _refuse_to_replace(path: Path, source_path: Path) -> None:
    """Refuse to replace files unless the data source has the mark of this function."""
    if source_path.is_file() and source_path.read_bytes().startswith(MARK.encode()):
        return
    there = next((existing for existing in (source_path, path) if existing.exists()), None)
    if there is not None:
        raise ConfigError(
            f"simulate: {there} exists, and edge-seq simulate did not write it; give another --out, or --force to "
            f"replace {path.name} and {source_path.name}"
        )


def _require_pyarrow() -> None:
    if importlib.util.find_spec("pyarrow") is None:
        raise ToolError("edge-seq simulate needs pyarrow, which is not installed; pip install 'edge-seq[data]'")


def _source_of(dataset: Dataset, path: Path) -> dict[str, Any]:
    contract = dataset.contract
    return {
        "name": dataset.name,
        "path": path.name,
        "recording_column": "drive",
        "group_column": "drive",
        "time_column": "t",
        "label_column": "label",
        "labels": list(dataset.labels),
        "sample_rate_hz": contract.sample_rate_hz,
        "window_length": contract.window_length,
        "window_stride": contract.window_stride,
        "preprocessing": {"step": contract.preprocessing.step},
        "channels": [
            {"name": c.name, "unit": c.unit, "counts_per_unit": c.counts_per_unit, "full_scale": c.full_scale}
            for c in contract.channels
        ],
    }


def _write_table(dataset: Dataset, path: Path) -> None:
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet

    contract, recordings = dataset.contract, dataset.recordings
    counts = np.concatenate([recording.counts for recording in recordings])
    lengths = [len(recording.labels) for recording in recordings]
    names = np.array(dataset.labels)
    columns: dict[str, Any] = {
        "drive": np.repeat(np.array([recording.group for recording in recordings]), lengths),
        "t": np.round(np.concatenate([np.arange(n) for n in lengths]) / contract.sample_rate_hz, 6),
    }
    for index, channel in enumerate(contract.channels):
        columns[channel.name] = np.round(counts[:, index] / channel.counts_per_unit, 6)
    columns["label"] = names[np.concatenate([recording.labels for recording in recordings])]
    table = pyarrow.table(columns)
    if path.suffix == ".csv":
        pyarrow.csv.write_csv(table, path, pyarrow.csv.WriteOptions(quoting_style="none"))
    else:
        pyarrow.parquet.write_table(table, path)
