from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edge_seq.data import checks
from edge_seq.ir.contract import Channel, Preprocessing, SensorContract
from edge_seq.support.errors import ContractError, DataError

CONTRACT = SensorContract(
    sample_rate_hz=50.0,
    channels=(Channel("ax", "g", 100.0, 2.0), Channel("ay", "g", 100.0, 2.0)),
    window_length=10,
    window_stride=5,
)


def time_axis(count: int = 100, rate_hz: float = 50.0) -> np.ndarray:
    return np.arange(count) / rate_hz


def test_time_order_names_the_first_row_out_of_order():
    time_s = time_axis()
    checks.check_time_order(time_s, name="walk")
    time_s[7] = time_s[6]
    with pytest.raises(DataError, match=r"recording walk: 1 sample does .* row 7: t=0.12 s has the same time as"):
        checks.check_time_order(time_s, name="walk")
    time_s[7] = 0.0
    with pytest.raises(DataError, match=r"an earlier time than the row before, t=0\.12 s"):
        checks.check_time_order(time_s, name="walk")
    time_s[3] = np.nan
    with pytest.raises(DataError, match="time at row 3 is missing"):
        checks.check_time_order(time_s, name="walk")


def test_rate_within_tolerance_passes_and_beyond_it_fails():
    checks.check_rate(time_axis(rate_hz=52.4), name="walk", sample_rate_hz=50.0, tolerance=0.05)
    checks.check_rate(np.array([0.0]), name="walk", sample_rate_hz=50.0, tolerance=0.05)
    with pytest.raises(
        ContractError, match=r"recording walk: sampled at 100 Hz .* says 50 Hz with a tolerance of 5.0%"
    ):
        checks.check_rate(time_axis(rate_hz=100.0), name="walk", sample_rate_hz=50.0, tolerance=0.05)
    with pytest.raises(ContractError, match="sampled at 47 Hz"):
        checks.check_rate(time_axis(rate_hz=47.0), name="walk", sample_rate_hz=50.0, tolerance=0.05)


def test_rate_is_the_median_so_that_one_gap_does_not_change_it():
    time_s = time_axis()
    time_s[50:] += 30.0
    checks.check_rate(time_s, name="walk", sample_rate_hz=50.0, tolerance=0.05)


