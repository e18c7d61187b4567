"""Other recordings than those of a training, read for its model as a data source says."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge_seq.data.audit.finding import some
from edge_seq.data.readers import count_notes, files_of, read_recordings, reader_of
from edge_seq.data.readers.formats import csv_file
from edge_seq.data.readers.recordings import to_recording
from edge_seq.data.recording import Recording
from edge_seq.data.source import ChannelSource, DataSource, PreprocessingSource
from edge_seq.data.units import conversion_factor
from edge_seq.ir.contract import Channel, SensorContract
from edge_seq.support.errors import ConfigError, ContractError, DataError, ToolError

# A name that any file name matches, with an empty label: such recordings have no labels.
_NO_LABEL = r"(?P<label>)"


@dataclass
class OtherRecordings:
    """Recordings for a model, read one after the other.

    Attributes:
        source: data source, with the sensor contract of the model.
        base: folder to which ``source.path`` is relative.
        file: TOML file that the data source was read from.
        labels: class names of the model; None if the labels of the recordings are not wanted.
        notes: what reading changed in each recording so far.
        still: names of the recordings so far that have a constant channel, with its name.
    """

    source: DataSource
    base: Path
    file: Path
    labels: tuple[str, ...] | None
    notes: list[tuple[str, ...]] = field(default_factory=list)
    still: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[Recording]:
        """Read the recordings, in the order of the files, then of the rows.

        Raises:
            DataError, ContractError, ConfigError, ToolError: the same cases as
                :func:`edge_seq.data.readers.read_dataset`; the message says how to read the files otherwise.
        """
        names = self.source.contract.channel_names
        try:
            for raw in read_recordings(_without_absent(self.source, self.base), base=self.base):
                self.notes.append(raw.notes)
                constant = np.flatnonzero((raw.counts == raw.counts[0]).all(axis=0))
                self.still += [f"{names[channel]} in {raw.name}" for channel in constant]
                yield to_recording(raw, self.labels or ())
        except ToolError as error:
            raise ToolError(
                f"{error}. A CSV with the names and units of the model's channels is read without it: --data contract"
            ) from error
        except (DataError, ContractError, ConfigError) as error:
            raise type(error)(
                f"{error}. It was read as {self.file} says; to read it otherwise, give a changed copy of that file "
                f"with --data, or make one: edge-seq data check {shlex.quote(str(self.base / self.source.path))} "
                "--write other.toml"
            ) from error

    def described(self) -> str:
        """What the data source takes from the files, in one line."""
        source = self.source
        columns = [
            (f"{one.column} as " if one.column and one.column != one.name else "")
            + f"{one.name} in {one.unit}"
            + (f" (from {one.column_unit})" if one.column_unit and one.column_unit != one.unit else "")
            for one in source.channels
        ]
        clock = source.time_column or source.index_column
        times = f"times in {clock}" if clock else "no column of times"
        return f"read as {self.file} says: {', '.join(columns)}; {times}; {source.sample_rate_hz:g} Hz"

    def reading(self) -> tuple[str, ...]:
        """What reading changed in the recordings so far."""
        return count_notes(self.notes)

    def constant(self) -> str | None:
        """Warning of the channels that are constant in a whole recording; None if there is none."""
        if not self.still:
            return None
        return f"constant: {some(self.still)}. Is the axis dead, or a wire off?"


def other_recordings(
    path: Path, source: DataSource, file: Path, contract: SensorContract, *, labels: Sequence[str] | None
) -> OtherRecordings:
    """Prepare to read other recordings as a data source says, for a model.

    Columns, layout, units, labels and rate are those of the data source. Channels, window and preprocessing are those
    of the model: values are converted to its units, and recordings shorter than its window are left out. A side of the
    split that the data source gives is not used.

    Args:
        path: file or folder to read.
        source: data source that says how it is written; its own ``path`` is not used.
        file: TOML file of the data source, for messages.
        contract: sensor contract of the model.
        labels: class names of the model; None reads no labels, which the files then need not have.

    Raises:
        DataError: there is no such file.
        ContractError: the data source lacks a channel of the model, or has it in a unit that cannot be converted.
    """
    if not path.exists():
        raise DataError(f"source {path} does not exist; give a file or a folder of recordings")
    place = path.resolve() if path.name in ("", ".", "..") else path
    changes: dict[str, Any] = {
        "path": place.name,
        "channels": _channels(source, contract),
        "sample_rate_hz": contract.sample_rate_hz,
        "window_length": contract.window_length,
        "window_stride": contract.window_stride,
        "preprocessing": PreprocessingSource(**dataclasses.asdict(contract.preprocessing)),
        "on_constant_axis": "allow",
        "on_short": "skip",
        "split_files": {},
        "split_folders": {},
        "split_column": None,
        "labels": tuple(labels or ()),
    }
    if source.recorded_rate_hz is None and not source.time_column and source.sample_rate_hz != contract.sample_rate_hz:
        changes["recorded_rate_hz"] = source.sample_rate_hz
    if labels is None:
        exclude = (source.exclude,) if isinstance(source.exclude, str) else source.exclude
        changes |= {
            "exclude": (*exclude, *(one for one in (source.manifest, source.intervals) if one is not None)),
            "label_from": "file_name", "file_pattern": _NO_LABEL, "label_column": None, "label_names": {},
            "manifest": None, "intervals": None, "interval_unit": None, "interval_origin": "clock",
            "group_column": None,
        }  # fmt: skip
    # The fields were validated in the data source; those that change fit together by construction.
    return OtherRecordings(
        source.model_copy(update=changes), place.parent, file, None if labels is None else tuple(labels)
    )


def _without_absent(source: DataSource, base: Path) -> DataSource:
    """Leave out the columns of recordings and groups that no file has; each file is then one recording.

    Only headers of text files are looked at. In files of other formats the columns must be there.
    """
    optional = {name: column for name in ("recording_column", "group_column") if (column := getattr(source, name))}
    if not optional or source.sensor_files:
        return source
    readers, files = files_of(source, base)
    if any(reader_of(file.path, readers) is not csv_file.READER for file in files):
        return source
    there = {column for file in files for column in csv_file.header_of(file.path, source.layout)}
    return source.model_copy(update={name: None for name, column in optional.items() if column not in there})


def _channels(source: DataSource, contract: SensorContract) -> tuple[ChannelSource, ...]:
    """The channels of a model, from the columns of a data source."""
    by_name = {channel.name: channel for channel in source.channels}
    missing = [name for name in contract.channel_names if name not in by_name]
    if missing:
        raise ContractError(
            f"the model needs the channels {list(contract.channel_names)}, the data source {source.name!r} has no "
            f"{missing}; name its channels so (with column = the name in the file)"
        )
    return tuple(_channel(by_name[channel.name], channel) for channel in contract.channels)


def _channel(found: ChannelSource, wanted: Channel) -> ChannelSource:
    changes: dict[str, Any] = {"counts_per_unit": wanted.counts_per_unit, "full_scale": wanted.full_scale}
    if found.unit != wanted.unit:
        factor = conversion_factor(found.unit, wanted.unit, what=f"channel {found.name}")
        changes |= {"unit": wanted.unit, "column_unit": found.column_unit or found.unit}
        if found.column_full_scale is not None:
            changes["column_full_scale"] = found.column_full_scale * factor
    return found.model_copy(update=changes)
