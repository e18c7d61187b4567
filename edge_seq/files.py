"""Writing files so that a reader never sees half of one: beside, then renamed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replace_when_done(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; renamed to ``path`` on success, removed on an error.

    >>> with replace_when_done(Path("report.json")) as temporary:  # doctest: +SKIP
    ...     temporary.write_text("{}")
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp gives 0600; a result file is for the user's group and others too
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write ``content`` (text as UTF-8) to ``path``, whole or not at all."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    with replace_when_done(path) as temporary:
        temporary.write_bytes(data)
