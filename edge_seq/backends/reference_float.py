"""The float reference: evaluates a float model in numpy, without torch. Equations are in :mod:`edge_seq.ir.kinds`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_never

from edge_seq.backends.preprocess import check_counts, normalise, preprocess
from edge_seq.backends.trace import Trace, trace_names
from edge_seq.ir.front import Conv, FrontLayer, TimePool, outputs_of
from edge_seq.ir.kind_names import Activation, Statistic
from edge_seq.ir.kinds import FastGrnn, Gru, Layer, Lstm, Rnn
from edge_seq.ir.model import POOLED_NAMES, FloatModel
from edge_seq.ir.rows import FloatRows
from edge_seq.support.errors import DataError

Array = NDArray[np.floating[Any]]


def float_features(model: FloatModel, counts: NDArray[np.int16]) -> NDArray[np.float32]:
    """Preprocess and normalise counts for a model: int16 [B, T, C] to float32 [B, T, F]."""
    return normalise(preprocess(counts, model.contract), model.number_format.normalisation)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), computed with tanh, which cannot overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)), dtype=x.dtype)


def _affine(rows: FloatRows, x: Array, h: Array) -> Array:
    y = np.broadcast_to(rows.bias, (len(x), len(rows.bias)))
    if rows.weight_input.shape[1]:
        y = y + x @ rows.weight_input.T
    if rows.weight_hidden.shape[1]:
        y = y + h @ rows.weight_hidden.T
    return np.asarray(y)


def _layer(cell: Layer[FloatRows], inputs: Array) -> dict[str, Array]:
    """Run one layer over float32 [B, T, I]; returns traced values [B, T, H] by name."""
    batch, time_steps, _ = inputs.shape
    steps: list[dict[str, Array]] = []
    h: Array = np.zeros((batch, 1), dtype=np.float32)
    c: Array = h
    for t in range(time_steps):
        x = inputs[:, t]
        match cell:
            case Rnn():
                h = np.zeros((batch, len(cell.hidden.bias)), dtype=np.float32) if t == 0 else h
                values = {"hidden": _affine(cell.hidden, x, h)}
                h = np.tanh(values["hidden"])
            case Gru():
                h = np.zeros((batch, len(cell.reset_gate.bias)), dtype=np.float32) if t == 0 else h
                values = {
                    "reset_gate": _affine(cell.reset_gate, x, h),
                    "update_gate": _affine(cell.update_gate, x, h),
                    "new_gate_hidden": _affine(cell.new_gate_hidden, x, h),
                }
                reset, update = sigmoid(values["reset_gate"]), sigmoid(values["update_gate"])
                values["new_gate"] = _affine(cell.new_gate_input, x, h) + reset * values["new_gate_hidden"]
                h = (1 - update) * np.tanh(values["new_gate"]) + update * h
            case Lstm():
                if t == 0:
                    h = np.zeros((batch, len(cell.input_gate.bias)), dtype=np.float32)
                    c = h
                values = {
                    "input_gate": _affine(cell.input_gate, x, h),
                    "forget_gate": _affine(cell.forget_gate, x, h),
                    "cell_gate": _affine(cell.cell_gate, x, h),
                    "output_gate": _affine(cell.output_gate, x, h),
                }
                c = sigmoid(values["forget_gate"]) * c + sigmoid(values["input_gate"]) * np.tanh(values["cell_gate"])
                h = sigmoid(values["output_gate"]) * np.tanh(c)
                values["cell_state"] = c
            case FastGrnn():
                h = np.zeros((batch, len(cell.new_gate.bias)), dtype=np.float32) if t == 0 else h
                new = _affine(cell.new_gate, x, h)
                values = {"update_gate": new + cell.update_offset, "new_gate": new}
                update = sigmoid(values["update_gate"])
                h = (cell.zeta * (1 - update) + cell.nu) * np.tanh(new) + update * h
            case unreachable:
                assert_never(unreachable)
        steps.append(values | {"hidden_state": h})
    return {name: np.stack([values[name] for values in steps], axis=1) for name in steps[0]}


def activated(sums: Array, activation: Activation) -> Array:
    """Apply the activation of a dense layer."""
    match activation:
        case "relu":
            return np.asarray(np.maximum(sums, sums.dtype.type(0)))
        case "tanh":
            return np.asarray(np.tanh(sums))
        case "none":
            return sums
        case unreachable:
            assert_never(unreachable)


def values_after_readout(model: FloatModel, values: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Outputs of the dense layers and ``logits`` by name, [B, T, R], from what is read out: the pools or the last
    layer's states.

    With ``flatten`` the values of a step are those of a window whose states after it are zero.
    """
    states = values[f"layer{len(model.layers) - 1}.hidden_state"]
    below = _read_out(model, values)
    found: dict[str, NDArray[Any]] = {}
    rows = {f"dense{index}": layer.rows for index, layer in enumerate(model.dense)} | {"logits": model.head}
    for index, (name, one) in enumerate(rows.items()):
        if one is model.summed_rows:
            sums = _summed(one, states, model.num_steps)
        else:
            sums = below @ one.weight_input.T + one.bias
        below = activated(sums, model.dense[index].activation) if index < len(model.dense) else sums
        found[name] = below
    return found


