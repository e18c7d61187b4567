"""Firmware that hangs is reported after seconds, with the function that runs."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from edge_seq.support.errors import ToolError
from firmware_export.running.run_target import require_answer
from firmware_export.toolchain.target import load_target
from tests.targets.running import Case, build


@pytest.mark.parametrize(
    ("name", "emulator"),
    [
        ("cortex_m4", "qemu_system"),
        pytest.param("cortex_m4", "unicorn", marks=pytest.mark.slow),
        pytest.param("xtensa_lx106", "qemu_system", marks=pytest.mark.slow),
        pytest.param("atmega2560", "simavr", marks=pytest.mark.slow),
        pytest.param("wasm32", "wasmtime", marks=pytest.mark.slow),
        pytest.param("aarch64", "qemu_user", marks=pytest.mark.slow),
    ],
)
def test_the_function_that_runs_is_named(name: str, emulator: str, cases: dict[str, Case], tmp_path: Path) -> None:
    case = cases["lstm_car"]
    folder = Path(shutil.copytree(case.folder, tmp_path / "export"))
    source = folder / "runtime" / "src" / "es_head.c"
    text = source.read_text()
    at = text.index("{", text.index("void es_head_step")) + 1
    source.write_text(f'{text[:at]}\n    for (;;) {{\n        __asm__ volatile("");\n    }}\n{text[at:]}')
    target = load_target(name).model_copy(update={"timeout_s": 2.0})
    program = build([folder], tmp_path / "build", target, emulator=emulator)
    begun = time.monotonic()
    with pytest.raises(ToolError, match=r"not done after 2 s, (in|at) es_head_step"):
        require_answer(program, case.model)
    assert time.monotonic() - begun < 60
