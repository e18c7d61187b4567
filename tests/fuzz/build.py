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


PROGRAMS = ("fuzz_wire", "fuzz_decoder")


def build_fuzzers(folder: Path, *, flags: tuple[str, ...] = FLAGS) -> list[Path]:
    """Compile them.

    Raises:
        ToolError: with clang's words, where its fuzzer runtime is not installed.
    """
    clang = Compiler("clang", (shutil.which("clang") or "clang",))
    model = quantized_model(MODEL, name="fuzzed")
    sources, includes = export_board(model, folder, random_counts(1, 9, 2)[0], body_bytes=256, stream_bytes=64)
    objects = [
        compile_c(clang, [source], folder / f"{source.stem}.o", flags=[*flags, "-c"], include_folders=includes)
        for source in sources
    ]
    main = Path(__file__).with_name("fuzz_wire.c")
    defines: dict[str, list[str]] = {"fuzz_wire": [], "fuzz_decoder": ["-DFUZZ_DECODER"]}
    return [
        compile_c(clang, [*objects, main], folder / name, flags=[*flags, *defines[name]], include_folders=includes)
        for name in PROGRAMS
    ]


if __name__ == "__main__":
    for program in build_fuzzers(Path(sys.argv[1])):
        print(program)  # noqa: T201
