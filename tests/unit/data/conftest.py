"""Fixture that writes files and reads them as one data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_seq.data.readers import read_dataset
from edge_seq.data.recording import Dataset
from edge_seq.data.source import DataSource
from tests.unit.data.data_builders import source_fields

Read = Callable[..., Dataset]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write files and read them under the default data source with some changes."""

    def read_files(files: dict[str, str | bytes], **changes: Any) -> Dataset:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_dataset(DataSource.model_validate(source_fields(**changes)), base=tmp_path)

    return read_files
