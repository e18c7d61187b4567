"""edge-seq data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_seq.cli.output import CHECK_FAILED, JsonOption, print_json, print_line, print_tables, progress

if TYPE_CHECKING:
    from edge_seq.pipeline.data_check import DataCheck

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
        result = check_data(
            path,
            plots=plots,
            plot_format=plot_format,  # type: ignore[arg-type]  # checked there
            model_contract=None if run is None else load_run_float(open_run(run)).contract,
            write=write,
            progress=lambda done: update(done, done),
        )
    if as_json:
        print_json(result)
    else:
        _print(result)
    raise typer.Exit(0 if result.usable else CHECK_FAILED)


def _print(result: DataCheck) -> None:
    for text in result.assumptions:
        print_line(f"taken for granted: {text}")
    print_line(result.headline())
    classes, channels, *findings = result.tables()
    print_tables([classes, channels])
    if result.found.still_gravity_g is not None:
        print_line(f"gravity while still: {result.found.still_gravity_g:.3f} g (median of the recordings)")
    for note in result.found.reading:
        print_line(f"while reading: {note}")
    print_tables(findings)
    for file in result.plots or ():
        print_line(f"wrote {file}")
    if result.source_file is not None:
        print_line(f"wrote {result.source_file}; correct it, then: edge-seq data check {result.source_file}")
    errors = sum(one.severity == "error" for one in result.found.findings)
    print_line("usable" if not errors else f"not usable as it is: {errors} errors")
