"""edge-seq cross-validate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_seq.cli.output import JsonOption, SetOption, print_json, print_line, print_tables, progress


def command(
    config: Annotated[
        Path | None, typer.Argument(help="Configuration (TOML). Without one: the defaults, on the simulator.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the runs; made, or resumed.")] = Path(
        "runs/folds"
    ),
    data: Annotated[Path | None, typer.Option("--data", help="Data source (TOML); same as data.source.")] = None,
    folds: Annotated[int, typer.Option(help="Parts by group, at least 2.")] = 5,
    repeats: Annotated[int, typer.Option(help="Cross-validations with other folds and seeds.")] = 1,
    against: Annotated[
        Path | None,
        typer.Option(help="Second configuration (TOML), trained on the same folds; prints the differences from it."),
    ] = None,
    forest: Annotated[
        bool, typer.Option("--forest", help="Also score a random forest on the same folds, with the differences.")
    ] = False,
    override: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score a configuration by cross-validation over groups: every group is tested once in a repeat.

    Intervals are 95 %, by resampling groups. A test part that the data source gives stays untouched.

    With --against, the second configuration must be for the same data; a difference is the first less the second.

    Example: edge-seq cross-validate datasets/recipes/hapt.toml --folds 5 --repeats 2 --out runs/hapt_folds

    Example: edge-seq cross-validate my.toml --set training.cell=gru --against my.toml --forest --out runs/gru_or_lstm
    """
    from edge_seq.pipeline.config import load_config, quote
    from edge_seq.workflow.cross_validate import cross_validate

    source = [] if data is None else [f"data.source={quote(str(data))}"]
    first = load_config(config, source + (override or []))
    second = None if against is None else load_config(against, source)
    runs = folds * repeats * (1 if second is None else 2)
    with progress("cross-validating", runs, quiet=as_json) as update:
        result = cross_validate(
            out, first, folds=folds, repeats=repeats, against=second, forest=forest, progress=update
        )
    if as_json:
        print_json({"out": str(out), **result.to_dict()})
        return
    print_tables(result.tables())
    for name, model in result.classifiers().items():
        print_line(f"{name}: {model.summary.text()}")
