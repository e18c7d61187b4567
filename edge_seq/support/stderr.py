"""Errors, warnings and notes on stderr, in the same form for commands and for the worker processes that they start.

Texts may come from files and devices of others, so control characters are written out.
"""

from __future__ import annotations

import logging
import sys

from edge_seq.support.errors import EdgeSeqError
from edge_seq.support.names import visible


def print_stderr_error(error: EdgeSeqError) -> None:
    """Print an error to stderr."""
    print_stderr_line(f"edge-seq: error: {error}")


def print_stderr_warning(text: str) -> None:
    """Print a warning to stderr. The command continues."""
    print_stderr_line(f"edge-seq: warning: {text}")


def print_stderr_line(text: str) -> None:
    """Print one line or several to stderr."""
    sys.stderr.write(visible(text) + "\n")


class VisibleFormatter(logging.Formatter):
    """Formatter of log records that writes control characters out."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record, with its traceback if it has one."""
        return visible(super().format(record))
