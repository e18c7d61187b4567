"""Data to train on, from a data source or from arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_seq.api.boundary import in_python
from edge_seq.data.checks import check_saturation
from edge_seq.data.recording import SIDES, Dataset, Recording, Windows
from edge_seq.ir.contract import SensorContract, contract_to_dict, to_counts, verify_contract
from edge_seq.pipeline.config import SIMULATOR, DataConfig, QuantizationConfig, RunConfig, validated
from edge_seq.pipeline.prepare import PreparedData, prepare, prepare_dataset, split_note, with_split_of_source
from edge_seq.scores.evaluation import BY_GROUP, SplitNote
from edge_seq.support.display import ShownAsTables, Table
from edge_seq.support.errors import ContractError, DataError

MAX_SATURATED_SHARE = 0.05  # as in a data source, of all values of a channel


@dataclass(frozen=True)
class Data(ShownAsTables):
    """Windows, split by group, with their sensor contract and class names.

    Attributes:
        prepared: Recordings, windows of each side of the split, and calibration streams.
        note: Kind of split, with a warning if its scores are weak evidence.
    """

    prepared: PreparedData
    note: SplitNote = BY_GROUP

    @property
    def contract(self) -> SensorContract:
        """Sensor contract of all windows."""
        return self.prepared.dataset.contract

    @property
    def labels(self) -> tuple[str, ...]:
        """[K] class names; the position is the class index."""
        return self.prepared.dataset.labels

    @property
    def train(self) -> Windows:
        """Windows to learn from."""
        return self.prepared.train

    @property
    def validation(self) -> Windows | None:
        """Windows on which the best epoch is chosen; None if the split has none."""
        return self.prepared.validation

    @property
    def test(self) -> Windows | None:
        """Windows for the final scores, on which nothing is chosen; None if the split has none."""
        return self.prepared.test

    def sides(self) -> dict[str, Windows]:
        """Windows of each side of the split that has some, by its name."""
        found: dict[str, Windows | None] = {side: getattr(self.prepared, side) for side in SIDES}
        return {side: windows for side, windows in found.items() if windows is not None}

    def side(self, name: str) -> Windows:
        """Windows of one side of the split.

        Raises:
            DataError: there is no such side, or it is empty.
        """
        if name not in SIDES:
            raise DataError(f"choosing windows: side {name!r} is unknown; give one of {list(SIDES)}")
        there = self.sides()
        if name not in there:
            raise DataError(f"choosing windows: the split has no {name} windows; give one of {list(there)}")
        return there[name]

    def to_dict(self) -> dict[str, Any]:
        """Give contract, labels and sizes as plain values, ready for JSON."""
        there = self.sides()
        return {
            "name": self.prepared.dataset.name,
            "contract": contract_to_dict(self.contract),
            "labels": list(self.labels),
            **self.note.to_dict(),
            "windows": {side: len(there[side].labels) if side in there else 0 for side in SIDES},
        }

    def tables(self) -> Sequence[Table]:
        """One table for people."""
        contract = self.contract
        channels = ", ".join(channel.name for channel in contract.channels)
        title = (
            f"{self.prepared.dataset.name}: windows of {contract.window_length} samples at "
            f"{contract.sample_rate_hz:g} Hz, channels {channels}"
        )
        rows = []
        for side, windows in self.sides().items():
            counts = np.bincount(windows.labels, minlength=len(self.labels))
            groups = len(set(windows.groups.tolist()))
            rows.append([side, f"{len(windows.labels):,}", str(groups), *(f"{count:,}" for count in counts)])
        return (Table(title, ["side", "windows", "groups", *self.labels], rows),)

    def warned(self) -> str | None:
        """Warning of the split, if there is one."""
        return self.note.warning


@in_python
def load(
    source: str | Path,
    *,
    validation_fraction: float = 0.2,
    test_fraction: float = 0.2,
    seed: int = 0,
    split: str = "group",
    one_class: str | None = None,
    false_alarms: float = 0.01,
) -> Data:
    """Read recordings, split them by group and cut them into windows.

    Args:
        source: TOML file of a data source, or ``car_states`` for the simulator of drives.
        validation_fraction: Share of the windows for validation, unless the source gives a part of its own.
        test_fraction: Share of the windows for the test, unless the source gives a part of its own.
        seed: Seed of the choice of groups.
        split: ``group``, or ``time_blocks`` for one or two sessions, which gives weaker evidence; the data and every
            evaluation then show a warning. A source may ask for ``time_blocks`` itself.
        one_class: Name of the normal class, which is learnt alone: :func:`edge_seq.train` then makes a model with the
            labels of this class and ``anomaly``. Other classes are in the test part only. None learns all classes.
        false_alarms: With ``one_class``: share of the normal validation windows that may be called anomalies.

    Raises:
        ConfigError: the file is not a data source, or has no class ``one_class``.
        DataError, ContractError: recordings cannot be used.
        ToolError: a package that reads a format is not installed.

    Example:
        >>> import edge_seq as es
        >>> data = es.load("drives.toml")
        >>> data.train.counts.dtype, data.train.counts.shape[1:]  # raw counts [B, T, C]
        (dtype('int16'), (50, 3))
        >>> es.load("drives.toml", one_class="normal_road").labels
        ('normal_road', 'anomaly')
    """
    place = SIMULATOR if str(source) == SIMULATOR else str(Path(source).absolute())
    options = _split_options("es.load", validation_fraction, test_fraction, seed, one_class, false_alarms)
    config = with_split_of_source(RunConfig(data=options.model_copy(update={"source": place, "split": split})))
    return Data(prepare(config), split_note(config))


def _split_options(
    where: str,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
    one_class: str | None,
    false_alarms: float,
) -> DataConfig:
    """Check the options of a split.

    Raises:
        ConfigError: one of them is out of range.
    """
    options: dict[str, Any] = {
        "validation_fraction": validation_fraction,
        "test_fraction": test_fraction,
        "split_seed": seed,
    }
    if one_class is not None:
        options["one_class"] = {"normal": one_class, "false_alarms": false_alarms}
    return validated(DataConfig, options, where=where)


def counts_of(values: ArrayLike, contract: SensorContract) -> NDArray[np.int16]:
    """Convert values to raw counts. Integers are taken as counts, floats as values in the units of the contract.

    Args:
        values: [..., C], 16-bit integers or floats.
        contract: Sensor contract with the counts per unit of each channel.

    Returns:
        int16 [..., C]. Floats beyond the full scale are clipped.

    Raises:
        DataError: the last axis is not C, a value is not finite, or an integer does not fit 16 bits.
    """
    array = _array(values)
    channels = contract.num_channels
    if array.ndim == 0 or array.shape[-1] != channels or array.dtype.kind not in "iuf":
        raise DataError(
            f"converting values: {array.dtype} {list(array.shape)}; expected integers (raw counts) or floats (in the "
            f"contract's units), with {channels} channels on the last axis"
        )
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise DataError("converting values: some are not finite; leave these samples out, or repair them")
        return to_counts(array, contract)
    if array.size and (array.min() < -(2**15) or array.max() >= 2**15):
        raise DataError(
            f"converting values: integers from {array.min()} to {array.max()} do not fit 16 bits; give floats in the "
            "contract's units, or the raw counts of the sensor"
        )
    return array.astype(np.int16)


def _array(values: ArrayLike) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise DataError(f"converting values: they are no array ({error}); give windows of equal length") from error


def check_few_beyond_full_scale(
    values: ArrayLike, contract: SensorContract, *, name: str, largest_share: float
) -> None:
    """Refuse floats that are in another unit than that of the contract, so that most would be clipped.

    Args:
        values: [..., C]; integers are raw counts and pass.
        contract: Sensor contract with the full scale of each channel.
        name: Name of the values in the message.
        largest_share: Largest share of a channel's values that may lie beyond its full scale.

    Raises:
        ContractError: the share is larger.
    """
    array = _array(values)
    if array.dtype.kind != "f" or not array.size:
        return
    try:
        samples = array.reshape(-1, contract.num_channels).astype(np.float64)
        check_saturation(samples, name=name, contract=contract, max_saturated_share=largest_share)
    except ContractError as error:
        raise ContractError(f"{error}, or give raw counts as integers") from error


@in_python
def windows(
    values: ArrayLike,
    labels: Sequence[str] | Sequence[int] | NDArray[Any],
    groups: Sequence[str] | Sequence[int] | NDArray[Any],
    contract: SensorContract,
    *,
    label_names: Sequence[str] | None = None,
    name: str = "windows",
    validation_fraction: float = 0.2,
    test_fraction: float = 0.2,
    seed: int = 0,
    one_class: str | None = None,
    false_alarms: float = 0.01,
) -> Data:
    """Split windows that are in memory already by group.

    Args:
        values: [B, T, C]; integers are raw counts, floats are in the units of the contract.
        labels: [B], a class name or a class index for each window.
        groups: [B], drive, subject or session of each window. A group is never on two sides of the split.
        contract: Sensor contract; its window length is T.
        label_names: [K] names of the classes, in the order of the indices. By default the sorted set of ``labels``, if
            those are names.
        name: Name of the data.
        validation_fraction: Share of the windows for validation.
        test_fraction: Share of the windows for the test.
        seed: Seed of the choice of groups.
        one_class: Name of the normal class, which is learnt alone: :func:`edge_seq.train` then makes a model with the
            labels of this class and ``anomaly``. Other classes are in the test part only. None learns all classes.
        false_alarms: With ``one_class``: share of the normal validation windows that may be called anomalies.

    Raises:
        DataError: shapes do not fit, a label is unknown, or the groups are too few for the split.
        ContractError: the contract is not usable, or many values lie beyond its full scale.
        ConfigError: a fraction or the seed is out of range, or there is no class ``one_class``.

    Example:
        >>> import numpy as np
        >>> import edge_seq as es
        >>> contract = es.SensorContract(
        ...     sample_rate_hz=50.0,
        ...     channels=tuple(es.Channel(axis, "g", 4096.0, 8.0) for axis in ("ax", "ay", "az")),
        ...     window_length=25,
        ...     window_stride=25,
        ... )
        >>> rng = np.random.default_rng(0)
        >>> calm, wild = rng.normal(0, 0.1, (60, 25, 3)), rng.normal(0, 1.0, (60, 25, 3))  # in g
        >>> data = es.windows(
        ...     np.concatenate([calm, wild]), ["calm"] * 60 + ["wild"] * 60, list(range(12)) * 10, contract
        ... )
        >>> len(data.train.labels), data.labels
        (70, ('calm', 'wild'))
    """
    verify_contract(contract)
    counts = counts_of(values, contract)
    if counts.ndim != 3 or counts.shape[1] != contract.window_length or not len(counts):
        raise DataError(
            f"taking windows: values are {list(counts.shape)}; expected [B, T, C] with T = {contract.window_length}, "
            "the window length of the contract, and at least one window"
        )
    given = np.asarray(labels)
    given_groups = np.asarray(groups)
    if any(one is None or one != one for one in given_groups.ravel().tolist()):  # NaN differs from itself
        raise DataError(
            "taking windows: a group is missing (None or NaN); give each window its drive, subject or session"
        )
    group_names = given_groups.astype(np.str_)
    if given.shape != (len(counts),) or group_names.shape != (len(counts),):
        raise DataError(
            f"taking windows: {len(counts)} windows, labels {list(given.shape)}, groups {list(group_names.shape)}; "
            "expected one label and one group for each window"
        )
    check_few_beyond_full_scale(values, contract, name=name, largest_share=MAX_SATURATED_SHARE)
    index, names = _class_indices(given, label_names)
    recordings = tuple(
        Recording(f"window {position}", str(group), window, np.full(contract.window_length, label, dtype=np.int16))
        for position, (window, group, label) in enumerate(zip(counts, group_names, index, strict=True))
    )
    dataset = Dataset(name, contract, names, recordings)
    split = _split_options("es.windows", validation_fraction, test_fraction, seed, one_class, false_alarms)
    return Data(prepare_dataset(dataset, split, QuantizationConfig(), minimum_share=1.0))


def _class_indices(given: NDArray[Any], label_names: Sequence[str] | None) -> tuple[NDArray[np.int16], tuple[str, ...]]:
    """Class index of each window, and the class names."""
    if given.dtype.kind in "iu":
        if label_names is None:
            raise DataError(
                "taking windows: labels are class indices; give the names of the classes as label_names, in that order"
            )
        if given.size and (given.min() < 0 or given.max() >= len(label_names)):
            raise DataError(
                f"taking windows: labels run from {given.min()} to {given.max()}; expected 0 to "
                f"{len(label_names) - 1}, one for each of label_names"
            )
        return given.astype(np.int16), _distinct(label_names)
    if not all(isinstance(one, str) for one in given.tolist()):
        raise DataError(
            f"taking windows: labels are {given.dtype}; expected class names (texts), or class indices (integers)"
        )
    texts = given.astype(np.str_)
    names = _distinct(label_names if label_names is not None else sorted(set(texts.tolist())))
    unknown = sorted(set(texts.tolist()) - set(names))
    if unknown:
        raise DataError(f"taking windows: label {unknown[0]!r} is not among label_names {list(names)}; add it there")
    positions = {name: position for position, name in enumerate(names)}
    return np.array([positions[text] for text in texts.tolist()], dtype=np.int16), names


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Names of the classes, none empty and none twice."""
    if isinstance(names, str) or not all(names) or len(set(names)) < len(names):
        raise DataError(
            f"taking windows: class names {names!r}; expected a list of different names, none of them empty"
        )
    return tuple(names)
