"""The public interface of the C runtime: runtime_checks.c on all models of the zoo; the primitives against numpy."""

from __future__ import annotations

import ctypes
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edge_seq.arithmetic.fixed_point import mulw, rounding_shift, saturate16
from edge_seq.arithmetic.tables import ARGUMENT_MAX, table_tanh
from edge_seq.ir.model import IntModel
from firmware_export.emission.emit import RUNTIME_FOLDER, export_c
from firmware_export.emission.golden import make_golden
from firmware_export.packages.common.exported import read_exported
from firmware_export.toolchain.build import STRICT_FLAGS, Compiler, compile_c, find_compiler
from firmware_export.toolchain.target import (
    MissingToolError,
    QemuUserEmulator,
    find_emulator,
    find_target_compiler,
    load_target,
)
from tests.c.cases import cases_header
from tests.zoo import CELLS, quantized_model, random_counts, spec

HERE = Path(__file__).parent


@pytest.fixture
def compiler(compilers: dict[str, Compiler]) -> Compiler:
    if not compilers:
        pytest.skip("no C compiler on this machine")
    return find_compiler()


def runtime_sources() -> list[Path]:
    return sorted((RUNTIME_FOLDER / "src").glob("*.c"))


def interface_checks(folders: dict[str, Path], compiler: Compiler, output: Path, *flags: str) -> Path:
    """The program of runtime_checks.c, with every model of the zoo in it."""
    output.mkdir()
    (output / "cases.h").write_text(cases_header(list(folders)))
    generated = [folder / f"{name}{part}.c" for name, folder in folders.items() for part in ("", "_golden")]
    return compile_c(
        compiler,
        [*runtime_sources(), *generated, HERE / "runtime_checks.c"],
        output / "checks",
        flags=[*STRICT_FLAGS, *flags],
        include_folders=[RUNTIME_FOLDER / "include", output, *folders.values()],
    )


def require_no_failure(command: list[str], num_models: int) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout[:4000] + done.stderr[:4000]
    assert f"{num_models} models, 0 failures" in done.stdout


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(("-O2",), marks=pytest.mark.slow),
        ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    ],
)
def test_interface_over_the_zoo(
    flags: tuple[str, ...], zoo_folders: dict[str, Path], compiler: Compiler, tmp_path: Path
) -> None:
    program = interface_checks(zoo_folders, compiler, tmp_path / "built", *flags)
    require_no_failure([str(program)], len(zoo_folders))


@pytest.mark.slow
def test_interface_on_a_big_endian_machine(zoo_folders: dict[str, Path], tmp_path: Path) -> None:
    """No word of the runtime, of the data or of a saved state depends on byte order."""
    target = load_target("powerpc")
    try:
        compiler, choice = find_target_compiler(target)
        emulator = find_emulator(target)
    except MissingToolError as error:
        pytest.skip(str(error))
    assert isinstance(emulator, QemuUserEmulator)
    program = interface_checks(zoo_folders, compiler, tmp_path / "built", "-O2", *choice.flags, *choice.link_flags)
    assert program.read_bytes()[:6] == b"\x7fELF\x01\x02", "expected 32 bits, the high byte first"
    require_no_failure([emulator.program, str(program)], len(zoo_folders))


@pytest.mark.slow
@pytest.mark.parametrize("level", ["-O2", "-O3"])
@pytest.mark.parametrize(
    ("name", "compiler"),
    [(name, choice.name) for name in ("aarch64", "armhf") for choice in load_target(name).compilers if choice.program],
)
def test_interface_on_arm_with_neon(
    name: str, compiler: str, level: str, zoo_folders: dict[str, Path], tmp_path: Path
) -> None:
    try:
        tool, choice = find_target_compiler(load_target(name), compiler)
        emulator = find_emulator(load_target(name))
    except MissingToolError as error:
        pytest.skip(str(error))
    assert isinstance(emulator, QemuUserEmulator)
    program = interface_checks(zoo_folders, tool, tmp_path / "built", level, *choice.flags, *choice.link_flags)
    require_no_failure([emulator.program, str(program)], len(zoo_folders))


def build_example(folder: Path, compiler: Compiler) -> Path:
    """The example that reads samples from stdin, with warnings as errors."""
    files = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.[chj]*")}
    example = folder / "car_stream.c"
    example.write_text(read_exported(files).text("stream.c"))
    return compile_c(
        compiler,
        [folder / "car.c", folder / "car_golden.c", *sorted((folder / "runtime/src").glob("*.c")), example],
        folder / "stream",
        flags=[*STRICT_FLAGS, "-O2"],
        include_folders=[folder / "runtime/include", folder],
    )


