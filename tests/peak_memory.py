"""The peak of this process's resident memory."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path


def peak_bytes() -> int:
    """Peak since the program began, or since :func:`forget_peak`.

    ``ru_maxrss`` may be that of the process that started it (Linux, at exec).
    """
    status = Path("/proc/self/status")
    if status.is_file():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def forget_peak() -> None:
    """Let the peak begin anew with the memory of now, where Linux can do that."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
