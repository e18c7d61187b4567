"""Read a network in ONNX as an imported chain: files of PyTorch's exporters, tf2onnx and Keras, with a scaler in front.

The graph is followed from the input to the output with a small batch (see :mod:`edge_seq.frontends.flow`). Whatever
does not depend on the input, such as the shapes of initial states, is computed with onnx's own reference evaluator.

ONNX stacks the gates of a layer in blocks of H rows (operators RNN, GRU, LSTM): LSTM i, o, f, c; GRU z, r, h, which
equals PyTorch's with ``linear_before_reset=1``. It keeps two biases, of the input and of the state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge_seq.frontends.chain import (
    Array,
    Bidirectional,
    CollapseKind,
    Convolution,
    ImportedChain,
    InputAxes,
    PoolKind,
    Recurrent,
    float32,
)
from edge_seq.frontends.flow import TRACED_BATCH, Flow, FlowError
from edge_seq.frontends.opening import check_size, model_bytes, reading_model
from edge_seq.ir.kinds import Gru, Layer, Lstm, Rnn
from edge_seq.ir.rows import FloatRows
from edge_seq.support.errors import ModelError

SUFFIXES = (".onnx",)
MAX_NODES = 4096
MAX_FOLDED = 1 << 22  # numbers in a constant that is computed
_STANDARD = ("", "ai.onnx")
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
_EVALUATION = "export the model in evaluation mode"
Value = Flow | NDArray[Any] | None


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
    for axes in get_args(InputAxes):
        try:
            sizes = _input_sizes(dims, axes, time_steps, what)
            walk = _Walk(what, opset, dict(constants))
            walk.values[inputs[0].name] = Flow(tuple(axes), sizes)
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
    if len(dims) != 3:
        raise ModelError(
            f"importing {what}: its input has the shape {list(dims)}; expected three axes: batch, time, channels"
        )
    defaults = {"B": TRACED_BATCH, "T": time_steps}
    sizes = []
    for axis, size in zip(axes, dims, strict=True):
        if size is None and axis not in defaults:
            raise FlowError(
                f"importing {what}: the number of its channels is not in the file; export it with a fixed one"
            )
        sizes.append(defaults[axis] if size is None else size)
    if min(sizes) < 1:
        raise ModelError(f"importing {what}: its input has the shape {list(dims)}; expected sizes from 1")
    return tuple(sizes)


@dataclass
class _Node:
    """One operator of the graph, with its inputs' values."""

    what: str
    kind: str
    name: str
    inputs: list[Value]
    attributes: Mapping[str, Any]
    opset: int
    outputs: Sequence[str]

    @property
    def flow(self) -> Flow:
        """The first input, which depends on the network's input."""
        return self.flow_at(0)

    def flow_at(self, index: int) -> Flow:
        """An input that depends on the network's input."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if not isinstance(value, Flow):
            raise self.refuse(f"input {index} is a constant", "export the model again")
        return value

    def constant(self, index: int, what: str) -> NDArray[Any] | None:
        """An input that must not depend on the network's input; None if it is left out."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if isinstance(value, Flow):
            raise self.refuse(f"its {what} depends on the input", "train without that")
        return value

    def needed(self, index: int, what: str) -> NDArray[Any]:
        """A constant input that must be there."""
        value = self.constant(index, what)
        if value is None:
            raise self.refuse(f"its {what} is missing", "export the model again")
        return value

    def refuse(self, found: str, remedy: str) -> ModelError:
        """The error for what cannot be represented."""
        return ModelError(f"importing {self.what}: {self.kind} {self.name}: {found}, which is not supported; {remedy}")


