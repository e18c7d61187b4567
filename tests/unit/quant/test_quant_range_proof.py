"""The range proof is right (nothing exceeds a bound) and tight (something nearly reaches it)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_seq.arithmetic.fixed_point import FINE_LIMIT, INT16_MAX, INT32_MAX, mean_reciprocal
from edge_seq.arithmetic.tables import tanh_table
from edge_seq.backends import reference_int
from edge_seq.backends.reference_int import LayerState, reset_state, run_reference, step
from edge_seq.ir.contract import MAX_WINDOW_LENGTH
from edge_seq.ir.kind_names import CELL_NAMES
from edge_seq.ir.kinds import Dense, FastGrnn, row_groups
from edge_seq.ir.model import IntModel
from edge_seq.ir.range_proof import Bound, accumulator_bounds, prove_ranges, range_bounds
from edge_seq.ir.rows import IntRows
from edge_seq.support.errors import RangeProofError
from tests.spec_oracle import coarse, narrow_value
from tests.zoo import convolution, extreme_counts, extreme_model, extreme_rows, quantized_model, spec

Terms = list[tuple[int, int, int]]  # (weight, lowest value, highest value)


def terms(rows: IntRows, r: int) -> Terms:
    """Weight of each column of row ``r`` and range of its operand, in Python's integers."""
    narrow = [
        (narrow_value(bytes_, j), *((-128, 128) if coarse(j) else (-32768, 32767)))
        for bytes_ in (rows.narrow_input[r].tolist(), rows.narrow_hidden[r].tolist())
        for j in range(len(bytes_))
    ]
    return [(w, -32768, 32767) for w in rows.wide[r].tolist()] + narrow


def reached(rows: IntRows, r: int) -> tuple[int, int]:
    """Smallest and largest accumulator for inputs chosen by the signs of the row."""
    low = high = int(rows.bias[r])
    for weight, lowest, highest in terms(rows, r):
        low += min(weight * lowest, weight * highest)
        high += max(weight * lowest, weight * highest)
    return low, high


def specified_bound(rows: IntRows, r: int) -> int:
    """The bound of SPEC.md, section 9, in Python's integers."""
    return abs(int(rows.bias[r])) + sum(abs(weight) * -lowest for weight, lowest, _ in terms(rows, r))


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.integers(0, 6), st.integers(0, 9), st.integers(0, 9))
def test_the_bound_is_the_specification_and_is_never_exceeded(seed: int, wide: int, below: int, own: int) -> None:
    rows = extreme_rows(np.random.default_rng(seed), 6, wide=wide, narrow_input=below, narrow_hidden=own)
    bounds = accumulator_bounds(rows)
    for r in range(6):
        assert int(bounds[r]) == specified_bound(rows, r)
        low, high = reached(rows, r)
        assert -int(bounds[r]) <= low <= high <= int(bounds[r])


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.integers(0, 6), st.integers(1, 9))
def test_chosen_inputs_nearly_reach_the_bound(seed: int, wide: int, own: int) -> None:
    """With a small bias, the largest or smallest accumulator is within 1 % of the bound, so no range is wasted."""
    rows = extreme_rows(np.random.default_rng(seed), 6, wide=wide, narrow_hidden=own)
    rows = replace(rows, bias=np.clip(rows.bias, -1000, 1000))
    for r, bound in enumerate(accumulator_bounds(rows).tolist()):
        low, high = reached(rows, r)
        assert max(-low, high) >= 0.99 * bound - 2000


