"""Operators of ONNX that an imported network may have: one entry each in :data:`OPERATORS`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from edge_seq.frontends.chain import CollapseKind, Convolution, PoolKind, float32
from edge_seq.frontends.flow import Flow, FlowError
from edge_seq.frontends.onnx.node import EVALUATION, Node, Value
from edge_seq.frontends.onnx.recurrent import recurrent

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)


def check_passed_over(node: Node) -> None:
    """Refuse an operator that is passed over where it does change something."""
    if node.kind == "Cast" and node.attributes.get("to") not in _FLOATS:
        raise node.refuse("a conversion to whole numbers", "train without rounding")
    if node.kind == "CastLike" and not np.issubdtype(np.asarray(node.needed(1, "type")).dtype, np.floating):
        raise node.refuse("a conversion to whole numbers", "train without rounding")
    if node.kind == "Dropout" and np.any(node.constant(2, "training_mode")):
        raise node.refuse("training_mode=1", EVALUATION)


def _transpose(node: Node) -> Flow:
    return node.flow.permute(node.attributes.get("perm", range(len(node.flow.axes))[::-1]))


def _axes(node: Node, index: int = 1) -> list[int] | None:
    """Axes of an operator, which are an attribute before opset 13 and an input since."""
    given = node.attributes.get("axes")
    if given is None:
        given = node.constant(index, "axes")
    return None if given is None else [int(axis) for axis in np.atleast_1d(given)]


def _reduce(kind: CollapseKind) -> Callable[[Node], Flow]:
    def reduce(node: Node) -> Flow:
        axes = _axes(node)
        if axes is None:
            raise node.refuse("it takes all axes", "take the mean over time alone")
        return node.flow.collapse(node.name, kind, axes, keep=bool(node.attributes.get("keepdims", 1)))

    return reduce


def _global_pool(kind: CollapseKind) -> Callable[[Node], Flow]:
    return lambda node: node.flow.collapse(node.name, kind, [2], keep=True)


def _gather(node: Node) -> Flow:
    index = node.needed(1, "index")
    axis = int(node.attributes.get("axis", 0))
    if index.size != 1:
        raise node.refuse(f"it takes the indices {index.tolist()}", "take the last step alone")
    flow = node.flow.select(node.name, axis, int(index.reshape(())))
    return flow if index.ndim == 0 else flow.unsqueeze([node.flow.index(axis)])


def _slice(node: Node) -> Flow:
    starts, ends = (np.atleast_1d(node.needed(i, what)) for i, what in ((1, "starts"), (2, "ends")))
    axes, steps = node.constant(3, "axes"), node.constant(4, "steps")
    axes = np.arange(len(starts)) if axes is None else np.atleast_1d(axes)
    steps = np.ones(len(starts), dtype=np.int64) if steps is None else np.atleast_1d(steps)
    flow = node.flow
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        flow = flow.slice(node.name, int(axis), int(start), int(end), int(step))
    return flow


def _reshape(node: Node) -> Flow:
    shape = node.needed(1, "shape")
    return node.flow.reshape(node.name, shape.tolist(), zero_copies=not node.attributes.get("allowzero", 0))


def _flatten(node: Node) -> Flow:
    axis = int(node.attributes.get("axis", 1))
    if axis != 1:
        raise node.refuse(f"axis={axis}", "flatten all but the batch")
    return node.flow.reshape(node.name, [node.flow.sizes[0], -1])


def _matmul(node: Node) -> Flow:
    weight = node.needed(1, "second factor")
    return node.flow.dense(node.name, float32(weight.T), None)


def _gemm(node: Node) -> Flow:
    weight = node.needed(1, "second factor") * node.attributes.get("alpha", 1.0)
    bias = node.constant(2, "bias")
    if node.attributes.get("transA", 0):
        raise node.refuse("transA=1", "export a linear layer of the states")
    weight = weight if node.attributes.get("transB", 0) else weight.T
    scaled = None if bias is None else float32(bias * node.attributes.get("beta", 1.0))
    return node.flow.dense(node.name, float32(weight), scaled)


def _arithmetic(node: Node) -> Flow:
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


def _batch_normalization(node: Node) -> Flow:
    if node.attributes.get("training_mode", 0):
        raise node.refuse("training_mode=1, so that it takes the mean of each batch", EVALUATION)
    scale, bias, mean, variance = (
        node.needed(i, what).astype(np.float64) for i, what in enumerate(("scale", "bias", "mean", "variance"), start=1)
    )
    factor = scale / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    return node.flow.normalisation(node.name, float32(factor), float32(bias - mean * factor))


def _scaler(node: Node) -> Flow:
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


def _activation(function: str) -> Callable[[Node], Flow]:
    def activate(node: Node) -> Flow:
        axis = int(node.attributes.get("axis", -1 if node.opset >= 13 else 1))
        return node.flow.activate(node.name, function, axis)

    return activate


def _plane(node: Node, key: str, default: int, dimensions: int) -> tuple[int, int]:
    """An attribute along the third and the fourth axis; the default along one that the operator does not have."""
    values = [int(one) for one in node.attributes.get(key, dimensions * [default])]
    if len(values) != dimensions or min(values) < 0:
        raise node.refuse(f"{key}={values}", f"expected {dimensions} whole numbers")
    return values[0], values[1] if dimensions == 2 else default


def _pads(node: Node, dimensions: int) -> list[tuple[int, int]]:
    """Zeros before and after the third and the fourth axis."""
    kind = node.attributes.get("auto_pad", b"NOTSET")
    if kind not in (b"NOTSET", b"VALID"):
        raise node.refuse(f"auto_pad={kind.decode()}", "export it with explicit padding")
    values = [int(one) for one in node.attributes.get("pads", 2 * dimensions * [0])]
    if len(values) != 2 * dimensions or min(values) < 0:
        raise node.refuse(f"pads={values}", f"expected {2 * dimensions} whole numbers")
    return [*zip(values[:dimensions], values[dimensions:], strict=True), (0, 0)][:2]


def _along(node: Node, dimensions: int) -> int:
    """Which of the third and the fourth axis is time."""
    return node.flow.axes[2:].index("T") if dimensions == 2 and "T" in node.flow.axes[2:] else 0


def _conv(node: Node) -> Flow:
    weight = node.needed(1, "weight")
    bias = node.constant(2, "bias")
    if weight.ndim not in (3, 4):
        raise node.refuse(f"a kernel {list(weight.shape)} of {weight.ndim - 2} dimensions", "use Conv1d over time")
    dimensions = weight.ndim - 2
    along, pads = _along(node, dimensions), _pads(node, dimensions)
    if pads[1 - along] != (0, 0):
        raise node.refuse(f"zeros {pads[1 - along]} beside the sensor channels", "pad along time alone")
    kernels = float32(weight if dimensions == 2 else weight[:, :, :, np.newaxis])
    strides = _plane(node, "strides", 1, dimensions)
    record = Convolution(
        node.name,
        kernels[..., 0],
        float32(np.zeros(len(weight)) if bias is None else bias),
        strides[along],
        _plane(node, "dilations", 1, dimensions)[along],
        int(node.attributes.get("group", 1)),
        pads[along],
    )
    return node.flow.convolution(record) if dimensions == 1 else node.flow.convolution_2d(record, kernels, strides)


def _pad(node: Node) -> Flow:
    """Zeros around time."""
    pads, value, axes = node.attributes.get("pads"), node.constant(2, "value"), node.constant(3, "axes")
    values = np.asarray(node.needed(1, "pads") if pads is None else pads, dtype=np.int64)
    if node.attributes.get("mode", b"constant") != b"constant" or np.any(value) or node.attributes.get("value", 0.0):
        raise node.refuse("it adds other numbers than zeros", "pad with zeros")
    flow, found = node.flow, (0, 0)
    places = range(len(flow.axes)) if axes is None else [flow.index(int(axis)) for axis in np.atleast_1d(axes)]
    for place, before, after in zip(places, *np.split(values, 2), strict=True):
        if (before or after) and flow.axes[place] != "T":
            raise FlowError(f"pads the axis {flow.axes[place]}; expected padding along time alone")
        found = (int(before), int(after)) if before or after else found
    return flow.pad(node.name, found)


def _pool(kind: PoolKind) -> Callable[[Node], Flow]:
    def pool(node: Node) -> Flow:
        dimensions = len(node.attributes["kernel_shape"])
        dilated = any(d != 1 for d in node.attributes.get("dilations", []))
        if dimensions not in (1, 2) or node.attributes.get("ceil_mode", 0) or dilated:
            raise node.refuse("three dimensions, ceil_mode or dilations", "use plain pooling over time")
        pads = _pads(node, dimensions)
        if kind == "average" and any(pad != (0, 0) for pad in pads):
            raise node.refuse(f"pads={pads}", "pool without padding")
        sizes, strides = (_plane(node, key, 1, dimensions) for key in ("kernel_shape", "strides"))
        if dimensions == 1:
            return node.flow.pool(node.name, kind, sizes[0], strides[0], pads[0])
        if any(before != after for before, after in pads):
            raise node.refuse(f"pads={pads}", "pool without padding")
        return node.flow.pool_2d(node.name, kind, sizes, strides, (pads[0][0], pads[1][0]))

    return pool


def _concat(node: Node) -> Flow:
    if len(node.inputs) == 1:
        return node.flow
    if len(node.inputs) != 2 or node.flow.index(int(node.attributes["axis"])) != len(node.flow.axes) - 1:
        raise FlowError("joins several branches; expected a chain")
    return node.flow.concatenate(node.name, node.flow_at(1))


def _split(node: Node) -> list[Value]:
    if len(node.outputs) != 1:
        raise FlowError("splits a tensor; expected a chain")
    return [node.flow]


# Operators that change nothing at inference.
PASSED_OVER = ("Identity", "Dropout", "Cast", "CastLike")
OPERATORS: dict[str, Callable[[Node], Flow | list[Value]]] = {
    "RNN": recurrent,
    "GRU": recurrent,
    "LSTM": recurrent,
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
    "Pad": _pad,
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
REMEDIES = {
    "LayerNormalization": "its divisor changes with every sample; use batch normalisation, which is folded",
    "Loop": "export LSTM, GRU or RNN nodes instead of a loop",
    "Scan": "export LSTM, GRU or RNN nodes instead of a scan",
    "ArgMax": "export the logits or probabilities as the first output",
}
