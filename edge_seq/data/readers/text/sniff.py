"""Find the dialect of a text file from its first lines."""

from __future__ import annotations

import codecs
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from edge_seq.data.layout import Layout
from edge_seq.data.readers.foreign import opened
from edge_seq.data.readers.text.dialect import (
    CLOCK,
    CLOCK_PREFIX,
    DELIMITERS,
    Dialect,
    cells_of,
    is_number,
    is_value,
    named_values,
)
from edge_seq.data.units import unit_of
from edge_seq.support.errors import DataError

MAX_LINE, MAX_COLUMNS = 1_000_000, 20_000  # characters; a window in a row may have thousands of values
_BLANKS_COUNT = 0.75
_MOST_LINES = 0.6  # a share of lines that tells how the file is written
_OF_NUMBERS = frozenset("+-0123456789.,eE")
_LONGEST_NAME = 200  # characters; longer cells are no names of columns
_SAMPLE_BYTES, _SAMPLE_LINES = 1 << 18, 400
_COMMENTS = ("#", "%", "//")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = bytes(set(range(32)) - {7, 9, 10, 11, 12, 13, 27})
_WESTERN = frozenset("°ºªµ²³±·ÄÖÜäöüßéèêëàâçîïôùûñáíóúìòåøæÅØÆÉÑ")


def sniff(path: Path, layout: Layout, wanted: Sequence[str] = ()) -> Dialect:
    """Find the dialect of a text file. What the layout states is kept.

    Args:
        path: text file, plain or packed.
        layout: what the data source states.
        wanted: names of columns that the header must hold; a line that holds them all is the header.

    Raises:
        DataError: the file is empty or binary, a line is too long, the encoding is unknown, or the first row does not
            fit ``column_names``.
    """
    with opened(path) as file:
        sample = file.read(_SAMPLE_BYTES)
        is_whole = len(sample) < _SAMPLE_BYTES
        if not is_whole and b"\n" not in sample:
            sample += file.read(4 * MAX_LINE)  # a row of a window may be long
    if not sample.strip():
        raise DataError(f"{path.name}: the file is empty; expected a header row and one row per sample")
    encoding = layout.encoding or _encoding(sample, path.name)
    with text_of(io.BytesIO(sample), encoding, path.name) as text:
        lines = _first_lines(text, path.name, is_whole=is_whole)
    clocked = [line[match.end() :] if (match := CLOCK_PREFIX.match(line)) else line for line in lines]
    has_clock = sum(one != line for one, line in zip(clocked, lines, strict=True)) > _MOST_LINES * len(lines)
    names = tuple(name for name in map(str.strip, wanted) if not (has_clock and name == CLOCK))
    if has_clock and layout.column_names:
        layout = replace(layout, column_names=layout.column_names[1:])
    lines = clocked if has_clock else lines
    if in_rows := _names_in_rows(lines):
        layout = replace(layout, column_names=in_rows, delimiter=",", decimal=".")
        rows = [(line, *named_values(line)) for line in lines]
        lines = [",".join(values) if found == in_rows else line for line, found, values in rows]
    dialect = _Sniffer(path.name, lines, encoding, layout, names).dialect()
    if in_rows:
        dialect = replace(dialect, has_names_in_rows=True, has_header=True)
    return replace(dialect, has_clock=True, names=(CLOCK, *dialect.names)) if has_clock else dialect


def text_of(file: IO[bytes], encoding: str, where: str) -> io.TextIOWrapper:
    """Decode a binary stream. A byte that does not decode becomes U+FFFD, so that its row counts as garbage.

    Raises:
        DataError: the encoding is unknown.
    """
    try:
        return io.TextIOWrapper(file, encoding=encoding, errors="replace", newline=None)
    except LookupError as error:
        raise DataError(f"{where}: encoding {encoding!r} is unknown; give for example utf-8, utf-16, cp1252") from error


def numbered_lines(text: io.TextIOBase, where: str, *, with_end: bool = False) -> Iterator[tuple[int, str]]:
    """Yield number, from 1, and text of each line, without its end unless that is asked for.

    Raises:
        DataError: a line is too long.
    """
    number = 0
    while line := text.readline(MAX_LINE):
        number += 1
        if len(line) >= MAX_LINE and not line.endswith("\n"):
            raise DataError(
                f"{where}: line {number} has more than {MAX_LINE:,} characters; expected one row per sample. Break the "
                "file into lines"
            )
        yield number, (line if with_end else line.rstrip("\n")).replace("\x00", "\ufffd")