@pytest.mark.parametrize("cell", CELL_NAMES)
@pytest.mark.parametrize("seed", range(6))
def test_the_reference_does_not_trip_at_the_adversary_of_any_row(cell: str, seed: int) -> None:
    """The reference's checks stay silent for states and features chosen by the signs of a row."""
    model = extreme_model(spec(cell, 6, channels=4), seed=seed)
    model = replace(model, number_format=replace(model.number_format, input_shift=(0,) * 4))
    state = reset_state(model, 1)
    largest = 0.0
    for rows in row_groups(model.layers[0]).values():
        bounds = accumulator_bounds(rows)
        for r in range(6):
            for sign in (-1, 1):
                wide = rows.wide[r] if rows.wide.shape[1] else np.zeros(4)
                counts = np.where(sign * wide > 0, 32767, -32768).astype(np.int16)
                operands = np.zeros((1, 8), dtype=np.int64)
                for j in range(6 if rows.narrow_hidden.shape[1] else 0):
                    low, high = (-128, 128) if coarse(j) else (-32768, 32767)
                    value = narrow_value(rows.narrow_hidden[r].tolist(), j)
                    operands[0, j] = high if sign * value > 0 else low
                hidden = np.where(operands > 0, 32767, -32768) * (np.arange(8) < 6)
                cell_state = (
                    np.where(operands > 0, 32767, -32768) if state.layers[0].cell.size else state.layers[0].cell
                )
                chosen = replace(state, layers=(LayerState(operands, hidden, cell_state),))
                step(model, counts[None], chosen)
                low, high = reached(rows, r)
                largest = max(largest, -low / bounds[r], high / bounds[r])
    assert largest >= 0.9


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_one_more_than_32_bits_is_refused_and_32_bits_are_not(cell: str) -> None:
    model = extreme_model(spec(cell, 5), seed=3)
    for name, rows in row_groups(model.layers[0]).items():
        for r in range(5):
            left = INT32_MAX - int(accumulator_bounds(rows)[r])
            for sign in (-1, 1):
                bias = rows.bias.copy()
                if bias[r] * sign < 0:
                    continue
                bias[r] += sign * left
                full = replace(model, layers=(replace(model.layers[0], **{name: replace(rows, bias=bias)}),))
                assert (
                    max(b.magnitude for b in prove_ranges(full) if b.name == f"layer0.{name} accumulator") == INT32_MAX
                )
                if bias[r] == sign * INT32_MAX:
                    continue  # no weights: the bias alone fills 32 bits
                bias = bias.copy()
                bias[r] += sign
                over = replace(model, layers=(replace(model.layers[0], **{name: replace(rows, bias=bias)}),))
                with pytest.raises(
                    RangeProofError,
                    match=rf"model zoo: layer0\.{name} accumulator, row {r} can reach 2,147,483,648; 32 bits hold "
                    r"2,147,483,647\. Quantize the float model again",
                ):
                    prove_ranges(over)


def lowest_rows(rows: int, *, wide: int = 0, narrow: int = 0) -> IntRows:
    """Rows whose accumulator is least where all inputs are: no weight is negative, and the bias is."""
    rng = np.random.default_rng(rows + wide + narrow)
    return IntRows(
        wide=rng.integers(1, 200, (rows, wide)).astype(np.int16),
        narrow_input=rng.integers(1, 128, (rows, narrow)).astype(np.int8),
        narrow_hidden=np.zeros((rows, 0), dtype=np.int8),
        bias=-rng.integers(1, 2**20, rows).astype(np.int32),
        multiplier=rng.integers(100, 2000, rows).astype(np.int16) | np.int16(1),
    )


