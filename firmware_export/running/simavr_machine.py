"""An AVR in ``libsimavr``: the driver fills the mail of a firmware image and reads what came of it, cycle by cycle."""

from __future__ import annotations

import re
import struct
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_seq.support.errors import ToolError
from firmware_export.running.emulator_process import run_emulator, words_of
from firmware_export.running.mail import MAIL_BYTES, Order
from firmware_export.toolchain.elf import ElfImage
from firmware_export.toolchain.image import Image
from firmware_export.toolchain.simavr_driver import build_driver
from firmware_export.toolchain.target import SimavrEmulator

_DATA_SPACE = 0x800000  # where the linker puts the data memory
_COST = struct.Struct("=QI")


@dataclass(frozen=True)
class SimavrAnswer:
    """What came of an order.

    Attributes:
        head: of the mail.
        words: of the steps, if they were kept.
        cycles: of all calls of ``es_step``, from its first instruction to its return.
        stack_bytes: the most that one of them took, with the return address.
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
        ToolError: where the driver cannot be built or run, is not done in time, or the firmware faults.
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
        done = run_emulator(command, folder, where=where, install=emulator.install, timeout_s=timeout_s)
        if done.returncode:
            raise ToolError(f"{where}: {_with_places(elf, words_of(done)) or f'exit code {done.returncode}'}")
        delivered = (folder / "es_out.bin").read_bytes()
    return _open(delivered, orders, where)


def _flash(elf: ElfImage) -> bytes:
    """The program memory from address 0 on; what is not in the image is erased."""
    memory = bytearray()
    for address, data in elf.segments:
        memory.extend(b"\xff" * (address + len(data) - len(memory)))
        memory[address : address + len(data)] = data
    return bytes(memory)


def _places(elf: ElfImage) -> list[int]:
    """What the driver wants to know, in its order."""
    code = [elf.address_of(name) for name in ("es_mail_wait", "es_step")]
    return code + [elf.address_of(name) - _DATA_SPACE for name in ("es_mail", "es_mail_buffer", "es_stack_bottom")]


def _with_places(elf: ElfImage, says: str) -> str:
    """The driver knows addresses only."""
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
