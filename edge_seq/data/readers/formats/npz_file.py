"""Windows in an NPZ file: samples [N, T, C] (``windows_array``), and arrays [N] of labels, groups, splits.

Each window is a recording of its own, evenly sampled at the contract's rate (or ``recorded_rate_hz``). Its group is the
value of an array (``group_column``). Without such an array the whole file is one group, because windows of one
recording may overlap and the file does not say which belong together. The last axis holds the columns, named by
``column_names`` or in the order of the channels. Files with Python objects (pickle) are refused, because reading them
would run their code.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.readers.table import Reader, ReadOptions, Table, TextColumn, check_header
from edge_seq.support.errors import ContractError, DataError


def read_npz(path: Path, options: ReadOptions) -> Table:
    """Read the requested columns; see :class:`Reader`."""
    where = path.name
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = _arrays(file, (options.windows_array, *options.text), where)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, MemoryError) as error:
        if "allow_pickle" in str(error) or "Object arrays" in str(error):
            raise DataError(
                f"{where}: holds Python objects (pickle), which run code when they are read; save arrays of numbers "
                "and texts (dtype str, not object)"
            ) from error
        raise DataError(f"{where}: cannot be read as NPZ: {error}") from error
    windows = _windows(arrays[options.windows_array], options, where)
    count, length, _ = windows.shape
    names = options.column_names or options.numeric
    if len(names) != windows.shape[2]:
        raise ContractError(
            f"{where}: {options.windows_array} has {windows.shape[2]} columns, {len(names)} are named ({list(names)}); "
            "name all of them with column_names, in the order of the last axis"
        )
    check_header((*names, *options.text), options, where=where)
    return Table(
        where=where,
        numeric={name: windows[:, :, names.index(name)].reshape(-1) for name in options.numeric},
        text={name: _texts(arrays[name], count, length, name, where) for name in options.text},
        num_rows=count * length,
        recordings=TextColumn(
            tuple(f"#{index}" for index in range(count)), np.repeat(np.arange(count, dtype=np.int64), length)
        ),
        one_group=True,
    )


def _arrays(file: Any, wanted: tuple[str, ...], where: str) -> dict[str, NDArray[Any]]:
    missing = [name for name in wanted if name not in file.files]
    if missing:
        raise ContractError(
            f"{where}: arrays {missing} are missing; the file has {list(file.files)}. Name the windows with "
            "windows_array, and the others with label_column, group_column or split_column"
        )
    return {name: file[name] for name in wanted}


def _windows(array: NDArray[Any], options: ReadOptions, where: str) -> NDArray[np.float64]:
    if array.ndim == 2 and len(options.column_names or options.numeric) == 1:
        array = array[:, :, np.newaxis]
    if array.ndim != 3 or 0 in array.shape or array.dtype.kind not in "iuf":
        raise DataError(
            f"{where}: {options.windows_array} is {array.dtype} {list(array.shape)}; expected numbers [windows, "
            "samples, channels]. Name another array with windows_array"
        )
    return array.astype(np.float64)


def _texts(array: NDArray[Any], count: int, length: int, name: str, where: str) -> TextColumn:
    if array.shape != (count,) or array.dtype.kind not in "iubUS":
        raise DataError(
            f"{where}: {name} is {array.dtype} {list(array.shape)}; expected one whole number or text for each of "
            f"{count} windows"
        )
    texts = [one.decode() if isinstance(one, bytes) else str(one) for one in array.tolist()]
    values = tuple(dict.fromkeys(texts))
    index = {value: code for code, value in enumerate(values)}
    return TextColumn(values, np.repeat(np.array([index[one] for one in texts], dtype=np.int64), length))


READER = Reader(name="npz", suffixes=(".npz",), read=read_npz, has_time=True, has_recordings=True)
