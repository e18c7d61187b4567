"""Which ONNX runtimes compute the exported integer graphs exactly.

    python -m tests.benchmarks.onnx_runtimes --python tvm=/path/to/python --out docs/results/onnx_runtimes.md

Each runtime runs in a process, by default of this Python. Give the Python of another environment for a runtime that is
not installed here, or for another release: ``--python onnxruntime=/old/bin/python`` may be given several times.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import onnx

from edge_seq.backends.onnx import int_export
from edge_seq.backends.onnx.int_export import export_onnx_int, int_states
from edge_seq.backends.reference_int import run_reference
from edge_seq.ir.model import IntModel
from tests.benchmarks.runtime_child import RUNTIMES
from tests.zoo import awkward_models, random_counts

COMMAND = "python -m tests.benchmarks.onnx_runtimes --out docs/results/onnx_runtimes.md"
SHOWN = {
    "onnxruntime": "ONNX Runtime",
    "onnx": "onnx's ReferenceEvaluator",
    "openvino": "OpenVINO",
    "tinygrad": "tinygrad",
    "tvm": "Apache TVM",
}
GRAPHS = {
    "step": "step",
    "window": "window",
    "portable": "window, `--onnx portable`",
    "looped": "the same with a `Loop`",
}
KINDS = {"forward": "layers that run forward", "both": "bidirectional layers"}
MODELS = (
    *("rnn_decided", "rnn_distance", "rnn_wide_extreme", "gru_distance", "gru_wide_extreme", "lstm_decided"),
    *("lstm_wide_extreme", "lstm_deep", "lstm_mixed", "fastgrnn_decided", "fastgrnn_deep", "fastgrnn_mixed"),
)
TYPES = {onnx.TensorProto.INT32: "int32", onnx.TensorProto.BOOL: "bool"}


@dataclass(frozen=True)
class Outcome:
    """What one runtime did with one form of graphs.

    Attributes:
        models: graphs that it ran.
        compared: steps or windows compared.
        different: of these, those with another logit, label or decision than the reference.
        refused: graphs that it refused, with an error.
        error: the first error.
    """

    models: int
    compared: int
    different: int
    refused: int
    error: str

    def __str__(self) -> str:
        if not self.models:
            return f"refuses all {self.refused}"
        told = "exact" if not self.different else f"**{self.different:,} of {self.compared:,} wrong**"
        return told + (f", refuses {self.refused} of {self.refused + self.models}" if self.refused else "")


Outcomes = dict[tuple[str, str], Outcome]  # by kind of models and of graphs


def write_cases(folder: Path, steps: int) -> None:
    """Write graphs, inputs and the reference's results."""
    cases: list[dict[str, Any]] = []
    for model in awkward_models():
        if model.name not in MODELS:
            continue
        length = max(steps, model.contract.window_length)
        size = (length, model.num_channels)
        counts = np.concatenate([random_counts(4, *size), random_counts(4, *size, sigma=400)])
        found = run_reference(model, counts).values
        values = {name: found[name] for name in ("logits", "label", "decision") if name in found}
        np.savez(folder / f"{model.name}.npz", counts=counts, **values)
        for graph, proto in _graphs(model):
            file = f"{model.name}.{graph}.onnx"
            (folder / file).write_bytes(proto.SerializeToString())
            cases.append(
                {
                    "name": model.name,
                    "kind": "both" if model.streamed < len(model.layers) else "forward",
                    "graph": graph,
                    "form": "step" if graph == "step" else "window",
                    "file": file,
                    "values": f"{model.name}.npz",
                    "inputs": [port.name for port in proto.graph.input],
                    "outputs": [port.name for port in proto.graph.output],
                    "states": {port.name: (port.shape[1], TYPES[port.dtype]) for port in int_states(model)},
                    "window_length": model.contract.window_length,
                    "every_sample": model.readout.label_every == "sample",
                }
            )
    (folder / "cases.json").write_text(json.dumps(cases), encoding="utf-8")


def _graphs(model: IntModel) -> Iterator[tuple[str, onnx.ModelProto]]:
    yield "step", export_onnx_int(model, form="step")
    yield "window", export_onnx_int(model, form="window")
    yield "portable", export_onnx_int(model, form="window", portable=True)
    with patch.object(int_export, "MAX_UNROLLED", 0):
        yield "looped", export_onnx_int(model, form="window", portable=True)


