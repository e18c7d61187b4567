"""A folder that one process at a time writes to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_seq.support.errors import ConfigError

LOCK = ".lock"


@contextmanager
def holding(folder: Path, *, what: str) -> Iterator[None]:
    """Hold a folder while its files are written, so that no two processes write to it. The folder is made if missing.

    The lock is a file in the folder, held by the operating system: it is free again when its process ends, however it
    ends. A folder that holds nothing else at the end is removed.

    Args:
        folder: folder that is written to.
        what: name of the folder's content, for the message, such as ``run car``.

    Raises:
        ConfigError: another process writes to the folder, or its lock cannot be held.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ConfigError(
            f"{what}: another process writes to it; wait until that ends, or give another folder"
        ) from error
    except (OSError, NotImplementedError) as error:  # a folder or a link in its place, no rights, no locks here
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"{what}: cannot hold its lock, {folder / LOCK}: {reason}. It is a file that edge-seq makes; remove what "
            "is there in its place, correct the rights of the folder, or give another folder"
        ) from error
    try:
        yield
    finally:
        # What failed early leaves nothing. The lock is removed while it is held; later it may be another process's.
        is_empty = folder.is_dir() and all(part.name == LOCK for part in folder.iterdir())
        if is_empty:
            with suppress(OSError):  # Windows keeps open files, and removes this one on release
                (folder / LOCK).unlink(missing_ok=True)
        lock.release()
        if is_empty:
            with suppress(OSError):
                folder.rmdir()
