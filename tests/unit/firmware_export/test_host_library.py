"""The host library: logits and labels equal the reference's, and errors are reported."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import firmware_export.toolchain.host_library as host_library
from edge_seq.backends.reference_int import run_reference
from edge_seq.ir.model import IntModel
from edge_seq.support.errors import ExportError, ParityError, ToolError
from firmware_export.emission.emit import RUNTIME_FOLDER, export_c
from firmware_export.emission.golden import make_golden
from firmware_export.toolchain.build import STRICT_FLAGS, Compiler, compile_c, find_compilers
from firmware_export.toolchain.host import build_host, run_on_host
from firmware_export.toolchain.host_library import FAST_FLAGS, HostLibrary, infer_windows, load_host_library
from tests.zoo import (
    CELLS,
    Spec,
    awkward_specs,
    convolution,
    extreme_counts,
    extreme_model,
    quantized_model,
    random_counts,
    spec,
)

pytestmark = pytest.mark.skipif(not find_compilers(), reason="no C compiler on this machine")
# By default the first two: "cc" is another name for one of them, and zig has the front end of clang.
COMPILERS = [
    pytest.param(one, id=one.name, marks=pytest.mark.slow if position else ())
    for position, one in enumerate(find_compilers())
]
IS_X86 = platform.machine().lower() in ("x86_64", "amd64")
ROOT = Path(__file__).resolve().parents[3]


# Convolutions and dense layers of more and fewer blocks than a kernel computes at once, on one and on two pieces.
AROUND = spec(
    *("rnn", 5),
    channels=9,
    window_length=8,
    front=(convolution(16, "relu", 5), convolution(36, "tanh", 5), convolution(7, "none", 3)),
    dense=((20, "relu"), (33, "tanh"), (5, "none")),
)


def shapes(cell: str) -> dict[str, Spec]:
    """Awkward shapes, and shapes around the eight units that a kernel processes at once."""
    return {
        **awkward_specs(cell),
        "seven": spec(cell, 7, channels=1),
        "eight": spec(cell, 8, channels=2),
        "nine": spec(cell, 9, 17, channels=5, step="difference", pooling="mean"),
        "sixteen": spec(cell, 16, 24, channels=9, step="remove_gravity"),
        "big": spec(cell, 64, channels=6, classes=6, window_length=20),
        **({"around": AROUND} if cell == "rnn" else {}),
    }


def exported(model: IntModel, folder: Path) -> Path:
    counts = random_counts(1, model.contract.window_length, model.num_channels, sigma=300)
    export_c(model, make_golden(model, counts), folder)
    return folder


def all_counts(model: IntModel, time_steps: int, seed: int = 0) -> NDArray[np.int16]:
    """Counts int16 [15, time_steps, C]: small, full-scale and extreme."""
    size = (time_steps, model.num_channels)
    return np.concatenate(
        [
            random_counts(4, *size, seed=seed, sigma=400),
            random_counts(3, *size, seed=seed + 1),
            extreme_counts(*size, seed=seed),
        ]
    )


def require_reference(library: HostLibrary, counts: NDArray[np.int16]) -> None:
    logits, labels = infer_windows(library, counts)
    expected = run_reference(library.model, counts).values
    assert logits.dtype == labels.dtype == np.int32
    assert np.array_equal(logits, expected["logits"][:, -1])
    assert np.array_equal(labels, expected["label"][:, -1, 0])


# The default set, as a build takes seconds: kernel variants for each cell, other variants for one cell.
QUICK = {(cell, name) for cell in CELLS for name in ("nine", "big")} | {
    *(("lstm", name) for name in ("wide", "carry", "distance")),
    *(("gru", name) for name in ("deep", "one")),
    ("rnn", "around"),
}


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        pytest.param(cell, name, marks=() if (cell, name) in QUICK else pytest.mark.slow)
        for cell in CELLS
        for name in sorted(shapes(cell))
    ],
)
def test_equals_the_reference(cell: str, name: str, tmp_path: Path) -> None:
    shape = shapes(cell)[name]
    models = [quantized_model(shape, name="q", seed=3, amplitude=3.0)]
    if name in ("nine", "wide", "deep"):  # a build takes seconds
        models.append(extreme_model(shape, name="x", seed=4))
    for model in models:
        library = load_host_library(exported(model, tmp_path / model.name), model, tmp_path / f"{model.name}.so")
        for windows in (1, 3):  # the second and third window reset or carry the states
            require_reference(library, all_counts(model, windows * shape.window_length, seed=windows))


@pytest.mark.parametrize("kernel", ["ES_KERNEL_PLAIN", "ES_KERNEL_AVX2", "ES_KERNEL_NEON"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_every_compiler_and_kernel(compiler: Compiler, kernel: str, tmp_path: Path) -> None:
    """Without AVX2 or NEON the compiler's macros select the plain C; this test forces each choice."""
    needs = {"ES_KERNEL_AVX2": "__AVX2__", "ES_KERNEL_NEON": "__ARM_NEON"}
    if kernel in needs and not _has(needs[kernel]):
        pytest.skip(f"this machine has no {needs[kernel].strip('_')}")
    for cell in CELLS:
        model = quantized_model(shapes(cell)["nine"], name=cell, seed=6, amplitude=3.0)
        library = load_host_library(
            exported(model, tmp_path / cell),
            model,
            tmp_path / f"{cell}.so",
            compiler=compiler,
            flags=[*FAST_FLAGS, f"-DES_KERNEL={kernel}"],
        )
        require_reference(library, all_counts(model, 7))


