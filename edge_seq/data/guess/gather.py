"""Look at all files of a folder."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_seq.data.guess.draft import Draft
from edge_seq.data.guess.files import Found
from edge_seq.data.guess.look import (
    ARRAYS,
    Look,
    look_at_acquisition,
    look_at_parquet,
    look_at_text,
    look_at_vectors,
    open_arrays,
)
from edge_seq.data.readers import READERS
from edge_seq.data.readers.foreign import reading
from edge_seq.support.errors import DataError
from edge_seq.support.figure_text import counted
from edge_seq.support.opening import parse_json, read_bytes, read_text

MOST_EXCLUDED = 50
_NUMBER = re.compile(r"\d+")


def name_of(path: Path, found: Found) -> str:
    """Name of a file below the folder, without its suffix."""
    name = path.relative_to(found.root).as_posix() if found.is_folder else path.name
    for suffix in sorted((*found.reader.suffixes, *found.reader.more_suffixes), key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def look_at_all(draft: Draft) -> None:
    """Look at all files. Files that cannot be read, or have other columns than most, are problems."""
    found = draft.found
    unreadable: list[tuple[Path, DataError]] = []
    for path in found.files:
        try:
            draft.looks.append(_look(path, found))
        except DataError as error:
            unreadable.append((path, error))
    if not draft.looks:
        raise unreadable[0][1]
    depths = {len(look.path.parts) for look in draft.looks}
    notes = [path for path, _ in unreadable if found.reader.name == "csv" and len(path.parts) not in depths]
    if notes:
        draft.found = found = replace(
            found,
            files=tuple(path for path in found.files if path not in notes),
            passed_over=(
                *found.passed_over,
                *(
                    (path.relative_to(found.root).as_posix(), "no table, and not where the recordings are")
                    for path in notes
                ),
            ),
        )
    for path, why in unreadable:
        if path not in notes:
            draft.problems.append(f"{path.name} cannot be read: {why}")
    if found.reader.name in ARRAYS:
        draft.looks = named_alike(draft.looks)
    common = Counter(look.columns for look in draft.looks).most_common(1)[0][0]
    apart = [look for look in draft.looks if not set(common) & set(look.columns) and not _is_headerless(look)]
    if apart and found.is_folder:
        other = f"its columns ({', '.join(apart[0].columns[:4])}) are not those of the recordings"
        passed = tuple((look.path.relative_to(found.root).as_posix(), other) for look in apart)
        draft.found = replace(found, passed_over=(*found.passed_over, *passed))
        draft.looks = [look for look in draft.looks if look not in apart]
    others = [look for look in draft.looks if look.columns != common]
    strange = [look for look in others if not set(common) <= set(look.columns) or _is_headerless(look)]
    if strange:
        names = [look.path.name for look in strange]
        shared = [name for name in common if all(name in look.columns for look in strange)]
        or_less = f", or keep only the channels that all files have ({', '.join(shared[:8])})" if shared else ""
        draft.problems.append(
            f"{len(strange)} of {counted(len(draft.looks), 'file')} ({', '.join(names[:4])}) have other columns "
            f"({', '.join(strange[0].columns[:8])}) than the rest ({', '.join(common[:8])}); leave them out with "
            f"`exclude`{or_less}"
        )
    draft.looks = [look for look in draft.looks if look not in strange]
    first = draft.looks[0]
    draft.header = f"{first.path.name}: {first.header}; columns {', '.join(first.columns[:12])}" + (
        f" and {len(first.columns) - 12} more" if len(first.columns) > 12 else ""
    )


def named_alike(looks: Sequence[Look]) -> list[Look]:
    """Put ``*`` for a number that all columns of a file share, where files name their columns after themselves.

    In the bearing data of CWRU, for example, ``X118_DE_time`` is beside ``X119_DE_time`` of the next file.
    """
    columns = [look.columns for look in looks]
    if len(set(columns)) < 2:
        return list(looks)
    shared = [set.intersection(*(set(_NUMBER.findall(name)) for name in one)) for one in columns]
    renamed = [{name: _without(name, own) for name in one} for one, own in zip(columns, shared, strict=True)]
    patterns = Counter(tuple(one.values()) for one in renamed)
    if patterns.most_common(1)[0][1] <= Counter(columns).most_common(1)[0][1]:
        return list(looks)
    return [_renamed(look, names) for look, names in zip(looks, renamed, strict=True)]


def _without(name: str, numbers: set[str]) -> str:
    """Put ``*`` for some numbers in a name."""
    return _NUMBER.sub(lambda found: "*" if found[0] in numbers else found[0], name)


def _renamed(look: Look, names: Mapping[str, str]) -> Look:
    return replace(
        look,
        columns=tuple(names[one] for one in look.columns),
        numbers={names[one]: values for one, values in look.numbers.items()},
        texts={names[one]: values for one, values in look.texts.items()},
        distinct={names[one]: values for one, values in look.distinct.items()},
        largest={names[one]: value for one, value in look.largest.items()},
    )


def _is_headerless(look: Look) -> bool:
    return look.dialect is not None and not look.dialect.has_header


def _look(path: Path, found: Found) -> Look:
    name, title = name_of(path, found), found.reader.title
    with reading(path, title):
        match found.reader.name:
            case "parquet":
                return look_at_parquet(path, name)
            case "edge_impulse_json" | "edge_impulse_cbor":
                return look_at_acquisition(path, name, found.reader, _document(path, found.reader.name))
            case "npz" | "npy" | "mat" | "hdf5":
                with open_arrays(path, found.reader.name) as arrays:
                    return look_at_vectors(path, name, arrays, title)
            case _:
                return look_at_text(path, name)


def _document(path: Path, kind: str) -> Any:
    if kind == "edge_impulse_json":
        return parse_json(read_text(path, "utf-8-sig"))
    import cbor2

    return cbor2.loads(read_bytes(path))


def say_files(draft: Draft) -> None:
    """Say which files were passed over, which pattern chooses the others, and which rows were lost."""
    found = draft.found
    if found.passed_over:
        names = [f"{name} ({why})" for name, why in found.passed_over[:4]]
        more = len(found.passed_over) - len(names)
        draft.said.append(f"files passed over: {', '.join(names)}" + (f" and {more} more" if more else ""))
    if found.is_folder and not found.sensors and not found.info_labels and "split_files" not in draft.fields:
        main = tuple(end for reader in READERS for end in reader.suffixes)
        ends = tuple(one.lstrip("*") for one in found.patterns) or main
        others = sorted({name.rsplit("/", 1)[-1] for name, _ in found.passed_over if name.lower().endswith(ends)})
        if (others and found.intervals is None) or len(others) > 1:
            draft.fields["exclude"] = others[:MOST_EXCLUDED]
            draft.said.append(f"exclude is {', '.join(others[:4])}")
    if found.is_folder and not found.sensors and not found.info_labels and found.patterns:
        draft.fields["files"] = found.patterns[0] if len(found.patterns) == 1 else list(found.patterns)
        draft.said.append(f"files is {draft.fields['files']!r}")
    lost = [look for look in draft.looks if look.lost]
    if lost:
        worst = max(lost, key=lambda look: look.lost_share)
        draft.said.append(
            f"torn or garbage rows in {counted(len(lost), 'file')} are left out, and each is a gap; {worst.path.name}: "
            f"{worst.lost}"
        )
        if worst.lost_share > 0.01:
            draft.problems.append(
                f"{worst.path.name}: {worst.lost_share:.1%} of the rows are torn or garbage ({worst.lost}); correct "
                "the "
                "file, or set max_lost_share if so many may be lost"
            )
        draft.gaps = True
