"""edge-seq evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_seq.cli.output import JsonOption, print_json, print_line, print_tables, print_warning, progress
from edge_seq.support.errors import ConfigError

if TYPE_CHECKING:
    from edge_seq.workflow.folder import RunFolder


def _evaluate_streams(run: RunFolder, side: str, tolerance_s: float | None, *, as_json: bool) -> None:
    from edge_seq.workflow.streams import evaluate_streams

    with progress("evaluating streams", 1, quiet=as_json) as update:
        results = evaluate_streams(run, side, tolerance_s=tolerance_s, progress=update)
    if as_json:
        print_json(results)
        return
    overall, by_class = results.tables()
    print_tables([overall], name=run.path.name)
    print_warning(results.note.warning)
    print_tables([by_class])


def command(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    side: Annotated[str, typer.Option(help="Side of the split to score: train, validation or test.")] = "test",
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines/--no-baselines",
            help="Also score the majority guess and a random forest. Scores that exist for the same windows are kept.",
        ),
    ] = True,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream", help="Score whole recordings instead of windows: events, false alarms, delays and flicker."
        ),
    ] = False,
    tolerance_s: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Seconds after the end of an event in which a detection still counts. Needs --stream. Default: the "
            "window length.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Score the float and the integer model on one side of the split, beside a majority guess and a random forest.

    Intervals are 95 % bootstrap intervals over groups. torch is not needed.

    Example: edge-seq evaluate runs/hapt --side validation
    """
    from edge_seq.workflow.evaluate import evaluate_run
    from edge_seq.workflow.folder import open_run

    opened = open_run(run)
    if stream:
        _evaluate_streams(opened, side, tolerance_s, as_json=as_json)
        return
    if tolerance_s is not None:
        raise ConfigError("evaluate: --tolerance-s is for events, which are scored with --stream only; add --stream")
    with progress("evaluating", 1, quiet=as_json) as update:
        results = evaluate_run(opened, side, baselines=baselines, progress=update)
    if as_json:
        print_json(results)
        return
    scores, *calibration, confusion = results.tables()
    print_tables([scores], name=run.name)
    print_warning(results.note.warning)
    print_tables(calibration)
    if results.reliability is not None:
        print_line(results.reliability.temperature_text())
    print_tables([confusion])
    for line in results.advice or ():
        print_line(line)
