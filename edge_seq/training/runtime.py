"""Whether training can run here; imports nothing that may be missing."""

from __future__ import annotations

import importlib.util

from edge_seq.errors import ToolError


def require_torch(command: str) -> None:
    """Check that torch is installed.

    Raises:
        ToolError: saying which command needs it and how to install it.
    """
    if importlib.util.find_spec("torch") is None:
        raise ToolError(f"edge-seq {command} needs torch, which is not installed; pip install 'edge-seq[train]'")
