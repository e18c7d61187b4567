"""Content of exported files: standard nodes, free axes, only integers, metadata, the same bytes each time."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, shape_inference

from edge_seq.backends.onnx.float_export import export_onnx_float, node_weights
from edge_seq.backends.onnx.graph import FORMS, Form
from edge_seq.backends.onnx.int_export import export_onnx_int
from edge_seq.backends.onnx.metadata import save_onnx
from edge_seq.backends.onnx.run import load_onnx
from edge_seq.ir.contract import contract_to_dict
from edge_seq.ir.kinds import Gru, Lstm
from edge_seq.ir.model import model_hash
from tests import zoo

REPOSITORY = Path(__file__).parents[3]
INTEGER_TYPES = {
    onnx.TensorProto.INT16,
    onnx.TensorProto.INT32,
    onnx.TensorProto.INT64,
    onnx.TensorProto.BOOL,
}


def _all_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    nodes = []
    for node in graph.node:
        nodes.append(node)
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                nodes += _all_nodes(attribute.g)
    return nodes


def _body(proto: onnx.ModelProto) -> onnx.GraphProto:
    (scan,) = [node for node in proto.graph.node if node.op_type == "Scan"]
    return next(attribute.g for attribute in scan.attribute if attribute.name == "body")


def _shape(info: onnx.ValueInfoProto) -> tuple[int | str, ...]:
    return tuple(dim.dim_param or dim.dim_value for dim in info.type.tensor_type.shape.dim)


def _metadata(proto: onnx.ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in proto.metadata_props}


@pytest.mark.parametrize("cell", zoo.CELLS)
@pytest.mark.parametrize("form", FORMS)
def test_checker_accepts_every_graph(cell: str, form: Form) -> None:
    for shape in zoo.awkward_specs(cell).values():
        model = zoo.quantized_model(shape)
        onnx.checker.check_model(export_onnx_float(zoo.random_float_model(shape), form=form), full_check=True)
        onnx.checker.check_model(export_onnx_int(model, form=form), full_check=True)
        if form == "window":
            onnx.checker.check_model(export_onnx_int(model, form=form, trace=True), full_check=True)


def test_float_nodes_are_the_standard_ones_in_their_standard_layout() -> None:
    for cell, op in (("rnn", "RNN"), ("gru", "GRU"), ("lstm", "LSTM")):
        proto = export_onnx_float(zoo.random_float_model(zoo.spec(cell, 5, 3)), form="window")
        nodes = [node for node in proto.graph.node if node.op_type == op]
        assert len(nodes) == 2
        for node, size in zip(nodes, (5, 3), strict=True):
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            assert attributes == {"hidden_size": size} | ({"linear_before_reset": 1} if op == "GRU" else {})
        assert {node.op_type for node in _all_nodes(proto.graph)}.isdisjoint({"Scan", "Loop", "If"})


def test_gates_stand_in_the_order_of_onnx() -> None:
    lstm = zoo.random_float_model(zoo.spec("lstm", 2)).layers[0]
    assert isinstance(lstm, Lstm)
    weights = node_weights(lstm)
    order = (lstm.input_gate, lstm.output_gate, lstm.forget_gate, lstm.cell_gate)
    assert np.array_equal(weights.w[0], np.concatenate([gate.weight_input for gate in order]))
    assert np.array_equal(weights.r[0], np.concatenate([gate.weight_hidden for gate in order]))
    assert np.array_equal(weights.b[0, :8], np.concatenate([gate.bias for gate in order]))
    assert not weights.b[0, 8:].any()

    gru = zoo.random_float_model(zoo.spec("gru", 2)).layers[0]
    assert isinstance(gru, Gru)
    weights = node_weights(gru)
    assert np.array_equal(weights.w[0, :2], gru.update_gate.weight_input)
    assert np.array_equal(weights.r[0, 2:4], gru.reset_gate.weight_hidden)
    assert np.array_equal(weights.b[0, 4:6], gru.new_gate_input.bias)
    assert np.array_equal(weights.b[0, 10:12], gru.new_gate_hidden.bias)
    assert not weights.b[0, 6:10].any()


@pytest.mark.parametrize("cell", zoo.CELLS)
def test_integer_graphs_hold_no_float(cell: str) -> None:
    for shape in zoo.awkward_specs(cell).values():
        for form in FORMS:
            proto = export_onnx_int(zoo.quantized_model(shape), form=form)
            assert {tensor.data_type for tensor in proto.graph.initializer} <= INTEGER_TYPES
            inferred = shape_inference.infer_shapes(proto, strict_mode=True)
            assert inferred.graph.value_info
            kinds = {info.type.tensor_type.elem_type for info in [*inferred.graph.value_info, *proto.graph.output]}
            nodes = _all_nodes(proto.graph)
            assert {node.domain for node in nodes} == {""}
            targets = {a.i for node in nodes if node.op_type == "Cast" for a in node.attribute}
            if shape.preprocessing.magnitude:
                _check_floats_are_guesses(nodes)
                kinds, targets = kinds - {onnx.TensorProto.FLOAT}, targets - {onnx.TensorProto.FLOAT}
            assert kinds <= INTEGER_TYPES
            assert targets <= INTEGER_TYPES


def _check_floats_are_guesses(nodes: list[onnx.NodeProto]) -> None:
    """The only floats are the guess of a root, which integers correct: a number, its root, and an integer again."""
    to_float = [
        node.output[0]
        for node in nodes
        if node.op_type == "Cast" and [a.i for a in node.attribute] == [onnx.TensorProto.FLOAT]
    ]
    roots = [node.output[0] for node in nodes if node.op_type == "Sqrt"]
    users = {name: {node.op_type for node in nodes if name in node.input} for name in (*to_float, *roots)}
    assert len(to_float) == len(roots) > 0
    assert all(users[name] == {"Sqrt"} for name in to_float)
    assert all(users[name] == {"Cast"} for name in roots)


def test_the_batch_is_free_and_the_time_is_the_window() -> None:
    shape = zoo.spec("lstm", 5, label_every="sample")
    for proto in (
        export_onnx_float(zoo.random_float_model(shape), form="window"),
        export_onnx_int(zoo.quantized_model(shape), form="window"),
    ):
        assert _shape(proto.graph.input[0]) == ("batch", 7, 3)
        outputs = {info.name: _shape(info) for info in proto.graph.output}
        assert outputs["logits"] == ("batch", 7, 4)
        assert outputs["label"] == ("batch", 7)
    step = export_onnx_int(zoo.quantized_model(shape), form="step")
    assert {_shape(info)[0] for info in [*step.graph.input, *step.graph.output]} == {"batch"}


def test_step_models_name_their_states() -> None:
    def names(cell: str, kind: str) -> list[str]:
        shape = zoo.spec(cell, 5, pooling="mean", step="difference")
        proto = (
            export_onnx_int(zoo.quantized_model(shape), form="step")
            if kind == "int"
            else export_onnx_float(zoo.random_float_model(shape), form="step")
        )
        inputs = [info.name for info in proto.graph.input][1:]
        outputs = [info.name for info in proto.graph.output]
        assert outputs[-len(inputs) :] == [f"{name}.next" for name in inputs]
        return inputs

    around = (["preprocess.memory", "preprocess.primed"], ["pool_sum", "step_in_window"])
    assert names("rnn", "int") == [*around[0], "layer0.operands", *around[1]]
    assert names("gru", "int") == [*around[0], "layer0.operands", "layer0.hidden_state", *around[1]]
    assert names("lstm", "int") == [*around[0], "layer0.operands", "layer0.cell_state", *around[1]]
    assert names("gru", "float") == [*around[0], "layer0.hidden_state", *around[1]]
    assert names("lstm", "float") == [*around[0], "layer0.hidden_state", "layer0.cell_state", *around[1]]


@pytest.mark.parametrize("cell", zoo.CELLS)
def test_a_trace_is_the_shipped_graph_with_more_outputs(cell: str) -> None:
    for shape in zoo.awkward_specs(cell).values():
        model = zoo.quantized_model(shape)
        shipped = _body(export_onnx_int(model, form="window"))
        traced = _body(export_onnx_int(model, form="window", trace=True))
        ours = {node.name: node for node in shipped.node}
        theirs = [node for node in traced.node if node.name in ours]
        assert theirs == list(shipped.node)
        extra = [node for node in traced.node if node.name not in ours]
        assert {node.op_type for node in extra} <= {"Identity", "Where"}  # Where: zero where no mean is due


def test_metadata_say_what_the_file_is() -> None:
    shape = zoo.spec("gru", 5, step="difference", pooling="mean")
    model = zoo.quantized_model(shape, name="car")
    metadata = _metadata(export_onnx_int(model, form="step"))
    assert list(metadata)[:-1] == sorted(list(metadata)[:-1])
    assert json.loads(metadata["edge_seq.contract"]) == json.loads(json.dumps(contract_to_dict(model.contract)))
    assert tuple(json.loads(metadata["edge_seq.labels"])) == model.labels
    assert json.loads(metadata["edge_seq.readout"])["pooling"] == "mean"
    assert metadata["edge_seq.model_sha256"] == model_hash(model)
    assert (metadata["edge_seq.kind"], metadata["edge_seq.form"]) == ("int", "step")
    assert (metadata["edge_seq.name"], metadata["edge_seq.opset"]) == ("car", "18")
    assert metadata["edge_seq.version"]
    float_model = zoo.random_float_model(shape)
    assert _metadata(export_onnx_float(float_model, form="window"))["edge_seq.kind"] == "float"


def test_opset_and_file_format_are_those_of_old_runtimes() -> None:
    proto = export_onnx_float(zoo.random_float_model(zoo.spec("rnn", 2)), form="step")
    assert (proto.opset_import[0].version, proto.ir_version) == (18, 8)


DIGESTS = """
import hashlib
from edge_seq.backends.onnx.float_export import export_onnx_float
from edge_seq.backends.onnx.int_export import export_onnx_int
from tests import zoo
shape = zoo.awkward_specs("lstm")["deep"]
for form in ("window", "step"):
    for proto in (export_onnx_float(zoo.random_float_model(shape), form=form),
                  export_onnx_int(zoo.quantized_model(shape), form=form)):
        print(hashlib.sha256(proto.SerializeToString(deterministic=True)).hexdigest())
