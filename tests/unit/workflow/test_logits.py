"""Many windows by C: the reference's logits, without a compiler too, and never wrong ones."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import edge_seq.pipeline.logits as windows_logits
import edge_seq.support.cache as cache
from edge_seq.data.stored import RowFile, StoredWindows, as_array, blocks
from edge_seq.ir.model import IntModel
from edge_seq.parity.c_rungs import host_library_rung
from edge_seq.pipeline.logits import int_logits, logits_on_host, reference_logits
from edge_seq.support.errors import DataError, ParityError, ToolError
from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from firmware_export.toolchain.build import find_compiler, find_compilers
from firmware_export.toolchain.host_library import FAST_FLAGS, HostLibrary, infer_windows
from tests.zoo import CELLS, quantized_model, random_counts, spec

needs_compiler = pytest.mark.skipif(not find_compilers(), reason="no C compiler on this machine")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No library that was built before."""
    monkeypatch.setattr(cache, "_folder", lambda kind: tmp_path / "cache" / kind)


def model_of(cell: str = "gru") -> IntModel:
    return quantized_model(spec(cell, 9, step="difference"), name="car", seed=5)


def no_compilers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firmware_export.toolchain.build.find_compilers", lambda: ())


@needs_compiler
@pytest.mark.parametrize("cell", CELLS)
def test_equal_to_the_reference(cell: str) -> None:
    counts = random_counts(40, 14, 3, sigma=400)
    logits = logits_on_host(model_of(cell), counts)
    assert logits is not None
    assert logits.dtype == np.int32
    assert np.array_equal(logits, reference_logits(model_of(cell), counts))


@needs_compiler
def test_windows_on_disk_are_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = random_counts(1, 200, 3, sigma=400)[0]
    (tmp_path / "samples.bin").write_bytes(counts.astype("<i2").tobytes())
    starts = np.arange(0, 150, 7, dtype=np.int64)
    stored = as_array(StoredWindows(RowFile(tmp_path / "samples.bin", (3,)), starts, 14))
    lengths: list[int] = []

    def in_memory(library: HostLibrary, part: NDArray[np.int16]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        lengths.append(len(part))
        return infer_windows(library, part)

    monkeypatch.setattr(windows_logits, "infer_windows", in_memory)
    monkeypatch.setattr(windows_logits, "blocks", lambda array: blocks(array, 8))
    logits = logits_on_host(model_of(), stored)
    assert lengths == [8, 8, 6]
    assert logits is not None
    assert np.array_equal(logits, reference_logits(model_of(), np.stack([counts[s : s + 14] for s in starts])))


def test_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    no_compilers(monkeypatch)
    monkeypatch.setattr(windows_logits, "STEPS_WORTH_A_BUILD", 1)
    counts = random_counts(4, 7, 3, sigma=400)
    assert logits_on_host(model_of(), counts) is None
    assert np.array_equal(int_logits(model_of(), counts), reference_logits(model_of(), counts))


def test_a_compiler_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> HostLibrary:
        raise ToolError("compiling: no luck")

    monkeypatch.setattr(windows_logits, "load_model_library", fail)
    assert logits_on_host(model_of(), random_counts(4, 7, 3)) is None


def test_few_windows_are_not_worth_a_build(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(windows_logits, "logits_on_host", lambda _, counts: asked.append(len(counts)))
    monkeypatch.setattr(windows_logits, "STEPS_WORTH_A_BUILD", 70)
    for windows in (9, 10):
        logits = int_logits(model_of(), random_counts(windows, 7, 3))
        assert logits.shape == (windows, 4)
        assert logits.dtype == np.int64
    assert asked == [10]


@needs_compiler
def test_int_logits_by_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows_logits, "STEPS_WORTH_A_BUILD", 1)
    by_reference: list[int] = []

    def counted(model: IntModel, counts: NDArray[np.int16]) -> NDArray[np.int64]:
        by_reference.append(len(counts))
        return reference_logits(model, counts)

    monkeypatch.setattr(windows_logits, "reference_logits", counted)
    counts = random_counts(12, 7, 3, sigma=400)
    logits = int_logits(model_of(), counts)
    assert by_reference == [8]  # the windows that are compared with the reference each time
    assert logits.dtype == np.int64
    assert np.array_equal(logits, reference_logits(model_of(), counts))


@needs_compiler
def test_wrong_logits_are_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    right = windows_logits.infer_windows

    def one_off(library: HostLibrary, counts: NDArray[np.int16]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        logits, labels = right(library, counts)
        return logits + np.int32(1), labels

    monkeypatch.setattr(windows_logits, "infer_windows", one_off)
    with pytest.raises(ParityError, match=r"window 0 gives logits .* the integer reference gives "):
        logits_on_host(model_of(), random_counts(12, 7, 3))


@needs_compiler
def test_a_length_without_a_label() -> None:
    with pytest.raises(DataError, match="windows of 8 samples end without a label; give windows of 7 samples"):
        logits_on_host(model_of(), random_counts(12, 8, 3))


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    export_c(model_of(), make_golden(model_of(), random_counts(1, 7, 3)), tmp_path)
    return tmp_path


@needs_compiler
def test_the_rung_holds(exported: Path) -> None:
    rung = host_library_rung("fast", exported, model_of(), random_counts(20, 14, 3), find_compiler())
    assert rung.verdict == "holds"
    assert rung.comparison is not None
    assert rung.comparison.values == 20 * (4 + 1)
    assert rung.detail.startswith("built with ")


@needs_compiler
def test_the_rung_sees_a_fault_of_the_fast_kernel_alone(exported: Path) -> None:
    macros = [*find_compiler().command, *FAST_FLAGS, "-dM", "-E", "-x", "c", os.devnull]
    if "__AVX2__" not in subprocess.run(macros, capture_output=True, text=True, check=True).stdout:
        pytest.skip(f"the library takes the plain C on {platform.machine()}")
    kernel = exported / "runtime" / "src" / "es_gru_avx2.c"
    text = kernel.read_text()
    assert "1 << 14" in text
    kernel.write_text(text.replace("1 << 14", "0"))
    rung = host_library_rung("fast", exported, model_of(), random_counts(20, 14, 3), find_compiler())
    assert rung.verdict == "failed"
    assert rung.comparison is not None
    assert rung.comparison.first is not None
    assert rung.comparison.first.step == 13
