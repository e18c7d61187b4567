"""Makes the repository root importable (pytest puts the parent of this package on the path), for :mod:`tests.zoo`."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Let tests interrupt what they start, in the background too, where a shell turns these signals off."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
