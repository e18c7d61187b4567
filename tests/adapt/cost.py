"""Instructions and memory of a head that learns, on an emulated Cortex-M."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_seq.backends.adapt import DEFAULT_EXAMPLES
from edge_seq.ir.model import IntModel
from firmware_export.emission.emit import RUNTIME_FOLDER, export_c
from firmware_export.emission.golden import make_golden
from firmware_export.running.unicorn_machine import UnicornMachine
from firmware_export.toolchain.image import Image, build_firmware
from firmware_export.toolchain.target import BARE_FOLDER, UnicornEmulator, find_emulator, load_target

PROGRAM = """#include "es_adapt.h"
#include "es_mail.h"
#include "{name}.h"

es_mail_t es_mail;
es_mail_buffer_t es_mail_buffer;
const es_model_t *const es_image_models[] = {{&{name}_model}};
static {name}_memory_t memory;
static union {{
    es_adapt_t alignment;
    uint8_t bytes[ES_ADAPT_BYTES({examples}, {values})];
}} learning;
static es_context_t *context;
static es_adapt_t *adapt;

#define KEPT __attribute__((noinline, noclone, used)) uint32_t
KEPT begin_plain(void);
KEPT begin_adapted(void);
KEPT one_step(void);
KEPT one_lesson(uint32_t label);
KEPT bytes_of_learning(void);
int main(void);

uint32_t begin_plain(void)
{{
    return (uint32_t)es_init(&{name}_model, &memory, sizeof memory, &context);
}}

uint32_t begin_adapted(void)
{{
    const es_status_t status = es_adapt_init(&{name}_model, &learning, sizeof learning, &adapt);
    return status != ES_OK ? (uint32_t)status
                           : (uint32_t)es_init(es_adapt_model(adapt), &memory, sizeof memory, &context);
}}

uint32_t one_step(void)
{{
    return (uint32_t)es_step(context, (const int16_t *)(const void *)es_mail_buffer.counts);
}}

uint32_t one_lesson(uint32_t label)
{{
    adapt->ready = context; /* more than one lesson a label, to fill the memory */
    return (uint32_t)es_adapt(context, (uint16_t)label);
}}

uint32_t bytes_of_learning(void)
{{
    return (uint32_t)sizeof learning;
}}

int main(void)
{{
    for (;;) {{
        es_mail_wait();
        es_mail.status = begin_plain() + begin_adapted() + one_step() + one_lesson(0) + bytes_of_learning();
        es_mail_buffer.counts[0] = 0;
    }}
}}
"""


@dataclass(frozen=True)
class LearningCost:
    """Instructions at the sample of a label, and bytes.

    Attributes:
        label: step with a label, with the factory's model.
        empty: the same with a head that has learned nothing.
        full: the same with all examples held.
        lesson: of :c:func:`es_adapt`.
        ram: bytes of what is learned and of the model's copy.
        flash: bytes of es_adapt.c, without what is not used here (saving, the wire).
    """

    label: int
    empty: int
    full: int
    lesson: int
    ram: int
    flash: int


def learning_cost(model: IntModel, folder: Path, target: str = "cortex_m4") -> LearningCost:
    """Count in unicorn.

    Raises:
        MissingToolError: the compiler or unicorn is missing.
    """
    loaded = load_target(target)
    counts = np.zeros((1, model.contract.window_length, model.num_channels), dtype=np.int16)
    export_c(model, make_golden(model, counts), folder / "c")
    program = folder / "cost.c"
    program.write_text(PROGRAM.format(name=model.name, examples=DEFAULT_EXAMPLES, values=model.head_size))
    sources = [
        *sorted((RUNTIME_FOLDER / "src").glob("*.c")),
        folder / "c" / f"{model.name}.c",
        program,
        *(BARE_FOLDER / f"{part}.c" for part in ("es_memory", f"es_start_{loaded.start}", "es_wait")),
    ]
    includes = [RUNTIME_FOLDER / "include", RUNTIME_FOLDER / "src", folder / "c", BARE_FOLDER.parent, BARE_FOLDER]
    built = build_firmware(
        loaded, sources, folder / "built", root=folder, include_folders=includes, flags=["-DES_MAIL_BUFFER_BYTES=256u"]
    )
    image = Image(built.elf, loaded, built.compiler, (model.name,), False, built.objects, False)
    emulator = find_emulator(loaded)
    assert isinstance(emulator, UnicornEmulator)
    machine = UnicornMachine(image, emulator)
    every = model.contract.window_length if model.readout.label_every == "window" else 1

    def instructions(name: str, *arguments: int) -> int:
        executed: Counter[tuple[int, int]] = Counter()
        with machine.blocks(executed):
            machine.call(name, *arguments)
        return sum(times * len(machine.instructions_at(*block)) for block, times in executed.items())

    def to_label() -> int:
        for _ in range(every - 1):
            machine.call("one_step")
        return instructions("one_step")

    def begin(name: str) -> None:
        assert machine.call(name) == 0

    begin("begin_plain")
    label = to_label()
    begin("begin_adapted")
    empty = to_label()
    lesson = 0
    for index in range(
        4 * DEFAULT_EXAMPLES
    ):  # the label that is farthest behind each time, so that each leaves an example
        lesson = max(lesson, instructions("one_lesson", model.num_classes - 1 if index % 2 else 0))
        to_label()
    full = to_label()
    text = sum(symbol.size for name, symbol in machine.elf.by_name.items() if name in OWN)
    return LearningCost(label, empty, full, lesson, machine.call("bytes_of_learning"), text)


OWN = ("adapted_step", "es_adapt", "es_adapt_init", "es_adapt_forget", "es_adapt_values", "es_adapt_model", "correct")