def test_the_proof_is_attained_by_convolutions_dense_layers_and_sums_over_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All inputs at their least: every accumulator, the sum over the steps and the logits are as large as proven."""
    shape = spec(
        *("fastgrnn", 8),
        window_length=5,
        pooling="flatten",
        dense=((8, "none"), (8, "none")),
        front=(convolution(8, "none", 2), convolution(8, "none", 2, stride=2)),
    )
    model = extreme_model(shape)
    steps = model.num_steps
    layer = model.layers[0]
    assert isinstance(layer, FastGrnn)
    rows = replace(lowest_rows(8, narrow=8), narrow_hidden=np.zeros((8, 8), dtype=np.int8))
    rows = replace(rows, multiplier=np.full(8, 30000, dtype=np.int16))
    full = {"zeta": np.array([2**15 - 1], np.int32), "nu": np.array([2**30], np.int32)}
    convolutions = [
        replace(one, rows=lowest_rows(8, wide=wide, narrow=narrow), pad=(-(2**15),) * 3 if wide else ())
        for one, wide, narrow in zip(model.front, (6, 0), (0, 16), strict=True)
    ]
    dense = [lowest_rows(8, narrow=steps * 8), lowest_rows(8, narrow=8)]
    model = replace(
        model,
        front=tuple(convolutions),
        layers=(replace(layer, new_gate=rows, update_offset=np.full(8, -(2**30), np.int32), **full),),
        dense=tuple(Dense(one, "none") for one in dense),
        head=lowest_rows(4, narrow=8),
        number_format=replace(model.number_format, input_shift=(0, 0, 0)),
    )
    bounds = {bound.name.partition(" at step")[0]: bound.magnitude for bound in prove_ranges(model)}
    found: dict[int, int] = {}
    original = reference_int._accumulate

    def noted(rows: IntRows, *inputs: np.ndarray) -> np.ndarray:
        result = original(rows, *inputs)
        found[id(rows.bias)] = max(found.get(id(rows.bias), 0), int(np.abs(result).max()))
        return result

    monkeypatch.setattr(reference_int, "_accumulate", noted)
    state = reset_state(model, 1)
    for _ in range(shape.window_length):
        state, values = reference_int.sample(model, np.full((1, 3), -(2**15), dtype=np.int16), state)
    named = {f"front{i}": one.rows for i, one in enumerate(convolutions)}
    named |= {f"dense{i}": one for i, one in enumerate(dense)} | {"head": model.head}
    for name, one in named.items():
        assert found[id(one.bias)] == bounds[f"{name} accumulator"], name
    assert int(-state.pool_sum.min()) == bounds["dense0 result"]
    assert bounds["dense0 sum over the steps, behind a restored one"] == bounds["dense0 result"] + 2**30
    assert int(-values["logits"].min()) == bounds["logits"]


def test_a_sum_over_steps_that_could_overflow_is_refused() -> None:
    model = extreme_model(spec("gru", 5, pooling="flatten"))
    over = replace(model.head, multiplier=np.full(4, INT16_MAX, dtype=np.int16), bias=np.full(4, 2**30, np.int32))
    with pytest.raises(
        RangeProofError,
        match=r"head sum over the steps, behind a restored one, row \d can reach .*; 32 bits hold 2,147,483,647",
    ):
        prove_ranges(replace(model, head=over))


def test_a_bound_that_belongs_to_no_row() -> None:
    model = quantized_model(spec("lstm", 3, pooling="mean"))
    too_long = replace(model, contract=replace(model.contract, window_length=MAX_WINDOW_LENGTH + 1))
    with pytest.raises(RangeProofError, match=r"sum of states, times four can reach 2,147,483,648"):
        prove_ranges(too_long)


def test_intermediates_of_fixed_format_always_hold() -> None:
    """Cell updates, blends, the new gate's sum and the longest mean fit for all formats: no model can break them."""
    for cell_frac_bits in range(8, 16):
        model = extreme_model(spec("lstm", 3, pooling="mean", window_length=MAX_WINDOW_LENGTH), seed=1)
        model = replace(model, number_format=replace(model.number_format, cell_frac_bits=(cell_frac_bits,)))
        update = next(b for b in range_bounds(model) if b.name == "layer0.cell_state update")
        assert 32767 * 32768 + 2**14 <= update.magnitude <= update.limit
        assert update.row == -1
    # Section 6, `c'`: the largest product of each sign at 15 bits, in Python's integers.
    extremes = [
        f * c + (i * g) // 2 ** (15 - 15) + 2**14
        for f in (0, 32767)
        for c in (-32768, 32767)
        for i in (0, 32767)
        for g in (-32767, 32767)
    ]
    assert max(abs(value) for value in extremes) <= update.magnitude


def test_the_new_gate_of_a_gru_cannot_break_while_its_accumulators_hold() -> None:
    full = np.array([INT32_MAX], dtype=np.int32)
    largest = np.array([32767], dtype=np.int16)
    none = np.zeros((1, 0), dtype=np.int8)
    rows = IntRows(np.zeros((1, 0), dtype=np.int16), none, none, full, largest)
    model = extreme_model(spec("gru", 1), seed=0)
    cell = replace(model.layers[0], new_gate_input=rows, new_gate_hidden=rows)
    bound = next(b for b in range_bounds(replace(model, layers=(cell,))) if b.name == "layer0.new_gate sum")
    assert bound.holds
    y = INT32_MAX * 32767 // 2**16
    assert y + y // 2 + y * 32767 // 2**16 <= bound.magnitude


def test_bounds_say_how_much_is_left() -> None:
    assert Bound("x", 0, 100, 100).holds
    assert not Bound("x", 0, 101, 100).holds
    assert Bound("x", 0, 50, 100).slack == 2
    assert Bound("x", 0, 0, 100).slack == 100


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_every_accumulator_of_a_model_has_a_bound(cell: str) -> None:
    model: IntModel = quantized_model(spec(cell, 5, 3, pooling="mean"))
    names = {bound.name for bound in prove_ranges(model)}
    for index, layer in enumerate(model.layers):
        assert {f"layer{index}.{gate} accumulator" for gate in row_groups(layer)} <= names
    assert {"head accumulator", "sum of states, times four"} <= names


