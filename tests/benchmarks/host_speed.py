"""How fast windows are evaluated on this machine, on one thread: ONNX Runtime's float and integer graphs, and the C.

    python -m tests.benchmarks.host_speed --out docs/results/HOST_SPEED.md

Each row is measured in turns: one run of each, over and over, so that what else the machine does hits all alike. The
figures are medians of microseconds for one window, the ratios medians of the ratios within a turn. Time is that of the
thread on a core, not of the clock on the wall: what else runs takes caches and clock rate, and no time slices.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from edge_seq.backends.onnx.float_export import export_onnx_float
from edge_seq.backends.onnx.int_export import export_onnx_int
from edge_seq.ir.contract import Preprocessing
from edge_seq.ir.model import FloatModel, IntModel
from edge_seq.quant.calibrate import calibrate
from edge_seq.quant.quantize import quantize
from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from firmware_export.measuring.reference_models import (
    CELLS,
    SHAPES,
    USUAL_SHAPES,
    reference_counts,
    reference_float_model,
)
from firmware_export.toolchain.build import find_compiler
from firmware_export.toolchain.host_library import FAST_FLAGS, infer_windows, load_host_library

BATCHES = (1, 16, 256)
COMMAND = "python -m tests.benchmarks.host_speed --out docs/results/HOST_SPEED.md"


@dataclass(frozen=True)
class Row:
    """One model at one batch: microseconds for a window, and ratios of times."""

    model: str
    cell: str
    batch: int
    float_us: float
    int_us: float
    c_us: float
    float_over_c: float
    int_over_float: float


def _session(proto: onnx.ModelProto, profile: Path | None = None) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    return onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _seconds(run: Callable[[], object]) -> float:
    """Of one call, at its quickest of as many as fill some hundredths of a second."""
    best, spent = float("inf"), 0.0
    while spent < 0.02:
        begun = time.thread_time()
        run()
        took = time.thread_time() - begun
        best, spent = min(best, took), spent + took
    return best


def _models(model: str, cell: str) -> tuple[FloatModel, IntModel]:
    """A reference model on raw counts: with preprocessing, the float graph is a Scan and not ONNX Runtime's LSTM alone,
    and an easy match."""
    made = reference_float_model(model, cell)
    made = replace(made, contract=replace(made.contract, preprocessing=Preprocessing()))
    return made, quantize(made, calibrate(made, reference_counts(SHAPES[model], windows=8)))


def measure(model: str, cell: str, folder: Path, turns: int) -> list[Row]:
    """Rows of one model, all batches; the C's logits and the integer graph's must be equal."""
    shape = SHAPES[model]
    counts = reference_counts(shape, windows=max(BATCHES))
    plain, quantized = _models(model, cell)
    export_c(quantized, make_golden(quantized, counts[:1]), folder / "c")
    library = load_host_library(folder / "c", quantized, folder / f"{model}_{cell}.so")
    float_graph = _session(export_onnx_float(plain, form="window"))
    int_graph = _session(export_onnx_int(quantized, form="window"))
    logits, _ = infer_windows(library, counts)
    assert np.array_equal(logits, int_graph.run(["logits"], {"counts": counts})[0])
    return [
        _row(model, cell, turns, counts[:batch], float_graph, int_graph, lambda part: infer_windows(library, part))
        for batch in BATCHES
    ]


def _row(
    model: str,
    cell: str,
    turns: int,
    counts: NDArray[np.int16],
    float_graph: Any,
    int_graph: Any,
    with_c: Callable[[NDArray[np.int16]], object],
) -> Row:
    runs: tuple[Callable[[], object], ...] = (
        lambda: float_graph.run(None, {"counts": counts}),
        lambda: int_graph.run(None, {"counts": counts}),
        lambda: with_c(counts),
    )
    for run in runs:
        run()
    times = np.array([[_seconds(run) for run in runs] for _ in range(turns)])  # [turns, 3]
    float_us, int_us, c_us = (float(value) for value in np.median(times, axis=0) / len(counts) * 1e6)
    return Row(
        model,
        cell,
        len(counts),
        float_us,
        int_us,
        c_us,
        float(np.median(times[:, 0] / times[:, 2])),
        float(np.median(times[:, 1] / times[:, 0])),
    )


def operator_shares(model: str, cell: str, folder: Path, batch: int = 256, runs: int = 5) -> list[tuple[str, float]]:
    """Share of each operator of the integer graph's time in its nodes, as ONNX Runtime's profile has it."""
    session = _session(export_onnx_int(_models(model, cell)[1], form="window"), folder / "profile")
    counts = reference_counts(SHAPES[model], windows=batch)
    for _ in range(runs):
        session.run(None, {"counts": counts})
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    spent: Counter[str] = Counter()
    for event in events:
        operator = event.get("args", {}).get("op_name")
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time") and operator != "Scan":
            spent[operator] += event["dur"]
    return [(name, took / spent.total()) for name, took in spent.most_common()]


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = [
        "| model | batch | ORT float | ORT integer | C | float / C | integer / float |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        lines.append(
            f"| {row.model} {row.cell.upper()} | {row.batch} | {row.float_us:.1f} | {row.int_us:.1f} | {row.c_us:.1f} "
            f"| {row.float_over_c:.2f} | {row.int_over_float:.1f} |"
        )
    return "\n".join(lines)


def document(rows: list[Row], shares: list[tuple[str, float]]) -> str:
    """Markdown of both parts."""
    operators = "\n".join(f"| {name} | {100 * share:.1f} % |" for name, share in shares if share >= 0.005)
    return f"""# How fast the host evaluates windows

