"""The scale of rows whose sums need a coarser one than their weights, and the coarsest that there is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_seq.ir.model import FloatModel
from edge_seq.ir.range_proof import accumulator_bounds
from edge_seq.quant import quantize as module
from edge_seq.quant.calibrate import calibrate
from edge_seq.quant.quantize import quantize
from edge_seq.quant.rounding import RealRows
from edge_seq.support.errors import RangeProofError
from tests.zoo import random_counts, random_float_model, spec


@pytest.mark.parametrize(("finest", "third"), [(1, 0.5), (3, 0.2), (10, 0.05), (10, 0.5), (100, 1.0), (4000, 0.7)])
def test_a_scale_grows_as_far_as_its_sum_needs_and_at_once(
    finest: int, third: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three weights on features: the largest is 32767 at the multiplier ``finest``, where the sum is beyond 32 bits."""
    largest = finest * 32767 / 2.0**32
    wide = np.array([[largest, -largest, third * largest]])
    real = RealRows(np.zeros((1, 0)), np.zeros((1, 0)), wide, np.zeros(1))

    def sum_with(multiplier: int) -> int:
        rows = module._with_multiplier(real, module._LINEAR, np.array([multiplier]), np.eye(4), 8)
        return int(accumulator_bounds(rows).max())

    needed = next(m for m in range(finest, 2 * finest + 2) if sum_with(m) <= 2**31 - 1)
    assert needed > finest
    tried: list[float] = []
    round_rows = module.round_rows

    def rounding(*arguments: object, **options: object) -> object:
        tried.append(0.0)
        return round_rows(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "round_rows", rounding)
    rows = module._quantize_rows(real, module._LINEAR, np.eye(4), "a test")
    assert rows.multiplier.tolist() == [needed]
    assert len(tried) <= 3, "the excess says how far to go"


def with_head(model: FloatModel, weight: float, bias: float = 0.0) -> FloatModel:
    """The model with one weight and one bias in the second row of the head."""
    weights, biases = np.zeros_like(model.head.weight_input), np.zeros_like(model.head.bias)
    weights[1, 2], biases[1] = weight, bias
    return replace(model, head=replace(model.head, weight_input=weights, bias=biases))


def test_the_largest_multiplier_is_used_before_a_row_is_refused() -> None:
    """A weight on states of 127 units of m / 2^17: up to m = 32767."""
    model = random_float_model(spec("gru", 5))
    calibration = calibrate(model, random_counts(4, 7, 3, sigma=300.0))
    fits, beyond = (127 * (m - 0.5) / 2.0**17 for m in (32767, 32768))
    assert quantize(with_head(model, fits), calibration).head.multiplier[1] == 32767
    with pytest.raises(RangeProofError, match=r"quantizing head: row 1 has weights up to 31\.7 on states"):
        quantize(with_head(model, beyond), calibration)


def test_a_head_over_all_steps_that_no_scale_fits_is_named_with_its_largest_weights() -> None:
    """Such rows are quantized step by step; the message is about the whole row."""
    model = random_float_model(spec("gru", 4, window_length=4, pooling="flatten"))
    calibration = calibrate(model, random_counts(4, 4, 3, sigma=300.0))
    with pytest.raises(
        RangeProofError, match=r"quantizing head: row 1 has weights up to 900 on .* 0 a .* bias 3e\+03;"
    ):
        quantize(with_head(model, 900.0, 3000.0), calibration)
