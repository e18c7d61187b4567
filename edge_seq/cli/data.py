"""edge-seq data."""

from __future__ import annotations

import logging
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_seq.cli.output import CHECK_FAILED, JsonOption, print_json, print_line, print_tables, progress
from edge_seq.support.figure_text import counted
from edge_seq.support.names import visible

if TYPE_CHECKING:
    from edge_seq.pipeline.data_check import DataCheck
    from edge_seq.support.display import Table

_ROWS = 12  # of a table, unless --all is given

app = typer.Typer(no_args_is_help=True, help="Look at recordings before training on them.")


@app.command("check")
def check(
    path: Annotated[
        Path,
        typer.Argument(help="A data source (TOML), a file of recordings, or a folder of them.", show_default=False),
    ],
    plots: Annotated[Path | None, typer.Option(help="Folder for pictures of the data.")] = None,
    plot_format: Annotated[str, typer.Option("--plot-format", help="png or svg.")] = "png",
    run: Annotated[Path | None, typer.Option(help="A run: see whether the data fit its model's contract.")] = None,
    write: Annotated[
        Path | None, typer.Option(help="Write the data source that was guessed for a file or folder (TOML).")
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="HTML page to write: examples, balance, a map of windows, doubtful labels.")
    ] = None,
    show_all: Annotated[bool, typer.Option("--all", help="Show every row of all tables.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what is in a data set, and exit 1 on what would spoil a training.

    Groups, labels and balance; rate, jitter, gaps; clipping, dead and swapped axes; units against gravity; copies, also
    between the sides of a split; whether something as silly as the length gives the class away; and whether the sensor
    was mounted differently in few sessions. With --page, one HTML file shows the data. It needs no network.

    Example: edge-seq data check datasets/hapt.toml --page hapt.html
    """
    from edge_seq.pipeline.data_check import check_data
    from edge_seq.report.data_page import check_can_draw, write_data_page
    from edge_seq.workflow.folder import load_run_float, open_run

    if page is not None:
        check_can_draw(page)
    with progress("reading recordings", 0, quiet=as_json) as update, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other libraries; what matters is a finding
        logging.getLogger("edge_seq.data.readers").setLevel(logging.ERROR)  # what they warn of is a finding too
        result = check_data(
            path,
            plots=plots,
            plot_format=plot_format,  # type: ignore[arg-type]  # checked there
            model_contract=None if run is None else load_run_float(open_run(run)).contract,
            write=write,
            closer=page is not None,
            progress=lambda done: update(done, done),
        )
        if page is not None:
            write_data_page(result, page)
    if as_json:
        print_json(result if page is None else {**result.to_dict(), "page": str(page)})
    else:
        _print(result, page, rows=None if show_all else _ROWS)
    raise typer.Exit(0 if result.usable else CHECK_FAILED)


def _print(result: DataCheck, page: Path | None, *, rows: int | None) -> None:
    if result.header:
        print_line(f"read as {visible(result.header)}")
    by_title = {table.title: table for table in result.tables()}
    _print_some(by_title.pop("columns", None), rows)
    if result.rate:
        print_line(f"rate: {result.rate}")
    for text in result.assumptions:
        print_line(f"taken for granted: {visible(text)}")
    print_line(result.headline())
    findings = by_title.pop("findings", None)
    for table in by_title.values():
        _print_some(table, rows)
    if result.found.still_gravity_g is not None:
        print_line(f"gravity while still: {result.found.still_gravity_g:.3f} g (median of the recordings)")
    for note in result.found.reading[:rows]:
        print_line(f"while reading: {note}")
    _print_some(findings, rows)
    for file in result.plots or ():
        print_line(f"wrote {file}")
    if page is not None:
        print_line(f"page: {page}")
    if result.source_file is not None:
        print_line(f"wrote {result.source_file}; correct it, then: edge-seq data check {result.source_file}")
    errors = sum(one.severity == "error" for one in result.found.findings)
    print_line("usable" if not errors else f"not usable as it is: {counted(errors, 'error')}")


def _print_some(table: Table | None, rows: int | None) -> None:
    """Print the first rows of a table, and say how many there are more."""
    if table is None:
        return
    print_tables([replace(table, rows=[[visible(cell) for cell in row] for row in table.rows[:rows]])])
    if rows is not None and len(table.rows) > rows:
        print_line(f"... and {len(table.rows) - rows} more {table.title}; --all shows them")
