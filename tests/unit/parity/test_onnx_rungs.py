"""The rungs of integer ONNX: every output and every state, and a fault in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_seq.backends.onnx.int_export import export_onnx_int
from edge_seq.backends.onnx.window import NEXT
from edge_seq.backends.reference_int import reset_state
from edge_seq.parity import int_rungs
from edge_seq.parity.inputs import Inputs
from edge_seq.parity.ladder import Rung
from edge_seq.support.errors import ModelError, ToolError
from tests.unit.parity.small import INPUTS, MODEL, WINDOWS, Counts, with_fault
from tests.zoo import DECISIONS, DISTANCES, Spec, convolution, quantized_model, random_counts, spec

GRAPHS: dict[str, Spec] = {
    "every sample": spec("gru", 3, window_length=3, step="difference", label_every="sample", at_window_end="carry"),
    "decision": DECISIONS["rnn"],
    "distance": DISTANCES["gru"],
    "front": spec("lstm", 3, 3, window_length=5, pooling="mean_max", front=(convolution(5, "relu", 3, stride=2),)),
}


@pytest.mark.parametrize("name", list(GRAPHS))
def test_exported_graphs_hold_and_a_fault_in_their_outputs_is_seen(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = quantized_model(GRAPHS[name], seed=2)
    length, counts = model.contract.window_length, random_counts(5, GRAPHS[name].window_length, model.num_channels)
    inputs = Inputs(WINDOWS, counts[:2], counts)
    for form in ("window", "step"):
        (tmp_path / f"{form}.onnx").write_bytes(export_onnx_int(model, form=form).SerializeToString())  # type: ignore[arg-type]
    window = int_rungs.int_window_rung("window", tmp_path / "window.onnx", model, inputs)
    steps = int_rungs.int_step_rung("step", tmp_path / "step.onnx", model, inputs)
    traced = int_rungs.trace_rung("trace", model, inputs)
    decides = model.readout.decision is not None
    every = length if model.readout.label_every == "sample" else 1
    for rung, values in ((window, 5 * every * (model.num_classes + 1 + decides)), (steps, None), (traced, None)):
        assert (rung.kind, rung.verdict, rung.comparison is None) == ("exact", "holds", False), rung
        assert values is None or (rung.comparison is not None and rung.comparison.values == values)
    assert steps.comparison is not None
    assert steps.comparison.steps == 5 * 2 * length
    outputs_of_graph = {one.name for one in export_onnx_int(model, form="step").graph.output}
    states = {one.removesuffix(NEXT) for one in outputs_of_graph if one.endswith(NEXT)}
    results = {"logits", "label", "decision"} if decides else {"logits", "label"}
    assert set(steps.comparison.names) == states | results, "all of them are compared"
    assert set(int_rungs.states_after_step(model, reset_state(model, 1))) == states

    last = (model.readout.decision and "decision") or "label"
    outputs = int_rungs.window_outputs
    monkeypatch.setattr(
        int_rungs, "window_outputs", lambda graph, part: with_fault(outputs(graph, part), last, (2, -1, 0))
    )
    wrong = int_rungs.int_window_rung("window", tmp_path / "window.onnx", model, inputs)
    assert wrong.detail.startswith(f"window 2, time step {length - 1}, {last}[0]")


def test_another_runtime_is_given_a_short_part_of_some_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Counts] = []
    monkeypatch.setattr(int_rungs, "open_export", lambda path, _: path)
    monkeypatch.setattr(int_rungs, "in_runtime", lambda path, runtime: (path, runtime))
    monkeypatch.setattr(int_rungs, "_step_rung", lambda n, e, m, counts, detail: given.append(counts) or detail)

    def shown(length: int, windows: int, runtime: str, *installed: str) -> str:
        monkeypatch.setattr(int_rungs, "is_installed", lambda one: one in installed)
        model = quantized_model(spec("rnn", 3, window_length=length))
        exact = np.arange(windows * length, dtype=np.int16).reshape(windows, length, 1)
        found = int_rungs.other_runtime_rung("r", Path("x"), model, Inputs(WINDOWS, exact, exact), runtime)
        chosen = np.unique(np.linspace(0, windows - 1, 8).astype(int))
        (last,) = given[-1:]
        shared = min(length, last.shape[1])
        assert np.array_equal(last[:, :shared], exact[chosen, :shared])
        return str(found)

    evaluator, openvino, tvm = int_rungs.EVALUATOR, int_rungs.OPENVINO, int_rungs.TVM
    whole = "the first 52 steps of 8 streams"
    assert shown(50, 30, evaluator, openvino, tvm) == whole
    assert shown(50, 30, evaluator, tvm) == f"{whole}; {openvino} would be compared too if installed"
    assert shown(50, 30, evaluator) == f"{whole}; {openvino} and {tvm} would be compared too if installed"
    assert shown(50, 5, openvino) == "the first 52 steps of 5 streams"
    assert shown(12, 30, openvino, openvino) == "the first 20 steps of 8 streams"
    assert shown(18, 30, openvino, openvino) == "the first 20 steps of 8 streams"
    assert shown(19, 30, openvino, openvino) == "the first 21 steps of 8 streams"
    assert shown(128, 3, openvino, openvino) == "the first 130 steps of 3 streams"
    assert shown(129, 3, openvino, openvino) == "the first 130 steps of 3 streams"

    def lacks(*_: object) -> object:
        raise ToolError("it lacks an operator")

    monkeypatch.setattr(int_rungs, "in_runtime", lacks)
    rung = int_rungs.other_runtime_rung("r", Path("x"), MODEL, INPUTS, openvino)
    assert rung == Rung("r", "exact", "skipped", "it lacks an operator")


@pytest.mark.parametrize(
    ("shape", "part"), [(GRAPHS["front"], "front"), (spec("gru", 3, 3, window_length=4, backward=(1,)), "kept")]
)
def test_a_state_of_another_model_is_not_cut_to_fit(shape: Spec, part: str) -> None:
    model = quantized_model(shape)
    state = reset_state(model, 1)
    assert getattr(state, part)
    with pytest.raises(ValueError, match=r"zip\(\) argument 2 is"):
        int_rungs.states_after_step(model, replace(state, **{part: getattr(state, part)[:-1]}))


def test_a_traced_graph_that_cannot_be_opened_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = export_onnx_int(MODEL, form="window")
    del graph.metadata_props[:]
    monkeypatch.setattr(int_rungs, "export_onnx_int", lambda *_, **_options: graph)
    with pytest.raises(ModelError, match="loading the traced graph: no edge_seq metadata in it"):
        int_rungs.trace_rung("trace", MODEL, INPUTS)
