"""Folding of what is linear in an imported chain, so that the function of the chain stays the same.

Scalings, batch normalisations and linear layers become part of the weights next to them. Where two operations can be
computed in either order, they are put in the order that lets them meet what they fold into.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from typing_extensions import assert_never

from edge_seq.frontends.chain import (
    Activate,
    Affine,
    Array,
    Bidirectional,
    Collapse,
    Convolution,
    Dense,
    Pool,
    Record,
    Recurrent,
    float32,
)
from edge_seq.frontends.opening import MAX_VALUES
from edge_seq.ir.contract import Normalisation
from edge_seq.ir.kinds import Layer, Lstm, Rnn, hidden_size, input_size, row_groups
from edge_seq.ir.rows import FloatRows

_CLOSED = -20.0  # argument of a sigmoid that is 0 in float32
_MONOTONE = ("relu", "tanh", "sigmoid")  # activations that a maximum can be taken before or after


def folded(records: Sequence[Record], scaler: Normalisation) -> tuple[Normalisation, list[Record]]:
    """Fold neighbours into each other until nothing more can be folded.

    Args:
        records: operations of a chain.
        scaler: what is applied before them.

    Returns:
        The scaler with what the chain begins with, if that keeps the direction of each channel; and the other records.
    """
    chain = _fold_all(_plain(records), keep_first=True)
    if not chain or not isinstance(first := chain[0], Affine):
        return scaler, chain
    mean, scale = np.array(scaler.mean), np.array(scaler.scale)
    by, offset = (np.broadcast_to(one, mean.shape).astype(np.float64) for one in (first.scale, first.offset))
    if (by > 0).all():
        combined = Normalisation(tuple((mean - offset * scale / by).tolist()), tuple((scale / by).tolist()))
        return combined, chain[1:]
    return scaler, _fold_all(chain)


def inputs_of(record: Recurrent | Dense | Bidirectional) -> int:
    """Number of values that a layer takes at a step."""
    if isinstance(record, Dense):
        return int(record.weight.shape[1])
    layer = record.layer if isinstance(record, Recurrent) else record.forward
    return input_size(layer)


def diagonal(affine: Affine, size: int) -> Dense:
    """An affine of ``size`` values as a linear layer."""
    scale, offset = (np.broadcast_to(one, (size,)) for one in (affine.scale, affine.offset))
    return Dense(affine.name, float32(np.diag(scale)), float32(offset))


def _plain(records: Sequence[Record]) -> list[Record]:
    """The records with each sigmoid within the chain as a tanh: sigmoid(x) = (1 + tanh(x / 2)) / 2."""
    plain: list[Record] = []
    half, none = float32([0.5]), float32([0.0])
    for index, record in enumerate(records):
        if isinstance(record, Activate) and record.function == "sigmoid" and index < len(records) - 1:
            tanh = Activate(record.name, "tanh")
            plain += [Affine(record.name, half, none), tanh, Affine(record.name, half, half)]
        else:
            plain.append(record)
    return plain


def _fold_all(records: Sequence[Record], *, keep_first: bool = False) -> list[Record]:
    """Fold neighbours, with ``keep_first`` except an affine at the start."""
    chain = list(records)
    position = 0
    while position < len(chain) - 1:
        fixed = keep_first and position == 0 and isinstance(chain[0], Affine)
        before = chain[position - 1] if position else None
        pair = _fold_pair(before, chain[position], chain[position + 1], fixed=fixed)
        if pair is None:
            position += 1
        else:
            chain[position : position + 2] = pair
            position = max(0, position - 1)
    return chain


def _fold_pair(before: Record | None, first: Record, second: Record, *, fixed: bool) -> list[Record] | None:
    """Two neighbours as one, or in the order that lets them meet another; None if they stay.

    Args:
        before: the record before them.
        first, second: the neighbours.
        fixed: True if the first may meet nothing but another affine.
    """
    match first, second:
        case Affine(), Affine():
            scale = second.scale * first.scale
            return [Affine(first.name, float32(scale), float32(second.scale * first.offset + second.offset))]
        case _ if fixed:
            return None
        case Affine(), Recurrent() | Dense() | Bidirectional():
            return [_after_linear(first, second)]
        case Affine(), Convolution() if second.padding == (0, 0) or not first.offset.any():
            return [_convolution_of_affine(first, second)]
        case Dense(), Recurrent() | Dense() | Bidirectional():
            return [_after_linear(first, second)]
        case Dense(), Affine():
            scale = np.broadcast_to(second.scale, first.bias.shape)
            bias = float32(scale * first.bias + second.offset)
            return [Dense(first.name, float32(scale[:, np.newaxis] * first.weight), bias)]
        case Convolution(), Affine():
            scale = np.broadcast_to(second.scale, first.bias.shape)
            bias = float32(scale * first.bias + second.offset)
            return [dataclasses.replace(first, weight=float32(scale[:, None, None] * first.weight), bias=bias)]
        case Convolution(), Dense() if _is_cheaper_as_one(first, second):
            return [_convolution_and_dense(first, second)]
        case ((Affine() | Dense()), Collapse(kind="last" | "ends" | "mean")):
            return [second, first]
        case Affine(), Collapse(kind="max" | "mean_max") if (first.scale > 0).all():
            parts = 2 if second.kind == "mean_max" else 1
            scale, offset = (np.tile(one, parts if len(one) > 1 else 1) for one in (first.scale, first.offset))
            return [second, Affine(first.name, float32(scale), float32(offset))]
        case Affine(), Collapse(kind="flatten", steps=steps) if steps:
            scale, offset = (np.tile(one, steps if len(one) > 1 else 1) for one in (first.scale, first.offset))
            return [second, Affine(first.name, float32(scale), float32(offset))]
        case Activate(), Collapse(kind="last" | "ends"):
            return [second, first]
        case Pool(), Affine() if isinstance(before, Convolution | Dense) and _can_swap(first, second):
            return [second, first]
        case Affine(), Pool() if not isinstance(before, Convolution | Dense) and _can_swap(second, first):
            return [second, first]
        case Pool(kind="max"), Activate() if second.function in _MONOTONE:
            return [second, first]
    return None


def _can_swap(pool: Pool, affine: Affine) -> bool:
    """True if the pool of scaled values is the scaled pool."""
    return pool.padding == (0, 0) and (pool.kind == "average" or bool((affine.scale > 0).all()))


def _after_linear(linear: Affine | Dense, record: Recurrent | Dense | Bidirectional) -> Record:
    """Apply a record to the outputs of a scaling or of a linear layer."""
    match record:
        case Dense():
            weight, bias = _through(linear, record.weight, record.bias)
            return Dense(record.name, weight, bias)
        case Recurrent():
            return dataclasses.replace(record, layer=_layer_after(linear, record.layer))
        case Bidirectional():
            forward, backward = (_layer_after(linear, layer) for layer in (record.forward, record.backward))
            return dataclasses.replace(record, forward=forward, backward=backward)
        case unreachable:
            assert_never(unreachable)


def _layer_after(linear: Affine | Dense, layer: Layer[FloatRows]) -> Layer[FloatRows]:
    groups: dict[str, Any] = {}
    for name, rows in row_groups(layer).items():
        if rows.weight_input.shape[1]:
            weight, bias = _through(linear, rows.weight_input, rows.bias)
            rows = FloatRows(weight, rows.weight_hidden, bias)
        groups[name] = rows
    return dataclasses.replace(layer, **groups)


def _through(linear: Affine | Dense, weight: Array, bias: Array) -> tuple[Array, Array]:
    """Weight and bias of W (V x + v) + b, computed in float64."""
    wide = weight.astype(np.float64)
    if isinstance(linear, Dense):
        return float32(wide @ linear.weight), float32(wide @ linear.bias + bias)
    return float32(wide * linear.scale), float32(wide @ np.broadcast_to(linear.offset, wide.shape[1:]) + bias)


# --- convolutions ----------------------------------------------------------------------------------------------------


def full_weight(convolution: Convolution) -> Array:
    """Weights of a convolution with those between groups as zeros, float32 [O, I, K]."""
    outputs, inputs, size = convolution.weight.shape
    full = np.zeros((outputs, inputs * convolution.groups, size), dtype=np.float32)
    np.put_along_axis(full, _channels_seen(convolution)[:, :, np.newaxis], convolution.weight, axis=1)
    return full


def _channels_seen(convolution: Convolution) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Input channel of each weight, [O, I / groups]."""
    outputs, inputs, _ = convolution.weight.shape
    group = np.arange(outputs) // (outputs // convolution.groups)
    return np.asarray(group[:, np.newaxis] * inputs + np.arange(inputs), dtype=np.int64)