def _summed(rows: FloatRows, states: Array, steps: int) -> Array:
    """Results [B, T, R] of rows that see the states of all steps of a window, for states [B, T, H] of one or several
    windows, one behind the other; at each step of the states so far."""
    weights = rows.weight_input.reshape(len(rows.bias), steps, -1)
    sums = np.zeros((*states.shape[:2], len(rows.bias)), dtype=np.float32)
    total = np.zeros((len(states), len(rows.bias)), dtype=np.float64)
    for t in range(states.shape[1]):
        if t % steps == 0:
            total[:] = rows.bias
        total += states[:, t] @ weights[:, t % steps].T
        sums[:, t] = total
    return sums


def _head_input(model: FloatModel, values: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Input of the head from the values of a trace; without columns if the head sees the states of all steps."""
    if model.dense:
        return values[f"dense{len(model.dense) - 1}"]
    if model.readout.flattens:
        return values[f"layer{len(model.layers) - 1}.hidden_state"][:, :, :0]
    return _read_out(model, values)


def _read_out(model: FloatModel, values: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """The pools, or the states of the last layer, side by side."""
    pools = [POOLED_NAMES[one] for one in model.readout.statistics]
    names = pools or [f"layer{index}.hidden_state" for index in model.stages[-1]]
    return np.concatenate([values[name] for name in names], axis=2)


def _pooled(statistic: Statistic, states: Array) -> Array:
    """Mean or largest value of the states [B, T, H] since the window began, at each step; float32."""
    match statistic:
        case "mean":
            count = np.arange(1, states.shape[1] + 1, dtype=np.float32)[:, None]
            return np.asarray(np.cumsum(states, axis=1, dtype=np.float64).astype(np.float32) / count)
        case "max":
            return np.maximum.accumulate(states, axis=1)
        case unreachable:
            assert_never(unreachable)


def run_float(model: FloatModel, counts: NDArray[np.int16]) -> Trace:
    """Run windows, each from a reset.

    Args:
        model: float model.
        counts: raw counts, int16 [B, T, C]; T is the contract's window length or less.

    Returns:
        Trace of float32 arrays [B, T, N]; ``label`` is int64. Logits are computed at every step, even if the readout
        gives a label only per window, as they cost little here and training losses may use them. In a model with a
        bidirectional layer those before the last step mean nothing: what runs at the window's end is zero until then.

    Raises:
        DataError: the counts are not int16 [B, T, C] with at least one step.
    """
    check_counts(counts, model.num_channels, f"running {model.name}")
    features = float_features(model, counts)
    values = sequences_of(model, features) | {"features": features}
    if model.readout.flattens:  # the sums are over steps, not samples
        values |= values_after_readout(model, values)
    if model.front or model.backward:
        values = _held(model, values)
    if "logits" not in values:
        values |= values_after_readout(model, values)
    values["label"] = np.argmax(values["logits"], axis=2)[:, :, None]
    return Trace({name: values[name] for name in trace_names(model)})


def sequences_of(model: FloatModel, features: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """Outputs of front layers, values of recurrent layers and pools, each [B, N, units] at the N steps of its layer.

    The steps of a layer that runs backward are in the order in which it takes them: its first one is the window's last.
    So the states that are read out are those of the last step of each layer.

    Args:
        model: float model.
        features: preprocessed and normalised, float32 [B, T, C].

    Raises:
        DataError: T samples are too few for a step of the recurrent layers.
    """
    if model.steps_after(features.shape[1]) == 0:
        raise DataError(
            f"running {model.name}: after {features.shape[1]} samples its front layers have given no output; give more "
            "samples"
        )
    values: dict[str, NDArray[Any]] = {}
    below: Array = features
    ends = features.shape[1] == model.contract.window_length
    for index, front in enumerate(model.front):
        below = _front(front, below, ends=ends)
        values[f"front{index}"] = below
    for stage in model.stages:
        for index in stage:
            traced = _layer(model.layers[index], in_order_of(model, index, below))
            values |= {f"layer{index}.{name}": array for name, array in traced.items()}
        below = outputs_of_stage(model, stage, values)
    states = np.concatenate([values[f"layer{index}.hidden_state"] for index in model.stages[-1]], axis=2)
    return values | {POOLED_NAMES[one]: _pooled(one, states) for one in model.readout.statistics}


def in_order_of(model: FloatModel, index: int, sequence: Array) -> Array:
    """A sequence [B, N, units] in the order of time in the order in which a layer takes it, or the other way round."""
    return sequence[:, ::-1] if index in model.backward else sequence


def outputs_of_stage(model: FloatModel, stage: tuple[int, ...], values: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Input of the layers above a stage, [B, N, units] in the order of time."""
    states = [in_order_of(model, index, values[f"layer{index}.hidden_state"]) for index in stage]
    return np.concatenate(states, axis=2)


def _held(model: FloatModel, values: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Values at every sample: outputs and states as they were last, zero before the first; gates zero between steps."""
    counts = np.arange(1, values["features"].shape[1] + 1)
    at_end = counts == model.contract.window_length
    held: dict[str, NDArray[Any]] = {"features": values["features"]}
    for index, front in enumerate(model.front):
        counts = outputs_of(front, counts + at_end * front.after)
        held[f"front{index}"] = _at(values[f"front{index}"], counts)
    runs = np.diff(counts, prepend=0) > 0
    at_last = [f"layer{index}." for index in range(model.streamed, len(model.layers))]
    at_last += [*POOLED_NAMES.values()] if model.backward else []
    for name, array in values.items():
        if name in held:
            continue
        if name.startswith(tuple(at_last)) and at_last:
            held[name] = np.zeros((len(array), len(counts), array.shape[2]), dtype=array.dtype)
            held[name][:, -1] = array[:, -1]
            continue
        held[name] = _at(array, counts)
        if name.startswith("layer") and not name.endswith("_state"):
            held[name] = np.where(runs[:, None], held[name], 0)
    return held


def _at(sequence: NDArray[Any], counts: NDArray[np.int64]) -> NDArray[Any]:
    """The latest of ``counts`` [T] values of a sequence [B, N, units], zero where there is none yet: [B, T, units]."""
    return np.concatenate([np.zeros_like(sequence[:, :1]), sequence], axis=1)[:, counts]


def _front(layer: FrontLayer[FloatRows], inputs: Array, *, ends: bool) -> Array:
    """Outputs of a front layer, [B, N, R], for inputs [B, T, I] from the start of a window, which may be whole."""
    taken = inputs_seen(layer, inputs, ends=ends)
    match layer:
        case Conv():
            flat = taken.reshape(*taken.shape[:2], -1)
            return activated(flat @ layer.rows.weight_input.T + layer.rows.bias, layer.activation)
        case TimePool():
            return np.asarray(taken.mean(axis=2) if layer.statistic == "mean" else taken.max(axis=2))
        case unreachable:
            assert_never(unreachable)


def inputs_seen(layer: FrontLayer[FloatRows], inputs: Array, *, ends: bool) -> Array:
    """The inputs that each output of a front layer sees, the oldest first: [B, N, inputs, I] of [B, T, I].

    ``ends`` says that the window ends after them, so that zeros behind it are inputs too.
    """
    ages = layer.ages if isinstance(layer, Conv) else tuple(range(layer.size - 1, -1, -1))
    after = layer.after if ends else 0
    latest = np.arange(layer.first, inputs.shape[1] + after, layer.stride)
    padded = np.pad(inputs, ((0, 0), (layer.reach, after), (0, 0)))
    return padded[:, latest[:, None] + layer.reach - np.array(ages)]


def run_float_stream(model: FloatModel, counts: NDArray[np.int16], *, head_input: bool = False) -> Trace:
    """Run streams in which windows follow each other, as a device does (SPEC.md, section 7).

    Args:
        model: float model.
        counts: raw counts of n whole windows, int16 [B, n T, C].
        head_input: also return the input of the head, ``head_input`` [B, n T, N], which a reset does not clear.

    Returns:
        Trace of the hidden and cell states after each step (zero after a step whose window end resets them) and of the
        logits (zero if no label is due).
    """
    length = model.contract.window_length
    carries = model.readout.at_window_end == "carry"
    batch, time_steps, channels = counts.shape
    windows = time_steps // length
    parts = counts if carries else counts.reshape(batch * windows, length, channels)
    traced = run_float(model, parts).values
    values: dict[str, NDArray[Any]] = {}
    for name in traced:
        if name.endswith((".hidden_state", ".cell_state")):
            states = traced[name].reshape(batch, windows, length, -1).copy()
            if not carries:
                states[:, :, -1] = 0
            values[name] = states.reshape(batch, time_steps, -1)
    states = traced[f"layer{len(model.layers) - 1}.hidden_state"].reshape(batch * windows, length, -1)
    pooled = [_pooled(one, states) for one in model.readout.statistics]
    top = np.concatenate(pooled or [states], axis=2)
    if model.front or model.backward or model.readout.flattens:  # all begin anew with each window already
        top = _head_input(model, traced).reshape(batch, windows, length, -1)
        logits = traced["logits"].reshape(batch, windows, length, -1).copy()
    else:
        for layer in model.dense:
            top = activated(top @ layer.rows.weight_input.T + layer.rows.bias, layer.activation)
        top = top.reshape(batch, windows, length, -1)
        logits = np.asarray(top @ model.head.weight_input.T + model.head.bias, dtype=np.float32)
    if model.readout.label_every == "window":
        logits[:, :, :-1] = 0
    values["logits"] = logits.reshape(batch, time_steps, -1)
    if head_input:
        values["head_input"] = top.reshape(batch, time_steps, -1)
    return Trace(values)
