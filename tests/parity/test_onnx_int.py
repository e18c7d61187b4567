"""Integer ONNX graphs give exactly the reference's numbers, at every time step and in every state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_seq.backends.onnx import fixed_point as onnx_fixed_point
from edge_seq.backends.onnx import int_cells as onnx_int_cells
from edge_seq.backends.onnx.float_export import export_onnx_float
from edge_seq.backends.onnx.graph import Graph
from edge_seq.backends.onnx.int_export import export_onnx_int
from edge_seq.backends.onnx.run import initial_states, open_onnx, run_steps_onnx, run_trace_onnx, run_window, trace_of
from edge_seq.backends.onnx.window import NEXT
from edge_seq.backends.reference_int import State, reset_state, run_reference, step
from edge_seq.backends.trace import trace_names
from edge_seq.ir.front import outputs_of
from edge_seq.ir.kinds import FastGrnn, Gru, Lstm, Rnn
from edge_seq.ir.model import IntModel
from edge_seq.ir.rows import effective_weights, padded
from edge_seq.parity.compare import Comparison, compare
from edge_seq.support.errors import DataError
from tests import zoo

Counts = NDArray[np.int16]
ZOO = {model.name: model for model in zoo.awkward_models()}


def _all_kinds_of_counts(model: IntModel, windows: int, time_steps: int) -> Counts:
    channels = model.num_channels
    return np.concatenate(
        [
            zoo.random_counts(windows, time_steps, channels, seed=1),
            zoo.random_counts(windows, time_steps, channels, seed=2, sigma=300.0),
            zoo.extreme_counts(time_steps, channels),
        ]
    )


def _two_windows_and_a_part(model: IntModel) -> int:
    return 2 * model.contract.window_length + 3


@pytest.mark.parametrize("name", ZOO)
def test_every_state_of_every_step_is_the_reference(name: str) -> None:
    model = ZOO[name]
    counts = _all_kinds_of_counts(model, 20, _two_windows_and_a_part(model))
    comparison = compare(run_reference(model, counts), run_trace_onnx(model, counts))
    assert comparison.holds, comparison.first
    assert comparison.names == trace_names(model)
    assert comparison.steps == counts.shape[0] * counts.shape[1]


@pytest.mark.parametrize("name", ZOO)
def test_shipped_window_graph_gives_logits_and_label(name: str) -> None:
    model = ZOO[name]
    shipped = open_onnx(export_onnx_int(model, form="window"))
    counts = _all_kinds_of_counts(model, 5, model.contract.window_length)
    reference = run_reference(model, counts)
    outputs = run_window(shipped, counts)
    if model.readout.decision is not None:
        decisions = reference.values["decision"][:, :, 0]
        last = decisions if model.readout.label_every == "sample" else decisions[:, -1]
        assert np.array_equal(outputs["decision"], last)
    if model.readout.label_every == "sample":
        assert np.array_equal(outputs["logits"], reference.values["logits"])
        assert np.array_equal(outputs["label"], reference.values["label"][:, :, 0])
    else:
        assert np.array_equal(outputs["logits"], reference.logits)
        assert np.array_equal(outputs["label"], reference.labels)
    assert (outputs["logits"].dtype, outputs["label"].dtype) == (np.int32, np.int64)


@pytest.mark.parametrize("label_every", ["window", "sample"])
def test_a_window_of_another_length_is_refused_by_us_and_by_onnx_runtime(label_every: Any) -> None:
    shape = zoo.spec("lstm", 5, label_every=label_every, pooling="mean")
    graphs = (
        export_onnx_int(zoo.quantized_model(shape), form="window"),
        export_onnx_float(zoo.random_float_model(shape), form="window"),
    )
    for model in map(open_onnx, graphs):
        length = model.contract.window_length
        for time_steps in (1, length - 1, length + 1, 2 * length):
            counts = zoo.random_counts(2, time_steps, model.contract.num_channels, seed=1)
            with pytest.raises(DataError, match=f"windows of {time_steps} samples, but the model takes windows of 7"):
                run_window(model, counts)
            with pytest.raises(Exception, match="Got invalid dimensions for input"):
                model.session.run(None, {"counts": counts})


def _states_of_reference(model: IntModel, state: State) -> dict[str, NDArray[Any]]:
    """The reference's state with the names of the step model, without padding."""
    batch = len(state.pool_sum)
    directions = 2 if len(model.layers) - 1 in model.backward else 1
    units = model.hidden_sizes[-1]
    top = [part * padded(units) + unit for part in range(directions) for unit in range(units)]
    values: dict[str, NDArray[Any]] = {
        "step_in_window": np.full((batch, 1), state.step_in_window),
        "preprocess.primed": np.full((batch, 1), state.preprocess.primed),
        "preprocess.memory": state.preprocess.memory,
        "pool_sum": state.pool_sum[:, : model.summed_rows.bias.size] if model.summed_rows else state.pool_sum[:, top],
        "pool_max": state.pool_max[:, top],
    }
    for kept, (index, (units, parts)) in zip(state.kept, model.kept_inputs.items(), strict=True):
        columns = [part * padded(units) + unit for part in range(parts) for unit in range(units)]
        values[f"layer{index}.inputs"] = np.concatenate([one[:, columns] for one in kept], axis=1)
    number = state.step_in_window
    for index, (one, front) in enumerate(zip(model.front, state.front, strict=True)):
        units, slots = model.front_inputs[index], one.reach + 1
        inputs = [front.ring[:, (number - age - 1) % slots, :units] for age in range(slots - 1, -1, -1)]
        values[f"front{index}.ring"] = np.concatenate(inputs, axis=1)  # the oldest first
        values[f"front{index}.output"] = front.output[:, : model.front_sizes[index]]
        number = outputs_of(one, number)
    for index, (cell, layer) in enumerate(zip(model.layers, state.layers, strict=True)):
        size = model.hidden_sizes[index]
        values[f"layer{index}.operands"] = layer.operands[:, :size]
        if isinstance(cell, Gru | FastGrnn):
            values[f"layer{index}.hidden_state"] = layer.hidden[:, :size]
        if isinstance(cell, Lstm):
            values[f"layer{index}.cell_state"] = layer.cell[:, :size]
    if state.decision is not None:
        decision = vars(state.decision).items()
        values |= {f"decision.{name}": array.reshape(batch, -1) for name, array in decision if array is not None}
    return values


