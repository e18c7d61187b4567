"""Checks of recordings against their sensor contract: pure functions that return nothing or raise one clear error.

``name`` is the name of the recording (or file) for the message.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.periods import typical_period
from edge_seq.ir.contract import SensorContract
from edge_seq.support.errors import ContractError, DataError
from edge_seq.support.figure_text import counted

WILD = 10.0  # times full scale: no sensor of that range gives such a value
_ROUNDING = 1e-6  # relative; time columns are decimal numbers with few digits


def check_time_order(time_s: NDArray[np.float64], *, name: str) -> None:
    """Check that times are finite and strictly increase.

    Args:
        time_s: float64 [T], seconds.

    Raises:
        DataError: a time is not finite, or not later than the one before; the message names the first such row (from 0,
            within the recording).
    """
    if not np.isfinite(time_s).all():
        row = int(np.flatnonzero(~np.isfinite(time_s))[0])
        raise DataError(f"recording {name}: the time at row {row} is missing or not finite; correct or drop the row")
    steps = np.diff(time_s)
    bad = np.flatnonzero(steps <= 0)
    if bad.size:
        row = int(bad[0])
        kind = "the same time as" if steps[row] == 0 else "an earlier time than"
        raise DataError(
            f"recording {name}: {counted(bad.size, 'sample does', 'samples do')} not follow the one before in time "
            f"(first at row {row + 1}: "
            f"t={time_s[row + 1]:g} s has {kind} the row before, t={time_s[row]:g} s). Sort the rows and drop "
            "duplicates, or name a recording_column if several recordings share the file"
        )


def check_rate(time_s: NDArray[np.float64], *, name: str, sample_rate_hz: float, tolerance: float) -> None:
    """Check the sample rate, from the typical period, against the contract's.

    Args:
        time_s: float64 [T], seconds, increasing.
        tolerance: largest relative deviation.

    Raises:
        ContractError: the rate differs by more; the message names both rates.
    """
    if len(time_s) < 2:
        return
    found = 1.0 / typical_period(np.diff(time_s))
    if abs(found - sample_rate_hz) > tolerance * sample_rate_hz * (1 + _ROUNDING):
        raise ContractError(
            f"recording {name}: sampled at {found:.4g} Hz (typical period), the sensor contract says "
            f"{sample_rate_hz:g} Hz with a tolerance of {tolerance:.1%}. Correct sample_rate_hz or time_unit, or ask "
            'for resampling in the data source: resample = "lowpass" (or "linear")'
        )


def find_gaps(time_s: NDArray[np.float64], *, max_gap_s: float) -> NDArray[np.int64]:
    """Find the rows after which more than ``max_gap_s`` passes until the next sample: int64 [number of gaps]."""
    return np.flatnonzero(np.diff(time_s) > max_gap_s * (1 + _ROUNDING)).astype(np.int64)


def check_gaps(time_s: NDArray[np.float64], *, name: str, max_gap_s: float, sample_rate_hz: float) -> None:
    """Check that no time between two samples is longer than ``max_gap_s``.

    Raises:
        ContractError: there are gaps; the message names their number, the time of the first and the longest.
    """
    gaps = find_gaps(time_s, max_gap_s=max_gap_s)
    if gaps.size:
        longest = float(np.diff(time_s)[gaps].max())
        raise ContractError(
            f"recording {name}: {counted(gaps.size, 'gap')} longer than {max_gap_s:g} s at {sample_rate_hz:g} Hz "
            "(first at "
            f"t={time_s[gaps[0]]:.6g} s, longest {longest:.4g} s). Raise max_gap_s, or cut the recording at its gaps "
            'with on_gap = "split"'
        )


def check_finite(values: NDArray[np.float64], *, name: str, channel_names: Sequence[str]) -> None:
    """Check that no value is missing, NaN or infinite.

    Args:
        values: float64 [T, C].

    Raises:
        DataError: there are such values; the message names their number, and row (from 0, within the recording) and
            channel of the first.
    """
    bad = np.argwhere(~np.isfinite(values))
    if bad.size:
        row, channel = (int(index) for index in bad[0])
        raise DataError(
            f"recording {name}: {counted(len(bad), 'value is', 'values are')} missing or not finite (first: row "
            f"{row}, channel "
            f"{channel_names[channel]}, {values[row, channel]}). Drop or interpolate them before reading"
        )


def check_saturation(
    values: NDArray[np.float64], *, name: str, contract: SensorContract, max_saturated_share: float
) -> None:
    """Check that few samples lie beyond full scale. Many of them mean that the unit is wrong.

    Args:
        values: float64 [T, C], in each channel's unit.
        max_saturated_share: largest share of samples beyond full scale.

    Raises:
        ContractError: the share is larger; the message names the channel, its share, its largest magnitude and the full
            scale.
    """
    for column, channel in enumerate(contract.channels):
        magnitude = np.abs(values[:, column])
        # A saturated sensor reads exactly full scale, and int16 holds that value, so only larger values count.
        share = float((magnitude > channel.full_scale * (1 + 1e-3)).mean())
        if share > max_saturated_share:
            raise ContractError(
                f"recording {name}: {share:.1%} of channel {channel.name} lies beyond full scale (largest "
                f"{float(magnitude.max()):.4g}, full scale {channel.full_scale:g} {channel.unit}; at most "
                f"{max_saturated_share:.1%} may). Check the unit, or correct full_scale"
            )


def check_no_constant_axis(counts: NDArray[np.int16], *, name: str, channel_names: Sequence[str]) -> None:
    """Check that each axis changes by at least one count.

    An axis that does not is dead, or its counts_per_unit is far too small.

    Args:
        counts: int16 [T, C]; recordings of one sample pass.

    Raises:
        ContractError: an axis is constant; the message names the constant channels and their values.
    """
    if len(counts) < 2:
        return
    constant = [int(c) for c in np.flatnonzero((counts == counts[0]).all(axis=0))]
    if constant:
        found = ", ".join(f"{channel_names[c]} = {counts[0, c]} counts" for c in constant)
        raise ContractError(
            f"recording {name}: constant in all {counted(len(counts), 'sample')}: {found}. The axis is dead or "
            "counts_per_unit is "
            'far too small; leave the recording out, correct the unit, or accept it with on_constant_axis = "allow"'
        )


def check_long_enough(num_samples: int, *, name: str, contract: SensorContract) -> None:
    """Check that a recording has enough samples for one window.

    Raises:
        ContractError: it has fewer; the message names both lengths.
    """
    if num_samples < contract.window_length:
        raise ContractError(
            f"recording {name}: {counted(num_samples, 'sample')} ({num_samples / contract.sample_rate_hz:.3g} s), "
            "too short for "
            f"one window of {contract.window_length} samples. Leave it out, shorten window_length, or skip such "
            "recordings "
            'with on_short = "skip"'
        )


def check_labels_known(found: Sequence[str], labels: Sequence[str], *, name: str) -> None:
    """Check that each class found in a recording is one of the data set's.

    Raises:
        DataError: a class is unknown; the message names the unknown and the known ones.
    """
    unknown = [label for label in found if label not in labels]
    if unknown:
        raise DataError(
            f"recording {name}: unknown labels {unknown}; known are {list(labels)}. Correct the data, add them to "
            "labels or label_names, or list them in unlabelled_values"
        )


def check_one_split_per_group(splits_of_groups: Sequence[tuple[str, str | None]]) -> None:
    """Check that each group is on one side of the split that the data source gives.

    Args:
        splits_of_groups: (group, split) of each recording.

    Raises:
        DataError: a group is on two sides, or a group has no side while others have one; the message names the first
            such group.
    """
    sides: dict[str, str | None] = {}
    for group, split in splits_of_groups:
        if sides.setdefault(group, split) != split:
            raise DataError(
                f"group {group!r} is both in split {sides[group]!r} and in {split!r}; a model scores too well on a "
                "group that it was trained on. Move the whole group to one side, or correct group_column"
            )
    without = [group for group, split in sides.items() if split is None]
    if without and len(without) < len(sides):
        raise DataError(
            f"{len(without)} of {counted(len(sides), 'group')} have no split (first {without[0]!r}), the others "
            "have one; assign "
            "each group to train, validation or test, or none of them"
        )


def check_contracts_match(model_contract: SensorContract, data_contract: SensorContract) -> None:
    """Check that the contract of data is the contract of a model.

    The stride is not compared, because it only says where training windows start.

    Raises:
        ContractError: fields differ; the message names each of them with both values.
    """
    differences: list[str] = []

    def compare(field: str, model: object, data: object) -> None:
        if model != data:
            differences.append(f"{field}: model {model}, data {data}")

    compare("sample_rate_hz", f"{model_contract.sample_rate_hz:g}", f"{data_contract.sample_rate_hz:g}")
    compare("window_length", model_contract.window_length, data_contract.window_length)
    compare("preprocessing", model_contract.preprocessing, data_contract.preprocessing)
    model_names, data_names = model_contract.channel_names, data_contract.channel_names
    if model_names != data_names:
        same_set = sorted(model_names) == sorted(data_names)
        what = "order of channels" if same_set else "channels"
        compare(what, list(model_names), list(data_names))
    data_channels = {channel.name: channel for channel in data_contract.channels}
    for channel in model_contract.channels:
        if channel.name in data_channels:
            other = data_channels[channel.name]
            for field in ("unit", "counts_per_unit", "full_scale"):
                compare(f"{field} of {channel.name}", getattr(channel, field), getattr(other, field))
    if differences:
        raise ContractError(
            f"data and model do not fit: {'; '.join(differences)}. Convert the data to the model's contract, or "
            "train a model for this contract"
        )
