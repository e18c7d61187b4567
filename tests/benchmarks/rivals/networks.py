"""Float networks for onnx2c: ONNX graphs of a trained LSTM and of the convolutional baseline, and the C around them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge_seq.backends.onnx.float_export import node_weights
from edge_seq.ir.contract import Normalisation, SensorContract
from edge_seq.ir.kinds import Lstm
from edge_seq.ir.model import FloatModel
from edge_seq.support.errors import ToolError
from tests.benchmarks.rivals.features import preprocessing

LIBRARIES = ("-lm", "-lc")  # exp and tanh of newlib


def _graph(
    nodes: list[Any], values: Mapping[str, NDArray[Any]], input_shape: list[int], classes: int
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, input_shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, classes])],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def lstm_graph(model: FloatModel) -> onnx.ModelProto:
    """One LSTM, the mean or the last of its states, and the head; input float32 [T, 1, C]."""
    (layer,) = model.layers
    if not isinstance(layer, Lstm) or model.readout.pooling not in ("mean", "last") or model.front or model.dense:
        raise ToolError(f"{model.name}: only one LSTM with the mean or the last of its states is written for onnx2c")
    weights, units = node_weights(layer), layer.input_gate.bias.size
    values: dict[str, NDArray[Any]] = {
        "w": weights.w,
        "r": weights.r,
        "b": weights.b,
        "shape": np.array([1, units], np.int64),
        "head": model.head.weight_input,
        "bias": model.head.bias,
    }
    if model.readout.pooling == "last":
        state = [helper.make_node("LSTM", ["x", "w", "r", "b"], ["", "state"], hidden_size=units)]
    else:
        state = [
            helper.make_node("LSTM", ["x", "w", "r", "b"], ["states"], hidden_size=units),
            helper.make_node("ReduceMean", ["states"], ["state"], axes=[0], keepdims=1),
        ]
    nodes = [
        *state,
        helper.make_node("Reshape", ["state", "shape"], ["flat"]),
        helper.make_node("Gemm", ["flat", "head", "bias"], ["y"], transB=1),
    ]
    contract = model.contract
    return _graph(nodes, values, [contract.window_length, 1, contract.num_channels], len(model.labels))


def convolutional_graph(weights: Mapping[str, NDArray[np.float32]], contract: SensorContract) -> onnx.ModelProto:
    """The convolutional baseline by its torch weights; input float32 [1, C, T]."""
    values = {name.removeprefix("network."): value for name, value in weights.items()}
    nodes = [
        helper.make_node("Conv", ["x", "0.weight", "0.bias"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "2.weight", "2.bias"], ["c"]),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("Gemm", ["e", "6.weight", "6.bias"], ["f"], transB=1),
        helper.make_node("Relu", ["f"], ["g"]),
        helper.make_node("Gemm", ["g", "8.weight", "8.bias"], ["y"], transB=1),
    ]
    shape = [1, contract.num_channels, contract.window_length]
    return _graph(nodes, values, shape, values["8.bias"].size)


_STEP = """
void entry(const float {shape}, float y[1][{classes}]);

int32_t rival_step(const int16_t *counts)
{{
    static const float mean[CHANNELS] = {{{mean}}}, factor[CHANNELS] = {{{factor}}};
    static float x{shape_of_x};
    float y[1][{classes}];
    int16_t feature[CHANNELS];
    unsigned c, k, best = 0;
    preprocess(counts, feature);
    for (c = 0; c < CHANNELS; c++) x{place} = ((float)feature[c] - mean[c]) * factor[c];
    if (++count < SAMPLES) return -1;
    count = 0;
    entry(x, y);
    for (k = 1; k < {classes}u; k++) {{
        if (y[0][k] > y[0][best]) best = k;
    }}
    return (int32_t)best;
}}
"""


def onnx2c_program(
    tool: Path, graph: onnx.ModelProto, folder: Path, contract: SensorContract, normalisation: Normalisation
) -> str:
    """C of ``rival_step``: preprocessing, normalisation, and the network as onnx2c writes it.

    Raises:
        ToolError: onnx2c fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "network.onnx"
    onnx.save(graph, path)
    done = subprocess.run([str(tool), str(path)], capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise ToolError(f"onnx2c {path.name}: exit code {done.returncode}: {done.stderr[-500:]}")
    shape = [dimension.dim_value for dimension in graph.graph.input[0].type.tensor_type.shape.dim]
    text = "".join(f"[{size}]" for size in shape)
    step = _STEP.format(
        shape=f"x{text}",
        shape_of_x=text,
        place="[count][0][c]" if shape[1] == 1 else "[0][c][count]",
        classes=graph.graph.output[0].type.tensor_type.shape.dim[1].dim_value,
        mean=", ".join(f"{one!r}f" for one in normalisation.mean),
        factor=", ".join(f"{1 / one!r}f" for one in normalisation.scale),
    )
    return done.stdout + preprocessing(contract) + step