`{COMMAND}` wrote this page. The table has medians of processor time
for one window in microseconds. Each engine ran on one thread, and all took turns within one run. A ratio above 1 in
"float / C" means that the C takes less time than ONNX Runtime's float graph. The models have no preprocessing: with it
the float graph is a `Scan`, which is much slower.

{machine()}; ONNX Runtime {onnxruntime.__version__}; `{find_compiler().name} {" ".join(FAST_FLAGS)}`.

{table(rows)}

The C's logits equal those of the integer graph; the run that wrote this compared them.

## Time of the integer graph by operator

The table has each operator's share of the time of all nodes, for the car LSTM at batch 256. ONNX Runtime's profiler
measured it. Profiling makes each node slower, the many small ones most.

| operator | share |
|---|--:|
{operators}

ONNX Runtime has no tuned kernel for `MatMul` of int32; the float `LSTM` node computes the same products of the whole
batch in a few fast calls. `Div`, `BitwiseAnd`, `Sub` and part of `Add` and `Mul` are right shifts and products of 32 by
16 bits. ONNX shifts unsigned numbers only, and its division rounds towards zero. So one instruction of C becomes three
nodes, each of which reads and writes a whole tensor, and integer division is not vectorised. `GatherElements`,
`Reshape` and `Shape` look up the activation. At batch 1 nearly all of the time is the fixed cost of starting each node.
"""


def machine() -> str:
    """Processor, system and architecture."""
    info = Path("/proc/cpuinfo")
    names = info.read_text().splitlines() if info.is_file() else []
    model = next((line.split(":", 1)[1].strip() for line in names if line.startswith("model name")), "")
    return f"{model or platform.processor()}, {platform.system()} {platform.machine()}"


def main() -> None:
    """Measure, print, and write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write Markdown here")
    parser.add_argument("--models", nargs="*", default=list(USUAL_SHAPES), choices=list(SHAPES))
    parser.add_argument("--cells", nargs="*", default=list(CELLS), choices=CELLS)
    parser.add_argument("--turns", type=int, default=15)
    options = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for model in options.models:
            for cell in options.cells:
                rows += measure(model, cell, Path(folder) / f"{model}_{cell}", options.turns)
                print(table(rows[-len(BATCHES) :]), flush=True)  # noqa: T201
        text = document(rows, operator_shares("car", "lstm", Path(folder)))
    print(text)  # noqa: T201
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
