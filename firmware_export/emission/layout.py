"""Arranges weights in the order in which the C runtime uses them (see the comment of es_layer in edge_seq.h).

A block is four rows that are computed together. This module decides only the order of numbers, not their values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_never

from edge_seq.arithmetic.fixed_point import mean_reciprocal
from edge_seq.ir.front import Conv, TimePool
from edge_seq.ir.kinds import FastGrnn, Gru, Layer, Lstm, Rnn, last_column_stands_alone, narrow_bits
from edge_seq.ir.model import IntModel
from edge_seq.ir.rows import BLOCK_ROWS, BYTES_OF_A_ROW, QUAD, IntRows, effective_weights

BLOCK_BYTES = BLOCK_ROWS * BYTES_OF_A_ROW

Int16 = NDArray[np.int16]


@dataclass(frozen=True)
class PackedRows:
    """Packed rows of a layer or of the head, block by block.

    Attributes:
        weights: int16 [N], in the order of use.
        bias: int32 [blocks, 4].
        multiplier: int16 [blocks, 4]; 0 in rows beyond the last.
    """

    weights: Int16
    bias: NDArray[np.int32]
    multiplier: NDArray[np.int16]

    @property
    def num_bytes(self) -> int:
        """Size in flash, bytes: weights, biases and multipliers, with padding."""
        return 2 * self.weights.size + BLOCK_BYTES * len(self.bias)


def _wide_words(wide: Int16) -> Int16:
    """Wide weights in pairs of columns, int16 [R, pairs, 2]. An odd last column is paired with zeros."""
    padded = np.pad(wide, ((0, 0), (0, wide.shape[1] % 2)))
    return padded.reshape(len(padded), padded.shape[1] // 2, 2)


def _narrow_words(narrow: NDArray[np.int8]) -> Int16:
    """Words of narrow weights, int16 [R, quads, 2]: 256 b2 + unsigned(b0) and 256 b3 + unsigned(b1)."""
    quads = effective_weights(narrow).reshape(len(narrow), narrow.shape[1] // QUAD, QUAD)
    return quads[:, :, QUAD // 2 :].astype(np.int16)


def _nibble_words(narrow: NDArray[np.int8]) -> Int16:
    """Words of narrow weights of 4 bits, int16 [R, ceil(quads / 2), 2]: those of the second of two quads are left out.
    Of an odd number of quads, the first is alone."""
    words = _narrow_words(narrow)
    alone = words.shape[1] % 2
    return np.concatenate([words[:, :alone], words[:, alone::2]], axis=1)


def _packing(cell: Layer[IntRows]) -> Callable[[NDArray[np.int8]], Int16]:
    """What makes the words of a layer's narrow weights."""
    return _nibble_words if narrow_bits(cell) == 4 else _narrow_words


def _in_order_of_use(parts: list[Int16]) -> Int16:
    """Concatenate parts [blocks, rows, groups, 2] within each block, after transposing each to [groups, rows]."""
    blocks = [part.transpose(0, 2, 1, 3).reshape(len(part), part[0].size) for part in parts]
    return np.concatenate(blocks, axis=1).ravel()


def _by_gates(gates: tuple[IntRows, ...], words: Any) -> Int16:
    """Words [H, gates, groups, 2] of cells in which a block holds the rows of one unit."""
    return np.stack([words(rows) for rows in gates], axis=1)


def _columns(gates: tuple[IntRows, ...], field: str) -> NDArray[Any]:
    """A field of all gates, [H, gates]."""
    return np.stack([getattr(rows, field) for rows in gates], axis=1)


