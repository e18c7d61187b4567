"""The integer reference: SPEC.md as slow, obvious code. All other backends must agree with it exactly.

All numbers are int64. Values for which C uses 32 bits are checked to fit 32 bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_never

from edge_seq.arithmetic.fixed_point import (
    COARSE_DROP,
    FINE_FRAC_BITS,
    INT16_MAX,
    Int64,
    check_int32,
    integers,
    mean_reciprocal,
    mulw,
    rounding_shift,
    saturate16,
)
from edge_seq.arithmetic.tables import ARGUMENT_FRAC_BITS, ARGUMENT_OFFSET, table_argument, table_tanh
from edge_seq.backends.adapt import Learned, corrected, place_of
from edge_seq.backends.decision import DecisionState, StageNumbers, decide, excess_of, reset_decision
from edge_seq.backends.preprocess import PreprocessState, check_counts, initial_state, preprocess_step
from edge_seq.backends.trace import Trace, trace_names
from edge_seq.ir.front import Conv, FrontLayer, TimePool, outputs_of
from edge_seq.ir.kind_names import Activation, Statistic
from edge_seq.ir.kinds import FastGrnn, Gru, LayerKind, Lstm, Rnn, StateName, kind_of
from edge_seq.ir.model import POOLED_NAMES, IntModel
from edge_seq.ir.rows import IntRows, effective_weights, is_coarse, operand_columns, padded

NO_LABEL = -1


@dataclass(frozen=True)
class LayerState:
    """State of one layer. All arrays are int64 [B, padded(H)]; the padding stays zero.

    Attributes:
        operands: input of matrices and head: fine units Q15, coarse units Q7.
        hidden: hidden state, with 16 bits for all units if the kind saves it; otherwise it equals the operands.
        cell: cell state; [B, 0] in kinds without one.
    """

    operands: Int64
    hidden: Int64
    cell: Int64


def saved_states(kind: LayerKind, state: LayerState) -> dict[StateName, Int64]:
    """The arrays [B, padded(H)] that are kept of a layer, in the order in which they lie in C and are saved."""
    arrays: dict[StateName, Int64] = {
        "operands": state.operands,
        "hidden_state": state.hidden,
        "cell_state": state.cell,
    }
    return {name: arrays[name] for name in kind.saved}


def layer_state(kind: LayerKind, saved: Mapping[StateName, Int64]) -> LayerState:
    """Inverse of :func:`saved_states`."""
    operands = saved["operands"]
    hidden = saved["hidden_state"] if kind.hidden_is_saved else operands
    return LayerState(operands, hidden, saved.get("cell_state", np.zeros((len(operands), 0), dtype=np.int64)))


@dataclass(frozen=True)
class FrontState:
    """State of one front layer, int64.

    Attributes:
        ring: [B, reach + 1, P], its last inputs; input number n of the window, from 0, is in slot n mod (reach + 1).
            P is the number of features, padded to even, or of the operands below, padded to a multiple of four.
        output: [B, padded(R)], operands of its latest output.
    """

    ring: Int64
    output: Int64


@dataclass(frozen=True)
class State:
    """Everything a model remembers between two samples.

    Attributes:
        layers: state of each layer.
        preprocess: memory of the preprocessing.
        pool_sum: sum of the last layer's operands since the window began, int64 [B, padded(H)]; of a bidirectional
            layer the forward direction's, then the backward direction's; with ``flatten`` the sum of the results of the
            R rows that see the states of all steps, [B, padded(R)].
        pool_max: largest of the operands, of each unit, int64 [B, padded(H)], likewise; zero before the first.
        step_in_window: number of samples since the window began.
        decision: state of the decision stage; None without one.
        front: state of each front layer.
        kept: inputs of all steps of a window, zero where none was yet, of each bidirectional layer and of each layer
            above one, int64 [B, P] for a step: features padded to even, or operands, each part padded to a multiple of
            four.
    """

    layers: tuple[LayerState, ...]
    preprocess: PreprocessState
    pool_sum: Int64
    pool_max: Int64
    step_in_window: int
    decision: DecisionState | None = None
    front: tuple[FrontState, ...] = ()
    kept: tuple[tuple[Int64, ...], ...] = ()


def reset_state(model: IntModel, batch: int) -> State:
    """State after a reset, for ``batch`` parallel windows."""
    layers = []
    for cell, size in zip(model.layers, model.hidden_sizes, strict=True):
        zeros: Int64 = np.zeros((batch, padded(size)), dtype=np.int64)
        layers.append(layer_state(kind_of(cell), dict.fromkeys(kind_of(cell).saved, zeros)))
    nothing = np.zeros((batch, model.top_parts * padded(model.hidden_sizes[-1])), dtype=np.int64)
    no_sum = nothing
    if (rows := model.summed_rows) is not None:
        no_sum = np.zeros((batch, padded(len(rows.bias))), dtype=np.int64)
    stage, decision = model.readout.decision, None
    if stage is not None:
        decision = reset_decision(batch, model.num_classes, by_distance=stage.unknown_distance is not None)
    front = tuple(
        FrontState(
            np.zeros((batch, layer.reach + 1, padded(units) if index else units + units % 2), dtype=np.int64),
            np.zeros((batch, padded(size)), dtype=np.int64),
        )
        for index, (layer, units, size) in enumerate(
            zip(model.front, model.front_inputs, model.front_sizes, strict=True)
        )
    )
    kept = []
    for index, (units, parts) in model.kept_inputs.items():
        width = parts * padded(units) if index or front else units + units % 2
        kept.append((np.zeros((batch, width), dtype=np.int64),) * model.kept_steps)
    primed = initial_state(batch, model.num_channels)
    return State(tuple(layers), primed, no_sum, nothing, 0, decision, front, tuple(kept))


def state_words(model: IntModel, state: State) -> list[Int64]:
    """The 16-bit words [B, N] that are kept of the layers, in the order in which they lie in C and are saved."""
    words = [array for front in state.front for array in (front.ring.reshape(len(front.ring), -1), front.output)]
    words += [one for inputs in state.kept for one in inputs]
    for cell, layer in zip(model.layers, state.layers, strict=True):
        words += saved_states(kind_of(cell), layer).values()
    return words


def begin_window(model: IntModel, state: State) -> State:
    """State at the start of the next window. The decision stage keeps its state."""
    if model.readout.at_window_end == "reset":
        return replace(reset_state(model, len(state.pool_sum)), decision=state.decision)
    nothing = np.zeros_like(state.pool_sum), np.zeros_like(state.pool_max)
    return replace(state, pool_sum=nothing[0], pool_max=nothing[1], step_in_window=0)


def _accumulate(rows: IntRows, features: Int64, operands_below: Int64, operands_own: Int64) -> Int64:
    """Accumulators bias + wide . x + narrow_input . z_below + narrow_hidden . z_own, int64 [B, R]."""
    accumulator = np.broadcast_to(integers(rows.bias), (len(features), len(rows.bias)))
    for weights, values in (
        (integers(rows.wide), features),
        (integers(effective_weights(rows.narrow_input)), operands_below),
        (integers(effective_weights(rows.narrow_hidden)), operands_own),
    ):
        if weights.shape[1]:
            accumulator = accumulator + values @ weights.T
    return check_int32(accumulator, "an accumulator")


def _to_operands(hidden_q15: Int64) -> Int64:
    """Operands of hidden values: fine units keep Q15, coarse ones are rounded to Q7."""
    coarse = is_coarse(hidden_q15.shape[1])
    return np.where(coarse, rounding_shift(hidden_q15, COARSE_DROP), hidden_q15)


def sigmoid_q15(argument: Int64) -> Int64:
    """floor((1 + tanh) / 2) in Q15, 0 to 32767. The row's multiplier has already halved the argument."""
    return (table_tanh(argument) >> 1) + (1 << (FINE_FRAC_BITS - 1))


