"""edge-seq data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_seq.cli.output import CHECK_FAILED, JsonOption, percent, print_json, print_line, print_table, progress

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
        _print(summary)
    raise typer.Exit(0 if summary["usable"] else CHECK_FAILED)


def _print(summary: dict[str, Any]) -> None:
    for text in summary["assumptions"]:
        print_line(f"taken for granted: {text}")
    rate = summary["rate_hz"]
    rates = "no times" if rate is None else f"{rate['lowest']:.4g} to {rate['highest']:.4g} Hz"
    print_line(
        f"{summary['name']}: {summary['recordings']} recordings of {summary['groups']} groups, {summary['samples']:,} "
        f"samples, {summary['hours']:.2f} h, {rates}, {percent(summary['unlabelled_share'])} unlabelled"
    )
    total = sum(one["windows"] for one in summary["labels"].values())
    rows = [
        [label, str(one["windows"]), percent(one["windows"] / total if total else None), str(one["groups"])]
        for label, one in summary["labels"].items()
    ]
    print_table("classes", ["class", "windows", "share", "groups"], rows)
    rows = [
        [name, one["unit"], f"{one['lowest']:.4g} to {one['highest']:.4g}", f"{one['full_scale']:g}"]
        for name, one in summary["channels"].items()
    ]
    print_table("channels", ["channel", "unit", "values", "full scale"], rows)
    if summary["still_gravity_g"] is not None:
        print_line(f"gravity while still: {summary['still_gravity_g']:.3f} g (median of the recordings)")
    for note in summary["reading"]:
        print_line(f"while reading: {note}")
    rows = [[one["severity"].upper(), one["check"], one["message"]] for one in summary["findings"]]
    if rows:
        print_table("findings", ["", "check", "what was found, and what to do"], rows)
    for key in ("plots",):
        for file in summary.get(key, ()):
            print_line(f"wrote {file}")
    if "source_file" in summary:
        print_line(f"wrote {summary['source_file']}; correct it, then: edge-seq data check {summary['source_file']}")
    errors = sum(one["severity"] == "error" for one in summary["findings"])
    print_line("usable" if not errors else f"not usable as it is: {errors} errors")
