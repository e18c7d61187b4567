"""What processes of this project say on stderr, in one form: commands, and the workers that they start."""

from __future__ import annotations

import sys

from edge_seq.support.errors import EdgeSeqError


def print_stderr_error(error: EdgeSeqError) -> None:
    """An error on stderr."""
    sys.stderr.write(f"edge-seq: error: {error}\n")


def print_stderr_warning(text: str) -> None:
    """A warning on stderr, while results go on."""
    sys.stderr.write(f"edge-seq: warning: {text}\n")
