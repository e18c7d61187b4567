"""Runs firmware on a bare machine in QEMU. It reads orders from a file and writes answers to one, by semihosting."""

from __future__ import annotations

import re
import socket
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edge_seq.support.errors import ToolError
from firmware_export.running.emulator_process import run_emulator, words_of
from firmware_export.running.mail import MAIL_BYTES, Order
from firmware_export.toolchain.elf import ElfImage
from firmware_export.toolchain.image import Image
from firmware_export.toolchain.target import QemuSystemEmulator

_HAS_SOCKETS = hasattr(socket, "AF_UNIX")  # not on Windows
_MONITOR = "monitor"
_COUNTER = re.compile(rb"\b(?:R15=|pc +|PC=)([0-9a-f]{8})\b")  # Arm, RISC-V, Xtensa


def _running_function(elf: ElfImage, monitor: Path) -> str:
    """Ask QEMU's monitor for the program counter. An empty text if it does not answer."""
    if not _HAS_SOCKETS:
        return ""
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(monitor))
            connection.sendall(b"info registers\n")
            while not (found := _COUNTER.search(answer)):
                part = connection.recv(4096)
                if not part:
                    return ""
                answer += part
    except OSError:
        return ""
    return elf.place(int(found[1], 16))


def run_in_qemu(
    image: Image, emulator: QemuSystemEmulator, orders: Sequence[Order], *, mark: str, timeout_s: float
) -> list[tuple[bytes, bytes]]:
    """Run all orders in one run of the emulator.

    Returns:
        For each order, the mailbox fields of its answer and the words after them.

    Raises:
        ToolError: QEMU cannot be started, fails or is not done in time, or the firmware writes too few bytes.
    """
    where = f"running {image.target.name} in {emulator.program}"
    elf = image.elf.resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "es_in.bin").open("wb") as file:
            for order in orders:
                file.write(order.head)
                file.write(struct.pack(f"{mark}I", len(order.counts)) + order.counts)
        command = [
            *(emulator.program, *emulator.arguments, "-nographic", "-serial", "null"),
            *("-monitor", f"unix:{_MONITOR},server=on,wait=off" if _HAS_SOCKETS else "none"),
            *("-semihosting-config", "enable=on,target=native", "-kernel", str(elf)),
        ]
        (folder / "es_out.bin").touch()
        done = run_emulator(
            command,
            folder,
            where=where,
            install=emulator.install,
            timeout_s=timeout_s,
            place=lambda _: _running_function(image.content, folder / _MONITOR),
        )
        delivered = (folder / "es_out.bin").read_bytes()
    answers = []
    position = 0
    for order in orders:
        answer = delivered[position : position + MAIL_BYTES]
        words = delivered[position + MAIL_BYTES : position + MAIL_BYTES + order.word_bytes]
        position += MAIL_BYTES + order.word_bytes
        answers.append((answer, words))
    if len(delivered) != position:
        raise ToolError(
            f"{where}: the firmware delivered {len(delivered)} bytes, expected {position}; exit code "
            f"{done.returncode}, and it says: {words_of(done) or 'nothing'}"
        )
    return answers
