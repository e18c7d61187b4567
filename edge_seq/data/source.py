"""Data sources: a TOML table names the recordings, describes how to read them, and gives their sensor contract.

Ready-made data sources are in ``datasets/``. A minimal one::

    name = "walks"
    path = "walks.csv"              # relative to the folder of the TOML file
    recording_column = "walk"
    group_column = "person"
    time_column = "t"
    label_column = "label"
    sample_rate_hz = 50
    window_length = 128
    window_stride = 64
    channels = [
        { name = "ax", unit = "g", counts_per_unit = 8192, full_scale = 4 },
        { name = "ay", unit = "g", counts_per_unit = 8192, full_scale = 4 },
        { name = "az", unit = "g", counts_per_unit = 8192, full_scale = 4 },
    ]
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import tomli_w
from pydantic import Field, ValidationError, model_validator

from edge_seq.data.layout import Layout, sensor_of
from edge_seq.data.recording import Side
from edge_seq.data.resample import ResampleMethod
from edge_seq.data.units import unit_of
from edge_seq.data.windows import DEFAULT_MINIMUM_SHARE
from edge_seq.ir.contract import Channel, Preprocessing, PreprocessingStep, SensorContract, Unit, verify_contract
from edge_seq.support.errors import ConfigError
from edge_seq.support.files import stays_in_folder
from edge_seq.support.names import check_name
from edge_seq.support.opening import load_toml
from edge_seq.support.tables import StrictTable, problems_in

# `normal_road_03.csv` -> `normal_road`: words of letters at the start of the file name, up to the first digit.
DEFAULT_FILE_PATTERN = r"(?:^|/)(?P<label>[^\W\d_]+(?:_[^\W\d_]+)*)[^/]*$"


# Suffixes of files that hold recordings. A data source is a TOML file.
RECORDING_SUFFIXES = (
    ".csv", ".csv.gz", ".parquet", ".npz", ".npy", ".json", ".cbor", ".txt", ".tsv", ".dat", ".log", ".gz", ".zip",
    ".mat", ".h5", ".hdf5",
)  # fmt: skip
_SOURCE_FIELDS = {"channels", "sample_rate_hz", "window_length", "window_stride", "path"}
_RUN_TABLES = {"data", "training", "quantization", "budgets"}


class ChannelSource(StrictTable):
    """One channel of the contract and the column that holds it.

    Attributes:
        name: name of the channel in the contract.
        unit: unit of the channel in the contract.
        counts_per_unit: counts of the sensor per unit; 1 if the unit is ``counts``.
        full_scale: largest magnitude that the sensor can measure, in ``unit``.
        column: name of the column. Default: the channel's name.
        column_unit: unit of the values in the column. Default: the unit that the file gives, else ``unit``.
        column_full_scale: value of the largest count, in ``unit``. Only with ``column_unit = "counts"``.
        column_bits: bits of a sample with its sign: 2^(bits - 1) counts are ``column_full_scale``. Only with
            ``column_unit = "counts"``.
    """

    name: str
    unit: Unit
    counts_per_unit: float
    full_scale: float
    column: str | None = None
    column_unit: str | None = None
    column_full_scale: float | None = Field(default=None, gt=0)
    column_bits: int = Field(default=16, ge=2, le=32)

    @model_validator(mode="after")
    def _column_unit_is_known(self) -> ChannelSource:
        if self.column_unit is not None and unit_of(self.column_unit) is None:
            raise ValueError(
                f"column_unit {self.column_unit!r} is unknown; give one of {list(get_args(Unit))}, or leave it out "
                "if it is the channel's unit"
            )
        counts = self.column_unit is not None and unit_of(self.column_unit) == "counts" and self.unit != "counts"
        if counts != (self.column_full_scale is not None):
            raise ValueError(
                'column_unit = "counts" and column_full_scale go together if the channel has a physical unit; give '
                "both or neither"
            )
        return self


class PreprocessingSource(StrictTable):
    """Preprocessing of the sensor contract; see :class:`edge_seq.ir.contract.Preprocessing`."""

    step: PreprocessingStep = "none"
    gravity_shift: int = 6
    companding: int | None = None
    magnitude: bool = False


class DataSource(StrictTable):
    """Location of recordings, description of their files, and their sensor contract.

    Attributes:
        name: name of the data set, used in reports.
        path: a file, or a folder with one file per recording (sub-folders are searched too). It is relative to the base
            folder given to ``read_dataset``, usually the folder of the TOML file.
        format: format of the files. ``auto`` chooses it by the suffix of each file; a ``.csv`` file is then plain CSV.
        split_files: file inside ``path`` for each side of the split, for sets that come as train and test files.
        split_folders: folder below ``path`` for each side of the split, for example ``train = "training"``; above or
            below those of the classes.
        files: names of the files of a folder to read, with ``*`` and ``?``, for example ``"*.txt"``; one or several.
            Default: files with a suffix that a reader knows.
        exclude: names of files not to read, written the same way.
        delimiter, decimal, encoding, comment, skip_rows, max_lost_share: layout of text files; see
            :class:`edge_seq.data.layout.Layout`. What is left out is found in each file.
        column_names: names of the columns of a text file without a header row, in the order of the file; or of the
            channels of windows.
        recording_break, rows_per_recording: what ends a recording within a text file: ``"blank"`` for a blank line, a
            regular expression for a line, or a number of rows. Each such recording is a group of its own.
        row_is_window: number of columns of a text file with a window in each row (x y z x y z ...).
        windows_array: name of the array of windows in an NPZ, MATLAB or HDF5 file; ``{split}`` in it stands for train,
            validation and test, as in ``X_{split}``.
        axes_order: order of its axes: ``N`` windows, ``T`` samples, ``C`` channels.
        sensor_files: file of each sensor, for recordings that are folders with a file for each sensor. A channel names
            its column as ``sensor/column``; all sensors are joined on the clock of the first channel's sensor.
        sensor_column: column that names the sensor of each row, for files with the sensors in rows; channels name their
            columns the same way.
        recording_column: column that tells the recordings of one file apart. Without it a file is one recording.
        group_column: column with drive, subject or session. Without it, and without a group in the manifest or file
            name, each recording is a group of its own.
        time_column: column with the time of each sample, in ``time_unit``. Rows must be in order.
        index_column: column with the number of each sample, instead of a time. Without both columns, rows are taken as
            evenly sampled, in order.
        time_unit: unit of a ``time_column`` of numbers, or ``datetime`` for dates and times of day as text. Leave it at
            ``s`` for a column of Parquet timestamps.
        repeated_times: ``error``, or ``spread`` the samples that share a stamp evenly up to the next one.
        split_column: column with ``train``, ``validation`` or ``test`` for each row, the same within a group.
        label_from: source of the labels: ``column`` (``label_column``), ``file_name`` (``file_pattern``), ``folder``
            (the first folder below ``path``; a second one is the group), ``manifest``, ``intervals`` or ``info_labels``
            (the ``info.labels`` of an Edge Impulse export, which also gives the split).
        label_column: column with the class of each row. An empty or null value is unlabelled.
        file_pattern: regular expression with the group ``label`` and optionally ``group``. It is searched in the path
            below ``path``, with ``/`` between folders and without the suffix of the format.
        manifest: CSV file inside ``path`` with the columns ``file`` and ``label``, and optionally ``group`` and
            ``split``. Only the files it lists are read.
        intervals: table of labelled intervals inside ``path``, CSV or an export of Label Studio (JSON).
        interval_unit: unit of their start and end. Default: ``time_unit``, or s for formats with times of their own.
            ``samples`` counts samples from 0.
        interval_origin: zero of their start and end: ``clock`` is that of the recording's times, ``start`` is its first
            sample.
        label_names: class name for each value in the data, for sets that store codes.
        unlabelled_values: values in the data that mean "no class".
        labels: class names in the order of the model's outputs. Default: all names found, sorted.
        sample_rate_hz, channels, window_length, window_stride, preprocessing: the sensor contract.
        recorded_rate_hz: rate of recordings without times, if it is not the contract's.
        resample: ``none`` refuses other rates than the contract's. ``linear`` and ``lowpass`` resample every recording
            to the contract's rate; see :mod:`edge_seq.data.resample`.
        minimum_share: share of a window that its label must cover; see ``make_windows``. With 1.0 a window lies fully
            inside one labelled segment.
        rate_tolerance: largest relative deviation of the sample rate, from the typical period, from the contract's.
        max_gap_s: longest time between two samples. Default: two sample periods, so that one lost sample is accepted.
        max_saturated_share: largest share of a recording's samples beyond full scale. A larger one means a wrong unit.
        on_gap: ``error``, or ``split`` the recording there into two.
        on_missing: ``error``, or ``split`` the recording at samples with a missing value, which are left out.
        on_short: ``error``, or ``skip`` recordings shorter than a window (logged).
        on_constant_axis: ``error``, or ``allow`` an axis that never changes in a recording.
        split: split of a run on these recordings: ``group``, or ``time_blocks`` for sets with fewer than three groups
            of a class, which is weaker evidence. A run whose ``data.split`` is ``group`` takes ``time_blocks`` over.
    """

    name: str = Field(min_length=1)
    path: str
    format: Literal[
        "auto",
        "csv",
        "parquet",
        "edge_impulse_json",
        "edge_impulse_cbor",
        "npz",
        "npy",
        "mat",
        "hdf5",
        "edge_impulse_csv",
        "phone_csv",
        "channel_windows",
    ] = "auto"
    split_files: dict[Side, str] = Field(default_factory=dict)
    split_folders: dict[Side, str] = Field(default_factory=dict)
    files: str | tuple[str, ...] = ()
    exclude: str | tuple[str, ...] = ()
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    decimal: Literal[".", ","] | None = None
    encoding: str | None = None
    comment: str | None = Field(default=None, min_length=1)
    skip_rows: int | None = Field(default=None, ge=0)
    max_lost_share: float = Field(default=0.01, ge=0, lt=1)
    column_names: tuple[str, ...] = ()
    recording_break: str | None = Field(default=None, min_length=1)
    rows_per_recording: int | None = Field(default=None, ge=1)
    row_is_window: int | None = Field(default=None, ge=1)
    windows_array: str = "X"
    axes_order: Literal["NTC", "NCT", "TNC", "TCN", "CNT", "CTN"] = "NTC"
    sensor_files: dict[str, str] = Field(default_factory=dict)
    sensor_column: str | None = None

    recording_column: str | None = None
    group_column: str | None = None
    time_column: str | None = None
    index_column: str | None = None
    time_unit: Literal["s", "ms", "us", "ns", "datetime"] = "s"
    repeated_times: Literal["error", "spread"] = "error"
    split_column: str | None = None

    label_from: Literal["column", "file_name", "folder", "manifest", "intervals", "info_labels"] = "column"
    label_column: str | None = "label"
    file_pattern: str = DEFAULT_FILE_PATTERN
    manifest: str | None = None
    intervals: str | None = None
    interval_unit: Literal["s", "ms", "us", "ns", "samples"] | None = None
    interval_origin: Literal["clock", "start"] = "clock"
    label_names: dict[str, str] = Field(default_factory=dict)
    unlabelled_values: tuple[str | int, ...] = ()
    labels: tuple[str, ...] = ()

    sample_rate_hz: float
    channels: tuple[ChannelSource, ...]
    window_length: int
    window_stride: int
    preprocessing: PreprocessingSource = PreprocessingSource()

    recorded_rate_hz: float | None = Field(default=None, gt=0)
    resample: ResampleMethod = "none"

    minimum_share: float = Field(default=DEFAULT_MINIMUM_SHARE, gt=0, le=1)
    rate_tolerance: float = Field(default=0.05, gt=0, lt=1)
    max_gap_s: float | None = Field(default=None, gt=0)
    max_saturated_share: float = Field(default=0.05, ge=0, le=1)
    on_gap: Literal["error", "split"] = "error"
    on_short: Literal["error", "skip"] = "error"
    on_missing: Literal["error", "split"] = "error"
    on_constant_axis: Literal["error", "allow"] = "error"
    split: Literal["group", "time_blocks"] = "group"

    @property
    def contract(self) -> SensorContract:
        """Sensor contract, built from the fields."""
        return SensorContract(
            sample_rate_hz=self.sample_rate_hz,
            channels=tuple(Channel(c.name, c.unit, c.counts_per_unit, c.full_scale) for c in self.channels),
            window_length=self.window_length,
            window_stride=self.window_stride,
            preprocessing=Preprocessing(**self.preprocessing.model_dump()),
        )

    @property
    def channel_columns(self) -> tuple[str, ...]:
        """Columns that hold the channels, in the contract's order."""
        return tuple(channel.column or channel.name for channel in self.channels)

    @property
    def numeric_columns(self) -> tuple[str, ...]:
        """Columns to read as numbers: channels, then time or index."""
        clock = self.index_column if self.time_unit == "datetime" else self.time_column or self.index_column
        return self.channel_columns + ((clock,) if clock else ())

    @property
    def date_columns(self) -> tuple[str, ...]:
        """Columns to read as dates or times of day."""
        return (self.time_column,) if self.time_column and self.time_unit == "datetime" else ()

    @property
    def layout(self) -> Layout:
        """Layout of the text files, as far as it is stated."""
        return Layout(
            delimiter=self.delimiter,
            decimal=self.decimal,
            encoding=self.encoding,
            comment=self.comment,
            skip_rows=self.skip_rows,
            column_names=self.column_names,
            recording_break=self.recording_break,
            rows_per_recording=self.rows_per_recording,
            max_lost_share=self.max_lost_share,
        )

    @property
    def text_columns(self) -> tuple[str, ...]:
        """Columns to read as text: recording, group, split, label; each once."""
        label = self.label_column if self.label_from == "column" else None
        named = (self.recording_column, self.group_column, self.split_column, label, self.sensor_column)
        return tuple(dict.fromkeys(name for name in named if name is not None))

    @property
    def max_gap(self) -> float:
        """Longest time between two samples at the contract's rate, in seconds."""
        return self.max_gap_at(self.sample_rate_hz)

    def max_gap_at(self, rate_hz: float) -> float:
        """Longest time between two samples of a recording at this rate, in seconds."""
        return self.max_gap_s if self.max_gap_s is not None else 2.0 / rate_hz

    @model_validator(mode="after")
    def _fields_fit_together(self) -> DataSource:
        verify_contract(self.contract)
        if self.time_column and self.index_column:
            raise ValueError("time_column and index_column are both given; give one of them")
        if self.split_files and self.split_column:
            raise ValueError("split_files and split_column are both given; give one of them")
        if self.split_folders and (self.split_files or self.split_column or self.manifest):
            raise ValueError("split_folders and another source of the split are both given; give one of them")
        if self.sensor_files and self.sensor_column:
            raise ValueError("sensor_files and sensor_column are both given; give one of them")
        if self.sensor_files or self.sensor_column:
            self._check_sensors()
        if self.label_from == "column" and not self.label_column:
            raise ValueError('label_from is "column", so label_column must name the column that holds the class')
        for field in ("manifest", "intervals"):
            if (self.label_from == field) != (getattr(self, field) is not None):
                raise ValueError(f'{field} and label_from = "{field}" go together; give both or neither')
        if self.label_from != "intervals" and (self.interval_unit or self.interval_origin != "clock"):
            raise ValueError('interval_unit and interval_origin need label_from = "intervals"; leave them out')
        if self.recorded_rate_hz is not None and self.time_column:
            raise ValueError("recorded_rate_hz is for recordings without times, but time_column is given; give one")
        if self.manifest is not None and self.split_files:
            raise ValueError("manifest and split_files are both given; put a column `split` into the manifest instead")
        for field, file in (
            *((f"split_files.{side}", file) for side, file in self.split_files.items()),
            ("manifest", self.manifest or ""),
            ("intervals", self.intervals or ""),
        ):
            if not stays_in_folder(file):
                raise ValueError(f"{field} is {file!r}; give a file inside path, without '..' and not absolute")
        columns = self.channel_columns
        if len(set(columns)) != len(columns):
            raise ValueError(f"two channels read the same column: {list(columns)}; give each channel its own")
        for column in set(self.numeric_columns) & set(self.text_columns):
            raise ValueError(f"column {column!r} is used both as a number and as a name; give two different columns")
        check_name(self.name, ValueError, what="name", remedy="Rename the data source")
        for label in (*self.labels, *self.label_names.values()):
            check_name(label, ValueError, what="label", remedy="Rename it in the data source")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"labels {list(self.labels)} repeat; give each class once")
        if self.labels:
            strange = sorted(set(self.label_names.values()) - set(self.labels))
            if strange:
                raise ValueError(
                    f"label_names gives {strange}, which labels {list(self.labels)} do not hold; add them to labels"
                )
        if self.label_from == "file_name":
            _check_pattern(self.file_pattern)
        return self

    def _check_sensors(self) -> None:
        if not self.time_column:
            raise ValueError("sensors are joined by time, so time_column must name the column of times")
        for column in self.channel_columns:
            sensor, name = sensor_of(column)
            if not name or (self.sensor_files and sensor not in self.sensor_files):
                raise ValueError(
                    f"channel column {column!r} names no sensor; write it as sensor/column, for example "
                    f"{next(iter(self.sensor_files), 'acc')}/x"
                )


