"""edge-seq robustness."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_seq.cli.output import JsonOption, print_json, print_line, print_tables, print_warning, progress


def command(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    side: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            help="mounting_angle, noise, rate or full_scale; again for several. If not given: all.", show_default=False
        ),
    ] = None,
    plot: Annotated[bool, typer.Option("--plot/--no-plot", help="Draw the curves as PNG; needs matplotlib.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Score a run's models where the sensor is mounted askew, noisier, of another rate or of a smaller full scale.

    Recordings are disturbed as they come from the converter, then cut into windows as always. Writes
    reports/robustness.SIDE.json and .png into the run. Needs no torch.

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
    print_warning(results.note.warning)
    if plot:
        print_line(f"curves: {opened.reports / f'robustness.{side}.png'}")
