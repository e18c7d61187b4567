"""The ladder through the command line: it holds, and planted faults are caught and located."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest

from edge_seq.backends.onnx.int_export import export_onnx_int
from edge_seq.backends.onnx.metadata import save_onnx
from edge_seq.ir.kinds import Gru
from edge_seq.ir.model import IntModel, model_hash
from edge_seq.ir.rows import IntRows
from edge_seq.ir.serialize import load_int_model, save_model
from tests.cli.conftest import Small, edge_seq, ok

FEW = ("--windows", "20", "--extreme", "8")
EXPORTS_RUNG = "exports = what the models give"
C_RUNG = "integer reference = C on the host"
FAST_RUNG = "integer reference = C at full speed"
SELF_TEST_RUNG = "C self-test on the golden vectors"
FLOAT_STEP_RUNG = "float reference = float ONNX, step"
INT_WINDOW_RUNG, INT_STEP_RUNG = (f"integer reference = integer ONNX, {form}" for form in ("window", "step"))


@pytest.fixture
def run(small: Small, tmp_path: Path) -> Path:
    """A copy of the small run, to be damaged."""
    return Path(shutil.copytree(small.run, tmp_path / "run"))


def failed_rungs(run: Path) -> dict[str, str]:
    """Verify; the rungs that failed and why. Exit code 1 where there are any."""
    result = edge_seq("verify", run, *FEW, "--json")
    rungs = {rung["name"]: rung["detail"] for rung in result.json["rungs"] if rung["verdict"] == "failed"}
    assert result.code == (1 if rungs else 0), result.err
    return rungs


def test_an_honest_run_holds_on_every_rung(run: Path) -> None:
    ladder = ok("verify", run, *FEW, "--json").json
    assert ladder["holds"] is True
    assert [rung["verdict"] for rung in ladder["rungs"]] == ["holds"] * 11
    exact = [rung["comparison"] for rung in ladder["rungs"] if rung["kind"] == "exact" and rung["comparison"]]
    assert len(exact) == 5
    assert all(comparison["mismatches"] == 0 and comparison["values"] > 0 for comparison in exact)
    assert json.loads((run / "reports" / "verify.json").read_text()) == ladder
    suite = ElementTree.parse(run / "reports" / "verify.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("11", "0")
    text = ok("verify", run, *FEW).out
    assert "it holds" in text
    assert "as a page, with all else of the run: edge-seq report " in text


def test_a_stale_export_fails_and_says_so(run: Path) -> None:
    model = load_int_model(run / "model.int.safetensors")
    head = replace(model.head, bias=model.head.bias + np.int32(1))
    save_model(replace(model, head=head), run / "model.int.safetensors")
    rungs = failed_rungs(run)
    assert set(rungs) == {EXPORTS_RUNG, INT_WINDOW_RUNG, INT_STEP_RUNG, C_RUNG, FAST_RUNG}
    assert all("stale" in detail and "edge-seq export" in detail for detail in rungs.values())


def with_swapped_gates(model: IntModel) -> IntModel:
    cell = model.layers[0]
    assert isinstance(cell, Gru)
    return replace(model, layers=(replace(cell, reset_gate=cell.update_gate, update_gate=cell.reset_gate),))


def with_transposed_matrix(model: IntModel) -> IntModel:
    cell = model.layers[0]
    assert isinstance(cell, Gru)
    rows: IntRows = cell.new_gate_hidden
    square = rows.narrow_hidden.copy()
    square[:5, :5] = rows.narrow_hidden[:5, :5].T
    return replace(model, layers=(replace(cell, new_gate_hidden=replace(rows, narrow_hidden=square)),))


@pytest.mark.parametrize(
    ("fault", "first"),
    [(with_swapped_gates, "layer 0, reset_gate"), (with_transposed_matrix, "layer 0, new_gate_hidden")],
)
def test_wrong_weights_in_the_c_export_are_located(
    run: Path, fault: type[with_swapped_gates], first: str, tmp_path: Path
) -> None:
    """The generated file is that of a faulty exporter; its hash and manifest claim the right model."""
    from firmware_export.emission.emit import export_c
    from firmware_export.emission.golden import make_golden

    model = load_int_model(run / "model.int.safetensors")
    wrong = fault(model)
    counts = np.zeros((1, 50, 3), dtype=np.int16)
    export_c(wrong, make_golden(wrong, counts), tmp_path / "wrong")
    _claim(tmp_path / "wrong" / "small.c", run / "exports" / "c" / "small.c", wrong, model)
    rungs = failed_rungs(run)
    assert set(rungs) == {EXPORTS_RUNG, C_RUNG, FAST_RUNG, SELF_TEST_RUNG}
    assert first in rungs[C_RUNG]
    assert "window 0, time step" in rungs[SELF_TEST_RUNG]
    assert re.search(r"window \d+, time step \d+, .*\[\d+\]: expected -?\d+, found -?\d+", rungs[C_RUNG])


def _claim(source: Path, target: Path, wrong: IntModel, right: IntModel) -> None:
    """Put one model's generated data in place of another's, under the other's hash."""
    text = source.read_text()
    hash_array = re.compile(r"(_hash\[[^\]]*\] = \{)([^}]*)(\})")
    right_bytes = hash_array.search(target.read_text())
    assert right_bytes is not None
    text = hash_array.sub(lambda found: found[1] + right_bytes[2] + found[3], text)
    target.write_text(text.replace(model_hash(wrong), model_hash(right)))


