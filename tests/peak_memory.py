"""The peak of this process's resident memory."""

from __future__ import annotations

import resource
from pathlib import Path


def peak_bytes() -> int:
    """Peak since the program began. ``ru_maxrss`` may be that of the process that started it (Linux, at exec)."""
    status = Path("/proc/self/status")
    if status.is_file():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
