"""edge-seq cross-validate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_seq.cli.output import JsonOption, SetOption, estimate, percent, print_json, print_line, print_table, progress


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
    override: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score a configuration by cross-validation over groups: every group is tested once in a repeat.

    Intervals are 95 %, by resampling groups. A test part that the data source gives stays untouched.

    Example: edge-seq cross-validate datasets/recipes/hapt.toml --folds 5 --repeats 2 --out runs/hapt_folds
    """
    from edge_seq.pipeline.config import load_config, quote
    from edge_seq.workflow.cross_validate import cross_validate

    overrides = ([] if data is None else [f"data.source={quote(str(data))}"]) + (override or [])
    resolved = load_config(config, overrides)
    with progress("cross-validating", folds * repeats, quiet=as_json) as update:
        result = cross_validate(out, resolved, folds=folds, repeats=repeats, progress=update)
    if as_json:
        print_json({"out": str(out), **result})
        return
    rows = [
        [
            f"{title}, repeat {number}",
            *(estimate(one[score]) for score in ("accuracy", "balanced_accuracy", "macro_f1")),
        ]
        for kind, title in (("float", "float model"), ("int", "integer model"))
        for number, one in enumerate(result[kind]["repeats"], start=1)
    ]
    print_table(f"{folds} folds by group", ["", "accuracy", "balanced accuracy", "macro-F1"], rows)
    for kind, title in (("float", "float model"), ("int", "integer model")):
        print_line(f"{title}: {_summary_line(result[kind]['summary'])}")


def _summary_line(summary: dict[str, Any]) -> str:
    parts = []
    for score, values in summary.items():
        spread = values["standard_deviation"]
        more = "" if spread is None else f" +- {percent(spread)} over repeats"
        parts.append(f"{score.replace('_', ' ')} {percent(values['mean'])}{more}")
    return ", ".join(parts)
