"""edge-seq demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_seq.cli.output import (
    CHECK_FAILED,
    JsonOption,
    SetOption,
    print_json,
    print_line,
    print_table,
    print_tables,
    print_warning,
    progress,
)
from edge_seq.support.figure_text import PARAMETERS_NOTE


def command(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder in which one run per cell is written.")] = Path(
        "runs/demo"
    ),
    override: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run all steps on simulated car states: train RNN, GRU and LSTM, quantize, export, verify.

    The exit code is 1 if a rung of a ladder fails.

    Example: edge-seq demo --out runs/demo
    """
    from edge_seq.parity.ladder import LADDER_TITLE
    from edge_seq.workflow.demo import run_demo

    with progress("demo", 1, quiet=as_json) as update:
        result, ladders = run_demo(out, overrides=override or [], progress=update)
    if as_json:
        print_json({**result.to_dict(), "ladders": ladders})
    else:
        print_tables(result.tables())
        print_warning(result.note.warning)
        print_line(f"parameters: {PARAMETERS_NOTE}; bytes: model data in flash with padding and multipliers, no code")
        cells = list(ladders)
        rungs = [[rung.name, rung.kind] for rung in ladders[cells[0]].rungs]
        for index, row in enumerate(rungs):
            row.extend(ladders[cell].rungs[index].verdict for cell in cells)
        print_table(LADDER_TITLE, ["rung", "kind", *cells], rungs)
        for cell, ladder in ladders.items():
            for rung in ladder.rungs:
                if rung.verdict != "holds":
                    print_line(f"{cell}: {rung.name}: {rung.verdict}: {rung.detail}")
        print_line(f"{result.seconds:.0f} s. C of the chosen model: {out / result.chosen / 'exports' / 'c'}")
        print_line(f"Report to open in a browser: {result.report}")
    if not result.holds:
        raise typer.Exit(CHECK_FAILED)
