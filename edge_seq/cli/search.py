"""edge-seq search."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_seq.cli.output import CHECK_FAILED, JsonOption, print_json, print_line, print_stderr_warning, progress
from edge_seq.ir.kind_names import CELL_NAMES, one_of


def command(
    source: Annotated[str, typer.Argument(help="Data source (TOML), or car_states (simulated).")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the search. An existing search is continued.")
    ] = Path("runs/search"),
    budget: Annotated[
        str,
        typer.Option(
            help="Amount of work: a time (10min, 2h) or a number of trainings (200 trials). A larger budget extends a "
            "finished search."
        ),
    ] = "10min",
    max_flash: Annotated[
        str | None,
        typer.Option(help="Largest flash on the target: code, tables and weights, for example 16kB.", metavar="BYTES"),
    ] = None,
    max_weights: Annotated[
        str | None, typer.Option(help="Largest weights in flash, for example 8kB.", metavar="BYTES")
    ] = None,
    max_ram: Annotated[
        str | None, typer.Option(help="Largest RAM of a model's context, for example 1kB.", metavar="BYTES")
    ] = None,
    max_instructions: Annotated[
        int | None,
        typer.Option(help="Largest number of instructions of a window (cycles, where the target counts cycles)."),
    ] = None,
    target: Annotated[str, typer.Option(help="Target on which cost is computed.")] = "cortex_m4",
    cell: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Cell to try: {one_of(CELL_NAMES)}. May be given several times. Default: lstm, gru, fastgrnn."
        ),
    ] = None,
    window_length: Annotated[
        list[int] | None,
        typer.Option(
            help="Window length to try, samples. May be given several times. Default: that of the data source."
        ),
    ] = None,
    folds: Annotated[
        int | None, typer.Option(help="Number of folds. Default: as many as the groups allow, at most 4.")
    ] = None,
    test_fraction: Annotated[
        float | None,
        typer.Option(
            help="Share of the windows for the test part, unless the data source gives one. Default: 0.2.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random choice. Default: 0.")] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of processes on this machine that train. Default: the number of its processors."
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Address of a Dask scheduler, such as tcp://HOST:8786, whose workers train, on any number of machines."
        ),
    ] = None,
    test: Annotated[
        bool,
        typer.Option(
            "--test",
            help="At the end, train the chosen network on the whole training part and score it on the test part. Do "
            "this once, when the search is finished.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Find a network for your recordings: the best score within limits of flash, RAM and instructions.

    The command puts the test part aside. On the rest it tries networks and trainings by cross-validation over groups:
    many with short trainings first, the best with whole ones. It prints the front of score and cost, and which point to
    take and why. Cost is computed from the shape; no compiler is needed.

    The same command continues an interrupted search. The exit code is 1 if a trial gave no result.

    Example: edge-seq search datasets/hapt.toml --max-weights 8kB --budget 10min --out runs/search_hapt
    """
    from edge_seq.tuning.config import make_search_config, parse_budget, parse_bytes

    sizes = {"max_flash": max_flash, "max_weights": max_weights, "max_ram": max_ram}
    limits: dict[str, Any] = {
        name: parse_bytes(text, f"--{name.replace('_', '-')}") for name, text in sizes.items() if text is not None
    }
    config = make_search_config(
        source,
        budget=parse_budget(budget),
        limits={**limits, "max_instructions": max_instructions},
        target=target,
        cells=cell,
        window_lengths=window_length,
        folds=folds,
        test_fraction=test_fraction,
        seed=seed,
    )
    from edge_seq.trials.where import Where, processors
    from edge_seq.tuning.final import score_test_part
    from edge_seq.tuning.run import search

    typed = shlex.join(["edge-seq", *sys.argv[1:]])
    with progress("searching", 100, quiet=as_json) as update:
        where = Where(out, workers or (1 if scheduler else processors()), scheduler)
        result = search(config, where, command=typed, tell=update, warn=print_stderr_warning)
    tested = None
    if test:
        with progress("test part", 1, quiet=as_json) as update:
            tested = score_test_part(result, config, out, tell=update)
    if as_json:
        print_json({"out": str(out), **result.to_dict(), **({} if tested is None else {"test": tested.to_dict()})})
    else:
        print_line(str(result))
        if tested is not None:
            print_line(str(tested))
        folder = shlex.quote(str(out))
        print_line(f"as a page: edge-seq report {folder}")
        print_line(f"next: edge-seq train --from {folder} --seeds 3 --out {folder}_run")
    if result.failures:
        raise typer.Exit(CHECK_FAILED)
