"""Commands in processes that are forked from one that has loaded the large packages, as loading takes seconds.

The process they are forked from does nothing but load packages of others, so a command finds what it finds in an
interpreter of its own: the project's modules are not loaded, and no thread runs.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from multiprocessing.context import ForkServerContext
from pathlib import Path

LARGE = (
    *("numpy", "pydantic", "typer", "typer.core", "rich.console", "rich.table", "rich.progress", "rich.markdown"),
    *("onnx", "onnxruntime", "safetensors.numpy", "cbor2", "pyarrow", "pyarrow.csv", "pyarrow.parquet", "scipy.signal"),
    *("sklearn.ensemble", "sklearn.model_selection", "matplotlib.figure", "unicorn", "elftools.elf.elffile"),
    *("torch", "torch._dynamo"),  # the second is what an optimiser of torch loads
)


@cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([name for name in LARGE if find_spec(name.split(".")[0])])
    return context


def run(
    arguments: list[str], *, stdin: str, cwd: Path | None, environment: Mapping[str, str], timeout_s: float
) -> tuple[int, str, str]:
    """Run ``edge-seq`` with arguments, and give its exit code, standard output and standard error."""
    with tempfile.TemporaryDirectory() as folder:
        given, out, err = (Path(folder) / name for name in ("in", "out", "err"))
        given.write_text(stdin, encoding="utf-8")
        process = _server().Process(
            target=_command,
            args=(
                arguments,
                str(cwd or Path.cwd()),
                dict(environment),
                list(sys.path),
                [str(given), str(out), str(err)],
            ),
        )
        process.start()
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, timeout_s, out.read_bytes(), err.read_bytes())
        code = process.exitcode
        process.close()
        return code, *(path.read_text(encoding="utf-8") if path.exists() else "" for path in (out, err))


def _command(arguments: list[str], cwd: str, environment: dict[str, str], path: list[str], streams: list[str]) -> None:
    """In the forked process: become the command."""
    for number, name in enumerate(streams):
        opened = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode) for number, mode in enumerate(("r", "w", "w")))
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = path
    sys.argv = ["edge-seq", *arguments]

    from edge_seq.cli import main

    try:
        main()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
