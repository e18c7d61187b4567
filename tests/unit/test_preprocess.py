from __future__ import annotations

import math

import numpy as np
import pytest

from edge_seq.backends.preprocess import compand, initial_state, magnitude, preprocess, preprocess_step
from edge_seq.ir.contract import MAX_COMPANDING, MIN_COMPANDING, Channel, Preprocessing, SensorContract

NONE = Preprocessing("none")
DIFFERENCE = Preprocessing("difference")
COMPANDED = Preprocessing("difference", companding=4)


def contract_of(preprocessing: Preprocessing, *names: str) -> SensorContract:
    channels = tuple(Channel(name, "g", 8192.0, 4.0) for name in names)
    return SensorContract(50.0, channels, 10, 10, preprocessing)


def one_channel(values: list[int], preprocessing: Preprocessing) -> list[int]:
    counts = np.array(values, dtype=np.int16).reshape(1, -1, 1)
    return [int(value) for value in preprocess(counts, contract_of(preprocessing, "a")).ravel()]


def low_pass(values: list[int], shift: int) -> list[int]:
    """A second remove_gravity, in Python's integers: y = x - round(m / 2^14), m += floor((2^14 x - m) / 2^shift)."""
    memory = values[0] * 2**14
    result = []
    for number, x in enumerate(values):
        if number:
            memory += (2**14 * x - memory) // 2**shift
        result.append(max(-32768, min(32767, x - (memory + 2**13) // 2**14)))
    return result


def test_none_passes_counts_through():
    assert one_channel([5, -32768, 32767], NONE) == [5, -32768, 32767]


def test_difference_begins_with_zero():
    assert one_channel([100, 107, 90, 90], DIFFERENCE) == [0, 7, -17, 0]


def test_difference_saturates_in_both_directions():
    assert one_channel([-32768, 32767, -32768, 0], DIFFERENCE) == [0, 32767, -32768, 32767]


def test_gravity_by_hand():
    # shift 1, in counts: m = 0, then 5, then 7.5, which rounds up to 8, then 3.75, which rounds to 4.
    assert one_channel([0, 10, 10, 0], Preprocessing("remove_gravity", 1)) == [0, 5, 2, -4]


def test_negative_numbers_are_shifted_towards_minus_infinity():
    # m = 0, then floor(-2^14 / 2^12) = -4, then floor((-2^14 + 4) / 2^12) = -4 again (truncation would give -3).
    found = low_pass([0] + [-1] * 4, 12)
    assert one_channel([0] + [-1] * 4, Preprocessing("remove_gravity", 12)) == found == [0, -1, -1, -1, -1]
    # Down it goes in steps of up to 4 and so passes -2^13 - 1, where it rounds to -1, sooner than up it passes 2^13.
    down = one_channel([0] + [-1] * 4000, Preprocessing("remove_gravity", 12)).index(0, 1)
    up = one_channel([0] + [1] * 4000, Preprocessing("remove_gravity", 12)).index(0, 1)
    assert down < up < 4000


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


@pytest.mark.parametrize("shift", range(1, 13))
def test_nothing_is_left_of_a_new_constant(shift):
    # m stops rising less than 2^shift below 2^14 x, a quarter of a count at the most.
    steps = 16 << shift
    counts = np.repeat([[-3000, 3000], [3000, -3000]], [1, steps], axis=0).astype(np.int16)[np.newaxis]
    rising_and_falling = preprocess(counts, contract_of(Preprocessing("remove_gravity", shift), "a", "b"))[0, -1]
    assert rising_and_falling.tolist() == [0, 0]


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


@pytest.mark.parametrize(
    "preprocessing",
    [NONE, DIFFERENCE, COMPANDED, Preprocessing("remove_gravity", 3, 1), Preprocessing("remove_gravity", 3, 1, True)],
)
def test_a_stream_and_windows_give_the_same(preprocessing):
    counts = np.random.default_rng(0).integers(-32768, 32768, size=(4, 25, 3)).astype(np.int16)
    contract = contract_of(preprocessing, "ax", "ay", "az")
    whole = preprocess(counts, contract)
    assert whole.dtype == np.int16
    assert whole.shape == (4, 25, 3 + preprocessing.magnitude)
    state = initial_state(4, 3)
    for t in range(25):
        features, state = preprocess_step(counts[:, t], state, contract)
        assert features.dtype == np.int16
        assert (features == whole[:, t]).all()


@pytest.mark.parametrize("preprocessing", [DIFFERENCE, Preprocessing("remove_gravity", 3)])
def test_channels_and_windows_do_not_mix(preprocessing):
    counts = np.random.default_rng(1).integers(-1000, 1000, size=(3, 20, 2)).astype(np.int16)
    together = preprocess(counts, contract_of(preprocessing, "a", "b"))
    alone = contract_of(preprocessing, "a")
    for b in range(3):
        for c in range(2):
            assert (preprocess(counts[b : b + 1, :, c : c + 1], alone)[0, :, 0] == together[b, :, c]).all()


def test_a_step_does_not_change_the_state_it_is_given():
    state = initial_state(1, 1)
    contract = contract_of(DIFFERENCE, "a")
    _, first = preprocess_step(np.array([[10]], dtype=np.int16), state, contract)
    preprocess_step(np.array([[20]], dtype=np.int16), first, contract)
    assert not state.primed
    assert state.memory.tolist() == [[0]]
    assert first.memory.tolist() == [[10]]


@pytest.mark.parametrize("bits", range(MIN_COMPANDING, MAX_COMPANDING + 1))
def test_companding_of_every_feature(bits):
    """Odd, monotone, within its range, near the logarithm, and equal to the definition in Python's integers."""
    features = np.arange(-32768, 32768)
    found = compand(features.astype(np.int16), bits)
    assert found.dtype == np.int16
    positive, negative = found[32768:].astype(int), found[32768:0:-1].astype(int)
    assert (negative == -positive).all()
    assert positive[0] == 0
    assert (np.diff(found.astype(int)) >= 0).all()
    assert -found[0] <= 28672
    exact = 2048 * np.log2(1 + np.arange(32768) / 2**bits)
    assert (positive <= exact).all()
    assert (positive >= exact - 178).all()
    some = [*range(-32768, 32768, 97), *(f * s for e in range(15) for f in (2**e - 1, 2**e, 2**e + 1) for s in (-1, 1))]
    for f in some:
        u = abs(f) + 2**bits
        e = u.bit_length() - 1
        magnitude = 2048 * (e - bits) + (2048 * (u - 2**e)) // 2**e
        assert found[f + 32768] == math.copysign(magnitude, f)


def test_companding_follows_the_step():
    assert one_channel([0, 16, 16, -32], COMPANDED) == [0, 2048, 0, -4096]
    # 16 - -32 = 48, and 48 + 16 is 4 times 16: two doublings. A difference saturates before the logarithm.
    assert one_channel([-32, 16], COMPANDED) == [0, 4096]
    assert one_channel([-32768, 32767], COMPANDED) == [0, one_channel([32767], Preprocessing("none", 6, 4))[0]]


def near_squares() -> list[tuple[int, int, int]]:
    """Vectors whose squares sum to a square, to one less and to one more, up to the largest; and extremes."""
    found = [(-32768, -32768, -32768), (-32768, 0, 0), (32767, 1, 0), (32767, 0, 0), (18918, -18918, 18918), (0, 0, 0)]
    for length in (*range(1, 60), *range(201, 32768, 998), *range(32757, 32768)):
        found.append((0, -length, 0))
        x = math.isqrt(length**2 - 1)  # with y^2 + z^2 = length^2 - 1 - x^2, if the rest is a sum of two squares
        for wanted in (length**2 - 1, length**2 + 1):
            for first in range(x, max(x - 15, -1), -1):
                rest = wanted - first**2
                second = next((y for y in range(math.isqrt(rest), -1, -1) if _is_square(rest - y**2)), None)
                if second is not None:
                    found.append((first, second, math.isqrt(rest - second**2)))
                    break
    return found


def _is_square(number: int) -> bool:
    return math.isqrt(number) ** 2 == number


def test_a_magnitude_is_the_whole_part_of_the_root():
    vectors = near_squares()
    anything = np.random.default_rng(2).integers(-32768, 32768, size=(5000, 3)).tolist()
    small = np.random.default_rng(3).integers(-300, 301, size=(5000, 3)).tolist()
    vectors += [tuple(one) for one in anything + small]
    sums = {sum(axis**2 for axis in one) for one in vectors}
    assert sum(number + 1 in sums for number in sums if _is_square(number + 1)) > 40  # one below a square, and it
    found = magnitude(np.array(vectors, dtype=np.int16))
    assert found.dtype == np.int16
    assert found.tolist() == [min(math.isqrt(sum(axis**2 for axis in one)), 32767) for one in vectors]


def test_magnitudes_follow_the_channels_and_the_step():
    contract = contract_of(Preprocessing("difference", magnitude=True), "gz", "ax", "az", "gx", "t", "ay", "gy")
    assert contract.feature_names == ("gz", "ax", "az", "gx", "t", "ay", "gy", "|ax ay az|", "|gx gy gz|")
    counts = np.array([[[9] * 7, [9 + 12, 9 + 2, 9 - 4, 9 + 3, 500, 9 + 4, 9 - 4]]], dtype=np.int16)
    assert preprocess(counts, contract).tolist() == [[[0] * 9, [12, 2, -4, 3, 491, 4, -4, 6, 13]]]


def test_a_magnitude_is_companded_with_the_other_features():
    contract = contract_of(Preprocessing("none", companding=4, magnitude=True), "x", "y", "z")
    counts = np.array([[[16, 48, 0], [0, -48, 0]]], dtype=np.int16)
    assert preprocess(counts, contract)[0, 1].tolist() == [0, -4096, 0, 4096]
    assert preprocess(counts, contract)[0, 0, 3] == one_channel([50], Preprocessing(companding=4))[0]  # sqrt(2560)
