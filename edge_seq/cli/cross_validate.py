"""edge-seq cross-validate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_seq.cli.output import JsonOption, SetOption, print_json, print_line, print_tables, print_warning, progress


def command(
    config: Annotated[
        Path | None, typer.Argument(help="Configuration (TOML). Default: built-in values and simulated car states.")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the runs. An interrupted cross-validation resumes in it.")
    ] = Path("runs/folds"),
    data: Annotated[
        Path | None, typer.Option("--data", help="Data source (TOML). Sets data.source of the configuration.")
    ] = None,
    folds: Annotated[int, typer.Option(help="Number of folds, at least 2. Every group is in one fold.")] = 5,
    repeats: Annotated[
        int, typer.Option(help="Number of cross-validations, each with other folds and another seed.")
    ] = 1,
    against: Annotated[
        Path | None,
        typer.Option(
            help="Second configuration (TOML). It is trained on the same folds, and the differences of the scores are "
            "printed. If it names no data source, that of --data is taken."
        ),
    ] = None,
    forest: Annotated[
        bool,
        typer.Option(
            "--forest", help="Also score a random forest on the same folds, and print the differences of the scores."
        ),
    ] = False,
    minirocket: Annotated[
        bool,
        typer.Option(
            "--minirocket",
            help="Also score MiniRocket with a ridge classifier (package aeon), likewise.",
        ),
    ] = False,
    override: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score a configuration by cross-validation over groups. Every group is tested once in each repeat.

    Intervals are 95 % intervals from resampling groups. A test part that the data source gives is not used. With split
    = "time_blocks" in the data source, or --set data.split=time_blocks, folds are blocks of time: weaker evidence.

    With --against, both configurations must be for the same data. A difference is the first score minus the second.

    Example: edge-seq cross-validate datasets/recipes/hapt.toml --folds 5 --repeats 2 --out runs/hapt_folds

    Example: edge-seq cross-validate my.toml --set training.cell=gru --against my.toml --forest --out runs/gru_or_lstm

    Example: edge-seq cross-validate --data my_source.toml --against study/points/3/config.toml --minirocket
    """
    from edge_seq.pipeline.config import SIMULATOR, load_config, quote
    from edge_seq.workflow.cross_validate import cross_validate

    source = [] if data is None else [f"data.source={quote(str(data))}"]
    first = load_config(config, source + (override or []))
    second = None if against is None else load_config(against)
    if second is not None and second.data.source == SIMULATOR:  # it names none, so both are for --data
        second = load_config(against, source)
    runs = folds * repeats * (1 if second is None else 2)
    with progress("cross-validating", runs, quiet=as_json) as update:
        result = cross_validate(
            out,
            first,
            folds=folds,
            repeats=repeats,
            against=second,
            forest=forest,
            minirocket=minirocket,
            progress=update,
        )
    if as_json:
        print_json({"out": str(out), **result.to_dict()})
        return
    print_tables(result.tables())
    print_warning(result.warned())
    for name, model in result.classifiers().items():
        print_line(f"{name}: {model.summary.text()}")
