"""Runs commands in processes forked from one that has loaded the large packages, under the library of faults.c.

A line on stdin is a JSON list: arguments, current folder, environment variables to set, and paths of the files that
get stdout and stderr. A line on stdout answers: the exit code, or minus the signal.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from importlib.util import find_spec


def become(order: tuple[list[str], str, dict[str, str], str, str]) -> None:
    """Run a command in this process: arguments, folder, environment, and paths for stdout and stderr."""
    arguments, folder, environment, out, err = order
    for number, name in ((0, os.devnull), (1, out), (2, err)):
        opened = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode) for number, mode in enumerate(("r", "w", "w")))
    os.chdir(folder)
    os.environ.update(environment)
    sys.argv = ["edge-seq", *arguments]
    for name, value in json.loads(environment.get("FAULTS_PATCHES", "{}")).items():
        module, _, attribute = name.partition(":")
        setattr(importlib.import_module(module), attribute, tuple(value) if isinstance(value, list) else value)
    from edge_seq.cli import main

    try:
        main()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def serve(packages: list[str]) -> None:
    """Load packages, then fork a process for each line."""
    for name in packages:
        if find_spec(name.split(".")[0]):
            importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                become(json.loads(line))
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
            except Exception:  # noqa: BLE001  as an interpreter ends
                sys.excepthook(*sys.exc_info())
                sys.stderr.flush()
                code = 70
            os._exit(code)
        print(json.dumps(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])), flush=True)  # noqa: T201


if __name__ == "__main__":
    serve(sys.argv[1:])
