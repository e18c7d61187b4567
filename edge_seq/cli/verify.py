"""edge-seq verify."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_seq.cli.output import CHECK_FAILED, JsonOption, print_json, print_line, print_table, progress

if TYPE_CHECKING:
    from edge_seq.parity.ladder import Ladder


def ladder_rows(ladder: Ladder) -> list[list[str]]:
    """One row a rung: name, kind, values compared, verdict, detail."""
    rows = []
    for rung in ladder.rungs:
        comparison = rung.comparison
        steps = "-" if comparison is None else f"{comparison.steps:,}"
        values = "-" if comparison is None else f"{comparison.values:,}"
        rows.append([rung.name, rung.kind, steps, values, rung.verdict, rung.detail])
    return rows


def command(
    run: Annotated[Path, typer.Argument(help="Folder of an exported run.")],
    windows: Annotated[int, typer.Option(help="How many held-out windows to compare, at most.")] = 500,
    extreme: Annotated[int, typer.Option(help="How many windows of random and extreme counts to add.")] = 100,
    side: Annotated[str, typer.Option(help="Whose windows: train, validation or test.")] = "test",
    as_json: JsonOption = False,
) -> None:
    """Climb the ladder: torch, float reference, float ONNX; then exactly: integer reference, integer ONNX, C.

    Compares what `edge-seq export` wrote, every time step, every state. Writes reports/verify.json and
    reports/verify.xml (JUnit) into the run. Exit code 1 where a rung fails.

    Example: edge-seq verify runs/hapt --json
    """
    from edge_seq.workflow.folder import open_run
    from edge_seq.workflow.verify import verify_run

    with progress("verifying", 1, quiet=as_json) as update:
        ladder = verify_run(open_run(run), side=side, max_windows=windows, extreme_windows=extreme, progress=update)
    if as_json:
        print_json(ladder.to_dict())
    else:
        columns = ["rung", "kind", "steps", "values", "verdict", "detail"]
        print_table(f"{run.name}: the ladder of neighbours", columns, ladder_rows(ladder))
        skipped = f", {ladder.skipped} of {len(ladder.rungs)} rungs skipped" if ladder.skipped else ""
        print_line(("it holds" if ladder.holds else "IT DOES NOT HOLD") + skipped)
    if not ladder.holds:
        raise typer.Exit(CHECK_FAILED)
