from __future__ import annotations

import numpy as np
import pytest

from edge_seq.backends.preprocess import initial_state, preprocess, preprocess_step
from edge_seq.ir.contract import Preprocessing

NONE = Preprocessing("none")
DIFFERENCE = Preprocessing("difference")


def one_channel(values: list[int], preprocessing: Preprocessing) -> list[int]:
    counts = np.array(values, dtype=np.int16).reshape(1, -1, 1)
    return [int(value) for value in preprocess(counts, preprocessing).ravel()]


def low_pass(values: list[int], shift: int) -> list[int]:
    """remove_gravity once more, in Python's integers: y = x - round(m / 256), m += floor((256 x - m) / 2^shift)."""
    memory = values[0] * 256
    result = []
    for number, x in enumerate(values):
        if number:
            memory += (256 * x - memory) // 2**shift
        result.append(max(-32768, min(32767, x - (memory + 128) // 256)))
    return result


def test_none_passes_counts_through():
    assert one_channel([5, -32768, 32767], NONE) == [5, -32768, 32767]


def test_difference_begins_with_zero():
    assert one_channel([100, 107, 90, 90], DIFFERENCE) == [0, 7, -17, 0]


def test_difference_saturates_in_both_directions():
    assert one_channel([-32768, 32767, -32768, 0], DIFFERENCE) == [0, 32767, -32768, 32767]


def test_gravity_by_hand():
    # shift 1: m = 0, then 0 + (256*10 - 0) >> 1 = 1280 -> (1280 + 128) >> 8 = 5, then 1280 + (2560 - 1280) >> 1 = 1920
    # -> (1920 + 128) >> 8 = 8, then 1920 + (0 - 1920) >> 1 = 960 -> (960 + 128) >> 8 = 4.
    assert one_channel([0, 10, 10, 0], Preprocessing("remove_gravity", 1)) == [0, 5, 2, -4]


def test_negative_numbers_are_shifted_towards_minus_infinity():
    # m = 0, then (256 * -1) >> 12 = -1 (truncation would give 0), then -1 + (-255 >> 12) = -2: one count of 256 a step.
    # The feature is -1 - ((m + 128) >> 8), so -1 until m < -128, and 0 from then on.
    found = one_channel([0] + [-1] * 400, Preprocessing("remove_gravity", 12))
    assert found[:130] == [0] + [-1] * 128 + [-1 - ((-129 + 128) >> 8)]
    assert found[129] == 0
    # Upwards nothing moves: 256 >> 12 = 0.
    assert one_channel([0] + [1] * 400, Preprocessing("remove_gravity", 12)) == [0] + [1] * 400


@pytest.mark.parametrize("value", [-32768, -1000, -1, 0, 1, 1000, 32767])
@pytest.mark.parametrize("shift", [1, 6, 12])
def test_a_constant_is_removed_from_the_first_sample_on(value, shift):
    assert one_channel([value] * 20, Preprocessing("remove_gravity", shift)) == [0] * 20


@pytest.mark.parametrize("shift", [1, 4, 6])
def test_a_new_constant_is_removed_after_some_time(shift):
    steps = 20 << shift
    for old, new in ((0, 8192), (8192, -8192), (-32768, 32767)):
        found = one_channel([old] + [new] * steps, Preprocessing("remove_gravity", shift))
        assert found[-1] == 0
        assert abs(found[1]) > abs(found[1 << shift]) > 0


@pytest.mark.parametrize("shift", [1, 7, 8, 9, 10])
def test_what_is_left_of_a_new_constant_is_bounded_by_the_fractional_bits(shift):
    # m stops rising where (256 x - m) >> shift is 0, that is less than 2^shift below; it falls all the way.
    steps = 16 << shift
    counts = np.repeat([[-3000, 3000], [3000, -3000]], [1, steps], axis=0).astype(np.int16)[np.newaxis]
    rising_and_falling = preprocess(counts, Preprocessing("remove_gravity", shift))[0, -1]
    assert rising_and_falling.tolist() == [((1 << shift) - 1 + 128) >> 8, 0]


def test_gravity_removal_saturates():
    found = one_channel([-32768, 32767], Preprocessing("remove_gravity", 12))
    assert found == [0, 32767]
    assert one_channel([32767, -32768], Preprocessing("remove_gravity", 12)) == [0, -32768]


@pytest.mark.parametrize("shift", range(1, 13))
def test_gravity_removal_equals_plain_integer_arithmetic(shift):
    values = np.random.default_rng(shift).integers(-32768, 32768, size=300).tolist()
    assert one_channel(values, Preprocessing("remove_gravity", shift)) == low_pass(values, shift)


@pytest.mark.parametrize("shift", [1, 12])
def test_the_low_pass_fits_int32_for_extreme_counts(shift):
    extremes = ([-32768] * 50 + [32767] * 50) * 3
    assert one_channel(extremes, Preprocessing("remove_gravity", shift)) == low_pass(extremes, shift)


@pytest.mark.parametrize("preprocessing", [NONE, DIFFERENCE, Preprocessing("remove_gravity", 3)])
def test_a_stream_and_windows_give_the_same(preprocessing):
    counts = np.random.default_rng(0).integers(-32768, 32768, size=(4, 25, 3)).astype(np.int16)
    whole = preprocess(counts, preprocessing)
    assert whole.dtype == np.int16
    assert whole.shape == counts.shape
    state = initial_state(4, 3)
    for t in range(25):
        features, state = preprocess_step(counts[:, t], state, preprocessing)
        assert features.dtype == np.int16
        assert (features == whole[:, t]).all()


@pytest.mark.parametrize("preprocessing", [DIFFERENCE, Preprocessing("remove_gravity", 3)])
def test_channels_and_windows_do_not_mix(preprocessing):
    counts = np.random.default_rng(1).integers(-1000, 1000, size=(3, 20, 2)).astype(np.int16)
    together = preprocess(counts, preprocessing)
    for b in range(3):
        for c in range(2):
            assert (preprocess(counts[b : b + 1, :, c : c + 1], preprocessing)[0, :, 0] == together[b, :, c]).all()


def test_a_step_does_not_change_the_state_it_is_given():
    state = initial_state(1, 1)
    _, first = preprocess_step(np.array([[10]], dtype=np.int16), state, DIFFERENCE)
    preprocess_step(np.array([[20]], dtype=np.int16), first, DIFFERENCE)
    assert not state.primed
    assert state.memory.tolist() == [[0]]
    assert first.memory.tolist() == [[10]]
