from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edge_seq.ir.kind_names import CELL_NAMES
from edge_seq.ir.kinds import hidden_size, kind_of, narrow_bits, row_groups
from edge_seq.ir.model import deployed_bytes, num_parameters, weight_bytes
from edge_seq.ir.rows import effective_weights, is_coarse, padded
from tests.spec_oracle import narrow_value
from tests.zoo import quantized_model, random_float_model, spec

narrow_weights = hnp.arrays(
    np.int8,
    st.tuples(st.integers(1, 4), st.integers(0, 4).map(lambda quads: 4 * quads)),
    elements=st.integers(-128, 127),
)


@given(narrow_weights)
def test_effective_weights_are_those_of_the_specification(narrow: np.ndarray) -> None:
    expected = [[narrow_value(row, j) for j in range(len(row))] for row in narrow.tolist()]
    found = effective_weights(narrow)
    assert found.dtype == np.int32
    assert found.shape == narrow.shape
    assert found.tolist() == expected


@given(narrow_weights)
def test_a_packed_halfword_is_the_coarse_weight(narrow: np.ndarray) -> None:
    """Kernels rely on this: bytes (fine, coarse) in memory are read as one little-endian int16."""
    coarse = np.flatnonzero(is_coarse(narrow.shape[1]))
    halfwords = np.stack([narrow[:, coarse - 2], narrow[:, coarse]], axis=-1).copy().view("<i2")[..., 0]
    assert np.array_equal(effective_weights(narrow)[:, coarse], halfwords)


@given(narrow_weights)
def test_effective_weights_do_not_change_their_argument(narrow: np.ndarray) -> None:
    before = narrow.copy()
    effective_weights(narrow)
    effective_weights(narrow[::-1, :])  # a view, not contiguous
    assert np.array_equal(narrow, before)


def test_extremes_of_effective_weights() -> None:
    narrow = np.array([[-128, 127, -128, 127], [-1, -1, -1, -1], [0, 0, -128, 127]], dtype=np.int8)
    assert effective_weights(narrow).tolist() == [
        [-128, 127, -32768 + 128, 32512 + 127],
        [-1, -1, -1, -1],
        [0, 0, -32768, 32512],
    ]


def test_padded_and_is_coarse() -> None:
    assert [padded(n) for n in range(9)] == [0, 4, 4, 4, 4, 8, 8, 8, 8]
    assert is_coarse(9).tolist() == [False, False, True, True, False, False, True, True, False]


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_names_and_sizes_of_cells(cell: str) -> None:
    layer = random_float_model(spec(cell, 5)).layers[0]
    assert kind_of(layer).name == cell
    assert hidden_size(layer) == 5
    assert (
        list(row_groups(layer))
        == {
            "rnn": ["hidden"],
            "gru": ["reset_gate", "update_gate", "new_gate_input", "new_gate_hidden"],
            "fastgrnn": ["new_gate"],
            "lstm": ["input_gate", "forget_gate", "cell_gate", "output_gate"],
        }[cell]
    )


@pytest.mark.parametrize(
    ("cell", "parameters", "size"),
    [
        # I=3, H=(5, 2), K=4. Parameters: gates (H (I + H) + biases) a layer, then the head's K (H + 1).
        ("rnn", (5 * 8 + 5) + (2 * 7 + 2) + 12, (5 * (6 + 5 + 4)) + (2 * (5 + 2 + 4)) + 4 * (2 + 4)),
        ("gru", (15 * 8 + 20) + (6 * 7 + 8) + 12, (15 * 11 + 20 * 4) + (6 * 7 + 8 * 4) + 4 * (2 + 4)),
        (
            "fastgrnn",  # a bias more a unit, zeta and nu, all of four bytes in an integer model
            (5 * 8 + 5 + 5 + 2) + (2 * 7 + 2 + 2 + 2) + 12,
            (5 * (6 + 5 + 4 + 4) + 8) + (2 * (5 + 2 + 4 + 4) + 8) + 4 * (2 + 4),
        ),
        ("lstm", (20 * 8 + 20) + (8 * 7 + 8) + 12, (20 * (6 + 5 + 4)) + (8 * (5 + 2 + 4)) + 4 * (2 + 4)),
    ],
)
def test_parameters_and_bytes_by_hand(cell: str, parameters: int, size: int) -> None:
    assert num_parameters(random_float_model(spec(cell, 5, 2))) == parameters
    assert weight_bytes(quantized_model(spec(cell, 5, 2))) == size


def test_bytes_of_weights_of_4_bits_by_hand() -> None:
    """9 units are a quad alone, with 8 bits, and two quads; 7 units are two quads."""
    halves = quantized_model(spec("lstm", 9, 7, weight_bits=(4, 4)))
    head = 4 * (7 + 4)
    assert weight_bytes(halves) == 36 * (3 * 2 + (4 + 3) + 4) + 28 * ((4 + 3) + 4 + 4) + head
    assert deployed_bytes(halves) == 36 * (4 * 2 + 8 + 6) + 28 * (8 + 4 + 6) + 4 * (8 + 6)
    assert [narrow_bits(layer) for layer in halves.layers] == [4, 4]
    assert narrow_bits(quantized_model(spec("gru", 4, weight_bits=(4,))).layers[0]) == 8  # no two quads