def pack_consecutive(rows: IntRows, narrow_words: Callable[[NDArray[np.int8]], Int16] = _narrow_words) -> PackedRows:
    """Pack four consecutive rows per block, for RNN, FastGRNN and head. The last block is padded with zero rows."""
    missing = -len(rows.bias) % BLOCK_ROWS

    def blocks(array: NDArray[Any]) -> NDArray[Any]:
        padded = np.pad(array, ((0, missing), *((0, 0),) * (array.ndim - 1)))
        return padded.reshape(len(padded) // BLOCK_ROWS, BLOCK_ROWS, *array.shape[1:])

    parts = [_wide_words(rows.wide), narrow_words(rows.narrow_input), narrow_words(rows.narrow_hidden)]
    return PackedRows(_in_order_of_use([blocks(part) for part in parts]), blocks(rows.bias), blocks(rows.multiplier))


def _pack_lstm(cell: Lstm[IntRows]) -> PackedRows:
    gates, narrow_words = (cell.input_gate, cell.forget_gate, cell.cell_gate, cell.output_gate), _packing(cell)
    parts = [
        _by_gates(gates, lambda rows: _wide_words(rows.wide)),
        _by_gates(gates, lambda rows: narrow_words(rows.narrow_input)),
        _by_gates(gates, lambda rows: narrow_words(rows.narrow_hidden)),
    ]
    return PackedRows(_in_order_of_use(parts), _columns(gates, "bias"), _columns(gates, "multiplier"))


def _pack_gru(cell: Gru[IntRows]) -> PackedRows:
    see_input = (cell.reset_gate, cell.update_gate, cell.new_gate_input)
    see_state = (cell.reset_gate, cell.update_gate, cell.new_gate_hidden)
    all_rows = (cell.reset_gate, cell.update_gate, cell.new_gate_input, cell.new_gate_hidden)
    columns, narrow_words = cell.reset_gate.wide.shape[1], _packing(cell)
    paired = columns - 1 if last_column_stands_alone(cell, columns) else columns
    last = np.stack([rows.wide[:, paired:] for rows in see_input], axis=1)  # [H, 3, 1 or 0]
    last = np.pad(last, ((0, 0), (0, 1), (0, 0))).reshape(len(last), 1, 2 * last.shape[2], 2)
    parts = [
        _by_gates(see_input, lambda rows: _wide_words(rows.wide[:, :paired])),
        last,
        _by_gates(see_input, lambda rows: narrow_words(rows.narrow_input)),
        _by_gates(see_state, lambda rows: narrow_words(rows.narrow_hidden)),
    ]
    return PackedRows(_in_order_of_use(parts), _columns(all_rows, "bias"), _columns(all_rows, "multiplier"))


def _two_words(numbers: NDArray[np.int32]) -> Int16:
    """int16 [N, 2]: the low half, then the high half of each number."""
    low = (numbers & 0xFFFF).astype(np.uint16).view(np.int16)
    return np.stack([low, (numbers >> 16).astype(np.int16)], axis=-1)


def _pack_fastgrnn(cell: FastGrnn[IntRows]) -> PackedRows:
    """Pack as an RNN. zeta and nu come before the first block; after the weights of a block come its four offsets."""
    rows = pack_consecutive(cell.new_gate, _packing(cell))
    num_blocks = len(rows.bias)
    offsets = np.pad(cell.update_offset, (0, num_blocks * BLOCK_ROWS - len(cell.update_offset)))
    blocks = [rows.weights.reshape(num_blocks, -1), _two_words(offsets).reshape(num_blocks, -1)]
    scalars = _two_words(np.concatenate([cell.zeta, cell.nu])).ravel()
    return replace(rows, weights=np.concatenate([scalars, np.concatenate(blocks, axis=1).ravel()]))


def pack_layer(cell: Layer[IntRows]) -> PackedRows:
    """Pack the rows of one layer in the order of use."""
    match cell:
        case Rnn():
            return pack_consecutive(cell.hidden, _packing(cell))
        case Gru():
            return _pack_gru(cell)
        case Lstm():
            return _pack_lstm(cell)
        case FastGrnn():
            return _pack_fastgrnn(cell)
        case unreachable:
            assert_never(unreachable)


@dataclass(frozen=True)
class PackedModel:
    """Packed rows of the layers, the dense layers and the head, and of the convolutions by the index of their layer."""

    layers: tuple[PackedRows, ...]
    dense: tuple[PackedRows, ...]
    head: PackedRows
    front: dict[int, PackedRows]

    @property
    def num_bytes(self) -> int:
        """Size in flash, bytes."""
        return sum(rows.num_bytes for rows in (*self.front.values(), *self.layers, *self.dense, self.head))


def pack_model(model: IntModel) -> PackedModel:
    """Pack all rows of a model in the order of use."""

    def behind(rows: IntRows) -> PackedRows:
        return _pack_summed(rows, model.num_steps) if rows is model.summed_rows else pack_consecutive(rows)

    return PackedModel(
        layers=tuple(pack_layer(layer) for layer in model.layers),
        dense=tuple(behind(layer.rows) for layer in model.dense),
        head=behind(model.head),
        front={i: _pack_conv(layer) for i, layer in enumerate(model.front) if isinstance(layer, Conv)},
    )


def _pack_summed(rows: IntRows, steps: int) -> PackedRows:
    """Pack rows that see the states of all steps: all rows at the first step, then all at the next."""
    each = rows.narrow_input.reshape(len(rows.bias), steps, -1)
    packed = [pack_consecutive(replace(rows, narrow_input=each[:, step])) for step in range(steps)]
    return replace(packed[0], weights=np.concatenate([one.weights for one in packed]))


def _pack_conv(layer: Conv[IntRows]) -> PackedRows:
    """Pack as consecutive rows; the features of each input are padded to even."""
    wide = layer.rows.wide
    if not wide.shape[1]:
        return pack_consecutive(layer.rows)
    inputs = wide.reshape(len(wide), layer.kernel, -1)
    even = np.pad(inputs, ((0, 0), (0, 0), (0, inputs.shape[2] % 2)))
    return pack_consecutive(replace(layer.rows, wide=even.reshape(len(wide), -1)))


def front_step(model: IntModel, index: int) -> str:
    """Name of the runtime's function of a front layer."""
    layer = model.front[index]
    match layer:
        case Conv():
            return f"es_conv_{'' if index else 'features_'}{layer.activation}_step"
        case TimePool():
            return f"es_time_{layer.statistic}_step"
        case unreachable:
            assert_never(unreachable)


def front_numbers(model: IntModel, index: int) -> dict[str, int]:
    """Numbers of ``es_front_t`` by field, in the order of their checksum."""
    layer, inputs, units = model.front[index], model.front_inputs[index], model.front_sizes[index]
    match layer:
        case Conv():
            taps, dilation, reciprocal = layer.kernel, layer.dilation, 0
        case TimePool():
            taps, dilation = layer.size, 1
            reciprocal = mean_reciprocal(layer.size)[0] if layer.statistic == "mean" else 0
        case unreachable:
            assert_never(unreachable)
    return {
        "units": units,
        "inputs": inputs,
        "in_words": -(-inputs // QUAD) * QUAD if index else inputs + inputs % 2,
        "out_words": -(-units // QUAD) * QUAD,
        "slots": layer.reach + 1,
        "taps": taps,
        "dilation": dilation,
        "stride": layer.stride,
        "first": layer.first,
        "reciprocal": reciprocal,
        "after": layer.after,
    }


def front_pad(model: IntModel, index: int) -> list[int]:
    """What stands for samples outside the window in a layer that sees features, padded to even; empty for zeros."""
    layer = model.front[index]
    if not isinstance(layer, Conv) or not layer.pad:
        return []
    return [*layer.pad, *[0] * (len(layer.pad) % 2)]