def _encoding(sample: bytes, where: str) -> str:
    for mark, name in _BOMS:
        if sample.startswith(mark):
            return name
    zeros = (sample[0:400:2].count(0), sample[1:400:2].count(0))
    few = len(sample[:400]) // 2
    if few > 1 and zeros[1] > 0.4 * few and zeros[0] < 0.1 * few:
        return "utf-16-le"
    if few > 1 and zeros[0] > 0.4 * few and zeros[1] < 0.1 * few:
        return "utf-16-be"
    control = len(sample) - len(sample.translate(None, _CONTROL))
    if control > 0.01 * len(sample):
        raise DataError(
            f"{where}: is not a text file ({control} control characters at its start); give `format` in the data "
            "source if it is of another "
            "format"
        )
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(sample)
        return "utf-8"
    except UnicodeDecodeError:
        pass
    broken = [line for line in sample.splitlines() if not _is_utf8(line)]
    others = sum(1 for line in sample.splitlines() if not line.isascii() and _is_utf8(line))
    strange = {one for line in broken for one in line.decode("cp1252", "replace") if ord(one) > 127}
    if strange <= _WESTERN and not others:
        return "cp1252"
    if others or len(broken) < 3:  # garbage from a serial line, in a file that is UTF-8 or ASCII otherwise
        return "utf-8"
    from charset_normalizer import from_bytes

    best = from_bytes(sample).best()
    return "utf-8" if best is None else str(best.encoding)


def _names_in_rows(lines: Sequence[str]) -> tuple[str, ...]:
    """The names before the values of most lines, ``ax:0.1 ay:0.2``; none where lines are tables."""
    rows = [line for line in lines if line.strip()]
    names, count = Counter(named_values(line)[0] for line in rows).most_common(1)[0] if rows else ((), 0)
    return names if len(names) > 1 and count > _MOST_LINES * len(rows) else ()


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
        return True
    except UnicodeDecodeError:
        return False


def _first_lines(text: io.TextIOBase, where: str, *, is_whole: bool) -> list[str]:
    lines = [line for _, line in zip(range(_SAMPLE_LINES), numbered_lines(text, where), strict=False)]
    found = [line for _, line in lines]
    if not is_whole and len(found) > 1 and len(found) < _SAMPLE_LINES:
        found.pop()  # cut off by the end of the sample
    return found


