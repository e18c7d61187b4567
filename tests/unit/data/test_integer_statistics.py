"""Integer statistics of windows, computed by hand, and by running sums of Python integers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from edge_seq.data.statistics import INTEGER_STATISTICS, integer_statistics


def by_hand(values: list[int]) -> list[int]:
    """The six statistics of one signal, from running sums."""
    count, total, squares = len(values), sum(values), sum(value * value for value in values)
    steps = [after - before for before, after in itertools.pairwise(values)]
    turns = sum((a > 0) != (b > 0) for a, b in itertools.pairwise(steps))
    deviation = math.isqrt((count * squares - total * total) // count**2)
    step = sum(abs(one) for one in steps) // max(count - 1, 1)
    return [total // count, deviation, min(values), max(values), step, turns]


@pytest.mark.parametrize("loudness", [3, 900, 32767])
@pytest.mark.parametrize("samples", [1, 2, 50, 128])
def test_they_are_those_of_running_sums(samples: int, loudness: int) -> None:
    rng = np.random.default_rng(samples)
    counts = rng.integers(-loudness - 1, loudness, (3, samples, 2), endpoint=True).astype(np.int16)
    found = integer_statistics(counts)
    assert found.dtype == np.int16
    assert found.shape == (3, len(INTEGER_STATISTICS) * 3)
    for window, row in zip(counts.tolist(), found.tolist(), strict=True):
        magnitude = [min(math.isqrt(sum(value * value for value in sample)), 32767) for sample in window]
        signals = [*map(list, zip(*window, strict=True)), magnitude]
        assert row == [min(value, 32767) for signal in signals for value in by_hand(signal)]


def test_largest_steps_are_limited_to_16_bits() -> None:
    counts = np.tile(np.array([-32768, 32767], np.int16), 5).reshape(1, 10, 1)
    assert integer_statistics(counts)[0, :6].tolist() == [-1, 32767, -32768, 32767, 32767, 8]
