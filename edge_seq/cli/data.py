"""edge-seq data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_seq.cli.output import CHECK_FAILED, JsonOption, percent, print_json, print_line, print_table, progress

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
    show_all: Annotated[bool, typer.Option("--all", help="Show every row of all tables.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what is in a data set, and exit 1 on what would spoil a training.

    Groups, labels and balance; rate, jitter, gaps; clipping, dead and swapped axes; units against gravity; copies, also
    between the sides of a split; and whether something as silly as the length gives the class away.

    Example: edge-seq data check datasets/hapt.toml --plots plots
    """
    from edge_seq.pipeline.data_check import check_data
    from edge_seq.workflow.folder import load_run_float, open_run

    with progress("reading recordings", 0, quiet=as_json) as update:
        summary = check_data(
            path,
            plots=plots,
            plot_format=plot_format,  # type: ignore[arg-type]  # checked there
            model_contract=None if run is None else load_run_float(open_run(run)).contract,
            write=write,
            progress=lambda done: update(done, done),
        )
    if as_json:
        print_json(summary)
    else:
        _print(summary, rows=None if show_all else _ROWS)
    raise typer.Exit(0 if summary["usable"] else CHECK_FAILED)


def _print(summary: dict[str, Any], *, rows: int | None) -> None:
    _print_guess(summary, rows=rows)
    rate = summary["rate_hz"]
    rates = "no times" if rate is None else f"{rate['lowest']:.4g} to {rate['highest']:.4g} Hz"
    print_line(
        f"{summary['name']}: {summary['recordings']} recordings of {summary['groups']} groups, {summary['samples']:,} "
        f"samples, {summary['hours']:.2f} h, {rates}, {percent(summary['unlabelled_share'])} unlabelled"
    )
    total = sum(one["windows"] for one in summary["labels"].values())
    classes = [
        [label, str(one["windows"]), percent(one["windows"] / total if total else None), str(one["groups"])]
        for label, one in summary["labels"].items()
    ]
    _print_some("classes", ["class", "windows", "share", "groups"], classes, rows=rows)
    channels = [
        [name, one["unit"], f"{one['lowest']:.4g} to {one['highest']:.4g}", f"{one['full_scale']:g}"]
        for name, one in summary["channels"].items()
    ]
    _print_some("channels", ["channel", "unit", "values", "full scale"], channels, rows=rows)
    if summary["still_gravity_g"] is not None:
        print_line(f"gravity while still: {summary['still_gravity_g']:.3f} g (median of the recordings)")
    for note in summary["reading"][:rows]:
        print_line(f"while reading: {note}")
    findings = [[one["severity"].upper(), one["check"], one["message"]] for one in summary["findings"]]
    if findings:
        _print_some("findings", ["", "check", "what was found, and what to do"], findings, rows=rows)
    for file in summary.get("plots", ()):
        print_line(f"wrote {file}")
    if "source_file" in summary:
        print_line(f"wrote {summary['source_file']}; correct it, then: edge-seq data check {summary['source_file']}")
    errors = sum(one["severity"] == "error" for one in summary["findings"])
    print_line("usable" if not errors else f"not usable as it is: {errors} errors")


def _print_guess(summary: dict[str, Any], *, rows: int | None) -> None:
    """Print how the files were read, what each column was taken for, and what was taken for granted."""
    if summary["header"]:
        print_line(f"read as {summary['header']}")
    columns = sorted(summary["columns"], key=lambda one: one["role"] == "unused")
    if columns:
        table = [[one["column"], one["role"], one["detail"], one["reason"]] for one in columns]
        _print_some("columns", ["column", "taken for", "", "why"], table, rows=rows)
    if summary["rate"]:
        print_line(f"rate: {summary['rate']}")
    for text in summary["assumptions"]:
        print_line(f"taken for granted: {text}")


def _print_some(title: str, names: list[str], table: list[list[str]], *, rows: int | None) -> None:
    print_table(title, names, table[:rows])
    if rows is not None and len(table) > rows:
        print_line(f"... and {len(table) - rows} more {title}; --all shows them")
