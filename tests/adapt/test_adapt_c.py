"""A head that learns in C: logits, labels, decisions and saved bytes are the reference's, also on emulated parts."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_seq.backends.adapt import Learned, save_learned
from edge_seq.ir.model import IntModel
from edge_seq.ir.range_proof import STEP_LIMIT
from firmware_export.emission.emit import RUNTIME_FOLDER, export_c
from firmware_export.emission.golden import make_golden
from firmware_export.running.mail import MAIL_BYTES, Order, order_mark
from firmware_export.running.simavr_machine import run_in_simavr
from firmware_export.running.unicorn_machine import UnicornMachine
from firmware_export.toolchain.build import STRICT_FLAGS, compile_c, find_compiler
from firmware_export.toolchain.image import Image, build_firmware
from firmware_export.toolchain.target import (
    BARE_FOLDER,
    MissingToolError,
    QemuUserEmulator,
    SimavrEmulator,
    UnicornEmulator,
    find_emulator,
    find_target_compiler,
    load_target,
)
from tests.adapt.program import lessons_for, write_program
from tests.zoo import DECISIONS, DISTANCES, extreme_model, quantized_model, random_counts, spec

SRC = RUNTIME_FOLDER / "src"
HOSTED = """#include <stdio.h>
int main(void)
{
    const unsigned at = (unsigned)try_adapt();
    printf("%u\\n", at);
    return at != 0u;
}
"""
SANITIZED = (*STRICT_FLAGS, "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
SHAPES = {
    "window": spec("lstm", 6, window_length=5, step="difference", pooling="mean"),
    "sample": spec("gru", 5, window_length=4, label_every="sample", at_window_end="carry"),
    "both statistics": spec("rnn", 5, window_length=4, pooling="mean_max", label_every="sample"),
    "dense": spec("fastgrnn", 5, window_length=3, dense=((7, "relu"),)),
    "decided": DECISIONS["lstm"],
    "distance": DISTANCES["gru"],
}


def exported(model: IntModel, folder: Path) -> list[Path]:
    """Export a model; returns its C files."""
    counts = random_counts(1, 2 * model.contract.window_length, model.num_channels)
    export_c(model, make_golden(model, counts), folder)
    return [folder / f"{model.name}.c"]


def host(model: IntModel, folder: Path, lessons: Sequence[int], examples: int, **more: bytes) -> tuple[str, Learned]:
    """Run the program here, under sanitizers: what it printed, and what the reference has learned."""
    generated = exported(model, folder / "c")
    counts = random_counts(1, len(lessons), model.num_channels, seed=2, sigma=800)[0]
    program = folder / "case.c"
    result = write_program(model, counts, lessons, examples, HOSTED, program, **more)
    built = compile_c(
        find_compiler(),
        [*sorted(SRC.glob("*.c")), *generated, program],
        folder / "case",
        flags=SANITIZED,
        include_folders=[RUNTIME_FOLDER / "include", folder / "c"],
    )
    done = subprocess.run([str(built)], capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr, result.learned


@pytest.mark.slow  # by default over the wire, and on a Cortex-M4 and an ATmega2560
@pytest.mark.parametrize("what", list(SHAPES))
def test_c_learns_as_the_reference(what: str, tmp_path: Path) -> None:
    model = quantized_model(SHAPES[what], name="case", amplitude=3.0)
    said, learned = host(model, tmp_path, lessons_for(120, model.num_classes, 1), 3)
    assert said == "0\n"
    assert learned.samples > 0


@pytest.mark.slow
def test_a_wrong_result_is_seen(tmp_path: Path) -> None:
    """The program can fail: it begins with other steps than the reference."""
    model = quantized_model(SHAPES["sample"], name="case", amplitude=3.0)
    learned = extremes(model, 3)
    begun, other = save_learned(model, learned), save_learned(model, replace(learned, steps=learned.steps // 2))
    assert host(model, tmp_path / "same", [-1] * 9, 3, begun=begun)[0] == "0\n"
    assert host(model, tmp_path / "other", [-1] * 9, 3, begun=begun, begun_in_c=other)[0] != "0\n"


def extremes(model: IntModel, examples: int) -> Learned:
    """Examples with the largest steps, in the corners of the space, all for the first class and against the last."""
    places = np.where(np.random.default_rng(0).random((examples, model.head_size)) < 0.5, -128, 127)
    ones = np.ones(examples, dtype=np.int64)
    return Learned(places, 0 * ones, (model.num_classes - 1) * ones, STEP_LIMIT * ones, next=examples - 1)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_extremes_do_not_overflow(cell: str, tmp_path: Path) -> None:
    """Extreme weights, extreme examples, as many as there can be: what the proof bounds, under the sanitizers."""
    shape = spec(cell, 4, classes=3, window_length=4, label_every="sample", decision=DECISIONS[cell].readout.decision)
    model = extreme_model(shape, name="case")
    begun = save_learned(model, extremes(model, 255))
    said, learned = host(model, tmp_path, [-1, 2, 0, 1, -2, -3] * 10, 255, begun=begun)
    assert said == "0\n"
    assert learned.samples == 30
    assert (learned.steps == STEP_LIMIT).sum() > 220


BARE = """#include "es_mail.h"
es_mail_t es_mail;
es_mail_buffer_t es_mail_buffer;
const es_model_t *const es_image_models[] = {&case_model};
int main(void)
{
    for (;;) {
        es_mail_wait();
        es_mail.status = try_adapt();
        es_mail.row_words = 1234;
        es_mail_buffer.counts[0] = 0; /* the emulator looks for it */
    }
}
"""
TARGETS = ("cortex_m4", "atmega2560")
FURTHER = ("cortex_m0", "cortex_m3", "cortex_m7", "cortex_m33", "riscv32imc")


def image_of(name: str, model: IntModel, folder: Path, samples: int, examples: int) -> Image:
    """Firmware that runs the case."""
    target = load_target(name)
    generated = exported(model, folder / "c")
    counts = random_counts(1, samples, model.num_channels, seed=2, sigma=800)[0]
    write_program(model, counts, lessons_for(samples, model.num_classes, 3), examples, BARE, folder / "case.c")
    built = build_firmware(
        target,
        [
            *(source for source in sorted(SRC.glob("*.c"))),
            *generated,
            folder / "case.c",
            *(BARE_FOLDER / f"{part}.c" for part in ("es_memory", f"es_start_{target.start}", "es_wait")),
        ],
        folder / "built",
        root=folder,
        include_folders=[RUNTIME_FOLDER / "include", SRC, folder / "c", BARE_FOLDER.parent, BARE_FOLDER],
        flags=["-DES_MAIL_BUFFER_BYTES=64u"],
    )
    return Image(built.elf, target, built.compiler, (model.name,), False, built.objects, False)


@pytest.mark.parametrize("name", [*TARGETS, *[pytest.param(name, marks=pytest.mark.slow) for name in FURTHER]])
def test_exact_on_bare_processors(name: str, tmp_path: Path) -> None:
    model = quantized_model(SHAPES["distance"], name="case", amplitude=3.0)
    try:
        image = image_of(name, model, tmp_path, 60, 3)
        emulator = find_emulator(load_target(name))
    except MissingToolError as error:
        pytest.skip(str(error))
    mark = order_mark(image.content.byte_order)
    order = Order(struct.pack(f"{mark}5I", 0, 1, 0, 1, 0), b"", 0, 0, 0)
    match emulator:
        case UnicornEmulator():
            machine = UnicornMachine(image, emulator)
            mail = machine.elf.address_of("es_mail")
            machine.write(mail, order.head)
            machine.resume(timeout_s=120)
            answer = machine.read(mail, MAIL_BYTES)
        case _:
            assert isinstance(emulator, SimavrEmulator)
            answer = run_in_simavr(image, emulator, [order], timeout_s=120)[0].head
    assert struct.unpack(f"{mark}7I", answer[:28])[-2:] == (0, 1234)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) for name in ("powerpc", "aarch64", "armhf")]
)
def test_exact_on_other_computers(name: str, tmp_path: Path) -> None:
    """powerpc is big-endian."""
    model = quantized_model(SHAPES["distance"], name="case", amplitude=3.0)
    generated = exported(model, tmp_path / "c")
    counts = random_counts(1, 60, model.num_channels, seed=2, sigma=800)[0]
    write_program(model, counts, lessons_for(60, model.num_classes, 3), 3, HOSTED, tmp_path / "case.c")
    try:
        compiler, choice = find_target_compiler(load_target(name))
        emulator = find_emulator(load_target(name))
    except MissingToolError as error:
        pytest.skip(str(error))
    assert isinstance(emulator, QemuUserEmulator)
    built = compile_c(
        compiler,
        [*sorted(SRC.glob("*.c")), *generated, tmp_path / "case.c"],
        tmp_path / "case",
        flags=["-std=c99", "-O2", *choice.flags, *choice.link_flags],
        include_folders=[RUNTIME_FOLDER / "include", tmp_path / "c"],
    )
    done = subprocess.run([emulator.program, str(built)], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "0\n"
