"""Emulated boards: firmware with the wire protocol, run in QEMU or as a process, reached through a pseudo-terminal."""

from __future__ import annotations

import ctypes
import os
import re
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from edge_seq.support.errors import ConfigError, ExportError, ToolError
from firmware_export.emission import ctext
from firmware_export.emission.emit import RUNTIME_FOLDER
from firmware_export.toolchain.build import build_program, find_compiler
from firmware_export.toolchain.host import read_manifest
from firmware_export.toolchain.image import build_firmware
from firmware_export.toolchain.target import (
    BARE_FOLDER,
    QemuSystemEmulator,
    find_emulator,
    load_target,
)

BoardKind = Literal["qemu", "posix"]
BOARDS: tuple[BoardKind, ...] = ("qemu", "posix")
WIRE_FOLDER = RUNTIME_FOLDER / "wire"
PORT_FOLDER = RUNTIME_FOLDER / "port"
BODY_BYTES = 4096
STREAM_BYTES = 1024
MAX_RECORDING_BYTES = 1 << 20
START_TIMEOUT_S = 10.0
_PR_SET_PDEATHSIG = 1
_QEMU_PORT = re.compile(rb"char device redirected to (\S+)")
Clock = Literal["instructions", "host"]
CLOCKS: tuple[Clock, ...] = ("instructions", "host")
_Name = TypeVar("_Name", bound=str)
# Time base of the emulated board. "instructions": 32 ns per instruction, so measured costs are the same in every run,
# but the sensor of a busy board is a few per cent slow. "host": the sensor keeps its rate, but measured costs mean
# nothing.
_QEMU_TIME: dict[Clock, tuple[str, ...]] = {"instructions": ("-icount", "shift=5,sleep=on"), "host": ()}
_BOOT_RANDOM, _CLOCK_KIND = 0x21000000, 0x21000008  # read by es_board_qemu.c


@dataclass(frozen=True)
class Firmware:
    """A built emulated board.

    Attributes:
        kind: kind of the board.
        command: command that starts it.
        name: name of its model.
        clock: time base of a QEMU board; see :data:`CLOCKS`.
    """

    kind: BoardKind
    command: tuple[str, ...]
    name: str
    clock: Clock = "instructions"


def board_source(
    name: str,
    recording: NDArray[np.int16],
    rate_hz: float,
    *,
    body_bytes: int = BODY_BYTES,
    stream_bytes: int = STREAM_BYTES,
) -> str:
    """C text that gives the ports in ``runtime/port/board_*`` their model, buffers and recording."""
    upper = ctext.macro_name(name)
    setup = {
        "model": f"&{name}_model",
        "contract": f"&{name}_contract",
        "golden": f"&{name}_golden",
        "memory": "&es_board_context",
        "memory_bytes": "sizeof es_board_context",
        "received": "es_board_received",
        "reply": "es_board_reply",
        "body_bytes": "sizeof es_board_received",
        "stream": "es_board_stream",
        "stream_bytes": "sizeof es_board_stream",
        "state": "es_board_state",
    }
    learning = {"memory": "&es_board_learned", "saved": "es_board_saved"}
    source = {
        "counts": "es_board_counts",
        "samples": ctext.unsigned(len(recording)),
        "rate_millihz": ctext.unsigned(round(1000 * rate_hz)),
        "num_channels": ctext.unsigned(recording.shape[1]),
    }
    return "".join(
        [
            *(ctext.include(header) for header in ("es_board.h", f"{name}.h", f"{name}_golden.h")),
            f"static {name}_memory_t es_board_context;\n",
            f"static uint8_t es_board_received[{body_bytes}], es_board_reply[{body_bytes}];\n",
            f"static uint8_t es_board_stream[{stream_bytes}], es_board_state[{upper}_STATE_BYTES];\n",
            ctext.array("int16_t", "es_board_counts", recording.ravel(), shape="[samples, C]"),
            "static union {\n    es_adapt_t alignment;\n    uint8_t bytes[ES_BOARD_LEARNING_BYTES];\n} ",
            "es_board_learned;\n",
            "static uint8_t es_board_saved[ES_BOARD_LEARNING_BYTES];\n",
            ctext.struct("es_wire_setup_t", "es_board_setup", setup),
            ctext.struct("es_board_learning_t", "es_board_learning", learning),
            ctext.struct("es_board_recording_t", "es_board_recording", source),
        ]
    )