def _check_pattern(pattern: str) -> None:
    try:
        names = re.compile(pattern).groupindex
    except re.error as error:
        raise ValueError(f"file_pattern {pattern!r} is not a regular expression: {error}") from error
    if "label" not in names:
        raise ValueError(f"file_pattern {pattern!r} has no group named label; write (?P<label>...) around the class")


def parse_source(table: dict[str, Any], *, where: str) -> DataSource:
    """Validate a table of a TOML file.

    Args:
        table: value of each field.
        where: name of the table for messages, for example its file.

    Raises:
        ConfigError: fields are missing, unknown or out of range; the message names each of them.
        ContractError: the sensor contract breaks an invariant.
    """
    try:
        return DataSource.model_validate(table)
    except ValidationError as error:
        problems = problems_in(error, DataSource, top="data source")
        raise ConfigError(f"{where}: {problems}. The fields are described in datasets/README.md") from error


def is_recordings(path: Path) -> bool:
    """True if a path is a folder or has the suffix of a file of recordings. Neither is a TOML file."""
    return path.is_dir() or path.name.lower().endswith(RECORDING_SUFFIXES)


def hint_for_recordings(path: Path) -> str:
    """Advice for a user who gave recordings instead of a TOML file, to follow the path in a message."""
    what = "is a folder" if path.is_dir() else "holds recordings"
    beside = path.with_name(path.name.split(".")[0] + ".toml")
    told = (
        f"Give {beside}, which lies beside it" if beside.is_file() else f"Make one: edge-seq data check {path} --write"
    )
    return (
        f"{what}; expected a data source, a TOML file that names the columns to read and the sensor contract "
        f"(datasets/README.md). {told}"
    )


