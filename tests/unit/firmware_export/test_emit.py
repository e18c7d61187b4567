"""Generated C: its content, that it is deterministic, and what is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_seq.ir.c_names import SYSTEM_HEADERS
from edge_seq.ir.decision import DecisionStage
from edge_seq.ir.kinds import Rnn
from edge_seq.ir.model import IntModel, deployed_bytes, model_hash
from edge_seq.support.errors import ExportError, ModelError, RangeProofError
from firmware_export.emission import emit as emit_module
from firmware_export.emission.emit import (
    MANIFEST,
    RUNTIME_FOLDER,
    emit,
    export_c,
    runtime_files,
    write_artifacts,
)
from firmware_export.emission.golden import make_golden
from firmware_export.emission.tanh_source import tanh_dsp_source, tanh_source
from firmware_export.toolchain.build import STRICT_FLAGS, compile_c, find_compilers
from tests.golden.tiny_model import FOLDER, tiny_counts, tiny_export, tiny_model
from tests.zoo import CELLS, quantized_model, random_counts, random_float_model, some_distance, spec, with_decision


def export_of(model: IntModel) -> dict[str, str]:
    return emit(model, make_golden(model, random_counts(1, model.contract.window_length, model.num_channels)))


def test_generated_text_is_the_stored_one() -> None:
    found = tiny_export()
    assert sorted(found) == sorted(path.name for path in FOLDER.iterdir())
    for name, text in found.items():
        assert text == (FOLDER / name).read_text(encoding="utf-8"), f"{name}: see tests/golden/tiny_model.py"


def test_table_in_the_runtime_is_the_specification_s() -> None:
    assert (RUNTIME_FOLDER / "src" / "es_tanh.c").read_text() == tanh_source()
    assert (RUNTIME_FOLDER / "src" / "es_tanh_dsp.c").read_text() == tanh_dsp_source()


@pytest.mark.parametrize("cell", CELLS)
def test_generated_files_hold_data_only(cell: str) -> None:
    files = export_of(quantized_model(spec(cell, 5, pooling="mean"), name="car"))
    assert sorted(files) == ["car.c", "car.h", "car_golden.c", "car_golden.h", MANIFEST]
    for name in ("car.c", "car_golden.c"):
        code = re.sub(r'/\*.*?\*/|"[^"]*"', "", files[name], flags=re.DOTALL)
        assert not re.search(r"\b(for|while|if|return|do|switch)\b", code)
        definitions = [line for line in code.splitlines() if "=" in line and not line.startswith("    ")]
        assert definitions
        assert all(line.startswith(("static const ", "const ")) for line in definitions), definitions


def test_a_decision_stage_is_named_only_where_there_is_one() -> None:
    plain = quantized_model(spec("rnn", 3), name="car")
    staged = with_decision(plain, DecisionStage(1, 2000, 3, 40))
    texts = export_of(staged)
    assert "static const es_decision_t car_decision = {" in texts["car.c"]
    for field in (".hysteresis = 2000,", ".smoothing_shift = 1u,", ".decision_words = 8u,"):
        assert field in texts["car.c"]
    assert ".decisions = car_golden_decisions," in texts["car_golden.c"]
    assert json.loads(texts[MANIFEST])["readout"]["decision"]["min_labels"] == 3
    without = export_of(plain)
    assert not any("decision" in text for name, text in without.items() if name != MANIFEST)
    more = {n: json.loads(t[MANIFEST])["bytes"] for n, t in (("staged", texts), ("plain", without))}
    assert more["staged"]["context_32bit"] - more["plain"]["context_32bit"] == 4 * 8
    assert more["staged"]["saved_state"] - more["plain"]["saved_state"] == 4 * 8


def test_a_distance_is_named_only_where_there_is_one() -> None:
    staged = with_decision(quantized_model(spec("rnn", 3), name="car"), DecisionStage(1, 2000, 3, 40))
    distant = with_decision(staged, DecisionStage(1, 2000, 3, 40, some_distance(4, 3, radius=100)))
    texts, without = export_of(distant), export_of(staged)
    for words in (".distance = &car_distance,", ".decision_words = 9u,", "car_centroids[12] = {", "car_radii[4] = {"):
        assert words in texts["car.c"]
    assert "distance" not in without["car.c"]
    more = {n: json.loads(t[MANIFEST])["bytes"] for n, t in (("distant", texts), ("staged", without))}
    assert more["distant"]["context_32bit"] - more["staged"]["context_32bit"] == 4
    assert more["distant"]["saved_state"] - more["staged"]["saved_state"] == 4
    assert more["distant"]["tables"] - more["staged"]["tables"] == 4 * 3 + 4 * 4
    assert deployed_bytes(distant) - deployed_bytes(staged) == 4 * 3 + 4 * 4


def test_weights_of_4_bits_take_half_and_have_a_step_of_their_own() -> None:
    model = quantized_model(spec("lstm", 12, 8, channels=2, weight_bits=(8, 4)), name="car")
    texts = export_of(model)
    assert json.loads(texts[MANIFEST])["bytes"]["weights"] == deployed_bytes(model)
    assert deployed_bytes(model) == 48 * (2 * 2 + 12 + 6) + 32 * ((4 + 4) + 4 + 6) + 4 * (8 + 6)
    assert texts["car.c"].count(".step = es_lstm_step,") == texts["car.c"].count(".step = es_lstm_nibble_step,") == 1


def test_manifest() -> None:
    model = quantized_model(spec("lstm", 32, window_length=50, step="difference", pooling="mean"), name="car")
    manifest = json.loads(export_of(model)[MANIFEST])
    assert manifest["model_hash"] == model_hash(model)
    assert manifest["labels"] == list(model.labels)
    assert manifest["contract"]["window_length"] == 50
    # 32 units of 4 gates on 4 channels of 2 bytes and 32 states of 1, 6 bytes of bias and multiplier a row; the head.
    assert manifest["bytes"]["weights"] == 128 * (4 * 2 + 32 + 6) + 4 * (32 + 6)
    assert manifest["bytes"]["tables"] == 1024 + 2
    assert manifest["bytes"]["context_32bit"] <= 400
    proof = {bound["name"]: bound for bound in manifest["range_proof"]}
    gates = {f"layer0.{gate}_gate accumulator" for gate in ("input", "forget", "cell", "output")}
    others = {"layer0.cell_state update", "head accumulator", "sum of states, times four", "features, shifted"}
    assert set(proof) >= gates | others
    for bound in proof.values():
        assert set(bound) == {"name", "row", "magnitude", "limit", "slack"}
        assert bound["magnitude"] <= bound["limit"]
        assert bound["slack"] == pytest.approx(bound["limit"] / bound["magnitude"], rel=1e-4)
    assert {source for source in manifest["sources"] if source.startswith("runtime/")} <= set(runtime_files())


def test_folder_is_complete_and_the_manifest_comes_last(tmp_path: Path) -> None:
    model = tiny_model()
    paths = export_c(model, make_golden(model, tiny_counts()), tmp_path / "out")
    assert paths[-1].name == MANIFEST
    written = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert written == {*tiny_export(), *runtime_files()}
    assert "runtime/include/edge_seq.h" in written
    assert not any("port/host_main.c" in name for name in written)


def test_nothing_is_written_of_a_refused_model(tmp_path: Path) -> None:
    model = tiny_model()
    golden = make_golden(model, tiny_counts())
    with pytest.raises(ModelError):
        export_c(replace(model, name="Not a name"), golden, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_write_artifacts(tmp_path: Path) -> None:
    assert write_artifacts({MANIFEST: "1", "b/c.c": "2"}, tmp_path) == (tmp_path / "b/c.c", tmp_path / MANIFEST)
    assert (tmp_path / "b/c.c").read_text() == "2"


@pytest.mark.parametrize("name", ["edge_seq", "es", "es_car", "car_golden"])
def test_names_of_other_files_are_refused(name: str) -> None:
    with pytest.raises(ExportError, match=f"exporting {name} as C: names that begin"):
        export_of(replace(tiny_model(), name=name))


@pytest.mark.parametrize("name", ["stdint", "string", "limits", "features", "arduino"])
def test_names_of_system_headers_are_refused(name: str) -> None:
    with pytest.raises(ExportError, match=f"exporting {name} as C: {name}.h is the name of a system's header"):
        export_of(replace(tiny_model(), name=name))


@pytest.mark.parametrize("name", ["main", "con", "com1"])
def test_names_of_other_files_of_a_firmware_are_refused(name: str) -> None:
    with pytest.raises(ExportError, match=rf"exporting {name} as C: .*{name}\.c .*give the model another name"):
        export_of(replace(tiny_model(), name=name))


def test_a_channel_that_begins_a_comment(tmp_path: Path) -> None:
    model = quantized_model(spec("rnn", 2), name="car")
    channels = tuple(
        replace(one, name=name) for one, name in zip(model.contract.channels, ("/*", "*/", "/*/"), strict=True)
    )
    model = replace(model, contract=replace(model.contract, channels=channels))
    folder = tmp_path / "out"
    export_c(model, make_golden(model, random_counts(1, 7, 3)), folder)
    for compiler in find_compilers()[:1]:
        compile_c(
            compiler,
            [folder / "car.c"],
            tmp_path / "car.o",
            flags=[*STRICT_FLAGS, "-c"],
            include_folders=[folder, folder / "runtime/include"],
        )


def test_system_headers_are_all_that_the_runtime_includes() -> None:
    sources = [path for path in RUNTIME_FOLDER.rglob("*") if path.suffix in (".c", ".h", ".cpp", ".ino", ".S")]
    texts = [path.read_text(encoding="utf-8") for path in sources]
    included = {name.lower() for text in texts for name in re.findall(r"#\s*include\s*<(\w+)\.h>", text)}
    assert {"stdint", "stddef", "string", "arduino"} <= included
    assert included <= SYSTEM_HEADERS


def test_float_model_is_refused() -> None:
    model = random_float_model(spec("rnn", 2))
    with pytest.raises(ExportError, match="it is a float model"):
        emit(model, make_golden(tiny_model(), tiny_counts()))  # type: ignore[arg-type]


def test_golden_vectors_of_another_model_are_refused() -> None:
    model = tiny_model()
    other = replace(model, labels=("p", "q", "r", "s", "t"))
    with pytest.raises(ExportError, match=r"golden vectors are of model .* make them again"):
        emit(other, make_golden(model, tiny_counts()))


def test_model_that_could_overflow_is_refused() -> None:
    model = quantized_model(spec("rnn", 2), name="car")
    golden = make_golden(model, random_counts(1, 7, 3))
    (cell,) = model.layers
    assert isinstance(cell, Rnn)
    rows = replace(cell.hidden, wide=np.full_like(cell.hidden.wide, 32767))
    with pytest.raises(RangeProofError, match="hidden accumulator, row 0 can reach"):
        emit(replace(model, layers=(Rnn(rows),)), golden)


def test_label_macros_tell_labels_apart() -> None:
    def macros(*labels: str) -> list[str]:
        return emit_module._label_macros(replace(tiny_model(), labels=labels))

    assert macros("parked", "normal road") == ["PARKED", "NORMAL_ROAD"]
    assert macros("a-b", "a b") == ["0_A_B", "1_A_B"]
    assert macros("ok", "??") == ["0_OK", "1___"]


@pytest.mark.parametrize("shift", [0, 5])
def test_same_text_every_time(shift: int) -> None:
    model = quantized_model(spec("gru", 4), name="car", seed=shift)
    assert export_of(model) == export_of(quantized_model(spec("gru", 4), name="car", seed=shift))
