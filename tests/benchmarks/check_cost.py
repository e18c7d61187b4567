"""What ``es_check_constants`` costs on emulated targets: bytes of flash, and instructions of a round.

    python -m tests.benchmarks.check_cost cortex_m4 cortex_m0 riscv32imc atmega2560

The model is the bench's car LSTM. Flash is what the linked image grows by when it calls the check. The AVR's figure is
in cycles, as its simulator counts them: the program names its round ``es_step``, which is the function that is counted.
"""

from __future__ import annotations

import struct
import sys
import tempfile
from collections import Counter
from pathlib import Path

from firmware_export.emission.emit import RUNTIME_FOLDER, export_c
from firmware_export.emission.golden import make_golden
from firmware_export.measuring.reference_models import SHAPES, reference_counts, reference_model
from firmware_export.running.mail import Order
from firmware_export.running.simavr_machine import run_in_simavr
from firmware_export.running.unicorn_machine import UnicornMachine
from firmware_export.toolchain.image import Image, build_firmware
from firmware_export.toolchain.target import BARE_FOLDER, SimavrEmulator, UnicornEmulator, find_emulator, load_target

_PROGRAM = """#include "es_mail.h"
#include "car.h"
es_mail_t es_mail;
es_mail_buffer_t es_mail_buffer;
static car_memory_t memory;
static es_context_t *context;
#if CHECK
es_status_t es_step(es_context_t *unused, const int16_t *counts)
{
    es_check_t check;
    (void)unused;
    (void)counts;
    (void)es_check_begin(&check, &car_constants);
    es_mail.status = (uint32_t)es_check_constants(&check, SIZE_MAX);
    return ES_OK;
}
#endif
int main(void)
{
    for (;;) {
        es_mail_wait();
        (void)es_init(&car_model, &memory, sizeof memory, &context);
        (void)es_step(context, es_mail_buffer.counts);
    }
}
"""
_DONE = 8  # ES_CHECK_DONE


def _build(folder: Path, name: str, check: bool) -> Image:
    target = load_target(name)
    program = folder / f"main{int(check)}.c"
    program.write_text(_PROGRAM, encoding="utf-8")
    runtime = sorted((folder / "runtime/src").glob("*.c"))
    parts = ("es_memory", f"es_start_{target.start}", "es_wait")
    if check:  # beside a copy of es_model.c whose step has another name
        model = folder / "es_model_renamed.c"
        model.write_text('#define es_step es_model_step\n#include "es_model.c"\n', encoding="utf-8")
        runtime = [path for path in runtime if path.name != "es_model.c"] + [model]
    built = build_firmware(
        target,
        [*runtime, folder / "car.c", program, *(BARE_FOLDER / f"{part}.c" for part in parts)],
        folder / f"built{int(check)}",
        root=folder,
        include_folders=[
            folder,
            folder / "runtime/include",
            folder / "runtime/src",
            RUNTIME_FOLDER / "port",
            BARE_FOLDER,
        ],
        flags=["-DES_MAIL_BUFFER_BYTES=64u", f"-DCHECK={int(check)}"],
    )
    return Image(built.elf, target, built.compiler, ("car",), False, built.objects)


def _of_check(image: Image) -> int:
    """Bytes of the check's code and of what only it refers to."""
    names = ("es_check", "add", "car_constants", "car_arrays", "es_tanh_crc", "es_tanh_dsp_crc")
    return sum(one.size for one in image.content.symbols if one.name.startswith(names))


def measure(name: str) -> str:
    """Row of a table: target, bytes of flash, cost of a round."""
    model = reference_model("car", "lstm")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        export_c(model, make_golden(model, reference_counts(SHAPES["car"], windows=1)), folder)
        image = _build(folder, name, True)
        bytes_ = _of_check(image)
        order = struct.pack("<5I", 0, 1, 1, 1, 0)
        match find_emulator(image.target):
            case UnicornEmulator() as emulator:
                machine = UnicornMachine(image, emulator)
                executed: Counter[tuple[int, int]] = Counter()
                with machine.blocks(executed):
                    machine.resume(timeout_s=600)
                head = machine.read(machine.elf.address_of("es_mail"), 28)
                cost = sum(times * len(machine.instructions_at(*block)) for block, times in executed.items())
                unit = "instructions"
            case SimavrEmulator() as emulator:
                (answer,) = run_in_simavr(image, emulator, [Order(order, b"", 0, 0, 0)], timeout_s=600)
                head, cost, unit = answer.head[:28], answer.cycles, "cycles"
            case other:
                raise SystemExit(f"{name}: {other.name} is not supported here")
    status = struct.unpack("<7I", head)[5]
    assert status == _DONE, f"{name}: status {status}"
    return f"| {name} | {bytes_:,} | {cost:,} {unit} |"


if __name__ == "__main__":
    sys.stdout.write("| target | bytes of flash | a round |\n|---|---|---|\n")
    for target_name in sys.argv[1:]:
        sys.stdout.write(measure(target_name) + "\n")
