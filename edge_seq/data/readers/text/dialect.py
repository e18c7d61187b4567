"""How a text file writes its table: encoding, delimiter, decimal mark, header."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

DELIMITERS = (",", ";", "\t", "|", " ")
NO_VALUE = ("", "NA", "N/A", "#N/A", "na", "n/a", "nan", "NaN", "NAN", "-nan", "-NaN", "null", "NULL", "None")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]?inf", re.ASCII)
CLOCK = "clock"
CLOCK_PREFIX = re.compile(r"\s*((?:\d{4}-\d{2}-\d{2}[T ])?\d{1,2}:\d{2}:\d{2}(?:[.,]\d+)?)\s*->\s?")
_NAMES_OF_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "blanks"}


@dataclass(frozen=True)
class Dialect:
    """How one text file writes its table.

    Attributes:
        encoding: name of the encoding.
        delimiter: see :class:`edge_seq.data.layout.Layout`.
        decimal: decimal mark.
        names: names of the columns; ``column_1``, ... if the file has none.
        has_header: True if the names are from the file.
        first_line: number of lines before the first row of data.
        units: unit of a column from a row of units below the header.
        preamble: lines before the header.
        comment: texts that begin a line to pass over.
        row_end: text at the end of each row that is dropped.
        header: the line with the names, which may come again where a logger restarts.
        has_clock: True if a serial monitor wrote the time of day and an arrow before each line; that time is the first
            column, ``clock``.
    """

    encoding: str
    delimiter: str
    decimal: str
    names: tuple[str, ...]
    has_header: bool
    first_line: int
    units: Mapping[str, str] = field(default_factory=dict)
    preamble: tuple[str, ...] = ()
    comment: tuple[str, ...] = ("#", "%", "//")
    row_end: str = ""
    header: str | None = None
    has_clock: bool = False

    def split_clock(self, line: str) -> tuple[str, str]:
        """Split off the time that a serial monitor writes before each line; an empty text without one."""
        match = CLOCK_PREFIX.match(line) if self.has_clock else None
        return (match[1], line[match.end() :]) if match else ("", line)

    def cells(self, line: str) -> list[str]:
        """Cells of a row, without what ends each row."""
        clock, rest = self.split_clock(line)
        rest = rest.rstrip().removesuffix(self.row_end) if self.row_end else rest
        cells = cells_of(rest, self.delimiter)
        cells = [clock, *cells] if self.has_clock else cells
        return cells[:-1] if len(cells) == len(self.names) + 1 and not cells[-1] else cells

    def __str__(self) -> str:
        """One line for the user."""
        parts = [f"{_NAMES_OF_DELIMITERS.get(self.delimiter, repr(self.delimiter))} between columns"]
        if self.decimal == ",":
            parts.append("decimal comma")
        parts.append(self.encoding)
        parts.append("header" if self.has_header else "no header")
        if self.preamble:
            parts.append(f"{len(self.preamble)} lines before the header passed over")
        if self.has_clock:
            parts.append("a time of day and an arrow before each line")
        if self.units:
            parts.append("a row of units")
        if self.row_end:
            parts.append(f"{self.row_end!r} at the end of rows dropped")
        return ", ".join(parts)


def cells_of(line: str, delimiter: str) -> list[str]:
    """Split a line into its cells, without blanks around them.

    >>> cells_of('1, "a, b" ,3', ","), cells_of(" 1  2\\t3 ", " ")
    (['1', 'a, b', '3'], ['1', '2', '3'])
    """
    if delimiter == " ":
        return [cell.strip('"') for cell in line.split()] if '"' in line else line.split()
    if '"' not in line:
        return [cell.strip() for cell in line.split(delimiter)]
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]
    except csv.Error:
        return [line]


def is_number(cell: str, decimal: str = ".") -> bool:
    """True if a cell holds a number.

    >>> is_number("-1.5e3"), is_number("1,5", ","), is_number("1.000", ","), is_number("1_000"), is_number("12:30")
    (True, True, False, False, False)
    """
    if decimal != ".":
        if "." in cell:
            return False
        cell = cell.replace(decimal, ".", 1)
    return _NUMBER.fullmatch(cell) is not None


def is_value(cell: str, decimal: str) -> bool:
    """True if a cell of a column of numbers is usable: a number, or nothing."""
    return is_number(cell, decimal) or cell in NO_VALUE
