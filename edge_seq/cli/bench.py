"""edge-seq bench."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_seq.cli.output import CHECK_FAILED, JsonOption, print_json, print_line, print_table, progress


def command(
    target: Annotated[
        list[str] | None,
        typer.Option(help="Name of an emulated target, or all. May be given several times. Default: all targets."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Reference model: car, har, big, h64, h100, h128 (hidden sizes), or deep (convolutions and two "
            "layers). May be given several times. Default: car, har, big."
        ),
    ] = None,
    cell: Annotated[
        list[str] | None,
        typer.Option(
            help="Recurrent cell: lstm, gru, rnn or fastgrnn. May be given several times. Default: lstm, gru, rnn."
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(help="TOML file with limits and with figures of other engines. Default: nothing is compared."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder in which BENCH.md and bench.json are written, after each row. Rows that are there and were "
            "not asked for stay. Default: no file is written."
        ),
    ] = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Measure every row anew. Default: a row in the folder is kept if the model's C, the runtime, the "
            "compiler and its options are those that it was measured with.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Build the reference models for every target and measure their cost.

    With --reference the results are compared with limits and with other engines. The exit code is 1 if a limit is
    missed on a target that can be run here. `make bench` writes the tables in docs/results. An interrupted call goes on
    where it stopped, if it has --out.

    Example: edge-seq bench --target cortex_m4 --model car --json
    """
    from firmware_export.measuring.bench_files import bench
    from firmware_export.measuring.bench_report import CHECK_COLUMNS, ROW_COLUMNS, bench_table_row, check_row

    with progress("measuring", 1, quiet=as_json) as update:
        found = bench(target or [], model or [], cell or [], reference=reference, out=out, again=again, progress=update)
    if as_json:
        print_json(found.to_dict())
    else:
        print_table("reference models: a window", ROW_COLUMNS, [bench_table_row(row) for row in found.rows])
        if found.kept:
            print_line(
                f"{found.kept} of {len(found.rows)} rows kept: their sources have not changed since they were measured "
                "(--again measures them anew)"
            )
        for reason in found.skipped:
            print_line(f"not measured: {reason}")
        if reference is not None:
            print_table("limits", CHECK_COLUMNS, [check_row(check) for check in found.checks])
            print_line("all limits hold" if found.holds else "A LIMIT IS MISSED")
    if not found.holds:
        raise typer.Exit(CHECK_FAILED)
