"""A folder for each label, and in it, if wanted, a folder for each group: ``walk/01.csv`` or ``walk/ann/01.csv``."""

from __future__ import annotations

from dataclasses import replace

from edge_seq.data.readers.source_file import SourceFile
from edge_seq.support.errors import DataError


def label_by_folder(file: SourceFile) -> SourceFile:
    """Take label and group of a file from the folders it lies in.

    Raises:
        DataError: it lies in none.
    """
    folders = file.name.split("/")[:-1]
    if not folders:
        raise DataError(
            f'file {file.name}: lies in no folder of its own, and label_from = "folder" takes the class from there; '
            "move it into a folder that is named as its class"
        )
    return replace(file, label=folders[0], group=folders[1] if len(folders) > 1 else file.group)