def try_runtime(runtime: str, python: str, folder: Path) -> tuple[str, Outcomes] | None:
    """Version of a runtime, and its outcomes; None if it is not installed there."""
    child = Path(__file__).with_name("runtime_child.py")
    command = [python, str(child), runtime, str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    except OSError as error:
        sys.stderr.write(f"{SHOWN[runtime]}: {error}\n")
        return None
    if done.returncode:
        sys.stderr.write(f"{SHOWN[runtime]} of {python}: {done.stderr.strip().splitlines()[-1]}\n")
        return None
    told = json.loads(done.stdout.strip().splitlines()[-1])
    return told["version"], outcomes_of(
        told["results"], json.loads((folder / "cases.json").read_text(encoding="utf-8"))
    )


def outcomes_of(results: list[list[Any]], cases: list[dict[str, Any]]) -> Outcomes:
    """The outcomes of a runtime's results: each the kind of graphs, model, steps or windows, of these wrong, error."""
    kinds = {case["name"]: case["kind"] for case in cases}
    outcomes = {}
    for kind, graph in itertools.product(KINDS, GRAPHS):
        rows = [row for row in results if row[0] == graph and kinds[row[1]] == kind]
        errors = Counter(row[4] for row in rows if row[4])
        outcomes[kind, graph] = Outcome(
            models=len(rows) - errors.total(),
            compared=sum(row[2] for row in rows),
            different=sum(row[3] for row in rows),
            refused=errors.total(),
            error=next(iter(errors), ""),
        )
    return outcomes


def document(rows: list[tuple[str, str, Outcomes]]) -> str:
    """Markdown."""
    forward, both = (
        "\n".join(
            f"| {SHOWN[runtime]} {version} | {' | '.join(str(outcomes[kind, graph]) for graph in GRAPHS)} |"
            for runtime, version, outcomes in rows
        )
        for kind in KINDS
    )
    graphs_of: dict[tuple[str, str], list[str]] = {}
    for runtime, version, outcomes in rows:
        for (kind, graph), outcome in outcomes.items():
            if outcome.error:
                where = f"{GRAPHS[graph]} ({KINDS[kind]})"
                graphs_of.setdefault((f"{SHOWN[runtime]} {version}", outcome.error), []).append(where)
    reasons = "\n".join(
        f"- {where}; {', '.join(graphs)}: `{error.replace('`', chr(39))}`"
        for (where, error), graphs in graphs_of.items()
    )
    return f"""# ONNX runtimes

`{COMMAND}` wrote this page (with `--python` for runtimes in environments
of their own). The graphs are those of integer models of all cells with convolutions, pools, dense layers, decisions and
distances. Each step or window is compared with the integer reference: all logits, the label, the decision.

| runtime | {" | ".join(GRAPHS.values())} |
|---|{"---|" * len(GRAPHS)}
{forward}

Models with bidirectional layers keep the inputs of a window. In their step graph an `If` computes the end of a window,
with a `Scan` over these inputs in its branch. Their portable window graph has neither, so it is the one to take where a
runtime refuses `Scan`.

| runtime | {" | ".join(GRAPHS.values())} |
|---|{"---|" * len(GRAPHS)}
{both}

The step graph is always portable: it multiplies bytes and divides numbers of few significant bits, so that a runtime
which computes integers in float32 gives the same integers. OpenVINO has to be told to compute in float32
(`INFERENCE_PRECISION_HINT: f32`), as some processors take bfloat16 by default. The window graph is made for ONNX
Runtime: a `Scan` over time, with its fastest operators. OpenVINO, which computed 24 of 80 windows wrongly before, now
refuses it, as the `Scan` takes a value from outside. `edge-seq export --onnx portable` adds a window graph that repeats
the step for each sample. Windows of more than 512 samples have a `Loop` instead, which fewer runtimes take; the others
have the step graph.

ONNX Runtime 1.16 to 1.18.1 plans the memory of such graphs wrongly: on commit dfca982, 1.18.1 gave wrong labels
without an error in 50 of 648 steps and 12 of 72 windows. So all integer graphs and the float step graph hold an
operator that it lacks and 1.19 has, `Trilu` of booleans, and earlier releases refuse them. Later ones compute it
once, when they load the graph. Among the 2,265 graphs of one operator that `python -m tests.benchmarks.onnx_kernels`
makes, it is the only one that 1.19.2 and 1.20.1 load, and 1.16.3 and 1.18.1 do not. The metadata name the first
release too, `edge_seq.min_onnxruntime`.

First error of each runtime and kind of graph:

{reasons or "- none"}
"""


def main() -> None:
    """Compare, print, and write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write Markdown here")
    parser.add_argument("--python", action="append", default=[], help="RUNTIME=PYTHON, another environment")
    parser.add_argument("--steps", type=int, default=20, help="steps of each stream, at least a window")
    options = parser.parse_args()
    chosen = [tuple(one.split("=", 1)) for one in options.python]
    places = [(runtime, sys.executable) for runtime in RUNTIMES if runtime not in {name for name, _ in chosen}]
    places = sorted([*places, *chosen, ("onnxruntime", sys.executable)], key=lambda one: list(RUNTIMES).index(one[0]))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        write_cases(Path(folder), options.steps)
        for runtime, python in dict.fromkeys(places):
            if (found := try_runtime(runtime, python, Path(folder))) is not None:
                rows.append((runtime, *found))
    text = document(
        sorted(rows, key=lambda row: (list(RUNTIMES).index(row[0]), [int(n) for n in row[1].split(".")[:2]]))
    )
    print(text)  # noqa: T201
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
