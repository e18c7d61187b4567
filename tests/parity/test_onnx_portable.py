"""The portable graphs give the reference's integers in runtimes that compute integers in float32 or lack operators."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from edge_seq.backends.onnx import int_export, other_runtimes
from edge_seq.backends.onnx.graph import Graph
from edge_seq.backends.onnx.int_export import MAX_UNROLLED, export_onnx_int
from edge_seq.backends.onnx.other_runtimes import TVM, in_runtime, installed_runtimes
from edge_seq.backends.onnx.run import OnnxModel, open_onnx, run_window
from edge_seq.backends.reference_int import run_reference
from edge_seq.data.recording import Windows
from edge_seq.ir.model import IntModel
from edge_seq.parity.inputs import choose_inputs
from edge_seq.parity.int_rungs import other_runtime_rung
from edge_seq.parity.onnx_outputs import step_outputs
from edge_seq.support.errors import ExportError, ToolError
from tests import zoo

ZOO = {model.name: model for model in zoo.awkward_models()}
# By default each cell once, with convolutions, pools over time, dense layers, every readout, decisions and distances.
FEW = (
    "rnn_decided",
    "gru_distance",
    "lstm_mixed_extreme",
    "fastgrnn_deep",
    "lstm_decided_extreme",
    "gru_carry_extreme",
)


def some(names: tuple[str, ...]) -> list[Any]:
    """All models of the zoo; by default only those named."""
    return [pytest.param(name, marks=() if name in names else pytest.mark.slow) for name in ZOO]


class _OfFloats(OpRun):
    op_domain = ""


class MatMul(_OfFloats):
    """As OpenVINO computes it."""

    def _run(self, a: NDArray[Any], b: NDArray[Any]) -> tuple[NDArray[Any]]:
        return ((a.astype(np.float32) @ b.astype(np.float32)).astype(a.dtype),)


class Div(_OfFloats):
    """As OpenVINO computes it."""

    def _run(self, a: NDArray[Any], b: NDArray[Any]) -> tuple[NDArray[Any]]:
        return (np.trunc(a.astype(np.float32) / b.astype(np.float32)).astype(a.dtype),)


class ReduceSum(_OfFloats):
    """As OpenVINO computes it."""

    def _run(self, x: NDArray[Any], axes: NDArray[Any], keepdims: int = 1, **_: Any) -> tuple[NDArray[Any]]:
        total = x.astype(np.float32).sum(axis=tuple(axes.tolist()), keepdims=bool(keepdims), dtype=np.float32)
        return (total.astype(x.dtype),)


class ReduceMax(_OfFloats):
    """In float32."""

    def _run(
        self, x: NDArray[Any], axes: NDArray[Any] | None = None, keepdims: int = 1, **_: Any
    ) -> tuple[NDArray[Any]]:
        along = None if axes is None else tuple(axes.tolist())
        most = np.asarray(x.astype(np.float32).max(axis=along, keepdims=bool(keepdims)))
        return (most.astype(x.dtype),)


class ArgMax(_OfFloats):
    """In float32."""

    def _run(self, x: NDArray[Any], axis: int = 0, keepdims: int = 1, **_: Any) -> tuple[NDArray[Any]]:
        found = x.astype(np.float32).argmax(axis=axis)
        return (np.expand_dims(found, axis) if keepdims else found,)


class GatherElements(_OfFloats):
    """The evaluator's own takes tables of 64 entries at most."""

    def _run(self, data: NDArray[Any], indices: NDArray[Any], axis: int = 0) -> tuple[NDArray[Any]]:
        return (np.take_along_axis(data, indices, axis=axis),)


def in_floats(proto: onnx.ModelProto) -> other_runtimes.Compute:
    evaluator = ReferenceEvaluator(proto, new_ops=[MatMul, Div, ReduceSum, ReduceMax, ArgMax, GatherElements])
    return lambda inputs: evaluator.run(None, inputs)


@pytest.fixture
def floats(monkeypatch: pytest.MonkeyPatch) -> str:
    """A runtime that computes products, divisions, sums and largest values of integers in float32."""
    monkeypatch.setitem(other_runtimes._RUNTIMES, "floats", ("onnx", in_floats))
    return "floats"


