"""Checks of an ONNX file from somebody else, before ONNX Runtime loads it and takes memory for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

import onnx
from onnx import numpy_helper

from edge_seq.backends.onnx.graph import Form
from edge_seq.backends.onnx.metadata import COUNTS, DECISION, LABEL, LOGITS
from edge_seq.backends.onnx.window import NEXT
from edge_seq.ir.contract import SensorContract
from edge_seq.ir.model import Readout
from edge_seq.support.errors import ModelError
from edge_seq.support.names import check_name

MAX_ELEMENTS = 1 << 26  # of a value whose size the graph states; the largest state of a model has below 2^17
_MAX_DIMENSION = 1 << 16
# Operators whose output is as large as a number among their inputs says, with the place of the first such input.
_SIZED = {"ConstantOfShape": 0, "Range": 0, "Expand": 1, "Tile": 1, "Pad": 1}
_REFUSED = {
    *("OneHot", "Resize", "Upsample", "EyeLike", "RandomNormal", "RandomNormalLike", "RandomUniform"),
    *("RandomUniformLike", "Multinomial", "Bernoulli", "ImageDecoder", "MaxUnpool", "CenterCropPad", "Col2Im"),
}
_OF_SHAPES = {"Shape", "Concat", "Add", "Sub", "Squeeze", "Unsqueeze", "Cast", "Gather", "Slice"}


def check_labels(labels: object, what: str) -> tuple[str, ...]:
    """Check class names from the metadata.

    Raises:
        ModelError: they are not a list of two or more different names.
    """
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels) or len(labels) < 2:
        raise ModelError(f"loading {what}: its labels are not a list of two or more names; export it again")
    for label in labels:
        check_name(label, ModelError, what=f"loading {what}: label", remedy="Export it again")
    if len(set(labels)) != len(labels):
        raise ModelError(f"loading {what}: two of its labels are equal; export it again")
    return tuple(labels)


def check_graph(
    proto: onnx.ModelProto,
    what: str,
    *,
    form: Form,
    labels: tuple[str, ...],
    contract: SensorContract,
    readout: Readout,
) -> None:
    """Check that a graph has the inputs and outputs that its metadata promise, and that it states no huge size.

    Raises:
        ModelError: it has not, it refers to other files, or it uses an operator that can take any amount of memory.
    """
    try:
        _check_sizes(proto, what, contract.window_length)
        _check_ports(proto.graph, what, form, labels, contract, readout)
    except ModelError:
        raise
    except Exception as error:  # of onnx and protobuf, whose classes are many
        words = " ".join(str(error).split())[:300]
        raise ModelError(
            f"loading {what}: its graph cannot be checked ({type(error).__name__}: {words}). Export it again"
        ) from error


def _refuse(what: str, found: str) -> ModelError:
    return ModelError(f"loading {what}: {found}, which no export of edge_seq does. Export it again")


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph and those inside its nodes."""
    waiting = [graph]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += [
            inner
            for node in one.node
            for attribute in node.attribute
            for inner in (attribute.g, *attribute.graphs)
            if inner.node
        ]


def _shape(info: onnx.ValueInfoProto) -> tuple[int | str, ...]:
    """Sizes of a value; the names of free axes as texts."""
    return tuple(axis.dim_param or axis.dim_value for axis in info.type.tensor_type.shape.dim)


