"""Splits the bytes of a linked image into code, tables, weights and RAM. Every byte of the product counts exactly once.

The harness (start code, mailbox, buffers and the emulator's stack) lies in separate sections and does not count.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from firmware_export.toolchain.elf import ElfImage, Section, Symbol

_WEIGHTS = r"(front\d+|layer\d+|dense\d+|head)_(weights|blocks)"


@dataclass(frozen=True)
class Sizes:
    """Sizes of the product in an image, bytes.

    Attributes:
        code: instructions and the literals among them.
        tables: activation tables and all other constants, such as the model's description, labels and contract.
        weights: weights, biases and multipliers, with padding.
        ram: static RAM: contexts of the models, and anything else that the runtime keeps there.
        flash_symbols, ram_symbols: (name, bytes) of each symbol, the largest first.
    """

    code: int
    tables: int
    weights: int
    ram: int
    flash_symbols: tuple[tuple[str, int], ...]
    ram_symbols: tuple[tuple[str, int], ...]

    @property
    def flash(self) -> int:
        """Total flash: code, tables and weights."""
        return self.code + self.tables + self.weights


def is_product(section: Section) -> bool:
    """True if a section belongs to the product, and not to the harness."""
    return not section.name.startswith((".harness", ".stack"))


def measure_sizes(elf: ElfImage, names: Sequence[str]) -> Sizes:
    """Measure the sizes of a linked image.

    Args:
        elf: content of the image.
        names: names of the models in it.
    """
    sections = {section.name: section for section in elf.sections if is_product(section)}
    weights_name = re.compile(f"(?:{'|'.join(map(re.escape, names))})_{_WEIGHTS}")
    in_flash = [s for s in elf.symbols if s.section in sections and sections[s.section].flash_bytes and s.size]
    in_ram = [s for s in elf.symbols if s.section in sections and sections[s.section].in_ram and s.size]
    code = sum(section.flash_bytes for section in sections.values() if section.name == ".text")
    weights = sum(symbol.size for symbol in in_flash if weights_name.fullmatch(symbol.name))
    flash = sum(section.flash_bytes for section in sections.values())
    ram = sum(section.size for section in sections.values() if section.in_ram)
    return Sizes(code, flash - code - weights, weights, ram, _largest_first(in_flash), _largest_first(in_ram))


def _largest_first(symbols: Sequence[Symbol]) -> tuple[tuple[str, int], ...]:
    return tuple(
        (symbol.name, symbol.size) for symbol in sorted(symbols, key=lambda symbol: (-symbol.size, symbol.name))
    )