"""


def test_the_same_model_gives_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    shape = zoo.awkward_specs("lstm")["deep"]
    here = []
    for form in FORMS:
        protos = (
            export_onnx_float(zoo.random_float_model(shape), form=form),
            export_onnx_int(zoo.quantized_model(shape), form=form),
        )
        for proto in protos:
            save_onnx(proto, tmp_path / "model.onnx")
            here.append(hashlib.sha256((tmp_path / "model.onnx").read_bytes()).hexdigest())
    assert len(set(here)) == 4
    for seed in ("1", "2"):  # a set or a dictionary keyed by hash would show
        done = subprocess.run(
            [sys.executable, "-c", DIGESTS],
            cwd=REPOSITORY,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == here


def test_a_saved_file_says_the_same_when_it_is_loaded(tmp_path: Path) -> None:
    model = zoo.quantized_model(zoo.spec("rnn", 5, step="remove_gravity"))
    save_onnx(export_onnx_int(model, form="window"), tmp_path / "int_window.onnx")
    loaded = load_onnx(tmp_path / "int_window.onnx")
    assert (loaded.kind, loaded.form, loaded.labels) == ("int", "window", model.labels)
    assert (loaded.contract, loaded.readout) == (model.contract, model.readout)
    assert loaded.model_sha256 == model_hash(model)
    assert [path.name for path in tmp_path.iterdir()] == ["int_window.onnx"]
