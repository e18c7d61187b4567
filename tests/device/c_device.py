"""Runs ``es_wire.c`` in a process, as a device for :class:`edge_seq.device.transport.LoopbackTransport`."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.ir.model import IntModel
from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from firmware_export.running.board import PORT_FOLDER, WIRE_FOLDER, board_source
from firmware_export.toolchain.build import Compiler, compile_c, find_compiler
from tests.zoo import random_counts

HERE = Path(__file__).parent
WIRE = WIRE_FOLDER / "es_wire.c"


def export_board(
    model: IntModel,
    folder: Path,
    recording: NDArray[np.int16],
    *,
    body_bytes: int,
    stream_bytes: int,
    wire: Path = WIRE,
) -> tuple[list[Path], list[Path]]:
    """Export a model and the files of a board; returns the sources (except a port) and the include folders.

    ``wire`` may be another ``es_wire.c``, with a planted defect.
    """
    counts = random_counts(2, 2 * model.contract.window_length, model.num_channels)
    export_c(model, make_golden(model, counts), folder)
    board = folder / "es_board_model.c"
    board.write_text(
        board_source(model.name, recording, 10.0, body_bytes=body_bytes, stream_bytes=stream_bytes), encoding="utf-8"
    )
    sources = [
        *sorted((folder / "runtime" / "src").glob("*.c")),
        *sorted(folder.glob("*.c")),
        wire,
    ]
    includes = [folder, folder / "runtime/include", folder / "runtime/src", WIRE_FOLDER, PORT_FOLDER / "board"]
    return sources, includes


def build_driver(
    model: IntModel,
    folder: Path,
    recording: NDArray[np.int16],
    *,
    body_bytes: int = 1024,
    stream_bytes: int = 0,
    compiler: Compiler | None = None,
    flags: Sequence[str] = ("-std=c99", "-O1"),
    spoil: Callable[[Path], None] = lambda _: None,
) -> Path:
    """Compile the device and its driver. ``spoil`` may plant a fault in the export's folder first."""
    stream_bytes = stream_bytes or 18 + 2 * model.num_channels * 16
    sources, includes = export_board(model, folder, recording, body_bytes=body_bytes, stream_bytes=stream_bytes)
    spoil(folder)
    return compile_c(
        compiler or find_compiler(), [*sources, HERE / "wire_main.c"], folder / "driver", flags=flags,
        include_folders=includes,
    )  # fmt: skip


@contextmanager
def run_driver(program: Path, samples_so_far: Callable[[], int] = lambda: 0) -> Iterator[Callable[[bytes], bytes]]:
    """A function from received bytes to sent bytes."""
    process = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def receive(data: bytes) -> bytes:
        stdin.write(struct.pack("=II", samples_so_far(), len(data)) + data)
        stdin.flush()
        (size,) = struct.unpack("=I", stdout.read(4))
        return stdout.read(size)

    try:
        yield receive
    finally:
        stdin.close()
        process.wait(10)
        stdout.close()