def head_operands(model: IntModel, values: Mapping[str, Int64]) -> Int64:
    """Input of the head in a step with a label, from its traced values: int64 [B, N], fine units Q15, others Q7.

    N is 0 if the head sees the states of all steps, of which only the sum is kept.
    """
    if model.dense:
        return values[f"dense{len(model.dense) - 1}"]
    if model.readout.flattens:
        return np.zeros((len(values["label"]), 0), dtype=np.int64)
    if statistics := model.readout.statistics:
        return np.concatenate([values[POOLED_NAMES[one]] for one in statistics], axis=1)
    parts = []
    for index in model.stages[-1]:
        last = values[f"layer{index}.hidden_state"]
        parts.append(_to_operands(last) if kind_of(model.layers[index]).hidden_is_saved else last)
    return np.concatenate(parts, axis=1)


def head_place(model: IntModel, values: Mapping[str, Int64]) -> Int64:
    """What a head that learns keeps of a step with a label, from its traced values: int64 [B, J], -128 to 127, Q7."""
    return place_of(head_operands(model, values), model.dense_inputs[-1][1])


def _pad_units(values: Int64, size: int) -> Int64:
    return np.pad(values, ((0, 0), (0, size - values.shape[1])))


def _step_rnn(
    cell: Rnn[IntRows], features: Int64, below: Int64, state: LayerState
) -> tuple[LayerState, dict[str, Int64]]:
    accumulator = _accumulate(cell.hidden, features, below, state.operands)
    argument = table_argument(mulw(accumulator, integers(cell.hidden.multiplier)))
    operands = _pad_units(_to_operands(table_tanh(argument)), state.operands.shape[1])
    return LayerState(operands, operands, state.cell), {"hidden": argument}


