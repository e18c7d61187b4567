"""Runtimes besides ONNX Runtime: onnx's own evaluator in numpy, and OpenVINO and Apache TVM where they are installed.

A new one is a function here and a row of ``_RUNTIMES``; the parity ladder has a rung for each that is installed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edge_seq.backends.onnx.run import OnnxModel
from edge_seq.support.errors import ToolError

Compute = Callable[[dict[str, NDArray[Any]]], Sequence[NDArray[Any]]]


@dataclass(frozen=True)
class _Session:
    """Another runtime with the methods of ONNX Runtime's session that :class:`OnnxModel` calls."""

    original: Any
    compute: Compute

    def get_inputs(self) -> Any:
        """Inputs of the graph."""
        return self.original.get_inputs()

    def get_outputs(self) -> Any:
        """Outputs of the graph."""
        return self.original.get_outputs()

    def run(self, names: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Outputs of the given names."""
        found = self.compute({name: np.ascontiguousarray(array) for name, array in inputs.items()})
        by_name = dict(zip((output.name for output in self.get_outputs()), found, strict=True))
        return [np.asarray(by_name[name]) for name in names]


def _with_evaluator(proto: onnx.ModelProto) -> Compute:
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(proto)
    return lambda inputs: evaluator.run(None, inputs)


def _with_openvino(proto: onnx.ModelProto) -> Compute:
    import openvino  # type: ignore[import-not-found, unused-ignore]

    core = openvino.Core()
    # Some processors compute in bfloat16 by default, which has 8 significant bits.
    precise = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    request = core.compile_model(core.read_model(proto.SerializeToString()), "CPU", precise).create_infer_request()

    def compute(inputs: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        found = request.infer(inputs)
        return [np.array(found[index]) for index in range(len(found))]  # copied, as the next call overwrites them

    return compute


def _with_tvm(proto: onnx.ModelProto) -> Compute:
    import tvm  # type: ignore[import-not-found, unused-ignore]
    from tvm import relax  # type: ignore[import-not-found, unused-ignore]
    from tvm.relax.frontend.onnx import from_onnx  # type: ignore[import-not-found, unused-ignore]

    def taken(streams: int) -> Any:
        shapes = {
            port.name: [axis.dim_value or streams for axis in port.type.tensor_type.shape.dim]
            for port in proto.graph.input
        }
        return relax.transform.DecomposeOpsForInference()(from_onnx(proto, shape_dict=shapes))

    taken(1)  # so that a graph that it does not take is refused here
    compiled: dict[int, Any] = {}  # by number of streams: it compiles for fixed shapes

    def compute(inputs: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        given = [inputs[port.name] for port in proto.graph.input]
        streams = len(given[0])
        if streams not in compiled:
            compiled[streams] = relax.VirtualMachine(tvm.compile(taken(streams), target="llvm"), tvm.cpu())
        return [array.numpy() for array in compiled[streams]["main"](*map(tvm.runtime.tensor, given))]

    return compute


EVALUATOR, OPENVINO, TVM = "onnx's evaluator", "OpenVINO", "Apache TVM"
_RUNTIMES: dict[str, tuple[str, Callable[[onnx.ModelProto], Compute]]] = {
    EVALUATOR: ("onnx", _with_evaluator),
    OPENVINO: ("openvino", _with_openvino),
    TVM: ("tvm", _with_tvm),
}
_WHEELS = {TVM: "apache-tvm"}  # where pip's name differs from the import's


def installed_runtimes() -> tuple[str, ...]:
    """The runtimes that can be used here; :data:`EVALUATOR` always can."""
    return tuple(name for name in _RUNTIMES if is_installed(name))


def is_installed(runtime: str) -> bool:
    """True if a runtime can be used here."""
    return importlib.util.find_spec(_RUNTIMES[runtime][0]) is not None


def in_runtime(model: OnnxModel, runtime: str) -> OnnxModel:
    """The same exported model, computed by another runtime.

    Args:
        model: an exported model.
        runtime: :data:`EVALUATOR`, :data:`OPENVINO` or :data:`TVM`.

    Raises:
        ToolError: the runtime is not installed, or refuses the graph.
    """
    package, load = _RUNTIMES[runtime]
    if not is_installed(runtime):
        raise ToolError(f"running ONNX in {runtime}: it is not installed; pip install {_WHEELS.get(runtime, package)}")
    try:
        return replace(model, session=_Session(model.session, load(model.proto)))
    except Exception as error:  # each runtime has error classes of its own
        words = " ".join(str(error).split())[:300]
        raise ToolError(f"running ONNX in {runtime}: it refuses the graph ({words}); run it in ONNX Runtime") from error
