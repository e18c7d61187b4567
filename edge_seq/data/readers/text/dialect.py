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
_NAMED_VALUE = re.compile(r"\s*([^\W\d]\w*)\s*[:=]\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*(?:[,;|\t ]|$)")
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
        has_names_in_rows: True if each value follows its name, ``ax:0.1 ay:0.2``, as serial plotters take them.
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
    has_names_in_rows: bool = False

    def row_of(self, line: str) -> tuple[str, str]:
        """Split off the time that a serial monitor writes before each line, and the names of values.

        Returns:
            the time, or an empty text; the row. A row whose names are not those of the file is left as it is.
        """
        match = CLOCK_PREFIX.match(line) if self.has_clock else None
        clock, row = (match[1], line[match.end() :]) if match else ("", line)
        if self.has_names_in_rows:
            names, values = named_values(row)
            row = self.delimiter.join(values) if names == self.names[self.has_clock :] else row
        return clock, row

    def cells(self, line: str) -> list[str]:
        """Cells of a row, without what ends each row."""
        clock, rest = self.row_of(line)
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
        if not self.has_names_in_rows:
            parts.append("header" if self.has_header else "no header")
        if self.preamble:
            parts.append(f"{len(self.preamble)} lines before the header passed over")
        if self.has_clock:
            parts.append("a time of day and an arrow before each line")
        if self.has_names_in_rows:
            parts.append("a name before each value")
        if self.units:
            parts.append("a row of units")
        if self.row_end:
            parts.append(f"{self.row_end!r} at the end of rows dropped")
        return ", ".join(parts)


def named_values(line: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and values of a line that consists of names with a number each; nothing for any other line.

    >>> named_values("ax:0.12, ay:-3 az:1e2"), named_values("ax:0.12, 4"), named_values("12:30")
    ((('ax', 'ay', 'az'), ('0.12', '-3', '1e2')), ((), ()), ((), ()))
    """
    found, at = [], 0
    while at < len(line) and (match := _NAMED_VALUE.match(line, at)) is not None:
        found.append((match[1], match[2]))
        at = match.end()
    if not found or line[at:].strip():
        return (), ()
    names, values = zip(*found, strict=True)
    return names, values


def cells_of(line: str, delimiter: str, *, keep_blanks: bool = False) -> list[str]:
    """Split a line into its cells, without blanks around them unless ``keep_blanks``.

    >>> cells_of('1, "a, b" ,3', ","), cells_of(" 1  2\\t3 ", " ")
    (['1', 'a, b', '3'], ['1', '2', '3'])
    """
    if delimiter == " ":
        return [cell.strip('"') for cell in line.split()] if '"' in line else line.split()
    if '"' not in line:
        cells = line.split(delimiter)
    else:
        try:
            cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=not keep_blanks), [])
        except csv.Error:
            return [line]
    return cells if keep_blanks else [cell.strip() for cell in cells]


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