def _step_gru(
    cell: Gru[IntRows], features: Int64, below: Int64, state: LayerState
) -> tuple[LayerState, dict[str, Int64]]:
    def scaled(rows: IntRows) -> Int64:
        return mulw(_accumulate(rows, features, below, state.operands), integers(rows.multiplier))

    reset = table_argument(scaled(cell.reset_gate))
    update = table_argument(scaled(cell.update_gate))
    new_hidden = scaled(cell.new_gate_hidden)
    # n = tanh(n_x + r n_h), r = (1 + tanh_r) / 2. mulw by tanh_r in Q15 gives half of the product.
    new = scaled(cell.new_gate_input) + (new_hidden >> 1) + mulw(new_hidden, table_tanh(reset))
    new_argument = table_argument(check_int32(new, "a GRU's new gate"))

    keep = sigmoid_q15(update)
    take = 2**FINE_FRAC_BITS - 1 - keep
    old = state.hidden[:, : keep.shape[1]]
    blend = check_int32(keep * old + take * table_tanh(new_argument), "a hidden state's update")
    hidden = rounding_shift(blend, FINE_FRAC_BITS)
    size = state.hidden.shape[1]
    traced = {"reset_gate": reset, "update_gate": update, "new_gate_hidden": new_hidden, "new_gate": new_argument}
    return LayerState(_pad_units(_to_operands(hidden), size), _pad_units(hidden, size), state.cell), traced


def _step_lstm(
    cell: Lstm[IntRows], features: Int64, below: Int64, state: LayerState, cell_frac_bits: int
) -> tuple[LayerState, dict[str, Int64]]:
    def argument(rows: IntRows) -> Int64:
        return table_argument(mulw(_accumulate(rows, features, below, state.operands), integers(rows.multiplier)))

    arguments = {
        "input_gate": argument(cell.input_gate),
        "forget_gate": argument(cell.forget_gate),
        "cell_gate": argument(cell.cell_gate),
        "output_gate": argument(cell.output_gate),
    }
    write = sigmoid_q15(arguments["input_gate"])
    keep = sigmoid_q15(arguments["forget_gate"])
    show = sigmoid_q15(arguments["output_gate"])
    candidate = table_tanh(arguments["cell_gate"])

    old = state.cell[:, : keep.shape[1]]
    # keep * old is Q(15 + cell_frac_bits); write * candidate is Q30 and is shifted to the same binary point.
    total = keep * old + ((write * candidate) >> (FINE_FRAC_BITS - cell_frac_bits))
    new = saturate16(rounding_shift(check_int32(total, "a cell update"), FINE_FRAC_BITS))
    squashed = table_tanh(table_argument((new << (ARGUMENT_FRAC_BITS - cell_frac_bits)) + ARGUMENT_OFFSET))
    product = show * squashed  # Q30
    coarse = is_coarse(new.shape[1])
    operands = np.where(coarse, rounding_shift(product, FINE_FRAC_BITS + COARSE_DROP), product >> FINE_FRAC_BITS)
    size = state.operands.shape[1]
    operands = _pad_units(operands, size)
    return LayerState(operands, operands, _pad_units(new, size)), arguments