@dataclass
class _Walk:
    """The values of a graph while it is followed."""

    what: str
    opset: int
    values: dict[str, Value]
    passed_over: list[str] = field(default_factory=list)

    def run(self, graph: onnx.GraphProto) -> Flow:
        """Follow all nodes and return the network's output.

        Of several outputs, the first with one vector a window is taken.
        """
        failed: dict[str, ModelError] = {}
        for node in graph.node:
            broken = next((failed[name] for name in node.input if name in failed), None)
            if broken is not None:
                failed |= dict.fromkeys(node.output, broken)
                continue
            try:
                self._node(node)
            except ModelError as error:  # a branch that leads to no output does no harm
                failed |= dict.fromkeys(node.output, error)
        for output in graph.output:
            if output.name in failed:
                raise failed[output.name]
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
        named = _Node(self.what, node.op_type, name, inputs, attributes, self.opset, list(node.output))
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
        elif node.op_type in _PASSED_OVER:
            _check_passed_over(named)
            if node.op_type == "Dropout":
                self.passed_over.append(f"Dropout {name}")
            self._give(node, [named.flow])
        elif node.op_type in _OPERATORS:
            try:
                made = _OPERATORS[node.op_type](named)
            except FlowError as error:
                raise FlowError(
                    f"importing {self.what}: {node.op_type} {name} {error}, which is not supported"
                ) from None
            self._give(node, made if isinstance(made, list) else [made])
        else:
            remedy = _REMEDIES.get(node.op_type, "train without it")
            raise ModelError(
                f"importing {self.what}: operator {node.op_type} {name} is not supported; {remedy}. Supported: "
                f"{', '.join(sorted((*_OPERATORS, *_PASSED_OVER)))}"
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


def _evaluate(node: onnx.NodeProto, inputs: Sequence[Value], opset: int, named: _Node) -> list[Any]:
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


def _check_passed_over(node: _Node) -> None:
    """Refuse an operator that is passed over where it does change something."""
    if node.kind == "Cast" and node.attributes.get("to") not in _FLOATS:
        raise node.refuse("a conversion to whole numbers", "train without rounding")
    if node.kind == "CastLike" and not np.issubdtype(np.asarray(node.needed(1, "type")).dtype, np.floating):
        raise node.refuse("a conversion to whole numbers", "train without rounding")
    if node.kind == "Dropout" and np.any(node.constant(2, "training_mode")):
        raise node.refuse("training_mode=1", _EVALUATION)


# --- operators: one entry each ---------------------------------------------------------------------------------------


def _transpose(node: _Node) -> Flow:
    return node.flow.permute(node.attributes.get("perm", range(len(node.flow.axes))[::-1]))


def _axes(node: _Node, index: int = 1) -> list[int] | None:
    """Axes of an operator, which are an attribute before opset 13 and an input since."""
    given = node.attributes.get("axes")
    if given is None:
        given = node.constant(index, "axes")
    return None if given is None else [int(axis) for axis in np.atleast_1d(given)]


def _reduce(kind: CollapseKind) -> Callable[[_Node], Flow]:
    def reduce(node: _Node) -> Flow:
        axes = _axes(node)
        if axes is None:
            raise node.refuse("it takes all axes", "take the mean over time alone")
        return node.flow.collapse(node.name, kind, axes, keep=bool(node.attributes.get("keepdims", 1)))

    return reduce


def _global_pool(kind: CollapseKind) -> Callable[[_Node], Flow]:
    return lambda node: node.flow.collapse(node.name, kind, [2], keep=True)


def _gather(node: _Node) -> Flow:
    index = node.needed(1, "index")
    axis = int(node.attributes.get("axis", 0))
    if index.size != 1:
        raise node.refuse(f"it takes the indices {index.tolist()}", "take the last step alone")
    flow = node.flow.select(node.name, axis, int(index.reshape(())))
    return flow if index.ndim == 0 else flow.unsqueeze([node.flow.index(axis)])


def _slice(node: _Node) -> Flow:
    starts, ends = (np.atleast_1d(node.needed(i, what)) for i, what in ((1, "starts"), (2, "ends")))
    axes, steps = node.constant(3, "axes"), node.constant(4, "steps")
    axes = np.arange(len(starts)) if axes is None else np.atleast_1d(axes)
    steps = np.ones(len(starts), dtype=np.int64) if steps is None else np.atleast_1d(steps)
    flow = node.flow
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        flow = flow.slice(node.name, int(axis), int(start), int(end), int(step))
    return flow


def _reshape(node: _Node) -> Flow:
    shape = node.needed(1, "shape")
    return node.flow.reshape(node.name, shape.tolist(), zero_copies=not node.attributes.get("allowzero", 0))


def _flatten(node: _Node) -> Flow:
    axis = int(node.attributes.get("axis", 1))
    if axis != 1:
        raise node.refuse(f"axis={axis}", "flatten all but the batch")
    return node.flow.reshape(node.name, [node.flow.sizes[0], -1])


def _matmul(node: _Node) -> Flow:
    weight = node.needed(1, "second factor")
    return node.flow.dense(node.name, float32(weight.T), None)


def _gemm(node: _Node) -> Flow:
    weight = node.needed(1, "second factor") * node.attributes.get("alpha", 1.0)
    bias = node.constant(2, "bias")
    if node.attributes.get("transA", 0):
        raise node.refuse("transA=1", "export a linear layer of the states")
    weight = weight if node.attributes.get("transB", 0) else weight.T
    scaled = None if bias is None else float32(bias * node.attributes.get("beta", 1.0))
    return node.flow.dense(node.name, float32(weight), scaled)


def _arithmetic(node: _Node) -> Flow:
    """Addition, subtraction, product and quotient with constants."""
    first, second = node.inputs[0], node.inputs[1]
    if isinstance(first, Flow) and isinstance(second, Flow):
        raise FlowError("combines two branches; expected a chain")
    flow, values = (first, second) if isinstance(first, Flow) else (second, first)
    assert isinstance(flow, Flow)
    numbers = flow.along_channels(np.asarray(values)).astype(np.float64)
    one, zero = np.ones_like(numbers), np.zeros_like(numbers)
    reverse = flow is second
    match node.kind:
        case "Add":
            return flow.affine(node.name, float32(one), float32(numbers))
        case "Sub":
            return flow.affine(node.name, float32(-one if reverse else one), float32(numbers if reverse else -numbers))
        case "Mul":
            return flow.affine(node.name, float32(numbers), float32(zero))
        case _:
            if reverse or (numbers == 0).any():
                raise node.refuse("it divides by the input, or by zero", "train without that")
            return flow.affine(node.name, float32(1 / numbers), float32(zero))


def _batch_normalization(node: _Node) -> Flow:
    if node.flow.axes[1] != "C":
        raise FlowError(f"normalises the axis {node.flow.axes[1]}; only channels can be normalised")
    if node.attributes.get("training_mode", 0):
        raise node.refuse("training_mode=1, so that it takes the mean of each batch", _EVALUATION)
    scale, bias, mean, variance = (
        node.needed(i, what).astype(np.float64) for i, what in enumerate(("scale", "bias", "mean", "variance"), start=1)
    )
    factor = scale / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    return node.flow.affine(node.name, float32(factor), float32(bias - mean * factor))


def _scaler(node: _Node) -> Flow:
    """ai.onnx.ml's Scaler with one number for all channels: (x - offset) * scale.

    With several numbers ONNX Runtime takes those of the second axis, which is time here.
    """
    scale, offset = (np.asarray(node.attributes.get(key, [d])) for key, d in (("scale", 1.0), ("offset", 0.0)))
    if scale.size > 1 or offset.size > 1:
        raise node.refuse(
            f"{scale.size} scales and {offset.size} offsets along the second axis, which is time",
            "give the scaler with --scaler instead, or write it as Sub and Div",
        )
    return node.flow.affine(node.name, float32(scale), float32(-offset * scale))


def _activation(function: str) -> Callable[[_Node], Flow]:
    def activate(node: _Node) -> Flow:
        axis = int(node.attributes.get("axis", -1 if node.opset >= 13 else 1))
        return node.flow.activate(node.name, function, axis)

    return activate


def _pads(node: _Node) -> tuple[int, int]:
    kind = node.attributes.get("auto_pad", b"NOTSET")
    if kind not in (b"NOTSET", b"VALID"):
        raise node.refuse(f"auto_pad={kind.decode()}", "export it with explicit padding")
    before, after = node.attributes.get("pads", [0, 0])
    return int(before), int(after)


def _conv(node: _Node) -> Flow:
    weight = node.needed(1, "weight")
    bias = node.constant(2, "bias")
    if weight.ndim != 3:
        raise node.refuse(f"a kernel {list(weight.shape)} of {weight.ndim - 2} dimensions", "use Conv1d over time")
    record = Convolution(
        node.name,
        float32(weight),
        float32(np.zeros(len(weight)) if bias is None else bias),
        int(node.attributes.get("strides", [1])[0]),
        int(node.attributes.get("dilations", [1])[0]),
        int(node.attributes.get("group", 1)),
        _pads(node),
    )
    return node.flow.convolution(record)


def _pool(kind: PoolKind) -> Callable[[_Node], Flow]:
    def pool(node: _Node) -> Flow:
        size, *more = node.attributes["kernel_shape"]
        if more or node.attributes.get("ceil_mode", 0) or any(d != 1 for d in node.attributes.get("dilations", [])):
            raise node.refuse("two dimensions, ceil_mode or dilations", "use plain pooling over time")
        padding = _pads(node)
        if padding != (0, 0) and kind == "average":
            raise node.refuse(f"pads={list(padding)}", "pool without padding")
        return node.flow.pool(node.name, kind, int(size), int(node.attributes.get("strides", [1])[0]), padding)

    return pool


def _concat(node: _Node) -> Flow:
    if len(node.inputs) == 1:
        return node.flow
    if len(node.inputs) != 2 or node.flow.index(int(node.attributes["axis"])) != len(node.flow.axes) - 1:
        raise FlowError("joins several branches; expected a chain")
    return node.flow.concatenate(node.name, node.flow_at(1))


def _split(node: _Node) -> list[Value]:
    if len(node.outputs) != 1:
        raise FlowError("splits a tensor; expected a chain")
    return [node.flow]


# --- recurrent layers ------------------------------------------------------------------------------------------------

_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
_ACTIVATIONS = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}


