"""Builds the fuzzers of the C that takes bytes from others: the device side of the wire, saved states, loaded models.

python -m tests.fuzz.build FOLDER: writes FOLDER/fuzz_decoder, fuzz_wire and fuzz_state (clang with libFuzzer, address
and undefined-behaviour sanitizers), the same with _loop at the end (a plain loop, for a billion executions),
FOLDER/seeds, frames for the decoder to begin with, and fuzz_load_loop with the models FOLDER/*.blob that it changes.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from edge_seq.device.framing import Frame, encode_body, encode_frame
from edge_seq.device.messages import Type
from firmware_export.emission.blob import choose_byte_order, emit_blob
from firmware_export.emission.golden import make_golden
from firmware_export.toolchain.build import Compiler, compile_c, compile_objects
from tests.device.c_device import WIRE, export_board
from tests.load.conftest import SANITIZE, WRAP, build
from tests.zoo import DECISIONS, DISTANCES, convolution, quantized_model, random_counts, spec

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
# Models whose blobs are changed and loaded: every kind of layer, a decision stage, a distance, summed rows.
LOADED = {
    "layers": spec(
        "lstm", 5, 3, front=(convolution(4, "relu", 3, stride=2),), pooling="mean_max", dense=((4, "tanh"),)
    ),
    "decision": DECISIONS["rnn"],
    "distance": DISTANCES["fastgrnn"],
    "flatten": spec("gru", 5, pooling="flatten"),
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


def build_loader(folder: Path) -> tuple[Path, list[Path]]:
    """Compile the fuzzer of the loader of models, a plain loop that mends checksums, and write the blobs for it.

    Returns:
        The program (arguments: blob, executions, seed), and the blobs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    blobs = []
    for name, shape in LOADED.items():
        model = quantized_model(shape, name=name)
        golden = make_golden(model, random_counts(1, 2 * model.contract.window_length, model.num_channels))
        blobs.append(folder / f"{name}.blob")
        blobs[-1].write_bytes(emit_blob(model, golden, choose_byte_order(sys.byteorder)))
    return build(["fuzz_load.c"], folder / "fuzz_load_loop", [*SANITIZE, *WRAP]), blobs


if __name__ == "__main__":
    FOLDER = Path(sys.argv[1])
    for path in [
        *build_fuzzers(FOLDER).values(),
        *build_fuzzers(FOLDER, flags=LOOP_FLAGS, loop=True).values(),
        write_seeds(FOLDER / "seeds"),
        build_loader(FOLDER)[0],
    ]:
        print(path)  # noqa: T201
