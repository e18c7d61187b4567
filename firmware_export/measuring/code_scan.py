"""Reads the stack use of a function from its machine code, for functions without a figure from the compiler.

These are naked functions of this project, and assembly functions of the compiler's library. Only the instructions that
such code uses are decoded: pushes, subtractions from the stack pointer, and calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from firmware_export.toolchain.elf import ElfImage, Symbol

_AVR_RETURN_BYTES = 3  # 2 on parts with a 16-bit program counter


@dataclass(frozen=True)
class Scanned:
    """Stack use and calls of one function.

    Attributes:
        frame: bytes that it pushes or reserves in total.
        calls: addresses that it calls directly.
        through_pointers: True if it also calls through pointers.
    """

    frame: int
    calls: tuple[int, ...]
    through_pointers: bool = False


def can_scan(elf: ElfImage) -> bool:
    """True if this module can decode the image's instruction set."""
    return elf.machine in ("EM_ARM", "EM_AVR")


def scan(elf: ElfImage, function: Symbol) -> Scanned:
    """Scan the machine code of a function.

    Args:
        elf: image for Thumb or AVR.
        function: function of the image.
    """
    code = elf.memory(function.address, function.size)
    words = [int.from_bytes(code[index : index + 2], "little") for index in range(0, len(code) - 1, 2)]
    found = list(_avr(words, function.address) if elf.machine == "EM_AVR" else _thumb(words, function.address))
    frame = sum(value for kind, value in found if kind == "frame")
    calls = tuple(value for kind, value in found if kind == "call")
    pointers = any(kind == "pointer" for kind, _ in found)
    return Scanned(frame + (_AVR_RETURN_BYTES if elf.machine == "EM_AVR" else 0), calls, pointers)


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def _thumb(words: list[int], address: int) -> Iterator[tuple[str, int]]:
    at = 0
    while at < len(words):
        first, here = words[at], address + 2 * at
        wide = first >> 11 in (0b11101, 0b11110, 0b11111)
        second = words[at + 1] if wide and at + 1 < len(words) else 0
        at += 2 if wide else 1
        if first & 0xFE00 == 0xB400:  # push
            yield "frame", 4 * (first & 0x1FF).bit_count()
        elif first & 0xFF80 == 0xB080:  # sub sp, #
            yield "frame", 4 * (first & 0x7F)
        elif first == 0xE92D:  # push.w
            yield "frame", 4 * second.bit_count()
        elif first & 0xFFBF == 0xED2D:  # vpush
            yield "frame", 4 * (second & 0xFF)
        elif first in (0xF1AD, 0xF5AD, 0xF2AD) and second >> 8 & 0xF == 13:  # sub.w sp, sp, #
            yield "frame", _thumb_immediate(first, second)
        elif first == 0xF84D and second & 0xFFF == 0xD04:  # str rt, [sp, #-4]!
            yield "frame", 4
        elif first >> 11 == 0b11110 and second & 0xD000 == 0xD000:  # bl
            yield "call", here + 4 + _thumb_offset(first, second)


def _thumb_immediate(first: int, second: int) -> int:
    value = (first >> 10 & 1) << 11 | (second >> 12 & 7) << 8 | second & 0xFF
    if first == 0xF2AD or value < 0x100:
        return value
    return (0x80 | value & 0x7F) << (32 - (value >> 7))  # a rotated byte; frame sizes never use the repeated forms


def _thumb_offset(first: int, second: int) -> int:
    sign = first >> 10 & 1
    high, low = (~(second >> 13 ^ sign) & 1, ~(second >> 11 ^ sign) & 1)
    value = sign << 24 | high << 23 | low << 22 | (first & 0x3FF) << 12 | (second & 0x7FF) << 1
    return _signed(value, 25)


def _avr(words: list[int], address: int) -> Iterator[tuple[str, int]]:
    at = 0
    while at < len(words):
        word, here = words[at], address + 2 * at
        at += 1
        if word & 0xFE0F == 0x920F:  # push
            yield "frame", 1
        elif word in (0x9509, 0x9519):  # icall, eicall
            yield "pointer", 0
        elif word & 0xE000 == 0xC000:  # rjmp, which may be a tail call, and rcall
            yield "call", here + 2 + 2 * _signed(word & 0xFFF, 12)
        elif word & 0xFE0C == 0x940C and at < len(words):  # call or jmp: a tail call
            yield "call", 2 * ((word >> 4 & 0x1F) << 17 | (word & 1) << 16 | words[at])
            at += 1
        elif word & 0xFE0F in (0x9000, 0x9200):  # lds, sts
            at += 1
