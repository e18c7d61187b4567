"""Samples on disk behave like arrays in memory; CSV and Parquet files are read in parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_seq.data import readers
from edge_seq.data.readers import read_dataset, read_signals
from edge_seq.data.readers.formats import parquet_file
from edge_seq.data.readers.text import rows as text_rows
from edge_seq.data.recording import select_windows
from edge_seq.data.source import parse_source
from edge_seq.data.splits import split_by_group, split_by_window_leaking_groups
from edge_seq.data.store import store_dataset
from edge_seq.data.stored import RowFile, StoredRows, StoredWindows, blocks, is_stored
from edge_seq.data.windows import make_windows
from edge_seq.support.errors import DataError
from tests.unit.data.data_builders import source_fields

pa = pytest.importorskip("pyarrow")
pa_csv, pa_parquet = pytest.importorskip("pyarrow.csv"), pytest.importorskip("pyarrow.parquet")

FIELDS = {"recording_column": "rec", "group_column": "who", "time_column": "t", "path": "set.parquet"}


def write_set(folder: Path, recordings: int = 12, *, order: Any = None, kind: str = "parquet") -> dict[str, Any]:
    rng = np.random.default_rng(0)
    lengths = rng.integers(20, 60, size=recordings)
    columns = {
        "rec": np.repeat([f"r{k}" for k in range(recordings)], lengths),
        "who": np.repeat([f"p{k % 6}" for k in range(recordings)], lengths),
        "t": np.concatenate([np.arange(n) / 10 for n in lengths]),
        "ax": rng.normal(size=lengths.sum()),
        "ay": rng.normal(size=lengths.sum()),
        "label": np.where(np.arange(lengths.sum()) % 40 < 20, "walk", "run"),
    }
    order = np.arange(lengths.sum()) if order is None else order(lengths.sum())
    table = pa.table({name: values[order] for name, values in columns.items()})
    if kind == "csv":
        pa_csv.write_csv(table, folder / "set.csv")
    else:
        pa_parquet.write_table(table, folder / "set.parquet", row_group_size=1000)
    return source_fields(**{**FIELDS, "path": f"set.{kind}"})


@pytest.fixture
def file(tmp_path: Path) -> RowFile:
    path = tmp_path / "rows.i16"
    np.arange(40, dtype="<i2").tofile(path)
    return RowFile(path, (2,))


def test_stored_rows_and_windows_give_what_arrays_give(file):
    array = np.arange(40, dtype=np.int16).reshape(20, 2)
    rows = StoredRows(file, 3, 10)
    assert (rows.shape, rows.ndim, len(rows), file.num_rows) == ((10, 2), 2, 10, 20)
    for index in (slice(None), slice(2, 5), slice(1, 9, 3), np.array([4, 1]), 5):
        assert (rows[index] == array[3:13][index]).all()
    assert (np.asarray(rows) == array[3:13]).all()
    starts = np.array([0, 7, 3, 16], dtype=np.int64)
    windows, expected = StoredWindows(file, starts, 4), np.stack([array[s : s + 4] for s in starts])
    assert (windows.shape, windows.dtype, len(windows)) == ((4, 4, 2), np.int16, 4)
    for index in (slice(None), slice(1, 3), np.array([2, 0]), np.array([True, False, True, False]), 1, (slice(2), -1)):
        assert (windows[index] == expected[index]).all()
    assert (np.asarray(windows.select(np.array([3, 1]))) == expected[[3, 1]]).all()
    assert [len(block) for block in blocks(windows, size=3)] == [3, 1]  # type: ignore[arg-type]


def test_a_file_that_was_cut_off_or_is_missing_is_named(file, tmp_path):
    with pytest.raises(DataError, match=r"rows.i16: it ends before row 21; it was cut off or changed"):
        StoredRows(file, 15, 6)[:]
    with pytest.raises(DataError, match=r"none.i16: No such file"):
        RowFile(tmp_path / "none.i16", (2,))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("part_rows", [7, 64, 10_000])
@pytest.mark.parametrize("labels", [(), ("run", "walk"), ("walk", "run")])
def test_a_stored_set_is_the_set_in_memory(tmp_path, monkeypatch, kind, part_rows, labels):
    monkeypatch.setattr(parquet_file, "PART_ROWS", part_rows)
    monkeypatch.setattr(text_rows, "BLOCK_CHARACTERS", 60 * part_rows)
    source = parse_source({**write_set(tmp_path, kind=kind), "labels": labels}, where="test")
    memory = read_dataset(source, base=tmp_path)
    stored = store_dataset(source, base=tmp_path, folder=tmp_path / "store")
    assert (stored.labels, stored.contract) == (memory.labels, memory.contract)
    for one, other in zip(memory.recordings, stored.recordings, strict=True):
        assert is_stored(other.counts)
        assert (one.name, one.group, one.split) == (other.name, other.group, other.split)
        assert (one.counts == np.asarray(other.counts)).all()
        assert (one.labels == np.asarray(other.labels)).all()
    cut = {"length": 4, "stride": 3}
    in_memory, on_disk = make_windows(memory.recordings, **cut), make_windows(stored.recordings, **cut)
    assert is_stored(on_disk.counts)
    for field in ("counts", "labels", "groups", "sample_labels"):
        assert (np.asarray(getattr(on_disk, field)) == getattr(in_memory, field)).all()
    chosen = select_windows(on_disk, np.array([5, 2]))
    assert is_stored(chosen.counts)
    assert (np.asarray(chosen.counts) == in_memory.counts[[5, 2]]).all()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_no_more_than_a_recording_and_a_part_is_in_memory(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(parquet_file, "PART_ROWS", 30)
    monkeypatch.setattr(text_rows, "BLOCK_CHARACTERS", 60 * 30)
    source = parse_source(write_set(tmp_path, kind=kind), where="test")
    whole = list(read_signals(source, base=tmp_path))
    rows: list[int] = []
    monkeypatch.setattr(readers, "cut_signals", lambda table, *_, **__: iter(rows.append(table.num_rows) or ()))
    list(read_signals(source, base=tmp_path, in_parts=True))
    assert sum(rows) == sum(len(signal.values) for signal in whole)
    assert max(rows) <= max(len(signal.values) for signal in whole) + 60
    assert len(rows) > 8


def test_parts_have_one_clock(tmp_path, monkeypatch):
    """Timestamps count from the first row of the file, whichever part a recording is in."""
    monkeypatch.setattr(parquet_file, "PART_ROWS", 30)
    source = parse_source(write_set(tmp_path), where="test")
    table = pa_parquet.read_table(tmp_path / "set.parquet")
    ticks = pa.array(1_700_000_000_000 + 100 * np.arange(len(table)), pa.timestamp("ms"))
    pa_parquet.write_table(table.set_column(table.column_names.index("t"), "t", ticks), tmp_path / "set.parquet")
    whole, parts = (list(read_signals(source, base=tmp_path, in_parts=in_parts)) for in_parts in (False, True))
    assert [one.time_s[0] for one in whole] == [one.time_s[0] for one in parts]
    assert whole[-1].time_s[-1] == pytest.approx((len(table) - 1) / 10)


def test_text_in_a_later_part_is_named_by_its_row(tmp_path, monkeypatch):
    monkeypatch.setattr(text_rows, "BLOCK_CHARACTERS", 60 * 30)
    source = parse_source(write_set(tmp_path, kind="csv"), where="test")
    lines = (tmp_path / "set.csv").read_text().splitlines()
    cells = lines[301].split(",")
    lines[301] = ",".join([*cells[:3], "much", *cells[4:]])
    (tmp_path / "set.csv").write_text("\n".join(lines) + "\n")
    for in_parts in (False, True):
        with pytest.raises(DataError, match=r"1 of \d+ rows .*line 302: column 'ax' holds 'much', not a number"):
            list(read_signals(source.model_copy(update={"max_lost_share": 0.0}), base=tmp_path, in_parts=in_parts))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_blank_recording_in_a_later_part_is_named_by_its_row(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(parquet_file, "PART_ROWS", 30)
    monkeypatch.setattr(text_rows, "BLOCK_CHARACTERS", 60 * 30)
    source = parse_source(write_set(tmp_path, kind=kind), where="test")
    table = (pa_csv.read_csv if kind == "csv" else pa_parquet.read_table)(tmp_path / f"set.{kind}")
    names = table.column("rec").to_pylist()
    names[300] = ""
    table = table.set_column(table.column_names.index("rec"), "rec", pa.array(names))
    (pa_csv.write_csv if kind == "csv" else pa_parquet.write_table)(table, tmp_path / f"set.{kind}")
    for in_parts in (False, True):
        with pytest.raises(DataError, match=r"row 301 has no value in recording_column 'rec'"):
            list(read_signals(source, base=tmp_path, in_parts=in_parts))


def test_a_header_without_rows_is_named_in_parts_too(tmp_path):
    for kind in ("csv", "parquet"):
        source = parse_source(write_set(tmp_path, 1, order=lambda _: np.arange(0), kind=kind), where="test")
        with pytest.raises(DataError, match=rf"set.{kind}: there is a header .* but no row"):
            list(read_signals(source, base=tmp_path, in_parts=True))


def test_splits_are_those_in_memory(tmp_path):
    source = parse_source(write_set(tmp_path), where="test")
    how = {"validation_fraction": 0.2, "test_fraction": 0.2, "seed": 3}
    sets = read_dataset(source, base=tmp_path), store_dataset(source, base=tmp_path, folder=tmp_path / "store")
    one, other = (split_by_group(dataset, **how) for dataset in sets)
    assert [r.name for r in one.train] == [r.name for r in other.train]
    first, second = (split_by_window_leaking_groups(dataset, **how) for dataset in sets)
    assert (first[2].counts == np.asarray(second[2].counts)).all()


def test_files_are_named_by_what_is_in_them(tmp_path):
    source = parse_source(write_set(tmp_path), where="test")
    for _ in range(2):
        store_dataset(source, base=tmp_path, folder=tmp_path / "store")
    assert len(list((tmp_path / "store").iterdir())) == 2
    write_set(tmp_path, recordings=11)
    store_dataset(source, base=tmp_path, folder=tmp_path / "store")
    assert len(list((tmp_path / "store").iterdir())) == 4


def test_what_cannot_be_stored_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_file, "PART_ROWS", 64)
    source = parse_source(write_set(tmp_path), where="test")
    with pytest.raises(DataError, match=r"unknown labels \['run'\]; known are \['walk'\]"):
        store_dataset(source.model_copy(update={"labels": ("walk",)}), base=tmp_path, folder=tmp_path / "store")
    unlabelled = source.model_copy(update={"unlabelled_values": ("walk", "run")})
    with pytest.raises(DataError, match="no sample has a label"):
        store_dataset(unlabelled, base=tmp_path, folder=tmp_path / "store")
    write_set(tmp_path, order=lambda n: np.roll(np.arange(n), -10))
    with pytest.raises(DataError, match=r"recording r\d+: its rows are not together"):
        store_dataset(source, base=tmp_path, folder=tmp_path / "store")
    (tmp_path / "set.parquet").write_bytes(b"")
    with pytest.raises(DataError, match=r"set.parquet: the file is empty"):
        store_dataset(source, base=tmp_path, folder=tmp_path / "store")
    (tmp_path / "set.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match=r"set.parquet: cannot be read as Parquet"):
        store_dataset(source, base=tmp_path, folder=tmp_path / "store")
    assert not list((tmp_path / "store").iterdir())
