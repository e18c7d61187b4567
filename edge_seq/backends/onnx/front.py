"""Layers between the features and the first recurrent layer (SPEC.md, section 6), for one sample, as nodes.

A ring is a tensor [batch, (reach + 1) I] of the last inputs, the oldest first. Every value is computed at every sample,
and kept where its layer runs: each stream of a batch has its own count of samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_seq.backends.onnx.graph import BATCH, Graph, Port
from edge_seq.ir.front import Conv, FrontLayer, TimePool
from edge_seq.ir.model import FloatModel, IntFormat, IntModel


def front_states(model: FloatModel | IntModel, dtype: int) -> tuple[Port, ...]:
    """States ``front0.ring`` [batch, (reach + 1) I] and ``front0.output`` [batch, R] of each front layer."""
    front: tuple[FrontLayer[Any], ...] = model.front
    sizes = zip(front, model.front_inputs, model.front_sizes, strict=True)
    return tuple(
        Port(f"front{index}.{name}", dtype, (BATCH, size))
        for index, (layer, units, outputs) in enumerate(sizes)
        for name, size in (("ring", (layer.reach + 1) * units), ("output", outputs))
    )


@dataclass(frozen=True)
class Steps:
    """When layers run.

    Attributes:
        number: number of inputs, or of steps, since the window began, this one included, int32 [batch, 1].
        runs: true where there is one at this sample, bool [batch, 1]; empty if there always is.
    """

    number: str
    runs: str = ""

    def kept(self, graph: Graph, new: str, old: str) -> str:
        """The new value where there is a step, else the old one."""
        return graph.add("Where", self.runs, new, old) if self.runs else new


# Appends the computation of a layer's output [batch, R] from the inputs that it sees, the oldest first, [batch, n I].
Output = Callable[[int, FrontLayer[Any], str], str]


@dataclass(frozen=True)
class Given:
    """An input of a front layer.

    Attributes:
        layer: index of the layer.
        value: the input, [batch, I]; that of the first layer is the features.
        steps: its number since the window began, and whether there is one.
    """

    layer: int
    value: str
    steps: Steps


def given_at_a_sample(graph: Graph, model: FloatModel | IntModel, features: str, count: str) -> list[Given]:
    """What front layers get at a sample, in this order: the features, and at a window's end the zeros behind it.

    Args:
        graph: graph to append to.
        model: model with the layers.
        features: features, [batch, C].
        count: samples since the window began, this one included, int32 [batch, 1].
    """
    front: tuple[FrontLayer[Any], ...] = model.front
    given = [Given(0, features, Steps(count))]
    if not any(layer.after for layer in front):
        return given
    ends = graph.add("Equal", count, graph.scalar(model.contract.window_length), name="front_ends")
    dtype = np.int32 if isinstance(model.number_format, IntFormat) else np.float32
    column = graph.add("Slice", features, graph.axes(0), graph.axes(1), graph.axes(1))
    nothing = graph.add("Mul", column, graph.scalar(0, dtype))  # [batch, 1]
    numbers = zip(front, model.front_inputs, model.front_inputs_at_end, strict=True)
    for index, (layer, units, number) in enumerate(numbers):
        if not layer.after:
            continue
        pad = layer.pad if isinstance(layer, Conv) and layer.pad else (0,) * units
        zeros = graph.add("Add", nothing, graph.constant(np.array([pad], dtype=dtype), f"front{index}.behind"))
        for more in range(layer.after):
            at = graph.add("Add", graph.add("Mul", count, graph.scalar(0)), graph.scalar(number + more + 1))
            given.append(Given(index, zeros, Steps(at, ends)))
    return given


def step_front(
    graph: Graph,
    model: FloatModel | IntModel,
    given: Given,
    states: Mapping[str, str],
    output: Output,
    pad: tuple[int, ...] = (),
) -> tuple[str, Steps, dict[str, str]]:
    """Append the front layers from one of them up.

    Args:
        graph: graph to append to.
        model: model with the layers.
        given: input of that layer.
        states: current states, named as in :func:`front_states`.
        output: computation of a layer.
        pad: what stands for samples before the window in the first layer, [C]; empty for zeros.

    Returns:
        Input of the first recurrent layer, when it runs, and the next states of these layers.
    """
    below, steps, after = given.value, given.steps, {}
    front: tuple[FrontLayer[Any], ...] = model.front
    for index, (layer, units) in enumerate(zip(front, model.front_inputs, strict=True)):
        if index < given.layer:
            continue
        ring, last = f"front{index}.ring", f"front{index}.output"
        shifted = below
        if layer.reach:
            end = graph.axes((layer.reach + 1) * units)
            younger = graph.add("Slice", states[ring], graph.axes(units), end, graph.axes(1))
            shifted = graph.add("Concat", younger, below, axis=1)
        after[ring] = steps.kept(graph, shifted, states[ring])
        ages = layer.ages if isinstance(layer, Conv) else tuple(range(layer.reach, -1, -1))
        columns = ((layer.reach - np.array(ages))[:, None] * units + np.arange(units)).ravel()
        chosen = graph.constant(columns.astype(np.int64), f"front{index}.columns")
        seen = graph.add("Gather", after[ring], chosen, axis=1)
        if index == 0 and pad:
            of_column = graph.constant(np.repeat(ages, units).astype(np.int32)[None], "front0.ages")
            before = graph.add("GreaterOrEqual", of_column, steps.number)
            counts = np.tile(np.array(pad, dtype=np.int32), len(ages))
            seen = graph.add("Where", before, graph.constant(counts, "front0.pad"), seen)
        following = _following(graph, layer, steps)
        after[last] = following.kept(graph, output(index, layer, seen), states[last])
        below, steps = after[last], following
    return below, steps, after


def reduced(graph: Graph, op: str, layer: TimePool, seen: str) -> str:
    """A reduction over the inputs that a pool over time sees: [batch, size I] to [batch, I]."""
    return graph.add(op, graph.add("Reshape", seen, graph.axes(0, layer.size, -1)), graph.axes(1), keepdims=0)


def _following(graph: Graph, layer: FrontLayer[Any], steps: Steps) -> Steps:
    """When the layer after this one runs: at input first + 1, then every stride inputs."""
    past = graph.add("Sub", steps.number, graph.scalar(1 + layer.first))
    stride = graph.scalar(layer.stride)
    reached = graph.add("Max", graph.add("Add", past, stride), graph.scalar(0))
    outputs = graph.add("Div", reached, stride)
    # reached is a multiple of the stride, and above 0, at an output
    exact = graph.add("Equal", graph.add("Mul", outputs, stride), reached)
    runs = graph.add("And", exact, graph.add("Greater", reached, graph.scalar(0)))
    return Steps(outputs, graph.add("And", runs, steps.runs) if steps.runs else runs)