def test_a_changed_rounding_in_the_c_runtime_is_located(run: Path) -> None:
    header = run / "exports" / "c" / "runtime" / "src" / "es_fixed.h"
    text = header.read_text()
    assert "((uint32_t)1 << n) >> 1" in text
    header.write_text(text.replace("((uint32_t)1 << n) >> 1", "0u"))
    rungs = failed_rungs(run)
    assert set(rungs) - {FAST_RUNG} == {EXPORTS_RUNG, C_RUNG, SELF_TEST_RUNG}  # a kernel for x86 rounds on its own
    assert "es_fixed.h" in rungs[EXPORTS_RUNG]
    assert "layer 0, hidden_state" in rungs[C_RUNG]


def test_a_c_export_that_does_not_compile_fails_with_the_compilers_words(run: Path) -> None:
    (run / "exports" / "c" / "small.c").write_text("this is not C\n")
    rungs = failed_rungs(run)
    assert set(rungs) == {EXPORTS_RUNG, C_RUNG, FAST_RUNG, SELF_TEST_RUNG}
    assert "error" in rungs[C_RUNG]


def forge(path: Path, change: Callable[[onnx.ModelProto], None], target: Path | None = None) -> None:
    """Change an exported file and seal it again, so that only the numbers or the exporter can tell."""
    from edge_seq.backends.onnx.metadata import SEAL, content_hash

    proto = onnx.load_model(path)
    change(proto)
    for entry in proto.metadata_props:
        if entry.key == SEAL:
            entry.value = content_hash(proto)
    save_onnx(proto, target or path)


def test_wrong_weights_in_the_onnx_export_are_located(run: Path, tmp_path: Path) -> None:
    """An exporter that swaps two gates and yet claims the right model."""
    from edge_seq.backends.onnx.metadata import PREFIX

    model = load_int_model(run / "model.int.safetensors")

    def claim(proto: onnx.ModelProto) -> None:
        for entry in proto.metadata_props:
            if entry.key == f"{PREFIX}model_sha256":
                entry.value = model_hash(model)

    for form in ("step", "window"):
        save_onnx(export_onnx_int(with_swapped_gates(model), form=form), tmp_path / "wrong.onnx")
        forge(tmp_path / "wrong.onnx", claim, run / "exports" / "onnx" / f"int_{form}.onnx")
    rungs = failed_rungs(run)
    assert set(rungs) == {EXPORTS_RUNG, INT_STEP_RUNG, INT_WINDOW_RUNG}
    assert re.search(r"time step [01], layer 0", rungs[INT_STEP_RUNG])
    assert re.search(r"time step 49, (logits|label)", rungs[INT_WINDOW_RUNG])


def test_a_destroyed_head_of_the_float_step_model_is_seen(run: Path) -> None:
    def destroy(proto: onnx.ModelProto) -> None:
        for tensor in proto.graph.initializer:
            array = onnx.numpy_helper.to_array(tensor)
            if array.dtype == np.float32 and array.shape in ((5, 4), (4, 5)):
                tensor.CopyFrom(onnx.numpy_helper.from_array(np.full_like(array, 5.0), tensor.name))
                return
        raise AssertionError("the head was not found")

    forge(run / "exports" / "onnx" / "float_step.onnx", destroy)
    rungs = failed_rungs(run)
    assert set(rungs) == {EXPORTS_RUNG, FLOAT_STEP_RUNG}
    assert "logits" in rungs[FLOAT_STEP_RUNG]


