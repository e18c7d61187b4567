"""Every wrong export and every wrong file gives one clear error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edge_seq.backends.onnx.float_export import export_onnx_float
from edge_seq.backends.onnx.graph import FORMS
from edge_seq.backends.onnx.int_export import export_onnx_int
from edge_seq.backends.onnx.metadata import save_onnx, seal
from edge_seq.backends.onnx.run import load_onnx, open_onnx, require_made_from, run_steps_onnx, run_window
from edge_seq.ir.model import IntModel
from edge_seq.support.errors import DataError, ExportError, ModelError, ParityError
from tests import zoo


@pytest.fixture
def model() -> IntModel:
    return zoo.quantized_model(zoo.spec("gru", 5))


@pytest.fixture
def proto(model: IntModel) -> onnx.ModelProto:
    return export_onnx_int(model, form="window")


def _without_seal(proto: onnx.ModelProto) -> onnx.ModelProto:
    del proto.metadata_props[-1]
    return proto


def _set(proto: onnx.ModelProto, key: str, value: str) -> onnx.ModelProto:
    """Change an entry of the metadata and seal the file again, as a careful hand would."""
    for entry in proto.metadata_props:
        if entry.key == f"edge_seq.{key}":
            entry.value = value
    return seal(_without_seal(proto))


def test_a_form_that_does_not_exist(model: IntModel) -> None:
    with pytest.raises(ExportError, match=r"no form 'batch'; ask for one of \['window', 'step'\]"):
        export_onnx_int(model, form="batch")  # type: ignore[arg-type]
    with pytest.raises(ExportError, match="no form 'batch'"):
        export_onnx_float(zoo.random_float_model(zoo.spec("gru", 5)), form="batch")  # type: ignore[arg-type]


def test_a_trace_of_a_step(model: IntModel) -> None:
    with pytest.raises(ExportError, match="only form 'window' has a trace"):
        export_onnx_int(model, form="step", trace=True)


def test_a_broken_model_is_not_exported(model: IntModel) -> None:
    broken = type(model)(**{**vars(model), "labels": ("a", "a", "b", "c")})
    with pytest.raises(ModelError, match="must be 2 to 256 different names"):
        export_onnx_int(broken, form="window")
    float_model = zoo.random_float_model(zoo.spec("gru", 5))
    with pytest.raises(ModelError, match="must be a C identifier"):
        export_onnx_float(type(float_model)(**{**vars(float_model), "name": "No Name"}), form="step")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"loading gone.onnx: there is no such file in .*; run edge-seq export"):
        load_onnx(tmp_path / "gone.onnx")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.95, 0.999])
def test_truncated_file(tmp_path: Path, proto: onnx.ModelProto, share: float) -> None:
    path = tmp_path / "short.onnx"
    content = proto.SerializeToString()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelError, match=r"loading short.onnx: .*truncated"):
        load_onnx(path)


def test_something_else_than_onnx(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    for content in (b"\x80\x04\x95 a pickle", b"PK\x03\x04 a zip", b"<html>not found</html>", b"\x00" * 64):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"loading model.onnx: .*(not a whole ONNX file|no edge_seq metadata)"):
            load_onnx(path)


def test_onnx_of_something_else(proto: onnx.ModelProto) -> None:
    del proto.metadata_props[:]
    with pytest.raises(ModelError, match="no edge_seq metadata"):
        open_onnx(proto)


@pytest.mark.parametrize("version", [17, 19, 99])
def test_wrong_opset(proto: onnx.ModelProto, version: int) -> None:
    proto.opset_import[0].version = version
    with pytest.raises(ModelError, match=rf"operator set {{'ai.onnx': {version}}}; expected ai.onnx 18"):
        open_onnx(proto)


def test_foreign_operators(proto: onnx.ModelProto) -> None:
    proto.opset_import.add(domain="com.microsoft", version=1)
    with pytest.raises(ModelError, match=r"operator set .*com.microsoft"):
        open_onnx(proto)


def test_tampered_weights(tmp_path: Path, proto: onnx.ModelProto) -> None:
    (weights,) = [tensor for tensor in proto.graph.initializer if tensor.name == "layer0.weights"]
    changed = bytearray(weights.raw_data)
    changed[0] ^= 1
    weights.raw_data = bytes(changed)
    save_onnx(proto, tmp_path / "tampered.onnx")
    with pytest.raises(
        ModelError, match=r"loading tampered.onnx: content has SHA-256 .* changed after it was exported"
    ):
        load_onnx(tmp_path / "tampered.onnx")


def test_tampered_labels(proto: onnx.ModelProto) -> None:
    for entry in proto.metadata_props:
        if entry.key == "edge_seq.labels":
            entry.value = entry.value.replace("class 0", "class 9")
    with pytest.raises(ModelError, match="changed after it was exported"):
        open_onnx(proto)


def test_missing_seal(proto: onnx.ModelProto) -> None:
    with pytest.raises(ModelError, match="its metadata say None"):
        open_onnx(_without_seal(proto))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("contract", "{"),
        ("contract", "{}"),
        ("contract", '{"channels": [], "preprocessing": {}}'),
        ("labels", "[1"),
        ("readout", '{"pooling": "last", "colour": "red"}'),
        ("kind", "complex"),
        ("form", "circle"),
    ],
)
def test_metadata_that_cannot_be_read(proto: onnx.ModelProto, key: str, value: str) -> None:
    with pytest.raises(ModelError, match="its metadata cannot be read"):
        open_onnx(_set(proto, key, value))


def test_metadata_of_a_newer_release(proto: onnx.ModelProto) -> None:
    with pytest.raises(ModelError, match="metadata of format 2; this release reads 1"):
        open_onnx(_set(proto, "format_version", "2"))


def test_a_graph_that_onnx_runtime_refuses(proto: onnx.ModelProto) -> None:
    proto.graph.node[-1].op_type = "NoSuchOperator"
    with pytest.raises(ModelError, match=r"ONNX Runtime [0-9.]+ refuses it"):
        open_onnx(seal(_without_seal(proto)))


def test_counts_of_the_wrong_kind(model: IntModel, proto: onnx.ModelProto) -> None:
    window = open_onnx(proto)
    step = open_onnx(export_onnx_int(model, form="step"))
    good = zoo.random_counts(2, 7, 3)
    for bad in (good.astype(np.int32), good[0], good[:, :, :2], good[:0], good[:, :0]):
        with pytest.raises(DataError, match=r"running ONNX: counts .*expected int16 raw counts"):
            run_window(window, bad)
        with pytest.raises(DataError, match="running ONNX: counts"):
            next(run_steps_onnx(step, bad))
    with pytest.raises(ModelError, match="this is a window model; load the step model"):
        next(run_steps_onnx(window, good))
    with pytest.raises(ModelError, match="this is a step model; load the window model"):
        run_window(step, good)


def test_a_good_file_runs_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    for form in FORMS:
        for proto in (
            export_onnx_int(zoo.quantized_model(zoo.spec("lstm", 5, step="remove_gravity")), form=form),
            export_onnx_float(zoo.random_float_model(zoo.spec("lstm", 5, step="remove_gravity")), form=form),
        ):
            counts = zoo.random_counts(2, 7, 3)
            onnx_model = open_onnx(proto)
            assert list(run_steps_onnx(onnx_model, counts) if form == "step" else run_window(onnx_model, counts))
    assert capfd.readouterr() == ("", "")


def test_a_stale_export(model: IntModel, proto: onnx.ModelProto) -> None:
    loaded = open_onnx(proto)
    require_made_from(loaded, model)
    newer = zoo.quantized_model(zoo.spec("gru", 5), seed=1)
    with pytest.raises(ParityError, match=r"int_window.onnx was exported from a model with SHA-256 .* stale"):
        require_made_from(loaded, newer, what="int_window.onnx")
