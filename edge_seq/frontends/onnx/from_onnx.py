"""Read a network in ONNX as an imported chain: files of PyTorch's exporters, tf2onnx and Keras, with a scaler in front.

The graph is followed from the input to the output with a small batch (see :mod:`edge_seq.frontends.flow`). Whatever
does not depend on the input, such as the shapes of initial states, is computed with onnx's own reference evaluator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edge_seq.frontends.chain import ImportedChain, InputAxes
from edge_seq.frontends.flow import TRACED_BATCH, Flow, FlowError
from edge_seq.frontends.onnx.node import Node, Value
from edge_seq.frontends.onnx.operators import OPERATORS, PASSED_OVER, REMEDIES, check_passed_over
from edge_seq.frontends.opening import check_size, model_bytes, reading_model
from edge_seq.support.errors import ModelError

MAX_NODES = 4096
MAX_FOLDED = 1 << 22  # numbers in a constant that is computed
_STANDARD = ("", "ai.onnx")


def chain_of_onnx(path: Path, *, time_steps: int) -> ImportedChain:
    """Read an ONNX file.

    Args:
        path: the file.
        time_steps: window length, for a network that takes any.

    Raises:
        ModelError: the file is damaged, hostile, or holds what the project cannot represent; the message names it.
    """
    with reading_model(path.name, "ONNX"):
        try:
            model = onnx.load_model_from_string(model_bytes(path))
        except DecodeError as error:
            raise ModelError(
                f"importing {path.name}: not a whole ONNX file ({error}); it was truncated or is something else"
            ) from error
        return chain_of_onnx_model(model, what=path.name, time_steps=time_steps)


def chain_of_onnx_model(model: onnx.ModelProto, *, what: str, time_steps: int) -> ImportedChain:
    """Read an ONNX model in memory. Arguments and errors are those of :func:`chain_of_onnx`."""
    graph = _plain_graph(model, what)
    constants = _constants(graph, what)
    inputs = [one for one in graph.input if one.name not in constants]
    if len(inputs) != 1:
        raise ModelError(
            f"importing {what}: it has the inputs {[one.name for one in inputs]}; expected one, the window of samples. "
            "Initial states and lengths of sequences as inputs are not supported: export the model without them"
        )
    if len(graph.node) > MAX_NODES:
        raise ModelError(
            f"importing {what}: {len(graph.node)} nodes; expected at most {MAX_NODES}. A recurrent layer that was "
            "unrolled step by step cannot be imported: give the .keras file, or export LSTM, GRU or RNN nodes"
        )
    opset = next((one.version for one in model.opset_import if one.domain in _STANDARD), 0)
    dims = [one.dim_value if one.HasField("dim_value") else None for one in inputs[0].type.tensor_type.shape.dim]
    errors: list[FlowError] = []
    if len(dims) not in (3, 4):
        raise ModelError(
            f"importing {what}: its input has the shape {list(dims)}; expected three axes: batch, time, channels; or "
            "an axis of length 1 besides"
        )
    for axes in get_args(InputAxes):
        if len(axes) != len(dims):
            continue
        try:
            sizes = _input_sizes(dims, axes, time_steps, what)
            walk = _Walk(what, opset, dict(constants))
            walk.values[inputs[0].name] = Flow(tuple(axes.replace("1", "D")), sizes)
            result = walk.run(graph)
        except FlowError as error:
            errors.append(error)
            continue
        fixed = dict(zip(axes, dims, strict=False))
        return ImportedChain(
            "onnx", what, fixed.get("C"), fixed.get("T"), result.records, tuple(walk.passed_over), axes
        )
    raise errors[0]


def _plain_graph(model: onnx.ModelProto, what: str) -> onnx.GraphProto:
    """The graph, with functions of the model written out, after checks that need no memory."""
    external = [one.name for one in model.graph.initializer if one.data_location == onnx.TensorProto.EXTERNAL]
    if external:
        raise ModelError(
            f"importing {what}: its numbers {external[:4]} are in other files (external data), which are not read; "
            "save the model as one file, with torch.onnx.export(..., external_data=False) or onnx.save"
        )
    if model.functions:
        from onnx import inliner

        model = inliner.inline_local_functions(model)
    return model.graph


def _constants(graph: onnx.GraphProto, what: str) -> dict[str, NDArray[Any]]:
    constants = {}
    for tensor in graph.initializer:
        check_size(what, f"initializer {tensor.name}", tensor.dims)
        constants[tensor.name] = numpy_helper.to_array(tensor)
    if graph.sparse_initializer:
        raise ModelError(f"importing {what}: it has sparse numbers; save them dense")
    return constants


def _input_sizes(dims: Sequence[int | None], axes: InputAxes, time_steps: int, what: str) -> tuple[int, ...]:
    defaults = {"B": TRACED_BATCH, "T": time_steps, "1": 1}
    sizes = []
    for axis, size in zip(axes, dims, strict=True):
        if size is None and axis not in defaults:
            raise FlowError(
                f"importing {what}: the number of its channels is not in the file; export it with a fixed one"
            )
        sizes.append(defaults[axis] if size is None else size)
        if axis == "1" and sizes[-1] != 1:
            raise FlowError(f"importing {what}: its input has the shape {list(dims)}; expected an axis of length 1")
    if min(sizes) < 1:
        raise ModelError(f"importing {what}: its input has the shape {list(dims)}; expected sizes from 1")
    return tuple(sizes)


@dataclass
class _Walk:
    """The values of a graph while it is followed."""

    what: str
    opset: int
    values: dict[str, Value]
    passed_over: list[str] = field(default_factory=list)
    failed: dict[str, ModelError] = field(default_factory=dict)

    def run(self, graph: onnx.GraphProto) -> Flow:
        """Follow all nodes and return the network's output.

        Of several outputs, the first with one vector a window is taken.
        """
        for node in graph.node:
            broken = next((self.failed[name] for name in node.input if name in self.failed), None)
            if broken is not None:
                self.failed |= dict.fromkeys(node.output, broken)
                continue
            try:
                self._node(node)
            except ModelError as error:  # a branch that leads to no output does no harm
                self.failed |= dict.fromkeys(node.output, error)
        for output in graph.output:
            if output.name in self.failed:
                raise self.failed[output.name]
            value = self.values.get(output.name)
            if isinstance(value, Flow):
                return value
        raise ModelError(f"importing {self.what}: its outputs do not depend on its input; export the model again")

    def _node(self, node: onnx.NodeProto) -> None:
        inputs: list[Value] = [self.values.get(name) if name else None for name in node.input]
        missing = [name for name in node.input if name and name not in self.values]
        if missing:
            raise ModelError(f"importing {self.what}: {missing} come from nowhere; the file is damaged")
        attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        name = node.name or (node.output[0] if node.output else "")
        named = Node(self.what, node.op_type, name, inputs, attributes, self.opset, list(node.output))
        if node.domain not in (*_STANDARD, "ai.onnx.ml") or any(
            one.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for one in node.attribute
        ):
            raise named.refuse(
                f"operator of {node.domain or 'ai.onnx'}", "export LSTM, GRU or RNN nodes instead of loops or functions"
            )
        if node.op_type == "Shape" and isinstance(inputs[0], Flow):
            sizes = np.array(inputs[0].sizes, dtype=np.int64)
            self._give(node, [sizes[attributes.get("start", 0) : attributes.get("end", len(sizes))]])
        elif not any(isinstance(value, Flow) for value in inputs):
            self._give(node, _evaluate(node, inputs, self.opset, named))
        elif node.op_type in PASSED_OVER:
            check_passed_over(named)
            if node.op_type == "Dropout":
                self.passed_over.append(f"Dropout {name}")
            self._give(node, [named.flow])
        elif node.op_type in OPERATORS:
            try:
                made = OPERATORS[node.op_type](named)
            except FlowError as error:
                raise FlowError(
                    f"importing {self.what}: {node.op_type} {name} {error}, which is not supported"
                ) from None
            self._give(node, made if isinstance(made, list) else [made])
            if node.op_type == "LSTM" and len(node.output) > 2:
                self.failed[node.output[2]] = named.refuse(
                    "its last cell states (Y_c) are used", "take the states of all steps (Y) or the last ones (Y_h)"
                )
        else:
            remedy = REMEDIES.get(node.op_type, "train without it")
            raise ModelError(
                f"importing {self.what}: operator {node.op_type} {name} is not supported; {remedy}. Supported: "
                f"{', '.join(sorted((*OPERATORS, *PASSED_OVER)))}"
            )

    def _give(self, node: onnx.NodeProto, values: Sequence[Value]) -> None:
        self.values |= {name: value for name, value in zip(node.output, values, strict=False) if name}


# --- constants -------------------------------------------------------------------------------------------------------

# Operators whose result may be far larger than their inputs: the size is known from an input.
_SIZED: dict[str, Callable[[Sequence[Any]], int]] = {
    "ConstantOfShape": lambda inputs: int(np.prod(np.asarray(inputs[0], dtype=np.float64))),
    "Expand": lambda inputs: int(np.size(inputs[0]) * np.prod(np.asarray(inputs[1], dtype=np.float64))),
    "Tile": lambda inputs: int(np.size(inputs[0]) * np.prod(np.asarray(inputs[1], dtype=np.float64))),
    "MatMul": lambda inputs: inputs[0].size * inputs[1].size // max(1, inputs[0].shape[-1] ** 2),
    "Range": lambda inputs: (
        int(abs((float(inputs[1]) - float(inputs[0])) / float(inputs[2]))) if inputs[2] else 1 << 62
    ),
}
_FOLDED = (
    *_SIZED, "Constant", "Shape", "Size", "Gather", "Unsqueeze", "Squeeze", "Concat", "Slice", "Cast", "Reshape",
    "Transpose", "Add", "Sub", "Mul", "Div", "Neg", "Sqrt", "Reciprocal", "Identity", "Equal", "Where", "Split",
    "Flatten", "CastLike", "Pow", "Min", "Max", "Not", "Floor",
)  # fmt: skip


def _evaluate(node: onnx.NodeProto, inputs: Sequence[Value], opset: int, named: Node) -> list[Any]:
    """Compute a node that depends on constants alone."""
    from onnx.reference import ReferenceEvaluator

    if node.op_type not in _FOLDED:
        raise named.refuse("it depends on constants alone", "fold constants, for example with onnxscript's optimizer")
    if node.op_type in _SIZED and _SIZED[node.op_type](inputs) > MAX_FOLDED:
        raise named.refuse(
            f"its result has {_SIZED[node.op_type](inputs):,} numbers, expected at most {MAX_FOLDED:,}",
            "export it again",
        )
    for attribute in node.attribute:
        if attribute.HasField("t"):
            if attribute.t.data_location == onnx.TensorProto.EXTERNAL:
                raise named.refuse("its numbers are in another file", "save the model as one file")
            check_size(named.what, named.name, attribute.t.dims)
    names = [name for name in node.input if name]
    typed = [helper.make_tensor_value_info(name, 0, None) for name in names]
    outputs = [helper.make_tensor_value_info(name, 0, None) for name in node.output if name]
    graph = helper.make_graph([node], "constant", typed, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    given = {name: value for name, value in zip(node.input, inputs, strict=True) if name}
    found = iter(ReferenceEvaluator(model).run(None, given))
    return [next(found) if name else None for name in node.output]