def _step_fastgrnn(
    cell: FastGrnn[IntRows], features: Int64, below: Int64, state: LayerState
) -> tuple[LayerState, dict[str, Int64]]:
    new = mulw(_accumulate(cell.new_gate, features, below, state.operands), integers(cell.new_gate.multiplier))
    # The gate's argument is that of the new gate, halved for the sigmoid, and its own offset.
    update = check_int32((new >> 1) + integers(cell.update_offset), "a FastGRNN's update gate")
    arguments = {"update_gate": table_argument(update), "new_gate": table_argument(new)}

    keep = sigmoid_q15(arguments["update_gate"])
    take = check_int32(
        integers(cell.zeta) * (2**FINE_FRAC_BITS - keep) + integers(cell.nu), "the weight of a FastGRNN's new gate"
    )  # zeta (1 - z) + nu, Q30
    old = state.hidden[:, : keep.shape[1]]
    # mulw of Q30 by Q15 is Q29, and so is half of the old state's part.
    blend = check_int32((keep * old >> 1) + mulw(take, table_tanh(arguments["new_gate"])), "a hidden state's update")
    hidden = saturate16(rounding_shift(blend, FINE_FRAC_BITS - 1))
    size = state.hidden.shape[1]
    return LayerState(_pad_units(_to_operands(hidden), size), _pad_units(hidden, size), state.cell), arguments


def _scaled(rows: IntRows, operands: Int64) -> Int64:
    """Results of rows that see one input only, int64 [B, R], for operands int64 [B, P]."""
    none = np.zeros((len(operands), 0), dtype=np.int64)
    return mulw(_accumulate(rows, none, operands, none), integers(rows.multiplier))


def _results(model: IntModel, rows: IntRows, operands: Int64, state: State) -> Int64:
    """Results [B, R] of the rows of a dense layer or of the head, which may have been summed step by step."""
    return state.pool_sum[:, : len(rows.bias)] if rows is model.summed_rows else _scaled(rows, operands)


def _activate(result: Int64, activation: Activation) -> Int64:
    """Operands [B, padded(R)] of results [B, R]."""
    match activation:
        case "relu":
            activated: Int64 = np.clip(result, 0, INT16_MAX)
        case "tanh":
            activated = table_tanh(table_argument(result))
        case "none":
            activated = saturate16(result)
        case unreachable:
            assert_never(unreachable)
    return _pad_units(_to_operands(activated), padded(result.shape[1]))


def _pooled(model: IntModel, state: State, statistic: Statistic) -> Int64:
    """Mean or largest of the last layer's operands since the window began, int64 [B, padded(H)]."""
    count = model.steps_after(state.step_in_window)
    if statistic == "max" or count == 0:
        return state.pool_max
    reciprocals = model.number_format.pool_reciprocals
    reciprocal = np.int64(reciprocals[count - 1 if len(reciprocals) > 1 else 0])
    scaled = mulw(check_int32(state.pool_sum << 2, "the sum of states"), reciprocal)
    return rounding_shift(scaled, count.bit_length() - 1)


def _step_layer(
    model: IntModel, index: int, features: Int64, below: Int64, state: LayerState
) -> tuple[LayerState, dict[str, Int64]]:
    """One step of a recurrent layer: its next state, and its traced gates."""
    cell = model.layers[index]
    match cell:
        case Rnn():
            return _step_rnn(cell, features, below, state)
        case Gru():
            return _step_gru(cell, features, below, state)
        case Lstm():
            return _step_lstm(cell, features, below, state, model.number_format.cell_frac_bits[index])
        case FastGrnn():
            return _step_fastgrnn(cell, features, below, state)
        case unreachable:
            assert_never(unreachable)


def _step_front(
    model: IntModel, states: tuple[FrontState, ...], first: int, below: Int64, number: int
) -> tuple[tuple[FrontState, ...], int]:
    """Give the front layer ``first`` its input ``number`` of the window, and its output to those after it.

    Returns:
        Next states of all front layers, and the number of the step of the recurrent layers; 0 if they do not run.
    """
    after = list(states)
    for index in range(first, len(states)):
        layer, ring = model.front[index], states[index].ring.copy()
        ring[:, (number - 1) % ring.shape[1]] = _pad_units(below, ring.shape[2])
        after[index] = replace(states[index], ring=ring)
        outputs = outputs_of(layer, number)
        if outputs == outputs_of(layer, number - 1):
            return tuple(after), 0
        below = _front_output(layer, ring, number, is_first=index == 0)
        after[index] = FrontState(ring, below)
        number = outputs
    return tuple(after), number


