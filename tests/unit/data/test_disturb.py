"""Disturbances change nothing at their nominal value, agree with physics elsewhere, and refuse bad input."""

from __future__ import annotations

import numpy as np
import pytest

from edge_seq.data.disturb import at_rate, interpolate, mounted_at, with_full_scale, with_noise
from edge_seq.data.recording import Recording
from edge_seq.data.units import rotation_about
from edge_seq.ir.contract import Channel, SensorContract, axis_triples
from edge_seq.support.errors import ConfigError, DataError

CONTRACT = SensorContract(
    10.0, tuple(Channel(name, "g", 1000.0, 4.0) for name in ("ax", "ay", "az")), window_length=10, window_stride=5
)
RNG = np.random.default_rng(0)
COUNTS = np.clip(np.rint(RNG.normal((0, 0, 1000), 300, (400, 3))), -4000, 4000).astype(np.int16)
WALK = Recording("walk", "a", COUNTS, np.repeat(np.arange(4), 100).astype(np.int16))


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_the_nominal_value_changes_nothing() -> None:
    for same in (
        mounted_at(WALK, CONTRACT, 0.0, rng()),
        with_noise(WALK, CONTRACT, 0.0, rng()),
        at_rate(WALK, CONTRACT, 1.0),
        with_full_scale(WALK, CONTRACT, 1.0),
    ):
        assert np.array_equal(same.counts, WALK.counts)
        assert np.array_equal(same.labels, WALK.labels)
        assert (same.name, same.group) == ("walk", "a")


def test_a_turned_part_feels_as_much_in_other_axes() -> None:
    turned = mounted_at(WALK, CONTRACT, 90.0, rng())
    length = np.linalg.norm(turned.counts.astype(float), axis=1)
    assert np.abs(length - np.linalg.norm(COUNTS.astype(float), axis=1)).max() < 2
    assert not np.array_equal(turned.counts, mounted_at(WALK, CONTRACT, 90.0, np.random.default_rng(6)).counts)
    back = rotation_about(np.array([0.6, 0.0, 0.8]), 30.0) @ rotation_about(np.array([0.6, 0.0, 0.8]), -30.0)
    assert np.allclose(back, np.eye(3))


def test_noise_is_as_large_as_asked_and_stays_in_range() -> None:
    noisy = with_noise(WALK, CONTRACT, 0.01, rng())
    assert np.std(noisy.counts.astype(float) - COUNTS) == pytest.approx(40, rel=0.05)
    assert np.abs(with_noise(WALK, CONTRACT, 3.0, rng()).counts).max() == 4000


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.3, 2.0])
def test_another_rate_moves_a_tone_and_keeps_its_size(factor: float) -> None:
    t = np.arange(400)
    tone = np.stack([2000 * np.sin(2 * np.pi * 0.19 * t)] * 3, axis=1).astype(np.int16)
    labels = (t >= 200).astype(np.int16)
    resampled = at_rate(Recording("tone", "a", tone, labels), CONTRACT, factor)
    count = len(resampled.labels)
    assert count == int(399 * factor) + 1
    expected = 2000 * np.sin(2 * np.pi * 0.19 / factor * np.arange(count))
    inner = slice(40, count - 40)
    assert np.abs(resampled.counts[inner, 0] - expected[inner]).max() < 20
    assert np.abs(np.flatnonzero(resampled.labels)[0] - 200 * factor) <= 1


def test_a_constant_stays_one_between_samples() -> None:
    assert np.allclose(interpolate(np.full((30, 2), 7.0), np.arange(0, 29, 0.37)), 7.0)


def test_a_smaller_full_scale_saturates() -> None:
    clipped = with_full_scale(WALK, CONTRACT, 0.25)
    assert np.abs(clipped.counts).max() == 1000
    small = np.abs(COUNTS) <= 1000
    assert np.array_equal(clipped.counts[small], COUNTS[small])


def test_values_out_of_range_are_refused() -> None:
    with pytest.raises(DataError, match="noise: -1 of the full scale; give 0 or more"):
        with_noise(WALK, CONTRACT, -1, rng())
    with pytest.raises(DataError, match=r"rate: 5.0 times the contract's; give 0.25 to 4"):
        at_rate(WALK, CONTRACT, 5.0)
    with pytest.raises(DataError, match="full scale: 0 of the contract's; give more than 0"):
        with_full_scale(WALK, CONTRACT, 0)
    one = SensorContract(10.0, (Channel("level", "counts", 1.0, 100.0),), window_length=10, window_stride=5)
    assert axis_triples(one) == ()
    with pytest.raises(ConfigError, match="hold no x, y and z with one stem"):
        mounted_at(WALK, one, 10.0, rng())
