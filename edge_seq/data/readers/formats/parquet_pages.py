"""Sizes of the pages of a Parquet file, from the file's own headers (Thrift's compact protocol).

pyarrow takes the memory that a page says it needs before it unpacks the page, and a reader of batches holds pages, not
row groups. The headers are read here because pyarrow does not give them, and ends the process where statistics of a
column are damaged.
See https://github.com/apache/parquet-format, ``parquet.thrift``.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.support.opening import open_regular

_FOOTER_MOST, _HEADER_FIRST, _HEADER_MOST = 1 << 25, 1 << 10, 1 << 24
_PAGES_MOST, _DEEPEST = 200_000, 20
_TRUE, _FALSE = 1, 2
# Numbers of the fields that are used.
_GROUPS, _COLUMNS, _COLUMN = 4, 1, 3
_PATH, _PACKED, _DATA_AT, _DICTIONARY_AT = 3, 7, 9, 11
_KIND, _UNPACKED_SIZE, _PACKED_SIZE, _VALUES = 1, 2, 3, 1
_DICTIONARY_PAGE = 2
_DATA_HEADERS = {0: 5, 3: 8}  # field of a page's own header by its kind: data pages of both versions
_ENCODINGS, _PLAIN = {0: 2, 3: 4}, 0


@dataclass(frozen=True)
class ColumnPages:
    """Pages of one column, over all row groups.

    Attributes:
        rows: [N], number of values of each page, int64; 0 of pages without data.
        sizes: [N], unpacked size that each page says it has, bytes, int64.
        dictionary: unpacked size of the largest dictionary, bytes; 0 if no row group has one.
        group: unpacked size of the pages of the largest row group, bytes.
        plain: True if every text stands in its page in full: no dictionary, and none that continues the one before it.
    """

    rows: NDArray[np.int64]
    sizes: NDArray[np.int64]
    dictionary: int
    group: int
    plain: bool

    def as_group(self) -> ColumnPages:
        """As one page as large as the largest row group: a reader of shared texts keeps all those of a row group."""
        return replace(self, rows=self.rows.sum(keepdims=True), sizes=np.array([self.group]), dictionary=0)

    def most_bytes(self, rows: int) -> int:
        """Most bytes of pages that so many neighbouring rows lie in, with a dictionary.

        >>> ColumnPages(np.array([10, 10, 10]), np.array([5, 7, 4]), 100, group=116, plain=False).most_bytes(11)
        112
        """
        ends, total = np.cumsum(self.rows), np.append(0, np.cumsum(self.sizes))
        begins = ends - self.rows
        # The rows begin with the last one of a page at worst.
        last = np.searchsorted(begins, ends - 1 + rows, side="left")
        window = int((total[last] - total[np.arange(len(ends))]).max(initial=0))
        return window + self.dictionary  # the rows may begin behind the dictionary of their row group


def column_pages(path: Path, columns: Collection[str]) -> dict[str, ColumnPages]:
    """Read the sizes of all pages of some columns.

    Args:
        path: Parquet file.
        columns: names of columns that are not nested.

    Raises:
        OSError: the file cannot be read.
        ValueError: a header is damaged, or there are far more pages than recordings have.
    """
    found: dict[str, list[tuple[int, int]]] = {name: [] for name in columns}
    dictionaries, groups, plain = dict.fromkeys(columns, 0), dict.fromkeys(columns, 0), dict.fromkeys(columns, True)
    with open_regular(path) as file:
        for chunk in _chunks(file):
            name = chunk[_PATH][0] if len(chunk[_PATH]) == 1 else None
            if name not in found:
                continue
            group = 0
            for header in _headers(file, chunk, _PAGES_MOST - sum(map(len, found.values()))):
                size, place = _number(header, _UNPACKED_SIZE, 31), _DATA_HEADERS.get(header[_KIND])
                group += size
                found[name].append((0 if place is None else _number(header[place], _VALUES, 31), size))
                if place is not None:
                    plain[name] &= header[place].get(_ENCODINGS[header[_KIND]]) == _PLAIN
                elif header[_KIND] == _DICTIONARY_PAGE:
                    dictionaries[name] = max(dictionaries[name], size)
                    plain[name] = False
            groups[name] = max(groups[name], group)
    pages = {name: np.array(one, dtype=np.int64).reshape(-1, 2) for name, one in found.items()}
    return {
        name: ColumnPages(one[:, 0], one[:, 1], dictionaries[name], groups[name], plain[name])
        for name, one in pages.items()
    }


def _chunks(file: IO[bytes]) -> list[Mapping[int, Any]]:
    """Metadata of each column of each row group."""
    size = file.seek(-8, 2)
    (length,) = struct.unpack("<I", file.read(4))
    if file.read(4) != b"PAR1" or not 0 < length <= min(size, _FOOTER_MOST):
        raise ValueError("the footer is damaged, encrypted or very long")
    file.seek(size - length)
    footer = _Thrift(file.read(length)).table()
    try:
        return [
            {**column[_COLUMN], _PATH: [part.decode("utf-8") for part in column[_COLUMN][_PATH]]}
            for group in footer[_GROUPS]
            for column in group[_COLUMNS]
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("the footer is damaged") from error


def _headers(file: IO[bytes], chunk: Mapping[int, Any], most: int) -> list[Mapping[int, Any]]:
    """Headers of the pages of a column of a row group."""
    offsets = [_number(chunk, field) for field in (_DATA_AT, _DICTIONARY_AT) if field in chunk]
    begin, packed = min((one for one in offsets if one > 0), default=0), _number(chunk, _PACKED)
    at, found = begin, list[Mapping[int, Any]]()
    while at < begin + packed:
        if len(found) >= most:
            raise ValueError("there are far more pages than recordings have")
        header, length = _header(file, at)
        found.append(header)
        at += length + _number(header, _PACKED_SIZE)
        if at > begin + packed:
            raise ValueError("a page goes beyond the end of its column")
    return found


def _header(file: IO[bytes], at: int) -> tuple[Mapping[int, Any], int]:
    """A page's header and its length."""
    read = _HEADER_FIRST
    while True:
        file.seek(at)
        content = file.read(read)
        thrift = _Thrift(content)
        try:
            header = thrift.table()
        except ValueError:
            if read >= _HEADER_MOST or len(content) < read:
                raise
            read *= 16
            continue
        if not isinstance(header.get(_KIND), int):
            raise ValueError("a page has no kind")
        if (place := _DATA_HEADERS.get(header[_KIND])) and not isinstance(header.get(place), dict):
            raise ValueError("a page of data has no header")
        return header, thrift.at