def test_gaps_are_counted_and_the_first_is_named():
    time_s = time_axis()
    checks.check_gaps(time_s, name="walk", max_gap_s=0.02, sample_rate_hz=50.0)  # a period is not longer than a period
    time_s[30:] += 1.0
    time_s[60:] += 2.0
    assert checks.find_gaps(time_s, max_gap_s=0.04).tolist() == [29, 59]
    with pytest.raises(
        ContractError, match=r"2 gaps longer than 0.04 s at 50 Hz \(first at t=0.58 s, longest 2.02 s\)"
    ):
        checks.check_gaps(time_s, name="walk", max_gap_s=0.04, sample_rate_hz=50.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_values_are_located(bad):
    values = np.zeros((5, 2))
    checks.check_finite(values, name="walk", channel_names=("ax", "ay"))
    values[3, 1] = bad
    with pytest.raises(DataError, match=rf"recording walk: 1 value is .* row 3, channel ay, {bad}"):
        checks.check_finite(values, name="walk", channel_names=("ax", "ay"))


def test_a_wrong_unit_shows_as_samples_beyond_full_scale():
    gravity = np.column_stack([np.zeros(100), np.full(100, 9.81)])  # m/s^2 where the contract says g
    with pytest.raises(
        ContractError, match=r"100.0% of channel ay lies beyond full scale \(largest 9.81, full scale 2 g"
    ):
        checks.check_saturation(gravity, name="walk", contract=CONTRACT, max_saturated_share=0.05)
    hard_braking = np.zeros((100, 2))
    hard_braking[:5] = 3.0
    checks.check_saturation(hard_braking, name="walk", contract=CONTRACT, max_saturated_share=0.05)
    at_the_end_stop = np.full((100, 2), -2.0)
    checks.check_saturation(at_the_end_stop, name="walk", contract=CONTRACT, max_saturated_share=0.0)


def test_a_constant_axis_is_named():
    counts = np.arange(20, dtype=np.int16).reshape(10, 2)
    checks.check_no_constant_axis(counts, name="walk", channel_names=("ax", "ay"))
    counts[:, 1] = 7
    with pytest.raises(ContractError, match=r"recording walk: constant in all 10 samples: ay = 7 counts"):
        checks.check_no_constant_axis(counts, name="walk", channel_names=("ax", "ay"))
    checks.check_no_constant_axis(counts[:1], name="walk", channel_names=("ax", "ay"))


def test_too_short_for_one_window():
    checks.check_long_enough(10, name="walk", contract=CONTRACT)
    with pytest.raises(ContractError, match=r"9 samples \(0.18 s\), too short for one window of 10 samples"):
        checks.check_long_enough(9, name="walk", contract=CONTRACT)


def test_unknown_labels_are_listed():
    checks.check_labels_known(["run"], ("run", "walk"), name="r")
    with pytest.raises(DataError, match=r"recording r: unknown labels \['swim'\]; known are \['run', 'walk'\]"):
        checks.check_labels_known(["run", "swim"], ("run", "walk"), name="r")


def test_a_group_with_two_splits_or_with_none_among_others_is_refused():
    checks.check_one_split_per_group([("a", "train"), ("a", "train"), ("b", "test")])
    checks.check_one_split_per_group([("a", None), ("b", None)])
    with pytest.raises(DataError, match="group 'a' is both in split 'train' and in 'test'"):
        checks.check_one_split_per_group([("a", "train"), ("a", "test")])
    with pytest.raises(DataError, match=r"1 of 2 groups have no split \(first 'b'\)"):
        checks.check_one_split_per_group([("a", "train"), ("b", None)])


def test_equal_contracts_match_and_the_stride_does_not_matter():
    checks.check_contracts_match(CONTRACT, dataclasses.replace(CONTRACT, window_stride=1))


ax, ay = CONTRACT.channels


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"sample_rate_hz": 100.0}, "sample_rate_hz: model 50, data 100"),
        ({"window_length": 20}, "window_length: model 10, data 20"),
        ({"preprocessing": Preprocessing("difference")}, "preprocessing: model .*none.*, data .*difference"),
        ({"channels": (ay, ax)}, r"order of channels: model \['ax', 'ay'\], data \['ay', 'ax'\]"),
        ({"channels": (ax,)}, r"channels: model \['ax', 'ay'\], data \['ax'\]"),
        ({"channels": (ax, Channel("gy", "g", 100.0, 2.0))}, r"channels: model \['ax', 'ay'\], data \['ax', 'gy'\]"),
        ({"channels": (ax, dataclasses.replace(ay, unit="m/s^2"))}, r"unit of ay: model g, data m/s\^2"),
        (
            {"channels": (ax, dataclasses.replace(ay, counts_per_unit=50.0))},
            "counts_per_unit of ay: model 100.0, data 50",
        ),
        ({"channels": (ax, dataclasses.replace(ay, full_scale=4.0))}, "full_scale of ay: model 2.0, data 4.0"),
    ],
)
def test_each_field_of_a_contract_that_differs_is_named(change, expected):
    with pytest.raises(ContractError, match=expected):
        checks.check_contracts_match(CONTRACT, dataclasses.replace(CONTRACT, **change))


def test_all_fields_that_differ_are_named_at_once():
    other = dataclasses.replace(CONTRACT, sample_rate_hz=10.0, window_length=5, channels=(ay, ax))
    with pytest.raises(ContractError) as caught:
        checks.check_contracts_match(CONTRACT, other)
    for field in ("sample_rate_hz", "window_length", "order of channels"):
        assert field in str(caught.value)
    assert "unit" not in str(caught.value)