def _advance(model: IntModel, state: State, first: int, inputs: Int64, number: int) -> tuple[State, dict[str, Int64]]:
    """Give the front layer ``first``, or without front layers the recurrent ones, its input ``number`` of the window.

    Returns:
        The next state, and the traced gates, empty if the recurrent layers do not run.
    """
    front, step = _step_front(model, state.front, first, inputs, number)
    state = replace(state, front=front)
    if step == 0:
        return state, {}
    below = np.zeros((len(inputs), 0), dtype=np.int64)
    if front:
        inputs, below = below, front[-1].output
    gates: dict[str, Int64] = {}
    for index in range(model.streamed):
        if index in model.kept_inputs:
            state = _keep(model, state, index, 0, step, below if below.shape[1] else inputs)
        state, traced = _run_layer(model, state, index, inputs, below)
        gates |= traced
        below = state.layers[index].operands
    return _give(model, state, model.streamed - 1, step, first=step == 1), gates


def _run_layer(
    model: IntModel, state: State, index: int, features: Int64, below: Int64
) -> tuple[State, dict[str, Int64]]:
    """One step of a recurrent layer: the next state of the model, and the traced gates by their names in a trace."""
    layer, traced = _step_layer(model, index, features, below, state.layers[index])
    layers = (*state.layers[:index], layer, *state.layers[index + 1 :])
    return replace(state, layers=layers), {f"layer{index}.{name}": array for name, array in traced.items()}


def _keep(model: IntModel, state: State, layer: int, part: int, step: int, values: Int64) -> State:
    """Keep values as a part of the input of a layer at a step, counted from 1."""
    place = list(model.kept_inputs).index(layer)
    inputs = state.kept[place]
    _, parts = model.kept_inputs[layer]
    now = inputs[step - 1].copy()
    width = now.shape[1] // parts
    now[:, part * width : (part + 1) * width] = _pad_units(values, width)
    inputs = (*inputs[: step - 1], now, *inputs[step:])
    return replace(state, kept=(*state.kept[:place], inputs, *state.kept[place + 1 :]))


def _give(model: IntModel, state: State, index: int, step: int, *, first: bool) -> State:
    """Give the operands of a layer at a step, counted from 1, to what sees them: the layers above, or the pools.

    ``first`` says that this is the first step that the layer takes in the window, which for a backward layer is the
    last one of the window.
    """
    operands, part = state.layers[index].operands, int(index in model.backward)
    if index not in model.stages[-1]:
        stage = next(one for one in model.stages if index in one)
        return _keep(model, state, stage[-1] + 1, part, step, operands) if model.backward else state
    own = slice(part * operands.shape[1], (part + 1) * operands.shape[1])
    total, largest = state.pool_sum.copy(), state.pool_max.copy()
    if model.summed_rows is None:
        total[:, own] += operands
    else:
        total += _summed(model.summed_rows, operands, step)
    check_int32(total, "a sum over the steps of a window")
    largest[:, own] = operands if first else np.maximum(largest[:, own], operands)
    return replace(state, pool_sum=total, pool_max=largest)


def _summed(rows: IntRows, operands: Int64, step: int) -> Int64:
    """What a step, counted from 1, adds to the results of rows that see the states of all steps: [B, padded(R)]."""
    size = operands.shape[1]
    of_step = replace(rows, narrow_input=rows.narrow_input[:, (step - 1) * size : step * size])
    return _pad_units(_scaled(of_step, operands), padded(len(rows.bias)))