@dataclass(frozen=True)
class _Sniffer:
    where: str
    lines: Sequence[str]
    encoding: str
    layout: Layout
    wanted: tuple[str, ...]

    def dialect(self) -> Dialect:
        skip = self.layout.skip_rows or 0
        comment = (self.layout.comment,) if self.layout.comment else _COMMENTS
        body = [
            (index, line)
            for index, line in enumerate(self.lines)
            if index >= skip and line.strip() and not line.lstrip().startswith(comment)
        ]
        if not body:
            raise DataError(
                f"{self.where}: the first {len(self.lines)} lines hold comments only; expected a header row and one "
                "row per sample"
            )
        delimiter, row_end = self._delimiter([line for _, line in body])
        split = [(index, cells_of(_without(line, row_end), delimiter)) for index, line in body]
        decimal = self.layout.decimal or _decimal([cells for _, cells in split], delimiter)
        width, is_data = _shape([cells for _, cells in split], decimal)
        if width > MAX_COLUMNS:
            raise DataError(
                f"{self.where}: rows have {width:,} columns, expected at most {MAX_COLUMNS:,}; correct the delimiter, "
                "or write one row per sample"
            )
        named = self._stated_header(split, comment, delimiter, row_end)
        if named is None and self.layout.column_names:
            named = (None, list(self.layout.column_names))
        first = next((n for n, (_, cells) in enumerate(split) if _fits(cells, width, is_data, decimal)), 0)
        if named is None:
            named = self._header(split, first, width, delimiter, decimal, comment, row_end, skip)
        header_line, names = named
        if header_line is not None:  # rows start below the header, whatever they hold
            first = next((n for n, (index, _) in enumerate(split) if index > header_line), len(split))
        units, first = self._row_of_units(split, first, names, decimal, has_header=header_line is not None)
        if self.layout.column_names:
            self._check_names(split[first][1] if first < len(split) else [], split[0][1])
        first_line = split[first][0] if first < len(split) else len(self.lines)
        before = header_line if header_line is not None else first_line
        return Dialect(
            encoding=self.encoding,
            delimiter=delimiter,
            decimal=decimal,
            names=tuple(name or f"column_{n}" for n, name in enumerate(names or [""] * width, start=1)),
            has_header=header_line is not None,
            first_line=first_line,
            units=units,
            preamble=tuple(line.strip() for line in self.lines[:before] if line.strip()),
            comment=comment,
            row_end=row_end,
            header=None if header_line is None else self.lines[header_line],
        )

    def _delimiter(self, lines: Sequence[str]) -> tuple[str, str]:
        """Delimiter, and the text at the end of rows to drop."""
        best: tuple[float, str, str] = (-1.0, ",", "")
        for delimiter in (self.layout.delimiter,) if self.layout.delimiter else DELIMITERS:
            ends = Counter(line.rstrip()[-1] for line in lines)
            end = next((one for one in ";,|" if one != delimiter and ends[one] > 0.6 * len(lines)), "")
            split = [cells_of(_without(line, end), delimiter) for line in lines]
            width, count = Counter(len(cells) for cells in split).most_common(1)[0]
            if width == 1:
                score = 0.05
            else:
                alike = [cells for cells in split if len(cells) == width]
                numbers = sum(_worth(cell) for cells in alike for cell in cells)
                score = count / len(split) * (0.1 + numbers / (width * count))
            if delimiter == " ":  # a tab or the blank after a comma is one too
                score *= _BLANKS_COUNT
            if score > best[0] + 1e-9:
                best = (score, delimiter, end)
        return best[1], best[2]

    def _stated_header(
        self, split: Sequence[tuple[int, list[str]]], comment: tuple[str, ...], delimiter: str, row_end: str
    ) -> tuple[int | None, list[str]] | None:
        """The line that holds all wanted names, also as a comment."""
        if not self.wanted or self.layout.column_names:
            return None
        for index, cells in split:
            if set(self.wanted) <= set(cells):
                return index, cells
        for index, line in enumerate(self.lines):
            if line.lstrip().startswith(comment):
                cells = cells_of(_without(_bare(line, comment), row_end), delimiter)
                if set(self.wanted) <= set(cells):
                    return index, cells
        return None

    def _header(
        self,
        split: Sequence[tuple[int, list[str]]],
        first: int,
        width: int,
        delimiter: str,
        decimal: str,
        comment: tuple[str, ...],
        row_end: str,
        skip: int,
    ) -> tuple[int | None, list[str]]:
        """The last line before the rows that has as many cells and no number; else such a comment; else nothing."""
        rows = [cells for _, cells in split[first:] if len(cells) == width]
        is_last_empty = bool(rows) and not any(cells[-1] for cells in rows)
        above = [index for index, cells in split[:first] if not _are_units(cells)]  # the last of them is the header
        for index, cells in reversed(split[:first]):
            names = _trimmed(cells, width)
            if any(is_number(cell, decimal) for cell in names) or _are_units(names):
                continue
            if len(names) == width or (is_last_empty and len(names) == width - 1):
                if delimiter != " " or _looks_like_names(names):
                    return index, names + [""] * (width - len(names))
            elif index == above[-1] and len(names) > 2 and _looks_like_names(names):
                raise DataError(
                    f"{self.where}: the header {names} names {len(names)} columns, the rows have {width}, so it is not "
                    "clear which is which; correct the header, or give skip_rows and column_names in the data source"
                )
        end = split[first][0] if first < len(split) else len(self.lines)
        for index in range(end - 1, skip - 1, -1):
            if self.lines[index].lstrip().startswith(comment):
                cells = cells_of(_without(_bare(self.lines[index], comment), row_end), delimiter)
                is_words = len(cells) == width > 1 and not any(is_number(cell, decimal) for cell in cells)
                if is_words and not _are_units(cells) and (delimiter != " " or _looks_like_names(cells)):
                    return index, cells
        if first == 0 and split and not any(is_number(cell, decimal) for cell in split[0][1]):
            return split[0][0], split[0][1]
        return None, []

    def _row_of_units(
        self,
        split: Sequence[tuple[int, list[str]]],
        first: int,
        names: Sequence[str],
        decimal: str,
        *,
        has_header: bool,
    ) -> tuple[dict[str, str], int]:
        """Units from the row below the header, and the place of the first row of data."""
        if not has_header or first >= len(split):
            return {}, first
        cells = split[first][1]
        if len(cells) == len(names) and _are_units(cells) and not any(is_number(cell, decimal) for cell in cells):
            return {name: cell.strip("()[]") for name, cell in zip(names, cells, strict=True) if cell}, first + 1
        return {}, first

    def _check_names(self, first: list[str], line: list[str]) -> None:
        names = self.layout.column_names
        for cells in (line, first):
            if cells and set(cells) & set(names) and not any(is_number(cell) for cell in cells):
                order = "the same order as" if tuple(cells) == names else "another order than"
                raise DataError(
                    f"{self.where}: the file has a header {cells}, in {order} column_names {list(names)}; remove "
                    "column_names from the data source, since columns are found by name"
                )
        if first and len(_trimmed(first, len(names))) != len(names):
            raise DataError(
                f"{self.where}: rows have {len(first)} columns, column_names in the data source has {len(names)}; name "
                "every column of the file, in its order"
            )


