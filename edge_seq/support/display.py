"""Tables as text for a terminal and as HTML for a notebook, from the same title, columns and rows."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

from edge_seq.support.names import visible

PLAIN_WIDTH = 140  # characters; used without a terminal, and wide enough that rows are not wrapped


def is_number(cell: str) -> bool:
    """True if a cell is aligned like a number: it begins with a digit, is empty or is ``-``.

    >>> is_number("91.6 %"), is_number("-"), is_number("LSTM")
    (True, True, False)
    """
    return cell[:1].isdigit() or cell in ("", "-")


def text_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, width: int = PLAIN_WIDTH) -> str:
    """Render a table as text.

    Args:
        title: title above the table.
        columns: names of the columns.
        rows: cells of each row, one for each column.
        width: largest width in characters.

    >>> print(text_table("sizes", ["part", "bytes"], [["weights", "1,880"]]))
    sizes
    ┏━━━━━━━━━┳━━━━━━━┓
    ┃ part    ┃ bytes ┃
    ┡━━━━━━━━━╇━━━━━━━┩
    │ weights │ 1,880 │
    └─────────┴───────┘
    """
    from io import StringIO

    from rich.console import Console
    from rich.table import Table as RichTable

    table = RichTable()
    for index, column in enumerate(columns):
        cells = [row[index] for row in rows]
        numeric = bool(cells) and all(is_number(cell) for cell in cells)
        table.add_column(visible(column), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(visible, row))
    out = StringIO()
    console = Console(file=out, highlight=False, markup=False, width=width)
    console.print(visible(title))  # apart from the table, whose own title would be wrapped at its width
    console.print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip("\n").splitlines())


def html_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Render a table as HTML without external styles. All text is escaped.

    >>> html_table("a < b", ["n"], [["1"]]).startswith("<table><caption")
    True
    """
    caption = f'<caption style="text-align: left; font-weight: bold">{escape(title)}</caption>'
    head = "".join(f'<th style="text-align: left">{escape(column)}</th>' for column in columns)
    body = "".join(
        "<tr>"
        + "".join(f'<td style="text-align: {"right" if is_number(c) else "left"}">{escape(c)}</td>' for c in row)
        + "</tr>"
        for row in rows
    )
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


@dataclass(frozen=True)
class Table:
    """A table for people.

    Attributes:
        title: Title above the table.
        columns: Names of the columns.
        rows: Cells by row, as many as there are columns.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


class ShownAsTables(ABC):
    """Base of results that show themselves as tables: as text at a prompt and when printed, as HTML in a notebook."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # A dataclass keeps a __repr__ that its class has, and a result of thousands of windows has no use for its own.
        cls.__repr__ = ShownAsTables.__str__  # type: ignore[assignment,method-assign]

    @abstractmethod
    def tables(self) -> Sequence[Table]:
        """Tables of the result, the most important one first."""

    def warned(self) -> str | None:
        """Warning to show below the tables, if there is one."""
        return None

    def closing(self) -> str | None:
        """Last line below the tables, if there is one: the warning, unless a class has something else to say."""
        warning = self.warned()
        return None if warning is None else f"WARNING: {warning}"

    def __str__(self) -> str:
        shown = "\n\n".join(text_table(one.title, one.columns, one.rows) for one in self.tables())
        closing = self.closing()
        return shown if closing is None else f"{shown}\n{closing}"

    def _repr_html_(self) -> str:
        shown = "".join(html_table(one.title, one.columns, one.rows) for one in self.tables())
        closing = self.closing()
        return shown if closing is None else f"{shown}<p>{escape(closing)}</p>"


@contextmanager
def progress(description: str, total: int, *, quiet: bool) -> Iterator[Callable[..., None]]:
    """Show a progress bar on stderr. Without a terminal, and in a notebook, only its last state is printed.

    Args:
        description: Text before the bar.
        total: Number of steps.
        quiet: Show nothing.

    Yields:
        ``update(completed, total=None, note="")``.
    """
    if quiet:
        yield lambda *_args, **_kwargs: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    console = Console(stderr=True, force_jupyter=False, force_terminal=sys.stderr.isatty())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(description, total=total, note="")

        def update(completed: int, total: int | None = None, note: str = "") -> None:
            bar.update(task, completed=completed, total=total, note=visible(note))

        yield update
