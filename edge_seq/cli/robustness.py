"""edge-seq robustness."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_seq.cli.output import JsonOption, print_json, print_line, print_tables, print_warning, progress


def command(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    side: Annotated[str, typer.Option(help="Side of the split to score: train, validation or test.")] = "test",
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            help="Disturbance: mounting_angle, noise, rate or full_scale. May be given several times. Default: all.",
            show_default=False,
        ),
    ] = None,
    plot: Annotated[bool, typer.Option("--plot/--no-plot", help="Draw the curves as PNG. Needs matplotlib.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Score a run's models on a sensor that is rotated, noisier, or has another rate or a smaller full scale.

    The raw counts of the recordings are disturbed and then cut into windows as usual. The results are written to
    reports/robustness.SIDE.json and .png in the run. torch is not needed.

    Example: edge-seq robustness runs/car --sweep mounting_angle --sweep noise
    """
    from edge_seq.workflow.folder import open_run
    from edge_seq.workflow.robustness import run_robustness

    opened = open_run(run)
    with progress("sweeping", 1, quiet=as_json) as update:
        results = run_robustness(opened, side, names=sweep or (), plot=plot, progress=update)
    if as_json:
        print_json(results)
        return
    print_tables(results.tables(), name=run.name)
    for sweep_scores in results.sweeps:
        print_warning(sweep_scores.note())
    print_warning(results.note.warning)
    if plot:
        print_line(f"curves: {opened.reports / f'robustness.{side}.png'}")
