"""Golden vectors."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from edge_seq.backends.reference_int import run_reference
from edge_seq.ir.model import model_hash
from edge_seq.support.errors import ExportError
from firmware_export.emission.golden import make_golden
from tests.zoo import CELLS, quantized_model, random_counts, spec


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("at_window_end", ["reset", "carry"])
def test_golden_vectors_are_the_reference_s(cell: str, at_window_end: str) -> None:
    model = quantized_model(spec(cell, 5, step="difference", at_window_end=at_window_end), seed=1)  # type: ignore[arg-type]
    counts = random_counts(3, 16, 3, sigma=300)
    golden = make_golden(model, counts)
    expected = run_reference(model, counts)
    assert golden.model_hash == model_hash(model)
    assert np.array_equal(golden.logits, expected.values["logits"][:, [6, 13]])
    assert np.array_equal(golden.labels, expected.values["label"][:, [6, 13], 0])
    if cell == "rnn":  # its state is its operands, padded to eight
        states = np.pad(expected.values["layer0.hidden_state"], ((0, 0), (0, 0), (0, 3))).astype("<i2")
        crc = [[zlib.crc32(states[w, t].tobytes()) for t in range(16)] for w in range(3)]
        assert golden.state_crc.tolist() == crc


def test_label_after_each_sample() -> None:
    model = quantized_model(spec("gru", 2, label_every="sample"), seed=1)
    assert make_golden(model, random_counts(2, 3, 3)).labels.shape == (2, 3)


@pytest.mark.parametrize(
    "counts",
    [
        np.zeros((2, 7, 2), dtype=np.int16),
        np.zeros((2, 7, 3), dtype=np.int32),
        np.zeros((7, 3), dtype=np.int16),
        np.zeros((0, 7, 3), dtype=np.int16),
    ],
)
def test_counts_that_do_not_fit(counts: np.ndarray) -> None:
    with pytest.raises(ExportError, match=r"expected int16 .windows, steps, 3."):
        make_golden(quantized_model(spec("rnn", 2)), counts)


def test_too_many_windows() -> None:
    with pytest.raises(ExportError, match="at most 65535 of each"):
        make_golden(quantized_model(spec("rnn", 2)), np.zeros((65536, 7, 3), dtype=np.int16))


def test_no_label_due() -> None:
    with pytest.raises(ExportError, match="no label is due in 6 samples; give whole windows of 7"):
        make_golden(quantized_model(spec("rnn", 2)), np.zeros((1, 6, 3), dtype=np.int16))
