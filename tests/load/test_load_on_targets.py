"""Blobs on emulated processors: es_load takes them, and the self-test meets every golden vector."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from edge_seq.ir.model import IntModel
from firmware_export.emission import ctext
from firmware_export.emission.blob import ByteOrder
from firmware_export.toolchain.build import compile_c
from firmware_export.toolchain.target import (
    MissingToolError,
    QemuUserEmulator,
    find_emulator,
    find_target_compiler,
    load_target,
)
from tests.load.conftest import INCLUDES, SOURCES
from tests.load.test_blob import blob_of
from tests.targets.running import ask_bare, build_bare
from tests.zoo import CELLS, DISTANCES, quantized_model, random_front_chain

TRY = """#include "es_load.h"
{blob}
static union {{
    es_loaded_t loaded; /* es_load puts it first */
    uint8_t bytes[{memory}];
}} memory, context_memory;

/* es_load's status, and 100 more if the self-test fails. */
static uint32_t try_blob(void)
{{
    const es_loaded_t *loaded;
    const es_status_t status = es_load(blob, sizeof blob, NULL, &memory, sizeof memory, &loaded);
    if (status != ES_OK) {{
        return (uint32_t)status;
    }}
    return es_self_test(&loaded->golden, &context_memory, sizeof context_memory, NULL) == ES_OK ? 0u : 100u;
}}
"""
BARE = """#include "es_mail.h"
es_mail_t es_mail;
es_mail_buffer_t es_mail_buffer;
const es_model_t *const es_image_models[] = {&memory.loaded.model};
int main(void)
{
    for (;;) {
        es_mail_wait();
        es_mail.status = try_blob();
        es_mail.row_words = 1234;
        es_mail_buffer.counts[0] = 0; /* the emulator looks for it */
    }
}
"""
HOSTED = "int main(void)\n{\n    return (int)try_blob();\n}\n"
MODELS = {cell: replace(DISTANCES[cell], channels=3) for cell in CELLS} | {"front": random_front_chain(3)}


def source(model: IntModel, order: ByteOrder, folder: Path, main: str, memory: int = 4096) -> Path:
    """A program that tries a blob."""
    content = blob_of(model, order)
    blob = ctext.array("uint8_t", "blob", content, shape="a model", rom=True, word_aligned=True)
    program = folder / "try.c"
    program.write_text(TRY.format(blob=blob, memory=memory) + main, encoding="utf-8")
    return program


TARGETS = ("cortex_m0", "cortex_m3", "cortex_m4", "cortex_m7", "cortex_m33", "cortex_m55", "riscv32imc", "atmega2560")


@pytest.mark.slow
@pytest.mark.parametrize("what", list(MODELS))
@pytest.mark.parametrize("target_name", TARGETS)
def test_a_blob_on_a_bare_processor(target_name: str, what: str, tmp_path: Path) -> None:
    model = quantized_model(MODELS[what], name="blob")
    small = target_name.startswith("atmega")
    program = source(model, "little", tmp_path, BARE, 2000 if small else 4096)
    image = build_bare(target_name, [*SOURCES, program], tmp_path, models=(model.name,), includes=INCLUDES)
    assert ask_bare(image)[-2:] == (0, 1234)


@pytest.mark.slow
@pytest.mark.parametrize("what", list(MODELS))
@pytest.mark.parametrize(("target_name", "order"), [("powerpc", "big"), ("aarch64", "little"), ("armhf", "little")])
def test_a_blob_on_another_computer(target_name: str, order: ByteOrder, what: str, tmp_path: Path) -> None:
    model = quantized_model(MODELS[what], name="blob")
    target = load_target(target_name)
    try:
        compiler, choice = find_target_compiler(target)
        emulator = find_emulator(target)
    except MissingToolError as error:
        pytest.skip(str(error))
    assert isinstance(emulator, QemuUserEmulator)
    expected: dict[ByteOrder, int] = {"little": 10, "big": 10, order: 0}  # 10: ES_ERROR_BYTE_ORDER
    for mark, status in expected.items():
        program = compile_c(
            compiler,
            [*SOURCES, source(model, mark, tmp_path, HOSTED)],
            tmp_path / "try",
            flags=["-std=c99", "-O2", *choice.flags, *choice.link_flags],
            include_folders=INCLUDES,
        )
        done = subprocess.run([emulator.program, str(program)], check=False, timeout=60)
        assert done.returncode == status
