"""The ladder through the command line: it holds, and planted faults are caught and located."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest

from edge_seq.backends.onnx.metadata import save_onnx
from edge_seq.backends.onnx.other_runtimes import installed_runtimes
from edge_seq.ir.serialize import load_int_model, save_model
from tests.cli.conftest import Small, edge_seq, ok

FEW = ("--windows", "20", "--extreme", "8")
EXPORTS_RUNG = "exported files are up to date"
C_RUNG = "integer reference = C on the host"
FAST_RUNG = "integer reference = C at full speed"
SELF_TEST_RUNG = "C self-test on the golden vectors"
C_RUNGS = {C_RUNG, FAST_RUNG, SELF_TEST_RUNG}
INT_WINDOW_RUNG, INT_STEP_RUNG = (f"integer reference = integer ONNX, {form}" for form in ("window", "step"))
OTHER_RUNGS = {f"integer reference = integer ONNX in {runtime}" for runtime in installed_runtimes()}


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
    assert [rung["verdict"] for rung in ladder["rungs"]] == ["holds"] * (11 + len(installed_runtimes()))
    exact = [rung["comparison"] for rung in ladder["rungs"] if rung["kind"] == "exact" and rung["comparison"]]
    assert len(exact) == 5 + len(installed_runtimes())
    assert all(comparison["mismatches"] == 0 and comparison["values"] > 0 for comparison in exact)
    assert json.loads((run / "reports" / "verify.json").read_text()) == ladder
    suite = ElementTree.parse(run / "reports" / "verify.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == (str(11 + len(installed_runtimes())), "0")
    text = ok("verify", run, *FEW).out
    assert "it holds" in text
    assert "the whole run as a page: edge-seq report " in text


def skipped_rungs(run: Path) -> dict[str, str]:
    rungs = json.loads((run / "reports" / "verify.json").read_text())["rungs"]
    return {rung["name"]: rung["detail"] for rung in rungs if rung["verdict"] == "skipped"}


def test_a_stale_export_fails_and_says_so(run: Path) -> None:
    model = load_int_model(run / "model.int.safetensors")
    head = replace(model.head, bias=model.head.bias + np.int32(1))
    save_model(replace(model, head=head), run / "model.int.safetensors")
    rungs = failed_rungs(run)
    assert set(rungs) == {EXPORTS_RUNG}
    assert "stale, edited or missing" in rungs[EXPORTS_RUNG]
    skipped = skipped_rungs(run)
    assert set(skipped) == {INT_WINDOW_RUNG, INT_STEP_RUNG, *OTHER_RUNGS, *C_RUNGS}
    assert all("not run: " in detail and "edge-seq export" in detail for detail in skipped.values())


@pytest.mark.parametrize(
    "file",
    [
        "small.c",
        pytest.param("small_golden.c", marks=pytest.mark.slow),
        pytest.param("runtime/src/es_fixed.h", marks=pytest.mark.slow),
    ],
)
def test_changed_c_is_named_and_never_run(run: Path, file: str, tmp_path: Path) -> None:
    """A constructor in the exported C would run in every program that is built of it."""
    source, witness = run / "exports" / "c" / file, tmp_path / "ran"
    planted = (
        "#include <stdio.h>\n__attribute__((constructor)) static void planted(void)\n"
        f'{{\n    FILE *file = fopen("{witness}", "w");\n    if (file) {{ fclose(file); }}\n}}\n'
    )
    source.write_text(source.read_text() + planted)
    rungs = failed_rungs(run)
    assert set(rungs) == {EXPORTS_RUNG}
    assert f"c/{file}" in rungs[EXPORTS_RUNG]
    assert set(skipped_rungs(run)) == C_RUNGS
    for command in (("measure", run, "--target", "cortex_m4"), ("device", "emulate", run, "--board", "posix")):
        result = edge_seq(*command)
        assert result.code == 2
        assert f"c/{file}: not what this release of edge_seq makes from the run's models" in result.err
    assert not witness.exists()


def test_changed_labels_of_exports_are_seen(run: Path) -> None:
    def swap(proto: onnx.ModelProto) -> None:
        for entry in proto.metadata_props:
            entry.value = entry.value.replace('"parked", "normal_road"', '"normal_road", "parked"')

    forge(run / "exports" / "onnx" / "int_step.onnx", swap)
    rungs = failed_rungs(run)
    assert set(rungs) == {EXPORTS_RUNG}
    assert "onnx/int_step.onnx" in rungs[EXPORTS_RUNG]
    assert set(skipped_rungs(run)) == {INT_STEP_RUNG, *OTHER_RUNGS}


def forge(path: Path, change: Callable[[onnx.ModelProto], None]) -> None:
    """Change an exported file and seal it again, so that only the exporter can tell."""
    from edge_seq.backends.onnx.metadata import SEAL, content_hash

    proto = onnx.load_model(path)
    change(proto)
    for entry in proto.metadata_props:
        if entry.key == SEAL:
            entry.value = content_hash(proto)
    save_onnx(proto, path)


def test_damaged_and_missing_exports_fail(run: Path) -> None:
    path = run / "exports" / "onnx" / "float_window.onnx"
    path.write_bytes(path.read_bytes()[:-100])
    (run / "exports" / "onnx" / "int_window.onnx").unlink()
    (run / "exports" / "c" / "small_golden.c").unlink()
    rungs = failed_rungs(run)
    assert set(rungs) == {EXPORTS_RUNG}
    for name in ("c/small_golden.c", "onnx/float_window.onnx", "onnx/int_window.onnx"):
        assert name in rungs[EXPORTS_RUNG]
    assert set(skipped_rungs(run)) == {"float reference = float ONNX, window", INT_WINDOW_RUNG, *C_RUNGS}


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
    assert "same label" in rungs["cost of integers"]


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
    result = edge_seq("verify", run, *FEW)
    assert result.code == 2
    assert result.err.splitlines()[-1] == f"edge-seq: error: run run holds no exports; run edge-seq export {run}"
