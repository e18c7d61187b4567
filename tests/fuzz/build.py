"""Builds the fuzzers of the device side of the wire.

python -m tests.fuzz.build FOLDER: writes FOLDER/fuzz_wire and FOLDER/fuzz_decoder (clang with libFuzzer, address and
undefined-behaviour sanitizers), and FOLDER/seeds, frames for the decoder to begin with.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from edge_seq.device.framing import Frame, encode_body, encode_frame
from edge_seq.device.messages import Type
from firmware_export.toolchain.build import Compiler, compile_c, compile_objects
from tests.device.c_device import WIRE, export_board
from tests.zoo import quantized_model, random_counts, spec

SANITIZERS = "-fsanitize=fuzzer,address,undefined"
FLAGS = ("-std=c99", "-O2", "-g", SANITIZERS, "-fno-sanitize-recover=all")
MODEL = spec("gru", 2, channels=2, classes=2, window_length=2, step="difference", pooling="mean")
BODY_BYTES = 256  # BODY in fuzz_wire.c
PROGRAMS = ("fuzz_wire", "fuzz_decoder")


def build_fuzzers(folder: Path, *, flags: tuple[str, ...] = FLAGS, wire: Path = WIRE) -> list[Path]:
    """Compile the fuzzers with this ``es_wire.c``.

    Raises:
        ToolError: clang fails, for example as its fuzzer runtime is not installed; the message holds its output.
    """
    clang = Compiler("clang", (shutil.which("clang") or "clang",))
    model = quantized_model(MODEL, name="fuzzed")
    sources, includes = export_board(
        model, folder, random_counts(1, 9, 2)[0], body_bytes=BODY_BYTES, stream_bytes=64, wire=wire
    )
    objects = compile_objects(clang, sources, folder / "objects", root=folder, flags=flags, include_folders=includes)
    main = Path(__file__).with_name("fuzz_wire.c")
    defines: dict[str, list[str]] = {"fuzz_wire": [], "fuzz_decoder": ["-DFUZZ_DECODER"]}
    return [
        compile_c(clang, [*objects, main], folder / name, flags=[*flags, *defines[name]], include_folders=includes)
        for name in PROGRAMS
    ]


def write_seeds(folder: Path) -> Path:
    """Write valid frames, one per file, none longer than the device takes, as fuzzers cannot guess a checksum."""
    folder.mkdir()
    for kind, fields in ((Type.HELLO, b""), (Type.RESET, b""), (Type.PUSH, bytes(range(1, BODY_BYTES - 7)))):
        (folder / kind.name).write_bytes(encode_frame(encode_body(Frame(kind, 7, fields))))
    return folder


if __name__ == "__main__":
    for path in [*build_fuzzers(Path(sys.argv[1])), write_seeds(Path(sys.argv[1], "seeds"))]:
        print(path)  # noqa: T201
