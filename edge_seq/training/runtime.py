"""Checks that torch is installed. Nothing here imports an optional package."""

from __future__ import annotations

import importlib.util

from edge_seq.support.errors import ToolError


def has_torch() -> bool:
    """True if torch is installed. It is not imported."""
    return importlib.util.find_spec("torch") is not None


def require_torch(command: str) -> None:
    """Check that torch is installed.

    Raises:
        ToolError: torch is not installed; the message names the command and how to install torch.
    """
    if not has_torch():
        raise ToolError(f"edge-seq {command} needs torch, which is not installed; pip install 'edge-seq[train]'")
