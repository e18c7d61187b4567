"""ONNX files of others, sealed with a right hash: refused by name before ONNX Runtime takes memory for them."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edge_seq.backends.onnx import run
from edge_seq.backends.onnx.float_export import export_onnx_float
from edge_seq.backends.onnx.graph import FORMS, Form
from edge_seq.backends.onnx.int_export import export_onnx_int
from edge_seq.backends.onnx.metadata import PREFIX, SEAL, seal
from edge_seq.backends.onnx.run import load_onnx, open_onnx
from edge_seq.support.errors import ModelError
from tests import zoo

MODEL = zoo.quantized_model(zoo.spec("rnn", 3, label_every="sample"))


def resealed(proto: onnx.ModelProto) -> onnx.ModelProto:
    for index, entry in enumerate(proto.metadata_props):
        if entry.key == SEAL:
            del proto.metadata_props[index]
            break
    return seal(proto)


def changed(change: Callable[[onnx.ModelProto], None], form: Form = "step") -> onnx.ModelProto:
    proto = export_onnx_int(MODEL, form=form)
    change(proto)
    return resealed(proto)


def with_metadata(key: str, value: str) -> Callable[[onnx.ModelProto], None]:
    def change(proto: onnx.ModelProto) -> None:
        next(entry for entry in proto.metadata_props if entry.key == PREFIX + key).value = value

    return change


def with_node(op: str, inputs: list[str], **attributes: object) -> Callable[[onnx.ModelProto], None]:
    """Another node whose output nobody uses, with constants of its own."""

    def change(proto: onnx.ModelProto) -> None:
        shape = helper.make_tensor("huge", TensorProto.INT64, [2], [40_000, 40_000])
        long = helper.make_tensor("long", TensorProto.INT64, [1], [2 * 10**9])
        many = helper.make_tensor("many", TensorProto.INT64, [10], range(10))
        proto.graph.initializer.extend([shape, long, many])
        proto.graph.node.append(helper.make_node(op, inputs, ["another"], name="bomb", **attributes))

    return change


def without_output(name: str) -> Callable[[onnx.ModelProto], None]:
    def change(proto: onnx.ModelProto) -> None:
        kept = [port for port in proto.graph.output if port.name != name]
        del proto.graph.output[:]
        proto.graph.output.extend(kept)

    return change


def with_state_of(size: int) -> Callable[[onnx.ModelProto], None]:
    def change(proto: onnx.ModelProto) -> None:
        proto.graph.input[1].type.tensor_type.shape.dim[1].dim_value = size

    return change


def external(proto: onnx.ModelProto) -> None:
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def by_the_counts(proto: onnx.ModelProto) -> None:
    """A size that only the samples decide."""
    proto.graph.node.append(helper.make_node("Cast", ["counts"], ["wild"], to=TensorProto.INT64))
    proto.graph.node.append(helper.make_node("ConstantOfShape", ["wild"], ["another"], name="bomb"))


def broadcast(proto: onnx.ModelProto) -> None:
    for name, shape in (("column", (20_000, 1)), ("row", (1, 20_000))):
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(shape, np.int8), name))
    proto.graph.node.append(helper.make_node("Add", ["column", "row"], ["square"]))


def in_a_body(proto: onnx.ModelProto) -> None:
    body = helper.make_graph(
        [helper.make_node("ConstantOfShape", ["inner"], ["out"], name="bomb")],
        "body",
        [],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [helper.make_tensor("inner", TensorProto.INT64, [2], [65_000, 65_000])],
    )
    proto.graph.node.append(helper.make_node("If", ["preprocess.primed"], ["x"], then_branch=body, else_branch=body))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (with_metadata("labels", "[" * 100_000), "metadata cannot be read .*nested too deeply"),
        (with_metadata("contract", '{"a":' * 100_000), "metadata cannot be read .*nested too deeply"),
        (with_metadata("labels", json.dumps({"a": 1, "b": 2})), "labels are not a list of two or more names"),
        (with_metadata("labels", json.dumps(["a", 5, {}, []])), "labels are not a list of two or more names"),
        (with_metadata("labels", json.dumps(["a", "a", "b", "c"])), "two of its labels are equal"),
        (with_metadata("labels", json.dumps(["a", "b\x1b[2J", "c", "d"])), r"label 'b.x1b\[2J': holds U\+001B"),
        (
            with_metadata("labels", json.dumps(["a", "b"])),
            r"logits has shape \['.*', 4\], but its metadata name 2 labels",
        ),
        (with_metadata("contract", "5"), "metadata cannot be read"),
        (with_metadata("contract", "{}"), "metadata cannot be read"),
        (without_output("label"), r"it lacks \['label'\] among inputs"),
        (without_output("logits"), r"it lacks \['logits'\] among inputs"),
        (without_output("layer0.operands.next"), r"it lacks \['layer0.operands.next'\]"),
        (with_state_of(2 * 10**9), "has 2,000,000,0.. elements|has shape"),
        (with_state_of(1 << 18), "with a size up to 131,072|cannot be checked"),
        (external, "lies in another file, which no export of edge_seq does"),
        (with_node("ConstantOfShape", ["huge"]), "'bomb' makes a value of 1,600,000,000 elements"),
        (with_node("ConstantOfShape", ["long"]), "'bomb' makes a value as large as a constant says"),
        (with_node("ConstantOfShape", ["many"]), "'bomb' makes a value as large as a constant says"),
        (with_node("Expand", ["counts", "huge"]), "'bomb' makes a value of"),
        (with_node("Tile", ["counts", "long"]), "'bomb' makes a value as large as a constant says"),
        (with_node("Loop", ["long", "", "counts"]), "'bomb' is a Loop"),
        (with_node("Custom", ["counts"], domain="com.other"), "'bomb' is a com.otherCustom|operator set"),
        (by_the_counts, "'bomb' makes a value as large as 'counts' says"),
        (broadcast, "value 'square' has 400,000,000 elements"),
        (in_a_body, "'bomb' makes a value of 4,225,000,000 elements"),
    ],
)
def test_hostile_files(
    change: Callable[[onnx.ModelProto], None], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("ONNX Runtime was asked to load it")

    monkeypatch.setattr(run, "_session", never)
    with pytest.raises(ModelError, match=f"loading x.onnx: .*(?:{problem}).*[Ee]xport it again"):
        open_onnx(changed(change), what="x.onnx")


def test_a_window_model_has_no_states() -> None:
    with pytest.raises(ModelError, match="the form of a window model"):
        open_onnx(changed(with_metadata("form", "window")), what="x.onnx")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cell", zoo.CELLS)
def test_no_export_of_ours_is_refused(cell: str, form: Form) -> None:
    for shape in zoo.awkward_specs(cell).values():
        open_onnx(export_onnx_float(zoo.random_float_model(shape), form=form))
        open_onnx(export_onnx_int(zoo.quantized_model(shape), form=form))


def test_a_file_that_is_too_large(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.onnx"  # type: ignore[operator]
    path.write_bytes(bytes(5000))
    monkeypatch.setenv("EDGE_SEQ_MEMORY_LIMIT", "4K")
    with pytest.raises(ModelError, match=r"loading x.onnx: it takes 5,000 bytes of memory, more than the limit"):
        load_onnx(path)