def _recurrent(node: _Node) -> list[Value]:
    """RNN, GRU or LSTM: the states of all steps, the last states, and the last cell states, which nothing may use."""
    _check_options(node)
    size, gates = int(node.attributes.get("hidden_size", 0)), _GATES[node.kind]
    weight, recurrent = node.needed(1, "W"), node.needed(2, "R")
    count = 2 if node.attributes.get("direction", b"forward") == b"bidirectional" else 1
    size = size or (recurrent.shape[-1] if recurrent.ndim == 3 else 0)
    bias = node.constant(3, "B")
    bias = np.zeros((count, 2 * gates * size)) if bias is None else bias
    batch_first = bool(node.attributes.get("layout", 0))
    inputs = node.flow.channels
    expected = ((count, gates * size, inputs), (count, gates * size, size), (count, 2 * gates * size))
    if not size or (weight.shape, recurrent.shape, bias.shape) != expected:
        raise FlowError(
            f"has W {list(weight.shape)}, R {list(recurrent.shape)} and B {list(bias.shape)}; expected "
            f"{[list(one) for one in expected]}"
        )
    layers = [_layer(node.kind, weight[i], recurrent[i], bias[i], size) for i in range(count)]
    record = Recurrent(node.name, layers[0], node.outputs[0]) if count == 1 else Bidirectional(node.name, *layers)
    states = node.flow.recurrent(record, size, directions=True, batch_first=batch_first)
    return [states, states.final_state(node.name)]


