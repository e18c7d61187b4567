"""Helpers to build an ONNX graph node by node, without tracing.

Operator set 18 with file format (IR) 8 is the oldest with ``BitwiseAnd``, which lets the integer graph use only signed
32-bit integers. ONNX Runtime reads it since 1.14 (early 2023), and so do converters for microcontrollers that stop at
18. Later sets have nothing that these graphs would use, so a higher number only excludes readers.

ONNX Runtime 1.16 to 1.18.1 plans the memory of some of these graphs wrongly, and gives wrong labels without an error.
Neither operator set nor file format tells it from 1.19, which is exact, but one kernel does: see :meth:`Graph.true`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

OPSET = 18
IR_VERSION = 8
FIRST_ONNXRUNTIME = "1.19"  # earlier releases give wrong labels for some graphs
_TRUE = f"needs_onnxruntime_{FIRST_ONNXRUNTIME}"  # earlier releases name this node in their error

Form = Literal["window", "step"]
FORMS: tuple[Form, ...] = ("window", "step")

BATCH, TIME = "batch", "time"  # names of the free axes; time is free only in graphs with a trace
Shape = tuple[int | str, ...]

INT16 = onnx.TensorProto.INT16
INT32 = onnx.TensorProto.INT32
INT64 = onnx.TensorProto.INT64
FLOAT = onnx.TensorProto.FLOAT
BOOL = onnx.TensorProto.BOOL


@dataclass(frozen=True)
class Port:
    """An input, an output or a state of a graph.

    Attributes:
        name: name of the tensor.
        dtype: element type, a constant of onnx.TensorProto.
        shape: sizes; names for free axes.
    """

    name: str
    dtype: int
    shape: Shape

    def value_info(self) -> onnx.ValueInfoProto:
        """The port as an ONNX value."""
        return helper.make_tensor_value_info(self.name, self.dtype, self.shape)

    def renamed(self, name: str) -> Port:
        """The same port under another name."""
        return Port(name, self.dtype, self.shape)


@dataclass(frozen=True)
class Graph:
    """A graph to append to. A body (of a ``Scan``) has its own nodes, and shares names and constants with the file.

    Attributes:
        portable: True for a graph that other runtimes compute too. Some compute products of matrices, divisions and
            largest values of int32 in float32, so their operands and results stay below 2^24 or have as few significant
            bits. Operators that some runtimes lack are left out.
        nodes: nodes, in the order of computation.
        constants: tensors by name; the outermost graph also holds those of bodies.
        uses: number of requests of each name. It makes names unique, and the same in every run.
    """

    portable: bool = False
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)
    uses: Counter[str] = field(default_factory=Counter)

    def body(self) -> Graph:
        """Create a graph for a body inside this one."""
        return Graph(self.portable, [], self.constants, self.uses)

    def unique(self, name: str) -> str:
        """Return ``name``, or ``name_1``, ``name_2`` and so on if it is taken."""
        count = self.uses[name]
        self.uses[name] += 1
        return f"{name}_{count}" if count else name

    def add(self, op: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Append a node with one output and return the output's name, made from ``name`` or the operator."""
        output = self.unique(name or op)
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def add_many(self, op: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> tuple[str, ...]:
        """Append a node with several outputs and return their names. An empty name omits an output."""
        names = tuple(self.unique(output) if output else "" for output in outputs)
        self.nodes.append(helper.make_node(op, inputs, names, name=next(n for n in names if n), **attributes))
        return names

    def rename(self, name: str, output: str) -> str:
        """Give a value a second name, for an output of the graph."""
        return self.add("Identity", name, name=output)

    def constant(self, value: NDArray[Any], name: str) -> str:
        """Add a constant tensor and return its unique name. A portable graph stores an equal tensor of a name once."""
        tensor = numpy_helper.from_array(np.ascontiguousarray(value), name)
        if self.portable and self.constants.get(name) == tensor:
            return name
        unique = self.unique(name)
        self.constants[unique] = numpy_helper.from_array(np.ascontiguousarray(value), unique)
        return unique

    def scalar(self, value: int, dtype: type[np.generic] = np.int32) -> str:
        """Add a constant number and return its name. Equal numbers are stored once."""
        name = f"{np.dtype(dtype).name}.{value}"
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.array(value, dtype=dtype), name)
        return name

    def axes(self, *values: int) -> str:
        """Add a constant int64 [n] for axes or sizes and return its name. Equal lists are stored once."""
        name = "axes." + ".".join(str(value) for value in values)
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.array(values, dtype=np.int64), name)
        return name

    def true(self) -> str:
        """True, as bool [1, 1], for a graph that releases of ONNX Runtime which compute it wrongly must refuse.

        It is the ``Trilu`` of a constant. ONNX Runtime has this operator for booleans since 1.19, so earlier releases
        do not load the graph. Later ones compute it when they load the graph. A body takes it from the outermost graph,
        which has to ask first.
        """
        if not self.uses[_TRUE]:
            self.add("Trilu", self.constant(np.ones((1, 1), dtype=np.bool_), "true"), name=_TRUE)
        return _TRUE

    def int32(self, value: str) -> str:
        """Cast to int32."""
        return self.add("Cast", value, to=INT32)

    def zeros(self, port: Port, like: str) -> str:
        """Zeros of a port's type and shape [batch, N], with the batch size of ``like``."""
        batch = self.add("Shape", like, start=0, end=1)
        shape = self.add("Concat", batch, self.axes(*(int(size) for size in port.shape[1:])), axis=0)
        value = helper.make_tensor("zero", port.dtype, [1], [0])
        return self.add("ConstantOfShape", shape, name=f"{port.name}.zero", value=value)