def counts_of(model: IntModel, time_steps: int) -> NDArray[np.int16]:
    size = (time_steps, model.num_channels)
    return np.concatenate(
        [zoo.random_counts(2, *size), zoo.random_counts(2, *size, sigma=300), zoo.extreme_counts(*size)]
    )


def require_steps(exported: OnnxModel, model: IntModel, counts: NDArray[np.int16]) -> None:
    values, expected = step_outputs(exported, counts, np.int64).values, run_reference(model, counts).values
    for name in ("logits", "label", "decision"):
        assert (name in values) == (name in expected)
        if name in values:
            assert np.array_equal(values[name], expected[name]), name


@pytest.mark.parametrize("name", some(FEW))
def test_steps_in_every_runtime(name: str, floats: str) -> None:
    model = ZOO[name]
    exported = open_onnx(export_onnx_int(model, form="step"))
    counts = counts_of(model, model.contract.window_length + 2)
    compile_slowly = () if name == "gru_carry_extreme" else (TVM,)
    for runtime in (*(one for one in installed_runtimes() if one not in compile_slowly), floats):
        require_steps(in_runtime(exported, runtime), model, counts)


@pytest.mark.parametrize("name", some(("rnn_decided", "gru_distance", "fastgrnn_deep")))
def test_windows_without_a_scan(name: str, floats: str) -> None:
    model = ZOO[name]
    exported = open_onnx(export_onnx_int(model, form="window", portable=True))
    counts = counts_of(model, model.contract.window_length)
    expected = run_reference(model, counts)
    each = model.readout.label_every == "sample"
    for one in (exported, in_runtime(exported, floats) if len(exported.proto.graph.node) < 3000 else exported):
        outputs = run_window(one, counts)
        for output, values in outputs.items():
            given = expected.values[output] if output == "logits" else expected.values[output][:, :, 0]
            assert np.array_equal(values, given if each else given[:, -1]), output
        assert set(outputs) == {"logits", "label", *(["decision"] if model.readout.decision else [])}