@pytest.mark.parametrize("name", ZOO)
def test_step_model_carries_the_states_of_the_reference(name: str) -> None:
    """Across window ends, at which states are reset or carried."""
    model = ZOO[name]
    counts = _all_kinds_of_counts(model, 5, _two_windows_and_a_part(model))
    onnx_model = open_onnx(export_onnx_int(model, form="step"))
    state, compared = reset_state(model, len(counts)), 0
    for t, outputs in enumerate(run_steps_onnx(onnx_model, counts)):
        state, values = step(model, counts[:, t], state)
        assert np.array_equal(outputs["logits"], values["logits"])
        assert np.array_equal(outputs["label"], values["label"][:, 0])
        if model.readout.decision is not None:
            assert np.array_equal(outputs["decision"], values["decision"][:, 0])
        expected = _states_of_reference(model, state)
        for output, found in outputs.items():
            if output.endswith(NEXT):
                assert np.array_equal(found, expected[output.removesuffix(NEXT)]), (t, output)
                compared += found.size
    assert compared > 0


def test_streams_of_a_batch_may_begin_at_different_times() -> None:
    model = zoo.quantized_model(
        zoo.spec("lstm", 5, step="remove_gravity", pooling="mean", label_every="sample", window_length=5)
    )
    onnx_model = open_onnx(export_onnx_int(model, form="step"))
    counts = zoo.random_counts(3, 17, 3, sigma=300.0)
    begins = (0, 2, 6)
    states = initial_states(onnx_model, 3)
    for t in range(17):
        for stream, begin in enumerate(begins):
            if t == begin:
                for array in states.values():
                    array[stream] = 0
        outputs = onnx_model.run({"counts": counts[:, t], **states})
        states = {name: outputs[name + NEXT].copy() for name in states}
        for stream, begin in enumerate(begins):
            if t >= begin:
                alone = run_reference(model, counts[stream : stream + 1, begin : t + 1])
                assert np.array_equal(outputs["logits"][stream : stream + 1], alone.logits)


