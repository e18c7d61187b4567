"""A small model and windows for the tests of the rungs, and a trace with a fault."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.trace import Trace
from edge_seq.data.recording import Windows
from edge_seq.parity.inputs import Inputs
from edge_seq.quant.calibrate import calibrate
from edge_seq.quant.quantize import quantize
from firmware_export.toolchain.build import Compiler
from tests.zoo import random_counts, random_float_model, spec

Counts = NDArray[np.int16]
FLOAT = random_float_model(spec("gru", 5), name="small", seed=3)
MODEL = quantize(FLOAT, calibrate(FLOAT, random_counts(8, 7, 3, sigma=400)))
COUNTS = random_counts(9, 7, 3, sigma=400, seed=4)
WINDOWS = Windows(COUNTS, np.arange(9, dtype=np.int16) % 4, np.array([f"g{i % 3}" for i in range(9)]))
INPUTS = Inputs(WINDOWS, COUNTS[:4], COUNTS)
GCC = Compiler("gcc 12", ("gcc",))


def with_fault(trace: Trace, name: str, place: tuple[int, int, int], by: float = 1) -> Trace:
    """The trace with one value changed."""
    values = {key: np.array(array) for key, array in trace.values.items()}
    values[name][place] += by
    return Trace(values)
