"""Results kept on disk for the next call, in the user's own cache folder, by a hash of everything they depend on.

A cache is an advantage, never a condition: without a folder that only this user can write to, nothing is kept.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from platformdirs import user_cache_path

from edge_seq.support.files import write_atomically


def cache_key(parts: Iterable[str | bytes]) -> str:
    """Hash of everything a result depends on, 64 hexadecimal digits.

    >>> cache_key(["a", "bc"]) == cache_key(["ab", "c"])
    False
    """
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()


def hash_of_files(paths: Iterable[Path]) -> str:
    """Hash of the contents of files, for results of these sources; 64 hexadecimal digits."""
    return cache_key(path.read_bytes() for path in sorted(paths))


def find_kept(kind: str, key: str) -> Path | None:
    """Find a kept file, and note that it was used.

    Args:
        kind: name of the kind of results, a folder in the cache.
        key: result of :func:`cache_key`.

    Returns:
        Path of the file; None if there is none, or if other users could have written it.
    """
    path = _folder(kind) / key
    with suppress(OSError):
        if _is_own(path.parent) and _is_own(path):
            now = time.time_ns()  # the system's own time of a file may be some milliseconds old
            os.utime(path, ns=(now, now))
            return path
    return None


def keep(kind: str, key: str, content: bytes, *, most: int) -> Path | None:
    """Keep a result. The least recently used results of its kind are removed.

    Args:
        kind, key: see :func:`find_kept`.
        content: content of the file.
        most: number of results of this kind that are kept.

    Returns:
        Path of the file; None if it cannot be kept (a full disk, no home, a folder of others).
    """
    folder = _folder(kind)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_own(folder):
            return None
        write_atomically(folder / key, content)
        (folder / key).chmod(0o700)
        for path in _by_use(folder)[most:]:
            path.unlink(missing_ok=True)
    except OSError:
        return None
    return folder / key


def _folder(kind: str) -> Path:
    return user_cache_path("edge_seq", appauthor=False) / kind


def _by_use(folder: Path) -> list[Path]:
    """Kept files, the last used first. Files that are being written have a name with a dot before it."""
    kept = [path for path in folder.iterdir() if not path.name.startswith(".")]
    return sorted(kept, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)


def _is_own(path: Path) -> bool:
    """True if a file or folder belongs to this user and nobody else can write to it."""
    found = path.lstat()
    if not hasattr(os, "getuid"):  # Windows: the folder is in the user's profile
        return True
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
