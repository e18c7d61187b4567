"""A heap of texts whose free space has no size: the HDF5 library would walk over it for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("h5py")

from edge_seq.data.readers import read_signals
from edge_seq.data.source import DataSource
from edge_seq.frontends.keras.from_keras import chain_of_keras
from edge_seq.support.errors import DataError, ModelError
from edge_seq.support.hdf5 import check_heaps
from tests.unit.data.data_builders import source_fields
from tests.unit.frontends import keras_case

ENDLESS = "a heap of its texts is damaged, and reading it would not end"


def damaged(content: bytes) -> bytes:
    """The first object of the first heap becomes free space of no size."""
    at = content.index(b"GCOL") + 16
    return content[:at] + bytes(16) + content[at + 16 :]


def test_networks_of_keras(tmp_path: Path) -> None:
    layers = [keras_case.recurrent("GRU", 2, 3), keras_case.dense(2, 2)]
    path = keras_case.write_h5(tmp_path / "x.h5", layers)
    check_heaps(path.read_bytes())
    chain_of_keras(path, time_steps=10)
    path.write_bytes(damaged(path.read_bytes()))
    with pytest.raises(ModelError, match=f"importing x.h5: .*{ENDLESS}"):
        chain_of_keras(path, time_steps=10)


def test_recordings(tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["X"] = [[[0.5, 1.0]] * 10] * 6
        file["y"] = ["walk", "run"] * 3
    check_heaps((tmp_path / "x.h5").read_bytes())
    (tmp_path / "x.h5").write_bytes(damaged((tmp_path / "x.h5").read_bytes()))
    fields = source_fields(path="x.h5", label_column="y", column_names=["ax", "ay"])
    with pytest.raises(DataError, match=f"x.h5: cannot be read as HDF5: {ENDLESS}"):
        list(read_signals(DataSource.model_validate(fields), base=tmp_path))


def test_a_heap_that_is_cut() -> None:
    check_heaps(b"")
    check_heaps(b"GCOL\x01")
    check_heaps(b"GCOL" + b"\xff" * 60)
