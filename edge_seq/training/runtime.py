"""Whether training can run here; imports nothing that may be missing."""

from __future__ import annotations

import importlib.util

from edge_seq.support.errors import ToolError


def has_torch() -> bool:
    """Whether torch is installed; it is not imported."""
    return importlib.util.find_spec("torch") is not None


def require_torch(command: str) -> None:
    """Check that torch is installed.

    Raises:
        ToolError: saying which command needs it and how to install it.
    """
    if not has_torch():
        raise ToolError(f"edge-seq {command} needs torch, which is not installed; pip install 'edge-seq[train]'")