def _check_options(node: _Node) -> None:
    attributes = node.attributes
    direction = attributes.get("direction", b"forward")
    if direction == b"reverse":
        raise node.refuse("direction='reverse'", "train forward; the device sees samples in their order")
    given = [one.decode() for one in attributes.get("activations", [])]
    count = 2 if direction == b"bidirectional" else 1
    if given and [one.lower() for one in given] != [one.lower() for one in count * _ACTIVATIONS[node.kind]]:
        raise node.refuse(f"activations={given}", f"train with {_ACTIVATIONS[node.kind]}")
    if attributes.get("clip", 0):
        raise node.refuse(f"clip={attributes['clip']}", "train without clipping of the gates")
    if node.kind == "LSTM" and attributes.get("input_forget", 0):
        raise node.refuse("input_forget=1", "train without coupled gates")
    if node.kind == "GRU" and not attributes.get("linear_before_reset", 0):
        raise node.refuse(
            "linear_before_reset=0 (reset_after=False in Keras)",
            "train with the reset gate after the product, as PyTorch's GRU and Keras' reset_after=True",
        )
    lengths = node.constant(4, "sequence_lens")
    steps = node.flow.sizes[node.flow.axes.index("T")] if "T" in node.flow.axes else None
    if lengths is not None and steps is not None and (np.asarray(lengths) != steps).any():
        raise node.refuse(f"sequence_lens {np.unique(lengths).tolist()}", "export it for windows of one length")
    for index, what in ((5, "initial_h"), (6, "initial_c")):
        state = node.constant(index, what)
        if state is not None and np.any(state):
            raise node.refuse(f"{what} that is not zero", "train with zero initial states")
    peepholes = node.constant(7, "peepholes")
    if peepholes is not None and np.any(peepholes):
        raise node.refuse("peepholes", "train without peepholes")


