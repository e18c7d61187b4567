"""Builds the fuzzers of the device's side of the wire.

python -m tests.fuzz.build FOLDER: writes FOLDER/fuzz_wire and FOLDER/fuzz_decoder (clang with libFuzzer, address and
undefined-behaviour sanitizers).
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from firmware_export.build import Compiler, compile_c
from tests.device.c_device import export_board
from tests.zoo import quantized_model, random_counts, spec

SANITIZERS = "-fsanitize=fuzzer,address,undefined"
FLAGS = ("-std=c99", "-O2", "-g", SANITIZERS, "-fno-sanitize-recover=all")
MODEL = spec("gru", 2, channels=2, classes=2, window_length=2, step="difference", pooling="mean")


def build_fuzzer(folder: Path, name: str = "fuzz_wire", *, flags: tuple[str, ...] = FLAGS) -> Path:
    """Compile one: ``fuzz_wire`` or ``fuzz_decoder``.

    Raises:
        ToolError: with clang's words, where its fuzzer runtime is not installed.
    """
    clang = shutil.which("clang") or "clang"
    model = quantized_model(MODEL, name="fuzzed")
    sources, includes = export_board(model, folder, random_counts(1, 9, 2)[0], body_bytes=256, stream_bytes=64)
    return compile_c(
        Compiler("clang", (clang,)),
        [*sources, Path(__file__).with_name("fuzz_wire.c")],
        folder / name,
        flags=[*flags, *(["-DFUZZ_DECODER"] if name == "fuzz_decoder" else [])],
        include_folders=includes,
    )


if __name__ == "__main__":
    for program in ("fuzz_wire", "fuzz_decoder"):
        print(build_fuzzer(Path(sys.argv[1]), program))  # noqa: T201
