"""Integer preprocessing (SPEC.md, section 3) as nodes, shared by float and integer graphs. It is defined by
:mod:`edge_seq.backends.preprocess`."""

from __future__ import annotations

import numpy as np
from typing_extensions import assert_never

from edge_seq.arithmetic.fixed_point import COMPANDED_FRAC_BITS, GRAVITY_FRAC_BITS
from edge_seq.backends.onnx.fixed_point import floor_shift, rounding_shift, saturate16
from edge_seq.backends.onnx.graph import BATCH, BOOL, FLOAT, INT32, Graph, Port, add_scan
from edge_seq.ir.contract import COUNT_MAX, Preprocessing, SensorContract

MEMORY, PRIMED = "preprocess.memory", "preprocess.primed"
_TOP_BIT = 15  # of a magnitude that companding has raised


def preprocess_states(contract: SensorContract) -> tuple[Port, ...]:
    """States of the preprocessing: int32 [batch, C] and bool [batch, 1], zero after a reset. Empty for ``none``."""
    if contract.preprocessing.step == "none":
        return ()
    return Port(MEMORY, INT32, (BATCH, contract.num_channels)), Port(PRIMED, BOOL, (BATCH, 1))


def preprocess_step(
    graph: Graph, counts: str, states: dict[str, str], contract: SensorContract
) -> tuple[str, dict[str, str]]:
    """Append the preprocessing of one sample.

    Args:
        graph: graph to append to.
        counts: raw counts, int32 [batch, C].
        states: current states, named as in :func:`preprocess_states`.
        contract: sensor contract with the preprocessing, and with the axes of magnitudes.

    Returns:
        Features int32 [batch, F], and the next states.
    """
    preprocessing = contract.preprocessing
    match preprocessing.step:
        case "none":
            return _after_step(graph, counts, contract), {}
        case "difference":
            change = graph.add("Sub", counts, states[MEMORY])
            feature = graph.add("Where", states[PRIMED], change, graph.scalar(0))
            memory = counts
        case "remove_gravity":
            target = graph.add("Mul", counts, graph.scalar(1 << GRAVITY_FRAC_BITS))
            way = graph.add("Sub", target, states[MEMORY])
            part = floor_shift(graph, way, preprocessing.gravity_shift)
            memory = graph.add("Where", states[PRIMED], graph.add("Add", states[MEMORY], part), target)
            feature = graph.add("Sub", counts, rounding_shift(graph, memory, GRAVITY_FRAC_BITS))
        case unreachable:
            assert_never(unreachable)
    primed = graph.add("Or", states[PRIMED], graph.scalar(1, np.bool_))  # true, for each stream of the batch
    return _after_step(graph, saturate16(graph, feature), contract), {MEMORY: memory, PRIMED: primed}


def _after_step(graph: Graph, feature: str, contract: SensorContract) -> str:
    """What the step gives, int32 [..., C] that fits 16 bits, with magnitudes and through the logarithm: [..., F]."""
    if contract.magnitude_axes:
        feature = graph.add("Concat", feature, _magnitudes(graph, feature, contract), axis=-1)
    return _companded(graph, feature, contract.preprocessing)


def _magnitudes(graph: Graph, feature: str, contract: SensorContract) -> str:
    """floor(sqrt(x^2 + y^2 + z^2)), at most 32767, of each three axes: int32 [..., M].

    Axes and sums stop where the result is 32767, which changes no result and lets a sum of two fit 32 bits. The root of
    a float32 is only a guess: with the roundings of the number to 24 bits and of the root it is less than 0.01 off,
    whatever a runtime's last bits are, so its whole part is the result or one beside it. The squares of both
    neighbours, at most 2^30, say which.
    """
    most = graph.scalar(COUNT_MAX**2)
    limited = graph.add("Clip", feature, graph.scalar(-COUNT_MAX), graph.scalar(COUNT_MAX))
    total = ""
    for axis in range(3):
        index = np.array([triple[axis] for triple in contract.magnitude_axes], dtype=np.int64)
        one = graph.add("Gather", limited, graph.constant(index, f"magnitude.axis{axis}"), axis=-1)
        square = graph.add("Mul", one, one)
        if total:
            square = graph.add("Add", total, square)
            square = graph.add("Where", _is_above(graph, square, most), most, square)
        total = square
    guess = graph.int32(graph.add("Sqrt", graph.add("Cast", total, to=FLOAT)))
    above = _is_above(graph, graph.add("Mul", guess, guess), total)
    root = graph.add("Sub", guess, graph.int32(above))
    larger = graph.add("Add", root, graph.scalar(1))
    above = _is_above(graph, graph.add("Mul", larger, larger), total)
    return graph.add("Where", above, root, larger, name="magnitude")


