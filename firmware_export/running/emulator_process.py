"""Runs an emulator as a process of this machine until it ends."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from edge_seq.support.errors import ToolError

_WORDS_SHOWN = 2000


def run_emulator(
    command: Sequence[str], folder: Path, *, where: str, install: str, timeout_s: float
) -> subprocess.CompletedProcess[bytes]:
    """Run an emulator until it ends, whatever its exit code.

    Args:
        command: program and arguments.
        folder: working folder.
        where: start of error messages.
        install: command that installs the program, for error messages.
        timeout_s: time limit, seconds.

    Raises:
        ToolError: the emulator cannot be started, or is not done in time.
    """
    try:
        return subprocess.run(
            command, cwd=folder, capture_output=True, timeout=timeout_s, check=False, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        raise ToolError(f"{where}: {Path(command[0]).name} cannot be started ({error.strerror}); {install}") from error
    except subprocess.TimeoutExpired as error:
        raise ToolError(
            f"{where}: not done after {timeout_s:g} s; run fewer steps, or a smaller model (a fault of the firmware "
            "may also stop it)"
        ) from error


def words_of(done: subprocess.CompletedProcess[bytes]) -> str:
    """The end of the emulator's output on stderr, or on stdout if stderr is empty."""
    return (done.stderr or done.stdout).decode("utf-8", "replace").strip()[-_WORDS_SHOWN:]
