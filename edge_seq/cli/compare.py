"""edge-seq compare."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_seq.cli.output import (
    CHECK_FAILED,
    JsonOption,
    SetOption,
    print_json,
    print_line,
    print_stderr_warning,
    print_table,
    progress,
)
from edge_seq.ir.kind_names import CELL_NAMES, one_of

if TYPE_CHECKING:
    from edge_seq.compare.result import Comparison


def _print_result(result: Comparison, out: Path) -> None:
    from edge_seq.compare.text import LEGEND, columns, notes, rows_of_size, verdict_lines

    config = result.config
    for size in result.sizes:
        title = f"{result.task}, {size.name}: {config['score']}, {config['seeds']} seeds"
        print_table(title, columns(result), rows_of_size(result, size))
    for line in (LEGEND, *notes(result), *verdict_lines(result)):
        print_line(line)
    plots = ", ".join(result.plots or ()) or "none, as matplotlib is not installed"
    print_line(f"all figures: {out / 'comparison.json'}, {out / 'comparison.md'}; plots: {plots}")
    print_line(f"as a page: edge-seq report {shlex.quote(str(out))}")


def command(
    task: Annotated[
        str,
        typer.Argument(help="Data to compare on: car_states (simulated), recall, latch, or a data source (TOML)."),
    ] = "car_states",
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the comparison. An existing comparison is continued.")
    ] = Path("runs/compare"),
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Compare fewer window lengths with fewer, shorter trainings: under 30 minutes on 2 cores."
        ),
    ] = False,
    cell: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Cell to compare: {one_of(CELL_NAMES)}. May be given several times. Default: rnn, gru, lstm."
        ),
    ] = None,
    hidden_size: Annotated[
        list[int] | None,
        typer.Option(
            help="Hidden size, the same for every cell. May be given several times. Default: 16, if no budget is given."
        ),
    ] = None,
    parameters: Annotated[
        list[int] | None,
        typer.Option(
            help="Budget in parameters. Every cell gets the largest hidden size that fits. May be given several times."
        ),
    ] = None,
    instructions: Annotated[
        list[int] | None,
        typer.Option(
            help="Budget in instructions (or cycles) per time step on the target. Every cell gets the largest hidden "
            "size that fits. May be given several times."
        ),
    ] = None,
    window_length: Annotated[
        list[int] | None,
        typer.Option(
            help="Window length in samples. May be given several times. Default: several lengths, chosen for the task."
        ),
    ] = None,
    first_weights: Annotated[
        list[str] | None,
        typer.Option(
            help="Initial weights: default (those of torch), forget_bias or chrono. May be given several times. "
            "Default: chosen for the task."
        ),
    ] = None,
    readout: Annotated[
        list[str] | None,
        typer.Option(
            help="What of the hidden states is classified: last (the last one), mean or max (the mean or the largest "
            "of all, unit by unit) or mean_max (both). May be given several times. Default: last."
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Number of trainings of each candidate. Default: 5, or 3 with --quick.")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Target on which cost is measured; none measures no cost. Default: cortex_m4."),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            min=0, help="Number of processes on this machine that train; 0 trains nothing and reports what is finished."
        ),
    ] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Address of a Dask scheduler, such as tcp://HOST:8786, whose workers train, on any number of machines."
        ),
    ] = None,
    override: SetOption = None,
    show_config: Annotated[
        bool, typer.Option("--show-config", help="Print the configuration as JSON and stop.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare recurrent cells on your data, at equal hidden sizes or equal budgets, and recommend one.

    The command trains every cell several times, with each kind of initial weights and at each window length. It
    measures the score with its interval, the training time, the cost on a target, and how far back the gradient
    reaches. It never uses the test part.

    The same command continues an interrupted comparison. The exit code is 1 if a training failed.

    Example: edge-seq compare datasets/hapt.toml --quick --workers 2 --out runs/compare_hapt
    """
    from edge_seq.compare.config import load_compare_config

    options = {
        "cells": cell,
        "hidden_sizes": hidden_size,
        "parameters": parameters,
        "instructions": instructions,
        "window_lengths": window_length,
        "first_weights": first_weights,
        "readouts": readout,
        "seeds": seeds,
        "target": "" if target == "none" else target,
    }
    config = load_compare_config(task, quick=quick, options=options, overrides=override or [])
    if show_config:
        print_json(config.model_dump(mode="json"))
        return

    from edge_seq.compare.run import compare_cells
    from edge_seq.trials.where import Where

    where = Where(out, workers, scheduler)
    typed = shlex.join(["edge-seq", *sys.argv[1:]])
    with progress("comparing", 1, quiet=as_json) as update:
        result = compare_cells(config, where, command=typed, progress=update, warn=print_stderr_warning)
    if as_json:
        print_json(result)
    else:
        _print_result(result, out)
    if result.failures:
        raise typer.Exit(CHECK_FAILED)