@pytest.fixture(params=[pytest.param(cell, marks=pytest.mark.slow if cell != "lstm" else ()) for cell in CELLS])
def car(request: pytest.FixtureRequest) -> IntModel:
    return quantized_model(spec(request.param, 6, window_length=10, step="difference"), name="car", seed=3)


def test_the_example_prints_the_labels(car: IntModel, compiler: Compiler, tmp_path: Path) -> None:
    counts = random_counts(12, 10, 3, sigma=600)
    golden = make_golden(car, counts)
    export_c(car, golden, tmp_path)
    program = build_example(tmp_path, compiler)
    lines = "\n".join(" ".join(map(str, sample)) for sample in counts.reshape(-1, 3).tolist())
    done = subprocess.run([str(program)], input=lines, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:-1] == [car.labels[label] for label in golden.labels[:, 0]]
    assert len(set(done.stdout.split("\n"))) > 2, "the test must see more than one label"


def test_self_test_fails_on_a_changed_weight(car: IntModel, compiler: Compiler, tmp_path: Path) -> None:
    export_c(car, make_golden(car, random_counts(3, 10, 3, sigma=600)), tmp_path)
    source = tmp_path / "car.c"
    text = source.read_text()
    for array in ("car_layer0_weights", "car_head_weights"):
        found = re.search(rf"{array}\[\d+\][^{{]*{{\s*(-?\d+)", text)
        assert found is not None
        weight = int(found[1])
        changed = text[: found.start(1)] + str(weight - 256 if weight > 0 else weight + 256) + text[found.end(1) :]
        source.write_text(changed)
        done = subprocess.run(
            [str(build_example(tmp_path, compiler))], input="", capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert "does not compute what the reference computes" in done.stderr


@pytest.fixture(scope="module")
def primitives(tmp_path_factory: pytest.TempPathFactory, compilers: dict[str, Compiler]) -> ctypes.CDLL:
    """A shared library that applies es_fixed.h and es_tanh.h to arrays."""
    if not compilers:
        pytest.skip("no C compiler on this machine")
    library = compile_c(
        find_compiler(),
        [HERE / "primitives.c", RUNTIME_FOLDER / "src" / "es_tanh.c"],
        tmp_path_factory.mktemp("primitives") / "primitives.so",
        flags=["-std=c99", "-O2", "-shared", "-fPIC"],
        include_folders=[RUNTIME_FOLDER / "include", RUNTIME_FOLDER / "src"],
    )
    return ctypes.CDLL(str(library))


def _call(function: ctypes._NamedFuncPointer, *arrays: np.ndarray) -> np.ndarray:
    result = np.zeros(len(arrays[0]), dtype=np.int32)
    function(*(a.ctypes.data_as(ctypes.c_void_p) for a in arrays), result.ctypes.data_as(ctypes.c_void_p), len(result))
    return result.astype(np.int64)


def _words(limit: int, *, seed: int) -> np.ndarray:
    """int32 values up to 2^limit: both ends, near zero, near every power of two, and random."""
    powers = np.array([1 << bit for bit in range(limit)], dtype=np.int64)
    near = np.concatenate([powers + d for d in (-1, 0, 1)])
    ends = np.array([0, (1 << limit) - 1, -(1 << limit)])
    anything = np.random.default_rng(seed).integers(-(1 << limit), 1 << limit, 100_000)
    return np.clip(np.concatenate([near, -near, ends, anything]), -(1 << limit), (1 << limit) - 1).astype(np.int32)


def test_tanh_on_every_argument(primitives: ctypes.CDLL) -> None:
    arguments = np.arange(ARGUMENT_MAX + 1, dtype=np.int32)
    found = _call(primitives.tanh_of, arguments)
    assert np.array_equal(found, table_tanh(arguments.astype(np.int64)))
    sigmoid = _call(primitives.sigmoid_of, arguments)
    assert np.array_equal(sigmoid, (found >> 1) + 16384)
    assert (sigmoid.min(), sigmoid.max()) == (0, 32767)


def test_primitives(primitives: ctypes.CDLL) -> None:
    words = _words(31, seed=1)
    factors = np.resize(_words(15, seed=2), len(words))
    assert np.array_equal(
        _call(primitives.mulw_of, words, factors), mulw(words.astype(np.int64), factors.astype(np.int64))
    )
    assert np.array_equal(_call(primitives.saturate16_of, words), saturate16(words.astype(np.int64)))
    for bits in range(31):
        shift = np.full(len(words), bits, dtype=np.int32)
        assert np.array_equal(_call(primitives.shift_right_of, words, shift), words.astype(np.int64) >> bits)
        safe = (words // 2).astype(np.int32)
        assert np.array_equal(
            _call(primitives.round_shift_of, safe, shift), rounding_shift(safe.astype(np.int64), bits)
        )