def test_the_fast_operators_are_not_exact_in_floats(floats: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If they were, the tests above would show nothing."""
    monkeypatch.setattr(int_export, "Graph", lambda portable: Graph())
    model = ZOO["gru_wide_extreme"]
    exported = open_onnx(export_onnx_int(model, form="step"))
    counts = zoo.random_counts(50, model.contract.window_length + 2, model.num_channels)
    require_steps(exported, model, counts)
    with pytest.raises(AssertionError):
        require_steps(in_runtime(exported, floats), model, counts)


def constants_of(graph: onnx.GraphProto) -> dict[str, NDArray[Any]]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def portable_graphs() -> Iterator[onnx.GraphProto]:
    for name in FEW:
        yield export_onnx_int(ZOO[name], form="step").graph
    yield export_onnx_int(ZOO["rnn_decided"], form="window", portable=True).graph
    wide = zoo.extreme_model(zoo.spec("gru", 600, 8, channels=40))
    yield export_onnx_int(wide, form="step").graph


def test_no_sum_of_a_product_reaches_24_bits() -> None:
    for graph in portable_graphs():
        operators = {node.op_type for node in graph.node}
        assert not operators & {"Scan", "Loop", "GatherElements", "TopK", "BitShift"}
        # Only a bidirectional layer, which keeps its inputs, computes the end of a window in an If.
        assert "If" not in operators or any(one.name.endswith(".inputs") for one in graph.input)
        constants = constants_of(graph)
        for node in graph.node:
            if node.op_type == "MatMul":
                (matrix,) = [constants[one] for one in node.input if one in constants]
                assert np.abs(matrix.astype(np.int64)).sum(axis=0).max() * 255 < 2**24


@pytest.mark.parametrize("name", ["gru_distance", "rnn_decided"])  # a label after each sample; one at the window's end
def test_long_windows_in_a_loop(name: str, floats: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ZOO[name]
    counts = counts_of(model, model.contract.window_length)
    expected = run_window(open_onnx(export_onnx_int(model, form="window")), counts)
    monkeypatch.setattr(int_export, "MAX_UNROLLED", 0)
    looped = open_onnx(export_onnx_int(model, form="window", portable=True))
    assert [node.op_type for node in looped.proto.graph.node].count("Loop") == 1
    runtimes = [in_runtime(looped, one) for one in installed_runtimes() if one != TVM]  # TVM has no Loop
    for one in (looped, *runtimes):
        outputs = run_window(one, counts)
        assert set(outputs) == set(expected) == {"logits", "label", "decision"}
        for output, values in outputs.items():
            assert np.array_equal(values, expected[output]), output


def test_only_long_windows_have_a_loop() -> None:
    long = zoo.quantized_model(zoo.spec("rnn", 2, window_length=MAX_UNROLLED + 1))
    exported = open_onnx(export_onnx_int(long, form="window", portable=True))
    assert "Loop" in {node.op_type for node in exported.proto.graph.node}
    counts = counts_of(long, MAX_UNROLLED + 1)
    logits = run_reference(long, counts).values["logits"]
    assert np.array_equal(run_window(exported, counts)["logits"], logits[:, -1] if logits.ndim == 3 else logits)
    with pytest.raises(ExportError, match="the portable window graph has no trace"):
        export_onnx_int(ZOO["rnn_car"], form="window", portable=True, trace=True)


def used_in(graph: onnx.GraphProto, name: str) -> bool:
    """True if an operator of the graph or of its bodies takes the value."""
    bodies = [attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")]
    return any(name in node.input for node in graph.node) or any(used_in(body, name) for body in bodies)


@pytest.mark.parametrize("name", FEW)
def test_releases_that_compute_wrongly_refuse_every_graph(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have no ``Trilu`` for booleans, as docs/results/onnx_runtimes.md shows. Its result is used, so that no
    optimiser may leave it out."""
    graphs = [export_onnx_int(ZOO[name], form="step"), export_onnx_int(ZOO[name], form="window")]
    graphs.append(export_onnx_int(ZOO[name], form="window", portable=True))
    monkeypatch.setattr(int_export, "MAX_UNROLLED", 0)
    graphs.append(export_onnx_int(ZOO[name], form="window", portable=True))
    for proto in graphs:
        (gate,) = [node for node in proto.graph.node if node.op_type == "Trilu"]
        assert gate.name == "needs_onnxruntime_1.19"
        assert np.array_equal(constants_of(proto.graph)[gate.input[0]], [[True]])
        assert used_in(proto.graph, gate.output[0])
        assert {entry.key: entry.value for entry in proto.metadata_props}["edge_seq.min_onnxruntime"] == "1.19"


def test_a_rung_of_a_runtime_that_refuses_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(proto: onnx.ModelProto) -> other_runtimes.Compute:
        raise RuntimeError("no such operator")

    model = ZOO["rnn_car"]
    path = tmp_path / "step.onnx"
    path.write_bytes(export_onnx_int(model, form="step").SerializeToString())
    counts = counts_of(model, model.contract.window_length)
    windows = Windows(counts, np.zeros(len(counts), np.int16), np.array([str(index) for index in range(len(counts))]))
    inputs = choose_inputs(windows, model, max_windows=4, extreme_windows=2)
    monkeypatch.setitem(other_runtimes._RUNTIMES, "other", ("onnx", refuse))
    rung = other_runtime_rung("r", path, model, inputs, "other")
    assert (rung.verdict, rung.kind) == ("skipped", "exact")
    assert rung.detail == "running ONNX in other: it refuses the graph (no such operator); run it in ONNX Runtime"


def test_a_runtime_that_is_missing_or_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    exported = open_onnx(export_onnx_int(ZOO["rnn_car"], form="step"))
    monkeypatch.setitem(other_runtimes._RUNTIMES, "other", ("no_such_package", in_floats))
    with pytest.raises(ToolError, match="running ONNX in other: it is not installed; pip install no_such_package"):
        in_runtime(exported, "other")

    def refuse(proto: onnx.ModelProto) -> other_runtimes.Compute:
        raise RuntimeError("no\n such operator")

    monkeypatch.setitem(other_runtimes._RUNTIMES, "other", ("onnx", refuse))
    with pytest.raises(ToolError, match=r"in other: it refuses the graph \(no such operator\); run it in ONNX Runtime"):
        in_runtime(exported, "other")