def _check_sizes(proto: onnx.ModelProto, what: str, window_length: int) -> None:
    if len(proto.functions):
        raise _refuse(what, "it defines functions")
    for graph in _graphs(proto.graph):
        if len(graph.sparse_initializer):
            raise _refuse(what, "it holds sparse tensors")
        for tensor in graph.initializer:
            if tensor.data_location == onnx.TensorProto.EXTERNAL or len(tensor.external_data):
                raise _refuse(what, f"tensor {tensor.name!r} lies in another file")
        made_by = {name: node for node in graph.node for name in node.output}
        constants = {tensor.name: tensor for tensor in graph.initializer}
        for node in graph.node:
            if node.domain not in ("", "ai.onnx") or node.op_type in _REFUSED:
                raise _refuse(what, f"node {node.name!r} is a {node.domain}{node.op_type}")
            if node.op_type == "Loop" and not _is_over_a_window(node, graph is proto.graph, constants, window_length):
                raise _refuse(what, f"node {node.name!r} is a Loop over something else than the samples of a window")
            if node.op_type in _SIZED:
                _check_size(node, made_by, constants, what)
    inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    for graph in _graphs(inferred.graph):
        for info in (*graph.value_info, *graph.output, *graph.input):
            elements = prod(size for size in _shape(info) if isinstance(size, int) and size > 0)
            if elements > MAX_ELEMENTS:
                raise _refuse(what, f"value {info.name!r} has {elements:,} elements")


def _is_over_a_window(
    node: onnx.NodeProto, outermost: bool, constants: Mapping[str, onnx.TensorProto], window_length: int
) -> bool:
    """True for a loop in no other loop whose constant count is at most a window's samples."""
    count = constants.get(node.input[0]) if outermost and node.input else None
    return count is not None and prod(count.dims) == 1 and 0 <= numpy_helper.to_array(count).item() <= window_length


def _check_size(
    node: onnx.NodeProto,
    made_by: Mapping[str, onnx.NodeProto],
    constants: Mapping[str, onnx.TensorProto],
    what: str,
) -> None:
    """Check that sizes are those of other values and small constants."""
    waiting, seen, stated = list(node.input[_SIZED[node.op_type] :]), set(), 1
    while waiting:
        name = waiting.pop()
        if not name or name in seen:
            continue
        seen.add(name)
        if name in constants:
            values = numpy_helper.to_array(constants[name]) if prod(constants[name].dims) <= 8 else None
            if values is None or (values.size and abs(values).max() > _MAX_DIMENSION):
                raise _refuse(what, f"node {node.name!r} makes a value as large as a constant says")
            stated *= prod(max(1, abs(int(value))) for value in values.ravel())
        elif name in made_by and made_by[name].op_type in _OF_SHAPES:
            if made_by[name].op_type != "Shape":
                waiting += made_by[name].input
        else:
            raise _refuse(what, f"node {node.name!r} makes a value as large as {name!r} says")
    if stated > MAX_ELEMENTS:
        raise _refuse(what, f"node {node.name!r} makes a value of {stated:,} elements")


def _check_ports(
    graph: onnx.GraphProto,
    what: str,
    form: Form,
    labels: tuple[str, ...],
    contract: SensorContract,
    readout: Readout,
) -> None:
    inputs = {port.name: _shape(port) for port in graph.input}
    outputs = {port.name: _shape(port) for port in graph.output}
    states = set(inputs) - {COUNTS}
    expected = {LOGITS, LABEL, *([DECISION] if readout.decision is not None else []), *(one + NEXT for one in states)}
    missing = sorted(({COUNTS} - set(inputs)) | (expected - set(outputs)))
    if missing or (form == "window" and states):
        raise ModelError(
            f"loading {what}: it lacks {missing or 'the form of a window model'} among inputs {sorted(inputs)} and "
            f"outputs {sorted(outputs)}; export it again"
        )
    for name, found, size in (
        (COUNTS, inputs[COUNTS], contract.num_channels),
        (LOGITS, outputs[LOGITS], len(labels)),
    ):
        if not found or found[-1] != size:
            raise ModelError(
                f"loading {what}: {name} has shape {list(found)}, but its metadata name {size} "
                f"{'channels' if name == COUNTS else 'labels'}; export it again"
            )
    for name in states:
        if len(inputs[name]) != 2 or not isinstance(inputs[name][1], int) or not 0 < int(inputs[name][1]) <= 1 << 17:
            raise ModelError(
                f"loading {what}: state {name!r} has shape {list(inputs[name])}; expected [batch, size] with a size up "
                "to 131,072. Export it again"
            )
