"""Rows and cells of SPEC.md, sections 4 and 6, as nodes. All gates of a cell are computed by one matrix product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_never

from edge_seq.arithmetic.fixed_point import COARSE_DROP, FINE_FRAC_BITS, INT16_MAX, mean_reciprocal
from edge_seq.arithmetic.tables import ARGUMENT_FRAC_BITS, ARGUMENT_OFFSET
from edge_seq.backends.onnx import fixed_point as fixed
from edge_seq.backends.onnx.front import reduced
from edge_seq.backends.onnx.graph import BATCH, INT32, Graph, Port, add_scan, side_by_side
from edge_seq.backends.onnx.window import Kind, OverSteps, turned
from edge_seq.ir.front import Conv, FrontLayer, TimePool
from edge_seq.ir.kind_names import Activation, Statistic
from edge_seq.ir.kinds import (
    Dense,
    FastGrnn,
    Gru,
    Layer,
    Lstm,
    Rnn,
    StateName,
    constants_of,
    hidden_size,
    kind_of,
    row_groups,
)
from edge_seq.ir.model import IntModel
from edge_seq.ir.rows import IntRows, effective_weights, is_coarse, operand_columns

Int32 = NDArray[np.int32]
OPERANDS: StateName = "operands"
HIDDEN: StateName = "hidden_state"
CELL: StateName = "cell_state"


def cell_states(cell: Layer[IntRows], index: int) -> tuple[Port, ...]:
    """Saved states of a layer, int32 [batch, H], without padding: ``layer0.operands`` for all kinds, then for example
    ``layer0.hidden_state`` (Q15) for a GRU, ``layer0.cell_state`` for an LSTM."""
    return tuple(Port(f"layer{index}.{name}", INT32, (BATCH, hidden_size(cell))) for name in kind_of(cell).saved)


def _matrix(rows: IntRows, inputs: int, hidden: int, parts: int) -> Int32:
    """Weight matrix int32 [inputs + hidden, R] for inputs and own operands; zero for inputs that rows do not see."""
    if rows.wide.shape[1]:
        seen = rows.wide.astype(np.int32)
    elif rows.narrow_input.shape[1]:
        seen = effective_weights(rows.narrow_input)[:, operand_columns(inputs // parts, parts)]
    else:
        seen = np.zeros((len(rows.bias), 0), dtype=np.int32)
    own = effective_weights(rows.narrow_hidden)
    matrix = np.zeros((inputs + hidden, len(rows.bias)), dtype=np.int32)
    if seen.shape[1]:
        matrix[:inputs] = seen.T  # padding is left out, as it multiplies zeros
    if own.shape[1]:
        matrix[inputs:] = own[:, :hidden].T
    return matrix


def scaled_rows(
    graph: Graph, rows: Sequence[IntRows], seen: str, inputs: int, hidden: int, name: str, *, parts: int = 1
) -> str:
    """Append y = mulw(acc, m) for several groups of rows side by side.

    Args:
        graph: graph to append to.
        rows: groups of R rows, for example gates.
        seen: inputs of the rows, int32 [batch, inputs + hidden]: inputs, then the layer's own operands.
        inputs: number of inputs.
        hidden: number of own operands.
        name: prefix of the constants.
        parts: number of parts of the inputs, each of which is padded in the rows.

    Returns:
        int32 [batch, groups * R].
    """
    matrix = np.concatenate([_matrix(group, inputs, hidden, parts) for group in rows], axis=1)
    bias = np.concatenate([group.bias for group in rows])
    multiplier = np.concatenate([group.multiplier for group in rows]).astype(np.int32)
    product = fixed.product(graph, seen, matrix, f"{name}.weights")
    accumulator = graph.add("Add", product, graph.constant(bias, f"{name}.bias"), name=f"{name}.accumulator")
    return fixed.mulw(graph, accumulator, graph.constant(multiplier, f"{name}.multiplier"))


def _split(graph: Graph, value: str, names: Sequence[str], sizes: Sequence[int]) -> tuple[str, ...]:
    """Split a value by columns."""
    return graph.add_many("Split", [value, graph.axes(*sizes)], names, axis=1)


def _to_operands(graph: Graph, hidden_q15: str, size: int, name: str) -> str:
    """Operands of hidden values: fine units keep Q15, coarse ones are rounded to Q7."""
    coarse = is_coarse(size)
    return _shift_units(graph, hidden_q15, np.where(coarse, COARSE_DROP, 0), coarse, name)


def _shift_units(graph: Graph, value: str, bits: NDArray[np.integer[Any]], rounds: NDArray[np.bool_], name: str) -> str:
    """Shift each unit by an individual number of bits."""
    shifts = fixed.Shifts.of(bits, rounds)
    half, low_bits, divisor = (
        graph.constant(getattr(shifts, field), f"{name}.operands_{field}") for field in ("half", "low_bits", "divisor")
    )
    return fixed.shift_by(graph, value, half, low_bits, divisor)


def step_dense(graph: Graph, layer: Dense[IntRows], seen: str, inputs: int, parts: int, name: str) -> str:
    """Append a dense layer (SPEC.md, section 8): its operands int32 [batch, R] for operands int32 [batch, inputs]."""
    result = scaled_rows(graph, (layer.rows,), seen, inputs, 0, name, parts=parts)
    return _activate(graph, result, layer.activation, len(layer.rows.bias), name)


def activated_sums(graph: Graph, layer: Dense[IntRows], sums: str, name: str) -> str:
    """Operands int32 [batch, R] of a dense layer whose results were summed step by step."""
    return _activate(graph, sums, layer.activation, len(layer.rows.bias), name)


def summed_rows(
    graph: Graph, rows: IntRows, seen: str, units_and_steps: tuple[int, int], step: str, *, alike: bool
) -> str:
    """Append what a step adds to the results of rows that see the states of all steps (SPEC.md, section 8).

    Args:
        graph: graph to append to.
        rows: R rows that see so many units at so many steps.
        seen: operands of the last layer, int32 [batch, H].
        units_and_steps: H, and the steps of a window.
        step: number of the step, from 1, int32 [batch, 1]; a stream that is at no step has any number.
        alike: True if all streams are at the same step.

    Returns:
        int32 [batch, R].
    """
    units, steps = units_and_steps
    matrices = effective_weights(rows.narrow_input)[:, operand_columns(units, steps)]
    matrices = matrices.reshape(len(rows.bias), steps, units).transpose(1, 2, 0)
    product = fixed.product_at_step(graph, seen, matrices, step, "summed.weights", alike=alike)
    accumulator = graph.add("Add", product, graph.constant(rows.bias, "summed.bias"), name="summed.accumulator")
    return fixed.mulw(graph, accumulator, graph.constant(rows.multiplier.astype(np.int32), "summed.multiplier"))


def front_output(graph: Graph, layer: FrontLayer[IntRows], seen: str, units: int, name: str) -> str:
    """Append a front layer (SPEC.md, section 6): its operands int32 [batch, R] for the inputs that it sees, the oldest
    first, int32 [batch, n units]."""
    match layer:
        case Conv():
            result = scaled_rows(graph, (layer.rows,), seen, layer.kernel * units, 0, name, parts=layer.kernel)
            return _activate(graph, result, layer.activation, len(layer.rows.bias), name)
        case TimePool():
            if layer.statistic == "max":
                return reduced(graph, "ReduceMax", layer, seen)
            reciprocal, shift = mean_reciprocal(layer.size)
            total = graph.add("Mul", total_of(graph, layer, seen), graph.scalar(4))
            return fixed.rounding_shift(graph, fixed.mulw(graph, total, graph.scalar(reciprocal)), shift)
        case unreachable:
            assert_never(unreachable)


def total_of(graph: Graph, layer: TimePool, seen: str) -> str:
    """Sum over the inputs of a pool over time. A portable graph multiplies their bytes by a row of ones: OpenVINO takes
    what follows a ``ReduceSum`` into its float32."""
    if not graph.portable:
        return reduced(graph, "ReduceSum", layer, seen)
    ones = graph.constant(np.ones((1, layer.size), dtype=np.int32), "ones")
    low, high = (
        graph.add("MatMul", ones, graph.add("Reshape", part, graph.axes(0, layer.size, -1)))
        for part in fixed.low_and_high_byte(graph, seen)
    )
    total = graph.add("Add", graph.add("Mul", high, graph.scalar(1 << 8)), low)
    return graph.add("Squeeze", total, graph.axes(1))


def _activate(graph: Graph, result: str, activation: Activation, size: int, name: str) -> str:
    """Operands int32 [batch, R] of results."""
    match activation:
        case "relu":
            activated = graph.add("Clip", result, graph.scalar(0), graph.scalar(INT16_MAX))
        case "tanh":
            activated = fixed.table_tanh(graph, fixed.table_argument(graph, result))
        case "none":
            activated = fixed.saturate16(graph, result)
        case unreachable:
            assert_never(unreachable)
    return _to_operands(graph, activated, size, name)


Traced = dict[str, tuple[str, int]]  # value and width, by name
GATES = "gates"  # table arguments of the gates, side by side in canonical order


def step_cell(
    graph: Graph,
    cell: Layer[IntRows],
    index: int,
    inputs: tuple[str, int],
    states: Mapping[str, str],
    cell_frac_bits: int,
    *,
    parts: int = 1,
) -> tuple[str, dict[str, str], Traced]:
    """Append one step of one layer.

    Args:
        graph: graph to append to.
        cell: cell of the layer.
        index: index of the layer.
        inputs: int32 [batch, I] features or operands of the layer below, and I.
        states: current states, named as in :func:`cell_states`.
        cell_frac_bits: fractional bits of an LSTM's cell state.
        parts: number of parts of the input, each of which is padded in the rows.

    Returns:
        The operands int32 [batch, H], the next states, and the traced values: ``gates`` int32 [batch, G H], both parts
        of a GRU's new gate, and states.
    """
    prefix, size = f"layer{index}", hidden_size(cell)
    own = states[f"{prefix}.{OPERANDS}"]
    seen = graph.add("Concat", inputs[0], own, axis=1)
    y = scaled_rows(graph, tuple(row_groups(cell).values()), seen, inputs[1], size, prefix, parts=parts)
    match cell:
        case Rnn():
            argument = fixed.table_argument(graph, y, name=f"{prefix}.gates")
            operands = _to_operands(graph, fixed.table_tanh(graph, argument), size, prefix)
            return operands, {f"{prefix}.{OPERANDS}": operands}, {GATES: (argument, size), HIDDEN: (operands, size)}
        case Gru():
            return _step_gru(graph, prefix, size, y, states)
        case Lstm():
            return _step_lstm(graph, prefix, size, y, states, cell_frac_bits)
        case FastGrnn():
            return _step_fastgrnn(graph, cell, prefix, y, states)
        case unreachable:
            assert_never(unreachable)


def _step_gru(
    graph: Graph, prefix: str, size: int, y: str, states: Mapping[str, str]
) -> tuple[str, dict[str, str], Traced]:
    y_gates, y_input, y_hidden = _split(
        graph, y, [f"{prefix}.{name}" for name in ("y", "new_gate_input", "new_gate_hidden")], (2 * size, size, size)
    )
    argument = fixed.table_argument(graph, y_gates, name=f"{prefix}.gates")
    reset, update_tanh = _split(
        graph, fixed.table_tanh(graph, argument), (f"{prefix}.reset_tanh", f"{prefix}.update_tanh"), (size, size)
    )
    half = graph.add("Add", y_input, fixed.floor_shift(graph, y_hidden, 1))
    total = graph.add("Add", half, fixed.mulw(graph, y_hidden, reset, factor_is_signed=True))
    new_argument = fixed.table_argument(graph, total, name=f"{prefix}.new_gate")

    keep = fixed.sigmoid_of_tanh(graph, update_tanh)
    take = graph.add("Sub", graph.scalar((1 << FINE_FRAC_BITS) - 1), keep)
    kept = graph.add("Mul", keep, states[f"{prefix}.{HIDDEN}"])
    blend = graph.add("Add", kept, graph.add("Mul", take, fixed.table_tanh(graph, new_argument)))
    hidden = fixed.rounding_shift(graph, blend, FINE_FRAC_BITS)
    operands = _to_operands(graph, hidden, size, prefix)
    traced = {
        GATES: (argument, 2 * size),
        "new_gate_hidden": (y_hidden, size),
        "new_gate": (new_argument, size),
        HIDDEN: (hidden, size),
    }
    return operands, {f"{prefix}.{OPERANDS}": operands, f"{prefix}.{HIDDEN}": hidden}, traced


def _step_lstm(
    graph: Graph, prefix: str, size: int, y: str, states: Mapping[str, str], cell_frac_bits: int
) -> tuple[str, dict[str, str], Traced]:
    argument = fixed.table_argument(graph, y, name=f"{prefix}.gates")
    # The canonical order of the gates: input, forget, cell, output.
    names = [f"{prefix}.{name}_tanh" for name in ("write", "keep", "candidate", "show")]
    write_tanh, keep_tanh, candidate, show_tanh = _split(
        graph, fixed.table_tanh(graph, argument), names, (size, size, size, size)
    )
    write, keep, show = (fixed.sigmoid_of_tanh(graph, value) for value in (write_tanh, keep_tanh, show_tanh))
    written = fixed.floor_shift(graph, graph.add("Mul", write, candidate), FINE_FRAC_BITS - cell_frac_bits)
    total = graph.add("Add", graph.add("Mul", keep, states[f"{prefix}.{CELL}"]), written)
    new = fixed.saturate16(graph, fixed.rounding_shift(graph, total, FINE_FRAC_BITS))

    scaled = graph.add("Mul", new, graph.scalar(1 << (ARGUMENT_FRAC_BITS - cell_frac_bits)))
    cell_argument = fixed.table_argument(graph, graph.add("Add", scaled, graph.scalar(ARGUMENT_OFFSET)))
    product = graph.add("Mul", show, fixed.table_tanh(graph, cell_argument))  # Q30
    coarse = is_coarse(size)
    bits = np.where(coarse, FINE_FRAC_BITS + COARSE_DROP, FINE_FRAC_BITS).astype(np.int32)
    operands = _shift_units(graph, product, bits, coarse, prefix)
    traced = {GATES: (argument, 4 * size), CELL: (new, size), HIDDEN: (operands, size)}
    return operands, {f"{prefix}.{OPERANDS}": operands, f"{prefix}.{CELL}": new}, traced


def _step_fastgrnn(
    graph: Graph, cell: FastGrnn[IntRows], prefix: str, y: str, states: Mapping[str, str]
) -> tuple[str, dict[str, str], Traced]:
    size = hidden_size(cell)
    offset, zeta, nu = (graph.constant(array, f"{prefix}.{name}") for name, array in constants_of(cell).items())
    update = graph.add("Add", fixed.floor_shift(graph, y, 1), offset)
    argument = fixed.table_argument(graph, graph.add("Concat", update, y, axis=1), name=f"{prefix}.gates")
    names = (f"{prefix}.update_tanh", f"{prefix}.new_tanh")
    update_tanh, new_tanh = _split(graph, fixed.table_tanh(graph, argument), names, (size, size))

    keep = fixed.sigmoid_of_tanh(graph, update_tanh)
    left = graph.add("Sub", graph.scalar(1 << FINE_FRAC_BITS), keep)
    take = graph.add("Add", graph.add("Mul", zeta, left), nu)  # Q30
    kept = fixed.floor_shift(graph, graph.add("Mul", keep, states[f"{prefix}.{HIDDEN}"]), 1)  # Q29
    blend = graph.add("Add", kept, fixed.mulw(graph, take, new_tanh, factor_is_signed=True))
    hidden = fixed.saturate16(graph, fixed.rounding_shift(graph, blend, FINE_FRAC_BITS - 1))
    operands = _to_operands(graph, hidden, size, prefix)
    traced = {GATES: (argument, 2 * size), HIDDEN: (hidden, size)}
    return operands, {f"{prefix}.{OPERANDS}": operands, f"{prefix}.{HIDDEN}": hidden}, traced


def over_kept(model: IntModel, *, unrolled: bool) -> Kind:
    """How integer layers run over the inputs that are kept of a window."""

    run_layer = _run_unrolled if unrolled else _run_scanned

    def run(graph: Graph, index: int, sequence: str, now: Mapping[str, str]) -> OverSteps:
        return run_layer(graph, model, index, sequence, now)

    def pool(graph: Graph, statistic: Statistic, outputs: str) -> str:
        if statistic == "max":
            return graph.add("ReduceMax", outputs, graph.axes(1), keepdims=0)
        flat = graph.add("Reshape", outputs, graph.axes(0, -1))
        return total_of(graph, TimePool("mean", model.kept_steps, 1), flat)

    return Kind(INT32, run, pool)


def _run_scanned(graph: Graph, model: IntModel, index: int, sequence: str, now: Mapping[str, str]) -> OverSteps:
    """A layer over a sequence int32 [batch, steps, I], as a ``Scan``."""
    cell = model.layers[index]
    units, parts = model.layer_inputs[index]
    ports = cell_states(cell, index)
    body = graph.body()
    states = {port.name: body.unique(f"{port.name}.before") for port in ports}
    sample = Port(body.unique(f"layer{index}.input"), INT32, (BATCH, units * parts))
    operands, after, values = step_cell(
        body, cell, index, (sample.name, units * parts), states, model.number_format.cell_frac_bits[index], parts=parts
    )
    results = {"outputs": (operands, model.hidden_sizes[index])} | values
    last, found = add_scan(
        graph,
        body,
        [*(port.renamed(states[port.name]) for port in ports), sample],
        [
            *(port.renamed(body.rename(after[port.name], f"{port.name}.after")) for port in ports),
            *(
                Port(body.rename(value, f"layer{index}.{name}.step"), INT32, (BATCH, width))
                for name, (value, width) in results.items()
            ),
        ],
        [now[port.name] for port in ports],
        (turned(graph, model, index, graph.add("Transpose", sequence, perm=[1, 0, 2])),),
        tuple(f"layer{index}.{name}.steps" for name in results),
        axis=0,
    )
    last_step = graph.scalar(-1, np.int64)
    traced = {
        f"layer{index}.{name}": (graph.add("Gather", all_steps, last_step, axis=0), width)
        for (name, (_, width)), all_steps in zip(results.items(), found, strict=True)
        if name != "outputs"
    }
    outputs = graph.add("Transpose", turned(graph, model, index, found[0]), perm=[1, 0, 2])
    return OverSteps(outputs, {port.name: value for port, value in zip(ports, last, strict=True)}, traced)


def _run_unrolled(graph: Graph, model: IntModel, index: int, sequence: str, now: Mapping[str, str]) -> OverSteps:
    """Like :func:`_run_scanned`, with the nodes of each step one after the other."""
    cell = model.layers[index]
    units, parts = model.layer_inputs[index]
    states, values = dict(now), dict[str, tuple[str, int]]()
    outputs = [""] * model.kept_steps
    steps = range(model.kept_steps)
    for step in reversed(steps) if index in model.backward else steps:
        seen = graph.add("Gather", sequence, graph.scalar(step, np.int64), axis=1)
        operands, after, values = step_cell(
            graph, cell, index, (seen, units * parts), states, model.number_format.cell_frac_bits[index], parts=parts
        )
        states |= after
        outputs[step] = graph.add("Unsqueeze", operands, graph.axes(1))
    traced = {f"layer{index}.{name}": value for name, value in values.items()}
    own = {port.name: states[port.name] for port in cell_states(cell, index)}
    return OverSteps(side_by_side(graph, outputs, axis=1), own, traced)
