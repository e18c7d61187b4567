"""Builds the fuzzers of the C that takes bytes from others: the device side of the wire, and saved states.

python -m tests.fuzz.build FOLDER: writes FOLDER/fuzz_decoder, fuzz_wire and fuzz_state (clang with libFuzzer, address
and undefined-behaviour sanitizers), the same with _loop at the end (a plain loop, for a billion executions), and
FOLDER/seeds, frames for the decoder to begin with.
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

HERE = Path(__file__).parent
SANITIZERS = "-fsanitize=fuzzer,address,undefined"
FLAGS = ("-std=c99", "-O2", "-g", SANITIZERS, "-fno-sanitize-recover=all")
LOOP_FLAGS = ("-std=c99", "-O2", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")  # no coverage
MODEL = spec("gru", 2, channels=2, classes=2, window_length=2, step="difference", pooling="mean")
BODY_BYTES = 256  # BODY in fuzz_wire.c
PROGRAMS = {
    "fuzz_wire": ("fuzz_wire.c",),
    "fuzz_decoder": ("fuzz_wire.c", "-DFUZZ_DECODER"),
    "fuzz_state": ("fuzz_state.c",),
}


def build_fuzzers(
    folder: Path, *, flags: tuple[str, ...] = FLAGS, wire: Path = WIRE, loop: bool = False
) -> dict[str, Path]:
    """Compile the fuzzers with this ``es_wire.c``.

    Args:
        folder: where to write them.
        flags: of clang.
        wire: the device's side of the wire.
        loop: True for a plain loop in place of libFuzzer.

    Returns:
        The programs by name.

    Raises:
        ToolError: clang fails, for example as its fuzzer runtime is not installed; the message holds its output.
    """
    clang = Compiler("clang", (shutil.which("clang") or "clang",))
    model = quantized_model(MODEL, name="fuzzed")
    sources, includes = export_board(
        model, folder, random_counts(1, 9, 2)[0], body_bytes=BODY_BYTES, stream_bytes=64, wire=wire
    )
    objects = compile_objects(clang, sources, folder / "objects", root=folder, flags=flags, include_folders=includes)
    mains = [HERE / "fuzz_loop.c"] if loop else []
    return {
        name: compile_c(
            clang,
            [*objects, HERE / source, *mains],
            folder / (f"{name}_loop" if loop else name),
            flags=[*flags, *defines],
            include_folders=includes,
        )
        for name, (source, *defines) in PROGRAMS.items()
    }


def write_seeds(folder: Path) -> Path:
    """Write valid frames, one per file, none longer than the device takes, as fuzzers cannot guess a checksum."""
    folder.mkdir()
    for kind, fields in ((Type.HELLO, b""), (Type.RESET, b""), (Type.PUSH, bytes(range(1, BODY_BYTES - 7)))):
        (folder / kind.name).write_bytes(encode_frame(encode_body(Frame(kind, 7, fields))))
    return folder


if __name__ == "__main__":
    FOLDER = Path(sys.argv[1])
    for path in [
        *build_fuzzers(FOLDER).values(),
        *build_fuzzers(FOLDER, flags=LOOP_FLAGS, loop=True).values(),
        write_seeds(FOLDER / "seeds"),
    ]:
        print(path)  # noqa: T201
