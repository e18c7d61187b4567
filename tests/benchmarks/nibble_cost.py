"""Instructions of a window and bytes of the weights of the bench's networks, with weights of 8 and of 4 bits.

python -m tests.benchmarks.nibble_cost car cortex_m4 cortex_m0
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from edge_seq.ir.kind_names import WEIGHT_BITS
from edge_seq.quant.calibrate import calibrate
from edge_seq.quant.quantize import quantize
from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from firmware_export.measuring.measure import measure
from firmware_export.measuring.reference_models import SHAPES, reference_counts, reference_float_model
from firmware_export.toolchain.target import load_target

CELLS = ("lstm", "gru", "rnn", "fastgrnn")


def main(shape: str, *targets: str) -> None:
    """Print a line for each target and cell."""
    counts = reference_counts(SHAPES[shape], windows=8)
    for target in targets:
        for cell in CELLS:
            model = reference_float_model(shape, cell)
            calibration = calibrate(model, counts)
            figures = []
            for bits in WEIGHT_BITS:
                integer = quantize(model, calibration, (bits,))
                with tempfile.TemporaryDirectory() as folder:
                    export_c(integer, make_golden(integer, counts[:1]), Path(folder) / "c")
                    found = measure(Path(folder) / "c", integer, load_target(target), steps=1)
                weights = 0 if found.sizes is None else found.sizes.weights
                figures.append(f"{bits} bits {found.instructions or 0:,} instructions, {weights:,} bytes of weights")
            sys.stdout.write(f"{target} {shape} {cell}: {'; '.join(figures)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
