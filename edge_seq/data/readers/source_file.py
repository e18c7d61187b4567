"""A file of a data source and what is known of it before it is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SourceFile:
    """A file to read.

    Attributes:
        path: to open.
        name: path below the source's folder without the format's suffix, for example ``walk/03``.
        label: class of the whole file, where its name or the manifest tells it.
        group: where its name or the manifest tells it.
        split: where the source or the manifest tells it.
    """

    path: Path
    name: str
    label: str | None = None
    group: str | None = None
    split: str | None = None