def _worth(cell: str) -> int:
    """1 for a number, -1 for several numbers with blanks between them, which a right delimiter does not leave."""
    if is_number(cell) or is_number(cell, ","):
        return 1
    parts = cell.split()  # no regular expression: one for a row of numbers and a word takes time without bound
    are_numbers = len(parts) > 1 and all(_OF_NUMBERS.issuperset(part) and not part.isalpha() for part in parts)
    return -1 if are_numbers else 0


def _without(line: str, end: str) -> str:
    line = line.rstrip()
    return line[: -len(end)] if end and line.endswith(end) else line


def _bare(line: str, comment: tuple[str, ...]) -> str:
    line = line.lstrip()
    for one in comment:
        line = line.removeprefix(one)
    return line.lstrip("#%/ ")


def _trimmed(cells: list[str], width: int) -> list[str]:
    return cells[:-1] if len(cells) == width + 1 and not cells[-1] else cells


def _decimal(rows: Sequence[Sequence[str]], delimiter: str) -> str:
    """The decimal mark of most cells that have one. In an unquoted comma table it is the point."""
    cells = [cell for row in rows for cell in row]
    commas = sum("," in cell and is_number(cell, ",") for cell in cells)
    points = sum("." in cell and is_number(cell) for cell in cells)
    return "," if commas > points and (delimiter != "," or commas) else "."


def _shape(rows: Sequence[Sequence[str]], decimal: str) -> tuple[int, list[bool]]:
    """Number of cells of the rows, and which columns hold numbers."""
    numeric = [sum(is_number(cell, decimal) for cell in row) for row in rows]
    most = [row for row, count in zip(rows, numeric, strict=True) if count] or list(rows)
    width = Counter(len(row) for row in most).most_common(1)[0][0]
    alike = [row for row in most if len(row) == width]
    return width, [sum(is_value(row[n], decimal) for row in alike) > 0.5 * len(alike) for n in range(width)]


def _fits(cells: Sequence[str], width: int, is_data: Sequence[bool], decimal: str) -> bool:
    if len(cells) != width or not any(is_data):
        return False
    return all(is_value(cell, decimal) for cell, numeric in zip(cells, is_data, strict=True) if numeric)


def _are_units(cells: Sequence[str]) -> bool:
    known = [_is_unit(cell) for cell in cells if cell]
    return bool(known) and sum(known) >= max(1, 0.6 * len(known)) and not _looks_like_names(cells)


def _is_unit(cell: str) -> bool:
    text = cell.strip("()[] ").lower()
    return unit_of(text) is not None or text in {"s", "ms", "us", "µs", "ns", "sec", "-", "n/a", "ut", "µt", "hz", "%"}


_KNOWN_NAME = re.compile(
    r"(.*[^a-z])?([xyz]|t|ms|us|ns|id|seq|label|class|activity|state|user|subject|session|time\w*|date\w*|clock|epoch"
    r"|\w*timestamp|millis|micros|seconds|acc\w*|gyro?\w*|mag\w*|omega\w*|rot\w*)([^a-z].*)?|[agmw][xyz]|\w+[a-z][XYZ]"
    r"|(?i:(acc|accel|gyr|gyro|mag|rot)\w*[xyz])",
    re.ASCII,
)


def _looks_like_names(cells: Sequence[str]) -> bool:
    """True if a cell is a word that tables of sensors use."""
    if len(set(cells)) < len(cells) or all(_is_unit(cell) for cell in cells if cell):
        return False
    words = [re.split(r"[(\[]", cell, maxsplit=1)[0] for cell in cells if len(cell) <= _LONGEST_NAME]
    return any(_KNOWN_NAME.fullmatch(word) or _KNOWN_NAME.fullmatch(word.lower()) for word in words)