def is_source_table(table: Mapping[str, Any]) -> bool:
    """True if a table of a TOML file is meant as a data source."""
    return bool(_SOURCE_FIELDS & table.keys())


def load_source(path: Path) -> DataSource:
    """Read a data source from a TOML file of its own. Paths in it are relative to ``path.parent``.

    Raises:
        ConfigError: the file is missing, is not a data source in TOML, or a field is not valid.
        ContractError: the sensor contract breaks an invariant.
    """
    return parse_source(_read_table(path), where=f"data source {path}")


def copy_of_source(path: Path, *, made_by: str, changes: Mapping[str, Any] | None = None) -> str:
    """Write a data source as TOML whose ``path`` means the same from any folder.

    Args:
        path: TOML file of the data source.
        made_by: command that writes the copy, for its first line.
        changes: fields with other values.

    Raises:
        ConfigError, ContractError: as :func:`load_source` says.
    """
    table = load_source(path).model_dump(mode="json", exclude_unset=True, exclude_none=True)
    table["path"] = str((path.parent / table["path"]).absolute())
    return f"# Copy of {path.name}, made by {made_by}.\n{tomli_w.dumps({**table, **(changes or {})})}"


def load_contract(path: Path) -> SensorContract:
    """Read a sensor contract from a TOML file: a data source, of which ``name`` and ``path`` may be left out.

    Raises:
        ConfigError: the file is missing, is not TOML, or a field is not valid.
        ContractError: the sensor contract breaks an invariant.
    """
    table = {"name": path.stem, "path": ".", **_read_table(path)}
    return parse_source(table, where=f"contract {path}").contract


def _read_table(path: Path) -> dict[str, Any]:
    """Read the table of a data source, not yet validated."""
    if is_recordings(path):
        raise ConfigError(f"{path} {hint_for_recordings(path)}")
    try:
        table = load_toml(path)
    except FileNotFoundError as error:
        raise ConfigError(f"data source {path} does not exist; give the path of a TOML file") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"data source {path} cannot be read as TOML: {error}") from error
    if _RUN_TABLES & table.keys() and not _SOURCE_FIELDS & table.keys():
        raise ConfigError(
            f"{path} is the configuration of a run; expected a data source (TOML with path, channels, "
            f"sample_rate_hz, ...; see datasets/README.md). Give it as the configuration: edge-seq train {path}; its "
            "field data.source names the data source"
        )
    return table
