"""The scale of rows with a large bias, and how often outputs without weights are halved."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from edge_seq.ir.kinds import Dense
from edge_seq.ir.rows import FloatRows
from edge_seq.quant import quantize as module
from edge_seq.quant.rounding import RealRows


@pytest.mark.parametrize("bias", [300.0, -300.0, 2.5])
@pytest.mark.parametrize("offset", [0, 32768, -98304])
def test_the_scale_of_a_large_bias_is_known_at_once(bias: float, offset: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result without weights is bias * gain + offset in Q16, and one half; as a sum it has 32 bits."""
    purpose = replace(module._LINEAR, gain=0.25, offset=offset)
    real = RealRows(np.zeros((1, 0)), np.zeros((1, 0)), np.zeros((1, 0)), np.array([bias]))
    tried: list[int] = []
    round_rows = module._with_multiplier

    def rounding(*arguments: object) -> object:
        tried.append(1)
        return round_rows(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_with_multiplier", rounding)
    rows = module._quantize_rows(real, purpose, np.eye(1), "a test")
    result = bias * 0.25 * 2**16 + offset
    assert rows.multiplier.tolist() == [max(1, math.ceil((abs(result) + 1) * 2**16 / (2**31 - 1)))]
    assert abs(int(rows.bias[0]) * int(rows.multiplier[0]) / 2**16 - result - 0.5) < 1
    assert len(tried) == 1


def test_an_output_of_zeros_is_not_divided_any_further() -> None:
    rows = FloatRows(np.zeros((2, 3), np.float32), np.zeros((2, 0), np.float32), np.zeros(2, np.float32))
    rows.weight_input[1] = 1000.0
    drops = module._dense_drops(Dense(rows, "relu"), np.zeros(2, np.int64), np.zeros(3, np.int64))
    assert drops[0] == 0 < drops[1]