def _is_above(graph: Graph, value: str, limit: str) -> str:
    """True where an int32 is above another. The sign of the difference, which fits 32 bits, is not lost in float32."""
    return graph.add("Greater", graph.add("Sub", value, limit), graph.scalar(0))


def _companded(graph: Graph, feature: str, preprocessing: Preprocessing) -> str:
    """The feature, int32 of any shape that fits 16 bits, through the logarithm of ``companding``.

    The pieces are lines of falling slope, of which the lowest is the one that holds: with u = |f| + 2^k the smallest of
    2^(15 - e) u + 2^15 (e - k - 1), e = k .. 15, is the magnitude with four bits more. No line exceeds 32 bits. A
    runtime that computes in float32 rounds lines above the lowest one, which does not bring them below it.
    """
    bits = preprocessing.companding
    if bits is None:
        return feature
    raised = graph.add("Add", graph.add("Abs", feature), graph.scalar(1 << bits))
    lines = []
    for exponent in range(bits, _TOP_BIT + 1):
        rise = graph.add("Mul", raised, graph.scalar(1 << (_TOP_BIT - exponent)))
        lines.append(graph.add("Add", rise, graph.scalar((exponent - bits - 1) << _TOP_BIT)))
    magnitude = floor_shift(graph, graph.add("Min", *lines), _TOP_BIT - COMPANDED_FRAC_BITS)
    negative = graph.add("Less", feature, graph.scalar(0))
    return graph.add("Where", negative, graph.add("Sub", graph.scalar(0), magnitude), magnitude)


def preprocess_window(graph: Graph, counts: str, contract: SensorContract) -> str:
    """Append the preprocessing of a whole window from a reset: int32 [batch, time, C] to [batch, time, F].

    ``difference`` is one subtraction of shifted slices, which every runtime supports. The low-pass of
    ``remove_gravity``, which rounds in each step, needs a ``Scan``.
    """
    match contract.preprocessing.step:
        case "none":
            return _after_step(graph, counts, contract)
        case "difference":
            first = graph.add("Slice", counts, graph.axes(0), graph.axes(1), graph.axes(1))
            all_but_last = graph.add("Slice", counts, graph.axes(0), graph.axes(-1), graph.axes(1))
            before = graph.add("Concat", first, all_but_last, axis=1)
            feature = saturate16(graph, graph.add("Sub", counts, before))
            return _after_step(graph, feature, contract)
        case "remove_gravity":
            return _scan(graph, counts, contract)
        case unreachable:
            assert_never(unreachable)


def _scan(graph: Graph, counts: str, contract: SensorContract) -> str:
    ports = preprocess_states(contract)
    start = [graph.zeros(port, like=counts) for port in ports]
    body = graph.body()
    before = {port.name: graph.unique(port.name) for port in ports}
    sample = Port(graph.unique("sample"), INT32, (BATCH, contract.num_channels))
    feature, after = preprocess_step(body, sample.name, before, contract)
    features = Port(feature, INT32, (BATCH, contract.num_features))
    outputs = [*(port.renamed(after[port.name]) for port in ports), features]
    inputs = [*(port.renamed(before[port.name]) for port in ports), sample]
    _, (scanned,) = add_scan(graph, body, inputs, outputs, start, (counts,), ("features",))
    return scanned
