"""Networks of other frameworks as a chain of typed records, which every front end makes and one place lowers.

A front end reads a file or a module and lists what the network does, in the order of computation:
:class:`ImportedChain`. :func:`edge_seq.frontends.lower.lower` turns the chain into a float model. So a new format is
one front end, and a layer that the model learns to represent is lowered at one place for all formats.

Records before a :class:`Collapse` act on each time step, records after it on the window. Matrices are [outputs,
inputs].
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_seq.ir.kinds import Layer
from edge_seq.ir.rows import FloatRows

Array = NDArray[np.float32]
Format = Literal["keras", "onnx", "torch"]
CollapseKind = Literal["last", "ends", "mean", "max", "mean_max", "flatten"]
# Order of the axes of a network's input; 1 is an axis of length 1, as networks with two-dimensional convolutions take.
InputAxes = Literal["BTC", "TBC", "BCT", "B1TC", "B1CT", "BTC1", "BT1C", "BC1T"]
PoolKind = Literal["max", "average"]
# What a network gives: the logits of the model, or a function of them. ``logit`` and ``sigmoid`` are of networks with
# one output: the logit and the probability of the second of two classes.
OutputFunction = Literal["none", "softmax", "log_softmax", "logit", "sigmoid"]


@dataclass(frozen=True)
class Record:
    """One operation of a chain.

    Attributes:
        name: name of the layer or node in the file, for messages.
    """

    name: str


@dataclass(frozen=True)
class Affine(Record):
    """A normalisation at inference: y = scale x + offset for each channel or unit.

    Attributes:
        scale, offset: [C] each, or [1] for all channels alike.
    """

    scale: Array
    offset: Array


@dataclass(frozen=True)
class Recurrent(Record):
    """A recurrent layer that runs forward from zero states, and gives a state for each step.

    Attributes:
        layer: its weights.
        output: name of the tensor with all its states [B, T, H] in the file; empty if the file has none.
    """

    layer: Layer[FloatRows]
    output: str = ""


@dataclass(frozen=True)
class Bidirectional(Record):
    """Two recurrent layers, one of which runs backwards; their states are concatenated.

    Attributes:
        forward, backward: their weights.
    """

    forward: Layer[FloatRows]
    backward: Layer[FloatRows]


@dataclass(frozen=True)
class Dense(Record):
    """A linear layer: y = W x + b.

    Attributes:
        weight: [O, I].
        bias: [O].
    """

    weight: Array
    bias: Array


@dataclass(frozen=True)
class Activate(Record):
    """A function of each value, or of all outputs for ``softmax`` and ``log_softmax``.

    Attributes:
        function: its name.
    """

    function: str


@dataclass(frozen=True)
class Convolution(Record):
    """A convolution over time.

    Attributes:
        weight: [O, I / groups, K], as in PyTorch and ONNX.
        bias: [O].
        stride, dilation, groups: whole numbers from 1.
        padding: zeros added before and after the window.
    """

    weight: Array
    bias: Array
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Pad(Record):
    """Zeros before and after the window, which belong to the convolution behind them.

    Attributes:
        padding: number of steps before and after.
    """

    padding: tuple[int, int]


@dataclass(frozen=True)
class Pool(Record):
    """Pooling over time.

    Attributes:
        kind: largest or average value.
        size, stride: in time steps.
        padding: steps added before and after the window.
    """

    kind: PoolKind
    size: int
    stride: int
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Collapse(Record):
    """One vector for the window, from the values of all steps.

    Attributes:
        kind: the ``last`` step; the ``ends``, the last state of each direction; ``mean`` or ``max`` of the steps;
            ``mean_max``, both, one after the other; ``flatten``, all steps in one vector, the first step first.
        steps: number of steps, with ``flatten`` where the file says it; otherwise 0.
    """

    kind: CollapseKind
    steps: int = 0


@dataclass(frozen=True)
class ImportedChain:
    """A network as a front end read it.

    Attributes:
        format: kind of the file.
        what: the file or module, for messages.
        input_size: channels of the input, C; None if the file does not say.
        time_steps: length of the window, T; None if the network takes any.
        records: operations in the order of computation.
        passed_over: layers that change nothing at inference, such as ``Dropout dropout_1``.
        input_axes: order of the axes of the network's input: batch, time and channel, and axes of length 1.
    """

    format: Format
    what: str
    input_size: int | None
    time_steps: int | None
    records: tuple[Record, ...]
    passed_over: tuple[str, ...] = ()
    input_axes: InputAxes = "BTC"

    def named(self, what: str) -> ImportedChain:
        """The same chain, called ``what`` in messages."""
        return dataclasses.replace(self, what=what)


def arranged(x: Array, axes: InputAxes) -> Array:
    """An input [B, T, C] with its axes in another order.

    >>> arranged(np.zeros((2, 50, 3), dtype=np.float32), "B1CT").shape
    (2, 1, 3, 50)
    """
    moved = x.transpose(["BTC".index(axis) for axis in axes if axis != "1"])
    return np.ascontiguousarray(np.expand_dims(moved, [place for place, axis in enumerate(axes) if axis == "1"]))


def float32(array: object) -> Array:
    """Copy numbers as a contiguous float32 array."""
    return np.ascontiguousarray(np.asarray(array), dtype=np.float32)
