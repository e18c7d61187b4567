"""Packed weights, read back by the definition of the layout, equal the model's weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_seq.ir.kind_names import CellName, WeightBits
from edge_seq.ir.kinds import FastGrnn, Gru, Lstm, Rnn, narrow_bits, row_groups
from edge_seq.ir.model import deployed_bytes, without_decision
from edge_seq.ir.rows import IntRows, effective_weights
from firmware_export.emission.layout import pack_consecutive, pack_layer, pack_model
from tests.zoo import (
    CELLS,
    awkward_models,
    extreme_model,
    random_chain,
    random_front_chain,
    random_two_way_chain,
    spec,
)

Values = NDArray[np.int64]


def low_byte(word: int) -> int:
    return (word & 0xFF) - 256 if word & 0x80 else word & 0xFF


def narrow_values(narrow: NDArray[np.int8]) -> Values:
    return effective_weights(narrow).astype(np.int64)


def wide_values(rows: IntRows) -> Values:
    return np.pad(rows.wide.astype(np.int64), ((0, 0), (0, rows.wide.shape[1] % 2)))


def read_wide(words: Iterator[int], rows: int, columns: int) -> Values:
    """Wide weights [rows, columns], columns even, read pair by pair and row by row."""
    result = np.zeros((rows, columns), dtype=np.int64)
    for column in range(0, columns, 2):
        for row in range(rows):
            result[row, column : column + 2] = [next(words), next(words)]
    return result


def signed_word(bits: int) -> int:
    return (bits & 0xFFFF) - 2**16 if bits & 0x8000 else bits & 0xFFFF


def read_narrow(words: Iterator[int], rows: int, columns: int, bits: int) -> Values:
    """Effective weights [rows, columns], read quad by quad and row by row: low bytes are fine, whole words coarse. Of 4
    bits, the words of the second of two quads are those of the first, as one number of 32 bits, shifted left by four;
    of an odd number of quads, the first is alone."""
    result = np.zeros((rows, columns), dtype=np.int64)
    column = 0
    while column < columns:
        both = bits == 4 and (columns - column) % 8 == 0
        for row in range(rows):
            first, second = next(words), next(words)
            result[row, column : column + 4] = [low_byte(first), low_byte(second), first, second]
            if both:
                shifted = (second % 2**16 * 2**16 + first % 2**16) << 4
                first, second = signed_word(shifted), signed_word(shifted >> 16)
                result[row, column + 4 : column + 8] = [low_byte(first), low_byte(second), first, second]
        column += 8 if both else 4
    return result


def check_units(
    words: Iterator[int], hidden: int, see_input: list[IntRows], see_state: list[IntRows], bits: int
) -> None:
    """A block holds the rows of one unit: wide, then the layer below, then the own state.

    Where three rows see the input, a last column that is the third, the fifth and so on stands alone, before a zero.
    """
    wide = np.stack([wide_values(rows) for rows in see_input], axis=1)
    below = np.stack([narrow_values(rows.narrow_input) for rows in see_input], axis=1)
    own = np.stack([narrow_values(rows.narrow_hidden) for rows in see_state], axis=1)
    for unit in range(hidden):
        columns = see_input[0].wide.shape[1]
        if len(see_input) == 3 and columns % 2 and columns > 1:
            assert np.array_equal(read_wide(words, 3, columns - 1), wide[unit][:, : columns - 1])
            assert [next(words) for _ in range(4)] == [*wide[unit][:, columns - 1], 0]
        else:
            assert np.array_equal(read_wide(words, *wide[unit].shape), wide[unit])
        assert np.array_equal(read_narrow(words, *below[unit].shape, bits), below[unit])
        assert np.array_equal(read_narrow(words, *own[unit].shape, bits), own[unit])


def read_32(words: Iterator[int]) -> int:
    """A number of 32 bits, low half first."""
    return next(words) % 2**16 + 2**16 * next(words)


def check_consecutive(
    words: Iterator[int], rows: IntRows, after_block: NDArray[np.int32] | None = None, bits: int = 8
) -> None:
    """A block holds four rows; rows beyond the last are zero. A number for each of them may follow the weights."""
    missing = -len(rows.bias) % 4
    wide, below, own = (
        np.pad(values, ((0, missing), (0, 0)))
        for values in (wide_values(rows), narrow_values(rows.narrow_input), narrow_values(rows.narrow_hidden))
    )
    for start in range(0, len(wide), 4):
        block = slice(start, start + 4)
        assert np.array_equal(read_wide(words, 4, wide.shape[1]), wide[block])
        assert np.array_equal(read_narrow(words, 4, below.shape[1], bits), below[block])
        assert np.array_equal(read_narrow(words, 4, own.shape[1], bits), own[block])
        if after_block is not None:
            assert [read_32(words) for _ in range(4)] == np.pad(after_block, (0, missing))[block].tolist()


@pytest.mark.parametrize("cell_name", CELLS)
@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("bits", [8, 4])
def test_layers_read_back(cell_name: CellName, layer: int, bits: WeightBits) -> None:
    cell = extreme_model(spec(cell_name, 5, 10, weight_bits=(bits, bits)), seed=7).layers[layer]
    assert narrow_bits(cell) == bits
    packed = pack_layer(cell)
    words = iter(packed.weights.tolist())
    named = row_groups(cell)
    hidden = (5, 10)[layer]
    match cell:
        case Lstm():
            check_units(words, hidden, list(named.values()), list(named.values()), bits)
            assert np.array_equal(packed.bias, np.stack([r.bias for r in named.values()], axis=1))
        case Gru():
            shared = [cell.reset_gate, cell.update_gate]
            check_units(words, hidden, [*shared, cell.new_gate_input], [*shared, cell.new_gate_hidden], bits)
            assert np.array_equal(packed.multiplier, np.stack([r.multiplier for r in named.values()], axis=1))
        case Rnn():
            check_consecutive(words, cell.hidden, bits=bits)
            assert packed.bias.ravel()[:hidden].tolist() == cell.hidden.bias.tolist()
            assert not packed.bias.ravel()[hidden:].any()
        case FastGrnn():
            assert [read_32(words), read_32(words)] == [*cell.zeta.tolist(), *cell.nu.tolist()]
            check_consecutive(words, cell.new_gate, cell.update_offset, bits)
            assert packed.bias.ravel()[:hidden].tolist() == cell.new_gate.bias.tolist()
            assert not packed.multiplier.ravel()[hidden:].any()
    assert next(words, None) is None


def test_head_reads_back() -> None:
    head = extreme_model(spec("rnn", 9, classes=6), seed=8).head
    packed = pack_consecutive(head)
    words = iter(packed.weights.tolist())
    check_consecutive(words, head)
    assert next(words, None) is None
    assert packed.num_bytes == 2 * packed.weights.size + 2 * 24


@pytest.mark.parametrize("cell", CELLS)
def test_deployed_bytes_are_those_of_the_packed_arrays(cell: str) -> None:
    """Odd channels, rows beyond the last of four, and the offsets of a FastGRNN are padded."""
    for model in awkward_models((cell,)):
        assert deployed_bytes(without_decision(model)) == pack_model(model).num_bytes


def test_deployed_bytes_of_random_chains_are_those_of_the_packed_arrays() -> None:
    for chain in (random_chain, random_front_chain, random_two_way_chain):
        for seed in range(4):
            model = extreme_model(chain(seed))
            assert deployed_bytes(without_decision(model)) == pack_model(model).num_bytes
