"""Errors, warnings and notes on stderr, in the same form for commands and for the worker processes that they start.

Texts may come from files and devices of others, so control characters are written out, and a message of many pages is
cut: what was being done stands at its beginning, and what to do next at its end.
"""

from __future__ import annotations

import logging
import sys

from edge_seq.support.errors import EdgeSeqError
from edge_seq.support.names import visible

LONGEST = 8000  # characters of a message; compilers' words, the longest of our own, take 3,000


def print_stderr_error(error: EdgeSeqError) -> None:
    """Print an error to stderr."""
    print_stderr_line(f"edge-seq: error: {shortened(str(error))}")


def print_stderr_warning(text: str) -> None:
    """Print a warning to stderr. The command continues."""
    print_stderr_line(f"edge-seq: warning: {shortened(text)}")


def shortened(text: str) -> str:
    """Cut the middle out of a long message.

    >>> shortened("reading x: " + "y" * 20_000 + "; make it again")[3995:-3995]
    'yyyyy ... 12,026 characters left out ... yyyyy'
    """
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    return f"{text[:half]} ... {len(text) - 2 * half:,} characters left out ... {text[-half:]}"


def print_stderr_line(text: str) -> None:
    """Print one line or several to stderr."""
    sys.stderr.write(visible(text) + "\n")


class VisibleFormatter(logging.Formatter):
    """Formatter of log records that writes control characters out."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record, with its traceback if it has one."""
        return visible(super().format(record))
