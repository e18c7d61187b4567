"""Read the rows of a text file in blocks. Rows that are torn or garbage are left out, counted and named by line."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_seq.data.layout import BLANK_LINE, Layout
from edge_seq.data.readers.foreign import opened
from edge_seq.data.readers.table import BREAK, RECORDING, ReadOptions, import_pyarrow
from edge_seq.data.readers.text.dialect import NO_VALUE, Dialect, cells_of, is_number, is_value
from edge_seq.data.readers.text.sniff import numbered_lines, text_of
from edge_seq.support.errors import DataError

BLOCK_CHARACTERS = 1 << 20
_SHOWN = 4


@dataclass
class Lost:
    """Rows of one file that were left out: number of all rows, and line and reason of each that was lost."""

    rows: int = 0
    lines: list[tuple[int, str]] = field(default_factory=list)
    count: int = 0
    torn_end: bool = False

    def add(self, line: int, why: str) -> None:
        """Count a row that was left out."""
        self.count += 1
        if len(self.lines) < _SHOWN:
            self.lines.append((line, why))

    def __str__(self) -> str:
        """The first few lines with reasons."""
        more = self.count - len(self.lines)
        shown = "; ".join(f"line {line}: {why}" for line, why in self.lines)
        return shown + (f" and {more} more" if more else "")

    def check(self, where: str, share: float) -> None:
        """Check that few rows were lost. A torn last row always counts as few.

        Raises:
            DataError: more were lost than ``share`` of the rows.
        """
        counted = self.count - self.torn_end
        if counted > share * self.rows or self.count == self.rows > 0:
            raise DataError(
                f"{where}: {self.count} of {self.rows} rows are torn or garbage ({self}); at most {share:.1%} may be. "
                "Correct the rows or the dialect (delimiter, decimal, skip_rows), or raise max_lost_share in the data "
                "source"
            )


def blocks(path: Path, dialect: Dialect, layout: Layout, options: ReadOptions, lost: Lost) -> Iterator[Any]:
    """Yield the requested columns in tables of about 1 MB of text, each a ``pyarrow.Table``.

    Besides the requested columns a table has ``BREAK`` (true where rows before were left out, or a logger restarted)
    and, where rows or lines end a recording, ``RECORDING``.

    Args:
        path: text file.
        dialect: its dialect.
        layout: what the data source states.
        options: columns to read.
        lost: counts the rows that are left out.

    Raises:
        DataError: too many rows are torn or garbage, or a marker is not a regular expression.
    """
    with opened(path) as file, text_of(file, dialect.encoding, path.name) as text:
        block = _Block(path.name, dialect, layout, options, lost)
        for number, line in numbered_lines(text, path.name, with_end=True):
            if number <= dialect.first_line:
                continue
            block.add(number, line.rstrip("\n"), is_cut=not line.endswith("\n"))
            if block.size >= BLOCK_CHARACTERS:
                yield block.take()
        yield block.take(is_last=True)
    lost.check(path.name, layout.max_lost_share)


class _Block:
    """Rows that wait to be parsed together."""

    def __init__(self, where: str, dialect: Dialect, layout: Layout, options: ReadOptions, lost: Lost) -> None:
        self.where, self.dialect, self.layout, self.options, self.lost = where, dialect, layout, options, lost
        self.size = 0
        self._rows: list[tuple[int, str]] = []
        self._breaks: list[bool] = []
        self._recordings: list[int] = []
        self._is_break = self._ends = False
        self._recording = self._in_recording = 0
        self._width = len(dialect.names)
        self._delimiter = "\t" if dialect.delimiter == " " else dialect.delimiter
        self._header = None if dialect.header is None else dialect.header.strip()
        self._is_cut = layout.recording_break is not None or layout.rows_per_recording is not None
        rule = layout.recording_break
        try:
            self._marker = None if rule in (None, BLANK_LINE) else re.compile(str(rule))
        except re.error as error:
            raise DataError(f"recording_break {rule!r} is not a regular expression: {error}") from error
        self._numeric = [n for n, name in enumerate(dialect.names) if name in options.numeric]

    def add(self, number: int, line: str, *, is_cut: bool) -> None:
        """Add a line: a row, a comment, the end of a recording, or garbage. The last one may be cut off."""
        clock, line = self.dialect.row_of(line)
        bare = line.strip()
        if self._marker is not None and self._marker.fullmatch(bare):
            self._end_recording()
        elif not bare:
            if self.layout.recording_break == BLANK_LINE:
                self._end_recording()
        elif bare.startswith(self.dialect.comment):
            return
        elif bare == self._header:
            self._is_break = True
        else:
            row = bare if self._delimiter != "\t" else line
            row = f"{clock}{self.dialect.delimiter}{row}" if self.dialect.has_clock else row
            self._add_row(number, row, is_cut=is_cut)

    def _end_recording(self) -> None:
        if self._in_recording:
            self._recording += 1
            self._in_recording = 0
        self._is_break = False

    def _add_row(self, number: int, line: str, *, is_cut: bool) -> None:
        self.lost.rows += 1
        self.lost.torn_end = False
        if self._in_recording == self.layout.rows_per_recording:
            self._end_recording()
        self._in_recording += 1
        text = self._row(line)
        if text is None:
            found = len(cells_of(self._without_end(line), self.dialect.delimiter))
            what = f"{found} of {self._width} columns" if found != self._width else f"garbage {line[:40]!r}"
            self._lose(number, what)
            return
        if is_cut and self._is_cut_off(line, text):
            self._lose(number, f"the file ends within {line[-20:]!r}")
            return
        self._rows.append((number, text))
        self._breaks.append(self._is_break)
        self._recordings.append(self._recording)
        self._is_break = False
        self.size += len(text)

    def _lose(self, number: int, why: str) -> None:
        self.lost.add(number, why)
        self.lost.torn_end = True
        self._is_break = True

    def _is_cut_off(self, line: str, text: str) -> bool:
        """True if a last line without an end stops within its last cell: one shorter than those before it."""
        if self.dialect.row_end and not line.rstrip().endswith(self.dialect.row_end):
            return True
        last, *before = (
            cells_of(row, self._delimiter)[-1] for row in (text, *(row for _, row in self._rows[-_SHOWN:]))
        )
        if not before:
            return False
        if all(is_number(cell, self.dialect.decimal) for cell in before):
            decimals = {len(cell.partition(self.dialect.decimal)[2]) for cell in before}
            return len(decimals) == 1 and len(last.partition(self.dialect.decimal)[2]) < decimals.pop()
        return last not in before and before[-1].startswith(last)

    def _without_end(self, line: str) -> str:
        end = self.dialect.row_end
        return line.rstrip().removesuffix(end) if end else line

    def _row(self, line: str) -> str | None:
        """The row as pyarrow reads it; None if it is torn or has bytes that did not decode."""
        if "\ufffd" in line or line.count('"') % 2:
            return None
        line = self._without_end(line)
        if self.dialect.delimiter == " ":
            cells = cells_of(line, " ")
            return "\t".join(cells) if len(cells) == self._width else None
        found = (len(cells_of(line, self._delimiter)) if '"' in line else line.count(self._delimiter) + 1) - self._width
        ended = line.rstrip(" ")  # a tab may be the delimiter
        if found == 1 and ended.endswith(self._delimiter):
            return ended[:-1]
        return line if found == 0 else None

    def take(self, *, is_last: bool = False) -> Any:
        """Parse the rows that wait."""
        rows, breaks, recordings = self._rows, self._breaks, self._recordings
        self._rows, self._breaks, self._recordings, self.size = [], [], [], 0
        pa = import_pyarrow()
        try:
            table = self._parse(pa, [text for _, text in rows])
        except pa.ArrowInvalid:
            good = []
            carried = False
            for n, (number, text) in enumerate(rows):
                why = self._garbage(text)
                if why is None:
                    breaks[n] = breaks[n] or carried
                    carried = False
                    good.append(n)
                else:
                    self.lost.add(number, why)
                    self.lost.torn_end = is_last and n == len(rows) - 1
                    carried = True
            self._is_break = self._is_break or carried
            rows, breaks, recordings = ([one[n] for n in good] for one in (rows, breaks, recordings))  # type: ignore[assignment]
            nothing = {cell for _, text in rows for cell in self._nothing(text)}
            try:
                table = self._parse(pa, [text for _, text in rows], sorted(nothing))
            except pa.ArrowInvalid as error:
                raise DataError(f"{self.where}: cannot be read as a table of text: {error}") from error
        table = table.append_column(BREAK, pa.array(breaks, pa.bool_()))
        if self._is_cut:
            table = table.append_column(RECORDING, pa.array(recordings, pa.int64()))
        return table

    def _garbage(self, text: str) -> str | None:
        cells = cells_of(text, self._delimiter)
        for n in self._numeric:
            if not is_value(cells[n], self.dialect.decimal):
                return f"column {self.dialect.names[n]!r} holds {cells[n][:40]!r}, not a number"
        return None

    def _nothing(self, text: str) -> list[str]:
        """Cells of the columns of numbers, as written, that hold blanks, or blanks around a word for no value."""
        cells = cells_of(text, self._delimiter, keep_blanks=True)
        if len(cells) != self._width:  # blanks before a quote
            return []
        return [cells[n] for n in self._numeric if cells[n].strip() in NO_VALUE]

    def _parse(self, pa: Any, lines: Sequence[str], nothing: Sequence[str] = ()) -> Any:
        types = dict.fromkeys(self.options.text + self.options.dates, pa.string())
        types.update(dict.fromkeys(self.options.numeric, pa.float64()))
        if not lines:
            return pa.table({name: pa.array([], kind) for name, kind in types.items()})
        content = "\n".join(lines).encode("utf-8", "replace") + b"\n"
        return pa.csv.read_csv(
            io.BytesIO(content),
            read_options=pa.csv.ReadOptions(
                use_threads=False, block_size=len(content), column_names=list(self.dialect.names)
            ),
            parse_options=pa.csv.ParseOptions(delimiter=self._delimiter, ignore_empty_lines=False),
            convert_options=pa.csv.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                decimal_point=self.dialect.decimal,
                null_values=[*NO_VALUE, *nothing],
            ),
        )