def build_board(
    folder: Path,
    output_folder: Path,
    kind: BoardKind,
    *,
    recording: NDArray[np.int16],
    rate_hz: float,
    clock: Clock = "instructions",
) -> Firmware:
    """Compile an exported model and the wire protocol for an emulated board.

    Args:
        folder: export folder, written by :func:`firmware_export.emission.emit.export_c`.
        output_folder: folder for the files that are built.
        kind: ``qemu`` or ``posix`` (a process of this machine).
        recording: raw counts of the board's sensor, int16 [n, C], played in a loop.
        rate_hz: sample rate of the sensor, 0.1 to 10,000 Hz.
        clock: time base of a QEMU board: ``instructions`` (measured costs are the same in every run) or ``host`` (the
            sensor keeps its rate, even a high one).

    Raises:
        MissingToolError: a compiler or QEMU is missing; the message says what to install.
        ToolError, ExportError: see :func:`firmware_export.toolchain.build.compile_c` and ``read_manifest``.
        ConfigError: the recording or the rate is not usable.
    """
    manifest = read_manifest(folder)
    name = str(manifest["name"])
    channels = len(manifest["contract"]["channels"])
    if recording.ndim != 2 or recording.shape[1] != channels or not 0 < recording.nbytes <= MAX_RECORDING_BYTES:
        raise ConfigError(
            f"building a board of {name}: the recording is {recording.dtype} {list(recording.shape)}, expected int16 "
            f"[samples, {channels}] of 1 to {MAX_RECORDING_BYTES:,} bytes"
        )
    if not 0.1 <= rate_hz <= 10_000:
        raise ConfigError(f"building a board of {name}: its sensor gives {rate_hz:g} samples a second; 0.1 to 10,000")
    wire = folder / "runtime" / "wire"
    if not (wire / "es_wire.c").is_file():
        raise ExportError(
            f"building a board of {name}: {folder} holds no runtime/wire/es_wire.c; an earlier release of edge_seq "
            "made it. Run edge-seq export again"
        )
    output_folder.mkdir(parents=True, exist_ok=True)
    model = output_folder / "es_board_model.c"
    model.write_text(board_source(name, recording, rate_hz), encoding="utf-8")
    sources = [
        *(folder / source for source in manifest["sources"]),
        *(folder / source for source in manifest["golden_sources"]),
        model,
        wire / "es_wire.c",
        PORT_FOLDER / f"board_{kind}" / f"es_board_{kind}.c",
    ]
    includes = [
        *(folder / part for part in manifest["include_folders"]),
        folder / "runtime" / "src",
        wire,
        PORT_FOLDER / "board",
    ]
    if kind == "posix":
        load = folder / "runtime" / "load"
        program = build_program(
            find_compiler(),
            [*sources, *sorted(load.glob("*.c"))],
            output_folder / "board",
            root=folder,
            flags=("-std=c99", "-O2"),
            include_folders=[*includes, load],
        )
        return Firmware(kind, (str(program.resolve()),), name)
    target = load_target("cortex_m4")
    emulator = find_emulator(target, "qemu_system")
    assert isinstance(emulator, QemuSystemEmulator)
    built = build_firmware(
        target,
        [*sources, BARE_FOLDER / "es_memory.c"],
        output_folder,
        root=folder,
        include_folders=[*includes, BARE_FOLDER],
    )
    command = (
        *(emulator.program, *emulator.arguments, *_QEMU_TIME[clock], "-display", "none", "-monitor", "none"),
        *("-parallel", "none", "-net", "none", "-serial", "pty", "-kernel", str(built.elf.resolve())),
    )
    return Firmware(kind, command, name, clock)


