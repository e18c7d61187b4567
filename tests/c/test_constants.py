"""Checksums of constants: every single flipped bit is seen, on this machine and on emulated ones."""

from __future__ import annotations

import re
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from edge_seq.ir.model import IntModel
from edge_seq.ir.serialize import load_model
from firmware_export.emission.constants import constant_arrays, constants_crc
from firmware_export.emission.emit import emit, export_c
from firmware_export.emission.golden import make_golden
from firmware_export.emission.layout import pack_model
from firmware_export.toolchain.build import Compiler, compile_c
from firmware_export.toolchain.image import Image
from firmware_export.toolchain.target import (
    MissingToolError,
    QemuUserEmulator,
    find_emulator,
    find_target_compiler,
    load_target,
)
from tests.c.flipping import constants_of, flip_header
from tests.golden.tiny_model import tiny_model
from tests.targets.running import ask_bare, build_bare
from tests.zoo import CELLS, DISTANCES, quantized_model, random_counts, spec

HERE = Path(__file__).parent
TRAINED = HERE.parent / "golden" / "trained"
NO_CONST = ["-Dconst=", "-w"]  # constants that can be written; libraries declare functions with const
FLIPS = re.compile(r"(\d+) flips, (\d+) not seen")


def model_of(cell: str) -> IntModel:
    """A small model with a decision stage and a distance, so that it has every kind of constant."""
    return quantized_model(replace(DISTANCES[cell], channels=3), name="car", seed=3)


def exported(model: IntModel, folder: Path, *, stride: int = 1) -> Path:
    """An export, with flip_model.h beside it."""
    counts = random_counts(1, model.contract.window_length, model.num_channels, sigma=400)
    export_c(model, make_golden(model, counts), folder)
    texts = [(folder / f"{model.name}{part}.c").read_text(encoding="utf-8") for part in ("", "_golden")]
    header = flip_header(model.name, *texts, labels=model.num_classes, stride=stride)
    (folder / "flip_model.h").write_text(header, encoding="utf-8")
    return folder


def sources(folder: Path) -> list[Path]:
    return [*sorted((folder / "runtime/src").glob("*.c")), HERE / "flip_constants.c"]


def includes(folder: Path) -> list[Path]:
    return [folder, folder / "runtime/include", folder / "runtime/src"]


