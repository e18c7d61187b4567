"""The ladder of one model: an honest one holds, and faults planted in what is emitted are caught and located."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from edge_seq.backends.onnx.int_export import export_onnx_int
from edge_seq.backends.onnx.metadata import PREFIX, SEAL, content_hash
from edge_seq.backends.onnx.other_runtimes import installed_runtimes
from edge_seq.data.recording import Windows
from edge_seq.ir.kinds import Gru
from edge_seq.ir.model import IntModel, model_hash
from edge_seq.ir.rows import IntRows
from edge_seq.parity.inputs import Inputs, choose_inputs
from edge_seq.parity.ladder import Ladder
from edge_seq.parity.verification import FloatSide, verify_models
from edge_seq.pipeline.exports import golden_counts, render_c, render_onnx
from edge_seq.quant.calibrate import calibrate
from edge_seq.quant.quantize import quantize
from firmware_export.toolchain.target import MissingToolError, find_emulator, find_target_compiler, load_target
from tests.zoo import random_counts, random_float_model, spec

C_RUNG = "integer reference = C on the host"
FAST_RUNG = "integer reference = C at full speed"
SELF_TEST_RUNG = "C self-test on the golden vectors"
FLOAT_STEP_RUNG = "float reference = float ONNX, step"
INT_WINDOW_RUNG, INT_STEP_RUNG = (f"integer reference = integer ONNX, {form}" for form in ("window", "step"))
EVALUATOR_RUNG = "integer reference = integer ONNX in onnx's evaluator"
OTHER_RUNGS = {f"integer reference = integer ONNX in {runtime}" for runtime in installed_runtimes()}
ON_M3 = "integer reference = C on cortex_m3"

FLOAT_MODEL = random_float_model(spec("gru", 5), name="small", seed=3)
MODEL = quantize(FLOAT_MODEL, calibrate(FLOAT_MODEL, random_counts(8, 7, 3, sigma=400)))
WINDOWS = Windows(
    random_counts(12, 7, 3, sigma=400), np.arange(12, dtype=np.int16) % 4, np.array([f"g{i % 3}" for i in range(12)])
)
INPUTS: Inputs = choose_inputs(WINDOWS, MODEL, max_windows=8, extreme_windows=8)


def rendered(model: IntModel = MODEL) -> dict[str, bytes]:
    return {**render_onnx(model, FLOAT_MODEL), **render_c(model, golden_counts(WINDOWS))}


def failed(files: dict[str, bytes], *targets: str) -> dict[str, str]:
    """Rungs that failed with these files, and why."""
    ladder = verify(files, *targets)
    assert {rung.verdict for rung in ladder.rungs} <= {"holds", "failed"}
    return {rung.name: rung.detail for rung in ladder.rungs if rung.verdict == "failed"}


def verify(files: dict[str, bytes], *targets: str) -> Ladder:
    loose = FloatSide(FLOAT_MODEL, min_agreement_rate=0.5, max_macro_f1_loss=0.5)
    return verify_models(MODEL, INPUTS, files, float_side=loose, targets=[load_target(target) for target in targets])


def test_an_honest_model_holds_on_every_rung() -> None:
    ladder = verify(rendered())
    assert [rung.verdict for rung in ladder.rungs] == ["holds"] * (9 + len(OTHER_RUNGS))
    assert ladder.holds
    assert ladder.model_hash == model_hash(MODEL)


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
def test_wrong_weights_in_the_c_export_are_located(fault: Callable[[IntModel], IntModel], first: str) -> None:
    """A faulty exporter, whose hash claims the right model."""
    wrong = fault(MODEL)
    files = rendered() | {name: rendered(wrong)[name] for name in ("c/small.c", "c/small_golden.c")}
    files["c/small.c"] = claimed(files["c/small.c"], rendered()["c/small.c"])
    files["c/small_golden.c"] = rendered()["c/small_golden.c"]
    rungs = failed(files)
    assert set(rungs) == {C_RUNG, FAST_RUNG, SELF_TEST_RUNG}
    assert first in rungs[C_RUNG]
    assert "the constants differ from their checksum" in rungs[SELF_TEST_RUNG]
    assert re.search(r"window \d+, time step \d+, .*\[\d+\]: expected -?\d+, found -?\d+", rungs[C_RUNG])


def claimed(wrong: bytes, right: bytes) -> bytes:
    """One model's generated data under the hash of another."""
    hash_array = re.compile(rb"(_hash\[[^\]]*\] = \{)([^}]*)(\})")
    found = hash_array.search(right)
    assert found is not None
    return hash_array.sub(lambda match: match[1] + found[2] + match[3], wrong)