def test_bounds_of_a_fastgrnn_are_reached() -> None:
    """Section 9, in Python's integers, at the ends of the constants and at the inputs that bring the bounds about."""
    model = extreme_model(spec("fastgrnn", 3), seed=1)
    layer = model.layers[0]
    assert isinstance(layer, FastGrnn)
    for zeta, nu in ((2**15 - 1, 2**30), (0, 2**30), (2**15 - 1, 0), (0, 0)):
        ends = replace(layer, zeta=np.array([zeta], np.int32), nu=np.array([nu], np.int32))
        bounds = {bound.name: bound for bound in prove_ranges(replace(model, layers=(ends,)))}
        weight, update = bounds["layer0.weight of the new gate"], bounds["layer0.hidden_state update"]
        largest = max(zeta * (32768 - u) + nu for u in range(32768))
        assert weight.magnitude == largest <= INT32_MAX
        blends = [
            abs((u * h) // 2 + ((zeta * (32768 - u) + nu) * c) // 2**16 + 2**13)
            for u in range(0, 32768, 7)
            for h, c in ((-32768, -32767), (32767, 32767), (-32768, 32767))
        ]
        assert max(blends) <= update.magnitude <= INT32_MAX
    # A row's result and the offset at their ends: half of what 31 bits hold, and 2^30.
    row = bounds["layer0.new_gate result"]
    for offset in (-(2**30), 2**30):
        far = replace(layer, update_offset=np.full(3, offset, np.int32))
        bounds = {bound.name: bound for bound in prove_ranges(replace(model, layers=(far,)))}
        assert bounds["layer0.update_gate sum"].magnitude == row.magnitude // 2 + 1 + 2**30
    assert bounds["low product of mulw"].magnitude == 65535 * 32767  # a tanh is the factor


def test_bounds_of_fixed_formats_are_reached() -> None:
    """Each bound in Python's integers, at the operands that reach it."""
    model = extreme_model(spec("lstm", 3, pooling="mean", step="remove_gravity"), seed=1)
    frac_bits = model.number_format.cell_frac_bits[0]
    bounds = {bound.name: bound.magnitude for bound in range_bounds(model)}
    words = [word for base, slope in zip(*tanh_table(), strict=True) for word in [int(base) * 2**16 + int(slope)]]
    slopes = [int(slope) for slope in tanh_table()[1]]
    assert bounds["interpolation of tanh"] == max(
        abs(word + slope * position) for word, slope in zip(words, slopes, strict=True) for position in range(4096)
    )
    assert bounds["gravity, difference to the sample"] >= 2**14 * (32767 + 32768)
    assert bounds["layer0.hidden_state product"] == 32767 * 32767 + 2**22
    assert bounds["layer0.cell_state argument"] == 32768 * 2 ** (16 - frac_bits) + 2**19
    assert bounds["low product of mulw"] == 65535 * max(
        *(int(rows.multiplier.max()) for rows in row_groups(model.layers[0]).values()),
        int(model.head.multiplier.max()),
        *model.number_format.pool_reciprocals,
    )
    assert bounds["difference of two logits"] == 2 * bounds["logits"]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16), cell=st.sampled_from(CELL_NAMES))
def test_logits_and_means_stay_within_their_bounds(seed: int, cell: str) -> None:
    model = extreme_model(spec(cell, 5, pooling="mean", window_length=3), seed=seed)
    bounds = {bound.name: bound.magnitude for bound in prove_ranges(model)}
    trace = run_reference(model, extreme_counts(6, model.num_channels, seed=seed))
    assert np.abs(trace.values["logits"]).max() <= bounds["logits"]
    assert np.abs(trace.values["pooled"]).max() <= bounds["mean of states, scaled"]


@pytest.mark.parametrize("length", [3, 7, 50, 64, 100])
def test_the_bound_of_a_mean_after_each_sample_is_the_most_over_all_samples(length: int) -> None:
    """The mean of the largest operands, after each number of samples: at a power of two it is rounded up the most."""
    model = quantized_model(spec("rnn", 2, pooling="mean", label_every="sample", window_length=length))
    bounds = {bound.name: bound.magnitude for bound in range_bounds(model)}
    largest = 0
    for count in range(1, length + 1):
        reciprocal, shift = mean_reciprocal(count)
        largest = max(largest, (4 * count * FINE_LIMIT * reciprocal >> 16) + 1 + ((1 << shift) >> 1))
    assert bounds["mean of states, scaled"] == largest
    of_windows = quantized_model(spec("rnn", 2, pooling="mean", window_length=length))
    assert {b.name: b.magnitude for b in range_bounds(of_windows)}["mean of states, scaled"] <= largest
