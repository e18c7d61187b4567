"""A file of a data source, before it is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SourceFile:
    """A file to read, and what the data source already says about it.

    Attributes:
        path: path of the file.
        name: path below the source's folder without the format's suffix, for example ``walk/03``.
        label: class of the whole file, if its name or the manifest gives it.
        group: group of the whole file, if its name or the manifest gives it.
        split: side of the split, if the source or the manifest gives it.
    """

    path: Path
    name: str
    label: str | None = None
    group: str | None = None
    split: str | None = None
