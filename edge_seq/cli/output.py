"""Output of the commands: JSON and tables on stdout, progress and errors on stderr."""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_seq.support.display import PLAIN_WIDTH, Table, text_table
from edge_seq.support.display import progress as progress
from edge_seq.support.errors import EdgeSeqError
from edge_seq.support.figure_text import percent as percent
from edge_seq.support.files import json_text
from edge_seq.support.names import visible
from edge_seq.support.stderr import print_stderr_error
from edge_seq.support.stderr import print_stderr_line as print_stderr_line
from edge_seq.support.stderr import print_stderr_warning as print_stderr_warning

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
KeyOption = Annotated[
    Path | None,
    typer.Option(
        help="Public key of whoever signed the exports (edge-seq sign). Default: no signature is checked.",
        show_default=False,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Value of the configuration, as section.key=value. May be given several times."),
]
BaudOption = Annotated[
    int,
    typer.Option(help="Baud rate of the serial port. Must match the firmware. USB serial ports ignore it.", min=300),
]

TimeoutOption = Annotated[
    float | None,
    typer.Option(
        min=0.1,
        help="Seconds that the first window may take in an emulator; firmware that takes longer hangs. Default: 30, or "
        "timeout_s of the target's file.",
        show_default=False,
    ),
]

CHECK_FAILED = 1


def print_json(data: Any, *, one_line: bool = False) -> None:
    """Print one JSON document on stdout. NaN and infinity, which JSON cannot express, become null."""
    sys.stdout.write(json_text(data, indent=None if one_line else 2) + "\n")


def print_json_error(name: str, message: str, *, one_line: bool = False) -> None:
    """Print an error as a JSON document on stdout."""
    print_json({"error": name, "message": message}, one_line=one_line)


def print_error(error: EdgeSeqError, *, as_json: bool, one_line: bool = False) -> None:
    """Print an error on stderr, and with ``as_json`` also as JSON on stdout."""
    if as_json:
        print_json_error(type(error).__name__, str(error), one_line=one_line)
    print_stderr_error(error)


def write_every_character() -> None:
    """Make stdout and stderr take every character: under an ASCII locale they become UTF-8, as Python does by itself
    where it may (PEP 540), and another encoding writes what it lacks as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            is_ascii = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding="utf-8" if is_ascii else None, errors="backslashreplace")


def print_line(text: str) -> None:
    """Print one line or several on stdout. Control characters are written out, as a terminal would obey them."""
    sys.stdout.write(visible(text) + "\n")


def print_warning(warning: str | None) -> None:
    """Print the warning of a result; None prints nothing."""
    if warning is not None:
        print_line(f"WARNING: {warning}")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout. Columns of numbers are aligned right."""
    from rich.console import Console

    # A log or a pipe has no width, so a fixed one is used.
    console = Console(file=sys.stdout)
    width = console.width if console.is_terminal else PLAIN_WIDTH
    print_line(text_table(title, columns, rows, width=width))


def print_tables(tables: Sequence[Table], *, name: str = "") -> None:
    """Print the tables of a result on stdout, with ``name`` before each title."""
    for table in tables:
        print_table(f"{name}, {table.title}" if name else table.title, table.columns, table.rows)
