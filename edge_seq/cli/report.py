"""edge-seq report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_seq.cli.output import CHECK_FAILED, JsonOption, print_json, print_line, print_table, print_tables


def command(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="Folder of a run, a comparison or a search, or comparison.json of a comparison."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="HTML file to write. Default: report.html in the folder.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write one HTML page that shows a run, a comparison or a search: for a run a model card with all figures.

    The page needs no network, and writing it needs no torch. A section whose step was not run yet names the command.
    The exit code is 1 if a section is about another model than the run now holds (the page marks it), 2 if a file is
    damaged.

    Example: edge-seq report runs/car --out car.html
    """
    from edge_seq.report.figures import RunFigures, SearchFigures
    from edge_seq.report.words import limits_of, summary_rows
    from edge_seq.workflow.report import to_dict, write_report

    figures, place = write_report(path, out)
    if as_json:
        print_json({**to_dict(figures), "page": str(place)})
    elif isinstance(figures, RunFigures):
        print_table(figures.name, ["what", "found"], summary_rows(figures))
        for limit in limits_of(figures):
            print_line(limit)
        for section, missing in figures.missing.items():
            print_line(f"no {section} yet: {missing}")
        print_line(f"page: {place}")
    elif isinstance(figures, SearchFigures):
        print_tables(figures.table.tables())
        print_line(figures.table.choice.why)
        print_line(f"page: {place}")
    else:
        rows = [[one.scope, one.pick or "none", one.why] for one in figures.table.verdicts]
        print_table(figures.name, ["among", "take", "why"], rows)
        print_line(f"page: {place}")
    if isinstance(figures, RunFigures) and figures.stale:
        raise typer.Exit(CHECK_FAILED)