MILLION = {  # hidden sizes, preprocessing, windows, time steps: together a million steps and more for each cell
    "small": (zoo.spec("rnn", 5), 2000, 308),
    "one": (zoo.spec("rnn", 1, step="difference", label_every="sample"), 2000, 106),
    "wide": (zoo.spec("rnn", 33), 2000, 84),
    "layers": (zoo.spec("rnn", 5, 6, step="remove_gravity", pooling="mean", label_every="sample"), 2000, 56),
}


def test_a_million_steps_are_a_million() -> None:
    assert sum(windows * time_steps for _, windows, time_steps in MILLION.values()) >= 1_000_000


@pytest.mark.parametrize("cell", zoo.CELLS)
@pytest.mark.parametrize(
    "name", ["small", "layers", *(pytest.param(name, marks=pytest.mark.slow) for name in ("one", "wide"))]
)
def test_a_million_random_steps(cell: str, name: str) -> None:
    """In parts of 28 steps, each with new counts: half of them full-range, half typical for a sensor."""
    shape, windows, time_steps = MILLION[name]
    shape = replace(shape, cells=(cell,) * len(shape.hidden))
    seen = 0
    for kind in ("quantized", "extreme"):
        model = zoo.quantized_model(shape, amplitude=3.0) if kind == "quantized" else zoo.extreme_model(shape)
        traced = open_onnx(export_onnx_int(model, form="window", trace=True))
        for part in range(0, time_steps // 2, 28):
            part_steps = min(28, time_steps // 2 - part)
            sigma = 300.0 if kind == "quantized" else None
            counts = zoo.random_counts(windows, part_steps, 3, seed=part + 1, sigma=sigma)
            comparison = compare(run_reference(model, counts), trace_of(model, traced, counts))
            assert comparison.holds, comparison.first
            seen += comparison.steps
    assert seen == windows * time_steps


def test_ties_go_to_the_lowest_index() -> None:
    """The zoo's extreme heads repeat their first row as the last: among these windows it wins often."""
    model = zoo.extreme_model(zoo.spec("gru", 5, label_every="sample"))
    counts = _all_kinds_of_counts(model, 50, 7)
    outputs = run_window(open_onnx(export_onnx_int(model, form="window")), counts)
    logits = outputs["logits"]
    tied = (logits == logits.max(axis=2, keepdims=True)).sum(axis=2) > 1
    assert tied.any()
    assert np.array_equal(outputs["label"], np.argmax(logits, axis=2))


def test_another_runtime_gives_the_same() -> None:
    """The evaluator of the onnx package is numpy, and divides integers towards minus infinity where ONNX Runtime goes
    towards zero: the graphs do not depend on it."""
    from onnx.reference import ReferenceEvaluator
    from onnx.reference.op_run import OpRun

    class GatherElements(OpRun):  # type: ignore[misc]
        """The evaluator uses np.choose, which takes at most 64 rows."""

        op_domain = ""

        def _run(self, data: Any, indices: Any, axis: int | None = None) -> Any:
            return (np.take_along_axis(data, indices, axis=axis),)

    for name in ("rnn_mixed", "gru_deep", "lstm_carry_extreme", "gru_stream_extreme", "lstm_wide"):
        model = ZOO[name]
        counts = _all_kinds_of_counts(model, 3, _two_windows_and_a_part(model))
        onnx_model = open_onnx(export_onnx_int(model, form="step"))
        evaluator = ReferenceEvaluator(onnx_model.proto, new_ops=[GatherElements])
        states = initial_states(onnx_model, len(counts))
        names = list(onnx_model.outputs)
        for t, expected in enumerate(run_steps_onnx(onnx_model, counts)):
            run = evaluator.run(names, {"counts": counts[:, t], **states})
            outputs = dict(zip(names, run, strict=True))
            for output in names:
                assert np.array_equal(outputs[output], expected[output]), (name, t, output)
            states = {state: outputs[state + NEXT] for state in states}


# --- planted faults: each is found and located ------------------------------------------------------------------------


def _compare(expected: IntModel, exported: IntModel) -> Comparison:
    counts = zoo.random_counts(50, 14, 3, seed=9, sigma=300.0)
    return compare(run_reference(expected, counts), run_trace_onnx(exported, counts))


def test_two_swapped_gates_are_seen() -> None:
    model = zoo.quantized_model(zoo.spec("lstm", 5))
    (cell,) = model.layers
    assert isinstance(cell, Lstm)
    swapped = replace(cell, input_gate=cell.forget_gate, forget_gate=cell.input_gate)
    comparison = _compare(model, replace(model, layers=(swapped,)))
    assert not comparison.holds
    assert comparison.first is not None
    assert (comparison.first.step, comparison.first.name) == (0, "layer0.input_gate")


def test_a_transposed_matrix_is_seen() -> None:
    model = zoo.quantized_model(zoo.spec("rnn", 4), amplitude=1.0)
    (cell,) = model.layers
    assert isinstance(cell, Rnn)
    transposed = np.ascontiguousarray(cell.hidden.narrow_hidden.T)
    comparison = _compare(model, replace(model, layers=(Rnn(replace(cell.hidden, narrow_hidden=transposed)),)))
    assert comparison.first is not None
    # The first step sees zero states, so a fault in a matrix of states shows in the second.
    assert (comparison.first.step, comparison.first.name) == (1, "layer0.hidden")


def test_a_transposed_matrix_in_the_exporter_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    model = zoo.quantized_model(zoo.spec("gru", 8))
    right = onnx_int_cells._matrix

    def wrong(rows: Any, inputs: int, hidden: int, parts: int) -> Any:
        matrix = right(rows, inputs, hidden, parts)
        if hidden and rows.narrow_hidden.size:
            matrix[inputs:] = matrix[inputs:].T.copy()
        return matrix

    monkeypatch.setattr(onnx_int_cells, "_matrix", wrong)
    comparison = _compare(model, model)
    assert comparison.first is not None
    assert (comparison.first.step, comparison.first.name) == (1, "layer0.reset_gate")


def test_narrow_weights_without_their_low_byte_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    model = zoo.quantized_model(zoo.spec("lstm", 8))
    assert (effective_weights(model.head.narrow_input) % 256).any()
    monkeypatch.setattr(
        onnx_int_cells,
        "effective_weights",
        lambda narrow: np.where(np.arange(narrow.shape[1]) % 4 >= 2, 256, 1).astype(np.int32) * narrow,
    )
    comparison = _compare(model, model)
    assert comparison.first is not None
    assert (comparison.first.step, comparison.first.name) == (1, "layer0.input_gate")
    assert padded(8) == 8  # there is no padding


Shift = Callable[[Graph, str, int], str]


def _truncating(graph: Graph, value: str, bits: int) -> str:
    return graph.add("Div", value, graph.scalar(1 << bits)) if bits else value


def _not_rounding(graph: Graph, value: str, bits: int) -> str:
    return onnx_fixed_point.floor_shift(graph, value, bits)


@pytest.mark.parametrize(
    ("cell", "helper", "wrong", "where"),
    [
        ("lstm", "rounding_shift", _not_rounding, "layer0.cell_state"),
        ("lstm", "floor_shift", _truncating, "layer0.cell_state"),
        ("gru", "rounding_shift", _not_rounding, "layer0.hidden_state"),
        ("gru", "floor_shift", _truncating, "layer0.new_gate"),
    ],
)
def test_a_changed_rounding_is_seen(
    monkeypatch: pytest.MonkeyPatch, cell: str, helper: str, wrong: Shift, where: str
) -> None:
    model = zoo.quantized_model(zoo.spec(cell, 5))
    assert _compare(model, model).holds
    monkeypatch.setattr(onnx_fixed_point, helper, wrong)
    comparison = _compare(model, model)
    assert comparison.first is not None
    assert comparison.first.name == where


def test_a_bias_less_by_one_is_seen() -> None:
    """The smallest possible change, one unit of one accumulator, shows if it changes a rounded result."""
    model = zoo.quantized_model(zoo.spec("rnn", 5))
    (cell,) = model.layers
    assert isinstance(cell, Rnn)
    bias = cell.hidden.bias.copy()
    bias[3] -= 2**16 // int(cell.hidden.multiplier[3]) + 1
    comparison = _compare(model, replace(model, layers=(Rnn(replace(cell.hidden, bias=bias)),)))
    assert comparison.first is not None
    assert (comparison.first.step, comparison.first.name, comparison.first.index) == (0, "layer0.hidden", 3)