def flip_on_host(folder: Path, compiler: Compiler, *flags: str, emulator: tuple[str, ...] = ()) -> tuple[int, int]:
    program = compile_c(
        compiler,
        sources(folder),
        folder / "flip",
        flags=["-std=c99", "-O2", *NO_CONST, *flags],
        include_folders=includes(folder),
    )
    done = subprocess.run([*emulator, str(program)], capture_output=True, text=True, check=False, timeout=1200)
    found = FLIPS.search(done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert done.returncode == int(found[2] != "0")
    return int(found[1]), int(found[2])


@pytest.mark.parametrize("stride", [pytest.param(1, marks=pytest.mark.slow), 11])
@pytest.mark.parametrize(
    "cell", [pytest.param(cell, marks=pytest.mark.slow if cell != "lstm" else ()) for cell in CELLS]
)
def test_flipped_bits_are_seen(cell: str, stride: int, compilers: dict[str, Compiler], tmp_path: Path) -> None:
    if not compilers:
        pytest.skip("no C compiler on this machine")
    folder = exported(model_of(cell), tmp_path, stride=stride)
    flips, missed = flip_on_host(folder, next(iter(compilers.values())))
    assert (flips > 10_000 // stride, missed) == (True, 0)


def test_no_flipped_bit_leads_beyond_an_array(compilers: dict[str, Compiler], tmp_path: Path) -> None:
    """A damaged count, or the damaged zero at the end of a label, is seen before what it leads to is read."""
    if "gcc" not in compilers:
        pytest.skip("gcc is not on this machine")
    folder = exported(model_of("gru"), tmp_path, stride=13)
    flags = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    flips, missed = flip_on_host(folder, compilers["gcc"], *flags)
    assert (flips > 1000, missed) == (True, 0)


def test_every_table_of_the_source_has_a_checksum() -> None:
    """Each array that is generated for large constants is in the list that es_check_constants reads."""
    for model in (tiny_model(), *map(model_of, CELLS)):
        counts = random_counts(1, model.contract.window_length, model.num_channels, sigma=400)
        text = emit(model, make_golden(model, counts))[f"{model.name}.c"]
        tables = re.findall(r"^static const ES_ROM \w+ (\w+)\[", text, flags=re.M)
        assert tables == re.findall(r"\.values = (\w+)", text)
        assert {"car_centroids", "car_radii"} <= set(tables) or model.readout.decision is None
        names = {what for what, _ in constants_of(model.name, text)}
        assert set(tables) < names
        assert {f"{model.name}_layers[0].state_words", f"{model.name}_hash", f"{model.name}_constants.crc"} < names


def test_the_checksum_is_what_the_specification_says() -> None:
    """Little-endian numbers in the order of SPEC.md, section 13, written out for one array."""
    model = tiny_model()
    arrays = {array.name: array for array in constant_arrays(model, pack_model(model))}
    block = arrays["tiny_head_blocks"]
    assert block.content[:24] == struct.pack("<4i4h", 110481473, 155473929, 262288079, 100467071, 311, 221, 131, 342)
    assert (block.element, block.count) == ("ES_BLOCK", 2)
    whole = constants_crc(model, [], "00" * 32, arrays.values())
    assert whole != constants_crc(replace(model, labels=("p", *model.labels[1:])), [], "00" * 32, arrays.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["car", "hapt"])
@pytest.mark.parametrize("kernel", ["ES_KERNEL_PLAIN", ""])
def test_every_flipped_bit_of_a_trained_model(
    name: str, kernel: str, compilers: dict[str, Compiler], tmp_path: Path
) -> None:
    if not compilers:
        pytest.skip("no C compiler on this machine")
    folder = exported(load_model(TRAINED / f"{name}.int.safetensors"), tmp_path)
    flags = [f"-DES_KERNEL={kernel}"] if kernel else ["-march=native"]
    flips, missed = flip_on_host(folder, next(iter(compilers.values())), *flags)
    assert (flips > 20_000, missed) == (True, 0)


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_every_flipped_bit_of_a_usual_size(cell: str, compilers: dict[str, Compiler], tmp_path: Path) -> None:
    if not compilers:
        pytest.skip("no C compiler on this machine")
    folder = exported(quantized_model(spec(cell, 32, window_length=50, pooling="mean"), name="car"), tmp_path)
    flips, missed = flip_on_host(folder, next(iter(compilers.values())), "-O3")
    assert (flips > 20_000, missed) == (True, 0)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["powerpc", "aarch64", "armhf"])
@pytest.mark.parametrize("cell", CELLS)
def test_flipped_bits_on_other_computers(cell: str, target: str, tmp_path: Path) -> None:
    """A machine with the high byte first, and the kernels for NEON; every third bit."""
    try:
        compiler, choice = find_target_compiler(load_target(target))
        emulator = find_emulator(load_target(target))
    except MissingToolError as error:
        pytest.skip(str(error))
    assert isinstance(emulator, QemuUserEmulator)
    folder = exported(model_of(cell), tmp_path, stride=3)
    flips, missed = flip_on_host(folder, compiler, *choice.flags, *choice.link_flags, emulator=(emulator.program,))
    assert (flips > 4_000, missed) == (True, 0)


def bare_image(folder: Path, target_name: str, names: tuple[str, ...], program: Path, *flags: str) -> Image:
    """An image of an export with another program; skips the test if a tool is missing."""
    files = [*sources(folder)[:-1], program]
    return build_bare(target_name, files, folder, models=names, includes=includes(folder), flags=flags)


def flip_on_target(image: Image, stride: int) -> tuple[int, int]:
    """Number of flips, and of those that were not seen."""
    *_, missed, flips = ask_bare(image, stride)
    return flips, missed


BARE = [
    pytest.param(cell, target, marks=() if (cell, target) == ("gru", "cortex_m4") else pytest.mark.slow)
    for target in ("cortex_m0", "cortex_m3", "cortex_m4", "cortex_m7", "cortex_m33", "cortex_m55", "riscv32imc")
    for cell in CELLS
]


@pytest.mark.parametrize(("cell", "target"), BARE)
def test_flipped_bits_on_a_target(cell: str, target: str, tmp_path: Path) -> None:
    """A sample of the bits, with the table of that target's kernel."""
    folder = exported(model_of(cell), tmp_path)
    image = bare_image(folder, target, ("car",), HERE / "flip_constants.c", "-DFLIP_BARE", *NO_CONST)
    flips, missed = flip_on_target(image, 97)
    assert (flips > 100, missed) == (True, 0)


SELF_TEST_ON_ORDER = """#include "es_mail.h"
#include "car.h"
#include "car_golden.h"
#include "car.c"
#include "car_golden.c"
es_mail_t es_mail;
es_mail_buffer_t es_mail_buffer;
static car_memory_t memory;
int main(void)
{
    for (;;) {
        es_place_t place = {0, 0};
        es_mail_wait();
        es_mail.status = (uint32_t)es_self_test(&car_golden, &memory, sizeof memory, &place);
        es_mail.row_words = place.window;
        es_mail_buffer.counts[0] = 0; /* the emulator looks for it */
    }
}
"""


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_flipped_bits_in_the_flash_of_an_avr(cell: str, tmp_path: Path) -> None:
    """Bits of the program memory, which only ES_ROM_... reads; some of each array, by changing the image."""
    folder = exported(model_of(cell), tmp_path)
    program = folder / "main.c"
    program.write_text(SELF_TEST_ON_ORDER)
    image = bare_image(folder, "atmega2560", ("car",), program, "-w")

    def answer() -> tuple[int, ...]:
        return ask_bare(image)[-2:]

    assert answer() == (0, 0)
    right = image.elf.read_bytes()
    in_flash = re.compile(r"car_(layer\d+|head)_(weights|blocks)|car_(centroids|radii)|es_tanh_(table|crc)")
    tables = [name for name in image.content.by_name if in_flash.fullmatch(name)]
    assert {"car_layer0_weights", "es_tanh_table", "es_tanh_crc", "car_radii"} <= set(tables)
    for name in tables:
        symbol = image.content.by_name[name]
        content = image.content.memory(symbol.address, symbol.size)
        assert right.count(content) == 1, name
        for bit in {0, 4 * symbol.size + 3, 8 * symbol.size - 1}:
            wrong = bytearray(right)
            wrong[right.index(content) + bit // 8] ^= 1 << bit % 8
            image.elf.write_bytes(wrong)
            assert answer() == (7, 0xFFFF), (name, bit)
    image.elf.write_bytes(right)
