"""Sizes of the pages of Parquet files, against what was written, and damaged headers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_seq.data.readers.formats.parquet_file import read_parquet
from edge_seq.data.readers.formats.parquet_pages import ColumnPages, column_pages
from edge_seq.data.readers.table import ReadOptions
from edge_seq.support.errors import DataError

ROWS = 3000


def written(path: Path, **options: Any) -> Path:
    """Two row groups of numbers and of texts of about 109 bytes, of which each occurs ten times."""
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    texts = [f"{number // 10:9}{'x' * 100}" for number in range(ROWS)]
    table = pa.table({"ax": np.arange(ROWS, dtype=np.float64), "label": texts})
    parquet.write_table(table, path, row_group_size=ROWS // 2, **{"compression": "none", **options})
    return path


def unpacked(pages: dict[str, ColumnPages]) -> int:
    return sum(int(one.sizes.sum()) for one in pages.values())


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_sizes_are_what_the_columns_take(tmp_path: Path, version: str, dictionary: bool, compression: str) -> None:
    path = written(
        tmp_path / "x.parquet",
        use_dictionary=["label"] if dictionary else False,
        data_page_version=version,
        data_page_size=4096,
        write_batch_size=50,
        compression=compression,
    )
    found = column_pages(path, ["ax", "label"])
    assert {name: int(one.rows.sum()) for name, one in found.items()} == {"ax": ROWS, "label": ROWS}
    numbers, texts = (unpacked({"": found[name]}) for name in ("ax", "label"))
    assert 8 * ROWS <= numbers < 8 * ROWS + 4000
    assert found["ax"].sizes.max() < 6000
    assert (found["ax"].dictionary, found["label"].dictionary > 0) == (0, dictionary)
    each = 109 + 4  # length and content
    if dictionary:
        assert found["label"].dictionary == ROWS // 20 * each
        assert ROWS // 10 * each <= texts < ROWS // 10 * each + 3 * ROWS
    else:
        assert ROWS * each <= texts < ROWS * each + 4000
    assert found["label"].group < 0.6 * texts  # of two row groups
    assert found["label"].most_bytes(ROWS) == texts + found["label"].dictionary
    assert found["label"].plain is not dictionary
    assert found["label"].as_group().most_bytes(1) == found["label"].group


def test_neighbouring_rows_begin_anywhere_in_a_page() -> None:
    pages = ColumnPages(np.array([0, 10, 1, 10, 4]), np.array([0, 100, 900, 50, 8]), 7, group=1065, plain=False)
    tried = {rows: pages.most_bytes(rows) for rows in (1, 2, 3, 11, 12, 25)}
    # 3 rows: the last of the first page, the one of the second, the first of the third.
    assert tried == {1: 907, 2: 1007, 3: 1057, 11: 1057, 12: 1057, 25: 1065}


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_texts_that_continue_those_before_them_are_not_plain(tmp_path: Path, version: str) -> None:
    path = written(
        tmp_path / "x.parquet",
        use_dictionary=False,
        data_page_version=version,
        column_encoding={"label": "DELTA_BYTE_ARRAY"},
    )
    found = column_pages(path, ["ax", "label"])
    assert (found["ax"].plain, found["label"].plain) == (True, False)
    assert found["label"].sizes.sum() < ROWS * 30  # of texts of 109 bytes


def test_a_page_that_says_it_is_large_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of whole row groups, 12,000 bytes: a number of three bytes, of which the last gets as large as it can."""
    right = written(tmp_path / "x.parquet", use_dictionary=False, write_statistics=False).read_bytes()
    size = unpacked(column_pages(tmp_path / "x.parquet", ["ax"])) // 2
    number = bytes([2 * size & 127 | 128, 2 * size >> 7 & 127 | 128, 2 * size >> 14])
    at = right.index(b"\x15\x00\x15" + number) + 5  # kind of the page, then its size
    path = tmp_path / "y.parquet"
    path.write_bytes(right[:at] + b"\x7f" + right[at + 1 :])
    monkeypatch.setattr("edge_seq.data.readers.foreign.FREE_BYTES", 1000)
    monkeypatch.setattr("edge_seq.data.readers.foreign.MAX_RATIO", 2)
    read_parquet(tmp_path / "x.parquet", ReadOptions(("ax",), ()))
    with pytest.raises(DataError, match=r"y\.parquet: .* would unpack to 1,\d+,\d+, which is no recording"):
        read_parquet(path, ReadOptions(("ax",), ()))


def test_damaged_headers_are_one_error(tmp_path: Path) -> None:
    right = written(tmp_path / "x.parquet", use_dictionary=False, data_page_size=4096).read_bytes()
    path = tmp_path / "wrong.parquet"
    rng = np.random.default_rng(0)
    outcomes = set()
    for trial in range(150):
        wrong = bytearray(right)
        for at in rng.integers(len(right) - 700 if trial % 2 else 0, len(right), 4):
            wrong[at] = rng.integers(256)
        path.write_bytes(wrong)
        try:
            column_pages(path, ("ax", "label"))
            outcomes.add("read")
        except ValueError as error:
            outcomes.add(str(error))
    assert len(outcomes) > 3, outcomes
    for content in (b"", b"PAR1", right[:-4] + b"PARE", b"\x1c" * 4000 + b"\xa0\x0f\0\0PAR1"):
        path.write_bytes(content)
        with pytest.raises((ValueError, OSError)):
            column_pages(path, ("ax",))
