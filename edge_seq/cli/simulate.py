"""edge-seq simulate."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from edge_seq.cli.output import JsonOption, print_json, print_line, print_table, progress


def command(
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="CSV or Parquet file to write. Its data source (.toml) is written beside it."),
    ],
    drives: Annotated[int, typer.Option(help="Number of drives.")] = 48,
    duration_s: Annotated[float, typer.Option(help="Length of each drive in seconds.")] = 300.0,
    sample_rate_hz: Annotated[float, typer.Option(help="Sample rate of the sensor in Hz.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers. The same seed gives the same drives.")] = 0,
    force: Annotated[
        bool, typer.Option("--force", help="Also replace existing files that this command did not write.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Simulate car-state recordings: parked, normal road, bumpy road, skid.

    Example: edge-seq simulate --drives 12 --out drives.csv && edge-seq train --data drives.toml
    """
    from edge_seq.pipeline.simulate import simulate_to_file

    with progress("simulating", drives, quiet=as_json) as update:
        files = simulate_to_file(
            out,
            drives=drives,
            duration_s=duration_s,
            sample_rate_hz=sample_rate_hz,
            seed=seed,
            force=force,
            progress=update,
        )
    if as_json:
        print_json(files)
        return
    rows = [[label, str(count)] for label, count in files.samples.items()]
    print_table(f"{files.recordings} drives at {sample_rate_hz:g} Hz", ["label", "samples"], rows)
    print_line(f"wrote {files.recordings_file} and {files.source_file}")
    print_line(f"next: edge-seq train --data {shlex.quote(str(files.source_file))}")
