"""edge-seq compare."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

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


def _print_result(result: dict[str, Any], out: Path) -> None:
    from edge_seq.compare.text import LEGEND, columns, notes, rows_of_size, verdict_lines

    config = result["config"]
    for size in result["sizes"]:
        title = f"{result['task']}, {size['name']}: {config['score']}, {config['seeds']} seeds"
        print_table(title, columns(result), rows_of_size(result, size))
    for line in (LEGEND, *notes(result), *verdict_lines(result)):
        print_line(line)
    plots = ", ".join(result["plots"]) or "none, as matplotlib is not installed"
    print_line(f"all figures: {out / 'comparison.json'}, {out / 'comparison.md'}; plots: {plots}")
    print_line(f"as a page: edge-seq report {shlex.quote(str(out))}")


def command(
    task: Annotated[
        str, typer.Argument(help="car_states (simulated), recall, latch, or a data source (TOML).")
    ] = "car_states",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the comparison; made, or continued.")] = Path(
        "runs/compare"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="The form that takes under 30 minutes on 2 cores.")] = False,
    cell: Annotated[list[str] | None, typer.Option(help=f"{one_of(CELL_NAMES)} (may be given several times).")] = None,
    hidden_size: Annotated[list[int] | None, typer.Option(help="Units, the same for each cell (again).")] = None,
    parameters: Annotated[
        list[int] | None, typer.Option(help="Budget of parameters; each cell gets the units that fit (again).")
    ] = None,
    instructions: Annotated[
        list[int] | None, typer.Option(help="Budget of instructions of a step on the target (again).")
    ] = None,
    window_length: Annotated[list[int] | None, typer.Option(help="T in samples (again).")] = None,
    first_weights: Annotated[
        list[str] | None, typer.Option(help="default (torch's), forget_bias or chrono (again).")
    ] = None,
    readout: Annotated[
        list[str] | None, typer.Option(help="last (state) or mean (of all states) (again for both); last.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Trainings of each candidate.")] = None,
    target: Annotated[str | None, typer.Option(help="Where cost is measured; none for nowhere.")] = None,
    workers: Annotated[
        int, typer.Option(min=0, help="Processes on this machine that share the trainings; 0 reports what is finished.")
    ] = 1,
    storage: Annotated[
        str | None, typer.Option(help="URL of a database that workers on several machines share.")
    ] = None,
    study_name: Annotated[str, typer.Option(help="Name of the comparison in the database.")] = "edge_seq compare",
    heartbeat_s: Annotated[int, typer.Option(min=1, help="Seconds between two signs of life of a worker.")] = 15,
    grace_s: Annotated[int, typer.Option(min=2, help="Silence after which a trial is taken over.")] = 60,
    override: SetOption = None,
    show_config: Annotated[
        bool, typer.Option("--show-config", help="Print the configuration as JSON and stop.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Vanilla RNN, GRU or LSTM: measured on your data, with equal units or equal budgets, and said in words.

    Trains each cell with torch's first weights and with good ones, at several window lengths, several times; measures
    accuracy with intervals, training time, cost on a target, and how far back the gradient reaches. Never looks at the
    test part. Interrupted, it continues with the same command; the same command started again, here or with --storage
    on another machine, helps. Exit code 1 where a training failed.

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

    from edge_seq.compare.database import Heartbeat
    from edge_seq.compare.run import Where, compare_cells

    where = Where(out, storage, study_name, workers, Heartbeat(heartbeat_s, grace_s))
    words = sys.argv[1:] if storage is None else [word.replace(storage, "URL") for word in sys.argv[1:]]
    typed = shlex.join(["edge-seq", *words])
    with progress("comparing", 1, quiet=as_json) as update:
        result = compare_cells(config, where, command=typed, progress=update, warn=print_stderr_warning)
    if as_json:
        print_json(result)
    else:
        _print_result(result, out)
    if result["failures"]:
        raise typer.Exit(CHECK_FAILED)
