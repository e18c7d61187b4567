"""edge-seq evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_seq.cli.output import (
    JsonOption,
    estimate,
    percent,
    print_json,
    print_reliability,
    print_table,
    print_warning,
    progress,
)

CLASSIFIERS = {
    "float": "float model",
    "int": "integer model",
    "random_forest": "random forest",
    "majority": "majority guess",
}


def metrics_rows(results: dict[str, Any]) -> list[list[str]]:
    """One row a classifier: accuracy, balanced accuracy, macro-F1 with intervals, calibration error."""
    return [
        [
            title,
            estimate(results[key]["accuracy"]),
            estimate(results[key]["balanced_accuracy"]),
            estimate(results[key]["macro_f1"]),
            percent(results[key]["expected_calibration_error"]),
        ]
        for key, title in CLASSIFIERS.items()
        if key in results
    ]


def command(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    side: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines/--no-baselines", help="Score the majority guess and the random forest too; kept once scored."
        ),
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Score float and integer model on a side of the split, beside the majority guess and a random forest.

    Intervals are 95 %, by bootstrap over groups. Needs no torch.

    Example: edge-seq evaluate runs/hapt --side validation
    """
    from edge_seq.workflow.evaluate import evaluate_run
    from edge_seq.workflow.folder import open_run

    opened = open_run(run)
    with progress("evaluating", 1, quiet=as_json) as update:
        results = evaluate_run(opened, side, baselines=baselines, progress=update)
    if as_json:
        print_json(results)
        return
    metrics = results["float"]
    print_table(
        f"{run.name}, {side}: {metrics['num_windows']} windows of {metrics['num_groups']} groups",
        ["classifier", "accuracy", "balanced accuracy", "macro-F1", "calibration error"],
        metrics_rows(results),
    )
    print_warning(results)
    print_reliability(results["reliability"], side=side)
    shown = "int" if "int" in results else "float"
    labels = [score["label"] for score in results[shown]["classes"]]
    rows = [[label, *map(str, row)] for label, row in zip(labels, results[shown]["confusion"], strict=True)]
    print_table(f"confusion of the {CLASSIFIERS[shown]}: label down, prediction across", ["", *labels], rows)