def _is_cheaper_as_one(convolution: Convolution, dense: Dense) -> bool:
    """True if one convolution has no more weights than a convolution and a linear layer behind it."""
    units, inputs, size = (int(one) for one in convolution.weight.shape)
    each = inputs * convolution.groups * size
    as_two = units * each + len(dense.bias) * units
    return len(dense.bias) * each <= as_two <= MAX_VALUES


def _convolution_and_dense(convolution: Convolution, dense: Dense) -> Convolution:
    """A convolution that computes a linear layer of a convolution's outputs, as a separable convolution does."""
    wide = dense.weight.astype(np.float64)
    return dataclasses.replace(
        convolution,
        name=dense.name,
        weight=float32(np.tensordot(wide, full_weight(convolution), axes=1)),
        bias=float32(wide @ convolution.bias + dense.bias),
        groups=1,
    )


def _convolution_of_affine(affine: Affine, convolution: Convolution) -> Convolution:
    """A convolution that has the affine of its inputs folded in. Padding stays zeros if the affine has no offset."""
    channels = convolution.weight.shape[1] * convolution.groups
    scale, offset = (np.broadcast_to(one, (channels,)).astype(np.float64) for one in (affine.scale, affine.offset))
    seen = _channels_seen(convolution)
    bias = convolution.bias + (convolution.weight.sum(axis=2) * offset[seen]).sum(axis=1)
    return dataclasses.replace(
        convolution, weight=float32(convolution.weight * scale[seen][:, :, np.newaxis]), bias=float32(bias)
    )


