"""Errors and warnings on stderr, in the same form for commands and for the worker processes that they start."""

from __future__ import annotations

import sys

from edge_seq.support.errors import EdgeSeqError


def print_stderr_error(error: EdgeSeqError) -> None:
    """Print an error to stderr."""
    sys.stderr.write(f"edge-seq: error: {error}\n")


def print_stderr_warning(text: str) -> None:
    """Print a warning to stderr. The command continues."""
    sys.stderr.write(f"edge-seq: warning: {text}\n")