def _run_kept(model: IntModel, state: State) -> tuple[State, dict[str, Int64]]:
    """Run the layers from the first that runs backward on, over the window that was kept; the next state, and the gates
    of each layer's last step."""
    gates: dict[str, Int64] = {}
    places = {first: place for place, first in enumerate(model.kept_inputs)}
    none = np.zeros((len(state.pool_sum), 0), dtype=np.int64)
    for stage in model.stages:
        for index in stage:
            if index < model.streamed:
                continue
            steps = range(1, model.kept_steps + 1)
            for number, step in enumerate(reversed(steps) if index in model.backward else steps):
                seen, below = state.kept[places[stage[0]]][step - 1], none
                if stage[0] == 0 and not model.front:
                    seen = seen[:, : model.input_size]
                else:
                    seen, below = below, seen
                state, traced = _run_layer(model, state, index, seen, below)
                gates |= traced
                state = _give(model, state, index, step, first=number == 0)
    return state, gates


def _flush(model: IntModel, state: State) -> tuple[State, dict[str, Int64]]:
    """Give each front layer the zeros behind the window, from the input up; the next state and the gates as
    :func:`_advance` returns them, of the last step."""
    gates: dict[str, Int64] = {}
    for index, (layer, number) in enumerate(zip(model.front, model.front_inputs_at_end, strict=True)):
        ring = state.front[index].ring
        for more in range(layer.after):
            zeros = np.zeros((len(ring), ring.shape[2]), dtype=np.int64)
            if isinstance(layer, Conv) and layer.pad:
                zeros[:, : len(layer.pad)] = layer.pad
            state, found = _advance(model, state, index, zeros, number + more + 1)
            gates = found or gates
    return state, gates