# --- bidirectional layers --------------------------------------------------------------------------------------------


def one_way(records: Sequence[Record], notes: list[str]) -> list[Record]:
    """The records with a bidirectional layer of which only the last step is read out as one that runs forward.

    At the last step the backward direction has seen one sample only. So its units are those of a forward layer that
    forgets its state at each step: their recurrent weights are zero, and a forget gate is closed. A GRU cannot forget
    in this way, as one gate both keeps the old state and lets the new one in.
    """
    found = list(records)
    for place, (record, collapse) in enumerate(pairwise(records)):
        match record, collapse:
            case Bidirectional(forward=Lstm() | Rnn()), Collapse(kind="last"):
                size = hidden_size(record.forward)
                found[place] = Recurrent(record.name, _side_by_side(record))
                notes.append(
                    f"at the last step, the backward direction of {record.name} has seen the last sample only; its "
                    f"{size} units became units of the forward layer without recurrent weights, which are stored as "
                    "zeros. A forward layer alone is cheaper"
                )
    return found


def _side_by_side(record: Bidirectional) -> Layer[FloatRows]:
    """A layer whose units are those of the forward layer, then those of one step of the backward layer."""
    backward = row_groups(record.backward)
    groups: dict[str, Any] = {}
    for name, rows in row_groups(record.forward).items():
        other, size = backward[name], len(rows.bias)
        weight, bias = other.weight_input, other.bias
        if name == "forget_gate":
            weight, bias = np.zeros_like(weight), np.full_like(bias, _CLOSED)
        hidden = np.zeros((size + len(bias), size + len(bias)), dtype=np.float32)
        hidden[:size, :size] = rows.weight_hidden
        both = np.concatenate([rows.weight_input, weight]), np.concatenate([rows.bias, bias])
        groups[name] = FloatRows(float32(both[0]), hidden, float32(both[1]))
    return dataclasses.replace(record.forward, **groups)
