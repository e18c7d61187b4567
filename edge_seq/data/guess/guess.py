"""Put a data source together from what the files hold, and say why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_seq.data.guess.clues.columns import (
    ColumnRole,
)
from edge_seq.data.guess.draft import Draft
from edge_seq.data.guess.files import CHANNEL_WINDOWS, below_single_folders, find_files
from edge_seq.data.guess.fit import windows_and_groups
from edge_seq.data.guess.gather import look_at_all, say_files
from edge_seq.data.guess.signals import fields_of_signals
from edge_seq.data.guess.tables import fields_of_tables
from edge_seq.data.guess.windowed import fields_of_rows, fields_of_windows, find_windows
from edge_seq.data.guess.windows import is_window_per_row, refuse_class_beside_windows
from edge_seq.data.source import DataSource, parse_source


@dataclass(frozen=True)
class Guess:
    """A guessed data source, and the assumptions behind it.

    Attributes:
        source: the data source.
        fields: its table, ready for TOML; ``path`` is relative to ``base``.
        base: folder to which ``path`` is relative.
        assumptions: what was taken for granted, one sentence each.
        problems: what could not be read and would make the data source wrong.
        header: how the files are written, one line.
        columns: what each column was taken for, and why.
        rate: rate and jitter, one line.
    """

    source: DataSource
    fields: dict[str, Any]
    base: Path
    assumptions: tuple[str, ...]
    problems: tuple[str, ...] = ()
    header: str = ""
    columns: tuple[ColumnRole, ...] = ()
    rate: str = ""


def guess_source(path: Path) -> Guess:
    """Guess the data source of a file or a folder of recordings.

    Raises:
        DataError: there is no file of a known format, files have several formats, there is no column of numbers, or a
            column of classes holds thousands of values.
        ConfigError, ContractError: the guess is not a valid data source.
        ToolError: a package that reads the format is not installed.
    """
    given, path = path, below_single_folders(path)
    found = find_files(path)
    draft = Draft(found, {"name": re.sub(r"\W+", "_", given.name.split(".")[0]) or "data", "path": path.name or "."})
    if given.name in ("", ".", ".."):
        draft.fields["name"] = re.sub(r"\W+", "_", given.resolve().name) or "data"
    base = path.parent if path.name not in ("", "..") else path
    if found.reader.name == CHANNEL_WINDOWS:
        fields_of_signals(draft)
    elif found.reader.name in ("npz", "npy", "mat", "hdf5") and (windows := find_windows(draft)) is not None:
        fields_of_windows(draft, windows)
    else:
        look_at_all(draft)
        refuse_class_beside_windows(draft.looks[0])
        rows_are_windows = found.reader.name == "csv" and is_window_per_row(draft.looks[0])
        if rows_are_windows:
            fields_of_rows(draft)
        else:
            fields_of_tables(draft)
    say_files(draft)
    windows_and_groups(draft)
    source = parse_source(draft.fields, where=f"guess for {path.name}")
    return Guess(
        source,
        draft.fields,
        base,
        tuple(draft.said),
        tuple(draft.problems),
        draft.header,
        tuple(draft.roles.values()),
        draft.rate,
    )
