"""The C sources: no warnings, no hidden integer promotions, no global state."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from firmware_export.emission.emit import RUNTIME_FOLDER, export_c
from firmware_export.emission.golden import make_golden
from firmware_export.toolchain.build import STRICT_FLAGS, Compiler, compile_c, compile_objects, find_compiler
from firmware_export.toolchain.simavr_driver import SOURCE as DRIVER
from firmware_export.toolchain.simavr_driver import has_simavr
from firmware_export.toolchain.target import (
    BARE_FOLDER,
    CompilerChoice,
    MissingToolError,
    Target,
    find_target_compiler,
    load_target,
    target_names,
)
from tests.golden.tiny_model import tiny_counts, tiny_model
from tests.zoo import CELLS, quantized_model, random_counts, spec

pytestmark = pytest.mark.usefixtures("uncached")
HERE = Path(__file__).parent
EXAMPLES = RUNTIME_FOLDER.parent / "examples"
ARM = Compiler("arm-none-eabi-gcc", ("arm-none-eabi-gcc", "-mthumb"))
INCLUDES = [RUNTIME_FOLDER / "include", RUNTIME_FOLDER / "src"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of all cells, with labels that are hard to print."""
    folder = tmp_path_factory.mktemp("tiny")
    export_c(tiny_model(), make_golden(tiny_model(), tiny_counts()), folder)
    return folder


def all_sources(tiny: Path) -> list[Path]:
    return [*sorted((RUNTIME_FOLDER / "src").glob("*.c")), tiny / "tiny.c", tiny / "tiny_golden.c"]


@pytest.mark.parametrize(
    ("name", "level"),
    [
        *itertools.product(["gcc", "clang"], ["-O0", "-O3"]),
        *(pytest.param(name, "-O2", marks=pytest.mark.slow) for name in ("gcc", "clang")),
        pytest.param("zig", "-O2", marks=pytest.mark.slow),  # the same front end as clang, but slow to start
        *itertools.product(["-mcpu=cortex-m0", "-mcpu=cortex-m3", "-mcpu=cortex-m4"], ["-O3"]),  # -O2: below
        *(
            pytest.param(name, "-Os", marks=pytest.mark.slow)
            for name in ("-mcpu=cortex-m0", "-mcpu=cortex-m3", "-mcpu=cortex-m4")
        ),
    ],
)
def test_no_warnings(name: str, level: str, tiny: Path, compilers: dict[str, Compiler], tmp_path: Path) -> None:
    if name.startswith("-mcpu"):
        if not shutil.which(ARM.command[0]):
            pytest.skip("arm-none-eabi-gcc is not on this machine")
        compiler, flags = ARM, [*STRICT_FLAGS, name, level, "-c"]
    elif name in compilers:
        compiler, flags = compilers[name], [*STRICT_FLAGS, level, "-c"]
    else:
        pytest.skip(f"{name} is not on this machine")
    for source in all_sources(tiny):
        compile_c(compiler, [source], tmp_path / "x.o", flags=flags, include_folders=[*INCLUDES, tiny])


