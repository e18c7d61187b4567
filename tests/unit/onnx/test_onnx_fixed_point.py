"""Each integer primitive, as nodes in ONNX Runtime, equals its definition at every awkward value."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from edge_seq.arithmetic import fixed_point as definition
from edge_seq.arithmetic.tables import ARGUMENT_MAX, table_argument, table_tanh
from edge_seq.backends.onnx import fixed_point as nodes
from edge_seq.backends.onnx.graph import INT32, Graph, Port, to_model

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


def evaluate(build: Callable[[Graph, str], str], values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Run a graph of one input ``x``, int32 [n]."""
    graph = Graph()
    x = Port(graph.unique("x"), INT32, ("n",))
    y = graph.rename(build(graph, "x"), "y")
    proto = to_model(graph, [x], [Port(y, INT32, ("n",))], name="test", doc="", metadata={})
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": values.astype(np.int32)})[0].astype(np.int64)


def awkward_int32() -> NDArray[np.int64]:
    """Extreme values, powers of two and their neighbours of either sign, and 100,000 random values."""
    powers = 2 ** np.arange(31, dtype=np.int64)
    near = np.concatenate([sign * powers + delta for sign in (-1, 1) for delta in (-1, 0, 1)])
    random = np.random.default_rng(5).integers(INT32_MIN, INT32_MAX + 1, 100_000)
    return np.concatenate([near, [0, INT32_MIN, INT32_MIN + 1, INT32_MAX - 1, INT32_MAX], random])


@pytest.mark.parametrize("bits", [0, 1, 4, 7, 12, 15, 16, 23, 30])
def test_floor_shift_of_any_int32(bits: int) -> None:
    values = awkward_int32()
    assert np.array_equal(evaluate(lambda g, x: nodes.floor_shift(g, x, bits), values), values >> bits)


@pytest.mark.parametrize("bits", [0, 1, 8, 15, 23])
def test_rounding_shift_where_the_half_fits(bits: int) -> None:
    values = awkward_int32()
    values = values[values + (1 << bits >> 1) <= INT32_MAX]
    found = evaluate(lambda g, x: nodes.rounding_shift(g, x, bits), values)
    assert np.array_equal(found, definition.rounding_shift(values, bits))


def test_shift_by_gives_each_unit_its_own() -> None:
    bits, rounds = np.array([0, 8, 15, 23]), np.array([False, True, False, True])
    values = awkward_int32()
    values = values[np.abs(values) <= 2**30][:50_000].reshape(-1, 4)
    shifts = nodes.Shifts.of(bits, rounds)

    def build(graph: Graph, x: str) -> str:
        constants = [graph.constant(array, name) for name, array in vars(shifts).items()]
        columns = graph.add("Reshape", x, graph.axes(-1, 4))
        return graph.add("Reshape", nodes.shift_by(graph, columns, *constants), graph.axes(-1))

    expected = np.where(rounds, values + (1 << bits >> 1), values) >> bits
    assert np.array_equal(evaluate(build, values.ravel()).reshape(-1, 4), expected)


@pytest.mark.parametrize("factor", [1, 2, 255, 16384, 32766, 32767])
@pytest.mark.parametrize("signed", [False, True])
def test_mulw_of_any_int32(factor: int, signed: bool) -> None:
    values = awkward_int32()
    for sign in (1, -1) if signed else (1,):
        found = evaluate(
            lambda g, x, f=factor * sign: nodes.mulw(g, x, g.scalar(f), factor_is_signed=signed),  # type: ignore[misc]
            values,
        )
        assert np.array_equal(found, definition.mulw(values, np.int64(factor * sign)))


def test_table_at_every_argument() -> None:
    arguments = np.arange(ARGUMENT_MAX + 1)
    assert np.array_equal(evaluate(nodes.table_tanh, arguments), table_tanh(arguments))


def test_sigmoid_at_every_tanh() -> None:
    tanh = np.arange(-32767, 32768)
    assert np.array_equal(evaluate(nodes.sigmoid_of_tanh, tanh), (tanh >> 1) + 2**14)


def test_saturation() -> None:
    values = awkward_int32()
    assert np.array_equal(evaluate(nodes.saturate16, values), definition.saturate16(values))
    assert np.array_equal(evaluate(nodes.table_argument, values), table_argument(values))
