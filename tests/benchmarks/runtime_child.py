"""Runs exported graphs in one ONNX runtime and counts labels that differ. Needs numpy, onnx and that runtime alone.

    python runtime_child.py onnxruntime FOLDER

``tests.benchmarks.onnx_runtimes`` writes the folder, and starts this file in an environment that has the runtime.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Compute = Callable[[dict[str, Any]], dict[str, Any]]


def with_onnxruntime(path: Path, inputs: list[str], outputs: list[str]) -> Compute:
    """ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda given: dict(zip(outputs, session.run(outputs, given)))  # noqa: B905 - Python 3.8 too


def with_evaluator(path: Path, inputs: list[str], outputs: list[str]) -> Compute:
    """The evaluator of the onnx package."""
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(str(path))
    return lambda given: dict(zip(outputs, evaluator.run(outputs, given)))  # noqa: B905


def with_openvino(path: Path, inputs: list[str], outputs: list[str]) -> Compute:
    """OpenVINO, on the processor, in float32."""
    import openvino

    core = openvino.Core()
    precise = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    request = core.compile_model(core.read_model(str(path)), "CPU", precise).create_infer_request()

    def compute(given: dict[str, Any]) -> dict[str, Any]:
        found = request.infer(given)
        return {name: np.array(found[index]) for index, name in enumerate(outputs)}

    return compute


def with_tinygrad(path: Path, inputs: list[str], outputs: list[str]) -> Compute:
    """tinygrad, on the processor."""
    from tinygrad import Tensor
    from tinygrad.nn.onnx import OnnxRunner

    runner = OnnxRunner(path)

    def compute(given: dict[str, Any]) -> dict[str, Any]:
        found = runner({name: Tensor(array, device="CPU") for name, array in given.items()})
        return {name: found[name].numpy() for name in outputs}

    return compute


def with_tvm(path: Path, inputs: list[str], outputs: list[str]) -> Compute:
    """Apache TVM, compiled with LLVM."""
    import onnx
    import tvm
    from tvm import relax
    from tvm.relax.frontend.onnx import from_onnx

    compiled: dict[int, Any] = {}

    def machine(batch: int) -> Any:
        if batch not in compiled:
            model = onnx.load(str(path))
            shapes = {
                port.name: [axis.dim_value or batch for axis in port.type.tensor_type.shape.dim]
                for port in model.graph.input
            }
            module = relax.transform.DecomposeOpsForInference()(from_onnx(model, shape_dict=shapes))
            compiled[batch] = relax.VirtualMachine(tvm.compile(module, target="llvm"), tvm.cpu())
        return compiled[batch]

    def compute(given: dict[str, Any]) -> dict[str, Any]:
        arrays = [tvm.runtime.tensor(np.ascontiguousarray(given[name])) for name in inputs]
        found = machine(len(arrays[0].numpy()))["main"](*arrays)
        return {name: found[index].numpy() for index, name in enumerate(outputs)}

    return compute


RUNTIMES = {
    "onnxruntime": ("onnxruntime", with_onnxruntime),
    "onnx": ("onnx", with_evaluator),
    "openvino": ("openvino", with_openvino),
    "tinygrad": ("tinygrad", with_tinygrad),
    "tvm": ("apache-tvm", with_tvm),
}


def different(case: dict[str, Any], values: Any, found: dict[str, Any], where: Any) -> int:
    """Rows of the outputs that differ from the reference."""
    bad = np.zeros(len(values["counts"]), dtype=bool)
    for name in ("logits", "label", "decision"):
        if name in found:
            a = np.asarray(found[name]).reshape(len(bad), -1)
            b = np.asarray(values[name][where]).reshape(len(bad), -1)
            bad |= (a != b).any(axis=1) if a.shape == b.shape else True
    return int(bad.sum())


def run_steps(case: dict[str, Any], values: Any, compute: Compute) -> tuple[int, int]:
    """Steps compared, and steps that differ."""
    counts, bad = values["counts"], 0
    states = {name: np.zeros((len(counts), size), dtype=kind) for name, (size, kind) in case["states"].items()}
    for t in range(counts.shape[1]):
        found = compute({"counts": np.ascontiguousarray(counts[:, t]), **states})
        bad += different(case, values, found, (slice(None), t))
        states = {name: np.asarray(found[name + ".next"]).astype(array.dtype) for name, array in states.items()}
    return counts.shape[0] * counts.shape[1], bad


def run_window(case: dict[str, Any], values: Any, compute: Compute) -> tuple[int, int]:
    """Windows compared, and windows that differ."""
    length = case["window_length"]
    found = compute({"counts": np.ascontiguousarray(values["counts"][:, :length])})
    where = (slice(None), slice(0, length) if case["every_sample"] else length - 1)
    return len(values["counts"]), different(case, values, found, where)


def main() -> None:
    """Print one JSON object."""
    package, load = RUNTIMES[sys.argv[1]]
    folder = Path(sys.argv[2])
    from importlib.metadata import version

    results: list[list[Any]] = []
    for case in json.loads((folder / "cases.json").read_text(encoding="utf-8")):
        values = np.load(folder / case["values"])
        try:
            compute = load(folder / case["file"], case["inputs"], case["outputs"])
            run = run_steps if case["form"] == "step" else run_window
            results.append([case["graph"], case["name"], *run(case, values, compute), ""])
        except Exception as error:  # noqa: BLE001 - each runtime has error classes of its own
            words = " ".join(f"{type(error).__name__}: {error}".split()).replace(f"{folder}/", "")[:300]
            results.append([case["graph"], case["name"], 0, 0, words])
    print("\n" + json.dumps({"version": version(package), "results": results}))  # noqa: T201


if __name__ == "__main__":
    main()