@pytest.fixture(scope="module")
def car(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Exports of a car-like model of each cell, in one folder."""
    folder = tmp_path_factory.mktemp("car")
    for cell in CELLS:
        shape = spec(cell, 16, window_length=50, step="difference", pooling="mean")
        model = quantized_model(shape, name=f"{cell}_car")
        export_c(model, make_golden(model, random_counts(1, 50, 3, sigma=500)), folder)
    return folder


def port_sources(target: Target) -> list[Path]:
    """Sources of the port that are compiled for a target."""
    if any(emulator.kind == "wasmtime" for emulator in target.emulators):
        return [BARE_FOLDER / f"{name}.c" for name in ("es_harness", "es_memory")]
    if not target.start:
        return [RUNTIME_FOLDER / "port" / "host_main.c"]
    waits = ["es_wait", *(["es_wait_semihosted"] if any(e.kind == "qemu_system" for e in target.emulators) else [])]
    return [BARE_FOLDER / f"{name}.c" for name in ("es_harness", "es_memory", f"es_start_{target.start}", *waits)]


# A target for each compiler and each set of kernels; the hook of traces on two of them.
_BY_DEFAULT = ("cortex_m0", "cortex_m4", "cortex_m55", "riscv32imc", "aarch64", "armhf", "powerpc", "atmega2560",
               "xtensa_lx106", "wasm32")  # fmt: skip
_TRACED_BY_DEFAULT = ("cortex_m4", "atmega2560")


def _seen_elsewhere(name: str, choice: CompilerChoice, traced: tuple[str, ...]) -> bool:
    """Combinations that other default tests cover: parts with the kernels of others; and clang and zig, which are slow
    to start and have one front end for all targets."""
    second = choice != load_target(name).compilers[0]
    return second or name not in (_TRACED_BY_DEFAULT if traced else _BY_DEFAULT)


@pytest.mark.parametrize(
    ("name", "compiler", "traced"),
    [
        pytest.param(name, choice.name, traced, marks=pytest.mark.slow if _seen_elsewhere(name, choice, traced) else ())
        for name in target_names()
        for choice in load_target(name).compilers
        # clang is slow to start, and finds no more than gcc in the code of the hook
        for traced in ([(), ("-DES_TRACE",)] if choice.program else [()])
    ],
)
def test_no_warnings_for_any_target(
    name: str, compiler: str, traced: tuple[str, ...], car: Path, tmp_path: Path
) -> None:
    target = load_target(name)
    try:
        tool, choice = find_target_compiler(target, compiler)
    except MissingToolError as error:
        pytest.skip(str(error))
    defines = [f"-D{define}" for define in (*target.defines, "ES_MAIL_BUFFER_BYTES=256u")]
    flags = [*STRICT_FLAGS, "-ffreestanding", *choice.flags, target.optimization, *defines, *traced, "-c"]
    sources = [*sorted((RUNTIME_FOLDER / "src").glob("*.c")), *sorted(car.glob("*.c")), *port_sources(target)]
    assert len(sources) > 20
    ports = [RUNTIME_FOLDER / "port", BARE_FOLDER]
    for source in sources:
        compile_c(tool, [source], tmp_path / "x.o", flags=flags, include_folders=[*INCLUDES, *ports, car])


@pytest.mark.parametrize(
    "target",
    [
        ["--target=msp430"],
        ["--target=avr", "-mmcu=atmega328p", "-Wno-avr-rtlib-linking-quirks"],
        ["--target=powerpc"],
    ],
)
def test_no_warnings_where_int_has_16_bits(
    target: list[str], tiny: Path, compilers: dict[str, Compiler], tmp_path: Path
) -> None:
    """-Wconversion with the integer promotions of small parts shows that 32-bit products and shifts have 32 bits."""
    if "clang" not in compilers:
        pytest.skip("clang is not on this machine")
    flags = [*STRICT_FLAGS, *target, "-ffreestanding", "-fsyntax-only"]
    for source in all_sources(tiny):
        compile_c(compilers["clang"], [source], tmp_path / "x.o", flags=flags, include_folders=[*INCLUDES, tiny])


def test_host_program_without_warnings(compilers: dict[str, Compiler], tmp_path: Path) -> None:
    for name in {"gcc", "clang"} & set(compilers):
        for trace in ([], ["-DES_TRACE"]):
            compile_c(
                compilers[name],
                [RUNTIME_FOLDER / "port" / "host_main.c"],
                tmp_path / "x.o",
                flags=[*STRICT_FLAGS, "-O2", "-c", *trace],
                include_folders=INCLUDES,
            )


def test_driver_of_simavr_without_warnings(compilers: dict[str, Compiler], tmp_path: Path) -> None:
    if not has_simavr():
        pytest.skip("simavr is not on this machine; apt-get install libsimavr-dev gcc")
    for name in {"gcc", "clang"} & set(compilers):
        compile_c(compilers[name], [DRIVER], tmp_path / "x.o", flags=[*STRICT_FLAGS, "-O2", "-c"])


@pytest.mark.parametrize("language", ["c", "c++"])
def test_headers_compile_alone_and_twice(
    language: str, tiny: Path, compilers: dict[str, Compiler], tmp_path: Path
) -> None:
    if not compilers:
        pytest.skip("no C compiler on this machine")
    compiler = find_compiler()
    flags = ["-x", language, "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    flags += ["-std=c99", "-Wpedantic"] if language == "c" else ["-std=c++11"]
    public = sorted((RUNTIME_FOLDER / "include").glob("*.h")) + sorted(tiny.glob("*.h"))
    internal = sorted((RUNTIME_FOLDER / "src").glob("*.h")) if language == "c" else []
    for header in [*public, *internal]:
        source = tmp_path / "one.c"
        source.write_text(f'#include "{header.name}"\n#include "{header.name}"\nint main(void) {{ return 0; }}\n')
        compile_c(compiler, [source], tmp_path / "x", flags=flags, include_folders=[*INCLUDES, tiny])


def test_cpp_program_links(tiny: Path, compilers: dict[str, Compiler], tmp_path: Path) -> None:
    if not shutil.which("g++") or "gcc" not in compilers:
        pytest.skip("g++ is not on this machine")
    (tmp_path / "main.cpp").write_text(
        '#include "tiny.h"\n#include "tiny_golden.h"\nstatic tiny_memory_t memory;\n'
        "int main() { return es_self_test(&tiny_golden, &memory, sizeof memory, nullptr); }\n"
    )
    includes = [*INCLUDES, tiny]
    objects = compile_objects(
        compilers["gcc"], all_sources(tiny), tmp_path, root=tiny, flags=["-std=c99"], include_folders=includes
    )
    program = compile_c(
        Compiler("g++", ("g++",)),
        [tmp_path / "main.cpp", *objects],
        tmp_path / "main",
        flags=["-Wall", "-Wextra", "-Werror"],
        include_folders=includes,
    )
    assert subprocess.run([str(program)], check=False).returncode == 0


def test_cppcheck(tiny: Path) -> None:
    if not shutil.which("cppcheck"):
        pytest.skip("cppcheck is not on this machine")
    command = [
        "cppcheck",
        "--std=c99",
        "--enable=warning,performance,portability",
        "--inconclusive",
        "--error-exitcode=1",
        "--quiet",
        *(f"-I{folder}" for folder in [*INCLUDES, tiny]),
        *map(str, all_sources(tiny)),
        str(RUNTIME_FOLDER / "port" / "host_main.c"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_globals_no_heap_no_library(tiny: Path, compilers: dict[str, Compiler], tmp_path: Path) -> None:
    """Object files hold only code and constants, and need only each other and functions that gcc makes from loops."""
    if "gcc" not in compilers or not shutil.which("nm"):
        pytest.skip("gcc or nm is not on this machine")
    defined, needed = set(), set()
    for source in all_sources(tiny):
        flags = ["-std=c99", "-O2", "-fno-pic", "-c"]
        compile_c(compilers["gcc"], [source], tmp_path / "x.o", flags=flags, include_folders=[*INCLUDES, tiny])
        listing = subprocess.run(["nm", str(tmp_path / "x.o")], capture_output=True, text=True, check=True).stdout
        for line in listing.splitlines():
            kind, name = line.split()[-2:]
            assert kind in "TtRrU", f"{source.name} has {name} of kind {kind}: neither code nor constant"
            (needed if kind == "U" else defined).add(name)
    assert needed - defined <= {"memset", "memcpy", "_GLOBAL_OFFSET_TABLE_"}
    assert all(name.startswith(("es_", "tiny_")) for name in needed & defined)


def test_no_floating_point_no_recursion_no_plain_shift(tiny: Path) -> None:
    for source in [*all_sources(tiny), *sorted(RUNTIME_FOLDER.glob("*/*.h"))]:
        code = re.sub(r'/\*.*?\*/|"[^"\n]*"', "", source.read_text(), flags=re.DOTALL)
        assert not re.search(
            r"\b(float|double|malloc|free|goto|static\s+(?!inline|const|void|int|unsigned|es_|uint)\w)\b", code
        )
        # These define it, or shift unsigned numbers.
        if source.name not in (
            "es_fixed.h",
            "es_crc.h",
            "es_state.c",
            "es_adapt.c",
            "es_pool.c",
            "es_tanh.h",
            "es_avx2.h",
        ):
            assert ">>" not in code, f"{source.name}: shift right with es_shift_right, which has one meaning everywhere"


@pytest.mark.parametrize(
    ("cell", "unused"), [("lstm", ("es_gru_step", "es_rnn_step")), ("rnn", ("es_gru_step", "es_lstm_step"))]
)
def test_unused_cells_are_not_linked(
    cell: str, unused: tuple[str, ...], zoo_folders: dict[str, Path], tmp_path: Path
) -> None:
    if not shutil.which(ARM.command[0]):
        pytest.skip("arm-none-eabi-gcc is not on this machine")
    name = f"{cell}_small"
    folder = zoo_folders[name]
    main = tmp_path / "main.c"
    main.write_text(
        f'#include "{name}.h"\nstatic {name}_memory_t memory;\nint main(void)\n{{\n    es_context_t *context;\n'
        f"    int16_t counts[3] = {{0}};\n    return (int)es_init(&{name}_model, &memory, sizeof memory, &context) +\n"
        "           (int)es_step(context, counts);\n}\n"
    )
    manifest = json.loads((folder / "manifest.json").read_text())
    program = compile_c(
        ARM,
        [main, *(folder / source for source in manifest["sources"])],
        tmp_path / "firmware.elf",
        flags=[
            "-std=c99", "-Os", "-mcpu=cortex-m0", "-ffunction-sections", "-fdata-sections", "-nostartfiles",
            "--specs=nano.specs", "-Wl,--gc-sections", "-Wl,-e,main",
        ],
        include_folders=[folder / include for include in manifest["include_folders"]],
    )  # fmt: skip
    listing = subprocess.run(["arm-none-eabi-nm", str(program)], capture_output=True, text=True, check=True).stdout
    assert f"es_{cell}_step" in listing
    for function in (
        *unused,
        "es_pool_mean",
        "es_preprocess_gravity",
        "magnitude",
        "square_root",
        "es_state_save",
        "es_self_test",
        "es_status_text",
    ):
        assert function not in listing


def test_context_size_in_the_manifest(tiny: Path, tmp_path: Path) -> None:
    """sizeof(es_context_t) with four-byte pointers, by the compiler of a real part."""
    if not shutil.which(ARM.command[0]):
        pytest.skip("arm-none-eabi-gcc is not on this machine")
    stated = json.loads((tiny / "manifest.json").read_text())["bytes"]
    source = tmp_path / "size.c"
    source.write_text(
        '#include "tiny.h"\n'
        f"typedef char context[TINY_CONTEXT_BYTES == {stated['context_32bit']} ? 1 : -1];\n"
        f"typedef char state[TINY_STATE_BYTES == {stated['saved_state']} ? 1 : -1];\n"
    )
    compile_c(
        ARM, [source], tmp_path / "x.o", flags=["-std=c99", "-mcpu=cortex-m0", "-c"], include_folders=[*INCLUDES, tiny]
    )


def test_arithmetic_shift_is_one_instruction(tmp_path: Path) -> None:
    if not shutil.which(ARM.command[0]):
        pytest.skip("arm-none-eabi-gcc is not on this machine")
    source = tmp_path / "shift.c"
    source.write_text(
        '#include "es_fixed.h"\nint32_t f(int32_t a);\nint32_t f(int32_t a) { return es_shift_right(a, 7); }\n'
    )
    for core in ("cortex-m0", "cortex-m4"):
        flags = ["-std=c99", "-O2", f"-mcpu={core}", "-S"]
        text = compile_c(ARM, [source], tmp_path / "shift.s", flags=flags, include_folders=INCLUDES).read_text()
        body = text.split("\nf:\n")[1].split(".size")[0]
        assert re.findall(r"^\s+([a-z]\w*)", body, flags=re.MULTILINE) == ["asrs", "bx"]