def _layer(kind: str, weight: Array, recurrent: Array, bias: Array, size: int) -> Layer[FloatRows]:
    """Weights of one direction: W [G H, I], R [G H, H], B [2 G H]."""
    of_input, of_state = np.split(bias.astype(np.float64), 2)

    def gate(index: int) -> FloatRows:
        block = slice(index * size, (index + 1) * size)
        return FloatRows(float32(weight[block]), float32(recurrent[block]), float32(of_input[block] + of_state[block]))

    match kind:
        case "LSTM":
            i, o, f, c = (gate(index) for index in range(4))
            return Lstm(input_gate=i, forget_gate=f, cell_gate=c, output_gate=o)
        case "GRU":
            new, none = slice(2 * size, 3 * size), np.zeros((size, 0), dtype=np.float32)
            return Gru(
                reset_gate=gate(1),
                update_gate=gate(0),
                new_gate_input=FloatRows(float32(weight[new]), none, float32(of_input[new])),
                new_gate_hidden=FloatRows(none, float32(recurrent[new]), float32(of_state[new])),
            )
        case _:
            return Rnn(hidden=gate(0))


# Operators that change nothing at inference.
_PASSED_OVER = ("Identity", "Dropout", "Cast", "CastLike")
_OPERATORS: dict[str, Callable[[_Node], Flow | list[Value]]] = {
    "RNN": _recurrent,
    "GRU": _recurrent,
    "LSTM": _recurrent,
    "Transpose": _transpose,
    "Squeeze": lambda node: node.flow.squeeze(_axes(node)),
    "Unsqueeze": lambda node: node.flow.unsqueeze(_axes(node) or []),
    "Gather": _gather,
    "Slice": _slice,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Split": _split,
    "Concat": _concat,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Add": _arithmetic,
    "Sub": _arithmetic,
    "Mul": _arithmetic,
    "Div": _arithmetic,
    "BatchNormalization": _batch_normalization,
    "Scaler": _scaler,
    "Conv": _conv,
    "MaxPool": _pool("max"),
    "AveragePool": _pool("average"),
    "ReduceMean": _reduce("mean"),
    "ReduceMax": _reduce("max"),
    "GlobalAveragePool": _global_pool("mean"),
    "GlobalMaxPool": _global_pool("max"),
    "Relu": _activation("relu"),
    "Tanh": _activation("tanh"),
    "Sigmoid": _activation("sigmoid"),
    "Softmax": _activation("softmax"),
    "LogSoftmax": _activation("log_softmax"),
}
_REMEDIES = {
    "LayerNormalization": "its divisor changes with every sample; use batch normalisation, which is folded",
    "Loop": "export LSTM, GRU or RNN nodes instead of a loop",
    "Scan": "export LSTM, GRU or RNN nodes instead of a scan",
    "ArgMax": "export the logits or probabilities as the first output",
}
