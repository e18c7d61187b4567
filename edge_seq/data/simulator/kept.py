"""Simulated drives, kept in the user's cache so that the same drives are simulated once."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors.numpy

from edge_seq.data.recording import Dataset, Recording
from edge_seq.data.simulator.drive import LABELS
from edge_seq.data.simulator.options import CarStatesOptions
from edge_seq.data.simulator.simulate import DATASET_NAME, car_states_contract, simulate_car_states, verify_options
from edge_seq.support.cache import cache_key, find_kept, hash_of_files, keep
from edge_seq.support.opening import load_tensors

DRIVES = "drives"
MOST_DATASETS, LARGEST = 8, 1 << 26  # data sets, and bytes of one


def kept_car_states(options: CarStatesOptions, *, progress: Callable[[int, int], None] | None = None) -> Dataset:
    """Return what :func:`edge_seq.data.simulator.simulate_car_states` does, from the cache if it was simulated before.

    The key of the cache is a hash of the options, of the simulator's sources and of numpy's version, so that kept
    drives are never those of another simulator. Large data sets are not kept.

    Raises:
        ConfigError, ContractError: an option is out of range.
    """
    verify_options(options)
    numbers = [options.drives, options.drive_duration_s, options.sample_rate_hz, options.seed]
    sources = hash_of_files(Path(__file__).parent.glob("*.py"))
    key = cache_key([json.dumps(numbers), sources, np.__version__, platform.machine()])
    kept = find_kept(DRIVES, key)
    if kept is not None:
        try:
            return _dataset(kept, options)
        except (OSError, ValueError, KeyError):  # it was damaged
            kept.unlink(missing_ok=True)
    dataset = simulate_car_states(options, progress=progress)
    counts = np.stack([recording.counts for recording in dataset.recordings])
    labels = np.stack([recording.labels for recording in dataset.recordings])
    names = json.dumps([[recording.name, recording.group] for recording in dataset.recordings])
    content = safetensors.numpy.save({"counts": counts, "labels": labels}, metadata={"names": names})
    if len(content) <= LARGEST:
        keep(DRIVES, key, content, most=MOST_DATASETS)
    return dataset


def _dataset(path: Path, options: CarStatesOptions) -> Dataset:
    """Read kept drives.

    Raises:
        OSError, ValueError, KeyError: the file is not what was kept.
    """
    tensors, metadata = load_tensors(path)
    recordings = tuple(
        Recording(name=name, group=group, counts=counts, labels=labels)
        for (name, group), counts, labels in zip(
            json.loads(metadata["names"]), tensors["counts"], tensors["labels"], strict=True
        )
    )
    return Dataset(DATASET_NAME, car_states_contract(options), LABELS, recordings)
