"""Runs firmware on a simulated AVR: a driver program with ``libsimavr`` passes orders and counts cycles."""

from __future__ import annotations

import re
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_seq.support.errors import ToolError
from firmware_export.running.emulator_process import Process, run_emulator, words_of
from firmware_export.running.mail import MAIL_BYTES, Order
from firmware_export.toolchain.elf import ElfImage
from firmware_export.toolchain.image import Image
from firmware_export.toolchain.simavr_driver import build_driver
from firmware_export.toolchain.target import SimavrEmulator

_DATA_SPACE = 0x800000  # offset that the linker adds to addresses in data memory
_COST = struct.Struct("=QI")


@dataclass(frozen=True)
class SimavrAnswer:
    """Answer to an order.

    Attributes:
        head: fields of the mailbox.
        words: words of the steps, if they were kept.
        cycles: cycles of all calls of ``es_step``, each from its first instruction to its return.
        stack_bytes: largest stack of one call, with the return address.
    """

    head: bytes
    words: bytes
    cycles: int
    stack_bytes: int


def run_in_simavr(
    image: Image, emulator: SimavrEmulator, orders: Sequence[Order], *, timeout_s: float
) -> list[SimavrAnswer]:
    """Run all orders in one run of the emulator.

    Raises:
        ToolError: the driver cannot be built or run, it is not done in time, or the firmware faults.
    """
    where = f"running {image.target.name} in simavr"
    elf = image.content
    driver = image.elf.resolve().with_name("es_simavr")
    if not driver.is_file():
        build_driver(driver)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "flash.bin").write_bytes(_flash(elf))
        with (folder / "es_in.bin").open("wb") as file:
            for order in orders:
                file.write(struct.pack("=3I", len(order.counts), order.words_offset, order.word_bytes))
                file.write(order.head + order.counts)
        command = [str(driver), emulator.mcu, "flash.bin", *map(str, _places(elf))]
        done = run_emulator(
            command,
            folder,
            where=where,
            install=emulator.install,
            timeout_s=timeout_s,
            place=lambda driver: _running_function(elf, driver),
        )
        if done.returncode:
            raise ToolError(f"{where}: {_with_places(elf, words_of(done)) or f'exit code {done.returncode}'}")
        delivered = (folder / "es_out.bin").read_bytes()
    return _open(delivered, orders, where)


def _running_function(elf: ElfImage, driver: Process) -> str:
    """End the driver, which then says which address it was at."""
    driver.terminate()
    try:
        _, err = driver.communicate(timeout=5)
    except subprocess.TimeoutExpired:
        return ""
    found = re.search(rb"ended at (\d+)", err)
    return elf.place(int(found[1])) if found else ""


def _flash(elf: ElfImage) -> bytes:
    """Content of the program memory from address 0; bytes that are not in the image are erased (0xFF)."""
    memory = bytearray()
    for address, data in elf.segments:
        memory.extend(b"\xff" * (address + len(data) - len(memory)))
        memory[address : address + len(data)] = data
    return bytes(memory)


def _places(elf: ElfImage) -> list[int]:
    """Addresses that the driver takes as arguments, in their order."""
    code = [elf.address_of(name) for name in ("es_mail_wait", "es_step")]
    return code + [elf.address_of(name) - _DATA_SPACE for name in ("es_mail", "es_mail_buffer", "es_stack_bottom")]


def _with_places(elf: ElfImage, says: str) -> str:
    """Replace the addresses in the driver's output by function names, as the driver knows only addresses."""
    return re.sub(r"(?<= at )\d+$", lambda address: elf.place(int(address.group())), says, flags=re.MULTILINE)


def _open(delivered: bytes, orders: Sequence[Order], where: str) -> list[SimavrAnswer]:
    expected = sum(_COST.size + MAIL_BYTES + order.word_bytes for order in orders)
    if len(delivered) != expected:
        raise ToolError(f"{where}: the driver delivered {len(delivered)} bytes, expected {expected}; build it again")
    answers = []
    position = 0
    for order in orders:
        cycles, stack_bytes = _COST.unpack_from(delivered, position)
        head = position + _COST.size
        words = head + MAIL_BYTES
        position = words + order.word_bytes
        answers.append(SimavrAnswer(delivered[head:words], delivered[words:position], cycles, stack_bytes))
    return answers
