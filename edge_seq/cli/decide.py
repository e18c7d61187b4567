"""edge-seq decide."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from edge_seq.cli.output import JsonOption, print_json, print_line, print_tables, progress


def command(
    run: Annotated[Path, typer.Argument(help="Folder of a quantized run.")],
    max_extra_delay_s: Annotated[
        float | None,
        typer.Option(
            help="Largest growth of the median detection delay, in seconds. Default: half of the window length.",
            show_default=False,
        ),
    ] = None,
    allow_unknown: Annotated[
        bool,
        typer.Option(
            "--allow-unknown", help='Also search a margin of the logits below which the decision is "unknown".'
        ),
    ] = False,
    unknown_margin: Annotated[
        float | None,
        typer.Option(
            help='Margin in logits. The decision is "unknown" when the first class leads the second by less. A margin '
            "of 1 means odds of 2.7 to 1. Default: no margin.",
            show_default=False,
        ),
    ] = None,
    unknown_distance: Annotated[
        float | None,
        typer.Option(
            help='Share of the correct labels of each class that may become "unknown" by distance, for example 0.05. '
            'The decision is "unknown" when the state that is classified is farther from the centre of its class than '
            "in all but this share of the correctly labelled validation samples. Default: no limit of the distance.",
            show_default=False,
        ),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the decision stage from the model.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Choose the decision stage of a model on validation recordings: smoothing, hysteresis and minimum duration.

    The stage turns labels into decisions. It becomes part of the integer model, so export again afterwards. `edge-seq
    evaluate RUN --stream` scores it on the test recordings.

    Example: edge-seq decide runs/car --max-extra-delay-s 1
    """
    from edge_seq.workflow.decide import decide_run
    from edge_seq.workflow.folder import open_run

    opened = open_run(run)
    with progress("deciding", 1, quiet=as_json) as update:
        decision = decide_run(
            opened,
            max_extra_delay_s=max_extra_delay_s,
            allow_unknown=allow_unknown,
            unknown_margin=unknown_margin,
            unknown_distance=unknown_distance,
            remove=remove,
            progress=update,
        )
    if as_json:
        print_json(decision)
        return
    print_tables(decision.tables())
    for line in decision.sentences():
        print_line(line)
    print_line(f"next: edge-seq evaluate {shlex.quote(str(run))} --stream")
