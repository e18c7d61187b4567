"""Fields of a data source for files that hold windows."""

from __future__ import annotations

import numpy as np

from edge_seq.data.guess.channels import choose_channels
from edge_seq.data.guess.classes import labels_of_files
from edge_seq.data.guess.draft import Draft
from edge_seq.data.guess.files import Found
from edge_seq.data.guess.gather import name_of
from edge_seq.data.guess.look import Look, open_arrays
from edge_seq.data.guess.rate import rate_without_times
from edge_seq.data.guess.windows import WindowsGuess, largest_of, samples_apart, windows_in
from edge_seq.data.readers.foreign import reading


def find_windows(draft: Draft) -> WindowsGuess | None:
    """Find windows in the first file of arrays; None if it holds columns."""
    found = draft.found
    with reading(found.files[0], found.reader.title), open_arrays(found.files[0], found.reader.name) as arrays:
        return windows_in(arrays, found)


def fields_of_windows(draft: Draft, windows: WindowsGuess) -> None:
    """Find the fields of a data source of arrays of windows."""
    found = draft.found
    draft.fields.update(windows.fields)
    draft.said += windows.said
    draft.header = f"{found.files[0].name}: {found.reader.title}, {windows.title}"
    draft.roles = {one.column: one for one in windows.roles}
    _look_at_other_files(found, windows)
    draft.use(choose_channels([windows.look], windows.channels))
    rate_without_times(draft, windows.look)
    draft.fields["window_length"] = windows.length
    draft.fields["window_stride"] = windows.length
    if windows.look.details.get("labels") != "inside":
        labels_of_files(draft, [name_of(path, found) for path in found.files])
    else:
        for label, groups in windows.classes.items():
            draft.classes[label] |= groups
            if "group_column" not in draft.fields and found.reader.name == "npz":
                draft.classes[label] |= {path.name for path in found.files[1:]}


def _look_at_other_files(found: Found, windows: WindowsGuess) -> None:
    """Take the windows of the other files into the largest values."""
    largest = windows.look.largest
    order = windows.fields.get("axes_order", "NTC")
    for path in found.files[1:]:
        with reading(path, found.reader.title), open_arrays(path, found.reader.name) as arrays:
            name = path.stem if found.reader.name == "npy" else str(windows.fields.get("windows_array"))
            if len(arrays.shapes.get(name, ())) != 3:
                continue
            values = largest_of(arrays, name, order)
            if len(values) == len(windows.channels):
                largest.update({c: max(largest[c], value) for c, value in zip(windows.channels, values, strict=True)})


def fields_of_rows(draft: Draft) -> None:
    """A text file with a window in each row."""
    look = draft.looks[0]
    per_sample = samples_apart(look)
    width = len(look.columns)
    names = ["ax", "ay", "az", "gx", "gy", "gz", "mx", "my", "mz"][:per_sample] if per_sample > 1 else ["a"]
    stacked = {
        name: np.concatenate(
            [
                np.stack([one.numbers[c] for c in one.columns], axis=1)[:, n::per_sample].reshape(-1)
                for one in draft.looks
            ]
        )
        for n, name in enumerate(names)
    }
    whole = Look(
        path=look.path, name=look.name, header=look.header, columns=tuple(names), numbers=stacked,
        texts={}, distinct={}, units={},
        largest={name: float(np.nanmax(np.abs(values))) for name, values in stacked.items()},
        rows=len(stacked[names[0]]), preamble=look.preamble,
    )  # fmt: skip
    draft.fields.update(row_is_window=per_sample, column_names=names)
    draft.header = f"{look.path.name}: {look.header}; {width} values in each row"
    draft.said.append(
        f"each row is a window of {width // per_sample} samples of {per_sample} columns ({' '.join(names)} in turn), "
        "since "
        f"a value resembles the one {per_sample} places on most; the names of the axes are not in the file"
    )
    draft.use(choose_channels([whole], names))
    rate_without_times(draft, look)
    draft.fields["window_length"] = draft.fields["window_stride"] = width // per_sample
    labels_of_files(draft, [one.name for one in draft.looks])
