"""Files of named arrays: windows [N, T, C] with arrays [N] of labels, one recording [T, C], or a vector per column.

Each window is a recording of its own, evenly sampled at the contract's rate (or ``recorded_rate_hz``). Its group is the
value of an array (``group_column``). Without such an array the whole file is one group, because windows of one
recording may overlap and the file does not say which belong together. The last axis holds the columns, named by
``column_names`` or in the order of the channels; ``axes_order`` says if the axes are in another order. ``{split}`` in
the names of arrays (``X_{split}``, ``y_{split}``) stands for train, validation and test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.readers.foreign import check_unpacked
from edge_seq.data.readers.table import ReadOptions, Table, TextColumn, check_header
from edge_seq.support.errors import ContractError, DataError

SPLIT = "{split}"
MOST_COLUMNS = 12  # of a matrix whose columns are signals
SIDE_NAMES = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation",
    "dev": "validation", "test": "test", "testing": "test",
}  # fmt: skip


@dataclass(frozen=True)
class Arrays:
    """Arrays of one file.

    Attributes:
        where: name of the file.
        size: size of the file in bytes.
        shapes: shape of each array.
        load: reads one array.
    """

    where: str
    size: int
    shapes: Mapping[str, tuple[int, ...]]
    load: Callable[[str], NDArray[Any]]

    def get(self, name: str) -> NDArray[Any]:
        """Read an array, once its size is known to be that of recordings.

        Raises:
            DataError: the array is far larger than the file.
        """
        check_unpacked(self.where, self.size, 8 * int(np.prod([int(n) for n in self.shapes[name]], dtype=object)))
        return self.load(name)


def table_of_arrays(arrays: Arrays, options: ReadOptions) -> Table:
    """Read the requested columns of a file of arrays.

    Raises:
        DataError, ContractError: an array is missing, or has another shape or type than expected.
    """
    arrays = with_patterns(arrays, (*options.numeric, *options.dates, *options.text))
    sides = sides_of(arrays.shapes, options.windows_array) if SPLIT in options.windows_array else {"": ""}
    if {*options.numeric, *options.dates} <= set(vectors_of(arrays.shapes)):
        return _table_of_vectors(arrays, options)
    wanted = [_named(name, side) for side in sides for name in (options.windows_array, *options.text)]
    missing = [name for name in wanted if name not in arrays.shapes]
    if missing or not sides:
        raise ContractError(
            f"{arrays.where}: arrays {missing or [options.windows_array]} are missing; the file has "
            f"{list(arrays.shapes)}. Name the windows with windows_array, and the others with label_column, "
            "group_column or split_column"
        )
    tables = [_table_of_side(arrays, side, options) for side in sides]
    if list(sides) == [""]:
        return tables[0]
    counts = [one.num_rows for one in tables]
    return Table(
        where=arrays.where,
        numeric={name: np.concatenate([one.numeric[name] for one in tables]) for name in options.numeric},
        text={name: _joined([one.text[name] for one in tables]) for name in options.text},
        num_rows=sum(counts),
        recordings=_joined(
            [
                TextColumn(tuple(f"#{side}{value}" for value in one.recordings.values), one.recordings.codes)
                for side, one in zip(sides, tables, strict=True)
                if one.recordings is not None
            ]
        ),
        one_group=True,
        splits=TextColumn(tuple(sides.values()), np.repeat(np.arange(len(counts), dtype=np.int64), counts)),
    )


def with_patterns(arrays: Arrays, columns: Sequence[str]) -> Arrays:
    """Let a column with ``*``, such as ``X*_DE_time``, stand for the one array of the file whose name fits.

    Raises:
        ContractError: no array fits, or several do.
    """
    files_names: dict[str, str] = {}  # by the name that stands for it
    for column in columns:
        if "*" not in column or column in vectors_of(arrays.shapes):
            continue
        fitting = [name for name in vectors_of(arrays.shapes) if fnmatchcase(name, column)]
        if len(fitting) != 1:
            raise ContractError(
                f"{arrays.where}: column {column!r} fits {fitting or 'no array'}; expected one. The file has "
                f"{list(arrays.shapes)}; write more of the name, or leave the file out with exclude"
            )
        name, index = vectors_of(arrays.shapes)[fitting[0]]
        files_names[column if index is None else column.rpartition(".")[0]] = name
    if not files_names:
        return arrays
    shapes = {alias: arrays.shapes[name] for alias, name in files_names.items()}
    kept = {name: shape for name, shape in arrays.shapes.items() if name not in files_names.values()}
    return replace(arrays, shapes=kept | shapes, load=lambda name: arrays.load(files_names.get(name, name)))


def vectors_of(shapes: Mapping[str, Sequence[int]]) -> dict[str, tuple[str, int | None]]:
    """Columns that arrays give: a vector is one, and a matrix [T, C] of few columns one for each, ``acc.x``, ``m.1``.

    >>> vectors_of({"t": [100, 1], "acc": [100, 3]})
    {'t': ('t', None), 'acc.x': ('acc', 0), 'acc.y': ('acc', 1), 'acc.z': ('acc', 2)}
    """
    found: dict[str, tuple[str, int | None]] = {}
    for name, shape in shapes.items():
        if len(shape) == 1 or (len(shape) == 2 and 1 in shape):
            found[name] = (name, None)
        elif len(shape) == 2 and shape[1] <= MOST_COLUMNS and shape[0] > shape[1]:
            ends = "xyz" if shape[1] == 3 else [str(n + 1) for n in range(shape[1])]
            found.update({f"{name}.{end}": (name, n) for n, end in enumerate(ends)})
    return found


def vector(arrays: Arrays, column: str) -> NDArray[Any]:
    """Read a column of :func:`vectors_of`, [T]."""
    name, index = vectors_of(arrays.shapes)[column]
    array = arrays.get(name)
    return array.reshape(-1) if index is None else array[:, index]


def sides_of(names: Sequence[str] | Mapping[str, Any], pattern: str) -> dict[str, str]:
    """Find the text that stands for ``{split}`` in the names of arrays, and the side it means."""
    found = {side: meant for side, meant in SIDE_NAMES.items() if pattern.replace(SPLIT, side) in names}
    return {side: meant for side, meant in found.items() if list(found.values()).count(meant) == 1}


def _named(name: str, side: str) -> str:
    return name.replace(SPLIT, side) if side else name


def _joined(columns: Sequence[TextColumn]) -> TextColumn:
    values = tuple(dict.fromkeys(value for one in columns for value in one.values))
    index = {value: code for code, value in enumerate(values)}
    return TextColumn(
        values, np.concatenate([np.array([index[v] for v in one.values], dtype=np.int64)[one.codes] for one in columns])
    )


def _table_of_side(arrays: Arrays, side: str, options: ReadOptions) -> Table:
    where, name = arrays.where, _named(options.windows_array, side)
    names = options.column_names or options.numeric
    windows = _windows(arrays.get(name), options, len(names), f"{where}: {name}")
    is_recording = windows.ndim == 2
    count, length, width = (1, *windows.shape) if is_recording else windows.shape
    if len(names) != width:
        hint = _channels_first_hint(windows.shape, len(names))
        raise ContractError(
            f"{where}: {name} has {width} columns, {len(names)} are named ({list(names)}); name all of them with "
            f"column_names, in the order of the last axis{hint}"
        )
    check_header((*names, *options.text), options, where=where)
    texts = {}
    for one in options.text:
        values = arrays.get(_named(one, side))
        of_samples = is_recording and values.size == length
        expected = length if of_samples else count
        texts[one] = texts_of(values, expected, 1 if of_samples else length, one, where)
    return Table(
        where=where,
        numeric={one: windows.reshape(-1, width)[:, names.index(one)] for one in options.numeric},
        text=texts,
        num_rows=count * length,
        recordings=None
        if is_recording
        else TextColumn(
            tuple(f"#{index}" for index in range(count)), np.repeat(np.arange(count, dtype=np.int64), length)
        ),
        one_group=not is_recording,
    )


def _channels_first_hint(shape: Sequence[int], named: int) -> str:
    if len(shape) == 3 and shape[1] == named:
        return f'. The shape {list(shape)} looks like [windows, channels, samples]: set axes_order = "NCT"'
    return ""


def _windows(array: NDArray[Any], options: ReadOptions, num_names: int, what: str) -> NDArray[np.float64]:
    """Windows float64 [N, T, C], or one recording float64 [T, C]."""
    if array.ndim == 2 and num_names == 1 and min(array.shape) > 1:
        array = array[:, :, np.newaxis]
    if array.ndim == 4 and 1 in array.shape[1:]:  # [N, T, C, 1] or [N, 1, T, C], as images have it
        array = np.squeeze(array, axis=1 + array.shape[1:].index(1))
    if array.ndim not in (2, 3) or 0 in array.shape or array.dtype.kind not in "iuf":
        raise DataError(
            f"{what} is {array.dtype} {list(array.shape)}; expected numbers [windows, samples, channels]. Name another "
            "array with windows_array"
        )
    if array.ndim == 3:
        array = array.transpose([options.axes_order.index(axis) for axis in "NTC"])
    elif options.axes_order.index("C") < options.axes_order.index("T"):
        array = array.T
    return array.astype(np.float64)


def texts_of(array: NDArray[Any], count: int, length: int, name: str, where: str) -> TextColumn:
    """Make a column of text from an array of whole numbers or texts, one for each window, or one-hot rows.

    Raises:
        DataError: the array has another length or type.
    """
    if _is_one_hot(array, count):
        array = array.argmax(axis=1)
    array = array.reshape(-1) if array.size == count else array
    if array.dtype.kind == "f" and (array == np.rint(array)).all():
        array = array.astype(np.int64)
    if array.dtype.kind == "O" and all(isinstance(one, str) or getattr(one, "size", 0) == 1 for one in array.flat):
        array = np.array([one if isinstance(one, str) else str(np.asarray(one).reshape(-1)[0]) for one in array.flat])
    if array.shape != (count,) or array.dtype.kind not in "iubUS":
        raise DataError(
            f"{where}: {name} is {array.dtype} {list(array.shape)}; expected one whole number or text for each of "
            f"{count} windows"
        )
    texts = [one.decode() if isinstance(one, bytes) else str(one).strip() for one in array.tolist()]
    values = tuple(dict.fromkeys(texts))
    index = {value: code for code, value in enumerate(values)}
    return TextColumn(values, np.repeat(np.array([index[one] for one in texts], dtype=np.int64), length))


def _is_one_hot(array: NDArray[Any], count: int) -> bool:
    if array.ndim != 2 or array.shape[0] != count or array.shape[1] < 2 or array.dtype.kind not in "iufb":
        return False
    return bool(np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all())


def _table_of_vectors(arrays: Arrays, options: ReadOptions) -> Table:
    numbers = {name: vector(arrays, name) for name in (*options.numeric, *options.dates)}
    lengths = {name: len(one) for name, one in numbers.items()}
    if len(set(lengths.values())) != 1 or any(one.dtype.kind not in "iufb" for one in numbers.values()):
        raise DataError(
            f"{arrays.where}: the arrays have the lengths {lengths}; expected numbers, one for each sample. Name other "
            "columns"
        )
    count = next(iter(lengths.values()))
    if count == 0:
        raise DataError(f"{arrays.where}: the arrays hold no sample; record some data")
    return Table(
        where=arrays.where,
        numeric={name: one.astype(np.float64) for name, one in numbers.items()},
        text={name: texts_of(vector(arrays, name), count, 1, name, arrays.where) for name in options.text},
        num_rows=count,
    )
