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
            help="Seconds by which the median detection delay may grow. If not given: half of a window.",
            show_default=False,
        ),
    ] = None,
    allow_unknown: Annotated[
        bool, typer.Option("--allow-unknown", help='Search a margin below which the decision is "unknown", too.')
    ] = False,
    unknown_margin: Annotated[
        float | None,
        typer.Option(
            help='The decision is "unknown" where the first class leads by less: logits, 1 is odds of 2.7 to 1.',
            show_default=False,
        ),
    ] = None,
    unknown_distance: Annotated[
        float | None,
        typer.Option(
            help='The decision is "unknown" where what the head sees (last state, or mean) is farther from what is '
            "usual for its label than all but this share of the right labels on validation: for example 0.05.",
            show_default=False,
        ),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the stage out of the model.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Choose what makes decisions of labels, smoothing, hysteresis and minimum duration, on validation recordings.

    The stage becomes part of the integer model: export again afterwards. What it gains on recordings that nothing was
    chosen on: edge-seq evaluate RUN --stream.

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