def test_a_changed_rounding_in_the_c_runtime_is_located() -> None:
    files = rendered()
    assert b"((uint32_t)1 << n) >> 1" in files["c/runtime/src/es_fixed.h"]
    files["c/runtime/src/es_fixed.h"] = files["c/runtime/src/es_fixed.h"].replace(b"((uint32_t)1 << n) >> 1", b"0u")
    rungs = failed(files)
    assert set(rungs) - {FAST_RUNG} == {C_RUNG, SELF_TEST_RUNG}  # a kernel for x86 rounds on its own
    assert "layer 0, hidden_state" in rungs[C_RUNG]


def test_c_that_does_not_compile_fails_with_the_compilers_words() -> None:
    rungs = failed({**rendered(), "c/small.c": b"this is not C\n"})
    assert set(rungs) == {C_RUNG, FAST_RUNG, SELF_TEST_RUNG}
    assert "error" in rungs[C_RUNG]


@pytest.mark.slow
def test_a_fault_on_a_target_is_located() -> None:
    """Rounding is wrong on Arm only, as in a wrong kernel; the traced build names the state."""
    try:
        find_target_compiler(load_target("cortex_m3"))
        find_emulator(load_target("cortex_m3"))
    except MissingToolError as error:
        pytest.skip(str(error))
    files = rendered()
    right = files["c/runtime/src/es_fixed.h"]
    assert b"a + (int32_t)half" in right
    files["c/runtime/src/es_fixed.h"] = (
        b"#if defined(__arm__)\n#define ES_HALF(half) (0 * (int32_t)(half))\n"
        b"#else\n#define ES_HALF(half) ((int32_t)(half))\n#endif\n"
        + right.replace(b"a + (int32_t)half", b"a + ES_HALF(half)")
    )
    rungs = failed(files, "cortex_m3")
    assert set(rungs) == {ON_M3}
    assert re.match(r"window \d+, time step \d+, layer 0, \w+\[\d+\]: expected -?\d+, found -?\d+", rungs[ON_M3])


def sealed(content: bytes, change: Callable[[onnx.ModelProto], None]) -> bytes:
    """A changed ONNX file, sealed again, so that only its numbers tell."""
    proto = onnx.load_model_from_string(content)
    change(proto)
    for entry in proto.metadata_props:
        if entry.key == SEAL:
            entry.value = content_hash(proto)
    return proto.SerializeToString(deterministic=True)


def test_wrong_weights_in_the_onnx_export_are_located() -> None:
    """An exporter that swaps two gates and yet claims the right model."""

    def claim(proto: onnx.ModelProto) -> None:
        for entry in proto.metadata_props:
            if entry.key == f"{PREFIX}model_sha256":
                entry.value = model_hash(MODEL)

    files = rendered()
    for form in ("step", "window"):
        wrong = export_onnx_int(with_swapped_gates(MODEL), form=form)
        files[f"onnx/int_{form}.onnx"] = sealed(wrong.SerializeToString(), claim)
    rungs = failed(files)
    assert set(rungs) == {INT_STEP_RUNG, INT_WINDOW_RUNG, *OTHER_RUNGS}
    assert re.search(r"time step [01], layer 0", rungs[INT_STEP_RUNG])
    assert re.search(r"time step 6, (logits|label)", rungs[INT_WINDOW_RUNG])


def test_a_destroyed_head_of_the_float_step_model_is_seen() -> None:
    def destroy(proto: onnx.ModelProto) -> None:
        for tensor in proto.graph.initializer:
            array = onnx.numpy_helper.to_array(tensor)
            if array.dtype == np.float32 and array.shape in ((5, 4), (4, 5)):
                tensor.CopyFrom(onnx.numpy_helper.from_array(np.full_like(array, 5.0), tensor.name))
                return
        raise AssertionError("the head was not found")

    files = rendered()
    rungs = failed(files | {"onnx/float_step.onnx": sealed(files["onnx/float_step.onnx"], destroy)})
    assert set(rungs) == {FLOAT_STEP_RUNG}
    assert "logits" in rungs[FLOAT_STEP_RUNG]


def test_golden_vectors_that_do_not_hold_are_seen() -> None:
    files = rendered()
    golden = files["c/small_golden.c"]
    wrong = re.sub(rb"(logits\[[^=]*= \{\s*)(-?\d+)", lambda found: found[1] + b"%d" % (int(found[2]) + 1), golden)
    assert wrong != golden
    assert set(failed({**files, "c/small_golden.c": wrong})) == {SELF_TEST_RUNG}


def test_another_models_onnx_is_refused(tmp_path: Path) -> None:
    other = replace(MODEL, head=replace(MODEL.head, bias=MODEL.head.bias + np.int32(1)))
    rungs = failed({**rendered(), **render_onnx(other)})
    assert set(rungs) == {INT_STEP_RUNG, INT_WINDOW_RUNG, *OTHER_RUNGS}
    assert all("edge-seq export" in detail for detail in rungs.values())
