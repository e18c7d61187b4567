"""A bare machine in the ``unicorn`` emulator: loads an image, runs it, and stops when the firmware waits for orders."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from edge_seq.support.errors import ToolError
from firmware_export.toolchain.image import Image
from firmware_export.toolchain.target import Memory, UnicornEmulator

_PAGE = 0x1000
_ARM_SYSTEM_SPACE = (0xE000E000, 0x1000)  # the part of the core's registers that the start code writes to


@dataclass(frozen=True)
class _Architecture:
    """Differences between architectures, with the names that ``unicorn`` uses."""

    module: str
    arch: str
    mode: tuple[str, ...]
    prefix: str
    pc: str
    link: str
    stack: str
    arguments: tuple[str, ...]
    length: Callable[[int], int]
    thumb: bool = False


def _thumb_length(first: int) -> int:
    """Length in bytes of an instruction, from its first 16 bits."""
    return 4 if first >= 0xE800 else 2


def _riscv_length(first: int) -> int:
    return 4 if first & 3 == 3 else 2


def _word_length(_first: int) -> int:
    return 4


_ARCHITECTURES = {
    "arm": _Architecture(
        "arm_const",
        "UC_ARCH_ARM",
        ("UC_MODE_THUMB", "UC_MODE_MCLASS"),
        "UC_CPU_ARM_",
        "PC",
        "LR",
        "SP",
        ("R0", "R1", "R2", "R3"),
        _thumb_length,
        thumb=True,
    ),
    "riscv32": _Architecture(
        "riscv_const",
        "UC_ARCH_RISCV",
        ("UC_MODE_RISCV32",),
        "UC_CPU_RISCV32_",
        "PC",
        "RA",
        "SP",
        ("A0", "A1", "A2", "A3"),
        _riscv_length,
    ),
    "ppc32": _Architecture(
        "ppc_const",
        "UC_ARCH_PPC",
        ("UC_MODE_PPC32", "UC_MODE_BIG_ENDIAN"),
        "UC_CPU_PPC32_",
        "PC",
        "LR",
        "1",
        ("3", "4", "5", "6"),
        _word_length,
    ),
}


class UnicornMachine:
    """A machine whose firmware has started and waits for its first order.

    Args:
        image: image without semihosting.
        emulator: emulator of the image's target.

    Raises:
        ToolError: ``unicorn`` is missing, or the firmware does not reach the point where it waits.
    """

    def __init__(self, image: Image, emulator: UnicornEmulator) -> None:
        try:
            import unicorn
        except ImportError as error:
            raise ToolError(
                f"running {image.target.name}: the package unicorn cannot be imported ({error}); {emulator.install}"
            ) from error
        self.image = image
        self.elf = image.content
        self._error = unicorn.UcError
        self._unicorn = unicorn
        self._architecture = _ARCHITECTURES[emulator.architecture]
        constants = getattr(unicorn, self._architecture.module)
        name = self._architecture.module.removesuffix("_const").upper()
        self._pc, self._link, self._stack = (
            getattr(constants, f"UC_{name}_REG_{register}")
            for register in (self._architecture.pc, self._architecture.link, self._architecture.stack)
        )
        self._arguments = [getattr(constants, f"UC_{name}_REG_{register}") for register in self._architecture.arguments]
        mode = sum(getattr(unicorn, part) for part in self._architecture.mode)
        self._uc: Any = unicorn.Uc(getattr(unicorn, self._architecture.arch), mode)
        if emulator.cpu:
            self._uc.ctl_set_cpu_model(getattr(constants, f"{self._architecture.prefix}{emulator.cpu}"))
        self._wait = self.elf.address_of("es_mail_wait")
        self._load(image.target.memory)
        self._go(self.elf.address_of("es_start"), timeout_s=10.0)

    def _load(self, memory: Memory | None) -> None:
        if memory is None:
            raise ToolError(f"running {self.image.target.name}: the target has no table [memory]")
        for origin, size in (
            (memory.flash_origin, memory.flash_bytes),
            (memory.ram_origin, memory.ram_bytes),
        ):
            self._uc.mem_map(origin, -(-size // _PAGE) * _PAGE)
        if self._architecture.thumb:
            self._uc.mem_map(*_ARM_SYSTEM_SPACE)
        for address, data in self.elf.segments:
            self._uc.mem_write(address, data)
        self._uc.reg_write(self._stack, self.elf.address_of("es_stack_top"))

    @property
    def stack_pointer(self) -> int:
        """Stack pointer."""
        return int(self._uc.reg_read(self._stack))

    @property
    def link_address(self) -> int:
        """Return address, valid at the first instruction of a function."""
        return int(self._uc.reg_read(self._link)) & (~1 if self._architecture.thumb else ~0)

    def read(self, address: int, size: int) -> bytes:
        """Read bytes from memory."""
        return bytes(self._uc.mem_read(address, size))

    def write(self, address: int, data: bytes) -> None:
        """Write bytes to memory."""
        self._uc.mem_write(address, data)

    def resume(self, *, timeout_s: float) -> None:
        """Let the firmware execute the order in the mailbox, until it waits again.

        Raises:
            ToolError: the firmware faults, or is not done in time.
        """
        self._go(self.link_address, timeout_s=timeout_s)

    def call(self, name: str, *arguments: int, timeout_s: float = 60.0) -> int:
        """Call a function of the image with an empty stack, and return its result.

        Raises:
            ToolError: the function faults, or does not return in time.
        """
        for register, value in zip(self._arguments, arguments, strict=False):
            self._uc.reg_write(register, value)
        self._uc.reg_write(self._link, self._wait | (1 if self._architecture.thumb else 0))
        self._uc.reg_write(self._stack, self.elf.address_of("es_stack_top"))
        self._go(self.elf.address_of(name), timeout_s=timeout_s)
        return int(self._uc.reg_read(self._arguments[0]))

    @contextmanager
    def blocks(self, executed: Counter[tuple[int, int]]) -> Iterator[None]:
        """Count the basic blocks executed within a ``with`` block, by address and size in bytes."""

        def on_block(_uc: Any, address: int, size: int, _data: Any) -> None:
            executed[address, size] += 1

        self._uc.ctl_flush_tb()  # code that is already translated does not call a new hook
        hook = self._uc.hook_add(self._unicorn.UC_HOOK_BLOCK, on_block)
        try:
            yield
        finally:
            self._uc.hook_del(hook)
            self._uc.ctl_flush_tb()

    @contextmanager
    def jumps(self, taken: Counter[int]) -> Iterator[None]:
        """Count how often execution did not go on behind a basic block, by the address there, in a ``with`` block."""
        behind = [0]

        def on_block(_uc: Any, address: int, size: int, _data: Any) -> None:
            if behind[0] not in (0, address):
                taken[behind[0]] += 1
            behind[0] = address + size

        self._uc.ctl_flush_tb()
        hook = self._uc.hook_add(self._unicorn.UC_HOOK_BLOCK, on_block)
        try:
            yield
        finally:
            self._uc.hook_del(hook)
            self._uc.ctl_flush_tb()

    def instructions_at(self, address: int, size: int) -> list[int]:
        """Addresses of the instructions in ``size`` bytes of code."""
        code = self.read(address, size)
        found, at = [], 0
        while at < size:
            found.append(address + at)
            at += self._architecture.length(int.from_bytes(code[at : at + 2], self.elf.byte_order))
        return found

    def _waits(self) -> bool:
        return int(self._uc.reg_read(self._pc)) & (~1 if self._architecture.thumb else ~0) == self._wait

    def _go(self, address: int, *, timeout_s: float) -> None:
        # A timer of this process, as the emulator's own timeout makes it three times slower.
        alarm = threading.Timer(timeout_s, self._uc.emu_stop)
        alarm.start()
        try:
            self._uc.emu_start(address | (1 if self._architecture.thumb else 0), self._wait)
        except self._error as error:
            raise ToolError(
                f"running {self.image.target.name} in unicorn: {error} at {self._place()}; stack pointer "
                f"{self.stack_pointer:#x}, lowest address of the stack {self.elf.address_of('es_stack_bottom'):#x}"
            ) from error
        finally:
            alarm.cancel()
        if not self._waits():
            raise ToolError(
                f"running {self.image.target.name} in unicorn: not done after {timeout_s:g} s, at {self._place()}"
            )

    def _place(self) -> str:
        return self.elf.place(int(self._uc.reg_read(self._pc)))
