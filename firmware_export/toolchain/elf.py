"""Reads linked ELF images: loaded segments, sections and symbols. Needs ``pyelftools``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from edge_seq.support.errors import ToolError

_THUMB_BIT = 1


@dataclass(frozen=True)
class Symbol:
    """A function or data object in an image.

    Attributes:
        name: name in C.
        address: address, without the bit that marks Thumb code.
        size: size, bytes.
        section: name of the section that holds it.
        is_function: True for code.
    """

    name: str
    address: int
    size: int
    section: str
    is_function: bool


@dataclass(frozen=True)
class Section:
    """An allocated section, with its size in memory and in flash (0 for zero-initialised data and the stack), bytes."""

    name: str
    address: int
    size: int
    flash_bytes: int
    in_ram: bool


@dataclass(frozen=True)
class ElfImage:
    """Content of a linked image.

    Attributes:
        entry: address of the first instruction.
        byte_order: byte order of the machine.
        machine: ELF name of the machine, for example ``EM_ARM``, ``EM_AVR``, ``EM_RISCV``.
        segments: (address, bytes) of each segment to load.
        sections: allocated sections that are not empty, in order of address.
        symbols: functions and data objects, in order of address.
    """

    entry: int
    byte_order: Literal["little", "big"]
    machine: str
    segments: tuple[tuple[int, bytes], ...]
    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]

    @cached_property
    def by_name(self) -> dict[str, Symbol]:
        """Symbols by name. Of several static symbols with one name, any is kept."""
        return {symbol.name: symbol for symbol in self.symbols}

    def address_of(self, name: str) -> int:
        """Return the address of a symbol.

        Raises:
            ToolError: the image has no symbol of this name.
        """
        if name not in self.by_name:
            raise ToolError(f"reading an image: no symbol {name}; it was built by another release. Build it again")
        return self.by_name[name].address

    def function_at(self, address: int) -> Symbol | None:
        """Return the function whose code holds this address, or None."""
        found = (one for one in self.symbols if one.is_function and one.address <= address < one.address + one.size)
        return next(found, None)

    def section_at(self, address: int) -> Section | None:
        """Return the section that holds this address, or None."""
        found = (one for one in self.sections if one.address <= address < one.address + one.size)
        return next(found, None)

    def count_by_function(self, times: Mapping[int, int]) -> Counter[str]:
        """Sum execution counts per address to counts per function; code outside functions counts for its section."""
        found: Counter[str] = Counter()
        for address, number in times.items():
            place = self.function_at(address) or self.section_at(address)
            found[place.name if place else f"{address:#x}"] += number
        return found

    def memory(self, address: int, size: int) -> bytes:
        """Return the bytes loaded at an address. Fewer than ``size``, or none, if the image does not fill it."""
        for start, data in self.segments:
            if start <= address < start + len(data):
                return data[address - start : address - start + size]
        return b""

    def place(self, address: int) -> str:
        """Describe a code address for a message, with function and offset if they are known."""
        symbol = self.function_at(address)
        return f"{address:#x}" if symbol is None else f"{symbol.name}+{address - symbol.address:#x} ({address:#x})"


def _section(section: Any) -> Section:
    writable, empty = bool(section["sh_flags"] & 1), section["sh_type"] == "SHT_NOBITS"
    in_ram = writable or empty
    return Section(section.name, section["sh_addr"], section["sh_size"], 0 if empty else section["sh_size"], in_ram)


def read_elf(path: Path) -> ElfImage:
    """Read a linked image.

    Raises:
        ToolError: ``pyelftools`` is missing, or the file is not an image with symbols.
    """
    try:
        from elftools.common.exceptions import ELFError
        from elftools.elf.elffile import ELFFile
    except ImportError as error:
        raise ToolError(f'reading {path.name}: pyelftools is not installed; pip install "edge-seq[targets]"') from error
    try:
        with path.open("rb") as file:
            elf = ELFFile(file)
            table = elf.get_section_by_name(".symtab")
            if table is None:
                raise ToolError(f"reading {path.name}: it has no symbols; link it without stripping")
            thumb = elf["e_machine"] == "EM_ARM"
            names = [section.name for section in elf.iter_sections()]
            kinds = {"STT_FUNC": True, "STT_OBJECT": False}
            symbols = [
                Symbol(
                    symbol.name,
                    symbol["st_value"] & ~(_THUMB_BIT if thumb and kinds.get(symbol["st_info"]["type"]) else 0),
                    symbol["st_size"],
                    names[symbol["st_shndx"]] if isinstance(symbol["st_shndx"], int) else "",
                    kinds.get(symbol["st_info"]["type"], False),
                )
                for symbol in table.iter_symbols()
                if symbol.name and (symbol["st_info"]["type"] in kinds or symbol["st_info"]["bind"] == "STB_GLOBAL")
            ]
            return ElfImage(
                entry=elf["e_entry"],
                byte_order="little" if elf.little_endian else "big",
                machine=elf["e_machine"],
                segments=tuple(
                    (segment["p_paddr"], segment.data())
                    for segment in elf.iter_segments("PT_LOAD")
                    if segment["p_filesz"]
                ),
                sections=tuple(
                    sorted(
                        (
                            _section(section)
                            for section in elf.iter_sections()
                            if section["sh_flags"] & 2 and section["sh_size"]
                        ),
                        key=lambda section: section.address,
                    )
                ),
                symbols=tuple(sorted(symbols, key=lambda symbol: (symbol.address, symbol.name))),
            )
    except (OSError, ELFError) as error:
        raise ToolError(f"reading {path.name}: not an image ({error}); build it again") from error
