"""Networks in ONNX as exporters write them, made with onnx's helpers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
OPSET = 17


def node(kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> NodeProto:
    return helper.make_node(kind, list(inputs), list(outputs), name=f"n_{outputs[0] or outputs[1]}", **attributes)


def weights(kind: str, inputs: int, units: int, *, directions: int = 1, prefix: str = "") -> dict[str, np.ndarray]:
    """W, R and B of a recurrent operator."""
    rng = np.random.default_rng(5)
    rows = GATES[kind] * units
    shapes = {"W": (directions, rows, inputs), "R": (directions, rows, units), "B": (directions, 2 * rows)}
    return {f"{prefix}{name}": rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


def model(
    nodes: Sequence[NodeProto],
    constants: dict[str, np.ndarray],
    *,
    shape: Sequence[Any] = ("batch", 50, 3),
    output: str = "y",
    opset: int = OPSET,
    inputs: Sequence[Any] = (),
) -> ModelProto:
    """A model with the input ``x`` and one output."""
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape)), *inputs]
    given_out = [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)]
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(list(nodes), "net", given, given_out, initializers)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def linear(outputs: int, inputs: int) -> dict[str, np.ndarray]:
    """Weight [outputs, inputs] and bias of a Gemm."""
    rng = np.random.default_rng(6)
    return {
        "fc.weight": rng.normal(0, 0.5, (outputs, inputs)).astype(np.float32),
        "fc.bias": rng.normal(0, 0.5, outputs).astype(np.float32),
    }


def plain(kind: str = "LSTM", units: int = 5, classes: int = 4, **attributes: Any) -> ModelProto:
    """As torch's exporters write a batch_first network: Transpose, LSTM, Transpose, last step, Gemm."""
    extra = {"linear_before_reset": 1} if kind == "GRU" else {}
    nodes = [
        node("Transpose", ["x"], ["time_first"], perm=[1, 0, 2]),
        node(kind, ["time_first", "W", "R", "B"], ["Y", "Y_h"], hidden_size=units, **{**extra, **attributes}),
        node("Squeeze", ["Y", "one"], ["squeezed"]),
        node("Transpose", ["squeezed"], ["states"], perm=[1, 0, 2]),
        node("Gather", ["states", "last"], ["state"], axis=1),
        node("Gemm", ["state", "fc.weight", "fc.bias"], ["y"], transB=1),
    ]
    numbers = {"one": np.array([1]), "last": np.array(-1)}
    return model(nodes, {**weights(kind, 3, units), **linear(classes, units), **numbers})
