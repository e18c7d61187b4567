"""The numpy reference equals an implementation written only from SPEC.md, in every traced value."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_seq.backends.reference_int import run_reference
from edge_seq.ir.contract import MAX_WINDOW_LENGTH
from edge_seq.ir.decision import DecisionStage
from edge_seq.ir.kind_names import POOLINGS
from edge_seq.ir.kinds import Rnn
from edge_seq.ir.model import IntModel, Readout
from edge_seq.ir.rows import IntRows
from edge_seq.ir.verify import pool_reciprocals, verify
from edge_seq.support.errors import RangeProofError
from tests.spec_oracle import TABLE, OutOfRangeError, arg, mulw, run_oracle, s16, sig, tanh
from tests.zoo import (
    CELLS,
    Spec,
    awkward_specs,
    extreme_counts,
    extreme_model,
    quantized_model,
    random_counts,
    random_front_chain,
    random_two_way_chain,
    spec,
)

HIDDEN_SIZES = ((1,), (3,), (5,), (33,), (3, 5), (1, 3, 5))
READOUTS = tuple(
    (pooling, label_every, at_window_end)
    for pooling in POOLINGS
    for label_every in ("window", "sample")
    for at_window_end in ("reset", "carry")
    if (pooling, label_every) != ("flatten", "sample")
)
STEPS = ("none", "difference", "remove_gravity")


def mismatches(model: IntModel, counts: NDArray[np.int16]) -> tuple[int, int]:
    """Number of traced values that differ, and number compared. Names, their order and shapes must agree too."""
    expected = run_oracle(model, counts.tolist())
    trace = run_reference(model, counts)
    assert list(trace.values) == list(expected)
    different = compared = 0
    for name, value in trace.values.items():
        other = np.array(expected[name], dtype=object)
        assert value.shape == other.shape, name
        different += int(np.count_nonzero(value.astype(object) != other))
        compared += value.size
    return different, compared


def stressed(shape: Spec, seed: int) -> list[IntModel]:
    """A model with large random weights, smaller ones where quantize() refuses those, and one of extreme integers."""
    for amplitude in (6.0, 2.0):
        with suppress(RangeProofError):
            return [quantized_model(shape, seed=seed, amplitude=amplitude), extreme_model(shape, seed=seed)]
    return [quantized_model(shape, seed=seed, amplitude=0.5), extreme_model(shape, seed=seed)]


def check(shape: Spec, *, seed: int, extreme: int = 3) -> None:
    """Several consecutive windows and the start of one more: random counts, small counts and some extreme streams."""
    time_steps = 3 * shape.window_length + 2
    streams = extreme_counts(time_steps, shape.channels, seed=seed)
    chosen = np.random.default_rng(seed).permutation(len(streams))[:extreme]
    counts = np.concatenate(
        [
            random_counts(1, time_steps, shape.channels, seed=seed),
            random_counts(1, time_steps, shape.channels, seed=seed, sigma=300.0),
            streams[chosen],
        ]
    )
    for model in stressed(shape, seed):
        different, compared = mismatches(model, counts)
        assert different == 0, f"{different} of {compared} values differ for {shape}"


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("hidden", HIDDEN_SIZES, ids=str)
def test_sizes(cell: str, hidden: tuple[int, ...]) -> None:
    wide = max(hidden) > 9
    shape = spec(cell, *hidden, window_length=3 if wide else 7, pooling="mean", label_every="sample")
    check(shape, seed=sum(hidden), extreme=1 if wide else 3)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("pooling", "label_every", "at_window_end"), READOUTS)
def test_every_readout_with_every_preprocessing(
    cell: str, step: str, pooling: str, label_every: str, at_window_end: str
) -> None:
    shape = spec(
        cell,
        5,
        channels=2,
        window_length=5,
        step=step,
        pooling=pooling,  # type: ignore[arg-type]
        label_every=label_every,  # type: ignore[arg-type]
        at_window_end=at_window_end,  # type: ignore[arg-type]
    )
    check(shape, seed=len(step + pooling + label_every + at_window_end), extreme=2)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", list(awkward_specs("rnn")))
def test_the_zoo(cell: str, name: str) -> None:
    shape = awkward_specs(cell)[name]
    check(replace(shape, window_length=min(shape.window_length, 9)), seed=7, extreme=1)


@pytest.mark.parametrize("seed", [*range(8), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(8, 60))])
def test_random_front_layers(seed: int) -> None:
    check(random_front_chain(seed), seed=seed, extreme=2)


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 19))])
def test_random_bidirectional_layers(seed: int) -> None:
    check(random_two_way_chain(seed), seed=seed, extreme=2)


@pytest.mark.parametrize("gravity_shift", range(1, 13))
def test_every_gravity_shift(gravity_shift: int) -> None:
    check(spec("rnn", 1, step="remove_gravity", gravity_shift=gravity_shift), seed=gravity_shift, extreme=8)


@pytest.mark.parametrize("cell_frac_bits", range(8, 16))
def test_every_format_of_the_cell_state(cell_frac_bits: int) -> None:
    model = extreme_model(spec("lstm", 5, at_window_end="carry"), seed=cell_frac_bits)
    model = replace(model, number_format=replace(model.number_format, cell_frac_bits=(cell_frac_bits,)))
    verify(model)
    assert mismatches(model, extreme_counts(23, 3))[0] == 0


def constant_states(label_every: str) -> IntModel:
    """Three units without weights that stay at -32767, 32767 and -128 (coarse); the longest possible window."""
    shape = spec("rnn", 3, channels=1, classes=2, window_length=MAX_WINDOW_LENGTH, pooling="mean")
    model = quantized_model(replace(shape, window_length=1))
    nothing = {name: np.zeros_like(array) for name, array in vars(model.layers[0].hidden).items()}  # type: ignore[union-attr]
    bias = np.array([-(2**31) + 1, 2**31 - 1, -(2**31) + 1], dtype=np.int32)
    rows = replace(IntRows(**nothing), bias=bias, multiplier=np.full(3, 32767, dtype=np.int16))
    model = replace(
        model,
        contract=replace(model.contract, window_length=MAX_WINDOW_LENGTH),
        layers=(Rnn(rows),),
        readout=replace(shape.readout, label_every=label_every),  # type: ignore[arg-type]
    )
    reciprocals = pool_reciprocals(model)
    model = replace(model, number_format=replace(model.number_format, pool_reciprocals=reciprocals))
    verify(model)
    return model


@pytest.mark.parametrize("label_every", [pytest.param(one, marks=pytest.mark.slow) for one in ("window", "sample")])
def test_the_longest_sums_of_states(label_every: str) -> None:
    """4 S comes as close to the ends of 32 bits as the longest window allows; the mean must still be the state."""
    model = constant_states(label_every)
    counts = np.zeros((1, MAX_WINDOW_LENGTH, 1), dtype=np.int16)
    assert mismatches(model, counts)[0] == 0
    mean = run_reference(model, counts).values["pooled"][0, -1]
    assert np.abs(mean - np.array([-32767, 32767, -128])).max() <= 4


@pytest.mark.parametrize("seed", range(6))
def test_any_decision_stage(seed: int) -> None:
    rng = np.random.default_rng(seed)
    stage = DecisionStage(
        smoothing_shift=int(rng.integers(0, 9)),
        hysteresis=int(rng.integers(0, 2 ** rng.integers(1, 20))),
        min_labels=int(rng.choice([1, 2, 5, 255])),
        unknown_margin=int(rng.integers(0, 2 ** rng.integers(1, 20))),
    )
    pooling, label_every, at_window_end = READOUTS[seed]
    shape = spec(CELLS[seed % 3], 4, classes=2 + seed, window_length=2 + seed % 3, decision=stage)
    readout = Readout(pooling, label_every, at_window_end, stage)  # type: ignore[arg-type]
    check(replace(shape, readout=readout), seed=seed)


def test_a_changed_number_is_noticed() -> None:
    """The comparison can fail: it finds one weight, or the rounding half in a bias, that is one too large."""
    model = quantized_model(spec("gru", 5), seed=3)
    counts = random_counts(2, 21, 3, seed=3)
    expected = run_oracle(model, counts.tolist())
    rows = model.layers[0].reset_gate  # type: ignore[union-attr]
    narrow = rows.narrow_hidden.copy()
    narrow[0, 0] ^= 1
    changed = replace(model, layers=(replace(model.layers[0], reset_gate=replace(rows, narrow_hidden=narrow)),))
    trace = run_reference(changed, counts)
    assert any(not np.array_equal(value, np.array(expected[name])) for name, value in trace.values.items())


def test_pool_reciprocals_are_the_formula_of_section_8() -> None:
    shape = spec("rnn", 3, window_length=300, pooling="mean", label_every="sample")
    formula = tuple(2 ** (14 + t.bit_length() - 1) // t for t in range(1, 301))
    assert quantized_model(shape).number_format.pool_reciprocals == formula
    last_only = replace(shape, readout=replace(shape.readout, label_every="window"))
    assert quantized_model(last_only).number_format.pool_reciprocals == formula[-1:]


def test_the_table_of_the_oracle() -> None:
    assert len(TABLE) == 256
    assert (tanh(0), tanh(2**20 - 1)) == (-32767, 32767)
    assert (arg(-1), arg(2**20)) == (0, 2**20 - 1)
    assert 0 <= sig(0) < sig(2**19) < sig(2**20 - 1) <= 32767


def test_the_oracle_refuses_values_outside_their_types() -> None:
    with pytest.raises(OutOfRangeError, match="does not fit 16 bits"):
        s16(32768)
    with pytest.raises(OutOfRangeError, match="does not fit 32 bits"):
        mulw(2**31, 1)