@dataclass(frozen=True)
class RunningBoard:
    """A running board.

    Attributes:
        port: path of its pseudo-terminal.
        process: process of the emulator, or of the board itself.
    """

    port: str
    process: subprocess.Popen[bytes]


@contextmanager
def start_board(firmware: Firmware, *, link: Path | None = None, flash: Path | None = None) -> Iterator[RunningBoard]:
    """Start a board for the length of a ``with`` block.

    Args:
        firmware: board from :func:`build_board`.
        link: path for a symbolic link to the port, which gives the port the same name in every run. It is removed at
            the end, unless it points elsewhere by then.
        flash: file that stands for the flash of a ``posix`` board, which then takes models over the wire and keeps them
            there; it is made if it does not exist. None for a board without such flash.

    Raises:
        ToolError: the board cannot be started, or does not report its port in time.
        ConfigError: ``link`` exists and is not a symbolic link, or ``flash`` was given for another kind of board.
    """
    if link is not None and link.exists() and not link.is_symlink():
        raise ConfigError(f"starting a board: {link} exists and is not a link; give another path for the port's link")
    command = firmware.command
    if flash is not None:
        if firmware.kind != "posix":
            raise ConfigError(
                f"starting a board: a {firmware.kind} board has no flash for models; leave out --flash, or emulate "
                "--board posix"
            )
        command += (str(flash.resolve()),)
    if firmware.kind == "qemu":
        words = {_BOOT_RANDOM: secrets.randbits(31), _CLOCK_KIND: int(firmware.clock == "instructions")}
        for address, word in words.items():
            command += ("-device", f"loader,addr={address:#x},data={word:#x},data-len=4")
    try:
        # In its own session, so that Ctrl-C reaches only the command, which then ends the board.
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
    except OSError as error:
        raise ToolError(f"starting a board: {command[0]} cannot be started ({error.strerror})") from error
    port = None
    try:
        port = _read_port(firmware, process)
        if link is not None:
            link.unlink(missing_ok=True)
            link.symlink_to(port)
        yield RunningBoard(str(link) if link is not None else port, process)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        if link is not None and port is not None:
            with suppress(OSError):
                if str(link.readlink()) == port:
                    link.unlink()


def _end_with_parent() -> None:
    """Let the board's process end with the command, even if the command is killed (Linux). Runs in that process."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _read_port(firmware: Firmware, process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    said = b""
    until = time.monotonic() + START_TIMEOUT_S
    while (left := until - time.monotonic()) > 0:
        readable, _, _ = select.select([process.stdout], [], [], left)
        more = os.read(process.stdout.fileno(), 4096) if readable else b""
        said += more
        whole, newline, _ = said.rpartition(b"\n")
        if newline and firmware.kind == "posix":
            return whole.decode()
        if newline and (found := _QEMU_PORT.search(whole)):
            return found[1].decode()
        if readable and not more:
            break
    raise ToolError(
        f"starting a board: {Path(firmware.command[0]).name} named no port within {START_TIMEOUT_S:g} s; it says: "
        f"{said.decode('utf-8', 'replace')[-500:] or 'nothing'}"
    )


def choose_board(name: str) -> BoardKind:
    """Return the kind of board with the given name.

    Raises:
        ConfigError: there is none with this name.
    """
    return _chosen("board", name, BOARDS)


def choose_clock(name: str) -> Clock:
    """Return the clock of an emulated board with the given name.

    Raises:
        ConfigError: there is none with this name.
    """
    return _chosen("clock", name, CLOCKS)


def _chosen(what: str, name: str, known: tuple[_Name, ...]) -> _Name:
    for one in known:
        if one == name:
            return one
    raise ConfigError(f"{what} {name!r} is unknown; give one of {', '.join(known)}")
