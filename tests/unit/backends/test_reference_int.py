"""The integer reference gives the same in streams and windows; tests/parity compares its arithmetic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_seq.backends.reference_int import NO_LABEL, State, reset_state, run_reference, run_stream, step
from edge_seq.backends.trace import Trace, trace_names
from edge_seq.ir.kind_names import CELL_NAMES
from edge_seq.ir.model import IntModel
from edge_seq.support.errors import DataError, RangeProofError
from tests.zoo import awkward_models, extreme_model, quantized_model, random_counts, spec

MODELS = awkward_models()
COUNTS = {model.name: random_counts(3, 2 * model.contract.window_length + 3, model.num_channels) for model in MODELS}
Values = list[dict[str, np.ndarray]]


def stream(model: IntModel, counts: np.ndarray, state: State) -> tuple[State, Values]:
    steps = []
    for t in range(counts.shape[1]):
        state, values = step(model, counts[:, t], state)
        steps.append(values)
    return state, steps


def same(trace: Trace, steps: Values) -> None:
    for name, value in trace.values.items():
        assert np.array_equal(value, np.stack([values[name] for values in steps], axis=1)), name


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_step_by_step_and_at_once_are_equal(model: IntModel) -> None:
    counts = COUNTS[model.name]
    trace = run_reference(model, counts)
    assert tuple(trace.values) == trace_names(model)
    _, steps = stream(model, counts, reset_state(model, len(counts)))
    same(trace, steps)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_two_halves_with_the_state_carried_are_equal_to_the_whole(model: IntModel) -> None:
    counts = COUNTS[model.name]
    half = counts.shape[1] // 2 + 1
    state, first = stream(model, counts[:, :half], reset_state(model, len(counts)))
    _, second = stream(model, counts[:, half:], state)
    same(run_reference(model, counts), [*first, *second])


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_batch_is_its_streams_side_by_side(model: IntModel) -> None:
    counts = COUNTS[model.name]
    together = run_reference(model, counts).values
    for index in range(len(counts)):
        alone = run_reference(model, counts[index : index + 1]).values
        for name, value in alone.items():
            assert np.array_equal(value[0], together[name][index]), name


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_stream_that_resets_is_the_windows_it_is_cut_into(model: IntModel) -> None:
    length = model.contract.window_length
    model = replace(model, readout=replace(model.readout, at_window_end="reset"))
    counts = COUNTS[model.name][:, : 2 * length]
    whole = run_reference(model, counts).values
    windows = run_reference(model, counts.reshape(-1, length, model.num_channels)).values
    for name, value in whole.items():
        if name not in ("scores", "excess", "decision"):  # a decision stage keeps its state over windows
            assert np.array_equal(value.reshape(windows[name].shape), windows[name]), name


def test_a_stream_that_carries_is_not_the_windows() -> None:
    model = quantized_model(spec("lstm", 5, at_window_end="carry"))
    counts = random_counts(2, 14, 3, sigma=300.0)
    whole = run_reference(model, counts).values["layer0.cell_state"]
    windows = run_reference(model, counts.reshape(-1, 7, 3)).values["layer0.cell_state"]
    assert np.array_equal(whole[:, :7], windows[::2])
    assert not np.array_equal(whole[:, 7:], windows[1::2])


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_a_step_does_not_change_the_state_it_is_given(cell: str) -> None:
    model = quantized_model(spec(cell, 5, 3, step="remove_gravity", pooling="mean", label_every="sample"))
    counts = random_counts(2, 5, 3, sigma=300.0)
    state, _ = stream(model, counts, reset_state(model, 2))
    first, once = step(model, counts[:, 0], state)
    second, twice = step(model, counts[:, 0], state)
    for name, value in once.items():
        assert np.array_equal(value, twice[name]), name
    assert first.step_in_window == second.step_in_window == state.step_in_window + 1


@pytest.mark.parametrize(
    ("label_every", "due"), [("window", [False] * 6 + [True] + [False] * 3), ("sample", [True] * 10)]
)
def test_when_labels_are_due(label_every: str, due: list[bool]) -> None:
    model = quantized_model(spec("gru", 5, pooling="mean", label_every=label_every))  # type: ignore[arg-type]
    values = run_reference(model, random_counts(2, 10, 3, sigma=300.0)).values
    assert (values["label"][..., 0] != NO_LABEL).tolist() == [due, due]
    for t in np.flatnonzero(~np.array(due)):
        assert not values["logits"][:, t].any()
        assert not values["pooled"][:, t].any()


def test_of_equal_logits_the_lowest_index_wins() -> None:
    model = quantized_model(spec("rnn", 3))
    head = {name: np.zeros_like(array) for name, array in vars(model.head).items()}
    head["multiplier"] = np.ones(4, dtype=np.int16)
    for bias, label in (([0, 0, 0, 0], 0), ([-(2**20), 7, 2**17, 2**17], 2), ([2**16, 2**16 + 1, 0, 0], 0)):
        head["bias"] = np.array(bias, dtype=np.int32)
        tied = replace(model, head=replace(model.head, **head))
        assert run_reference(tied, random_counts(1, 7, 3)).labels.tolist() == [label]


def test_traces_are_int64() -> None:
    trace = run_reference(quantized_model(spec("lstm", 5, pooling="mean")), random_counts(2, 7, 3))
    assert {value.dtype for value in trace.values.values()} == {np.dtype(np.int64)}


def test_an_accumulator_that_leaves_32_bits_is_noticed() -> None:
    """verify() refuses such a model, but the reference checks it too."""
    model = extreme_model(spec("rnn", 3, channels=1))
    rows = model.layers[0].hidden  # type: ignore[union-attr]
    wide = np.full_like(rows.wide, 32767)
    broken = replace(rows, wide=wide, bias=np.full_like(rows.bias, 2**31 - 1))
    model = replace(model, layers=(replace(model.layers[0], hidden=broken),))
    with pytest.raises(RangeProofError, match="an accumulator left 32 bits"):
        run_reference(model, np.full((1, 1, 1), 32767, dtype=np.int16))


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (
            np.zeros((2, 7, 1), dtype=np.int16),
            r"running zoo: counts have shape \[2, 7, 1\]; expected .*time steps, 3\]",
        ),
        (np.zeros((7, 3), dtype=np.int16), r"counts have shape \[7, 3\]"),
        (np.zeros((2, 0, 3), dtype=np.int16), r"with at least one step"),
        (np.zeros((2, 7, 3)), r"counts are float64; expected int16"),
    ],
)
def test_what_is_no_window_of_counts_is_refused(counts: np.ndarray, message: str) -> None:
    model = quantized_model(spec("rnn", 5))
    with pytest.raises(DataError, match=message):
        run_reference(model, counts)
    with pytest.raises(DataError, match=message):
        next(run_stream(model, counts))
