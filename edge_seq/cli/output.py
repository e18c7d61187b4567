"""How commands print: JSON for machines on stdout, tables for people on stdout, progress and errors on stderr."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from edge_seq.support.display import PLAIN_WIDTH, Table, text_table
from edge_seq.support.display import progress as progress
from edge_seq.support.errors import EdgeSeqError
from edge_seq.support.figure_text import percent as percent
from edge_seq.support.files import json_text
from edge_seq.support.stderr import print_stderr_error
from edge_seq.support.stderr import print_stderr_warning as print_stderr_warning

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any value of the configuration: section.key=value. May be repeated."),
]
BaudOption = Annotated[
    int, typer.Option(help="Of the board's port, as its firmware sets it; of no matter on USB.", min=300)
]

CHECK_FAILED = 1


def print_json(data: Any, *, one_line: bool = False) -> None:
    """One JSON document on stdout; numbers that JSON has no word for (NaN, infinity) become null."""
    sys.stdout.write(json_text(data, indent=None if one_line else 2) + "\n")


def print_json_error(name: str, message: str, *, one_line: bool = False) -> None:
    """An error as a JSON document on stdout."""
    print_json({"error": name, "message": message}, one_line=one_line)


def print_error(error: EdgeSeqError, *, as_json: bool, one_line: bool = False) -> None:
    """The error on stderr, and as JSON on stdout where JSON was asked for."""
    if as_json:
        print_json_error(type(error).__name__, str(error), one_line=one_line)
    print_stderr_error(error)


def print_line(text: str) -> None:
    """One line for people on stdout."""
    sys.stdout.write(text + "\n")


def print_warning(warning: str | None) -> None:
    """The warning that a result carries, if any, beside its figures."""
    if warning is not None:
        print_line(f"WARNING: {warning}")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout; the first column is text, the others are aligned right where they begin with a digit."""
    from rich.console import Console

    # Without a terminal (a log, a pipe) the width is a guess.
    console = Console(file=sys.stdout)
    width = console.width if console.is_terminal else PLAIN_WIDTH
    print_line(text_table(title, columns, rows, width=width))


def print_tables(tables: Sequence[Table], *, name: str = "") -> None:
    """Tables of a result on stdout; ``name`` stands before the title of each."""
    for table in tables:
        print_table(f"{name}, {table.title}" if name else table.title, table.columns, table.rows)