@pytest.mark.skipif(not IS_X86, reason="kernels of x86")
@pytest.mark.parametrize("flag", ["-mno-avx2", pytest.param("-march=haswell", marks=pytest.mark.slow)])
def test_machines_with_less(flag: str, tmp_path: Path) -> None:
    """Builds as by -march=native on other machines: the plain C, or AVX2 without newer dot products."""
    if flag == "-march=haswell" and not _has("__AVX2__"):
        pytest.skip("this machine has no AVX2")
    for cell in CELLS:
        model = quantized_model(shapes(cell)["nine"], name=cell, seed=7, amplitude=3.0)
        library = load_host_library(
            exported(model, tmp_path / cell), model, tmp_path / f"{cell}.so", flags=[*FAST_FLAGS, flag]
        )
        require_reference(library, all_counts(model, 7))


@pytest.mark.skipif(not IS_X86, reason="kernels of x86")
@pytest.mark.parametrize("machine", ["-mavx2", "-march=native", "-mno-avx2"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_no_warnings(compiler: Compiler, machine: str, tmp_path: Path) -> None:
    flags = [*STRICT_FLAGS, "-O3", machine, "-c"]
    folders = [RUNTIME_FOLDER / "include", RUNTIME_FOLDER / "src"]
    runtime = RUNTIME_FOLDER / "src"
    plain = [runtime / f"{name}.c" for name in ("es_lstm", "es_rnn", "es_front")]
    sources = [*plain, *sorted(runtime.glob("*_avx2.c")), RUNTIME_FOLDER / "port" / "host_library.c"]
    for source in sources:
        compile_c(compiler, [source], tmp_path / "x.o", flags=flags, include_folders=folders)


@pytest.mark.skipif(not IS_X86, reason="kernels of x86")
def test_a_users_native_build_shows_every_state(tmp_path: Path) -> None:
    """The program that records every step, built with the library's flags, and traced (which selects the plain C)."""
    for cell in CELLS:
        model = quantized_model(shapes(cell)["nine"], name=cell, seed=8, amplitude=3.0)
        folder = exported(model, tmp_path / cell)
        counts = all_counts(model, 14)
        expected = run_reference(model, counts).values
        for traced in (False, True):
            output = tmp_path / f"{cell}_program"
            program = build_host(folder, output, flags=["-std=c99", "-O2", "-march=native"], traced=traced)
            for name, values in run_on_host(program, model, counts).values.items():
                assert np.array_equal(values, expected[name]), name


@pytest.mark.slow
@pytest.mark.skipif(not IS_X86 or not sys.platform.startswith("linux"), reason="sanitizers of gcc on Linux")
def test_sanitizers(tmp_path: Path) -> None:
    """A program of its own, as a sanitizer must be there before Python is: no read beyond the weights of the last unit,
    no misaligned access, no overflow."""
    if not any(compiler.name == "gcc" for compiler in find_compilers()):
        pytest.skip("gcc is not on this machine")
    flags = ["-std=c99", "-O1", "-g", "-march=native", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    for cell in CELLS:
        for name in ("nine", "wide", "eight"):
            model = extreme_model(shapes(cell)[name], name=f"{cell}_{name}", seed=9)
            folder = exported(model, tmp_path / model.name)
            program = build_host(folder, tmp_path / f"{model.name}_program", flags=flags)
            counts = all_counts(model, 14)
            expected = run_reference(model, counts).values["logits"]
            assert np.array_equal(run_on_host(program, model, counts).values["logits"], expected)


def _has(macro: str) -> bool:
    """True if the compiler's native target, for which the library is built, has this feature."""
    if not find_compilers():
        return False
    command = [*find_compilers()[0].command, "-march=native", "-dM", "-E", "-x", "c", os.devnull]
    return f"#define {macro} " in subprocess.run(command, capture_output=True, text=True, check=True).stdout


# -------------------------------------------------------------------------------------------------------------- errors


def car() -> IntModel:
    return quantized_model(spec("lstm", 8, step="difference"), name="car", seed=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(car(), tmp_path_factory.mktemp("car"))


@pytest.fixture(scope="module")
def library(folder: Path) -> HostLibrary:
    return load_host_library(folder, car(), folder / "car.so")


def test_counts_are_read_where_they_are(library: HostLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = random_counts(6, 7, 3, sigma=300)
    addresses: list[int] = []

    class Watched:
        es_library_bytes = library.library.es_library_bytes

        @staticmethod
        def es_library_windows(address: int, *rest: int) -> int:
            addresses.append(address)
            return int(library.library.es_library_windows(address, *rest))

    infer_windows(replace(library, library=Watched()), counts)  # type: ignore[arg-type]
    assert addresses == [counts.ctypes.data]
    logits, labels = infer_windows(library, counts[::2])  # not contiguous: copied, and right
    whole, whole_labels = infer_windows(library, counts)
    assert np.array_equal(logits, whole[::2])
    assert np.array_equal(labels, whole_labels[::2])
    counts.setflags(write=False)
    assert np.array_equal(infer_windows(library, counts)[0], whole)


def test_an_export_of_another_model(folder: Path, tmp_path: Path) -> None:
    other = replace(car(), labels=("a", "b", "c", "d"))
    with pytest.raises(ParityError, match=r"the program holds model .* the C export is stale"):
        load_host_library(folder, other, tmp_path / "other.so")


def test_counts_that_do_not_fit(library: HostLibrary) -> None:
    for counts in (
        random_counts(1, 7, 2),
        random_counts(1, 7, 3)[0],
        random_counts(1, 7, 3).astype(np.int32),
        random_counts(0, 7, 3),
    ):
        with pytest.raises(ParityError, match=r"counts are .* expected int16 \[windows, steps, 3\]"):
            infer_windows(library, counts)  # type: ignore[arg-type]


def test_a_length_without_a_label(library: HostLibrary) -> None:
    with pytest.raises(
        ParityError, match="windows of 8 samples end without a label; expected 7 samples, or a multiple"
    ):
        infer_windows(library, random_counts(2, 8, 3))


def test_a_library_that_cannot_be_loaded(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def compile_nothing(_compiler: Compiler, _sources: list[Path], output: Path, **_: object) -> Path:
        output.write_bytes(b"no library")
        return output

    monkeypatch.setattr(host_library, "build_program", compile_nothing)
    with pytest.raises(ToolError, match=r"loading car\.so, built of .*expected a library of this machine"):
        load_host_library(folder, car(), tmp_path / "car.so")


def test_a_library_that_refuses(library: HostLibrary) -> None:
    class Refusing:
        es_library_bytes = library.library.es_library_bytes
        es_library_windows = staticmethod(lambda *_: 4)

    with pytest.raises(ToolError, match="es_init gives status 4, expected 0; build it again"):
        infer_windows(replace(library, library=Refusing()), random_counts(1, 7, 3))  # type: ignore[arg-type]


def test_no_compiler_no_export_no_c(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExportError, match=r"no manifest\.json there"):
        load_host_library(tmp_path, car(), tmp_path / "car.so")
    with pytest.raises(ToolError, match="failed with exit code"):
        load_host_library(folder, car(), tmp_path / "car.so", flags=["-std=c99", "-DES_H=", "-not-a-flag"])
    monkeypatch.setattr("firmware_export.toolchain.build.find_compilers", lambda: ())
    with pytest.raises(ToolError, match="looking for a C compiler: found none"):
        load_host_library(folder, car(), tmp_path / "car.so")


def test_memory_that_is_too_small_or_misaligned_is_refused(library: HostLibrary) -> None:
    run, size = library.library.es_library_windows, library.library.es_library_bytes()
    memory = np.zeros(size // 8 + 2, dtype=np.int64)
    counts, out = random_counts(1, 7, 3), np.zeros(8, dtype=np.int32)

    def status(address: int, size: int) -> int:
        return int(run(counts.ctypes.data, 1, 7, address, size, out.ctypes.data, out.ctypes.data))

    assert status(memory.ctypes.data, size) == 0
    assert status(memory.ctypes.data, size - 1) != 0
    assert status(memory.ctypes.data + 1, size) != 0
