"""Preparation of data: read or simulate recordings, split them by group, cut windows and calibration streams."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.recording import Dataset, Recording, Windows, join_windows
from edge_seq.data.splits import (
    Split,
    check_split_kind,
    split_by_fold,
    split_by_group,
    split_by_time_blocks,
    split_by_time_fold,
    split_by_window_leaking_groups,
)
from edge_seq.data.windows import DEFAULT_MINIMUM_SHARE, make_windows, spread
from edge_seq.pipeline.config import SIMULATOR, DataConfig, OneClassConfig, QuantizationConfig, RunConfig
from edge_seq.pipeline.one_class.recordings import (
    OneClass,
    as_one_class,
    normal_index,
    recording_as_one_class,
    split_one_class,
)
from edge_seq.scores.evaluation import SplitNote
from edge_seq.scores.one_class import OtherClasses
from edge_seq.support.errors import ConfigError, DataError

Progress = Callable[[int, int], None]

LEAK_WARNING = "windows of one group are on both sides of the split (window_leaking_groups), so every score is too good"
TIME_WARNING = (
    "the split is by blocks of time within the same sessions (time_blocks): weaker evidence than a split by group, as "
    "a new session may differ in mounting, person or place"
)
LEARNT_TOO = (
    "the model was trained again on the validation windows too (training.learn_from = 'all'), so its scores on them "
    "are too good"
)


@dataclass(frozen=True)
class PreparedData:
    """Data for a training.

    Attributes:
        dataset: all recordings, with contract and labels.
        train, validation, test: windows of each side; validation or test is None if it is empty.
        calibration: int16 [B, T, C], streams of training recordings.
        minimum_share: share of a window that its label must cover, 0 to 1.
        seen: recordings of the training and the validation part; empty where windows were split instead.
        training_stride: samples from one training window to the next.
        one_class: the normal class, if one class is learnt alone. The labels are then those of the model, normal and
            anomaly, and training and validation have normal windows only.
    """

    dataset: Dataset
    train: Windows
    validation: Windows | None
    test: Windows | None
    calibration: NDArray[np.int16]
    minimum_share: float = DEFAULT_MINIMUM_SHARE
    seen: tuple[Recording, ...] = ()
    training_stride: int = 1
    one_class: OneClass | None = None


def load_data(
    config: DataConfig, *, progress: Progress | None = None, store: Path | None = None
) -> tuple[Dataset, float]:
    """Read or simulate the data set that a configuration names.

    Args:
        config: configuration of the data.
        progress: called with drives done and drives in all while data are simulated.
        store: folder for the samples, needed if the configuration keeps them on disk.

    Returns:
        The data set, and the share of a window that its label must cover.

    Raises:
        DataError, ContractError, ConfigError, ToolError: as the readers and the simulator say.
    """
    if config.source == SIMULATOR:
        from edge_seq.data.simulator.kept import kept_car_states

        return kept_car_states(config.simulator, progress=progress), DEFAULT_MINIMUM_SHARE
    from edge_seq.data.readers import read_dataset
    from edge_seq.data.source import load_source

    path = Path(config.source)
    source = load_source(path)
    if config.storage == "disk":
        if store is None:
            raise ConfigError(
                "data.storage = 'disk' keeps samples in the folder of a run, but this command makes no run; set it to "
                "'memory'"
            )
        from edge_seq.data.store import store_dataset

        return store_dataset(source, base=path.parent, folder=store), source.minimum_share
    return read_dataset(source, base=path.parent), source.minimum_share


def split_note(config: RunConfig, leak_text: str | None = None) -> SplitNote:
    """Make the note for the scores of a run: the kind of split, and a warning if the split leaks.

    Args:
        config: configuration of the run.
        leak_text: measured size of the leak in one sentence; None if it was not measured.
    """
    if config.data.split == "time_blocks":
        return SplitNote(config.data.split, TIME_WARNING)
    if config.data.split != "window_leaking_groups":
        return SplitNote(config.data.split)
    return SplitNote(config.data.split, f"{LEAK_WARNING}; {leak_text}" if leak_text else LEAK_WARNING)


def learnt_too(note: SplitNote, side: str) -> SplitNote:
    """The note for scores on a side of the split of a model that has learnt the training and the validation windows.

    >>> learnt_too(SplitNote("group"), "test").warning is None
    True
    """
    return note if side != "validation" else SplitNote(note.split, "; ".join(filter(None, (note.warning, LEARNT_TOO))))


def with_split_of_source(config: RunConfig) -> RunConfig:
    """Take over the split that the data source asks for, where the configuration has the default ``group``.

    Samples on disk need a split by group, so they keep it.

    Raises:
        ConfigError, ContractError: the data source cannot be read.
    """
    data = config.data
    if data.split != "group" or data.storage != "memory":
        return config
    return config.model_copy(update={"data": data.model_copy(update={"split": split_of_source(data.source)})})


def split_of_source(source: str) -> str:
    """The kind of split that a data source asks for; ``group`` for the simulator.

    Raises:
        ConfigError, ContractError: the data source cannot be read.
    """
    if source == SIMULATOR:
        return "group"
    from edge_seq.data.source import load_source

    return load_source(Path(source)).split


def prepare(config: RunConfig, *, progress: Progress | None = None, store: Path | None = None) -> PreparedData:
    """Read or simulate recordings, split them and cut them into windows.

    Args:
        config: configuration of the run.
        progress: called with drives done and drives in all while data are simulated.
        store: folder for the samples, needed if the configuration keeps them on disk.

    Raises:
        DataError, ContractError, ConfigError, ToolError: as the steps say.
    """
    check_split_kind(config.data.split)
    dataset, minimum_share = load_data(config.data, progress=progress, store=store)
    return prepare_dataset(dataset, config.data, config.quantization, minimum_share=minimum_share)


def prepare_dataset(
    dataset: Dataset, data: DataConfig, quantization: QuantizationConfig, *, minimum_share: float
) -> PreparedData:
    """Split recordings and cut them into windows.

    Args:
        dataset: Recordings with their contract.
        data: Split and strides.
        quantization: Number and length of the calibration streams.
        minimum_share: Share of a window that its label must cover.

    Raises:
        DataError, ConfigError: the recordings cannot be split like that, or hold no window.
    """
    if data.one_class is None:
        _require_classes(dataset)
    contract = dataset.contract
    if check_split_kind(data.split) == "window_leaking_groups":
        train, validation, test = split_by_window_leaking_groups(
            dataset,
            validation_fraction=data.validation_fraction,
            test_fraction=data.test_fraction,
            seed=data.split_seed,
            minimum_share=minimum_share,
        )
        streams = _streams(dataset.recordings, dataset, quantization)
        return PreparedData(dataset, train, validation, test, streams, minimum_share)

    split = split_recordings(dataset, data, minimum_share)

    def cut(recordings: Sequence[Recording], stride: int) -> Windows | None:
        if not recordings:
            return None
        return make_windows(recordings, length=contract.window_length, stride=stride, minimum_share=minimum_share)

    training_stride = data.training_stride or contract.window_stride
    train_windows = cut(split.train, training_stride)
    assert train_windows is not None  # a split has training recordings
    prepared = PreparedData(
        dataset=dataset,
        train=train_windows,
        validation=cut(split.validation, contract.window_stride),
        test=cut(split.test, contract.window_stride),
        calibration=_streams(split.train, dataset, quantization),
        minimum_share=minimum_share,
        seen=(*split.train, *split.validation),
        training_stride=training_stride,
    )
    return prepared if data.one_class is None else _as_one_class(prepared, data.one_class)


def windows_to_learn(data: PreparedData) -> Windows:
    """Windows of the training and the validation part together, all as far apart as the training windows."""
    if data.seen:
        length = data.dataset.contract.window_length
        return make_windows(data.seen, length=length, stride=data.training_stride, minimum_share=data.minimum_share)
    return join_windows([data.train, *([] if data.validation is None else [data.validation])])


def _as_one_class(prepared: PreparedData, wanted: OneClassConfig) -> PreparedData:
    """Give windows the labels of a model of one class, and keep the classes of the test windows."""
    dataset, test, validation = prepared.dataset, prepared.test, prepared.validation
    normal = normal_index(dataset, wanted)
    one_class = OneClass(wanted, OtherClasses(dataset.labels, () if test is None else tuple(test.labels.tolist())))
    recordings = tuple(recording_as_one_class(one, normal) for one in dataset.recordings)
    return dataclasses.replace(
        prepared,
        dataset=dataclasses.replace(dataset, labels=one_class.labels, recordings=recordings),
        train=as_one_class(prepared.train, normal),
        validation=None if validation is None else as_one_class(validation, normal),
        test=None if test is None else as_one_class(test, normal),
        one_class=one_class,
    )


def _require_classes(dataset: Dataset) -> None:
    """Check that there is something to tell apart, before a long training.

    Raises:
        DataError: all recordings are of one class.
    """
    if len(dataset.labels) < 2:
        raise DataError(
            f"preparing {dataset.name}: all recordings are of one class, {list(dataset.labels)}; a classifier needs at "
            "least two. Record other states too. To find what differs from this one, train on it alone: edge-seq train "
            f"--one-class {shlex.quote(str(dataset.labels[0] if dataset.labels else 'NORMAL'))}"
        )


def split_recordings(dataset: Dataset, data: DataConfig, minimum_share: float) -> Split:
    """Split recordings by group or into blocks of time, or into a fold of a cross-validation by either.

    Args:
        dataset: Recordings.
        data: Kind of split, fractions and seed; not ``window_leaking_groups``, which splits windows.
        minimum_share: Share of a window that its label must cover.

    Returns:
        The split, with the labels of ``dataset``. With one class, training and validation have samples of it only.

    Raises:
        ConfigError, DataError: the recordings cannot be split like that.
    """
    if data.one_class is not None:
        plain = data.model_copy(update={"one_class": None})
        return split_one_class(dataset, data, data.one_class, lambda one: split_recordings(one, plain, minimum_share))
    in_time = check_split_kind(data.split) == "time_blocks"
    if data.split_window is not None:
        length, stride = data.split_window
        contract = dataclasses.replace(dataset.contract, window_length=length, window_stride=stride)
        dataset = dataclasses.replace(dataset, contract=contract)
    if data.folds:
        by_fold = split_by_time_fold if in_time else split_by_fold
        return by_fold(
            dataset,
            folds=data.folds,
            fold=data.fold,
            seed=data.split_seed,
            validation_fraction=data.validation_fraction,
            minimum_share=minimum_share,
        )
    if in_time:
        return split_by_time_blocks(
            dataset,
            validation_fraction=data.validation_fraction,
            test_fraction=data.test_fraction,
            minimum_share=minimum_share,
        )
    return split_by_group(
        dataset,
        validation_fraction=data.validation_fraction,
        test_fraction=data.test_fraction,
        seed=data.split_seed,
        minimum_share=minimum_share,
    )


def _streams(recordings: Sequence[Recording], dataset: Dataset, config: QuantizationConfig) -> NDArray[np.int16]:
    """Cut calibration streams int16 [B, T, C] from recordings, spread evenly.

    All streams have the same length: the configured number of windows, or fewer if no recording is that long.
    """
    window = dataset.contract.window_length
    lengths = np.array([len(recording.labels) for recording in recordings])
    length = window * max(1, min(config.calibration_windows_per_stream, int(lengths.max()) // window))
    ends = np.cumsum(lengths // length)  # number of streams up to and including each recording
    chosen = spread(int(ends[-1]), config.calibration_streams)
    of_recording = np.searchsorted(ends, chosen, side="right")
    starts = (chosen - np.concatenate([[0], ends])[of_recording]) * length
    return np.stack(
        [recordings[i].counts[start : start + length] for i, start in zip(of_recording, starts, strict=True)]
    )
