"""Runs an emulator as a process of this machine until it ends."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from edge_seq.support.errors import ToolError

_WORDS_SHOWN = 2000


Process = subprocess.Popen[bytes]


def run_emulator(
    command: Sequence[str],
    folder: Path,
    *,
    where: str,
    install: str,
    timeout_s: float,
    place: Callable[[Process], str] = lambda _: "",
) -> subprocess.CompletedProcess[bytes]:
    """Run an emulator until it ends, whatever its exit code.

    Args:
        command: program and arguments.
        folder: working folder.
        where: start of error messages.
        install: command that installs the program, for error messages.
        timeout_s: time limit, seconds.
        place: called with an emulator that is not done in time; returns the function that runs, or an empty text.

    Raises:
        ToolError: the emulator cannot be started, or is not done in time.
    """
    try:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except OSError as error:
        raise ToolError(f"{where}: {Path(command[0]).name} cannot be started ({error.strerror}); {install}") from error
    with process:
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            running = place(process)
            raise ToolError(
                f"{where}: not done after {timeout_s:g} s{running and f', in {running}'}; give more time or fewer "
                "steps, or look for a fault of the firmware that stops it there"
            ) from error
        finally:
            process.kill()
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def words_of(done: subprocess.CompletedProcess[bytes]) -> str:
    """The end of the emulator's output on stderr, or on stdout if stderr is empty."""
    return (done.stderr or done.stdout).decode("utf-8", "replace").strip()[-_WORDS_SHOWN:]