def _number(table: Mapping[int, Any], field: int, bits: int = 48) -> int:
    value = table.get(field)
    if not isinstance(value, int) or not 0 <= value < 1 << bits:
        raise ValueError("a size is missing or damaged")
    return value


class _Thrift:
    """A table of Thrift's compact protocol: values by the number of their field. ``at`` is where reading goes on."""

    def __init__(self, content: bytes) -> None:
        self._content, self.at = content, 0

    def table(self, depth: int = 0) -> dict[int, Any]:
        """Read a table."""
        if depth > _DEEPEST:
            raise ValueError("tables are nested too deeply")
        found: dict[int, Any] = {}
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self._signed()
            kind = head & 15
            found[field] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return found

    def _byte(self) -> int:
        if self.at >= len(self._content):
            raise ValueError("it ends within a value")
        self.at += 1
        return self._content[self.at - 1]

    def _unsigned(self) -> int:
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number
            if shift > 63:
                raise ValueError("a number is too long")

    def _signed(self) -> int:
        number = self._unsigned()
        return (number >> 1) ^ -(number & 1)

    def _take(self, size: int) -> bytes:
        if size > len(self._content) - self.at:
            raise ValueError("it ends within a value")
        self.at += size
        return self._content[self.at - size : self.at]

    def _value(self, kind: int, depth: int) -> Any:
        match kind:
            case 1 | 2 | 3:  # booleans in a list, and bytes
                return self._byte()
            case 4 | 5 | 6:
                return self._signed()
            case 7:
                return self._take(8)
            case 8:
                return self._take(self._unsigned())
            case 9 | 10:
                return self._list(depth)
            case 12:
                return self.table(depth + 1)
            case 11:
                size = self._unsigned()
                kinds = self._byte() if size else 0
                return [(self._value(kinds >> 4, depth + 1), self._value(kinds & 15, depth + 1)) for _ in range(size)]
            case _:
                raise ValueError("a value has an unknown kind")

    def _list(self, depth: int) -> list[Any]:
        if depth > _DEEPEST:
            raise ValueError("lists are nested too deeply")
        head = self._byte()
        size = head >> 4 if head >> 4 < 15 else self._unsigned()
        return [self._value(head & 15, depth + 1) for _ in range(size)]
