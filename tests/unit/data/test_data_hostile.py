"""Damaged and hostile files: every reader and the guess end with one error of this project, never with another one."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edge_seq.data.guess import guess_source
from edge_seq.data.readers import read_signals
from edge_seq.data.readers.foreign import check_unpacked
from edge_seq.data.source import DataSource
from edge_seq.support.errors import DataError
from tests.unit.data.data_builders import source_fields


def npz_file() -> bytes:
    out = io.BytesIO()
    rows = np.array([[np.sin(k), np.cos(k)] for k in range(60)])
    np.savez_compressed(out, X=rows.reshape(6, 10, 2), y=np.arange(6) % 2)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("deep.json", b"[" * 100_000, "deep.json: cannot be read as JSON"),
        ("line.csv", b"1" * 3_000_000, "line 1 has more than 1,000,000 characters"),
        ("zeros.csv", bytes(1000), "is not a text file"),
        ("flip.npz", npz_file()[:150] + b"\xff\xff\xff" + npz_file()[153:], "cannot be read as NPZ|not a zip"),
        ("text.parquet", b"PAR1" + b"\xff" * 100 + b"PAR1", "cannot be read as Parquet"),
        ("cr.csv", b"t,ax,ay,label\n0,1\r2,3,walk\n0.1,1,2,walk\n", "torn or garbage"),
    ],
)
def test_known_attacks_are_one_error(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    fields = source_fields(path=name, label_from="file_name")
    with pytest.raises(DataError, match=message):
        list(read_signals(DataSource.model_validate(fields), base=tmp_path))


def test_files_that_unpack_to_far_more_are_refused_before_they_are(tmp_path: Path) -> None:
    header = {"descr": "<f8", "fortran_order": False, "shape": (1 << 28, 4, 2)}
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, header)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive:
        archive.writestr("X.npy", member.getvalue())
    fields = source_fields(path="bomb.npz", label_from="file_name")
    with pytest.raises(DataError, match=r"bomb.npz: .* bytes would unpack to 17,179,869,184, which is no recording"):
        list(read_signals(DataSource.model_validate(fields), base=tmp_path))
    with pytest.raises(DataError, match="would unpack to"):
        guess_source(tmp_path / "bomb.npz")
    check_unpacked("large.csv.gz", 10 << 20, 1 << 30, at_once=False)  # 100 times is fine


LABEL = "a" * 20_000


def parquet_of_one_group(path: Path, rows: int, labels: list[str]) -> None:
    """One row group of equally long runs of labels, each stored once, as a plain text column."""
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    codes = pa.array((np.arange(rows) * len(labels) // rows).astype(np.int32))
    columns = {name: np.arange(rows, dtype=np.float64) for name in ("t", "ax", "ay")}
    table = pa.table({**columns, "label": pa.DictionaryArray.from_arrays(codes, pa.array(labels))})
    parquet.write_table(table, path, row_group_size=rows, use_dictionary=["label"], store_schema=False)


def test_a_text_that_all_rows_of_a_parquet_file_share_is_not_unpacked(tmp_path: Path) -> None:
    """The metadata state the text once; 200,000 rows of it would take 4 GB."""
    import pyarrow as pa

    parquet_of_one_group(tmp_path / "text.parquet", 200_000, [LABEL])
    assert (tmp_path / "text.parquet").stat().st_size < 6_000_000
    source = DataSource.model_validate(source_fields(path="text.parquet", label_column="label", time_column="t"))
    reads = (
        lambda: list(read_signals(source, base=tmp_path)),
        lambda: list(read_signals(source, base=tmp_path, in_parts=True)),
        lambda: guess_source(tmp_path / "text.parquet"),
    )
    for read in reads:
        with pytest.raises(
            DataError,
            match=r"text.parquet, column 'label', whose rows share long texts: .* would unpack to [\d,]+, which is no "
            r"recording; .* or write the file again with shorter texts in column 'label'$",
        ):
            read()
        assert pa.total_allocated_bytes() < 100_000_000


def test_shared_texts_that_do_not_fit_the_memory_are_refused_with_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet_of_one_group(tmp_path / "text.parquet", 2000, [LABEL])
    monkeypatch.setenv("EDGE_SEQ_MEMORY_LIMIT", "9M")
    source = DataSource.model_validate(source_fields(path="text.parquet", label_column="label", time_column="t"))
    parts = DataSource.model_validate({**source.model_dump(), "recording_column": "label"})
    shorter = "or write the file again with shorter texts in column 'label'"
    for in_parts, words in ((False, f"data.storage=disk, {shorter}"), (True, f"--memory-limit, {shorter}")):
        with pytest.raises(DataError, match=f"column 'label', whose rows share long texts: it takes .*{words}$"):
            list(read_signals(parts if in_parts else source, base=tmp_path, in_parts=in_parts))


def test_a_row_group_larger_than_the_memory_is_read_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa

    from edge_seq.data.readers.formats.parquet_file import read_parquet, read_parquet_parts
    from edge_seq.data.readers.table import ReadOptions

    options = ReadOptions(("t", "ax", "ay"), ("label",))
    parquet_of_one_group(tmp_path / "large.parquet", 500_000, ["walk"])
    monkeypatch.setenv("EDGE_SEQ_MEMORY_LIMIT", "9M")
    with pytest.raises(DataError, match=r"large.parquet: it takes [\d,]+ bytes of memory, .* train from parts"):
        read_parquet(tmp_path / "large.parquet", options)
    # All rows are one recording here, which is in memory whole: it is refused when it exceeds the limit, not after.
    with pytest.raises(DataError, match=r"it takes .*--memory-limit, or cut its longest recording, as each is in"):
        list(read_parquet_parts(tmp_path / "large.parquet", options, "label"))
    count = 400_000
    numbers = {name: np.arange(count) // 5000 for name in ("t", "ax", "ay", "label")}
    texts = {**numbers, "label": pa.array([f"a walk {number:60}" for number in range(80)]).take(numbers["label"])}
    long = {**{name: numbers[name][:6000] for name in numbers}, "label": [f"{number:4000}" for number in range(6000)]}
    one_group = {"row_group_size": count, "use_dictionary": False}
    small_pages = {**one_group, "write_batch_size": 100, "data_page_size": 1 << 17}
    for table, rows, options_of_pages in (
        (numbers, count, small_pages),
        (texts, count, small_pages),
        (texts, count, {**small_pages, "use_dictionary": ["label"]}),
        (long, 6000, small_pages),
    ):
        pa.parquet.write_table(pa.table(table), tmp_path / "large.parquet", **options_of_pages)
        before, peak, found = pa.total_allocated_bytes(), 0, 0
        for part in read_parquet_parts(tmp_path / "large.parquet", options, "label"):
            peak, found = max(peak, pa.total_allocated_bytes() - before), found + part.num_rows
            del part
        assert found == rows
        assert 0 < peak < 2 * (9 << 20)  # a batch, and what was made of the one before it
    # A page as large as the row group would be in memory whole.
    pa.parquet.write_table(pa.table(long), tmp_path / "large.parquet", **{**one_group, "data_page_size": 1 << 30})
    with pytest.raises(DataError, match=r"it takes .*, or write .* with smaller pages .* those of column 'label' are"):
        next(read_parquet_parts(tmp_path / "large.parquet", options, "label"))


def test_files_that_do_not_fit_the_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_SEQ_MEMORY_LIMIT", "1M")
    with pytest.raises(DataError, match=r"x.npz: it takes 2,097,152 bytes of memory, .* train from parts"):
        check_unpacked("x.npz", 1 << 20, 1 << 21)
    check_unpacked("x.npz", 1 << 20, 1 << 21, at_once=False)


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    import os

    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    os.mkfifo(tmp_path / "pipe.csv")
    fields = source_fields(path="pipe.csv", label_from="file_name")
    with pytest.raises(DataError, match=r"pipe.csv: is not a regular file"):
        list(read_signals(DataSource.model_validate(fields), base=tmp_path))
    with pytest.raises(DataError, match=r"pipe.csv: is not a regular file"):
        guess_source(tmp_path / "pipe.csv")