def _front_output(layer: FrontLayer[IntRows], ring: Int64, number: int, *, is_first: bool) -> Int64:
    """Operands [B, padded(R)] of a front layer after input ``number``, counted from 1."""
    slots = ring.shape[1]
    match layer:
        case Conv():
            taps = [_tap(layer, ring[:, (number - 1 - age) % slots], age >= number) for age in layer.ages]
            if not is_first:
                return _activate(_scaled(layer.rows, np.concatenate(taps, axis=1)), layer.activation)
            seen = np.concatenate([tap[:, : layer.rows.wide.shape[1] // layer.kernel] for tap in taps], axis=1)
            none = np.zeros((len(ring), 0), dtype=np.int64)
            result = mulw(_accumulate(layer.rows, seen, none, none), integers(layer.rows.multiplier))
            return _activate(result, layer.activation)
        case TimePool():
            if layer.statistic == "max":
                return np.asarray(ring.max(axis=1), dtype=np.int64)
            reciprocal, shift = mean_reciprocal(layer.size)
            total = check_int32(ring.sum(axis=1, dtype=np.int64) << 2, "the sum of a pool over time")
            return rounding_shift(mulw(total, np.int64(reciprocal)), shift)
        case unreachable:
            assert_never(unreachable)


def _tap(layer: Conv[IntRows], values: Int64, is_before_window: bool) -> Int64:
    """One input [B, P] of a convolution: what the ring holds, or what stands for samples before the window."""
    if is_before_window and layer.pad:
        return np.broadcast_to(np.array(layer.pad, dtype=np.int64), (len(values), len(layer.pad)))
    return values


def step(
    model: IntModel, counts: NDArray[np.int16], state: State, learned: Learned | None = None
) -> tuple[State, dict[str, Int64]]:
    """Process one sample for each of B streams.

    Args:
        model: verified integer model.
        counts: raw counts, int16 [B, C].
        state: state from :func:`reset_state` or the previous step.
        learned: what a head that learns has learned, for all streams; None for the head of the factory.

    Returns:
        The next state, and the traced values [B, N], named as in :func:`edge_seq.backends.trace.trace_names`.
    """
    state, values = sample(model, counts, state, learned)
    ends = state.step_in_window == model.contract.window_length
    return begin_window(model, state) if ends else state, values


def sample(
    model: IntModel, counts: NDArray[np.int16], state: State, learned: Learned | None = None
) -> tuple[State, dict[str, Int64]]:
    """Like :func:`step`, but a window that ends is not followed by the next one yet: the state is that of its last
    sample, as a device holds it until the next sample."""
    features, preprocess_state = preprocess_step(counts, state.preprocess, model.contract)
    shift = np.array(model.number_format.input_shift, dtype=np.int64)
    inputs = saturate16(integers(features) << shift)
    values: dict[str, Int64] = {"features": inputs}

    count = state.step_in_window + 1
    window_ends = count == model.contract.window_length
    state = replace(state, preprocess=preprocess_state, step_in_window=count)
    state, gates = _advance(model, state, 0, inputs, count)
    if window_ends:
        state, of_last = _flush(model, state)
        gates = of_last or gates
        state, of_kept = _run_kept(model, state)
        gates = gates | of_kept
    for index, (front, size) in enumerate(zip(state.front, model.front_sizes, strict=True)):
        values[f"front{index}"] = front.output[:, :size]
    for index, (cell, layer) in enumerate(zip(model.layers, state.layers, strict=True)):
        size = model.hidden_sizes[index]
        for name in kind_of(cell).gate_names:
            values[f"layer{index}.{name}"] = gates.get(f"layer{index}.{name}", np.zeros_like(layer.operands[:, :size]))
        states: dict[StateName, Int64] = {"cell_state": layer.cell, "hidden_state": layer.hidden}
        values |= {f"layer{index}.{name}": states[name][:, :size] for name in kind_of(cell).state_names}
    below = np.concatenate([state.layers[index].operands for index in model.stages[-1]], axis=1)
    units, num_parts = model.dense_inputs[-1]
    batch = len(counts)
    logits = np.zeros((batch, model.num_classes), dtype=np.int64)
    label = np.full((batch, 1), NO_LABEL, dtype=np.int64)
    top = operand_columns(model.hidden_sizes[-1], model.top_parts)
    pooled = {POOLED_NAMES[one]: np.zeros((batch, len(top)), dtype=np.int64) for one in model.readout.statistics}
    dense = {f"dense{index}": np.zeros((batch, size), dtype=np.int64) for index, size in enumerate(model.dense_sizes)}
    due = window_ends or model.readout.label_every == "sample"
    if due:
        parts = [_pooled(model, state, one) for one in model.readout.statistics]
        pooled = {name: part[:, top] for name, part in zip(pooled, parts, strict=True)}
        operands = np.concatenate(parts or [below], axis=1)
        for name, one in zip(dense, model.dense, strict=True):
            operands = _activate(_results(model, one.rows, operands, state), one.activation)
            dense[name] = operands[:, : len(one.rows.bias)]
        logits = _results(model, model.head, operands, state)
        # What the head sees; of the states of all steps only the sum is kept.
        columns = operand_columns(units, num_parts) if model.head is not model.summed_rows else np.arange(0)
        seen = operands[:, columns]
        if learned is not None:
            logits = corrected(learned, logits, place_of(seen, num_parts))
        label = np.argmax(logits, axis=1, keepdims=True)  # of equal logits the lowest index
    values |= pooled | dense | {"logits": logits, "label": label}
    stage = model.readout.decision
    if stage is not None and state.decision is not None:
        shown, decision = (
            reset_decision(batch, model.num_classes, by_distance=stage.unknown_distance is not None),
            label,
        )
        if due:
            distance = stage.unknown_distance
            excess = None if distance is None else excess_of(distance, seen, label[:, 0], num_parts)
            shown, decided = decide(StageNumbers.of(stage), logits, state.decision, excess)
            state, decision = replace(state, decision=shown), decided[:, None]
        values["scores"] = shown.scores
        if shown.excess is not None:
            values["excess"] = shown.excess[:, None]
        values["decision"] = decision
    return state, values


def run_stream(model: IntModel, counts: NDArray[np.int16]) -> Iterator[dict[str, Int64]]:
    """Run int16 [B, T, C] counts from a reset, for any T, and yield the traced values of each step.

    Raises:
        DataError: the counts are not int16 [B, T, C] with at least one step.
    """
    check_counts(counts, model.num_channels, f"running {model.name}")
    state = reset_state(model, len(counts))
    for t in range(counts.shape[1]):
        state, values = step(model, counts[:, t], state)
        yield values


def run_reference(model: IntModel, counts: NDArray[np.int16]) -> Trace:
    """Run each stream or window from a reset.

    Args:
        model: verified integer model.
        counts: raw counts, int16 [B, T, C]. T may be any length; windows follow each other.

    Returns:
        Trace of int64 arrays [B, T, N].

    Raises:
        DataError: the counts are not int16 [B, T, C] with at least one step.
    """
    steps = list(run_stream(model, counts))
    return Trace({name: np.stack([values[name] for values in steps], axis=1) for name in trace_names(model)})
