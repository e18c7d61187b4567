"""Atomic writing of files (a temporary file is renamed), and a check of relative paths from untrusted files."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import Any

from edge_seq.support.errors import ConfigError
from edge_seq.support.results import to_plain


@contextmanager
def naming(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Let an OSError without a file name, such as that of a full disk, name ``path``.

    Args:
        path: file that is written.
        temporary: file that stands for it meanwhile; the error names ``path`` in its place.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename in (None, temporary, str(temporary)):
            error.filename = str(path)
        raise


@contextmanager
def replace_when_done(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``. It is renamed to ``path`` on success and removed on an error.

    >>> with replace_when_done(Path("report.json")) as temporary:  # doctest: +SKIP
    ...     temporary.write_text("{}")
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with naming(path, temporary):
            yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp gives 0600; a result file is for the user's group and others too
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def json_text(data: Any, *, indent: int | None = 2) -> str:
    """Write JSON that every parser reads, by the rules of :mod:`edge_seq.support.results`.

    >>> json_text({"share": float("nan"), "of": (1, 2)}, indent=None)
    '{"share": null, "of": [1, 2]}'
    """
    return json.dumps(to_plain(data), indent=indent, allow_nan=False)


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write ``content`` (text as UTF-8) to ``path``, whole or not at all."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    with replace_when_done(path) as temporary:
        temporary.write_bytes(data)


def stays_in_folder(name: str) -> bool:
    """True if a relative path from an untrusted file stays inside the folder it is joined to, on any system.

    Only the text of the path is checked, not symbolic links inside the folder.

    >>> stays_in_folder("runtime/src/es_lstm.c"), stays_in_folder("runtime/../../x.c"), stays_in_folder("/etc/passwd")
    (True, False, False)
    """
    path = PureWindowsPath(name)  # understands both kinds of slashes, and drives
    return not (path.drive or path.root or ".." in path.parts)


def check_can_write(path: Path) -> None:
    """See that a folder exists or can be made, before long work whose result goes there.

    Raises:
        ConfigError: naming what is in the way.
    """
    existing = next(part for part in (path, *path.absolute().parents) if part.exists())
    if not existing.is_dir():
        raise ConfigError(f"cannot write to {path}: {existing} is a file; give another path")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(f"cannot write to {path}: no right to write in {existing}; give another path, or its rights")
