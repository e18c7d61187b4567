"""The STM32 template with a HAL that is busy at awkward moments: no byte is lost, and reception never stops."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edge_seq.device import messages
from edge_seq.device.framing import Frame, encode_body, encode_frame, split_frames
from edge_seq.device.messages import REPLY, Type
from firmware_export.running.board import PORT_FOLDER
from firmware_export.toolchain.build import compile_c, find_compiler
from tests.device.c_device import HERE, export_board
from tests.zoo import quantized_model, random_counts, spec

TEMPLATE = PORT_FOLDER / "stm32_hal" / "es_stm32_hal.c"
HEADER = '-DES_STM32_HAL_HEADER="stm32_hal.h"'


@pytest.mark.parametrize("interrupts_off", [True, False], ids=["as it is", "with interrupts on"])
def test_a_busy_hal_does_not_make_it_deaf(interrupts_off: bool, tmp_path: Path) -> None:
    model = quantized_model(spec("gru", 3, window_length=4), name="stm32")
    counts = random_counts(1, 40, 3)[0]
    sources, includes = export_board(model, tmp_path / "c", counts, body_bytes=512, stream_bytes=128)
    text, mask = TEMPLATE.read_text(encoding="utf-8"), "    __disable_irq();\n"
    assert text.count(mask) == 1
    template = tmp_path / "template.c"
    template.write_text(text if interrupts_off else text.replace(mask, ""), encoding="utf-8")
    program = compile_c(
        find_compiler(),
        [*sources, template, HERE / "stm32_main.c"],
        tmp_path / "board",
        flags=["-std=c99", "-O1", HEADER],
        include_folders=[*includes, TEMPLATE.parent, HERE / "headers" / "stm32"],
    )
    requests = [(Type.HELLO, b""), (Type.RESET, b""), (Type.PUSH, messages.pack_counts(counts)), (Type.COST, b"")]
    sent = b"".join(
        encode_frame(encode_body(Frame(kind, 7 + at, fields))) for at, (kind, fields) in enumerate(requests)
    )
    done = subprocess.run([str(program)], input=sent, capture_output=True, check=False, timeout=60)
    if interrupts_off:
        replies = split_frames(b"", done.stdout).frames
        assert done.returncode == 0
        assert [reply.type for reply in replies] == [kind | REPLY for kind, _ in requests]
        assert messages.unpack_cost(replies[-1].fields).steps == 40
    else:
        assert done.returncode == 2, "deaf: the fault that interrupts off at the right place prevent"
