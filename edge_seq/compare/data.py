"""Windows of a training: drawn at random for a memory task, cut from recordings for all other tasks.

A test part of the recordings is left out first and never used, because a comparison is a choice, and scores on data
that were used for a choice are too good. The rest is split by group again for each seed, alike for all cells.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from edge_seq.compare.config import CompareConfig, CompareData
from edge_seq.data.recording import Recording, Windows, select_windows
from edge_seq.data.simulator.memory_tasks import LABELS, MemoryTask, make_memory_windows, memory_contract
from edge_seq.data.splits import Split, split_by_group, split_by_time_block
from edge_seq.data.window_file import windows_hash
from edge_seq.data.windows import make_windows, spread
from edge_seq.ir.contract import SensorContract
from edge_seq.pipeline.choosing.aside import put_test_aside
from edge_seq.pipeline.config import DataConfig
from edge_seq.pipeline.prepare import TIME_WARNING
from edge_seq.support.errors import DataError

CALIBRATION_WINDOWS = 128
_TRAINING, _SCORED = 0, 1


@dataclass(frozen=True)
class PointData:
    """Windows that a training learns from and windows that it is scored on.

    Attributes:
        contract: sensor contract of both, with the window length of the training.
        labels: K class names.
        train: windows to learn from.
        scored: windows of other groups, to score.
    """

    contract: SensorContract
    labels: tuple[str, ...]
    train: Windows
    scored: Windows

    @property
    def calibration_counts(self) -> NDArray[np.int16]:
        """Training windows int16 [B, T, C] for the calibration, spread evenly."""
        return self.train.counts[spread(len(self.train.labels), CALIBRATION_WINDOWS)]


@dataclass(frozen=True)
class Source:
    """Source of the windows of a comparison.

    Attributes:
        name: name of the data.
        labels: K class names.
        contract: function from the window length T to the sensor contract.
        windows: function from a window length and a seed to the windows. The last few are kept, as all cells use them.
        has_groups: True if several windows belong to one group.
        fingerprint: SHA-256 of the data that the windows depend on, without the configuration.
        note: sentence about the training, scored and test parts.
    """

    name: str
    labels: tuple[str, ...]
    contract: Callable[[int], SensorContract]
    windows: Callable[[int, int], PointData]
    has_groups: bool
    fingerprint: str
    note: str


def open_source(config: CompareConfig, *, progress: Callable[[int, int], None] | None = None) -> Source:
    """Read or simulate the data, and leave out the test part.

    Raises:
        DataError, ContractError, ConfigError, ToolError: as the readers and the simulator say.
    """
    return _memory_source(config) if config.is_memory_task else _recorded_source(config, progress)


def _memory_source(config: CompareConfig) -> Source:
    task = cast(MemoryTask, config.task)
    memory = config.memory

    def draw(time_steps: int, seed: int, part: int, count: int) -> Windows:
        return make_memory_windows(task, time_steps=time_steps, count=count, seed=(seed, part))

    @lru_cache(maxsize=4)
    def windows(time_steps: int, seed: int) -> PointData:
        return PointData(
            memory_contract(task, time_steps),
            LABELS[task],
            train=draw(time_steps, seed, _TRAINING, memory.training_windows),
            scored=draw(time_steps, seed, _SCORED, memory.scored_windows),
        )

    first = draw(min(config.window_lengths), 0, _TRAINING, 64)
    return Source(
        name=task,
        labels=LABELS[task],
        contract=lambda time_steps: memory_contract(task, time_steps),
        windows=windows,
        has_groups=False,
        fingerprint=windows_hash(first),
        note=f"each training has {memory.training_windows:,} windows of its own and is scored on "
        f"{memory.scored_windows:,} others, drawn again for each seed",
    )


def _recorded_source(config: CompareConfig, progress: Callable[[int, int], None] | None) -> Source:
    data = config.data
    keys = data.model_dump(include={"simulator", "test_fraction", "split_seed", "split"})
    aside = put_test_aside(DataConfig(source=config.task, **keys), progress=progress)
    dataset, minimum_share = aside.dataset, aside.minimum_share

    def contract(time_steps: int) -> SensorContract:
        stride = data.window_stride or dataset.contract.window_stride
        return dataclasses.replace(dataset.contract, window_length=time_steps, window_stride=stride)

    @cache
    def split_of(seed: int) -> Split:
        """Split with the windows of the data's own contract, so that every window length scores the same groups."""
        if aside.by_time:
            return split_by_time_block(
                dataset, scored_fraction=data.scored_fraction, seed=seed, minimum_share=minimum_share
            )
        return split_by_group(
            dataset,
            validation_fraction=data.scored_fraction,
            test_fraction=0.0,
            seed=seed,
            minimum_share=minimum_share,
        )

    @lru_cache(maxsize=4)
    def windows(time_steps: int, seed: int) -> PointData:
        terms, split = contract(time_steps), split_of(seed)

        def cut(recordings: tuple[Recording, ...]) -> Windows:
            return make_windows(recordings, length=time_steps, stride=terms.window_stride, minimum_share=minimum_share)

        return PointData(
            terms, dataset.labels, _at_most(cut(split.train), data.max_training_windows), cut(split.validation)
        )

    return Source(
        name=dataset.name,
        labels=dataset.labels,
        contract=contract,
        windows=windows,
        has_groups=True,
        fingerprint=aside.fingerprint,
        note=_note_of_time(data) if aside.by_time else _note_of_groups(data, dataset.recordings, aside.test),
    )


def _note_of_groups(data: CompareData, rest: Sequence[Recording], put_aside: Sequence[Recording]) -> str:
    groups, aside = ({recording.group for recording in some} for some in (rest, put_aside))
    return (
        f"{len(aside)} groups are the test part, which is not used; {len(groups)} groups are split again for "
        f"each seed, and {data.scored_fraction:.0%} of their windows are scored"
    )


def _note_of_time(data: CompareData) -> str:
    return (
        f"the last {data.test_fraction:.0%} of each class in time are the test part, which is not used; of the rest "
        f"another block of time, {data.scored_fraction:.0%} of it, is scored for each seed. {TIME_WARNING[0].upper()}"
        f"{TIME_WARNING[1:]}"
    )


def check_windows_of_all(source: Source, config: CompareConfig) -> None:
    """Cut the windows of each length for one seed, before the long work begins.

    Raises:
        DataError: a class has too few groups or nothing can be cut; the message names the window length.
    """
    for time_steps in config.window_lengths:
        try:
            source.windows(time_steps, 0)
        except DataError as error:
            raise DataError(f"windows of {time_steps} samples: {error}. Or leave this window length out") from error


def _at_most(windows: Windows, most: int) -> Windows:
    return select_windows(windows, spread(len(windows.labels), most)) if most else windows
