"""Labels from folders: one for each label, optionally with one for each group: ``walk/01.csv``, ``walk/ann/01.csv``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edge_seq.data.readers.source_file import SourceFile
from edge_seq.support.errors import DataError


def label_by_folder(file: SourceFile, *, besides: Sequence[str] = ()) -> SourceFile:
    """Take label and group of a file from the folders it lies in, besides those of the split.

    Raises:
        DataError: the file lies in no folder below the source's path.
    """
    folders = [one for one in file.name.split("/")[:-1] if one not in besides]
    if not folders:
        raise DataError(
            f'file {file.name}: lies in no folder below path, but label_from = "folder" takes the class from its '
            "folder; move it into a folder with the name of its class"
        )
    return replace(file, label=folders[0], group=folders[1] if len(folders) > 1 else file.group)