def test_changed_labels_and_contracts_of_exports_are_seen(run: Path) -> None:
    def swap(proto: onnx.ModelProto) -> None:
        for entry in proto.metadata_props:
            entry.value = entry.value.replace('"parked", "normal_road"', '"normal_road", "parked"')

    forge(run / "exports" / "onnx" / "int_step.onnx", swap)
    source = run / "exports" / "c" / "small.c"
    text = source.read_text()
    assert '"parked"' in text
    source.write_text(
        text.replace('"parked"', '"P"').replace('"normal_road"', '"parked"').replace('"P"', '"normal_road"')
    )
    rungs = failed_rungs(run)
    assert set(rungs) == {EXPORTS_RUNG}
    assert "int_step.onnx" in rungs[EXPORTS_RUNG]
    assert "small.c" in rungs[EXPORTS_RUNG]


def test_golden_vectors_that_do_not_hold_are_seen(run: Path) -> None:
    golden = run / "exports" / "c" / "small_golden.c"
    golden.write_text(
        re.sub(r"(logits\[[^=]*= \{\s*)(-?\d+)", lambda found: f"{found[1]}{int(found[2]) + 1}", golden.read_text())
    )
    rungs = failed_rungs(run)
    assert set(rungs) == {EXPORTS_RUNG, SELF_TEST_RUNG}
    golden.unlink()
    assert set(failed_rungs(run)) == {EXPORTS_RUNG, SELF_TEST_RUNG}


def test_a_damaged_onnx_export_fails(run: Path) -> None:
    path = run / "exports" / "onnx" / "float_window.onnx"
    path.write_bytes(path.read_bytes()[:-100])
    (run / "exports" / "onnx" / "int_window.onnx").unlink()
    rungs = failed_rungs(run)
    assert set(rungs) == {EXPORTS_RUNG, "float reference = float ONNX, window", INT_WINDOW_RUNG}


def test_torch_weights_with_swapped_gates_fail_the_first_rung(run: Path) -> None:
    import safetensors.numpy

    path = run / "weights.torch.safetensors"
    weights = safetensors.numpy.load(path.read_bytes())
    weights["recurrent.weight_hh_l0"] = np.roll(weights["recurrent.weight_hh_l0"], 5, axis=0)
    path.write_bytes(safetensors.numpy.save(weights))
    assert set(failed_rungs(run)) == {"torch = float reference"}


def test_a_cost_beyond_the_limit_fails(run: Path) -> None:
    config = run / "config.toml"
    text = config.read_text()
    assert "max_macro_f1_loss = 0.1" in text
    config.write_text(text.replace("max_macro_f1_loss = 0.1", "max_macro_f1_loss = 0.0"))
    model = load_int_model(run / "model.int.safetensors")
    # A head that always answers the first class loses macro-F1 for certain.
    head = replace(model.head, bias=model.head.bias + np.array([2**24, 0, 0, 0], dtype=np.int32))
    save_model(replace(model, head=head), run / "model.int.safetensors")
    ok("export", run)
    rungs = failed_rungs(run)
    assert set(rungs) == {"cost of integers"}
    assert "labels equal" in rungs["cost of integers"]


def test_without_a_compiler_it_says_what_to_install(run: Path) -> None:
    import subprocess
    import sys

    (run / "reports").mkdir(exist_ok=True)
    (run / "reports" / "verify.json").write_text('{"holds": true}')
    code = (
        "import sys, firmware_export.toolchain.build as b; b.find_compilers = lambda: ()\n"
        f"sys.argv = ['edge-seq', 'verify', {str(run)!r}, '--windows', '4', '--extreme', '4']\n"
        "from edge_seq.cli import main; main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert "Install gcc or clang" in done.stderr
    assert not (run / "reports" / "verify.json").exists(), "no verdict of an earlier verification is left"


def test_verify_before_export_says_what_to_do(run: Path) -> None:
    shutil.rmtree(run / "exports")
    rungs = failed_rungs(run)
    assert len(rungs) == 8
    assert all("export" in detail for detail in rungs.values())