def side_by_side(graph: Graph, values: Sequence[str], *, axis: int) -> str:
    """Concatenate values; a single one is itself."""
    return values[0] if len(values) == 1 else graph.add("Concat", *values, axis=axis)


def add_scan(
    graph: Graph,
    body: Graph,
    inputs: list[Port],
    outputs: list[Port],
    start: list[str],
    scanned: tuple[str, ...],
    results: tuple[str, ...],
    *,
    axis: int = 1,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Append a ``Scan`` over time.

    Args:
        graph: graph to append to.
        body: graph of one step.
        inputs: inputs of the body: the states, then one slice of each scanned tensor.
        outputs: outputs of the body: the next states, then one slice of each result.
        start: initial states.
        scanned: tensors to scan, [batch, time, N].
        results: names of the results, [batch, time, N].
        axis: axis of time in what is scanned and in the results.

    Returns:
        The names of the last states, and of the results.
    """
    step = helper.make_graph(
        body.nodes, "step", [port.value_info() for port in inputs], [port.value_info() for port in outputs]
    )
    names = graph.add_many(
        "Scan",
        [*start, *scanned],
        [*(f"{port.name}.last" for port in outputs[: len(start)]), *results],
        body=step,
        num_scan_inputs=len(scanned),
        scan_input_axes=[axis] * len(scanned),
        scan_output_axes=[axis] * len(results),
    )
    return names[: len(start)], names[len(start) :]


def needed(nodes: Sequence[onnx.NodeProto], outputs: Sequence[str]) -> list[onnx.NodeProto]:
    """The nodes on which outputs depend, in their order."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]


def to_model(
    graph: Graph,
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    *,
    name: str,
    doc: str,
    metadata: Mapping[str, str],
) -> onnx.ModelProto:
    """Create the ONNX model from nodes, constants, typed inputs and outputs, and metadata sorted by name."""
    proto = helper.make_model(
        helper.make_graph(
            graph.nodes,
            name,
            [port.value_info() for port in inputs],
            [port.value_info() for port in outputs],
            initializer=[graph.constants[key] for key in sorted(graph.constants)],
            doc_string=doc,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="edge_seq",
    )
    helper.set_model_props(proto, dict(sorted(metadata.items())))
    return proto
