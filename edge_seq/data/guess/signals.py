"""Fields of a data source for a file per channel with windows in rows, as UCI HAR has its signals."""

from __future__ import annotations

import numpy as np

from edge_seq.data.guess.channels import choose_channels
from edge_seq.data.guess.draft import Draft
from edge_seq.data.guess.files import CHANNEL_WINDOWS
from edge_seq.data.guess.look import KEPT_ROWS, Look
from edge_seq.data.guess.rate import UNKNOWN_RATE_HZ
from edge_seq.data.readers.foreign import reading
from edge_seq.data.readers.formats.arrays import SIDE_NAMES
from edge_seq.data.readers.formats.channel_windows_file import beside_or_above, class_names, columns_beside
from edge_seq.data.readers.table import ReadOptions
from edge_seq.support.errors import DataError


def fields_of_signals(draft: Draft) -> None:
    """Find the fields of a data source of files of one channel each.

    Raises:
        DataError: there are no labels, or the files cannot be read.
    """
    found, fields = draft.found, draft.fields
    sides = {SIDE_NAMES.get(path.stem.rpartition("_")[2], ""): path for path in found.files}
    first = found.files[0]
    if beside_or_above(first, "y") is None:
        raise DataError(
            f"{first.name}: there is no file y_... of labels beside it or above; expected one as in UCI HAR"
        )
    columns = tuple(columns_beside(first))
    looks = []
    length = 1
    for path in found.files:
        with reading(path, "text"):
            table = found.reader.read(path, ReadOptions(columns, ("y",)))
        length = int((table.recordings.codes == 0).sum()) if table.recordings is not None else 1
        numbers = {name: table.numeric[name][:KEPT_ROWS] for name in columns}
        largest = {name: float(np.nanmax(np.abs(table.numeric[name]))) for name in columns}
        rows = table.num_rows
        looks.append(Look(path, path.stem, "", columns, numbers, {}, {}, largest, {}, rows))
    fields.update(format=CHANNEL_WINDOWS, label_column="y", sample_rate_hz=UNKNOWN_RATE_HZ)
    draft.take("y", "label", "", "the file of its name")
    draft.said.append("a file for each channel with a window in each row; classes are those of the files y_...")
    if beside_or_above(first, "subject") is not None:
        fields["group_column"] = "subject"
        draft.take("subject", "group", "", "the file of its name")
    names = class_names(first)
    if names:
        fields["label_names"] = names
        draft.said.append(f"names of classes are those of activity_labels.txt: {', '.join(list(names.values())[:6])}")
    if {"train", "test"} <= sides.keys():
        fields["split_files"] = {
            side: path.relative_to(found.root).as_posix() for side, path in sorted(sides.items()) if side
        }
        draft.said.append("the split is as the files are named")
    else:
        fields["files"] = first.name
    draft.use(choose_channels(looks, list(columns)))
    draft.header = f"{first.name}: windows of {length} samples in rows, {len(columns)} channels in files"
    draft.rate = "no times in the files"
    draft.said.append(f"there are no times; {UNKNOWN_RATE_HZ:g} Hz is only a guess, correct sample_rate_hz")
    fields["window_length"] = fields["window_stride"] = length
