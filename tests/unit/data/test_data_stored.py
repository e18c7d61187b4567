"""Samples on disk read like arrays in memory, from Parquet in parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_seq.data.readers import parquet_file, read_dataset
from edge_seq.data.recording import select_windows
from edge_seq.data.source import parse_source
from edge_seq.data.splits import split_by_group, split_by_window_leaking_groups
from edge_seq.data.store import store_dataset
from edge_seq.data.stored import RowFile, StoredRows, StoredWindows, blocks, is_stored
from edge_seq.data.windows import make_windows
from edge_seq.errors import DataError
from tests.unit.data.data_builders import source_fields

pa = pytest.importorskip("pyarrow")
pa_parquet = pytest.importorskip("pyarrow.parquet")

FIELDS = {"recording_column": "rec", "group_column": "who", "time_column": "t", "path": "set.parquet"}


def write_set(folder: Path, recordings: int = 12, *, order: Any = None, row_group_size: int = 1000) -> dict[str, Any]:
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
    pa_parquet.write_table(table, folder / "set.parquet", row_group_size=row_group_size)
    return source_fields(**FIELDS)


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


@pytest.mark.parametrize("part_rows", [7, 64, 10_000])
@pytest.mark.parametrize("labels", [(), ("run", "walk"), ("walk", "run")])
def test_a_stored_set_is_the_set_in_memory(tmp_path, monkeypatch, part_rows, labels):
    monkeypatch.setattr(parquet_file, "PART_ROWS", part_rows)
    source = parse_source({**write_set(tmp_path), "labels": labels}, where="test")
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
    with pytest.raises(DataError, match=r"recording r\d+ comes twice, .* or its rows are not together"):
        store_dataset(source, base=tmp_path, folder=tmp_path / "store")
    (tmp_path / "set.parquet").write_bytes(b"")
    with pytest.raises(DataError, match=r"set.parquet: the file is empty"):
        store_dataset(source, base=tmp_path, folder=tmp_path / "store")
    (tmp_path / "set.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match=r"set.parquet: cannot be read as Parquet"):
        store_dataset(source, base=tmp_path, folder=tmp_path / "store")
    assert not list((tmp_path / "store").iterdir())
