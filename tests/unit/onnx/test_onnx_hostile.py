"""ONNX files of others, sealed with a right hash: refused by name before ONNX Runtime takes memory for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

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
from edge_seq.support.memory import LIMIT
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


def loop_in_a_loop(proto: onnx.ModelProto) -> None:
    proto.graph.initializer.append(helper.make_tensor("few", TensorProto.INT64, [], [1]))
    inner = helper.make_graph([helper.make_node("Loop", ["few", ""], ["y"], name="bomb")], "body", [], [])
    proto.graph.node.append(helper.make_node("Loop", ["few", ""], ["x"], name="loop", body=inner))


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
        (
            with_node("Loop", ["long", "", "counts"]),
            "'bomb' is a Loop over something else than the samples of a window",
        ),
        (with_node("Loop", ["counts", "", "counts"]), "'bomb' is a Loop over something else"),
        (with_node("Loop", ["", "", "counts"]), "'bomb' is a Loop over something else"),
        (loop_in_a_loop, "'bomb' is a Loop over something else"),
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


GROWS = """
import sys
from pathlib import Path
import numpy as np
from edge_seq.backends.onnx.run import load_onnx, run_window
from edge_seq.support.errors import ModelError
from tests.peak_memory import peak_bytes
model = load_onnx(Path(sys.argv[1]))
counts = np.zeros((1000, 7, 3), dtype=np.int16)
assert len(run_window(model, counts[:20])["label"]) == 20
before = peak_bytes()
try:
    run_window(model, counts)
except ModelError as error:
    print(error)
print((peak_bytes() - before) >> 10, "kB")
"""


def each_stream_with_each(proto: onnx.ModelProto) -> None:
    """A table of every value of the counts with every other: it grows with the square of the batch."""
    for name, shape in (("column", (-1, 1)), ("row", (1, -1))):
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array(shape), f"{name}_shape"))
        proto.graph.node.append(helper.make_node("Reshape", ["counts", f"{name}_shape"], [f"{name}_int16"]))
        proto.graph.node.append(helper.make_node("Cast", [f"{name}_int16"], [name], to=TensorProto.FLOAT))
    proto.graph.node.append(helper.make_node("Mul", ["column", "row"], ["square"]))
    proto.graph.node.append(helper.make_node("ReduceSum", ["square"], ["total"], keepdims=0))
    proto.graph.output.append(helper.make_tensor_value_info("total", TensorProto.FLOAT, []))


def test_a_value_that_grows_with_the_batch_alone_stops_at_the_limit(tmp_path: Path) -> None:
    """The file states no size; 1,000 windows would take 1.8 GB."""
    pytest.importorskip("resource")
    (tmp_path / "x.onnx").write_bytes(changed(each_stream_with_each, "window").SerializeToString())
    environment = {**os.environ, LIMIT: "300M"}
    done = subprocess.run(
        [sys.executable, "-c", GROWS, str(tmp_path / "x.onnx")],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    message, grown = done.stdout.splitlines()
    assert message.startswith("running ONNX: ONNX Runtime cannot compute it (")
    assert "Give fewer windows or streams at once" in message
    assert int(grown.split()[0]) < 310_000
